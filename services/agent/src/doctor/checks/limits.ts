/** Tables that are nearly full: conntrack drops at its limit, IPVS gets slow far above its bucket count. */
import type { Check, Found, Patient } from '../check.ts'

const CONNTRACK_NEAR = 0.8
/** Entries per bucket of a hash list that is walked for each packet. */
const LOAD_MAX = 8

export const limits: Check = {
  id: 'table-limits',
  title: 'conntrack and the connection table have room',
  examine: (patient) => [...conntrack(patient), ...connections(patient)],
}

function conntrack({ facts }: Patient): Found[] {
  const count = Number(facts.sysctls.get('net.netfilter.nf_conntrack_count') ?? Number.NaN)
  const key = 'net.netfilter.nf_conntrack_max'
  const max = Number(facts.sysctls.get(key) ?? Number.NaN)
  // 0 is no limit.
  if (!(max > 0) || !(count >= max * CONNTRACK_NEAR)) return []
  return [
    {
      severity: count >= max ? 'broken' : 'risk',
      object: key,
      found: `${count} of ${max} entries`,
      wanted: `less than ${Math.floor(max * CONNTRACK_NEAR)}`,
      why: 'at the limit the kernel drops every packet of a new connection ("table full, dropping packet")',
      symptom: 'new connections hang now and then, old ones go on',
      commands: [
        `sysctl -w ${key}=${max * 2}`,
        '# or exempt traffic of the VIPs from conntrack (notrack)',
      ],
      fixable: false,
    },
  ]
}

function connections({ facts }: Patient): Found[] {
  const buckets = facts.capabilities?.connectionTableSize ?? null
  if (facts.destinations === null || buckets === null || buckets === 0) return []
  let count = 0
  for (const list of facts.destinations.values()) {
    for (const one of list) count += one.activeConnections + one.inactiveConnections
  }
  if (count <= buckets * LOAD_MAX) return []
  const bits = Math.min(20, Math.ceil(Math.log2(count)))
  return [
    {
      severity: 'risk',
      object: 'IPVS connection table',
      found: `${count} connections in ${buckets} buckets`,
      wanted: `not more than ${LOAD_MAX} for each bucket`,
      why: 'the table has no limit, but each packet walks the list of its bucket',
      symptom: 'rising CPU of softirq, latency',
      commands: [
        `echo options ip_vs conn_tab_bits=${bits} > /etc/modprobe.d/ip_vs.conf`,
        '# takes effect when ip_vs is loaded: at the next boot',
      ],
      fixable: false,
    },
  ]
}
