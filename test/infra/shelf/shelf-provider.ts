/**
 * A provider of boxes on a shelf, each a file in a folder: what a resource can have, and nothing of what ours mean. With it the
 * provider core is held against the real terraform.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  ArgumentError,
  Refusal,
  type Problem,
} from '../../../clients/terraform-provider/src/core/problem.ts'
import type {
  Provider,
  ResourceSchema,
} from '../../../clients/terraform-provider/src/core/provider.ts'
import { Unknown } from '../../../clients/terraform-provider/src/core/values.ts'

type Values = Readonly<Record<string, unknown>>

const BOX: ResourceSchema = {
  version: 1,
  blocks: [],
  attributes: [
    { name: 'name', type: 'string', required: true, replaces: true },
    { name: 'title', type: 'string', optional: true },
    { name: 'pin', type: 'string', optional: true, sensitive: true },
    { name: 'secret', type: 'string', optional: true, writeOnly: true },
    { name: 'secret_version', type: 'number', optional: true },
    { name: 'tags', type: ['map', 'string'], optional: true },
    { name: 'id', type: 'string', computed: true },
    { name: 'revision', type: 'number', computed: true, isVolatile: true },
    {
      name: 'parts',
      optional: true,
      nested: {
        nesting: 'map',
        attributes: [
          { name: 'colour', type: 'string', required: true },
          { name: 'weight', type: 'number', optional: true, computed: true, default: 1 },
          { name: 'mark', type: 'string', computed: true },
        ],
      },
    },
    {
      name: 'notes',
      optional: true,
      nested: {
        nesting: 'list',
        attributes: [
          { name: 'text', type: 'string', required: true },
          { name: 'size', type: 'number', computed: true },
        ],
      },
    },
    {
      name: 'lids',
      optional: true,
      nested: {
        nesting: 'set',
        attributes: [
          { name: 'kind', type: 'string', required: true },
          { name: 'count', type: 'number', optional: true, computed: true, default: 1 },
        ],
      },
    },
    {
      name: 'owner',
      optional: true,
      nested: {
        nesting: 'single',
        attributes: [
          { name: 'person', type: 'string', required: true },
          { name: 'badge', type: 'string', computed: true },
        ],
      },
    },
  ],
}

/** Boxes that the folder has are `NAME.json`; passes that are open are `NAME.pass`. */
export function makeShelf(folder: string, delayMs = 0): Provider {
  const fileOf = (name: string) => join(folder, `${name}.json`)
  const names = () =>
    readdirSync(folder).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -5)] : []))
  const load = (name: string): unknown =>
    names().includes(name) ? JSON.parse(readFileSync(fileOf(name), 'utf8')) : null
  const save = (name: string, box: Values) => writeFileSync(fileOf(name), JSON.stringify(box))
  return {
    provider: { attributes: [], blocks: [] },
    resources: { shelf_box: BOX },
    dataSources: {
      shelf_inventory: {
        attributes: [{ name: 'names', type: ['list', 'string'], computed: true }],
        blocks: [],
      },
    },
    ephemerals: {
      shelf_pass: {
        attributes: [
          { name: 'holder', type: 'string', required: true },
          { name: 'token', type: 'string', computed: true, sensitive: true },
        ],
        blocks: [],
      },
    },
    functions: {
      label: {
        summary: 'A text as it is written on a box.',
        parameters: [{ name: 'text', type: 'string' }],
        returns: 'string',
        call: (text) => {
          if (text === '') throw new ArgumentError(0, 'a label needs a text')
          return String(text).toUpperCase()
        },
      },
    },
    configure: async () => {
      mkdirSync(folder, { recursive: true })
    },
    validate: (type, config) => (type === 'shelf_box' ? wrongWeights(config) : []),
    apply: async ({ prior, planned, config }) => {
      await pause(delayMs)
      if (planned === null) {
        rmSync(fileOf(nameOf(prior)), { force: true })
        return null
      }
      const name = nameOf(planned)
      const before = load(name)
      if (prior === null && before !== null)
        throw new Refusal([
          { summary: `box ${name} is there already: terraform import it`, path: ['name'] },
        ])
      const box = { ...made(planned as Values), revision: Number(at(prior, 'revision') ?? 0) + 1 }
      refusePink(box)
      const secret = at(config, 'secret') ?? at(before, 'secret') ?? null
      save(name, { ...box, secret })
      return box
    },
    read: async (_, state) => load(nameOf(state)),
    import: async (_, id) => load(id),
    upgrade: (_, version, state) => {
      if (version !== 0) throw new Error(`version ${version} is unknown`)
      const { label, ...rest } = state as Values
      return { ...rest, title: label ?? null }
    },
    readData: async () => ({ names: names().toSorted() }),
    open: async (_, config) => {
      const token = `pass-${randomBytes(16).toString('hex')}`
      const kept = join(folder, `${String(at(config, 'holder'))}-${token.slice(-8)}.pass`)
      writeFileSync(kept, '')
      return { result: { ...(config as Values), token }, private: Buffer.from(kept) }
    },
    close: async (_, kept) => {
      const file = Buffer.from(kept).toString()
      writeFileSync(join(folder, 'closed'), `${file}\n`, { flag: 'a' })
      rmSync(file)
    },
  }
}

function at(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Values)[name] : undefined
}

function nameOf(value: unknown): string {
  return String(at(value, 'name'))
}

/** What only the shelf knows. */
function made(planned: Values): Values {
  const fill = (item: unknown, name: string, value: unknown) =>
    at(item, name) instanceof Unknown ? { ...(item as Values), [name]: value } : item
  const parts = planned['parts']
  const notes = planned['notes']
  return {
    ...planned,
    id: `box:${nameOf(planned)}`,
    parts:
      typeof parts === 'object' && parts !== null
        ? Object.fromEntries(
            Object.entries(parts).map(([key, part]) => [key, fill(part, 'mark', `#${key}`)]),
          )
        : null,
    notes: Array.isArray(notes)
      ? notes.map((note) => fill(note, 'size', String(at(note, 'text')).length))
      : null,
    owner: fill(planned['owner'], 'badge', `badge of ${String(at(planned['owner'], 'person'))}`),
  }
}

function wrongWeights(config: unknown): Problem[] {
  const parts = at(config, 'parts')
  if (typeof parts !== 'object' || parts === null || parts instanceof Unknown) return []
  return Object.entries(parts).flatMap(([key, part]) =>
    Number(at(part, 'weight')) > 100
      ? [{ summary: 'a part weighs 100 at most', path: ['parts', key, 'weight'] }]
      : [],
  )
}

/** As a server refuses what no client knew to be wrong. */
function refusePink(box: Values): void {
  const wrong = Object.entries(box['parts'] ?? {}).filter(
    ([, part]) => at(part, 'colour') === 'pink',
  )
  if (wrong.length === 0) return
  throw new Refusal(
    wrong.map(([key]) => ({ summary: 'the shelf has no pink', path: ['parts', key, 'colour'] })),
  )
}
