/** X.509 certificates for tests, made as they are needed: any name, any dates, signed by any of the others. RFC 5280. */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

export type Certificate = {
  readonly name: string
  readonly cert: string
  readonly key: string
  readonly privateKey: KeyObject
}

export type Wish = {
  readonly name: string
  /** Undefined = by itself. */
  readonly by?: Certificate
  readonly isAuthority?: boolean
  readonly addresses?: readonly string[]
  /** Days from now at which it ends; negative = it has. */
  readonly days?: number
}

const DAY_MS = 86_400_000

export function makeCertificate({
  name,
  by,
  isAuthority,
  addresses = [],
  days = 30,
}: Wish): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const end = Date.now() + days * DAY_MS
  const alternatives = [
    der(0x82, Buffer.from(name)),
    ...addresses.map((address) => der(0x87, Buffer.from(address.split('.').map(Number)))),
  ]
  const extensions = [
    sequence(oid(0x55, 0x1d, 0x11), der(0x04, sequence(...alternatives))),
    ...(isAuthority === true
      ? [
          sequence(
            oid(0x55, 0x1d, 0x13),
            der(0x01, Buffer.from([0xff])),
            der(0x04, sequence(der(0x01, Buffer.from([0xff])))),
          ),
        ]
      : []),
  ]
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    nameOf(by?.name ?? name),
    sequence(time(Math.min(Date.now(), end) - DAY_MS), time(end)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', body, by?.privateKey ?? privateKey)
  const whole = sequence(
    body,
    ECDSA_SHA256,
    der(0x03, Buffer.concat([Buffer.from([0]), signature])),
  )
  const lines = whole.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd()
  return {
    name,
    privateKey,
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function oid(...bytes: number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2. */
const ECDSA_SHA256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))

/** One common name, 2.5.4.3. */
function nameOf(text: string): Buffer {
  return sequence(der(0x31, sequence(oid(0x55, 0x04, 0x03), der(0x0c, Buffer.from(text)))))
}

/** GeneralizedTime. */
function time(ms: number): Buffer {
  return der(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`))
}
