/** Texts of the host as facts: sysctl.d, /proc/net/snmp, command lines, nft. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseHandshakes } from './parse-connections.ts'
import { managerOf, parseCounters } from './parse-proc.ts'
import { parseRuleset } from './parse-ruleset.ts'
import { readSysctlFiles, sysctlOrigins } from './sysctl-origins.ts'
import type { HostReader } from './host-reader.ts'

const RP = 'net.ipv4.conf.eth0.rp_filter'

describe('sysctl.d', () => {
  const origin = (...files: [string, string][]) =>
    sysctlOrigins(
      files.map(([path, text]) => ({ path, text })),
      [RP],
    ).get(RP)

  const ROWS: { name: string; files: [string, string][]; want: string | undefined }[] = [
    { name: 'a plain line', files: [['a', `${RP} = 1`]], want: 'a 1' },
    {
      name: 'the last one wins',
      files: [
        ['a', `${RP}=1`],
        ['b', `${RP}=2`],
      ],
      want: 'b 2',
    },
    { name: 'a pattern', files: [['a', 'net.ipv4.conf.*.rp_filter = 2']], want: 'a 2' },
    { name: 'slashes', files: [['a', 'net/ipv4/conf/eth0/rp_filter = 1']], want: 'a 1' },
    { name: 'a dash', files: [['a', `-${RP} = 1`]], want: 'a 1' },
    { name: 'comments', files: [['a', `# ${RP} = 1\n; ${RP} = 1`]], want: undefined },
    { name: 'another key', files: [['a', 'net.ipv4.conf.all.rp_filter = 1']], want: undefined },
  ]
  for (const { name, files, want } of ROWS) {
    it(name, () => {
      const found = origin(...files)
      assert.equal(found === undefined ? undefined : `${found.file} ${found.value}`, want)
    })
  }

  it('a file in /etc hides the one of its name in /usr/lib, and sysctl.conf comes last', async () => {
    const files: Record<string, string> = {
      '/etc/sysctl.d/50-x.conf': 'etc',
      '/usr/lib/sysctl.d/50-x.conf': 'usr',
      '/usr/lib/sysctl.d/10-y.conf': 'early',
      '/usr/lib/sysctl.d/README': 'no',
      '/etc/sysctl.conf': 'last',
    }
    const read = await readSysctlFiles(memoryReader(files))
    assert.deepEqual(
      read.map(({ text }) => text),
      ['early', 'etc', 'last'],
    )
  })
})

it('counters are named as nstat names them', () => {
  const counters = parseCounters(
    'TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 0 7\nIcmp: OutTimeExcds\nIcmp: 3\n',
  )
  assert.deepEqual(Object.fromEntries(counters), {
    TcpExtSyncookiesSent: 0,
    TcpExtIPReversePathFilter: 7,
    IcmpOutTimeExcds: 3,
  })
})

describe('the connection table as handshakes', () => {
  const HEAD = 'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n'
  const line = (state: string, { protocol = 'TCP', server = '0A02000B' } = {}) =>
    `${protocol} 0A010902 D431 0A010064 0050 ${server} 0050 ${state.padEnd(11)}      57\n`
  const SIX = 'fd01:0000:0000:0000:0000:0000:0000:0100'
  const ROWS: { name: string; text: string; want: string[] }[] = [
    { name: 'nothing', text: HEAD, want: [] },
    {
      name: 'each state on its side',
      text: `${HEAD}${['SYN_RECV', 'SYN_RECV', 'ESTABLISHED', 'TIME_WAIT', 'CLOSE', 'NONE'].map((state) => line(state)).join('')}`,
      want: ['10.1.0.100 80 10.2.0.11: 2 wait, 2 went on'],
    },
    {
      name: 'each real server for itself, other protocols not at all',
      text: `${HEAD}${line('SYN_RECV')}${line('SYN_RECV', { server: '0A02000C' })}${line('UDP', { protocol: 'UDP' })}`,
      want: [
        '10.1.0.100 80 10.2.0.11: 1 wait, 0 went on',
        '10.1.0.100 80 10.2.0.12: 1 wait, 0 went on',
      ],
    },
    {
      name: 'IPv6 behind an IPv4 tunnel',
      text: `${HEAD}TCP ${SIX} D431 ${SIX} 01BB 0A02000B 01BB ESTABLISHED     899\n`,
      want: ['fd01::100 443 10.2.0.11: 0 wait, 1 went on'],
    },
    {
      name: 'a line that is cut',
      text: `${HEAD}${line('SYN_RECV')}TCP 0A010902 D431 0A010064 0050 0A02000B 0050 SYN_REC`,
      want: ['10.1.0.100 80 10.2.0.11: 1 wait, 0 went on'],
    },
  ]
  for (const { name, text, want } of ROWS) {
    it(name, () =>
      assert.deepEqual(
        parseHandshakes(text).map(
          ({ vip, port, server, halfOpen, completed }) =>
            `${vip} ${port} ${server}: ${halfOpen} wait, ${completed} went on`,
        ),
        want,
      ),
    )
  }
})

describe('programs that manage IPVS', () => {
  const ROWS: [string, string | undefined][] = [
    ['/usr/sbin/keepalived\0-n', 'keepalived'],
    ['/usr/bin/perl\0/usr/sbin/ldirectord\0start', 'ldirectord'],
    ['/usr/local/bin/kube-proxy\0--config=/x', 'kube-proxy'],
    ['kube-proxy\0--proxy-mode=iptables', undefined],
    ['vim\0-x\0/etc/keepalived', undefined],
    ['', undefined],
  ]
  for (const [commandLine, want] of ROWS) {
    it(commandLine.replaceAll('\0', ' '), () => assert.equal(managerOf(7, commandLine)?.name, want))
  }
})

describe('nft rules', () => {
  const rule = (table: string, ...expr: unknown[]) => ({
    rule: { family: 'ip', table, chain: 'POSTROUTING', expr },
  })
  const ipvs = { xt: { type: 'match', name: 'ipvs' } }
  const parse = (...rules: unknown[]) => parseRuleset(JSON.stringify({ nftables: rules }))
  it('SNAT behind the ipvs match', () =>
    assert.deepEqual(parse(rule('nat', ipvs, { xt: { type: 'target', name: 'SNAT' } })), {
      snatForIpvs: ['ip nat'],
    }))
  it('masquerading of everything else is no matter of ours', () =>
    assert.deepEqual(parse(rule('nat', { masquerade: null })), { snatForIpvs: [] }))
  it("the agent's own table", () =>
    assert.deepEqual(parse(rule('lvsfleet', { snat: { addr: '10.1.0.10' } })), {
      snatForIpvs: ['ip lvsfleet'],
    }))
  it('what is no JSON is not seen', () => assert.equal(parseRuleset('nft: error'), null))
})

function memoryReader(files: Readonly<Record<string, string>>): HostReader {
  return {
    readText: async (path) => files[path],
    readStart: async (path) => files[path],
    list: async (folder) =>
      Object.keys(files)
        .filter((path) => path.startsWith(`${folder}/`))
        .map((path) => path.slice(folder.length + 1)),
    readLink: async () => undefined,
    run: async () => undefined,
    tryStateDirectory: async () => ({ error: null, freeBytes: null }),
  }
}
