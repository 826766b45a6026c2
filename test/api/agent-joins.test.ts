/** The agent that ships, both bundles, comes in by each way: a process of its own against a real API and a fake AWS. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enrolAnswerSchema } from '@lvs-fleet/contract'
import { buildAgent } from '../../scripts/build.ts'
import { signAwsIdentity } from '../../services/agent/src/aws/sign-identity.ts'
import { enrol } from '../../services/agent/src/control-plane/enrol.ts'
import { createHttpClient } from '../../services/agent/src/control-plane/http.ts'
import { startFakeAws, type FakeAws } from '../fakes/fake-aws.ts'
import { createFakeClock } from '../fakes/fake-clock.ts'
import { createFakeDisk } from '../fakes/fake-disk.ts'
import { twoSites } from './fleets.ts'
import { startTestApi, type JsonBody, type TestApi } from './harness.ts'

const ACCOUNT = '123456789012'
const credentials = { accessKeyId: 'AKIAEXAMPLE123456789', secretAccessKey: 'of-the-instance' }

let aws: FakeAws
let api: TestApi
let folder = ''
let bundle = ''
before(async () => {
  aws = await startFakeAws()
  isInstance(1)
  api = await startTestApi({ stsEndpoint: aws.url })
  const fleet = twoSites()
  fleet.virtualServices.db.vipDelivery = 'external'
  assert.equal((await api.call('PUT', '/v1/fleet', fleet)).status, 200)
  const rule = {
    aws: { account: ACCOUNT, arn: `arn:aws:sts::${ACCOUNT}:assumed-role/lvs/*` },
    role: 'director',
    site: 'site-b',
  }
  assert.equal((await api.call('PUT', '/v1/enrolment-rules/lvs', rule)).status, 200)
  folder = await mkdtemp(join(tmpdir(), 'lvsfleet-joins-'))
  // As where it is installed: native packages beside the bundle.
  await symlink(new URL('../../node_modules', import.meta.url), join(folder, 'node_modules'))
  bundle = await buildAgent(folder)
})
after(async () => {
  await api.close()
  await aws.close()
  await rm(folder, { recursive: true, force: true })
})

/** Which instance the credentials are those of. */
function isInstance(n: number): string {
  const instance = `i-0000000000000000${n}`
  const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/lvs/${instance}`
  aws.callers.set(credentials.accessKeyId, { ...credentials, account: ACCOUNT, arn })
  return instance
}

type Ran = { readonly code: number; readonly out: string; readonly err: string }

function agent(host: string, args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const all = [bundle, ...args, '--state-dir', join(folder, host), '--api', api.url]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      all,
      {
        env: {
          PATH: process.env['PATH'] ?? '',
          AWS_EC2_METADATA_DISABLED: 'true',
          AWS_ACCESS_KEY_ID: credentials.accessKeyId,
          AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
          AWS_ENDPOINT_URL_SSM: aws.url.href,
          AWS_REGION: 'eu-central-1',
          ...env,
        },
        timeout: 60_000,
      },
      (error, out, err) => resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    )
  })
}

async function joinToken(wanted: Record<string, unknown>): Promise<string> {
  const made = await api.call('POST', '/v1/join-tokens', wanted)
  assert.equal(made.status, 201, made.text)
  return made.body.token
}

async function identityOf(host: string) {
  return enrolAnswerSchema.parse(
    JSON.parse(await readFile(join(folder, host, 'identity.json'), 'utf8')),
  )
}

describe('the agent comes in', () => {
  test('by its AWS identity, with nothing else told', async () => {
    const instance = isInstance(1)
    const ran = await agent('aws', ['enrol', '--join', 'aws', '--address', '10.2.0.81'])
    assert.equal(ran.code, 0, ran.err)
    const identity = await identityOf('aws')
    assert.deepEqual(
      [identity.role, identity.name, identity.site],
      ['director', instance, 'site-b'],
    )
  })

  test('by its AWS identity although its clock is wrong by a day, either way', async () => {
    for (const [n, days] of [
      [2, 1],
      [3, -1],
    ] as const) {
      const name = isInstance(n)
      const clock = { ...createFakeClock(), wallMs: () => Date.now() + days * 86_400_000 }
      const http = createHttpClient(new URL(api.url))
      const identity = await enrol(
        {
          http,
          clock,
          disk: createFakeDisk(),
          log: () => undefined,
          signal: new AbortController().signal,
        },
        {
          way: {
            by: 'aws',
            sign: (given) => signAwsIdentity({ ...given, region: 'eu-central-1', credentials }),
          },
          role: undefined,
          name: undefined,
          addresses: ['10.2.0.82' as const, '10.2.0.83' as const].slice(n - 2, n - 1) as never,
          machineId: 'm',
        },
      )
      http.close()
      assert.equal(identity.name, name)
    }
  })

  test('by a token in Parameter Store that only its role can decrypt', async () => {
    const value = await joinToken({ role: 'real-server', site: 'site-a', name: 'rs-a1' })
    aws.parameters.set('/lvs/token', { value, type: 'SecureString', version: 1 })
    const missing = await agent('ssm', ['enrol', '--token-ssm', '/lvs/none'])
    assert.equal(missing.code, 2)
    assert.match(missing.err, /no parameter \/lvs\/none/)
    const denied = await agent('ssm', ['enrol', '--token-ssm', '/lvs/token'], {
      AWS_SECRET_ACCESS_KEY: 'wrong',
    })
    assert.equal(denied.code, 1)
    assert.match(denied.err, /parameter \/lvs\/token/)
    assert.ok(!denied.err.includes('at '), `one line, no stack: ${denied.err}`)
    const ran = await agent('ssm', ['enrol', '--token-ssm', '/lvs/token'])
    assert.equal(ran.code, 0, ran.err)
    assert.equal((await identityOf('ssm')).name, 'rs-a1')
    assert.ok(!`${ran.out}${ran.err}`.includes(value), 'the token is in no log')
  })

  const sources: [string, (token: string) => Promise<[string[], Record<string, string>]>][] = [
    ['the command line', async (token) => [['--token', token], {}]],
    ['the environment', async (token) => [[], { LVSFLEET_TOKEN: token }]],
    [
      'a file',
      async (token) => {
        await writeFile(join(folder, 'token'), `${token}\n`)
        return [['--token-file', join(folder, 'token')], {}]
      },
    ],
    [
      'a parameter named in the environment',
      async (value) => {
        aws.parameters.set('/lvs/other', { value, type: 'SecureString', version: 1 })
        return [[], { LVSFLEET_TOKEN_SSM: '/lvs/other' }]
      },
    ],
  ]
  for (const [n, [name, give]] of sources.entries()) {
    test(`by a token from ${name}, with the labels of the token`, async () => {
      const token = await joinToken({
        role: 'real-server',
        site: 'site-b',
        labels: { tier: 'web' },
      })
      const [args, env] = await give(token)
      const host = `rs-from-${n}`
      const told = ['enrol', '--name', host, '--address', `10.2.0.${130 + n}`]
      const ran = await agent(host, [...told, ...args], env)
      assert.equal(ran.code, 0, ran.err)
      const made = (await api.call('GET', `/v1/real-servers/${host}`)).body
      assert.deepEqual([made.site, made.labels], ['site-b', { tier: 'web' }])
    })
  }

  test('by a key that was declared beforehand, and by no other key', async () => {
    const shown = await agent('declared', ['key'])
    const publicKey = JSON.parse(shown.out)
    const early = await agent('declared', ['enrol', '--join', 'key'])
    assert.equal(early.code, 3)
    assert.match(early.err, /enrolment-not-allowed/)
    const director = (await api.call('GET', '/v1/directors/dir-a')).body
    const put = await api.call(
      'PATCH',
      '/v1/directors/dir-a?force=true',
      { publicKey },
      {
        'content-type': 'application/merge-patch+json',
      },
    )
    assert.equal(put.status, 200, put.text)
    const twice = await api.call(
      'PATCH',
      '/v1/directors/dir-b?force=true',
      { publicKey },
      {
        'content-type': 'application/merge-patch+json',
      },
    )
    assert.equal(twice.status, 422, 'one key is one host')
    const ran = await agent('declared', ['enrol', '--join', 'key'])
    assert.equal(ran.code, 0, ran.err)
    const identity = await identityOf('declared')
    assert.deepEqual([identity.name, identity.hostId], ['dir-a', director.id])
    assert.equal((await agent('another', ['enrol', '--join', 'key'])).code, 3)
  })

  test('when a person says yes, having waited', async () => {
    const wanted = { role: 'real-server', site: 'site-b', approval: 'manual' }
    const token = await joinToken(wanted)
    const told = ['enrol', '--name', 'rs-slow', '--address', '10.2.0.120', '--token', token]
    const running = agent('slow', told)
    let waiting: JsonBody[] = []
    for (let i = 0; waiting.length === 0 && i < 200; i++) {
      waiting = (await api.call('GET', '/v1/pending-enrolments')).body.items
      await sleep(50)
    }
    assert.deepEqual([waiting[0].name, waiting[0].state], ['rs-slow', 'waiting'])
    const path = `/v1/pending-enrolments/${waiting[0].id}/approve`
    assert.equal((await api.call('POST', path)).status, 200)
    const ran = await running
    assert.equal(ran.code, 0, ran.err)
    assert.match(ran.err, /waits for an operator/)
  })

  test('again after a re-install: with a token that replaces, the old identity ends at once', async () => {
    const first = await identityOf('rs-from-0')
    const plain = await joinToken({ role: 'real-server', site: 'site-b', name: 'rs-from-0' })
    const told = (token: string) => ['enrol', '--token', token]
    const refused = await agent('fresh-disk', told(plain))
    assert.equal(refused.code, 3)
    assert.match(refused.err, /already-enrolled/)
    const replaces = { role: 'real-server', site: 'site-b', name: 'rs-from-0', replaces: true }
    const ran = await agent('fresh-disk', told(await joinToken(replaces)))
    assert.equal(ran.code, 0, ran.err)
    assert.equal((await identityOf('fresh-disk')).hostId, first.hostId, 'it is the same host')
    const hosts = (await api.call('GET', '/v1/hosts/real-server/rs-from-0')).body
    assert.notEqual(hosts.enrolment, null)
  })

  test('under another name: enrol --again with a new key, then the old name is deleted', async () => {
    assert.equal((await agent('rs-from-1', ['enrol', '--token', 'x'])).code, 1)
    const old = (await api.call('GET', '/v1/real-servers/rs-from-1')).body
    // An address has one owner, so the old name gives it up first; forwarding goes on meanwhile.
    assert.equal((await api.call('DELETE', '/v1/real-servers/rs-from-1')).status, 200)
    const token = await joinToken({ role: 'real-server', site: 'site-b', name: 'rs-renamed' })
    const address = old.addresses[0]
    const told = ['enrol', '--again', '--token', token, '--address', address]
    const ran = await agent('rs-from-1', told)
    assert.equal(ran.code, 0, ran.err)
    assert.equal((await identityOf('rs-from-1')).name, 'rs-renamed')
  })
})
