/**
 * Two regions applied against the double, and what comes out of it used: enrolment rules as the API reads them, setup scripts
 * as a host runs them. And seeded mistakes in each module of hosts.
 */
import assert from 'node:assert/strict'
import { cpSync, readFileSync, rmSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { parseConfig } from '../../services/agent/src/config.ts'
import { enrolmentRuleSchema, matchRules } from '../../services/api/src/identity/match-rules.ts'
import { makeSetupHost, sha256 } from './setup-host.ts'
import { lab, startTerraform, type Terraform } from './terraform.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const copy = join(lab, 'applied')
const PACKAGE = 'agent 0.1.0'
const FILE = 'lvsfleet-agent_0.1.0_arm64.deb'
const URL_OF_FILE = `https://packages.example/${FILE}`
const ACCOUNT = '123456789012'

/** Beside the example: setups that it does not use. */
const OTHERS = `
module "from_s3" {
  source  = "../../modules/host-setup"
  role    = "real-server"
  api_url = "https://api.example"
  package = { url = "s3://packages/${FILE}", sha256 = "${sha256(PACKAGE)}" }
}
module "on_premises" {
  source  = "../../modules/director-on-premises"
  name    = "lvsfleet-cellar"
  site    = "cellar"
  way_in  = "aws-identity"
  api_url = "https://api.example"
  package = { url = "${URL_OF_FILE}", sha256 = "${sha256(PACKAGE)}" }
}
output "others" {
  sensitive = true
  value = {
    from_s3  = module.from_s3.script
    register = module.on_premises.register_script
    rules    = module.on_premises.enrolment_rules
  }
}
`
const network = (n: number) => ({
  vpc_id: `vpc-${n}`,
  cidr: `10.${n}.0.0/16`,
  private_subnet_ids: [`subnet-${n}a`, `subnet-${n}b`],
  subnet_id: `subnet-${n}`,
  director: `10.${n}.0.10`,
  vip: `10.${n}.0.100`,
  real_servers: [`10.${n}.0.11`, `10.${n}.0.12`],
})
const VALUES = {
  // Not the one that the double says of every provider: hosts sign for STS where the API is, and nowhere else.
  regions: { first: 'eu-north-1', second: 'eu-west-1' },
  network: { first: network(1), second: network(2) },
  client_cidrs: ['10.0.0.0/8'],
  zip_file: join(copy, 'api.zip'),
  agent_package: { url: URL_OF_FILE, sha256: sha256(PACKAGE) },
  ami_ids: { first: 'ami-0123456789abcdef0', second: 'ami-0123456789abcdef1' },
  mails: ['ops@example.org'],
}
const HOSTS = ['dir-first', 'dir-second', 'rs-first-1', 'rs-first-2', 'rs-second-1', 'rs-second-2']

const rulesSchema = z.record(z.string(), enrolmentRuleSchema)
const outputsSchema = z.object({
  enrolment_rules: z.object({ value: rulesSchema }),
  scripts: z.object({ value: z.record(z.string(), z.string()) }),
  others: z.object({
    value: z.object({ from_s3: z.string(), register: z.string(), rules: rulesSchema }),
  }),
})

let terraform: Terraform
let outputs: z.output<typeof outputsSchema>
const example = join(copy, 'examples/two-regions')
before(async () => {
  terraform = await startTerraform()
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  cpSync(join(root, 'infra'), copy, {
    recursive: true,
    filter: (file) => !/\.terraform/.test(file),
  })
  writeFileSync(VALUES.zip_file, 'zip')
  writeFileSync(join(example, 'others.tf'), OTHERS)
  writeFileSync(join(example, 'terraform.tfvars.json'), JSON.stringify(VALUES))
  for (const args of [['init'], ['apply', '-auto-approve']]) {
    const { status, output } = await terraform.run(example, ...args, '-input=false', '-no-color')
    assert.equal(status, 0, output)
  }
  const { output } = await terraform.run(example, 'output', '-json', '-no-color')
  outputs = outputsSchema.parse(JSON.parse(output))
})
after(async () => {
  await terraform.close()
  rmSync(copy, { recursive: true, force: true })
})

const scriptOf = (host: string): string => outputs.scripts.value[host] ?? assert.fail(host)

describe('enrolment rules of two regions', () => {
  test('let each instance in as its own host, in its site and role, and nobody else', () => {
    const rules = outputs.enrolment_rules.value
    assert.deepEqual(Object.keys(rules).toSorted(), HOSTS)
    const list = Object.entries(rules).map(([name, spec]) => ({ name, spec }))
    for (const [host, { aws, site, role }] of Object.entries(rules)) {
      const caller = { account: ACCOUNT, arn: aws.arn, region: 'eu-central-1' }
      const match = matchRules(list, caller)
      assert.equal(match.ok && match.hostName, host)
      assert.equal(role, host.startsWith('dir-') ? 'director' : 'real-server')
      assert.equal(site, host.includes('first') ? 'first' : 'second')
      for (const other of [
        { ...caller, account: '210987654321' },
        { ...caller, arn: aws.arn.replace(/i-.*/, 'i-0123456789abcdef9') },
        { ...caller, arn: aws.arn.replace('assumed-role/', 'assumed-role/other-') },
      ])
        assert.equal(matchRules(list, other).ok, false, other.arn)
    }
  })

  test('let managed nodes outside of AWS in by name, and instances not', () => {
    const list = Object.entries(outputs.others.value.rules).map(([name, spec]) => ({ name, spec }))
    const arn = `arn:aws:sts::${ACCOUNT}:assumed-role/lvsfleet-cellar/`
    const ask = (session: string) =>
      matchRules(list, { account: ACCOUNT, arn: arn + session, region: 'eu-central-1' })
    const match = ask('mi-0123456789abcdef0')
    assert.equal(match.ok && match.hostName, 'mi-0123456789abcdef0')
    assert.equal(ask('i-0123456789abcdef0').ok, false)
  })
})

describe('the setup of a host', () => {
  const DIRECTOR = [
    'ip_vs',
    'ip_vs_rr',
    'ip_vs_wrr',
    'ip_vs_lc',
    'ip_vs_wlc',
    'ip_vs_sh',
    'ip_vs_mh',
  ]

  test('installs the declared package and starts the agent with settings that it reads', async (t) => {
    const setUp = async (name: string) => {
      const host = makeSetupHost(t)
      host.offer(FILE, PACKAGE)
      host.knows([...DIRECTOR, 'ipip', 'sit', 'ip6_tunnel', 'ip_gre', 'ip6_gre', 'fou', 'fou6'])
      const ran = await host.run(scriptOf(name))
      assert.equal(ran.code, 0, ran.said)
      assert.equal(host.kept('running/lvsfleet-agent/version'), PACKAGE)
      assert.ok(host.kept('units/lvsfleet-agent.enabled') !== undefined)
      const settings = host.kept('running/lvsfleet-agent/settings') ?? ''
      const env = Object.fromEntries(
        settings
          .trim()
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      )
      const config = parseConfig([], env)
      assert.deepEqual(
        [config.name, config.join, config.awsRegion, config.api?.protocol],
        [name, 'aws', VALUES.regions.first, 'https:'],
      )
      assert.equal(config.role, name.startsWith('dir-') ? 'director' : 'real-server')
      assert.equal(config.addresses.length, 1)
      const modules = host.file('etc/modules-load.d/lvsfleet.conf')
      assert.equal(modules, host.kept('loaded'), 'loaded now and at each boot')
      assert.equal(modules?.includes('ip_vs'), name.startsWith('dir-'))
    }
    await Promise.all(HOSTS.map(setUp))
  })

  test('refuses a package with another checksum, and does nothing else then', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, 'something else')
    host.knows(DIRECTOR)
    const ran = await host.run(scriptOf('dir-first'))
    assert.equal(ran.code, 1)
    assert.match(ran.said, new RegExp(`its SHA-256 is ${sha256('something else')}`))
    assert.match(ran.said, /nothing is installed/)
    for (const path of ['installed/lvsfleet-agent', 'running/lvsfleet-agent/pid', 'loaded'])
      assert.equal(host.kept(path), undefined, path)
    assert.equal(host.file('etc/lvsfleet/agent.env'), undefined)
  })

  test('leaves a running agent as it is when it is run again and when a bad package comes', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, PACKAGE)
    host.knows(DIRECTOR)
    await host.run(scriptOf('dir-first'))
    const pid = host.kept('running/lvsfleet-agent/pid')
    const again = await host.run(scriptOf('dir-first'))
    assert.match(again.said, /changed: no/)
    host.offer('lvsfleet-agent_0.2.0_arm64.deb', 'agent 0.2.0, but not this one')
    const upgrade = (text: string) =>
      scriptOf('dir-first').replaceAll(sha256(PACKAGE), sha256(text)).replaceAll('0.1.0', '0.2.0')
    assert.equal((await host.run(upgrade('agent 0.2.0'))).code, 1)
    assert.equal(host.kept('running/lvsfleet-agent/pid'), pid)
    assert.equal(host.kept('installed/lvsfleet-agent'), PACKAGE)
    host.offer('lvsfleet-agent_0.2.0_arm64.deb', 'agent 0.2.0')
    assert.equal((await host.run(upgrade('agent 0.2.0'))).code, 0)
    assert.equal(host.kept('running/lvsfleet-agent/version'), 'agent 0.2.0')
    assert.notEqual(host.kept('running/lvsfleet-agent/pid'), pid)
  })

  test('restarts the agent for other settings', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, PACKAGE)
    host.knows(DIRECTOR)
    await host.run(scriptOf('dir-first'))
    const moved = scriptOf('dir-first').replace('LVSFLEET_JOIN=aws', 'LVSFLEET_JOIN=key')
    assert.equal((await host.run(moved)).code, 0)
    assert.match(host.kept('running/lvsfleet-agent/settings') ?? '', /LVSFLEET_JOIN=key/)
  })

  test('goes on where the kernel lacks a module, and says so', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, PACKAGE)
    host.knows(['ip_vs'])
    const ran = await host.run(scriptOf('dir-first'))
    assert.equal(ran.code, 0, ran.said)
    assert.match(ran.said, /no module ip_vs_mh/)
  })

  test('fails where the package cannot be fetched', async (t) => {
    const host = makeSetupHost(t)
    host.knows(DIRECTOR)
    assert.notEqual((await host.run(scriptOf('dir-first'))).code, 0)
    assert.equal(host.file('etc/lvsfleet/agent.env'), undefined)
  })

  test('reads from S3 by the host’s role', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, PACKAGE)
    host.keep('awscli', '')
    host.knows([])
    const ran = await host.run(outputs.others.value.from_s3)
    assert.equal(ran.code, 0, ran.said)
    assert.equal(host.kept('installed/lvsfleet-agent'), PACKAGE)
  })

  test('registers a machine once, with what an operator put there, and keeps no code', async (t) => {
    const host = makeSetupHost(t)
    const { register } = outputs.others.value
    const early = await host.run(register)
    assert.equal(early.code, 1)
    assert.match(early.said, /put the activation's id and code into/)
    host.keep('activation', 'an-id a-code')
    host.keep('installed/amazon-ssm-agent', '3.3')
    host.keep('units/amazon-ssm-agent.service', '')
    host.keep('installed/lvsfleet-agent', PACKAGE)
    host.keep('units/lvsfleet-agent.service', '')
    host.write('etc/lvsfleet/ssm-activation', 'an-id a-code\n')
    const ran = await host.run(register)
    assert.equal(ran.code, 0, ran.said)
    assert.equal(host.file('var/lib/amazon/ssm/registration'), 'eu-central-1\n')
    assert.equal(host.file('etc/lvsfleet/ssm-activation'), undefined)
    assert.equal(host.file('run/lvsfleet-aws-credentials'), '[default]\n')
    assert.equal(host.kept('group of lvsfleet-aws-credentials'), 'lvsfleet-agent\n')
    assert.ok(host.kept('running/lvsfleet-agent/pid') !== undefined)
    host.write('var/lib/lvsfleet-agent/identity.json', '{}')
    const pid = host.kept('running/lvsfleet-agent/pid')
    assert.equal((await host.run(register)).code, 0)
    assert.equal(host.kept('running/lvsfleet-agent/pid'), pid, 'who is enrolled is left alone')
  })

  test('lets the agent’s user read the token that an operator put there', async (t) => {
    const host = makeSetupHost(t)
    host.offer(FILE, PACKAGE)
    host.knows(DIRECTOR)
    host.write('etc/lvsfleet/join-token', 'lvsj_1\n')
    assert.equal((await host.run(scriptOf('dir-first'))).code, 0)
    assert.equal(host.kept('group of join-token'), 'lvsfleet-agent\n')
  })

  test('fits into user data', () => {
    for (const name of HOSTS) assert.ok(Buffer.byteLength(scriptOf(name)) < 16_384, name)
  })
})

type Mistake = readonly [file: string, from: string, to: string, words: RegExp]

/** Each changes one text of a module. Terraform looks in steps, so those of one step are made at once; each must be named. */
const MISTAKES: Readonly<Record<string, readonly Mistake[]>> = {
  'calls of modules': [
    [
      'real-server/main.tf',
      'role                  = "',
      'colour = 1\n  role = "',
      /named "colour"/,
    ],
  ],
  references: [
    [
      'real-server/main.tf',
      '([aws_security_group.this.id]',
      '([aws_security_group.this.ident]',
      /named "ident"/,
    ],
    ['host-setup/outputs.tf', 'local.settings', 'local.setting', /name "setting"/],
    ['director-on-premises/main.tf', '= var.machines', '= var.machine', /name "machine"/],
  ],
  'arguments and blocks': [
    ['ec2-hosts/main.tf', 'source_dest_check  ', 'source_dest  ', /named "source_dest"/],
    [
      'ec2-hosts/main.tf',
      'primary_network_interface {',
      'main_interface {',
      /type "main_interface"/,
    ],
    [
      'ec2-hosts/main.tf',
      'volume_size = var.disk_gb',
      'volume_size = "ten"',
      /volume_size[^]*a number is required/,
    ],
    ['director/main.tf', 'ip_protocol       = "icmp"', '', /"ip_protocol" is required/],
    ['director-on-premises/main.tf', '= var.machines', '= ["many"]', /registration_limit/],
    [
      'observability/main.tf',
      'dashboard_body = local.dashboard',
      '',
      /"dashboard_body" is required/,
    ],
  ],
}

describe('a mistake in a module of hosts is caught, in', () => {
  for (const [step, mistakes] of Object.entries(MISTAKES)) {
    test(step, async () => {
      const good = new Map<string, string>()
      for (const [file, from, to] of mistakes) {
        const place = join(copy, 'modules', file)
        const text = readFileSync(place, 'utf8')
        assert.ok(text.includes(from), `${file} does not say ${from}`)
        if (!good.has(place)) good.set(place, text)
        writeFileSync(place, text.replace(from, to))
      }
      const { status, output } = await terraform.run(example, 'validate', '-no-color')
      for (const [place, text] of good) writeFileSync(place, text)
      assert.equal(status, 1, output)
      const said = output.replaceAll(/\s+/g, ' ')
      for (const [, , , words] of mistakes) assert.match(said, words)
    })
  }
})
