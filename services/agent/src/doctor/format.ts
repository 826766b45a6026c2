/** Findings as people read them: what, why, what users see, what to do. */
import type { Finding } from '@lvs-fleet/contract'

export function formatFindings(findings: readonly Finding[], checkCount: number): string {
  if (findings.length === 0) return `healthy: ${checkCount} checks found nothing\n`
  const blocks = findings.map(formatFinding)
  const count = (severity: string) => findings.filter((one) => one.severity === severity).length
  const sum = `${count('broken')} broken, ${count('risk')} at risk, ${count('info')} to know`
  return `${blocks.join('\n')}\n${sum}\n`
}

function formatFinding(finding: Finding): string {
  const { severity, check, object, found, wanted, why, symptom, commands, fixable } = finding
  const lines = [
    `${severity.toUpperCase()}  ${object}  (${check})`,
    `  found    ${found}`,
    `  wanted   ${wanted}`,
    `  why      ${why}`,
    `  users    ${symptom}`,
    ...commands.map((command, i) => `  ${i === 0 ? 'fix' : '   '}      ${command}`),
    ...(fixable ? ['           or: lvsfleet-agent doctor --fix'] : []),
  ]
  return `${lines.join('\n')}\n`
}
