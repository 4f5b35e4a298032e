/** Names a service in messages between members: the first 8 bytes of its hash, as hexadecimal text (spec 7.5). */
import type { CryptoSuite } from '../crypto/suite.ts'
import { hashOfService } from '../registry/record.ts'
import type { ServiceName } from '../registry/service-name.ts'

export type ServiceTag = string

export const TAG_BYTES = 8

export function tagOfService(suite: CryptoSuite, service: ServiceName): ServiceTag {
  return tagOfBytes(hashOfService(suite, service))
}

export function tagOfBytes(bytes: Uint8Array): ServiceTag {
  let text = ''
  for (let i = 0; i < TAG_BYTES; i += 1) text += bytes[i]!.toString(16).padStart(2, '0')
  return text
}

export function bytesOfTag(tag: ServiceTag): Uint8Array {
  const bytes = new Uint8Array(TAG_BYTES)
  for (let i = 0; i < TAG_BYTES; i += 1) bytes[i] = Number.parseInt(tag.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
