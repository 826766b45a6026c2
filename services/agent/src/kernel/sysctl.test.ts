import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sysctls, sysctlPath } from './sysctl.ts'

function failing(code: string): Error {
  return Object.assign(new Error(code), { code })
}

test('names are paths below /proc/sys and lead nowhere else', () => {
  assert.equal(
    sysctlPath('net.ipv4.conf.lvsf-ab12.rp_filter'),
    '/proc/sys/net/ipv4/conf/lvsf-ab12/rp_filter',
  )
  for (const key of ['net..ipv4', '.net', 'net.', 'net/../../etc.passwd', '']) {
    assert.throws(() => sysctlPath(key), { code: 'EINVAL' })
  }
})

test('reads trimmed values, and undefined where there is no such sysctl', async () => {
  const sysctls = new Sysctls({
    read: async (path) => {
      if (path.endsWith('missing')) throw failing('ENOENT')
      return '1\n'
    },
    write: async () => undefined,
  })
  assert.deepEqual(
    [...(await sysctls.read(['net.ipv4.ip_forward', 'net.missing']))],
    [
      ['net.ipv4.ip_forward', '1'],
      ['net.missing', undefined],
    ],
  )
})

test('a value that may not be read is an error, not an absence', async () => {
  const files = { read: () => Promise.reject(failing('EACCES')), write: async () => undefined }
  await assert.rejects(new Sysctls(files).read(['net.x']), { code: 'EACCES' })
})

const rows = [
  { code: 'EACCES', message: 'net.x: not permitted' },
  { code: 'ENOENT', message: 'net.x: this kernel has no such sysctl' },
  { code: 'EINVAL', message: 'net.x: refused as invalid' },
]
for (const { code, message } of rows) {
  test(`a write that ends in ${code} says so`, async () => {
    const files = { read: async () => '', write: () => Promise.reject(failing(code)) }
    assert.deepEqual(await new Sysctls(files).write('net.x', '1'), { code, message })
  })
}

test('writes the value with a line end', async () => {
  const written: string[] = []
  const write = async (path: string, text: string) => void written.push(path, text)
  assert.equal(await new Sysctls({ read: async () => '', write }).write('net.x', '1'), undefined)
  assert.deepEqual(written, ['/proc/sys/net/x', '1\n'])
})
