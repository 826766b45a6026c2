/**
 * The API's module applied against the double with every setting, and what comes out of it used: the environment as the
 * function itself reads it, the policies as IAM evaluates them. And seeded mistakes, each of which the module's own tests catch.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ROLES } from '@lvs-fleet/contract'
import * as z from 'zod'
import { parseLambdaEnv } from '../../services/api/src/serverless/lambda-env.ts'
import { allows, policySchema, type Policy } from './iam.ts'
import { lab, startTerraform, type Terraform } from './terraform.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const source = join(root, 'infra/modules/api-lambda')
const copy = join(lab, 'api-lambda')
const VALUES = {
  name: 'fleet',
  zip_file: 'api.zip',
  zip_sha256: 'c2hhMjU2',
  vpc_id: 'vpc-1',
  subnet_ids: ['subnet-a'],
  database: {
    host: 'db.internal',
    port: 5432,
    name: 'lvsfleet',
    user: 'fleet',
    password_parameter: '/fleet/database-password',
    security_group_id: 'sg-database',
    resource_id: 'cluster-1',
  },
  next_signing_key_parameters: ['/fleet/signing-key-2', '/fleet/signing-key-3'],
  join_token_prefix: '/fleet/join',
  sts_endpoint: 'https://sts-proxy.internal',
  poll_seconds: 20,
}

const stateSchema = z.object({
  values: z.object({
    root_module: z.object({
      resources: z.array(
        z.object({
          type: z.string(),
          index: z.union([z.string(), z.number()]).optional(),
          values: z.record(z.string(), z.unknown()),
        }),
      ),
    }),
  }),
})
const environmentSchema = z
  .tuple([z.object({ variables: z.record(z.string(), z.string()) })])
  .transform(([{ variables }]) => variables)

let terraform: Terraform
let resources: z.output<typeof stateSchema>['values']['root_module']['resources']
before(async () => {
  terraform = await startTerraform()
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  cpSync(source, copy, { recursive: true, filter: (file) => !file.includes('.terraform') })
  const values = join(copy, 'terraform.tfvars.json')
  writeFileSync(values, JSON.stringify(VALUES))
  for (const args of [['init'], ['apply', '-auto-approve']]) {
    const { status, output } = await terraform.run(copy, ...args, '-input=false', '-no-color')
    assert.equal(status, 0, output)
  }
  const { output } = await terraform.run(copy, 'show', '-json', '-no-color')
  ;({ resources } = stateSchema.parse(JSON.parse(output)).values.root_module)
  // Values from here would stand above those of the module's tests.
  rmSync(values)
  splitTests(join(copy, 'tests'))
})
after(async () => {
  await terraform.close()
  rmSync(copy, { recursive: true, force: true })
})

/** A file for each run: terraform leaves out what follows a failure in the same file. */
function splitTests(folder: string): void {
  const file = join(folder, 'api-lambda.tftest.hcl')
  const [variables = '', ...runs] = readFileSync(file, 'utf8').split(/^(?=run ")/m)
  assert.ok(runs.length > 20)
  rmSync(file)
  for (const run of runs) {
    const [, name = ''] = /^run "(\w+)"/.exec(run) ?? []
    writeFileSync(join(folder, `${name}.tftest.hcl`), variables + run)
  }
}

const one = (type: string, index: string) =>
  resources.find((it) => it.type === type && it.index === index)?.values ??
  assert.fail(`${type}.${index}`)
const environmentOf = (name: string) =>
  environmentSchema.parse(one('aws_lambda_function', name)['environment'])
const policyOf = (name: string): Policy =>
  policySchema.parse(JSON.parse(String(one('aws_iam_role_policy', name)['policy'])))

describe('the environment that the module gives', () => {
  const read = (name: string) =>
    parseLambdaEnv({ ...environmentOf(name), AWS_REGION: 'eu-central-1' })

  test('is what the function reads as these settings', () => {
    const serving = read('api')
    assert.deepEqual(serving.nextSigningKeyParameters, VALUES.next_signing_key_parameters)
    assert.equal(serving.signingKeyParameter, '/fleet/signing-key')
    assert.equal(serving.passwordParameter, VALUES.database.password_parameter)
    assert.equal(serving.joinTokens, `ssm:${VALUES.join_token_prefix}`)
    assert.equal(serving.stsEndpoint?.href, `${VALUES.sts_endpoint}/`)
    assert.equal(serving.pollSeconds, VALUES.poll_seconds)
    const migrating = read('migrate')
    assert.deepEqual(migrating.nextSigningKeyParameters, VALUES.next_signing_key_parameters)
    assert.equal(migrating.adminKeyParameter, '/fleet/admin-key')
    assert.equal(migrating.joinTokens, undefined)
  })

  test('has no variable that the function does not read', () => {
    for (const name of ['api', 'migrate']) {
      const ours = Object.keys(environmentOf(name)).filter((key) => key.startsWith('LVSFLEET_'))
      const reader = readFileSync(join(root, 'services/api/src/serverless/lambda-env.ts'), 'utf8')
      assert.ok(ours.length > 5)
      assert.deepEqual(
        ours.filter((key) => !reader.includes(`${key}:`)),
        [],
      )
    }
  })
})

const arnOf = (name: string) => `arn:aws:ssm:eu-central-1:123456789012:parameter${name}`
const KEYS = ['/fleet/signing-key', ...VALUES.next_signing_key_parameters]
const TOKENS = ['site-a', 'b'].flatMap((site) => ROLES.map((role) => `/fleet/join/${site}/${role}`))
/** Beside what is named: nobody may do anything with them. */
const NEIGHBOURS = [
  '/fleet/signing-key-4',
  '/fleet/signing-key-22',
  '/fleet/join',
  '/fleet/join/site-a',
  '/fleet/join/site-a/operator',
  '/fleet/join-of-others/site-a/director',
  '/other/signing-key',
  '/fleet',
]
const WAYS = ['read', 'create', 'replace'] as const
type Way = (typeof WAYS)[number]

/** Which of the three the function of this policy may do with a parameter, as the API asks for them. */
function waysTo(policy: Policy, name: string): readonly Way[] {
  const put = (overwrite: boolean) => ({ 'ssm:Overwrite': String(overwrite) })
  const requests = {
    read: ['ssm:GetParameter', {}],
    create: ['ssm:PutParameter', put(false)],
    replace: ['ssm:PutParameter', put(true)],
  } as const
  return WAYS.filter((way) => allows(policy, requests[way][0], arnOf(name), requests[way][1]))
}

describe('with the parameters of Parameter Store', () => {
  const ROWS: readonly (readonly [
    what: string,
    names: readonly string[],
    api: readonly Way[],
    migrate: readonly Way[],
  ])[] = [
    ['keys that sign, now or later', KEYS, ['read'], ['read', 'create']],
    ['the first API key', ['/fleet/admin-key'], [], ['create']],
    ['the database’s password', ['/fleet/database-password'], ['read'], ['read']],
    ['join tokens', TOKENS, [...WAYS], []],
    ['anything beside', NEIGHBOURS, [], []],
  ]
  for (const [what, names, api, migrate] of ROWS) {
    test(`${what}: serving may ${api.join(', ') || 'nothing'}; migrating ${migrate.join(', ') || 'nothing'}`, () => {
      for (const name of names) {
        assert.deepEqual(waysTo(policyOf('api'), name), api, name)
        assert.deepEqual(waysTo(policyOf('migrate'), name), migrate, name)
      }
    })
  }

  test('nothing else of Systems Manager, STS, IAM or KMS', () => {
    for (const name of ['api', 'migrate'])
      for (const action of [
        'ssm:DeleteParameter',
        'ssm:GetParametersByPath',
        'ssm:GetParameterHistory',
        'ssm:LabelParameterVersion',
        'sts:AssumeRole',
        'iam:PassRole',
        'kms:Decrypt',
      ])
        for (const parameter of [...KEYS, ...TOKENS, '/fleet/admin-key'])
          assert.ok(!allows(policyOf(name), action, arnOf(parameter), {}), `${name}: ${action}`)
  })
})

type Mistake = readonly [what: string, from: string, to: string, run: string, said?: RegExp]

/**
 * Each changes one text of the module. Those of one step do not hide one another; the run of
 * the module's own tests that is named must fail, with these words.
 */
const MISTAKES: Readonly<Record<string, readonly Mistake[]>> = {
  'what is told and allowed': [
    [
      'serving is not told the keys that follow',
      'length(var.next_signing_key_parameters) == 0 ?',
      'each.key == "api" ?',
      'knows_the_keys_that_follow_the_first_one',
      /both functions must be told them/,
    ],
    [
      'keys that follow cannot be read',
      '    var.next_signing_key_parameters,\n    local.uses_iam',
      '    local.uses_iam',
      'knows_the_keys_that_follow_the_first_one',
      /both functions must be able to read them/,
    ],
    [
      'migrating cannot make the keys that follow',
      'concat([local.signing_key, local.admin_key], var.next_signing_key_parameters)',
      '[local.signing_key, local.admin_key]',
      'knows_the_keys_that_follow_the_first_one',
      /migrating makes keys/,
    ],
    [
      'migrating may replace a key',
      'Effect    = "Deny"',
      'Effect    = "Allow"',
      'knows_the_keys_that_follow_the_first_one',
      /migrating replaces no key/,
    ],
    [
      'serving may write all of the prefix',
      '/*/${role}',
      '/*',
      'keeps_join_tokens_where_hosts_fetch_them',
      /serving writes join tokens and no other parameter/,
    ],
    [
      'nobody is told where tokens are kept',
      'each.key == "api" && local.keeps',
      'each.key == "migrate" && local.keeps',
      'keeps_join_tokens_where_hosts_fetch_them',
      /the function that keeps house must be told where/,
    ],
    [
      'STS is always asked by a proxy',
      'each.key == "api" && var.sts_endpoint != null ? { LVSFLEET_STS_ENDPOINT = var.sts_endpoint }',
      'each.key == "api" ? { LVSFLEET_STS_ENDPOINT = "https://sts.amazonaws.com" }',
      'asks_sts_itself_unless_told_otherwise',
      /what nobody asked for must not be set/,
    ],
    [
      'the endpoint is that of another service',
      '${local.region}.${each.key}"',
      '${local.region}.${each.key == "sts" ? "sqs" : each.key}"',
      'asks_sts_itself_unless_told_otherwise',
      /private subnets must reach STS of this region/,
    ],
    [
      'neighbours are let in at any port',
      'cidr_ipv4         = each.key\n  ip_protocol       = "tcp"\n  from_port         = 443',
      'cidr_ipv4         = each.key\n  ip_protocol       = "tcp"\n  from_port         = 1',
      'lets_neighbours_use_the_endpoints_only_where_they_are_named',
      /hosts of the same network find AWS at the endpoints/,
    ],
  ],
  'what is wider than what was named': [
    [
      'a parameter is named by its beginning',
      '[for name in local.reads : "${local.parameters}${name}"]',
      '[for name in local.reads : "${local.parameters}${name}*"]',
      'knows_the_keys_that_follow_the_first_one',
      /both functions must be able to read them, and nothing else/,
    ],
    [
      'serving may write tokens that nobody asked for',
      '"${var.join_token_prefix}/*/${role}"] : []',
      '"${var.join_token_prefix}/*/${role}"] : ["/join/*"]',
      'gives_each_role_what_it_needs_and_no_more',
      /serving reads secrets and writes logs/,
    ],
  ],
  'what is let through': [
    [
      'a star in the name of a key',
      'name in var.next_signing_key_parameters : can(regex(',
      'name in var.next_signing_key_parameters : true || can(regex(',
      'refuses_keys_whose_names_are_no_names_of_parameters',
    ],
    [
      'tokens above the keys',
      '!startswith(name,',
      '!endswith(name,',
      'refuses_a_prefix_above_the_keys',
    ],
    ['STS in clear', '"^https://[a-z0-9]', '"^https?://[a-z0-9]', 'refuses_sts_in_clear'],
    [
      'the password as a key',
      'setintersection(var.next_signing_key_parameters, local.taken)',
      'setintersection(var.next_signing_key_parameters, [])',
      'refuses_the_password_as_a_key_that_migrating_may_write',
    ],
    [
      'anybody as the user of the database',
      'can(regex("^[A-Za-z_][A-Za-z0-9_-]{0,62}$", var.database.user))',
      'var.database.user != null',
      'refuses_a_database_whose_user_is_anybody',
    ],
  ],
}

describe('mistakes in the API’s module are caught by its tests:', () => {
  for (const [step, mistakes] of Object.entries(MISTAKES)) {
    test(`${step}: ${mistakes.map(([what]) => what).join('; ')}`, async () => {
      const texts = new Map(
        ['main.tf', 'network.tf', 'variables.tf'].map((name) => [
          name,
          readFileSync(join(source, name), 'utf8'),
        ]),
      )
      for (const [, from, to] of mistakes) {
        const found = [...texts].find(([, text]) => text.includes(from))
        assert.ok(found !== undefined, `nothing says ${from}`)
        texts.set(
          found[0],
          found[1].replace(from, () => to),
        )
      }
      for (const [name, text] of texts) writeFileSync(join(copy, name), text)
      const runs = new Set(mistakes.map(([, , , run]) => `-filter=tests/${run}.tftest.hcl`))
      const { status, output } = await terraform.run(copy, 'test', '-no-color', ...runs)
      assert.equal(status, 1, output)
      for (const [, , , run, said] of mistakes) {
        assert.match(output, new RegExp(`run "${run}"... fail`))
        if (said !== undefined) assert.match(output, said)
      }
    })
  }
})
