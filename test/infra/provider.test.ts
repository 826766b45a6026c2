/**
 * The provider core under the real terraform: a shelf of boxes goes through all that a resource can live through, by a provider
 * that terraform is told to attach to (fast) and by one that it installs and starts (true).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import * as z from 'zod'
import { makeShelf } from './shelf/shelf-provider.ts'
import { installed, lab, runWith, startWith, type Run } from './terraform.ts'

const ADDRESS = 'registry.terraform.io/example/shelf'
const place = join(lab, 'shelf')
const work = join(place, 'work')
const shelf = join(place, 'boxes')
/** Of one box. */
const TAGS = 60_000
const HEAD =
  'terraform {\n  required_providers {\n    shelf = { source = "example/shelf" }\n  }\n}\n'

const stateSchema = z.object({
  resources: z.array(
    z.object({
      type: z.string(),
      instances: z.array(
        z.object({ schema_version: z.number(), attributes: z.record(z.string(), z.unknown()) }),
      ),
    }),
  ),
})

let run: Run
let close: () => Promise<void>
before(async () => {
  ;({ run, close } = await startWith(makeShelf(shelf), ADDRESS))
})
after(async () => {
  await close()
  rmSync(place, { recursive: true, force: true })
})
beforeEach(() => {
  rmSync(place, { recursive: true, force: true })
  for (const folder of [work, shelf]) mkdirSync(folder, { recursive: true })
})

const write = (text: string) => writeFileSync(join(work, 'main.tf'), HEAD + text)
const stateText = () => readFileSync(join(work, 'terraform.tfstate'), 'utf8')
const boxes = () =>
  stateSchema
    .parse(JSON.parse(stateText()))
    .resources.filter(({ type }) => type === 'shelf_box')
    .flatMap(({ instances }) => instances.map(({ attributes }) => attributes))
const onShelf = (name: string): Record<string, unknown> =>
  z
    .record(z.string(), z.unknown())
    .parse(JSON.parse(readFileSync(join(shelf, `${name}.json`), 'utf8')))

/** Output of a command that must end so; 0 unless said. */
async function terraform(args: readonly string[], wanted = 0): Promise<string> {
  const { status, output } = await run(work, ...args, '-no-color')
  assert.equal(status, wanted, output)
  return output.replaceAll(/\s+/g, ' ')
}
const apply = (wanted = 0) => terraform(['apply', '-auto-approve', '-input=false'], wanted)
/** 2 = there is something to do. */
const plan = (wanted: 0 | 1 | 2) =>
  terraform(['plan', '-detailed-exitcode', '-input=false'], wanted)

const FULL = `
resource "shelf_box" "a" {
  name           = "a"
  title          = "first"
  pin            = "4711"
  secret         = "only-once"
  secret_version = 1
  parts = {
    lid  = { colour = "red" }
    base = { colour = "blue", weight = 7 }
  }
  notes = [{ text = "one" }, { text = "three" }]
  lids  = [{ kind = "flat" }, { kind = "round", count = 2 }]
  owner = { person = "ada" }
}
`

describe('a resource', () => {
  test('is made, found unchanged, changed in place, and taken away', async () => {
    write(FULL)
    await apply()
    const [box] = boxes()
    assert.deepEqual(box?.['parts'], {
      lid: { colour: 'red', weight: 1, mark: '#lid' },
      base: { colour: 'blue', weight: 7, mark: '#base' },
    })
    assert.deepEqual(box['notes'], [
      { text: 'one', size: 3 },
      { text: 'three', size: 5 },
    ])
    assert.deepEqual(box['owner'], { person: 'ada', badge: 'badge of ada' })
    assert.equal(box['revision'], 1)
    await plan(0)
    write(FULL.replace('"first"', '"second"').replace(', weight = 7', ''))
    const planned = await plan(2)
    assert.match(planned, /title = "first" -> "second"/)
    assert.match(planned, /weight = 7 -> 1/)
    assert.match(planned, /revision = 1 -> \(known after apply\)/)
    assert.match(planned, /0 to add, 1 to change, 0 to destroy/)
    await apply()
    assert.deepEqual([onShelf('a')['title'], onShelf('a')['revision']], ['second', 2])
    await plan(0)
    write('')
    await apply()
    assert.ok(!existsSync(join(shelf, 'a.json')))
  })

  test('is replaced where its schema says so, and made again where somebody took it away', async () => {
    write('resource "shelf_box" "a" {\n  name = "a"\n}\n')
    await apply()
    write('resource "shelf_box" "a" {\n  name = "b"\n}\n')
    assert.match(await plan(2), /name = "a" -> "b" # forces replacement/)
    await apply()
    assert.deepEqual(readdirSync(shelf), ['b.json'])
    unlinkSync(join(shelf, 'b.json'))
    assert.match(await plan(2), /1 to add, 0 to change, 0 to destroy/)
    await apply()
    await plan(0)
  })

  test('takes values that are not known yet, at any depth', async () => {
    write(`${FULL}
resource "shelf_box" "b" {
  name  = "b"
  parts = { (shelf_box.a.name) = { colour = shelf_box.a.id } }
  notes = [{ text = shelf_box.a.id }, { text = "known" }]
  lids  = [{ kind = shelf_box.a.id }, { kind = "flat" }]
  owner = { person = shelf_box.a.owner.badge }
}
`)
    await apply()
    const made = boxes().find(({ name }) => name === 'b')
    assert.deepEqual(made?.['notes'], [
      { text: 'box:a', size: 5 },
      { text: 'known', size: 5 },
    ])
    assert.deepEqual(made['owner'], { person: 'badge of ada', badge: 'badge of badge of ada' })
    assert.equal(onShelf('b')['id'], 'box:b')
    await plan(0)
  })

  test('is imported by its id, and one that is not there is refused by name', async () => {
    write(FULL)
    await apply()
    await terraform(['state', 'rm', 'shelf_box.a'])
    assert.match(await apply(1), /box a is there already: terraform import it/)
    await terraform(['import', '-input=false', 'shelf_box.a', 'a'])
    await plan(0)
    await terraform(['state', 'rm', 'shelf_box.a'])
    const missing = await terraform(['import', '-input=false', 'shelf_box.a', 'none'], 1)
    assert.match(missing, /there is no shelf_box "none" to import/)
  })

  test('is read from a state of an older version', async () => {
    write(FULL)
    await apply()
    const old = stateText()
      .replace('"schema_version": 1', '"schema_version": 0')
      .replace('"title": "first"', '"label": "first"')
    assert.match(old, /"schema_version": 0[^]*"label": "first"/)
    writeFileSync(join(work, 'terraform.tfstate'), old)
    await plan(0)
    await terraform(['apply', '-refresh-only', '-auto-approve'])
    writeFileSync(
      join(work, 'terraform.tfstate'),
      stateText().replace('"schema_version": 1', '"schema_version": 7'),
    )
    await plan(1)
  })
})

test('a resource of some megabytes is made, and has no difference after', async () => {
  // Plain values: with as many objects terraform itself takes minutes, and the provider a tenth of a second.
  const tags = Array.from({ length: TAGS }, (_, n) => `"tag-${n}" = "value of some length ${n}"`)
  write(`resource "shelf_box" "a" {\n  name = "a"\n  tags = {\n${tags.join('\n')}\n  }\n}\n`)
  await apply()
  assert.equal(Object.keys(boxes()[0]?.['tags'] ?? {}).length, TAGS)
  assert.ok(stateText().length > 2e6)
  await plan(0)
})

describe('what is wrong', () => {
  test('is shown at its line, by the provider beforehand and by the server afterwards', async () => {
    const heavy = FULL.replace('weight = 7', 'weight = 700')
    write(heavy)
    const line = (text: string, what: string) =>
      (HEAD + text).split('\n').findIndex((one) => one.includes(what)) + 1
    const early = await terraform(['validate'], 1)
    assert.match(early, /a part weighs 100 at most/)
    assert.match(early, new RegExp(`main.tf line ${line(heavy, 'base = {')}, in resource`))
    assert.match(early, /At parts\.base\.weight\./)
    const pink = FULL.replace('"blue"', '"pink"')
    write(pink)
    const late = await apply(1)
    assert.match(late, /the shelf has no pink/)
    assert.match(late, new RegExp(`line ${line(pink, 'base = {')}`))
    assert.ok(!existsSync(join(shelf, 'a.json')))
  })
})

describe('a secret', () => {
  test('that is write-only reaches the server and no state, and changes with its version', async () => {
    write(FULL)
    const shown = await apply()
    assert.equal(onShelf('a')['secret'], 'only-once')
    assert.ok(!stateText().includes('only-once'))
    assert.ok(!shown.includes('4711'), 'a sensitive value is not shown')
    write(FULL.replace('only-once', 'another'))
    await plan(0)
    write(FULL.replace('only-once', 'another').replace('secret_version = 1', 'secret_version = 2'))
    await apply()
    assert.equal(onShelf('a')['secret'], 'another')
    assert.ok(!stateText().includes('another'))
  })

  test('that is ephemeral is in no state, and is closed after each run', async () => {
    write(`ephemeral "shelf_pass" "this" {
  holder = "ada"
}
resource "shelf_box" "a" {
  name           = "a"
  secret         = ephemeral.shelf_pass.this.token
  secret_version = 1
}
`)
    await apply()
    assert.match(String(onShelf('a')['secret']), /^pass-[0-9a-f]{32}$/)
    assert.ok(!stateText().includes('pass-'))
    assert.deepEqual(
      readdirSync(shelf).filter((file) => file.endsWith('.pass')),
      [],
    )
    const closed = readFileSync(join(shelf, 'closed'), 'utf8').trim().split('\n')
    assert.ok(closed.length >= 1 && closed.every((file) => /ada-[0-9a-f]{8}\.pass$/.test(file)))
  })
})

test('data and functions answer; an argument that is to blame is named', async () => {
  write(`${FULL}
data "shelf_inventory" "this" {
  depends_on = [shelf_box.a]
}
output "said" {
  value = [data.shelf_inventory.this.names, provider::shelf::label("abc")]
}
`)
  await apply()
  assert.deepEqual(JSON.parse(await terraform(['output', '-json', 'said'])), [['a'], 'ABC'])
  write('output "said" {\n  value = provider::shelf::label("")\n}\n')
  assert.match(await apply(1), /a label needs a text/)
})

describe('a provider that terraform starts', () => {
  test('finishes what is under way when somebody interrupts: the state has all that was made', async () => {
    write('resource "shelf_box" "a" {\n  count = 40\n  name  = "box-${count.index}"\n}\n')
    const settings = { ...installed(ADDRESS, 'shelf/shelf-main.ts'), SHELF_FOLDER: shelf }
    const start = runWith({ ...settings, SHELF_DELAY_MS: '300' })
    const init = await start(work, 'init', '-input=false', '-no-color')
    assert.equal(init.status, 0, init.output)
    // A group of its own, as that of a shell: Ctrl-C reaches terraform and the provider.
    const child = spawn('terraform', ['apply', '-auto-approve', '-input=false', '-no-color'], {
      cwd: work,
      env: { ...process.env, ...settings, SHELF_DELAY_MS: '300', CHECKPOINT_DISABLE: '1' },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const ended = new Promise<number | null>((done) => child.on('close', done))
    for (let turn = 0; turn < 600 && readdirSync(shelf).length < 5; turn++) await pause(50)
    process.kill(-(child.pid ?? assert.fail()), 'SIGINT')
    assert.equal(await ended, 1, output)
    assert.match(output, /Interrupt received/)
    const made = readdirSync(shelf).length
    assert.ok(made >= 5 && made < 40, `${made} boxes`)
    assert.equal(boxes().length, made)
    const rest = await start(work, 'apply', '-auto-approve', '-input=false', '-no-color')
    assert.equal(rest.status, 0, rest.output)
    assert.equal(readdirSync(shelf).length, 40)
  })

  test('gives terraform nothing to warn of', async () => {
    write(FULL)
    const log = join(place, 'trace')
    const settings = { ...installed(ADDRESS, 'shelf/shelf-main.ts'), SHELF_FOLDER: shelf }
    const start = runWith({ ...settings, TF_LOG: 'trace', TF_LOG_PATH: log })
    for (const args of [
      ['init', '-input=false'],
      ['apply', '-auto-approve', '-input=false'],
    ]) {
      const { status, output } = await start(work, ...args, '-no-color')
      assert.equal(status, 0, output)
    }
    const lines = readFileSync(log, 'utf8').split('\n')
    assert.ok(lines.some((line) => line.includes('plugin process exited')))
    assert.deepEqual(
      // The pipe of a program that it lets go is closed before terraform has read to its end, whoever wrote the program.
      lines.filter((line) => /\[(WARN|ERROR)\](?!.*read \|0: file already closed)/.test(line)),
      [],
    )
  })
})
