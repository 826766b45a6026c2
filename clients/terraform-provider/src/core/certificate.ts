/** A certificate that signs itself, ECDSA P-256, for one process: terraform is told it on stdout and trusts no other. DER by X.690, fields by RFC 5280. */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

export type Certificate = {
  readonly der: Buffer
  readonly certPem: string
  readonly keyPem: string
}

const SEQUENCE = 0x30
const SET = 0x31
const DAY_MS = 86_400_000

export function makeCertificate(now = new Date()): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = tlv(SEQUENCE, oid(1, 2, 840, 10045, 4, 3, 2))
  const name = tlv(
    SEQUENCE,
    tlv(SET, tlv(SEQUENCE, oid(2, 5, 4, 3), tlv(0x0c, Buffer.from('localhost')))),
  )
  const serial = randomBytes(16)
  // Positive, and with no leading zero that DER would not allow.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const body = tlv(
    SEQUENCE,
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    name,
    tlv(SEQUENCE, utc(now.getTime() - DAY_MS), utc(now.getTime() + 30 * DAY_MS)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(
      0xa3,
      tlv(
        SEQUENCE,
        // CA, so that it is its own authority; may sign, agree on keys and certify.
        extension(oid(2, 5, 29, 19), tlv(SEQUENCE, tlv(0x01, Buffer.from([0xff])))),
        extension(oid(2, 5, 29, 15), tlv(0x03, Buffer.from([2, 0b1010_1100]))),
        extension(
          oid(2, 5, 29, 37),
          tlv(SEQUENCE, oid(1, 3, 6, 1, 5, 5, 7, 3, 1), oid(1, 3, 6, 1, 5, 5, 7, 3, 2)),
        ),
        extension(oid(2, 5, 29, 17), tlv(SEQUENCE, tlv(0x82, Buffer.from('localhost')))),
      ),
    ),
  )
  const signature = sign('sha256', body, privateKey)
  const der = tlv(
    SEQUENCE,
    body,
    algorithm,
    tlv(0x03, Buffer.concat([Buffer.from([0]), signature])),
  )
  return {
    der,
    certPem: pem(der),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** Lines of 64, and never an empty one, which OpenSSL takes for the end. */
function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 127]
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128)
    bytes.push(...groups)
  }
  return tlv(0x06, Buffer.from(bytes))
}

function extension(id: Buffer, value: Buffer): Buffer {
  return tlv(SEQUENCE, id, tlv(0x04, value))
}

function utc(ms: number): Buffer {
  return tlv(
    0x17,
    Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-:T]/g, '')}Z`),
  )
}
