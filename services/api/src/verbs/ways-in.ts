/**
 * The three ways into the fleet: a join token, an AWS identity, a public key that was declared beforehand. Takes an
 * enrolment request; proves at once that the host holds the key it wants to be known by, and gives a function that
 * finds what the way in grants. Two steps, so that a host that is known or waits costs no token and no call of STS.
 */
import { randomBytes } from 'node:crypto'
import type { AwsProof, EnrolRequest, Role } from '@lvs-fleet/contract'
import { ApiError } from '../errors.ts'
import { readAwsProof } from '../identity/aws-proof.ts'
import { matchRules } from '../identity/match-rules.ts'
import { isEnrolProof, thumbprintOf } from '../identity/public-key.ts'
import { matchesSecret, secretId, sha256Hex } from '../identity/secret.ts'
import type { Tx } from '../store/database.ts'
import {
  countChallenges,
  insertChallenge,
  listRules,
  useChallenge,
} from '../store/enrolment-store.ts'
import { findJoinToken, spendJoinToken } from '../store/token-store.ts'
import type { Deps } from './deps.ts'

export const CHALLENGE_SECONDS = 120
/** Challenges that may be open at once, over all processes. */
const CHALLENGES_MAX = 10_000

export type Grant = {
  /** For messages: token, rule, key. */
  readonly what: string
  /** Actor of the audit trail. */
  readonly by: string
  readonly role: Role
  readonly name: string | null
  readonly site: string
  readonly labels: Readonly<Record<string, string>>
  readonly approval: 'auto' | 'manual'
  readonly replaces: boolean
  readonly evidence: Readonly<Record<string, string>>
  /** Takes one use; throws when there is none. */
  readonly spend: (tx: Tx, at: Date) => Promise<void>
}

/** 32 random bytes, good once and for two minutes. Only their hash is kept. */
export async function makeChallenge(
  deps: Deps,
): Promise<{ challenge: string; expiresInSeconds: number }> {
  const { db } = deps.database
  if ((await countChallenges(db)) >= CHALLENGES_MAX) {
    throw new ApiError('too-many-requests', 'too many challenges are open; try again', {
      headers: { 'retry-after': '30' },
    })
  }
  const challenge = randomBytes(32).toString('base64url')
  const expiresAt = new Date(deps.now().getTime() + CHALLENGE_SECONDS * 1_000)
  await insertChallenge(db, sha256Hex(challenge), expiresAt)
  return { challenge, expiresInSeconds: CHALLENGE_SECONDS }
}

export async function findGrant(deps: Deps, request: EnrolRequest): Promise<() => Promise<Grant>> {
  const { token, challenge, aws } = request
  if (token !== undefined) return grantOfToken(deps, request, token)
  if (challenge === undefined) throw new ApiError('invalid-body', 'needs a token or a challenge')
  checkProof(request, challenge)
  // Used up before anything is looked at or sent: a refusal costs it too.
  if (!(await useChallenge(deps.database.db, sha256Hex(challenge), deps.now()))) {
    throw new ApiError(
      'invalid-challenge',
      'the challenge is unknown, was used before or is expired; get another at /v1/enrol/challenge',
    )
  }
  return aws === undefined
    ? async () => grantOfDeclaredKey(deps, request)
    : async () => grantOfAws(deps, request, { challenge, aws })
}

function checkProof(request: EnrolRequest, secret: string): void {
  if (isEnrolProof(request.publicKey, secret, request.proof)) return
  throw new ApiError(
    'invalid-assertion',
    'the proof is no signature of the public key over lvsfleet-enrol:<token or challenge>',
  )
}

async function grantOfToken(
  deps: Deps,
  request: EnrolRequest,
  text: string,
): Promise<() => Promise<Grant>> {
  const refused = new ApiError(
    'invalid-token',
    'the join token is not valid: unknown, spent, expired or revoked',
  )
  const id = secretId('lvsj', text)
  if (id === undefined) throw refused
  checkProof(request, text)
  const token = await findJoinToken(deps.database.db, id)
  if (token === undefined || !matchesSecret(text, token.sha256)) throw refused
  const { role, name, site, labels, approval, replaces } = token
  const grant: Grant = {
    what: 'token',
    by: `join-token/${id}`,
    role,
    name,
    site,
    labels,
    approval,
    replaces,
    evidence: {},
    spend: async (tx, at) => {
      if (!(await spendJoinToken(tx, id, at))) throw refused
    },
  }
  const isGood =
    token.revokedAt === null && token.uses < token.maxUses && token.expiresAt > deps.now()
  return async () => {
    // Before the fleet is looked at: who holds a token that is over learns nothing of what the intent would say.
    if (!isGood) throw refused
    return grant
  }
}

async function grantOfAws(
  deps: Deps,
  request: EnrolRequest,
  given: { readonly challenge: string; readonly aws: AwsProof },
): Promise<Grant> {
  const thumbprint = thumbprintOf(request.publicKey)
  const { challenge, aws } = given
  const read = readAwsProof(aws, { challenge, thumbprint, now: deps.now() })
  if (!read.ok) throw refusedProof(read.why)
  const answer = await deps.askSts(read.request)
  if (!answer.ok) {
    if (!answer.isOurs) throw refusedProof(answer.why)
    deps.log.warn({ why: answer.why, host: read.request.host }, 'an AWS identity cannot be checked')
    throw new ApiError('aws-unavailable', answer.why, { headers: { 'retry-after': '10' } })
  }
  const { identity } = answer
  const match = matchRules(await listRules(deps.database.db), identity)
  if (!match.ok) throw new ApiError('enrolment-not-allowed', match.why)
  const { rule, hostName } = match
  const { role, site, labels, approval, replaces } = rule.spec
  return {
    what: `rule ${rule.name}`,
    by: `enrolment-rule/${rule.name}`,
    role,
    name: hostName,
    site,
    labels,
    approval,
    replaces,
    evidence: { arn: identity.arn, account: identity.account, region: identity.region },
    spend: async () => undefined,
  }
}

function refusedProof(why: string): ApiError {
  return new ApiError('invalid-assertion', `the AWS identity is refused: ${why}`)
}

/** The host whose declaration names this key. Declaring it was the approval. */
function grantOfDeclaredKey(deps: Deps, request: EnrolRequest): Grant {
  const { directors, realServers } = deps.live.snapshot.fleet
  const { x } = request.publicKey
  const director = directors.find((one) => one.publicKey?.x === x)
  const host = director ?? realServers.find((one) => one.publicKey?.x === x)
  if (host === undefined) {
    throw new ApiError(
      'enrolment-not-allowed',
      `no director and no real server is declared with the public key ${x}`,
    )
  }
  return {
    what: 'declared key',
    by: 'declared-key',
    role: director === undefined ? 'real-server' : 'director',
    name: host.name,
    site: host.site,
    labels: {},
    approval: 'auto',
    // Whoever may declare keys may say whose key is new.
    replaces: true,
    evidence: {},
    spend: async () => undefined,
  }
}
