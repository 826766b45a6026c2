/**
 * Version of the whole project: agent, API and package have one. And the rule for two parts that differ: the same major version, and at
 * most one minor apart. Which of the two is newer does not matter.
 */
export const VERSION = '0.1.0'

/** Header by which an agent says its version when it enrols; later its reports do. */
export const AGENT_VERSION_HEADER = 'lvs-agent-version'

/** How many minor versions an agent may be older or newer than the API. */
const MINORS_APART_MAX = 1

type Numbers = { readonly major: number; readonly minor: number }

/** `1.4.2`, and `1.4.2-rc.1` of a version to come; undefined for what is no version. */
function parseVersion(text: string): Numbers | undefined {
  const [, major, minor] = /^(\d{1,6})\.(\d{1,6})\.\d{1,6}(?:[-+~][\w.+~-]*)?$/.exec(text) ?? []
  if (major === undefined || minor === undefined) return undefined
  return { major: Number(major), minor: Number(minor) }
}

export type Skew =
  | { readonly supported: true }
  /** `reason`: a sentence that says which side to upgrade. */
  | { readonly supported: false; readonly reason: string }

/** Does an agent of this version work with an API of that one? What is no version cannot be promised anything. */
export function judgeSkew(agentVersion: string, apiVersion: string = VERSION): Skew {
  const agent = parseVersion(agentVersion)
  const api = parseVersion(apiVersion)
  if (agent === undefined || api === undefined) {
    const text = JSON.stringify(agent === undefined ? agentVersion : apiVersion)
    return { supported: false, reason: `${text} is no version such as 1.4.2` }
  }
  const apart = agent.major === api.major ? agent.minor - api.minor : Infinity
  if (Math.abs(apart) <= MINORS_APART_MAX) return { supported: true }
  const isOlder = agent.major < api.major || (agent.major === api.major && apart < 0)
  return {
    supported: false,
    reason: `agent ${agentVersion} is too ${isOlder ? 'old' : 'new'} for API ${apiVersion}: upgrade the ${isOlder ? 'agent' : 'API'} to at most one minor version apart`,
  }
}
