/**
 * Schema and logic of the Terraform modules, against a double: their form, their own tests, that mistakes are
 * caught, and rules that no module may break. That AWS accepts the values is not shown here (infra/README.md).
 */
import assert from 'node:assert/strict'
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { prepareTerraform, type Terraform } from './double-mirror.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const infra = join(root, 'infra')
const broken = join(root, '.lab/infra/broken')
const modules = globSync('{modules,examples}/*', { cwd: infra }).toSorted()
const files = globSync('**/*.tf', { cwd: infra }).map((file) => ({
  file,
  text: readFileSync(join(infra, file), 'utf8'),
}))

let terraform: Terraform
before(() => {
  terraform = prepareTerraform()
})
after(() => rmSync(broken, { recursive: true, force: true }))

test('terraform’s own form', async () => {
  assert.ok(modules.length >= 3)
  const { status, output } = await terraform.run(infra, 'fmt', '-check', '-recursive', '-diff')
  assert.equal(status, 0, output)
})

/** Two at a time: terraform and its provider wait for one another most of the time. */
describe('each module is valid, and holds its own tests:', { concurrency: 3 }, () => {
  for (const module of modules) {
    test(module, async () => {
      const folder = join(infra, module)
      // It has the hash of an earlier double.
      rmSync(join(folder, '.terraform.lock.hcl'), { force: true })
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

  test('no policy allows every action or names every resource', () => {
    const wide = files.filter(({ text }) =>
      /(Action|Resource)\s+= (\[?"\*"|"[a-z0-9-]+:\*")/.test(text),
    )
    assert.deepEqual(
      wide.map(({ file }) => file),
      [],
    )
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
