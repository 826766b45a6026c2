/**
 * Schema and logic of the Terraform modules, against a double: their form, their own tests, that mistakes are
 * caught, and rules that no module may break. That AWS accepts the values is not shown here (infra/README.md).
 */
import assert from 'node:assert/strict'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lab, startTerraform, type Terraform } from './terraform.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const infra = join(root, 'infra')
const broken = join(lab, 'broken')
const modules = globSync('{modules,examples}/*', { cwd: infra }).toSorted()
const files = globSync('**/*.tf', { cwd: infra }).map((file) => ({
  file,
  text: readFileSync(join(infra, file), 'utf8'),
}))

let terraform: Terraform
before(async () => {
  terraform = await startTerraform()
})
after(async () => {
  await terraform.close()
  rmSync(broken, { recursive: true, force: true })
})

test('terraform’s own form', async () => {
  assert.ok(modules.length >= 3)
  const { status, output } = await terraform.run(infra, 'fmt', '-check', '-recursive', '-diff')
  assert.equal(status, 0, output)
})

test('terraform installs and starts a provider of ours', async () => {
  const folder = join(lab, 'installed')
  rmSync(folder, { recursive: true, force: true })
  cpSync(join(infra, 'modules/database'), folder, {
    recursive: true,
    filter: (file) => !file.includes('.terraform'),
  })
  for (const args of [['init', '-input=false'], ['validate']]) {
    const { status, output } = await terraform.installed(folder, ...args, '-no-color')
    assert.equal(status, 0, output)
  }
})

describe('each module is valid, and holds its own tests:', { concurrency: 2 }, () => {
  for (const module of modules) {
    test(module, async () => {
      const folder = join(infra, module)
      for (const args of [['init', '-input=false'], ['validate']]) {
        const { status, output } = await terraform.run(folder, ...args, '-no-color')
        assert.equal(status, 0, output)
      }
      const hasTests = globSync('tests/*.tftest.hcl', { cwd: folder }).length > 0
      assert.ok(hasTests || module.startsWith('examples/'), `${module} has no tests`)
      if (!hasTests) return
      const { status, output } = await terraform.run(folder, 'test', '-no-color')
      assert.equal(status, 0, output)
      const passed = Number(/Success! (\d+) passed/.exec(output)?.[1] ?? 0)
      assert.ok(passed > 0, output)
    })
  }
})

/** Each changes one text of the database's module, and must be refused with these words. */
const MISTAKES: readonly (readonly [what: string, from: string, to: string, words: RegExp])[] = [
  ['an unknown argument', 'storage_encrypted  ', 'storage_encrypt  ', /Unsupported argument/],
  ['a missing argument', 'subnet_ids = var.subnet_ids', '', /Missing required argument/],
  ['a wrong type', '= var.backup_days', '= "many"', /Inappropriate value|a number is required/],
  ['an unknown block', 'parameter {', 'parameters {', /Unsupported block type/],
  [
    'an unknown kind of resource',
    '"aws_db_subnet_group" "this"',
    '"aws_db_subnets" "this"',
    /Invalid resource type|not support resource type/,
  ],
  [
    'an unknown exported attribute',
    'aws_rds_cluster.this.endpoint',
    'aws_rds_cluster.this.end_point',
    /Unsupported attribute/,
  ],
  [
    'a block too many',
    'serverlessv2_scaling_configuration {',
    'serverlessv2_scaling_configuration {}\n  serverlessv2_scaling_configuration {',
    /Too many serverlessv2/,
  ],
  [
    'an argument given twice',
    'storage_encrypted  ',
    'engine = "x"\n  storage_encrypted  ',
    /Attribute redefined/,
  ],
]

describe('a mistake in the database’s module is caught:', () => {
  const source = join(infra, 'modules/database')
  before(async () => {
    rmSync(broken, { recursive: true, force: true })
    mkdirSync(broken, { recursive: true })
    for (const name of globSync('*.tf', { cwd: source }))
      cpSync(join(source, name), join(broken, name))
    const { status, output } = await terraform.run(broken, 'init', '-input=false', '-no-color')
    assert.equal(status, 0, output)
  })

  for (const [what, from, to, words] of MISTAKES) {
    test(what, async () => {
      const name = ['main.tf', 'outputs.tf'].find((one) =>
        readFileSync(join(source, one), 'utf8').includes(from),
      )
      assert.ok(name !== undefined, `nothing says ${from}`)
      const good = readFileSync(join(source, name), 'utf8')
      writeFileSync(join(broken, name), good.replaceAll(from, to))
      const { status, output } = await terraform.run(broken, 'validate', '-no-color')
      writeFileSync(join(broken, name), good)
      assert.equal(status, 1, output)
      assert.match(output, words)
    })
  }
})

type Resource = {
  readonly file: string
  readonly type: string
  readonly name: string
  readonly text: string
}

/** `terraform fmt` closes a resource with a brace at the line's start. */
const resources: readonly Resource[] = files.flatMap(({ file, text }) =>
  [...text.matchAll(/^resource "(\w+)" "(\w+)" \{\n([\s\S]*?)^\}/gm)].map(
    ([, type = '', name = '', body = '']) => ({
      file,
      type,
      name,
      text: body,
    }),
  ),
)
const ofType = (type: string) => resources.filter((one) => one.type === type)
const namesOf = (list: readonly Resource[]) => list.map(({ file, name }) => `${file}: ${name}`)

/** Is what comes next the resource of the statement `Channels`? */
function isChannels(before: string): boolean {
  const statement = before.slice(before.lastIndexOf('Sid'))
  const actions = /Action\s+= (.*)\n/.exec(statement)?.[1] ?? ''
  return (
    /^Sid\s+= "Channels"/.test(statement) &&
    (/^concat\(local\.channels, try\(.*\) \? local\.sessions : \[\]\)$/.test(actions) ||
      /^\[("ssmmessages:\w+"(, )?)+\]$/.test(actions))
  )
}

describe('policy:', () => {
  test('a Function URL has both permissions', () => {
    for (const { file } of ofType('aws_lambda_function_url')) {
      const given = ofType('aws_lambda_permission').filter((one) => one.file === file)
      assert.ok(
        given.some(({ text }) => /action\s+= "lambda:InvokeFunctionUrl"/.test(text)),
        file,
      )
      assert.ok(
        given.some(
          ({ text }) =>
            /action\s+= "lambda:InvokeFunction"\n/.test(text) &&
            /invoked_via_function_url\s+= true/.test(text),
        ),
        file,
      )
    }
    assert.ok(ofType('aws_lambda_function_url').length > 0)
  })

  test('nothing lets the world in', () => {
    const rules = resources.filter(({ type }) => /security_group/.test(type))
    assert.ok(rules.length > 5)
    const open = rules.filter(
      ({ type, text }) => !type.includes('egress') && /0\.0\.0\.0\/0|::\/0/.test(text),
    )
    assert.deepEqual(namesOf(open), [])
  })

  test('secrets are SecureString, and written without being kept', () => {
    const parameters = ofType('aws_ssm_parameter')
    assert.ok(parameters.length > 0)
    const plain = parameters.filter(
      ({ text }) =>
        !/type\s+= "SecureString"/.test(text) ||
        !/value_wo\s+=/.test(text) ||
        /^\s+value\s+=/m.test(text),
    )
    assert.deepEqual(namesOf(plain), [])
    const kept = resources.filter(({ text }) => /^\s+(master_)?password\s+=/m.test(text))
    assert.deepEqual(namesOf(kept), [])
  })

  test('databases are encrypted and private', () => {
    assert.ok(ofType('aws_rds_cluster').length > 0)
    const clear = ofType('aws_rds_cluster').filter(
      ({ text }) => !/storage_encrypted\s+= true/.test(text),
    )
    const open = ofType('aws_rds_cluster_instance').filter(
      ({ text }) => !/publicly_accessible\s+= false/.test(text),
    )
    assert.deepEqual(namesOf([...clear, ...open]), [])
  })

  test('no policy allows every action, and only channels of Systems Manager, which have none, name no resource', () => {
    const wide = files.flatMap(({ file, text }) =>
      [...text.matchAll(/(Action|Resource)\s+= \[?"(\*|[a-z0-9-]+:\*)"/g)]
        .filter(({ index, 1: kind }) => kind === 'Action' || !isChannels(text.slice(0, index)))
        .map(([found]) => `${file}: ${found}`),
    )
    assert.deepEqual(wide, [])
    const channels = files.flatMap(({ text }) =>
      [...text.matchAll(/^  (?:channels|sessions) = \[(.*)\]$/gm)].map(([, list = '']) => list),
    )
    assert.ok(channels.length >= 2)
    for (const action of channels.join(', ').split(', '))
      assert.match(action, /^"ssmmessages:(Create|Open)(Control|Data)Channel"$/)
  })

  test('a role is for one service, and AWS’s ready-made policies are not used for hosts', () => {
    const roles = ofType('aws_iam_role')
    assert.ok(roles.length >= 4)
    const loose = roles.filter(
      ({ text }) =>
        [...text.matchAll(/Principal = /g)].length !== 1 ||
        !/Principal = \{ Service = "[a-z0-9]+\.amazonaws\.com" \}/.test(text),
    )
    assert.deepEqual(namesOf(loose), [])
    const readyMade = ofType('aws_iam_role_policy_attachment').filter(
      ({ text }) => !/AWSLambdaVPCAccessExecutionRole"/.test(text),
    )
    assert.deepEqual(namesOf(readyMade), [])
    assert.ok(!files.some(({ text }) => /managed_policy_arns/.test(text)))
  })

  test('instances give their metadata to themselves only, have encrypted disks, and handle foreign packets', () => {
    const instances = ofType('aws_instance')
    assert.ok(instances.length > 0)
    const open = instances.filter(
      ({ text }) =>
        !/http_tokens\s+= "required"/.test(text) ||
        !/http_put_response_hop_limit\s+= 1\n/.test(text) ||
        !/encrypted\s+= true/.test(text),
    )
    const checked = ofType('aws_network_interface').filter(
      ({ text }) => !/source_dest_check\s+= false/.test(text),
    )
    assert.deepEqual(namesOf([...open, ...checked]), [])
    assert.equal(ofType('aws_launch_template').length, 0, 'it has no source/destination check')
  })

  test('tunnels come from networks that somebody named, and a secret goes into the state only when asked', () => {
    const tunnels = ofType('aws_vpc_security_group_ingress_rule').filter(
      ({ name }) => name === 'tunnel',
    )
    assert.equal(tunnels.length, 2)
    for (const { text, file } of tunnels) {
      assert.match(text, /for_each\s+= local\.tunnel_rules/, file)
      assert.match(text, /cidr_ipv4\s+= each\.value\.cidr/, file)
    }
    const activations = ofType('aws_ssm_activation')
    assert.equal(activations.length, 1)
    for (const { text } of activations) assert.match(text, /count\s+= local\.is_made \? 1 : 0/)
    const printed = files.filter(({ text }) =>
      /^output "(cloud_config|register_script)" \{[^}]*activation/ms.test(text),
    )
    for (const { file, text } of printed)
      assert.equal([...text.matchAll(/sensitive\s+= true/g)].length, 2, file)
  })

  test('variables and outputs are described, and variables of modules have types', () => {
    const said = files.flatMap(({ file, text }) =>
      [...text.matchAll(/^(variable|output) "(\w+)" \{\n([\s\S]*?)^\}/gm)].map(
        ([, kind, name, body = '']) => ({
          label: `${file}: ${kind} ${name}`,
          isGood:
            /^\s+description\s+= ".{10,}"/m.test(body) &&
            (kind === 'output' || /^\s+type\s+=/m.test(body)),
        }),
      ),
    )
    assert.ok(said.length > 20)
    assert.deepEqual(
      said.filter(({ isGood }) => !isGood).map(({ label }) => label),
      [],
    )
  })
})
