/** Persistence: who is kept together with a client. Takes a virtual service and the client, if one is asked for; gives the network of those. Pure. */
import { familyOf, formatCidr, networkOf, type Family, type Ip } from '@lvs-fleet/contract'
import type { VirtualServiceSpec } from '../../intent/kinds.ts'

export type Persistence = {
  readonly timeoutSeconds: number
  readonly prefixLength: number
  readonly engine: string | null
  /** Clients that go where this one goes; null when no client was asked for. */
  readonly together: string | null
  readonly text: string
}

export function persistenceOf(
  { persistence, scheduler }: VirtualServiceSpec,
  family: Family,
  client: Ip | null,
): Persistence | null {
  if (persistence === null) return null
  const { timeoutSeconds, prefixLengthIpv4, prefixLengthIpv6, engine } = persistence
  const prefixLength = family === 'ipv4' ? prefixLengthIpv4 : prefixLengthIpv6
  const together = client === null ? null : formatCidr(networkOf(client, prefixLength))
  const isAlone = prefixLength === (family === 'ipv4' ? 32 : 128)
  const whom = isAlone
    ? 'each client'
    : `clients that share ${prefixLength} leading bits${inNetwork(together)}`
  // ip_vs_sip_ct_match, ip_vs_pe_sip.c: Call-ID and the masked address of the client.
  const what = engine === 'sip' ? `packets of one Call-ID from ${whom}` : whom
  const text = `${what} stay${isAlone && engine === null ? 's' : ''} on one real server until ${timeoutSeconds} s after the last connection; ${scheduler} chooses for those not known yet`
  return { timeoutSeconds, prefixLength, engine, together, text }
}

function inNetwork(together: string | null): string {
  return together === null ? '' : ` (here ${together})`
}

/** The family of a client must be that of the VIP: nothing translates it on the way. */
export function clientMismatch(vip: Ip, client: Ip | null): string | undefined {
  if (client === null || familyOf(client) === familyOf(vip)) return undefined
  return `a client ${client} cannot send to ${vip}: the address families differ`
}
