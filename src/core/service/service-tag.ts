/** Names a service in messages between members: the first 8 bytes of its hash, as hexadecimal text (spec 7.5). */
import { hexOfBytes } from '../base/hex.ts'
import type { CryptoSuite } from '../crypto/suite.ts'
import { hashOfService } from '../registry/record.ts'
import type { ServiceName } from '../registry/service-name.ts'

export type ServiceTag = string

export const TAG_BYTES = 8

export function tagOfService(suite: CryptoSuite, service: ServiceName): ServiceTag {
  return tagOfBytes(hashOfService(suite, service))
}

export function tagOfBytes(bytes: Uint8Array): ServiceTag {
  return hexOfBytes(bytes, TAG_BYTES)
}
