// The lab's own contract, on whichever engine LAB_ENGINE names: what tests of the fleet rely on.
// Nothing here is product code; if this file fails, no other lab test means anything.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ipvsTable, REAL_SERVERS, setUpByHand, VIP, VIP_URLS } from './by-hand.ts'
import { type Lab, startLab } from './lab.ts'

/** Another lab may have to end first. */
const TIMEOUT_MS = 900_000
const MB = 1024 * 1024
const CLIENTS = { 'cl-a': ['10.1.9.2', 'fd01:0:0:9::2'], 'cl-b': ['10.2.9.2', 'fd02:0:0:9::2'] }

describe('kernel lab', { timeout: TIMEOUT_MS }, () => {
  let lab: Lab
  before(async () => {
    lab = await startLab()
  })
  after(async () => {
    await lab?.stop()
  })

  it('gives back exit status, output, input and environment of a command', async () => {
    const command = 'cat; echo $WORD; echo bad >&2; exit 7'
    const result = await lab.run('rs-a1', command, { stdin: 'in\n', env: { WORD: 'env' } })
    assert.deepEqual(result, { code: 7, stdout: 'in\nenv\n', stderr: 'bad\n' })
    assert.equal((await lab.run('root', ['sh', '-c', 'exit 0'])).code, 0)
    await assert.rejects(lab.sh('dir-a', 'echo why; exit 3'), /dir-a: exit status 3[^]*why/)
    await assert.rejects(lab.run('nowhere', 'true'), /the lab has no host nowhere/)
  })

  it('ends a command that exceeds its time, with everything it started', async () => {
    await assert.rejects(
      lab.run('rs-a1', 'sleep 77 | cat', { timeoutMs: 300 }),
      /not done within 300/,
    )
    assert.equal((await lab.run('root', 'pgrep -x sleep')).stdout, '')
  })

  it('joins all hosts of both sites on both families', async () => {
    const script = lab.topology.hosts
      .flatMap(({ v4, v6 }) => [`busybox ping -c 1 -W 2 ${v4}`, `busybox ping6 -c 1 -W 2 ${v6}`])
      .map((ping) => `${ping} >/dev/null || echo FAILED: ${ping}`)
    for (const client of Object.keys(CLIENTS)) {
      assert.equal(await lab.sh(client, script.join('\n')), '')
    }
    assert.equal(await lab.ping('dir-b', '10.1.0.11', { count: 2 }), 2)
    assert.equal(await lab.ping('dir-b', '10.1.0.77'), 0)
  })

  it('has the network settings of an ordinary distribution', async () => {
    const names = ['all', 'default', 'eth0', 'lo'].map((name) => `net.ipv4.conf.${name}.rp_filter`)
    const text = await lab.sh('rs-b1', ['sysctl', '-n', ...names, 'net.ipv6.conf.eth0.accept_dad'])
    assert.equal(text, '0\n2\n2\n2\n1\n')
  })

  it('carries clients of both sites to real servers of both sites, IPv4 and IPv6', async () => {
    await setUpByHand(lab)
    assert.deepEqual(await lab.ipvsadm('dir-a'), ipvsTable(lab).sort())
    for (const [client, [v4, v6]] of Object.entries(CLIENTS)) {
      const want = (from?: string) =>
        Object.fromEntries(REAL_SERVERS.map((name) => [`${name}:80 from=${from}`, 2]))
      assert.deepEqual(await lab.get(client, { url: VIP_URLS.v4, n: 8 }), want(v4))
      assert.deepEqual(await lab.get(client, { url: VIP_URLS.v6, n: 8 }), want(v6))
    }
  })

  it('a guest that stands still for longer than a request may take has lost no request', async () => {
    const url = 'http://10.1.0.11/slow=300'
    const load = await lab.load('cl-a', { url, ratePerSecond: 50, timeoutMs: 1_000 })
    const { guestPid } = lab
    assert.ok(guestPid !== undefined && guestPid > 1)
    await sleep(1_000)
    process.kill(guestPid, 'SIGSTOP')
    await sleep(3_000)
    process.kill(guestPid, 'SIGCONT')
    await sleep(1_000)
    const { answers, errors } = await load.stop()
    assert.deepEqual(errors, {})
    assert.ok(count(answers) > 50, `${count(answers)} answers`)
  })

  it('captures the packets of the tunnel', async () => {
    const capture = await lab.capture('rs-b1', { filter: 'ip proto 4' })
    await lab.get('cl-a', { url: VIP_URLS.v4, n: 4 })
    const lines = await capture.stop()
    const outerAndInner = /IP 10\.1\.0\.10 > 10\.2\.0\.11: IP 10\.1\.9\.2\.\d+ > 10\.1\.0\.100\.80/
    assert.match(lines.join('\n'), outerAndInner)
  })

  it('uploads, downloads and waits', async () => {
    const options = { url: 'http://10.1.0.11/', n: 1, timeoutMs: 5000 }
    const from = 'rs-a1:80 from=10.1.9.2'
    assert.deepEqual(await lab.get('cl-a', { ...options, upload: 200_000 }), {
      [`${from} got=200000`]: 1,
    })
    const big = { ...options, url: 'http://10.1.0.11/big=300000' }
    assert.deepEqual(await lab.get('cl-a', big), { [`${from} body=300000`]: 1 })
    const slow = { url: 'http://10.1.0.11/slow=400', timeoutMs: 200 }
    assert.deepEqual(await lab.get('cl-a', slow), { TIMEOUT: 1 })
    assert.deepEqual(await lab.get('cl-a', { ...slow, timeoutMs: 5000 }), { [from]: 1 })
    const refused = await lab.get('cl-a', { url: 'http://10.1.0.11:81/', n: 2 })
    assert.deepEqual(refused, { 'ERR ECONNREFUSED': 2 })
  })

  it('sends UDP through the director and hears the answer from the VIP', async () => {
    await lab.sh('dir-a', `ipvsadm -A -u ${VIP.v4}:53 -s rr -o`)
    await lab.sh('dir-a', `ipvsadm -a -u ${VIP.v4}:53 -r 10.2.0.12 -i -w 1`)
    const options = { address: VIP.v4, port: 53, n: 2 }
    assert.deepEqual(await lab.udp('cl-b', options), { 'ERR ECONNREFUSED': 2 })
    await lab.serveUdp('rs-b2', { port: 53, bind: VIP.v4 })
    assert.deepEqual(await lab.udp('cl-b', options), { 'rs-b2:53 from=10.2.9.2': 2 })
  })

  it('shows load and held connections going on, and a cut link stopping them', async () => {
    const load = await lab.load('cl-b', { url: VIP_URLS.v6, ratePerSecond: 20, timeoutMs: 500 })
    const hold = await lab.hold('cl-a', { url: VIP_URLS.v4 })
    assert.equal(hold.first.alive, true)
    assert.match(hold.first.answerer, /^rs-.*:80 from=10\.1\.9\.2$/)
    let answered = 0
    await until(async () => (answered += count((await load.snapshot()).answers)) >= 20)
    await lab.cutLink('dir-a')
    assert.deepEqual(await lab.get('cl-a', { url: VIP_URLS.v4, timeoutMs: 500 }), { TIMEOUT: 1 })
    await until(async () => {
      const { answers, errors } = await load.snapshot()
      return count(answers) === 0 && (errors['TIMEOUT'] ?? 0) > 0
    })
    await lab.restoreLink('dir-a')
    await until(async () => count((await load.snapshot()).errors) === 0)
    await until(async () => (await hold.status()).alive)
    await hold.close()
    await load.stop()
  })

  it('delays packets on demand', async () => {
    await lab.netem('cl-b', 'delay 300ms')
    const options = { url: 'http://10.2.0.11/', n: 1 }
    assert.deepEqual(await lab.get('cl-b', { ...options, timeoutMs: 250 }), { TIMEOUT: 1 })
    await lab.netem('cl-b', '')
    assert.equal(count(await lab.get('cl-b', options)), 1)
  })

  it('runs long commands, and tells how they ended', async () => {
    const process = await lab.spawn('rs-a2', 'echo begun; exec sleep 99', { name: 'sleeper' })
    await process.waitFor('begun')
    assert.equal((await lab.sh('root', `cat /proc/${process.pid}/comm`)).trim(), 'sleep')
    await process.kill('SIGTERM')
    assert.deepEqual(await process.exited, { code: null, signal: 'SIGTERM' })
    assert.equal(fs.readFileSync(process.logFile, 'utf8'), 'begun\n')
  })

  describe('API on the host', () => {
    let api: Server
    before(async () => {
      api = createServer(answerApi)
      await lab.setApiPort(await listen(api))
    })
    after(async () => {
      api.closeAllConnections()
      api.close()
      await lab.setApiPort(undefined)
    })

    it('carries large bodies both ways', async () => {
      const up = { url: `${lab.apiUrl}/up`, upload: 2 * MB, timeoutMs: 20_000 }
      assert.deepEqual(await lab.get('dir-b', up), { [`api got=${2 * MB}`]: 1 })
      const down = { url: `${lab.apiUrl}/big=${2 * MB}`, timeoutMs: 20_000 }
      assert.deepEqual(await lab.get('dir-b', down), { [`api got=0 body=${2 * MB}`]: 1 })
    })

    it('serves many at once while some wait', async () => {
      const waiting = lab.get('rs-b2', { url: `${lab.apiUrl}/wait`, timeoutMs: 20_000 })
      const options = { url: lab.apiUrl, n: 40, par: 20, timeoutMs: 10_000 }
      assert.deepEqual(await lab.get('rs-a1', options), { 'api got=0': 40 })
      assert.deepEqual(await waiting, { 'api got=0': 1 })
    })

    it('is refused when there is none, and back when there is', async () => {
      await lab.setApiPort(undefined)
      assert.deepEqual(await lab.get('dir-a', { url: lab.apiUrl }), { 'ERR ECONNREFUSED': 1 })
      await lab.setApiPort(1) // nobody listens there
      assert.deepEqual(await lab.get('dir-a', { url: lab.apiUrl }), { 'ERR ECONNRESET': 1 })
      await lab.setApiPort((api.address() as AddressInfo).port)
      assert.deepEqual(await lab.get('dir-a', { url: lab.apiUrl }), { 'api got=0': 1 })
    })
  })

  it('forgets everything in a power cut but the shared folder', async () => {
    fs.writeFileSync(join(lab.dir, 'from-host'), 'host')
    await lab.sh('dir-a', `cat ${lab.guestDir}/from-host > ${lab.guestDir}/from-guest; sync`)
    await lab.writeFile('/root/gone', 'soon')
    const process = await lab.spawn('dir-a', 'sleep 99', { name: 'doomed' })
    await lab.reboot()
    assert.deepEqual(await process.exited, { code: null, signal: 'SIGKILL' })
    assert.deepEqual(await lab.ipvsadm('dir-a'), [])
    await assert.rejects(lab.readFile('/root/gone'), /ENOENT/)
    assert.equal(await lab.readFile(`${lab.guestDir}/from-guest`), 'host')
    assert.equal(fs.readFileSync(join(lab.dir, 'from-guest'), 'utf8'), 'host')
    assert.equal(await lab.ping('cl-a', 'fd02::12'), 1)
  })
})

describe('kernel lab whose test is killed', { timeout: TIMEOUT_MS }, () => {
  it('leaves no guest behind, and the lock free', async () => {
    const script = fileURLToPath(new URL('abandoned-lab.ts', import.meta.url))
    const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const guestPid = await firstNumber(child)
      assert.equal(fs.existsSync(`/proc/${guestPid}`), true)
      child.kill('SIGKILL')
      await until(async () => !fs.existsSync(`/proc/${guestPid}`))
    } finally {
      child.kill('SIGKILL')
    }
    const lock = fileURLToPath(new URL('../../.lab/lock', import.meta.url))
    const flock = spawn('flock', ['--exclusive', '--timeout', '600', lock, 'true'])
    assert.deepEqual(await once(flock, 'exit'), [0, null])
  })
})

/** Answers in the form of the lab's own servers: /big=N, /wait (a long poll), bodies counted. */
function answerApi(...[request, response]: Parameters<Parameters<typeof createServer>[1] & {}>) {
  let got = 0
  request.on('data', (chunk: Buffer) => (got += chunk.length))
  request.on('end', () => {
    const more = Number(/^\/big=(\d+)$/.exec(request.url ?? '')?.[1] ?? 0)
    const body = Buffer.concat([Buffer.from(`api got=${got}\n`), Buffer.alloc(more, 'x')])
    const answer = () => {
      response.writeHead(200, { 'content-length': body.length, connection: 'close' }).end(body)
    }
    if (request.url === '/wait') setTimeout(answer, 3000)
    else answer()
  })
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function firstNumber(child: ChildProcess): Promise<number> {
  let text = ''
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk)
    const found = /^(\d+)\n/m.exec(text)
    if (found) return Number(found[1])
  }
  throw new Error(`the abandoned lab did not start: ${text}`)
}

function count(histogram: Readonly<Record<string, number>>): number {
  return Object.values(histogram).reduce((sum, n) => sum + n, 0)
}

async function until(condition: () => Promise<boolean>, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not so within ${timeoutMs} ms: ${String(condition)}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
