// `npm run lab`: the kernel lab for people. Runs a scenario, or gives a shell in one of its hosts.
import { parseArgs } from 'node:util'
import { engineName, type Lab, type LabOptions, startLab } from './lab.ts'
import { scenarios } from './scenarios/index.ts'
import { labShell } from './shell.ts'
import { namespaces, twoSites } from './topology.ts'

const HELP = `The kernel lab: a real Linux kernel with IPVS and two routed sites, as an ordinary process.

usage: npm run lab -- [--engine NAME] COMMAND

  list            the scenarios
  SCENARIO        run one of them
  shell [HOST]    a shell in a host (default dir-a)

  --engine NAME   qemu: the kernel of Debian 12, 6.1 (default); qemu-6.12: that of Debian 13;
                  uml: User-Mode Linux, quicker
  --markdown      matrix: write docs/forwarding-matrix.md
  --help          this text

hosts: root ${namespaces(twoSites).join(' ')}

examples:
  npm run lab -- list
  npm run lab -- topology
  npm run lab -- matrix --markdown
  npm run lab -- --engine uml ipvs-by-hand
  npm run lab -- shell rs-b1

The first run prepares the machine (Debian packages, a kernel in .lab; as root, once).`

process.exitCode = await main()

async function main(): Promise<number> {
  const parsed = parse()
  if (typeof parsed === 'string') return refuse(parsed)
  const { help, engine, markdown, words } = parsed
  const [command, argument] = words
  if (help || command === undefined) {
    console.log(HELP)
    return help ? 0 : 2
  }
  if (command === 'list') {
    for (const { name, summary } of scenarios) console.log(`${name.padEnd(16)}${summary}`)
    return 0
  }
  if (command === 'shell') {
    const host = argument ?? 'dir-a'
    if (!['root', ...namespaces(twoSites)].includes(host)) return refuse(`there is no host ${host}`)
    return withLab({ engine }, (lab) => labShell(lab, host))
  }
  const scenario = scenarios.find(({ name }) => name === command)
  if (!scenario) return refuse(`there is no scenario ${command}; try: npm run lab -- list`)
  const { topology } = scenario
  return withLab({ engine, topology }, (lab) => scenario.run(lab, console.log, { markdown }))
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        engine: { type: 'string' },
        markdown: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    return {
      help: values.help ?? false,
      engine: engineName(values.engine ?? process.env['LAB_ENGINE']),
      markdown: values.markdown ?? false,
      words: positionals,
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function refuse(text: string): number {
  console.error(`${text}\nsee: npm run lab -- --help`)
  return 2
}

async function withLab(
  options: Pick<LabOptions, 'engine' | 'topology'>,
  work: (lab: Lab) => Promise<void>,
): Promise<number> {
  const begin = Date.now()
  console.error(`starting the lab (${options.engine}), some ten seconds`)
  try {
    await using lab = await startLab(options)
    console.error(
      `up after ${((Date.now() - begin) / 1000).toFixed(1)} s; console and logs in ${lab.runDir}\n`,
    )
    await work(lab)
    return 0
  } catch (error) {
    console.error(`failed: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}
