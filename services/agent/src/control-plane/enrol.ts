/**
 * First contact: a way in buys this host an identity. The key is made here and never sent; it signs the join token or
 * the challenge. The token goes over the wire and into no file or log. Where a person has to say yes, this asks
 * again with the same key until they did.
 */
import {
  AGENT_VERSION_HEADER,
  challengeAnswerSchema,
  enrolAnswerSchema,
  enrolPendingSchema,
  enrolProofText,
  VERSION,
  type AwsProof,
  type EnrolAnswer,
  type EnrolRequest,
  type Ip,
  type Role,
} from '@lvs-fleet/contract'
import { signText, thumbprint } from '../jws.ts'
import { AgentError, type Clock, type Disk, type Log } from '../ports.ts'
import { problemText } from './problem.ts'
import { jsonOf, type HttpAnswer, type HttpClient } from './http.ts'
import { loadOrMakeKey, publicPart, saveIdentity, type HostKey } from './identity.ts'

const TIMEOUT_MS = 30_000
const REFUSED = 3

export type WayIn =
  | { readonly by: 'token'; readonly token: string }
  /** A key that was declared beforehand. */
  | { readonly by: 'key' }
  | {
      readonly by: 'aws'
      readonly sign: (given: {
        readonly challenge: string
        readonly thumbprint: string
        readonly at: Date
      }) => Promise<AwsProof>
    }

export type Enrolment = {
  readonly way: WayIn
  /** Undefined where the way in says it. */
  readonly role: Role | undefined
  readonly name: string | undefined
  readonly addresses: readonly Ip[]
  readonly machineId: string
}

export type EnrolDeps = {
  readonly http: HttpClient
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

export async function enrol(deps: EnrolDeps, enrolment: Enrolment): Promise<EnrolAnswer> {
  const key = await loadOrMakeKey(deps.disk)
  for (;;) {
    const answer = await ask(deps, key, enrolment)
    if (answer.status < 200 || answer.status > 299) {
      const why = problemText(answer.status, await answer.text())
      throw new AgentError(`enrolment refused: ${why}`, REFUSED)
    }
    const body = await jsonOf(answer)
    if (answer.status === 202) {
      await waitForPerson(deps, body)
      continue
    }
    const parsed = enrolAnswerSchema.safeParse(body)
    if (!parsed.success)
      throw new AgentError('enrolment answered with something that is no identity')
    await saveIdentity(deps.disk, parsed.data)
    return parsed.data
  }
}

async function ask(deps: EnrolDeps, key: HostKey, enrolment: Enrolment): Promise<HttpAnswer> {
  const { way, role, name, addresses, machineId } = enrolment
  const proven = way.by === 'token' ? { token: way.token } : await answerChallenge(deps, key, way)
  const request: EnrolRequest = {
    ...proven,
    ...(role === undefined ? {} : { role }),
    ...(name === undefined ? {} : { name }),
    addresses: [...addresses],
    machineId,
    publicKey: publicPart(key),
    proof: signText(enrolProofText('token' in proven ? proven.token : proven.challenge), key),
  }
  return deps.http.request({
    method: 'POST',
    path: '/v1/enrol',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      [AGENT_VERSION_HEADER]: VERSION,
    },
    body: JSON.stringify(request),
    timeoutMs: TIMEOUT_MS,
  })
}

async function answerChallenge(
  { http, clock }: EnrolDeps,
  key: HostKey,
  way: Exclude<WayIn, { readonly by: 'token' }>,
): Promise<{ challenge: string; aws?: AwsProof }> {
  const answer = await http.request({
    method: 'POST',
    path: '/v1/enrol/challenge',
    headers: { accept: 'application/json' },
    timeoutMs: TIMEOUT_MS,
  })
  if (answer.status !== 200) {
    const why = problemText(answer.status, await answer.text())
    throw new AgentError(`the control plane gives no challenge: ${why}`, REFUSED)
  }
  // By the server's clock: STS refuses what a host signs whose own is off.
  const serverMs = Date.parse(answer.headers.date ?? '')
  const at = new Date(Number.isFinite(serverMs) ? serverMs : clock.wallMs())
  const parsed = challengeAnswerSchema.safeParse(await jsonOf(answer))
  if (!parsed.success) throw new AgentError('the challenge cannot be read')
  const { challenge } = parsed.data
  if (way.by === 'key') return { challenge }
  return { challenge, aws: await way.sign({ challenge, thumbprint: thumbprint(key), at }) }
}

async function waitForPerson({ clock, log, signal }: EnrolDeps, body: unknown): Promise<void> {
  const parsed = enrolPendingSchema.safeParse(body)
  if (!parsed.success) throw new AgentError('the control plane says wait, but not for what')
  const { pending, retryAfterSeconds } = parsed.data
  log('warn', 'this host waits for an operator to let it in', { pending })
  await clock.sleep(Math.min(retryAfterSeconds, 300) * 1_000, signal)
  if (signal.aborted) throw new AgentError('stopped while it waited to be let in')
}
