/**
 * Whose signatures count on this host, as it was told: at enrolment, and since by lists that a key of the list before
 * signed. A key that is in no list never counts. What arrives must be signed by a key of the newest list; the last
 * good states on this host's own disk may be by an older one, or a retired key would take them away.
 */
import { keyListSchema, type KeyList, type PublicKey } from '@lvs-fleet/contract'
import { importPublicKey, thumbprint, verifyCompact } from '../jws.ts'
import type { Disk, Log } from '../ports.ts'
import type { Trust } from '../state/verify.ts'
import { saveIdentity, type HostIdentity } from './identity.ts'

/** Former keys that are remembered. */
const FORMER_MAX = 16

export type LiveTrust = {
  /** For what arrives. */
  readonly wire: Trust
  /** For what this host wrote down itself. */
  readonly disk: Trust
  /** Takes up newer lists; what is not signed by a key that is trusted changes nothing. */
  learn(lists: readonly string[]): Promise<void>
}

export function openTrust(deps: {
  readonly identity: HostIdentity
  readonly disk: Disk
  readonly log: Log
}): LiveTrust {
  let identity = deps.identity
  let keys = importKeys(identity)
  const { hostId } = identity
  return {
    wire: {
      hostId,
      get controllerKeys() {
        return keys.wire
      },
    },
    disk: {
      hostId,
      get controllerKeys() {
        return keys.disk
      },
    },
    async learn(lists) {
      let next = identity
      for (const jws of lists) next = takeList(next, jws) ?? next
      if (next === identity) return
      await saveIdentity(deps.disk, next)
      identity = next
      keys = importKeys(next)
      deps.log('info', 'keys that sign states have changed', {
        serial: next.keySerial,
        keys: next.controllerKeys.map(thumbprint),
      })
    },
  }
}

/** Once for each change: every state that arrives asks for them. */
function importKeys({ controllerKeys, formerKeys = [] }: HostIdentity) {
  const wire = controllerKeys.map(importPublicKey)
  return { wire, disk: [...wire, ...formerKeys.map(importPublicKey)] }
}

/** The identity with the keys of a list; undefined when the list is not newer or not by a key that is trusted. */
function takeList(identity: HostIdentity, jws: string): HostIdentity | undefined {
  const payload = verifyCompact(jws, identity.controllerKeys.map(importPublicKey))
  const list = payload === undefined ? undefined : parseList(payload)
  if (list === undefined || list.serial <= (identity.keySerial ?? 0)) return undefined
  const kept = new Set(list.keys.map(thumbprint))
  const former = [...identity.controllerKeys, ...(identity.formerKeys ?? [])].filter(
    (key) => !kept.has(thumbprint(key)),
  )
  return {
    ...identity,
    controllerKeys: list.keys,
    keySerial: list.serial,
    formerKeys: distinct(former).slice(0, FORMER_MAX),
  }
}

function distinct(keys: readonly PublicKey[]): PublicKey[] {
  return [...new Map(keys.map((key) => [thumbprint(key), key])).values()]
}

function parseList(payload: string): KeyList | undefined {
  try {
    const parsed = keyListSchema.safeParse(JSON.parse(payload))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}
