/**
 * What a serverless fleet goes through, told once for two grounds: agents on kernels that behave, and the lab's real
 * ones. Directors come in by Parameter Store and by their AWS identity, converge by polling, and forward without one
 * failed request while keys rotate, tokens end, one of them is cloned and one is revoked.
 */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { enrolAnswerSchema, manifestSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { seal } from '../../../services/agent/src/disk/sealed.ts'
import { DAY_MS } from '../../../services/agent/src/control-plane/key-rounds.ts'
import { parseSigningKey } from '../../../services/api/src/identity/signing-key.ts'
import type { JsonBody } from '../../api/harness.ts'
import { eventually } from '../../lab/fleet/eventually.ts'
import { twoSiteIntent } from '../../lab/fleet/fleet-lab.ts'
import { SIGNING_KEY } from '../world.ts'
import {
  ACCOUNT,
  JOIN_PREFIX,
  POLL_SECONDS,
  startControlPlane,
  TOKEN_SECONDS,
  type ControlPlane,
} from './control-plane.ts'

/** The director of site b: nobody declares it, AWS says its name. */
export const INSTANCE = 'i-0a1b2c3d4e5f60789'
/** Where the copy of it runs. */
export const COPY_PLACE = 'dir-x'
export const REAL_SERVERS = ['rs-a1', 'rs-a2', 'rs-b1', 'rs-b2'] as const

export type RunningAgent = {
  readonly output: () => string
  /** Its exit code. */
  readonly ended: Promise<number>
  readonly stop: () => Promise<void>
}

export type Traffic = {
  readonly stop: () => Promise<{ readonly served: number; readonly failures: readonly string[] }>
}

export type Command = {
  /** Name of its state directory. */
  readonly folder: string
  readonly words: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Where the agents run. */
export type Ground = {
  readonly run: (place: string, command: Command) => Promise<RunningAgent>
  readonly read: (folder: string, file: string) => Promise<string>
  readonly write: (folder: string, file: string, text: string) => Promise<void>
  /** The whole state directory, as a copy of a disk is. */
  readonly copy: (from: string, to: string) => Promise<void>
  /** The IPVS table of a place, one line each. */
  readonly table: (place: string) => Promise<string>
  /** Continuous requests to both virtual services. */
  readonly traffic: () => Promise<Traffic>
  /** Throws unless packets that come to this place are answered. */
  readonly serves: (place: string) => Promise<void>
  readonly close: () => Promise<void>
}

type Host = {
  readonly place: string
  readonly role: 'director' | 'real-server'
  readonly name: string
  readonly words: readonly string[]
}

const DIRECTOR_A: Host = {
  place: 'dir-a',
  role: 'director',
  name: 'dir-a',
  words: [
    '--role',
    'director',
    '--name',
    'dir-a',
    '--token-ssm',
    `${JOIN_PREFIX}/a/director`,
    '--address',
    '10.1.0.10',
    '--address',
    'fd01::10',
  ],
}
const DIRECTOR_B: Host = {
  place: 'dir-b',
  role: 'director',
  name: INSTANCE,
  words: ['--join', 'aws', '--address', '10.2.0.10', '--address', 'fd02::10'],
}
const SERVERS = REAL_SERVERS.map((name): Host => ({
  place: name,
  role: 'real-server',
  name,
  words: [],
}))
const HOSTS = [DIRECTOR_A, DIRECTOR_B, ...SERVERS]

const hostSchema = z.looseObject({
  hostId: z.string().optional(),
  reportReceivedAt: z.string().nullable(),
  enrolment: z.looseObject({ thumbprint: z.string() }).nullable(),
  conditions: z.array(z.object({ type: z.string(), status: z.boolean(), message: z.string() })),
})

export function tellStory(
  name: string,
  {
    open,
    patienceMs,
  }: {
    readonly open: (controlPlane: ControlPlane) => Promise<Ground>
    /** For what takes a poll or two on this ground. */
    readonly patienceMs: number
  },
): void {
  describe(name, () => {
    let cp: ControlPlane
    let ground: Ground
    let shortToken = { text: '', endsAtMs: 0 }
    const agents = new Map<string, RunningAgent>()
    const startedAt = new Map<string, number>()
    before(async () => {
      cp = await startControlPlane(INSTANCE)
      ground = await open(cp)
    })
    after(async () => {
      await Promise.allSettled([...agents.values()].map((agent) => agent.stop()))
      await ground?.close()
      await cp?.close()
    })

    const soon = <T>(check: () => Promise<T>, withinMs = patienceMs): Promise<T> =>
      eventually(check, { withinMs, everyMs: 250 })

    async function call(method: string, path: string, body?: unknown): Promise<JsonBody> {
      const answer = await cp.call(method, path, body)
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
      return answer.body
    }

    async function start(host: Host, env: Record<string, string> = {}): Promise<void> {
      startedAt.set(host.name, Date.now())
      const words = ['run', ...host.words]
      agents.set(host.name, await ground.run(host.place, { folder: host.name, words, env }))
    }

    async function stop({ name: which }: Host): Promise<void> {
      await agents.get(which)?.stop()
      agents.delete(which)
    }

    const hostOf = async ({ role, name: which }: Host) =>
      hostSchema.parse(await call('GET', `/v1/hosts/${role}/${which}`))
    const conditionOf = async (host: Host, type: string) =>
      (await hostOf(host)).conditions.find((one) => one.type === type) ??
      assert.fail(`no condition ${type}`)
    const identityOf = async (host: Host) =>
      enrolAnswerSchema.parse(JSON.parse(await ground.read(host.name, 'identity.json')))

    async function converged(hosts: readonly Host[] = HOSTS): Promise<void> {
      for (const host of hosts) {
        await soon(async () => {
          const { reportReceivedAt, conditions } = await hostOf(host)
          const said = conditions.find((one) => one.type === 'converged')
          const isNew = Date.parse(reportReceivedAt ?? '') > (startedAt.get(host.name) ?? 0)
          const last = agents.get(host.name)?.output().slice(-2_000) ?? ''
          assert.ok(said?.status === true && isNew, `${host.name}: ${said?.message} ${last}`)
        }, 3 * patienceMs)
      }
    }

    /** An operator's change, and what it looks like in a table. */
    async function setWeight(weight: number): Promise<RegExp> {
      const members = REAL_SERVERS.map((realServer) => ({
        realServer,
        weight: realServer === 'rs-b2' ? weight : 100,
      }))
      await call('PATCH', '/v1/pools/web?force=true', { members })
      return new RegExp(`10\\.2\\.0\\.12:80 .*-w ${weight}\\b`)
    }

    const shows = (host: Host, what: RegExp) =>
      soon(async () => assert.match(await ground.table(host.place), what), 2 * patienceMs)

    function underTraffic(what: string, work: () => Promise<void>): void {
      it(`${what}, and no request fails`, async () => {
        const traffic = await ground.traffic()
        let result: Awaited<ReturnType<Traffic['stop']>> | undefined
        try {
          await work()
        } finally {
          result = await traffic.stop()
        }
        assert.deepEqual(result.failures, [])
        assert.ok(result.served > 0, 'nothing was asked')
      })
    }

    it('directors come in by Parameter Store and by their AWS identity, real servers by tokens, and all converge', async () => {
      const { sites, realServers, pools, virtualServices } = twoSiteIntent()
      await call('PUT', '/v1/fleet', { sites, realServers, pools, virtualServices })
      await call('POST', '/v1/webhooks', { name: 'pager', url: cp.pagerUrl, severity: 'warning' })
      await call('PUT', '/v1/enrolment-rules/edge', {
        aws: {
          account: ACCOUNT,
          arn: `arn:aws:sts::${ACCOUNT}:assumed-role/lvs-director/*`,
          instance: true,
        },
        role: 'director',
        site: 'b',
        hostName: '{instance}',
      })
      const wanted = { role: 'director', site: 'a', name: 'late', ttlSeconds: 60 }
      shortToken = {
        text: (await call('POST', '/v1/join-tokens', wanted)).token,
        endsAtMs: Date.now() + 60_000,
      }
      // The schedule puts the tokens of the sites where directors find them.
      await cp.schedule()
      await Promise.all([start(DIRECTOR_A), start(DIRECTOR_B)])
      await Promise.all(
        SERVERS.map(async (host) => {
          const { role, name: which } = host
          const site = which.startsWith('rs-a') ? 'a' : 'b'
          const { token } = await call('POST', '/v1/join-tokens', { role, site, name: which })
          await start(host, {
            LVSFLEET_TOKEN: token,
            LVSFLEET_HOST_ROLE: role,
            LVSFLEET_HOST_NAME: which,
          })
        }),
      )
      await converged()
      assert.ok(cp.aws.calls.includes('ssm GetParameter') && cp.aws.calls.includes('sts'))
      assert.ok(
        cp.gate.exchanges.some(({ what, status }) => what === 'parameter' && status === 200),
      )
      assert.equal((await identityOf(DIRECTOR_B)).name, INSTANCE)
      for (const { place } of [DIRECTOR_A, DIRECTOR_B]) await ground.serves(place)
    })

    underTraffic(
      'a change reaches them by the next poll, which no instance holds open',
      async () => {
        const seen = cp.gate.exchanges.length
        const weight = await setWeight(50)
        for (const host of [DIRECTOR_A, DIRECTOR_B]) await shows(host, weight)
        await converged()
        const polls = cp.gate.exchanges
          .slice(seen)
          .filter(({ what, status }) => what === '/v1/agent/state' && status < 400)
        assert.ok(polls.length > 0)
        for (const { pollSeconds, ms } of polls) {
          assert.equal(pollSeconds, String(POLL_SECONDS))
          assert.ok(ms < 20_000, `an answer took ${ms} ms: the agents ask to wait for 50 s`)
        }
      },
    )

    underTraffic('access tokens end and are bought anew in time', async () => {
      const hosts = await Promise.all([DIRECTOR_A, DIRECTOR_B].map(identityOf))
      const countOf = (id: string) => cp.gate.tokens.get(id)?.length ?? 0
      const before = hosts.map(({ hostId }) => countOf(hostId))
      const seen = cp.gate.exchanges.length
      const olds = hosts.map(({ hostId }) => cp.gate.tokens.get(hostId)?.at(-1) ?? '')
      await soon(async () => {
        for (const [n, { hostId }] of hosts.entries())
          assert.ok(countOf(hostId) >= (before[n] ?? 0) + 2)
      }, 4 * patienceMs)
      const ids = new Set(hosts.map(({ hostId }) => hostId))
      for (const { host, status } of cp.gate.exchanges.slice(seen))
        if (host !== undefined && ids.has(host)) assert.ok(status < 400, `status ${status}`)
      await sleep(TOKEN_SECONDS * 1_000)
      for (const old of olds) {
        const headers = { authorization: `Bearer ${old}` }
        assert.equal((await fetch(`${cp.gate.url}/v1/agent/state`, { headers })).status, 401)
      }
    })

    underTraffic('a host’s key is replaced when it is old', async () => {
      const before = await hostOf(DIRECTOR_A)
      const { hostId } = await identityOf(DIRECTOR_A)
      await stop(DIRECTOR_A)
      const { x } = z
        .object({ x: z.string() })
        .parse(JSON.parse(await ground.read('dir-a', 'key.json')))
      const age = { x, sinceMs: Date.now() - 8 * DAY_MS }
      await ground.write('dir-a', 'key-age.json', seal(JSON.stringify(age)))
      const seen = cp.gate.exchanges.length
      await start(DIRECTOR_A)
      await soon(async () => {
        const { enrolment } = await hostOf(DIRECTOR_A)
        assert.notEqual(enrolment?.thumbprint, before.enrolment?.thumbprint)
      })
      await converged([DIRECTOR_A])
      await shows(DIRECTOR_A, await setWeight(60))
      const refused = cp.gate.exchanges
        .slice(seen)
        .filter(({ host, status }) => host === hostId && status >= 400)
      assert.deepEqual(refused, [])
    })

    underTraffic(
      'the key that signs states is announced, switched to and retired, and then worth nothing',
      async () => {
        const followed = (serial: number) =>
          soon(async () => {
            for (const host of HOSTS)
              assert.equal((await identityOf(host)).keySerial, serial, host.name)
          }, 4 * patienceMs)
        const first = (await call('GET', '/v1/controller')).signing
        const none = await cp.call('POST', '/v1/controller/keys/announce')
        assert.equal(none.status, 409, 'there is no next key yet')
        await cp.migrate({ task: 'next-signing-key' })
        await call('POST', '/v1/controller/keys/announce')
        await followed(1)
        const switched = await call('POST', '/v1/controller/keys/switch')
        assert.notEqual(switched.signing, first)
        await converged()
        await followed(2)
        await call('POST', '/v1/controller/keys/retire')
        await followed(3)
        for (const host of HOSTS) assert.equal((await identityOf(host)).controllerKeys.length, 1)
        await shows(DIRECTOR_A, await setWeight(70))
        // Both instances sign with the new key; a third step finds no other one.
        const again = await cp.call('POST', '/v1/controller/keys/announce')
        assert.equal(again.status, 409, 'the retired key is not announced anew')

        const retired = parseSigningKey(
          cp.aws.parameters.get(SIGNING_KEY)?.value ?? '',
          SIGNING_KEY,
        )
        const { hostId } = await identityOf(DIRECTOR_A)
        const table = await ground.table('dir-a')
        cp.gate.forge = async (host, document) => {
          if (host !== hostId) return undefined
          const [jws = '', ...rest] = document.split('\n')
          const payload = Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()
          const manifest = manifestSchema.parse(JSON.parse(payload))
          const newer = { ...manifest, generation: manifest.generation + 1 }
          return [await retired.sign(newer), ...rest].join('\n')
        }
        await soon(async () => {
          const { status, message } = await conditionOf(DIRECTOR_A, 'rejected')
          assert.ok(status, 'not rejected yet')
          assert.match(message, /no controller key of this identity has signed/)
        })
        assert.equal(await ground.table('dir-a'), table)
        cp.gate.forge = undefined
        await shows(DIRECTOR_A, await setWeight(80))
        await soon(
          async () => assert.equal((await conditionOf(DIRECTOR_A, 'rejected')).status, false),
          2 * patienceMs,
        )
      },
    )

    it('a join token that is over lets nobody in', async () => {
      await sleep(Math.max(0, shortToken.endsAtMs - Date.now()))
      const words = ['enrol', '--token', shortToken.text, '--address', '10.1.0.99']
      const agent = await ground.run('dir-a', { folder: 'late', words })
      assert.equal(await agent.ended, 3)
      assert.match(agent.output(), /not valid: unknown, spent, expired or revoked/)
      assert.doesNotMatch(agent.output(), /virtual-service/, 'the intent is told to nobody')
    })

    underTraffic(
      'a director and its copy are both held off, forward on, and operators are told; released, it goes on',
      async () => {
        await converged([DIRECTOR_B])
        const table = await ground.table('dir-b')
        const { hostId } = await identityOf(DIRECTOR_B)
        await ground.copy(INSTANCE, 'copy')
        const copy = await ground.run(COPY_PLACE, { folder: 'copy', words: ['run'] })
        agents.set('copy', copy)
        await soon(
          async () => assert.equal(await ground.table(COPY_PLACE), table, copy.output()),
          3 * patienceMs,
        )
        await soon(
          async () => {
            const { status, message } = await conditionOf(DIRECTOR_B, 'quarantined')
            assert.ok(status, 'not quarantined yet')
            assert.match(message, /two hosts use its key/)
          },
          TOKEN_SECONDS * 2_000 + 3 * patienceMs,
        )
        const original = agents.get(INSTANCE)
        for (const agent of [original, copy])
          await soon(
            async () => assert.match(agent?.output() ?? '', /quarantined: forwarding goes on/),
            3 * patienceMs,
          )
        const seen = cp.gate.exchanges.length
        const weight = await setWeight(90)
        await shows(DIRECTOR_A, weight)
        for (const place of ['dir-b', COPY_PLACE]) {
          assert.equal(await ground.table(place), table, `${place} is as it was`)
          await ground.serves(place)
        }
        const answered = cp.gate.exchanges
          .slice(seen)
          .filter(({ host, status }) => host === hostId && status < 400)
        assert.deepEqual(answered, [], 'neither is answered')

        const audit = (await call('GET', '/v1/audit-events?limit=50')).items
        assert.ok(audit.some((one: JsonBody) => one.action === 'host.quarantine'))
        const { items } = await call('GET', '/v1/events?newest=true&kind=host.quarantined')
        assert.deepEqual(
          items.map((one: JsonBody) => [one.severity, one.director]),
          [['error', INSTANCE]],
        )
        await cp.schedule()
        assert.ok(cp.told.includes('host.quarantined'), cp.told.join(' '))

        await copy.stop()
        agents.delete('copy')
        await call('POST', `/v1/hosts/director/${INSTANCE}/release`)
        // It would ask again within a minute and a half by itself.
        await stop(DIRECTOR_B)
        await start(DIRECTOR_B)
        await shows(DIRECTOR_B, weight)
        await converged([DIRECTOR_B])
        assert.equal((await conditionOf(DIRECTOR_B, 'quarantined')).status, false)
      },
    )

    underTraffic(
      'a revoked director is refused at once and forwards on; it comes in anew',
      async () => {
        await converged([DIRECTOR_A])
        const table = await ground.table('dir-a')
        const { hostId } = await identityOf(DIRECTOR_A)
        await call('POST', '/v1/hosts/director/dir-a/revoke')
        // What an instance that did not hear of it yet may still answer.
        await sleep(1_500)
        const seen = cp.gate.exchanges.length
        const since = () => cp.gate.exchanges.slice(seen).filter(({ host }) => host === hostId)
        await soon(async () => assert.ok(since().some(({ status }) => status === 401)))
        const weight = await setWeight(95)
        await shows(DIRECTOR_B, weight)
        assert.deepEqual(
          since().filter(({ status }) => status < 400),
          [],
        )
        assert.equal(await ground.table('dir-a'), table)
        await ground.serves('dir-a')
        assert.match(agents.get('dir-a')?.output() ?? '', /refused/)
        assert.equal((await hostOf(DIRECTOR_A)).enrolment, null)
        const { items } = await call('GET', '/v1/events?newest=true&kind=host.revoked')
        assert.deepEqual(
          items.map((one: JsonBody) => one.director),
          ['dir-a'],
        )

        await stop(DIRECTOR_A)
        const words = ['enrol', '--again', ...DIRECTOR_A.words]
        const again = await ground.run('dir-a', { folder: 'dir-a', words })
        assert.equal(await again.ended, 0, again.output())
        await start(DIRECTOR_A)
        await shows(DIRECTOR_A, weight)
        await converged()
      },
    )
  })
}
