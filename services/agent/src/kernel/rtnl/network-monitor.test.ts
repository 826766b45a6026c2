import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { DatagramHandlers } from '../netlink/raw-socket.ts'
import { NetworkMonitor } from './network-monitor.ts'

const OWN_PORT = 77

function open(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const state: { handlers?: DatagramHandlers; opened: number; closed: number; refuse: boolean } = {
    opened: 0,
    closed: 0,
    refuse: false,
  }
  const monitor = new NetworkMonitor({
    ownPort: () => OWN_PORT,
    open: (handlers) => {
      if (state.refuse) throw new Error('no socket')
      state.handlers = handlers
      state.opened++
      return { port: 1, send: () => undefined, close: () => void state.closed++ }
    },
  })
  return { monitor, state }
}

function change(port: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32LE(16, 0)
  bytes.writeUInt32LE(port, 12)
  return bytes
}

test('a burst of changes is one call, a later change another', (t) => {
  const { monitor, state } = open(t)
  let calls = 0
  monitor.subscribe(() => calls++)
  for (let i = 0; i < 500; i++) state.handlers?.message(change(0))
  t.mock.timers.tick(50)
  assert.equal(calls, 1)
  state.handlers?.message(change(0))
  t.mock.timers.tick(50)
  assert.equal(calls, 2)
})

test('what the agent itself changed is no news, unless others changed something too', (t) => {
  const { monitor, state } = open(t)
  let calls = 0
  monitor.subscribe(() => calls++)
  state.handlers?.message(change(OWN_PORT))
  t.mock.timers.tick(1000)
  assert.equal(calls, 0)
  state.handlers?.message(Buffer.concat([change(OWN_PORT), change(5)]))
  t.mock.timers.tick(50)
  assert.equal(calls, 1)
})

test('listens only while somebody wants to hear', (t) => {
  const { monitor, state } = open(t)
  const leave = [monitor.subscribe(() => undefined), monitor.subscribe(() => undefined)]
  assert.equal(state.opened, 1)
  leave[0]?.()
  assert.equal(state.closed, 0)
  leave[1]?.()
  assert.equal(state.closed, 1)
  monitor.subscribe(() => undefined)
  assert.equal(state.opened, 2)
})

test('a broken socket is opened again, and counts as a change', (t) => {
  const { monitor, state } = open(t)
  let calls = 0
  monitor.subscribe(() => calls++)
  state.handlers?.broken('poll failed')
  state.refuse = true
  t.mock.timers.tick(1000)
  assert.deepEqual([calls, state.opened], [1, 1])
  state.refuse = false
  t.mock.timers.tick(1000)
  assert.deepEqual([calls, state.opened, state.closed], [2, 2, 1])
})

test('is silent once closed', (t) => {
  const { monitor, state } = open(t)
  let calls = 0
  monitor.subscribe(() => calls++)
  state.handlers?.message(change(0))
  monitor.close()
  t.mock.timers.tick(1000)
  assert.deepEqual([calls, state.closed], [0, 1])
})
