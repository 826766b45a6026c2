/** `nft -j list ruleset` as the facts that matter to IPVS. Pure; what cannot be read is null. */
import type { RulesetFacts } from './facts.ts'

export function parseRuleset(json: string): RulesetFacts | null {
  const objects = objectsOf(json)
  if (objects === null) return null
  const tables = new Set<string>()
  for (const object of objects) {
    const rule = object['rule']
    if (!isRecord(rule) || !Array.isArray(rule['expr'])) continue
    const expressions: readonly unknown[] = rule['expr']
    if (isSnat(expressions) && isForIpvs(rule, expressions)) {
      tables.add(`${String(rule['family'])} ${String(rule['table'])}`)
    }
  }
  return { snatForIpvs: [...tables] }
}

/** Rules of iptables-nft show as `xt` expressions, of which only the name is told. */
function isSnat(expressions: readonly unknown[]): boolean {
  return expressions.some((one) => {
    if (!isRecord(one)) return false
    const xt = one['xt']
    const target = isRecord(xt) && xt['type'] === 'target' ? xt['name'] : undefined
    return 'snat' in one || 'masquerade' in one || target === 'SNAT' || target === 'MASQUERADE'
  })
}

/** The ipvs match of iptables, or a rule of the agent's own table. */
function isForIpvs(
  rule: Readonly<Record<string, unknown>>,
  expressions: readonly unknown[],
): boolean {
  const isMatched = expressions.some((one) => {
    const xt = isRecord(one) ? one['xt'] : undefined
    return isRecord(xt) && xt['name'] === 'ipvs'
  })
  return isMatched || rule['table'] === 'lvsfleet'
}

function objectsOf(json: string): readonly Readonly<Record<string, unknown>>[] | null {
  try {
    const document: unknown = JSON.parse(json)
    const list = isRecord(document) ? document['nftables'] : undefined
    return Array.isArray(list) ? list.filter(isRecord) : null
  } catch {
    return null
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
