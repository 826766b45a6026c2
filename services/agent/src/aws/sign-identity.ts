/**
 * A signed request that says to STS who this host is, for the control plane to send: `POST GetCallerIdentity` with the
 * challenge and the thumbprint of the host's key among the signed headers. Only the signed headers leave the host,
 * never the credentials. Part of the second bundle: hosts outside AWS load none of it.
 */
import { createHash, createHmac } from 'node:crypto'
import { defaultProvider } from '@aws-sdk/credential-provider-node'
import { SignatureV4 } from '@smithy/signature-v4'
import {
  AWS_CHALLENGE_HEADER,
  AWS_KEY_HEADER,
  GET_CALLER_IDENTITY,
  type AwsProof,
} from '@lvs-fleet/contract'

export type AwsCredentials = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export type IdentityToSign = {
  readonly region: string
  readonly challenge: string
  /** RFC 7638, of the key that enrols. */
  readonly thumbprint: string
  /** By the server's clock, because this host's own may be off. */
  readonly at: Date
  /** Absent = the SDK's default chain: environment, files, containers, instance metadata. */
  readonly credentials?: AwsCredentials
}

export async function signAwsIdentity(given: IdentityToSign): Promise<AwsProof> {
  const { region, challenge, thumbprint, at } = given
  const signer = new SignatureV4({
    service: 'sts',
    region,
    credentials: given.credentials ?? defaultProvider(),
    sha256: Sha256,
    applyChecksum: false,
  })
  const request = {
    method: 'POST',
    protocol: 'https:',
    hostname: stsHostOf(region),
    path: '/',
    query: {},
    headers: {
      host: stsHostOf(region),
      'content-type': 'application/x-www-form-urlencoded',
      [AWS_CHALLENGE_HEADER]: challenge,
      [AWS_KEY_HEADER]: thumbprint,
    },
    body: GET_CALLER_IDENTITY,
  }
  const { headers } = await signer.sign(request, { signingDate: at })
  return {
    headers: Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  }
}

export function stsHostOf(region: string): string {
  return `sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

type Bytes = string | ArrayBuffer | ArrayBufferView

/** The hash that SignatureV4 wants, on node:crypto. */
class Sha256 {
  readonly #secret: Bytes | undefined
  #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>

  constructor(secret?: Bytes) {
    this.#secret = secret
    this.#hash = begin(secret)
  }

  update(data: Bytes): void {
    this.#hash.update(bytesOf(data))
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {
    this.#hash = begin(this.#secret)
  }
}

function begin(secret: Bytes | undefined) {
  return secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
}

function bytesOf(data: Bytes): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(data)
}
