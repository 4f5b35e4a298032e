/**
 * The certificate that a peer's WebRTC port shows: self-signed, made once and kept, since its hash is in the peer's addresses. Only
 * the hash is ever looked at, so all but the key is the same in every one. Key and signature are Node's; what is written here is
 * nothing but the envelope (RFC 5280, in DER).
 */
import { createHash, createPrivateKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto'

export interface DtlsCertificate {
  readonly certificatePem: string
  readonly keyPem: string
  /** SHA-256 of the certificate in DER. */
  readonly hash: Uint8Array
}

/** As it is kept: certificate and key in PEM, one behind the other. */
export function makeCertificate(): Uint8Array {
  // Encoded by the generation itself: to export a generated key can stop Node 20 for good (src/host/native-suite.node.ts).
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const algorithm = sequence(der(OBJECT_ID, ECDSA_WITH_SHA256))
  const name = sequence(der(SET, sequence(der(OBJECT_ID, COMMON_NAME), der(UTF8_STRING, Buffer.from('webmesh')))))
  const signed = sequence(
    der(VERSION, der(INTEGER, Buffer.of(2))),
    der(INTEGER, Buffer.of(1)),
    algorithm,
    name,
    sequence(der(UTC_TIME, Buffer.from('250101000000Z')), der(GENERALIZED_TIME, Buffer.from('99991231235959Z'))),
    name,
    publicKey,
  )
  const signature = Buffer.concat([Buffer.of(0), sign('sha256', signed, privateKey)])
  const certificate = new X509Certificate(sequence(signed, algorithm, der(BIT_STRING, signature)))
  const text = `${certificate.toString()}${privateKey}`
  return Uint8Array.from(Buffer.from(text))
}

/** Null where it is none, or key and certificate do not belong together. */
export function readCertificate(kept: Uint8Array): DtlsCertificate | null {
  const text = Buffer.from(kept).toString()
  const keyAt = text.indexOf('-----BEGIN PRIVATE KEY-----')
  if (keyAt < 0) return null
  const [certificatePem, keyPem] = [text.slice(0, keyAt), text.slice(keyAt)]
  try {
    const certificate = new X509Certificate(certificatePem)
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return null
    return { certificatePem, keyPem, hash: Uint8Array.from(createHash('sha256').update(certificate.raw).digest()) }
  } catch {
    return null
  }
}

const INTEGER = 0x02
const BIT_STRING = 0x03
const OBJECT_ID = 0x06
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30
const SET = 0x31
const VERSION = 0xa0
/** 1.2.840.10045.4.3.2 and 2.5.4.3. */
const ECDSA_WITH_SHA256 = Buffer.from('2a8648ce3d040302', 'hex')
const COMMON_NAME = Buffer.from('550403', 'hex')

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(SEQUENCE, ...parts)
}

/** What is written here stays below 64 KiB. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const { length } = Buffer.concat(parts)
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), ...parts])
}
