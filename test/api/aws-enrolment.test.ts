import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { after, before, beforeEach, describe, test } from 'node:test'
import {
  AWS_CHALLENGE_HEADER,
  AWS_KEY_HEADER,
  GET_CALLER_IDENTITY,
  type AwsProof,
} from '@lvs-fleet/contract'
import { signAwsIdentity } from '../../services/agent/src/aws/sign-identity.ts'
import { makeAgentClient, type AgentClient } from '../fakes/agent-client.ts'
import { signatureV4, startFakeAws, type FakeAws } from '../fakes/fake-aws.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

const ACCOUNT = '123456789012'
const INSTANCE = 'i-0123456789abcdef0'
const ROLE_ARN = `arn:aws:sts::${ACCOUNT}:assumed-role/lvs-director`
const credentials = {
  accessKeyId: 'ASIAEXAMPLE123456789',
  secretAccessKey: 'secret-of-the-instance',
  sessionToken: 'session-of-the-instance',
}
const rule = {
  aws: { account: ACCOUNT, arn: `${ROLE_ARN}/*` },
  role: 'director',
  site: 'site-b',
  labels: { fleet: 'edge' },
  hostName: 'dir-{instance}',
}

let clockMs = 0
const now = () => Date.now() + clockMs
let aws: FakeAws
let api: TestApi
before(async () => {
  aws = await startFakeAws(now)
  api = await startTestApi({ now: () => new Date(now()), stsEndpoint: aws.url })
  const fleet = twoSites()
  fleet.virtualServices.db.vipDelivery = 'external'
  assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
})
after(async () => {
  await api.close()
  await aws.close()
})
beforeEach(async () => {
  aws.stsAnswer = undefined
  aws.calls.length = 0
  aws.callers.set(credentials.accessKeyId, {
    ...credentials,
    account: ACCOUNT,
    arn: `${ROLE_ARN}/${INSTANCE}`,
  })
  assert.equal((await api.call('PUT', '/v1/enrolment-rules/edge', rule)).status, 200)
})

const sign = (agent: AgentClient, challenge: string, changed: object = {}) =>
  signAwsIdentity({
    region: 'eu-central-1',
    challenge,
    thumbprint: agent.thumbprint,
    at: new Date(now()),
    credentials,
    ...changed,
  })

async function join(agent: AgentClient, body: object = {}): Promise<Response> {
  const challenge = await agent.challenge()
  const proof = await sign(agent, challenge)
  return agent.enrolBy(challenge, { aws: proof, addresses: ['10.2.0.50'], ...body })
}

type Forged = {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly body?: string
  readonly host?: string
  readonly region?: string
  readonly atMs?: number
  /** Sent but not signed. */
  readonly unsigned?: readonly string[]
  readonly challenge?: string
  readonly thumbprint?: string
  readonly secret?: string
}

/** A proof that is signed rightly over something that our agent would not sign. */
function forge(agent: AgentClient, challenge: string, given: Forged = {}): AwsProof {
  const date = new Date(given.atMs ?? now()).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const region = given.region ?? 'eu-central-1'
  const all: [string, string][] = [
    ['host', given.host ?? `sts.${region}.amazonaws.com`],
    ['x-amz-date', date],
    ['x-amz-security-token', credentials.sessionToken],
    [AWS_CHALLENGE_HEADER, given.challenge ?? challenge],
    [AWS_KEY_HEADER, given.thumbprint ?? agent.thumbprint],
  ]
  const signed = all.filter(([name]) => given.unsigned?.includes(name) !== true)
  const scope = [date.slice(0, 8), region, 'sts', 'aws4_request']
  const signature = signatureV4({
    method: given.method ?? 'POST',
    path: given.path ?? '/',
    query: given.query ?? '',
    headers: signed,
    body: given.body ?? GET_CALLER_IDENTITY,
    date,
    scope,
    secret: given.secret ?? credentials.secretAccessKey,
  })
  const list = signed.map(([name]) => name).join(';')
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope.join('/')}, SignedHeaders=${list}, Signature=${signature}`
  return { headers: [...all, ['authorization', authorization]] }
}

/** The proof with one header changed after it was signed. */
function swap(proof: AwsProof, name: string, value: string): AwsProof {
  return {
    headers: proof.headers.map(([key, old]) => [key, key === name ? value : old]),
  }
}

describe('an AWS identity', () => {
  test('that a rule allows is a director of its site, with its labels, and has its virtual services', async () => {
    const made = await api.call('PUT', '/v1/virtual-services/edge-web', {
      vips: ['10.9.9.9'],
      ports: [80],
      pool: Object.keys(twoSites().pools)[0],
      carriedBy: { labels: { fleet: 'edge' } },
      vipDelivery: 'external',
    })
    assert.equal(made.status, 201, made.text)
    const agent = makeAgentClient(api.url)
    const answer = await join(agent)
    assert.equal(answer.status, 200)
    const identity: JsonBody = await answer.json()
    assert.equal(identity.name, `dir-${INSTANCE}`)
    assert.equal(identity.site, 'site-b')
    agent.become(identity)
    await agent.login()
    const state = await agent.state()
    assert.equal(state.status, 200)
    assert.match(await state.text(), /10\.9\.9\.9/)
    const object = (await api.call('GET', `/v1/directors/dir-${INSTANCE}`)).body
    assert.deepEqual(object.labels, { fleet: 'edge' })
    const audit = (await api.call('GET', '/v1/audit-events?limit=5')).body.items
    const event = audit.find((one: JsonBody) => one.action === 'host.enrol')
    assert.equal(event.actor, 'enrolment-rule/edge')
    assert.equal(event.detail.arn, `${ROLE_ARN}/${INSTANCE}`)
    assert.deepEqual(aws.calls, ['sts'])
    // A lost answer: the same key asks again, and STS need not be asked.
    assert.equal((await join(agent)).status, 200)
    assert.deepEqual(aws.calls, ['sts'])
    // Another key of the same instance is another host, and the name is taken.
    const other = await join(makeAgentClient(api.url))
    assert.equal(other.status, 409)
  })

  test('of a proof that is forged by our own rules is taken: the forger of these tests can sign', async () => {
    const agent = makeAgentClient(api.url)
    const challenge = await agent.challenge()
    const answer = await agent.enrolBy(challenge, {
      aws: forge(agent, challenge),
      addresses: ['10.2.0.51'],
    })
    assert.equal(answer.status, 409, 'the name is taken, so everything before was accepted')
  })

  const other = 'A'.repeat(43)
  const rows: {
    name: string
    proof?: (agent: AgentClient, challenge: string) => AwsProof | Promise<AwsProof>
    /** Replaces `aws` in the body. */
    aws?: (agent: AgentClient, challenge: string) => unknown
    /** Runs before: STS misbehaves, the rules or the caller change. */
    given?: () => void | Promise<unknown>
    status: number
    code: string
    /** Requests that STS may see. */
    calls: number
  }[] = [
    {
      name: 'an AssumeRole body that is told',
      aws: (agent, challenge) => ({
        ...forge(agent, challenge),
        body: 'Action=AssumeRole&Version=2011-06-15&RoleArn=x',
      }),
      status: 422,
      code: 'invalid-body',
      calls: 0,
    },
    {
      name: 'a signature over an AssumeRole body',
      proof: (agent, challenge) =>
        forge(agent, challenge, { body: 'Action=AssumeRole&Version=2011-06-15&RoleArn=x' }),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    {
      name: 'a query string that is told',
      aws: (agent, challenge) => ({ ...forge(agent, challenge), url: '/?Action=AssumeRole' }),
      status: 422,
      code: 'invalid-body',
      calls: 0,
    },
    {
      name: 'a signature over a query string',
      proof: (agent, challenge) => forge(agent, challenge, { query: 'Action=AssumeRole' }),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    {
      name: 'a signature over GET',
      proof: (agent, challenge) => forge(agent, challenge, { method: 'GET' }),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    ...[
      'sts.evil.example',
      'sts.amazonaws.com.evil.example',
      'sts.eu-central-1.amazonaws.com:8443',
      'sts.eu-central-1.amazonaws.com@evil.example',
      '169.254.169.254',
    ].map((host) => ({
      name: `a foreign STS host ${host}`,
      proof: (agent: AgentClient, challenge: string) => forge(agent, challenge, { host }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    })),
    {
      name: 'a signature for another region than its host',
      proof: (agent, challenge) =>
        forge(agent, challenge, { region: 'eu-west-1', host: 'sts.eu-central-1.amazonaws.com' }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    {
      name: 'a challenge that is swapped after signing',
      proof: (agent, challenge) =>
        swap(forge(agent, challenge, { challenge: other }), AWS_CHALLENGE_HEADER, challenge),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    {
      name: 'another challenge',
      proof: (agent, challenge) => forge(agent, challenge, { challenge: other }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    ...['host', 'x-amz-date', AWS_CHALLENGE_HEADER, AWS_KEY_HEADER, 'x-amz-security-token'].map(
      (header) => ({
        name: `${header} not in SignedHeaders`,
        proof: (agent: AgentClient, challenge: string) =>
          forge(agent, challenge, { unsigned: [header] }),
        status: 401,
        code: 'invalid-assertion',
        calls: 0,
      }),
    ),
    ...[AWS_CHALLENGE_HEADER, 'host', 'authorization'].map((header) => ({
      name: `${header} twice`,
      proof: (agent: AgentClient, challenge: string): AwsProof => {
        const { headers } = forge(agent, challenge)
        return { headers: [...headers, ...headers.filter(([name]) => name === header)] }
      },
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    })),
    {
      name: 'a header in another case beside its own',
      proof: (agent, challenge) => ({
        headers: [...forge(agent, challenge).headers, ['X-LVSFleet-Challenge', other]],
      }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    ...['transfer-encoding', 'x-amz-target', 'content-length', 'x-forwarded-host'].map(
      (header) => ({
        name: `a header that is not passed on, ${header}`,
        proof: (agent: AgentClient, challenge: string): AwsProof => ({
          headers: [...forge(agent, challenge).headers, [header, '0']],
        }),
        status: 401,
        code: 'invalid-assertion',
        calls: 0,
      }),
    ),
    {
      name: 'a line break in a header',
      proof: (agent, challenge) => swap(forge(agent, challenge), 'x-amz-date', 'x\r\nhost: evil'),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    {
      name: 'a signature for another public key',
      proof: (agent, challenge) => forge(agent, challenge, { thumbprint: other }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    {
      name: 'a public key that is swapped after signing',
      proof: (agent, challenge) =>
        swap(forge(agent, challenge, { thumbprint: other }), AWS_KEY_HEADER, agent.thumbprint),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    {
      name: "a secret that is not the role's",
      proof: (agent, challenge) => forge(agent, challenge, { secret: 'guessed' }),
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
    {
      name: 'a request 16 minutes old',
      proof: (agent, challenge) => forge(agent, challenge, { atMs: now() - 16 * 60_000 }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    {
      name: 'a request of tomorrow',
      proof: (agent, challenge) => forge(agent, challenge, { atMs: now() + 86_400_000 }),
      status: 401,
      code: 'invalid-assertion',
      calls: 0,
    },
    {
      name: 'an account outside the rules',
      given: () => callerIs(`arn:aws:sts::999999999999:assumed-role/lvs-director/${INSTANCE}`),
      status: 403,
      code: 'enrolment-not-allowed',
      calls: 1,
    },
    {
      name: 'a role outside the rules',
      given: () => callerIs(`arn:aws:sts::${ACCOUNT}:assumed-role/lvs-director-x/${INSTANCE}`),
      status: 403,
      code: 'enrolment-not-allowed',
      calls: 1,
    },
    {
      name: 'a role whose path hides behind the pattern',
      given: () => callerIs(`arn:aws:sts::${ACCOUNT}:assumed-role/lvs-director/x/${INSTANCE}`),
      status: 403,
      code: 'enrolment-not-allowed',
      calls: 1,
    },
    {
      name: 'a session that is no instance',
      given: () => callerIs(`${ROLE_ARN}/alice`),
      status: 403,
      code: 'enrolment-not-allowed',
      calls: 1,
    },
    {
      name: 'a region outside the rules',
      given: () =>
        api.call('PUT', '/v1/enrolment-rules/edge', {
          ...rule,
          aws: { ...rule.aws, regions: ['us-east-1'] },
        }),
      status: 403,
      code: 'enrolment-not-allowed',
      calls: 1,
    },
    ...(
      [
        ['is slow', () => undefined],
        [
          'trickles',
          (response) => {
            response.writeHead(200).write('{')
            const timer = setInterval(() => response.write(' '), 500)
            response.on('close', () => clearInterval(timer))
          },
        ],
        ['is huge', (response) => response.end('x'.repeat(10_000_000))],
        ['breaks off', (response) => response.destroy()],
        ['answers neither XML nor JSON', (response) => response.end('OK')],
        ['answers JSON of another form', (response) => response.end('{"Account":"123456789012"}')],
        [
          "names an account that is not the ARN's",
          (response) =>
            response.end(
              JSON.stringify({
                GetCallerIdentityResponse: {
                  GetCallerIdentityResult: {
                    Account: ACCOUNT,
                    Arn: `arn:aws:sts::999999999999:assumed-role/lvs-director/${INSTANCE}`,
                  },
                },
              }),
            ),
        ],
        [
          'answers XML with two accounts',
          (response) => response.end(xmlOf(`<Account>999999999999</Account>`)),
        ],
        ['is down', (response) => response.writeHead(503).end()],
      ] satisfies [string, (response: ServerResponse) => unknown][]
    ).map(([what, misbehave]) => ({
      name: `an STS that ${what}`,
      given: () => {
        aws.stsAnswer = misbehave
      },
      status: 503,
      code: 'aws-unavailable',
      calls: 1,
    })),
    {
      name: 'an STS that redirects',
      given: () => {
        aws.stsAnswer = (response) =>
          response.writeHead(307, { location: `${aws.url.href}elsewhere` }).end()
      },
      status: 401,
      code: 'invalid-assertion',
      calls: 1,
    },
  ]
  for (const row of rows) {
    test(`with ${row.name} is refused with ${row.status} ${row.code}`, async () => {
      await row.given?.()
      const agent = makeAgentClient(api.url)
      const challenge = await agent.challenge()
      const proof = await (row.aws ?? row.proof ?? forge)(agent, challenge)
      const answer = await agent.enrolBy(challenge, { aws: proof, addresses: ['10.2.0.60'] })
      const body: JsonBody = await answer.json()
      assert.equal(`${answer.status} ${body.code}`, `${row.status} ${row.code}`, body.detail)
      assert.equal(aws.calls.length, row.calls)
      const known = await api.call('GET', '/v1/directors')
      assert.ok(!known.text.includes('10.2.0.60'))
    })
  }

  test('in XML is read as well', async () => {
    aws.stsAnswer = (response) => response.end(xmlOf(''))
    const answer = await join(makeAgentClient(api.url))
    assert.equal(answer.status, 409, 'the name is taken, so the answer was read')
  })

  test('needs a challenge that is fresh, and uses it up', async () => {
    const agent = makeAgentClient(api.url)
    const codeOf = async (answer: Response) =>
      `${answer.status} ${((await answer.json()) as JsonBody).code}`
    const used = await agent.challenge()
    const proof = forge(agent, used, { secret: 'guessed' })
    assert.equal(await codeOf(await agent.enrolBy(used, { aws: proof })), '401 invalid-assertion')
    const twice = agent.enrolBy(used, { aws: forge(agent, used) })
    assert.equal(await codeOf(await twice), '401 invalid-challenge')
    const both = await agent.challenge()
    const racers = [1, 2, 3, 4].map(() => agent.enrolBy(both, { aws: forge(agent, both) }))
    const codes = await Promise.all((await Promise.all(racers)).map(codeOf))
    assert.equal(codes.filter((code) => code === '401 invalid-challenge').length, 3, String(codes))
    const stale = await agent.challenge()
    clockMs = 121_000
    const late = agent.enrolBy(stale, { aws: forge(agent, stale) })
    assert.equal(await codeOf(await late), '401 invalid-challenge')
    clockMs = 0
    const own = agent.enrolBy(other, { aws: forge(agent, other) })
    assert.equal(await codeOf(await own), '401 invalid-challenge')
  })

  test('is refused once its rule is gone; rules that contradict themselves are not kept', async () => {
    assert.equal((await api.call('DELETE', '/v1/enrolment-rules/edge')).status, 204)
    assert.equal((await api.call('DELETE', '/v1/enrolment-rules/edge')).status, 404)
    assert.equal((await join(makeAgentClient(api.url))).status, 403)
    const put = (changed: object) =>
      api.call('PUT', '/v1/enrolment-rules/other', { ...rule, ...changed })
    for (const [changed, pointer] of [
      [{ site: 'nowhere' }, '/site'],
      [{ aws: { ...rule.aws, account: '999999999999' } }, '/aws/arn'],
      [{ aws: { ...rule.aws, arn: '*' } }, '/aws/arn'],
      [{ aws: { ...rule.aws, instance: false } }, '/hostName'],
      [{ hostName: '{host}' }, '/hostName'],
      [{ unknown: 1 }, '/unknown'],
    ] as const) {
      const answer = await put(changed)
      assert.equal(answer.status, 422)
      assert.equal(answer.body.errors[0].pointer, pointer)
    }
  })

  test('waits for a person where its rule says so, and hears what they decide', async () => {
    const manual = { ...rule, approval: 'manual', hostName: 'slow-{instance}' }
    await api.call('PUT', '/v1/enrolment-rules/edge', manual)
    const agent = makeAgentClient(api.url)
    const first = await join(agent, { addresses: ['10.2.0.70'] })
    assert.equal(first.status, 202)
    assert.equal((await join(agent)).status, 202)
    assert.deepEqual(aws.calls, ['sts'], 'who waits costs STS nothing')
    const [waiting, ...rest] = (await api.call('GET', '/v1/pending-enrolments')).body.items
    assert.equal(rest.length, 0)
    assert.equal(waiting.evidence.arn, `${ROLE_ARN}/${INSTANCE}`)
    assert.equal((await api.call('GET', `/v1/directors/slow-${INSTANCE}`)).status, 404)
    const approved = await api.call('POST', `/v1/pending-enrolments/${waiting.id}/approve`)
    assert.equal(approved.status, 200, approved.text)
    assert.equal((await join(agent)).status, 200)
    assert.equal(
      (await api.call('POST', `/v1/pending-enrolments/${waiting.id}/refuse`)).status,
      404,
    )
    // The instance is installed anew: another key, the same name. A person says no.
    await api.call('PUT', '/v1/enrolment-rules/edge', { ...manual, replaces: true })
    const again = makeAgentClient(api.url)
    assert.equal((await join(again)).status, 202)
    const second = (await api.call('GET', '/v1/pending-enrolments')).body.items[0]
    assert.equal((await api.call('POST', `/v1/pending-enrolments/${second.id}/refuse`)).status, 204)
    assert.equal((await join(again)).status, 403)
    // And yes to the next.
    const third = makeAgentClient(api.url)
    assert.equal((await join(third)).status, 202)
    const items = (await api.call('GET', '/v1/pending-enrolments')).body.items
    const id = items.find((one: JsonBody) => one.state === 'waiting').id
    assert.equal((await api.call('POST', `/v1/pending-enrolments/${id}/approve`)).status, 200)
    assert.equal((await join(third)).status, 200)
    const old = await join(agent)
    assert.equal(old.status, 409, 'the identity that was replaced is revoked')
  })
})

function callerIs(arn: string): void {
  aws.callers.set(credentials.accessKeyId, {
    ...credentials,
    account: arn.split(':')[4] ?? '',
    arn,
  })
}

/** As real STS answers where nobody asks for JSON. */
function xmlOf(more: string): string {
  return `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>${ROLE_ARN}/${INSTANCE}</Arn><UserId>AROA:x</UserId><Account>${ACCOUNT}</Account>${more}</GetCallerIdentityResult></GetCallerIdentityResponse>`
}
