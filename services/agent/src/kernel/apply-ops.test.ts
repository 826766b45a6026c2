import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type Op } from '@lvs-fleet/contract'
import { applyOps, cutIntoRuns } from './apply-ops.ts'
import { KernelError } from './kernel.ts'

const service = { protocol: 'tcp', address: ip('10.1.0.100'), port: 80 } as const
const destination = { address: ip('10.2.0.21'), port: 80 }
const address = { address: ip('10.1.0.100'), place: { device: 'lvsfleet0' } }
const clamp = { address: ip('10.1.0.100'), mss: 1400 }
const ops = {
  device: { kind: 'device.create', device: { name: 'lvsfleet0', kind: 'dummy' } },
  addressAdd: { kind: 'address.add', address },
  addressRemove: { kind: 'address.remove', address },
  guePort: { kind: 'gue-port.open', guePort: { address: ip('10.2.0.21'), port: 6080 } },
  sysctl: { kind: 'sysctl.set', key: 'net.x', from: '0', to: '1' },
  clamp: { kind: 'clamp.set', clamp, from: null },
  serviceRemove: { kind: 'service.remove', service },
  destinationRemove: { kind: 'destination.remove', service, destination },
} as const satisfies Record<string, Op>

test('runs keep the order: IPVS together, network by kind', () => {
  const { device, guePort, addressAdd, addressRemove, sysctl, clamp: set } = ops
  const { serviceRemove, destinationRemove } = ops
  const network = [device, device, addressAdd, addressAdd, addressRemove]
  const ipvs = [destinationRemove, serviceRemove, destinationRemove]
  const given: readonly Op[] = [...network, guePort, sysctl, set, set, ...ipvs, addressAdd]
  const runs = cutIntoRuns(given)
  assert.deepEqual(
    runs.flatMap((run): readonly Op[] => run.ops),
    given,
  )
  assert.deepEqual(
    runs.map((run) => `${run.kind} ${run.ops.length}`),
    [
      'network 2',
      'network 2',
      'network 1',
      'gue-port 1',
      'sysctl 1',
      'table 2',
      'ipvs 3',
      'network 1',
    ],
  )
  assert.deepEqual(cutIntoRuns([]), [])
})

test('each op has its outcome, and the rest goes on after a failure', async () => {
  const given = [ops.device, ops.sysctl, ops.serviceRemove, ops.destinationRemove]
  const outcomes = await applyOps(given, async (run) => {
    if (run.kind === 'network') return [{ code: 'EEXIST', message: 'exists already' }]
    if (run.kind === 'sysctl') throw new KernelError('write', 'EIO', 'disk gone')
    return [undefined, { code: 'ESRCH', message: 'no such virtual service' }]
  })
  assert.deepEqual(outcomes, [
    { op: ops.device, ok: false, code: 'EEXIST', message: 'exists already' },
    { op: ops.sysctl, ok: false, code: 'EIO', message: 'write: EIO: disk gone' },
    { op: ops.serviceRemove, ok: true },
    { op: ops.destinationRemove, ok: false, code: 'ESRCH', message: 'no such virtual service' },
  ])
})

test('a bug is not an outcome', async () => {
  await assert.rejects(
    applyOps([ops.device], () => Promise.reject(new TypeError('oops'))),
    /oops/,
  )
})
