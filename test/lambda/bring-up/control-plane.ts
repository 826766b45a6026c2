/**
 * The whole serverless control plane on one machine, with no network: Postgres, Parameter Store and STS that check
 * signatures, the migrate function, two instances of the API and a gate before all of it.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../../services/api/src/store/embedded-postgres.ts'
import { makeCall, type TestApi } from '../../api/harness.ts'
import { startFakeAws, type FakeAws } from '../../fakes/fake-aws.ts'
import { FAKE_CREDENTIALS } from '../../fakes/fake-parameter-store.ts'
import { startFront, type Front } from '../front.ts'
import { startInstance } from '../instance.ts'
import { ADMIN_KEY, lambdaEnv, lambdaFolder, NEXT_SIGNING_KEY } from '../world.ts'
import { startGate, type Gate } from './gate.ts'

export const JOIN_PREFIX = '/lvsfleet/test/join'
export const POLL_SECONDS = 2
/** As short as it may be set: each life of a token is waited for. */
export const TOKEN_SECONDS = 10
export const ACCOUNT = '123456789012'
/** Of the role that directors have. */
export const HOST_CREDENTIALS = {
  accessKeyId: 'ASIADIRECTOR12345678',
  secretAccessKey: 'of-the-directors-role',
  sessionToken: 'session-of-the-instance',
} as const

export type ControlPlane = {
  readonly gate: Gate
  readonly front: Front
  readonly aws: FakeAws
  readonly call: TestApi['call']
  /** Kinds of the events that the webhook `pager` was told of. */
  readonly told: string[]
  readonly pagerUrl: string
  /** What EventBridge does each minute. */
  readonly schedule: () => Promise<void>
  /** Invokes the migrate function. */
  readonly migrate: (event: object) => Promise<unknown>
  readonly close: () => Promise<void>
}

export async function startControlPlane(instanceId: string): Promise<ControlPlane> {
  const opened: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const step of opened.splice(0).reverse()) await step()
  }
  try {
    const folder = await mkdtemp(join(tmpdir(), 'lvsfleet-serverless-'))
    // Postgres may run as another user, who must get through.
    await chmod(folder, 0o711)
    opened.push(() => rm(folder, { recursive: true, force: true }))
    const postgres = await startEmbeddedPostgres(folder, () => {})
    opened.push(() => postgres.stop())
    const aws = await startFakeAws()
    opened.push(() => aws.close())
    const role = { account: ACCOUNT, arn: `arn:aws:sts::${ACCOUNT}:assumed-role/api/api` }
    aws.callers.set(FAKE_CREDENTIALS.id, { secretAccessKey: FAKE_CREDENTIALS.secret, ...role })
    aws.callers.set(HOST_CREDENTIALS.accessKeyId, {
      ...HOST_CREDENTIALS,
      account: ACCOUNT,
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/lvs-director/${instanceId}`,
    })
    const env = {
      ...lambdaEnv(urlOf(postgres), { url: aws.url.href }),
      LVSFLEET_POLL_SECONDS: String(POLL_SECONDS),
      LVSFLEET_ACCESS_TOKEN_SECONDS: String(TOKEN_SECONDS),
      LVSFLEET_JOIN_TOKENS: `ssm:${JOIN_PREFIX}`,
      LVSFLEET_NEXT_SIGNING_KEY_PARAMETERS: NEXT_SIGNING_KEY,
      LVSFLEET_STS_ENDPOINT: aws.url.href,
      LVSFLEET_WEBHOOK_HTTP: 'loopback',
    }
    const task = await lambdaFolder()
    const migrate = async (event: object): Promise<unknown> => {
      const instance = await startInstance(task, 'lambda-migrate.handler', env)
      const answer = await instance.invoke(event)
      await instance.close()
      if (answer.ok) return answer.payload
      throw new Error(`migrate: ${JSON.stringify(answer.error)}`)
    }
    await migrate({})
    const front = await startFront(2, task, env)
    opened.push(front.close)
    const gate = await startGate({ api: front.url, aws: aws.url })
    opened.push(gate.close)
    const told: string[] = []
    const pager = await startPager(told)
    opened.push(async () => {
      pager.closeAllConnections()
      pager.close()
    })
    return {
      gate,
      front,
      aws,
      told,
      pagerUrl: `http://127.0.0.1:${(pager.address() as AddressInfo).port}/`,
      call: makeCall(front.url, aws.parameters.get(ADMIN_KEY)?.value ?? ''),
      schedule: async () => {
        const done = await front.instances[0]?.invoke({ task: 'housekeeping' })
        if (done?.ok !== true) throw new Error(`housekeeping: ${JSON.stringify(done)}`)
      },
      migrate,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function startPager(told: string[]): Promise<Server> {
  const server = createServer(async (request, response) => {
    const { type } = (await json(request)) as { type: string }
    told.push(type)
    response.writeHead(204).end()
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}

function urlOf({ connection }: EmbeddedPostgres): string {
  const { user = '', password, host = '' } = connection
  const secret = typeof password === 'string' ? encodeURIComponent(password) : ''
  return `postgres://${user}:${secret}@localhost/postgres?host=${encodeURIComponent(host)}`
}
