import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip } from '@lvs-fleet/contract'
import { NETLINK_GENERIC, NLMSG_DONE, NLMSG_ERROR } from '../netlink/constants.ts'
import { eachMessage } from '../netlink/message.ts'
import { NetlinkSocket } from '../netlink/socket.ts'
import { IPVS_CMD_GET_SERVICE } from './constants.ts'
import { IpvsKernel } from './ipvs-kernel.ts'

const GENL_ID_CTRL = 16
const service = { protocol: 'tcp', address: ip('10.1.0.100'), port: 80 } as const
const remove = { kind: 'service.remove', service } as const

/** A kernel whose IPVS has the number that `family` holds at the time; undefined = no ip_vs. */
function kernelWith(family: () => number | undefined, errno = { read: 0 }) {
  const types: number[] = []
  const socket = new NetlinkSocket({
    protocol: NETLINK_GENERIC,
    timeoutMs: 100,
    open: (handlers) => ({
      port: 1,
      close: () => undefined,
      send: (bytes, done) => {
        done(undefined)
        eachMessage(Buffer.from(bytes), ({ type, sequence, start, bytes: sent }) => {
          types.push(type)
          const number = family()
          const say = (kind: number, payload: Buffer) =>
            setImmediate(() => handlers.message(reply(kind, sequence, payload)))
          const error = (value: number) => say(NLMSG_ERROR, errorPayload(value))
          if (type === GENL_ID_CTRL && number === undefined) error(-2)
          else if (type === GENL_ID_CTRL) {
            say(GENL_ID_CTRL, familyPayload(number ?? 0))
            error(0)
          } else if (type !== number) error(-2)
          else if (errno.read !== 0) error(errno.read)
          else if (sent.readUInt8(start) === IPVS_CMD_GET_SERVICE) say(NLMSG_DONE, Buffer.alloc(4))
          else error(0)
        })
      },
    }),
  })
  return { ipvs: new IpvsKernel(socket), types }
}

function reply(type: number, sequence: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + payload.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt32LE(sequence, 8)
  return Buffer.concat([header, payload])
}
function errorPayload(errno: number): Buffer {
  const bytes = Buffer.alloc(20)
  bytes.writeInt32LE(errno)
  bytes.writeUInt32LE(16, 4)
  return bytes
}
function familyPayload(number: number): Buffer {
  const bytes = Buffer.from('01020000' + '0600010000000000', 'hex')
  bytes.writeUInt16LE(number, 8)
  return bytes
}

test('a kernel without ip_vs says what to do, to reads and to ops', async () => {
  const { ipvs } = kernelWith(() => undefined)
  const want = { code: 'EPROTONOSUPPORT', message: 'ip_vs is not loaded: modprobe ip_vs' }
  await assert.rejects(ipvs.listServices(), { code: want.code, message: /modprobe ip_vs/ })
  await assert.rejects(ipvs.listDestinations([service]), { code: want.code })
  assert.deepEqual(await ipvs.apply([remove, remove]), { failures: [want, want], writeCount: 0 })
  assert.deepEqual(await ipvs.listDestinations([]), [])
})

test('ip_vs may be loaded later', async () => {
  let family: number | undefined
  const { ipvs } = kernelWith(() => family)
  await assert.rejects(ipvs.listServices(), { code: 'EPROTONOSUPPORT' })
  family = 28
  assert.deepEqual(await ipvs.listServices(), { services: [], unnamedCount: 0 })
})

test('asks for the number once, and again after ip_vs was loaded anew', async () => {
  let family = 28
  const { ipvs, types } = kernelWith(() => family)
  await ipvs.listServices()
  await ipvs.listServices()
  assert.deepEqual(types.splice(0), [16, 28, 28])
  family = 32
  assert.deepEqual(await ipvs.listServices(), { services: [], unnamedCount: 0 })
  assert.deepEqual(types, [28, 16, 32])
})

test('missing rights are named', async () => {
  const { ipvs } = kernelWith(() => 28, { read: -1 })
  await assert.rejects(ipvs.listServices(), { code: 'EPERM', message: /needs CAP_NET_ADMIN/ })
})
