import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ip, type SyncDaemonState } from '@lvs-fleet/contract'
import { MessageWriter } from '../netlink/message-writer.ts'
import { eachMessage, type NetlinkMessage } from '../netlink/message.ts'
import {
  decodeDaemon,
  decodeTimeouts,
  writeDumpDaemons,
  writeGetTimeouts,
  writeSetting,
  type SettingsOp,
} from './settings.ts'

/** Family 28 = 1c, request flag; sequence and port stay 0. */
const header = (length: string, command: string, flags = '0100') =>
  `${length}1c00${flags}${'00'.repeat(8)}${command}010000`

const master: SyncDaemonState = {
  role: 'master',
  place: { device: 'eth0' },
  syncId: 7,
  group: ip('224.0.0.81'),
  port: 8848,
  ttl: 1,
  maxlen: 1472,
}
const backup: SyncDaemonState = {
  ...master,
  role: 'backup',
  group: ip('ff02::81'),
  maxlen: null,
}
const timeout = (name: 'tcp' | 'tcpFin' | 'udp', to: number | null): SettingsOp => ({
  kind: 'timeout.set',
  name,
  from: null,
  to,
})

/** Numbers of include/uapi/linux/ip_vs.h: IPVS_CMD_ATTR_TIMEOUT_* 4 to 6, IPVS_DAEMON_ATTR_* within 3. */
const rows: readonly { readonly name: string; readonly op: SettingsOp; readonly hex: string }[] = [
  {
    name: 'the tcp timeout alone',
    op: timeout('tcp', 900),
    hex: header('1c000000', '0c') + '0800040084030000',
  },
  {
    name: 'the tcp fin timeout',
    op: timeout('tcpFin', 120),
    hex: header('1c000000', '0c') + '0800050078000000',
  },
  {
    name: 'the udp timeout',
    op: timeout('udp', 300),
    hex: header('1c000000', '0c') + '080006002c010000',
  },
  {
    name: 'a master',
    op: { kind: 'sync.start', daemon: master },
    hex:
      header('54000000', '09') +
      '40000380' +
      '0800010001000000' +
      '090002006574683000000000' +
      '0800030007000000' +
      '06000400c0050000' +
      '08000500e0000051' +
      '0600070090220000' +
      '0500080001000000',
  },
  {
    name: 'a backup by IPv6, of whatever size',
    op: { kind: 'sync.start', daemon: backup },
    hex:
      header('58000000', '09') +
      '44000380' +
      '0800010002000000' +
      '090002006574683000000000' +
      '0800030007000000' +
      '14000600ff020000000000000000000000000081' +
      '0600070090220000' +
      '0500080001000000',
  },
  {
    name: 'the end of a backup',
    op: { kind: 'sync.stop', daemon: backup },
    hex: header('20000000', '0a') + '0c000380' + '0800010002000000',
  },
]

function written(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(Buffer.alloc(1024))
  write(writer)
  return writer.bytes.subarray(0, writer.offset)
}

function messageOf(bytes: Buffer): NetlinkMessage {
  let found: NetlinkMessage | undefined
  eachMessage(bytes, (message) => (found = message))
  assert(found !== undefined)
  return found
}

for (const { name, op, hex } of rows) {
  test(`encodes ${name}`, () => {
    const bytes = written((writer) => writeSetting(writer, 28, op, 'eth0'))
    assert.equal(bytes.toString('hex'), hex)
  })
}

test('asks for timeouts, and dumps daemons', () => {
  const timeouts = written((writer) => writeGetTimeouts(writer, 28))
  assert.equal(timeouts.toString('hex'), header('14000000', '0d'))
  const daemons = written((writer) => writeDumpDaemons(writer, 28))
  assert.equal(daemons.toString('hex'), header('14000000', '0b', '0103'))
})

test('decodes what it encodes', () => {
  for (const daemon of [master, backup]) {
    const bytes = written((writer) =>
      writeSetting(writer, 28, { kind: 'sync.start', daemon: { ...daemon, maxlen: 1452 } }, 'eth0'),
    )
    const { place: _, ...rest } = daemon
    assert.deepEqual(decodeDaemon(messageOf(bytes)), { ...rest, device: 'eth0', maxlen: 1452 })
  }
})

test('decodes the timeouts of a kernel', () => {
  const hex =
    header('2c000000', '0c') + '0800040084030000' + '0800050078000000' + '080006002c010000'
  assert.deepEqual(decodeTimeouts(messageOf(Buffer.from(hex, 'hex'))), {
    tcp: 900,
    tcpFin: 120,
    udp: 300,
  })
})

test('refuses what lacks what every kernel sends', () => {
  const short = Buffer.from(`${header('1c000000', '0c')}0800040084030000`, 'hex')
  assert.throws(() => decodeTimeouts(messageOf(short)), /tcp fin timeout is missing/)
  const strange = header('20000000', '0b') + '0c000380' + '0800010003000000'
  assert.throws(() => decodeDaemon(messageOf(Buffer.from(strange, 'hex'))), /in state 3/)
})
