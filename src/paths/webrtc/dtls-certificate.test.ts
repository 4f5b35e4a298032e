import { X509Certificate } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { makeCertificate, readCertificate } from './dtls-certificate.node.ts'

describe('the certificate of a WebRTC port', () => {
  it('is one by the judgement of OpenSSL, signs itself, and never expires', () => {
    const kept = makeCertificate()
    const read = readCertificate(kept)
    const certificate = new X509Certificate(read?.certificatePem ?? '')
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(certificate.checkIssued(certificate)).toBe(true)
    expect(certificate.subject).toBe('CN=webmesh')
    expect(certificate.validTo).toBe('Dec 31 23:59:59 9999 GMT')
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
    const hash = Buffer.from(read?.hash ?? []).toString('hex')
    expect(hash).toBe(certificate.fingerprint256.replaceAll(':', '').toLowerCase())
  })

  it('is another one each time, and the same when it is read again', () => {
    const [one, other] = [makeCertificate(), makeCertificate()]
    expect(readCertificate(one)?.hash).not.toEqual(readCertificate(other)?.hash)
    expect(readCertificate(one)).toEqual(readCertificate(one))
  })

  it('is none where bytes are damaged, or the key is another', () => {
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
    const [one, other] = [text(makeCertificate()), text(makeCertificate())]
    const keyAt = (kept: string): number => kept.indexOf('-----BEGIN PRIVATE KEY')
    const mixed = one.slice(0, keyAt(one)) + other.slice(keyAt(other))
    for (const wrong of ['', 'x', one.slice(0, 100), one.slice(keyAt(one)), one.replaceAll('A', 'B'), mixed])
      expect(readCertificate(Buffer.from(wrong))).toBeNull()
  })
})
