/** First contact: a join token buys this host an identity. The token goes over the wire once and into no file or log. */
import { createPrivateKey, sign } from 'node:crypto'
import {
  enrolAnswerSchema,
  type EnrolAnswer,
  type EnrolRequest,
  type Ip,
  type Role,
} from '@lvs-fleet/contract'
import { AgentError, type Disk } from '../ports.ts'
import { problemText } from './problem.ts'
import { jsonOf, type HttpClient } from './http.ts'
import { loadOrMakeKey, publicPart, saveIdentity, type HostKey } from './identity.ts'

const TIMEOUT_MS = 30_000

export type Enrolment = {
  readonly token: string
  readonly role: Role
  readonly name: string
  readonly addresses: readonly Ip[]
  readonly machineId: string
}

export async function enrol(
  http: HttpClient,
  disk: Disk,
  enrolment: Enrolment,
): Promise<EnrolAnswer> {
  const key = await loadOrMakeKey(disk)
  const request: EnrolRequest = {
    ...enrolment,
    addresses: [...enrolment.addresses],
    publicKey: publicPart(key),
    proof: proofOf(key, enrolment.token),
  }
  const answer = await http.request({
    method: 'POST',
    path: '/v1/enrol',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(request),
    timeoutMs: TIMEOUT_MS,
  })
  if (answer.status < 200 || answer.status > 299) {
    const why = problemText(answer.status, await answer.text())
    throw new AgentError(`enrolment refused: ${why}`, 3)
  }
  const parsed = enrolAnswerSchema.safeParse(await jsonOf(answer))
  if (!parsed.success) throw new AgentError('enrolment answered with something that is no identity')
  await saveIdentity(disk, parsed.data)
  return parsed.data
}

function proofOf(key: HostKey, token: string): string {
  const privateKey = createPrivateKey({ key, format: 'jwk' })
  return sign(null, Buffer.from(`lvsfleet-enrol:${token}`, 'utf8'), privateKey).toString(
    'base64url',
  )
}
