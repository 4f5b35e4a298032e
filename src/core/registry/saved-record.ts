/** How a record lies in the store: `record/<slot>`, 8 bytes of SHA-256 over the record, then the record (spec 6.7). */
import { concatBytes, equalBytes } from '../base/bytes.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import type { StoreEntry } from '../input.ts'
import { readRecord, type ServiceRecord, type Slot } from './record.ts'

export const SAVED_RECORD_PREFIX = 'record/'
const CHECK_BYTES = 8

export function savedRecordKey(slot: Slot): string {
  return SAVED_RECORD_PREFIX + slot
}

export function savedRecord(suite: CryptoSuite, record: ServiceRecord): Uint8Array {
  return concatBytes(suite.sha256(record.bytes).subarray(0, CHECK_BYTES), record.bytes)
}

/** The record, whose signature was checked before it was saved; null where the entry is damaged. */
export function unsavedRecord(suite: CryptoSuite, entry: StoreEntry): ServiceRecord | null {
  const bytes = entry.value.subarray(CHECK_BYTES)
  if (!equalBytes(suite.sha256(bytes).subarray(0, CHECK_BYTES), entry.value.subarray(0, CHECK_BYTES))) return null
  const record = readRecord(suite, bytes)
  return record.ok && savedRecordKey(record.value.slot) === entry.key ? record.value : null
}
