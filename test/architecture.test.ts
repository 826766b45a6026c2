/**
 * Holds the rules of direction of ARCHITECTURE.md by reading every import. A rule that nobody can
 * break by accident needs no reviewer; a test that saw no files would be worthless, so it counts them.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

type Import = { readonly file: string; readonly target: string }

const sources = globSync(
  ['contract/src/**/*.ts', 'services/*/src/**/*.ts', 'clients/*/src/**/*.ts'],
  {
    cwd: root,
  },
).filter((file) => !file.endsWith('.test.ts'))

const texts = new Map(sources.map((file) => [file, readFileSync(join(root, file), 'utf8')]))
const imports: Import[] = [...texts].flatMap(([file, text]) =>
  [
    ...text.matchAll(
      /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g,
    ),
  ].map((match) => ({ file, target: resolve(file, match[1] ?? match[2] ?? match[3] ?? '') })),
)

/** A relative import as a path from the root, a package by its name. */
function resolve(file: string, specifier: string): string {
  return specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier
}

function offenders(within: RegExp, forbidden: RegExp, except: RegExp = /^$/): string[] {
  return imports
    .filter(({ file, target }) => within.test(file) && forbidden.test(target) && !except.test(file))
    .map(({ file, target }) => `${file} imports ${target}`)
}

const API = 'services/api/src'
const AGENT = 'services/agent/src'

const RULES: { name: string; within: RegExp; forbidden: RegExp; except?: RegExp }[] = [
  {
    name: 'contract imports zod and itself only',
    within: /^contract\//,
    forbidden: /^(?!contract\/src\/|zod$)/,
  },
  {
    name: 'the agent takes zod/mini, which is all of zod that its bundle has',
    within: /^services\/agent\//,
    forbidden: /^zod$/,
  },
  {
    name: 'the API never imports the agent or a client',
    within: /^services\/api\//,
    forbidden: /^(services\/agent|clients)\//,
  },
  {
    name: 'the agent never imports the API or a client',
    within: /^services\/agent\//,
    forbidden: /^(services\/api|clients)\//,
  },
  {
    name: "the provider's core knows nothing of what it provides",
    within: /^clients\/terraform-provider\/src\/core\//,
    forbidden: /^(?!clients\/terraform-provider\/src\/core\/|node:|@msgpack\/msgpack$)/,
  },
  { name: 'clients import no service', within: /^clients\//, forbidden: /^services\// },
  { name: 'nothing that ships imports tests', within: /./, forbidden: /^(test|bench|demo)\// },
  {
    name: 'intent, compile, status and render do no I/O and import nothing from Node',
    within: new RegExp(`^${API}/(intent|compile|status|render)/`),
    forbidden: /^(node:|pg$|drizzle|hono|@hono|jose|pino)/,
  },
  {
    name: 'intent imports the contract only',
    within: new RegExp(`^${API}/intent/`),
    forbidden: new RegExp(`^${API}/(?!intent/)`),
  },
  {
    name: 'who may do what is decided without I/O, from intent alone',
    within: new RegExp(`^${API}/(access/|http/permissions\\.ts$)`),
    forbidden: new RegExp(`^(node:|pg$|drizzle|hono|@hono|jose|pino|${API}/(?!access/|intent/))`),
  },
  {
    name: 'compile imports intent only',
    within: new RegExp(`^${API}/compile/`),
    forbidden: new RegExp(`^${API}/(?!compile/|intent/)`),
  },
  {
    name: 'SQL stays in store',
    within: /^services\/api\//,
    forbidden: /^(drizzle|pg$|pg\/)/,
    except: new RegExp(`^${API}/store/`),
  },
  {
    name: 'store knows no HTTP and no verbs',
    within: new RegExp(`^${API}/store/`),
    forbidden: new RegExp(`^(hono|@hono|${API}/(http|verbs)/)`),
  },
  {
    name: 'verbs know no HTTP',
    within: new RegExp(`^${API}/verbs/`),
    forbidden: new RegExp(`^(hono|@hono|${API}/http/)`),
  },
  {
    name: "netlink and koffi stay in the agent's kernel folder",
    within: /./,
    forbidden: /^(netlink|koffi)(\/|$)/,
    except: new RegExp(`^${AGENT}/kernel/`),
  },
  {
    name: 'the AWS SDK stays where it is loaded on demand',
    within: /./,
    forbidden: /^(@aws-sdk|@smithy)\//,
    except: new RegExp(`^(${AGENT}/aws|${API}/secrets|${API}/serverless)/`),
  },
  {
    name: "the agent's plan does no I/O",
    within: new RegExp(`^${AGENT}/plan/`),
    forbidden: /^(node:|jose|netlink|koffi)/,
  },
  {
    name: 'what health checks decide they decide without I/O',
    within: new RegExp(`^${AGENT}/health/(judge|schedule|classify|verdict|due-queue)\\.ts$`),
    forbidden: new RegExp(`^(node:|${AGENT}/(?!health/(judge|schedule|classify|probe)\\.ts$))`),
  },
  {
    name: 'health checks know nothing of the tables that they inform',
    within: new RegExp(`^${AGENT}/health/`),
    forbidden: new RegExp(
      `^${AGENT}/(agent|loop|apply|control-plane|ledger|plan|reconcile|state)\\b`,
    ),
  },
  {
    name: 'the kernel folder knows the contract and nothing else of the agent',
    within: new RegExp(`^${AGENT}/kernel/`),
    forbidden: new RegExp(`^${AGENT}/(?!kernel/)`),
  },
]

describe('architecture', () => {
  it('saw the code', () => {
    assert.ok(sources.length > 60, `only ${sources.length} source files were found`)
    assert.ok(imports.length > 150, `only ${imports.length} imports were found`)
    for (const place of ['contract/src', API, AGENT, 'clients/cli/src']) {
      assert.ok(
        sources.some((file) => file.startsWith(place)),
        `no source file below ${place}`,
      )
    }
  })

  for (const { name, within, forbidden, except } of RULES) {
    it(name, () => {
      assert.ok(
        sources.some((file) => within.test(file)),
        'the rule matches no file',
      )
      assert.deepEqual(offenders(within, forbidden, except), [])
    })
  }

  it('process.env is read in one file of each part', () => {
    const allowed = [`${API}/env.ts`, `${AGENT}/config.ts`, 'clients/cli/src/config.ts']
    const readers = [...texts]
      .filter(([, text]) => /process\.env\b/.test(text))
      .map(([file]) => file)
    assert.deepEqual(
      readers.filter((file) => !allowed.includes(file)),
      [],
    )
  })

  it('has no default export and no enum', () => {
    const found = [...texts].filter(([, text]) =>
      /^export default\b|^\s*(export )?(const )?enum /m.test(text),
    )
    assert.deepEqual(
      found.map(([file]) => file),
      [],
    )
  })
})
