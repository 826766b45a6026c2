/** Signs states as the control plane does, and a few ways in which somebody else would. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  formatStateDocument,
  listShards,
  manifestDigest,
  publicKeySchema,
  shardState,
  STATE_FORMAT,
  type EnrolAnswer,
  type HostState,
  type Manifest,
  type NamedShard,
  type PublicKey,
} from '@lvs-fleet/contract'
import { CompactSign } from 'jose'
import { sha256Hex } from '../../services/agent/src/disk/sealed.ts'

export const HOST_ID = 'host-1'
export const AUDIENCE = 'lvsfleet-test'

export type Published = {
  readonly manifest: Manifest
  readonly jws: string
  readonly lists: readonly NamedShard[]
  readonly shards: readonly NamedShard[]
  /** Whole document. */
  readonly document: string
}

export type PublishOptions = {
  readonly epoch?: number
  readonly generation: number
  readonly shrinkAllowedGeneration?: number
  readonly hostId?: string
  /** Changes the manifest before it is signed. */
  readonly twist?: (manifest: Manifest) => unknown
}

export type FakeController = {
  readonly publicKey: PublicKey
  readonly identity: EnrolAnswer
  publish(state: HostState, options: PublishOptions): Promise<Published>
  sign(payload: string): Promise<string>
}

export function createFakeController(): FakeController {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const { kty, crv, x } = publicKey.export({ format: 'jwk' })
  const jwk = publicKeySchema.parse({ kty, crv, x })
  return {
    publicKey: jwk,
    identity: {
      hostId: HOST_ID,
      name: 'lb1',
      role: 'director',
      site: 'a',
      audience: AUDIENCE,
      controllerKeys: [jwk],
    },
    sign: (payload) => signWith(privateKey, payload),
    async publish(state, options) {
      const shards = shardState(state, sha256Hex)
      const lists = listShards(shards, sha256Hex)
      const names = lists.map(({ name, digest }) => ({ name, digest }))
      const manifest: Manifest = {
        format: STATE_FORMAT,
        host: { id: options.hostId ?? HOST_ID, name: 'lb1', role: 'director', site: 'a' },
        epoch: options.epoch ?? 1,
        generation: options.generation,
        shrinkAllowedGeneration: options.shrinkAllowedGeneration ?? 0,
        counts: {
          services: state.services.length,
          destinations: state.services.reduce((sum, s) => sum + s.destinations.length, 0),
        },
        lists: names,
        digest: manifestDigest(names, sha256Hex),
      }
      const payload = JSON.stringify(options.twist?.(manifest) ?? manifest)
      const jws = await signWith(privateKey, payload)
      const document = formatStateDocument(
        jws,
        [...lists, ...shards].map(({ body }) => body),
      )
      return { manifest, jws, lists, shards, document }
    },
  }
}

async function signWith(key: KeyObject, payload: string): Promise<string> {
  return new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader({ alg: 'EdDSA' })
    .sign(key)
}
