/** audit: the trail of all that was done and refused: shown, exported, and verified, here or from a file. */
import { hash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import {
  AuditVerifier,
  auditRecordSchema,
  publicKeySchema,
  type AuditCheckpoint,
  type AuditRecord,
  type PublicKey,
} from '@lvs-fleet/contract'
import type { Command } from 'commander'
import * as z from 'zod'
import type { ApiClient } from '../api-client.ts'
import { readCheckpoint, thumbprintOf } from '../audit/checkpoint.ts'
import { mayBeNoRecord, parseTrailLine, trailHeader } from '../audit/trail-file.ts'
import { CliError } from '../cli-error.ts'
import { printValue, write } from '../output/print.ts'
import { formatTable } from '../output/table.ts'
import { contextOf, type Context } from './context.ts'

const PAGE_SIZE = 1_000
const recordsSchema = z.object({ items: z.array(auditRecordSchema) })
const signedSchema = z.looseObject({ number: z.int(), jws: z.string() })
const checkpointsSchema = z.object({
  head: signedSchema.nullable(),
  items: z.array(signedSchema),
})
const controllerSchema = z.object({ keys: z.array(publicKeySchema) })

export function addAuditCommands(program: Command): void {
  const audit = program
    .command('audit')
    .description('all that was done and refused, in a chain that shows later edits')
  audit
    .command('log')
    .description('newest first')
    .option('--limit <n>', 'how many', '50')
    .action(async (options: { limit: string }, command: Command) =>
      log(contextOf(command), options.limit),
    )
  audit
    .command('export')
    .description('the whole trail as lines of JSON, with its signed checkpoints')
    .addHelpText('after', '\nExample:\n  lvsfleet audit export > audit.ndjson')
    .action(async (_: object, command: Command) => exportTrail(contextOf(command).api))
  audit
    .command('checkpoint')
    .description('the signed head of the trail: keep it where the database’s owner cannot write')
    .action(async (_: object, command: Command) => checkpoint(contextOf(command).api))
  audit
    .command('verify')
    .description('find what was edited, removed, moved or cut off; exit code 1 when anything was')
    .argument('[file]', 'an exported trail; without it, the trail of the API')
    .option('--checkpoint <file...>', 'checkpoints that were kept elsewhere')
    .option('--key <thumbprint>', 'only this key of the controller is trusted (RFC 7638)')
    .addHelpText(
      'after',
      `
Examples:
  lvsfleet audit checkpoint >> checkpoints.ndjson
  lvsfleet audit verify --checkpoint checkpoints.ndjson
  lvsfleet audit verify audit.ndjson --checkpoint checkpoints.ndjson`,
    )
    .action(async (file: string | undefined, options: VerifyOptions, command: Command) =>
      verify(file, options, command),
    )
}

type VerifyOptions = { readonly checkpoint?: readonly string[]; readonly key?: string }

type Trail = {
  readonly keys: readonly PublicKey[]
  readonly checkpoints: readonly string[]
  readonly records: AsyncIterable<AuditRecord>
}

async function log({ api, output }: Context, limit: string): Promise<void> {
  const { items } = recordsSchema.parse(
    await api.json({ path: '/v1/audit-events', query: { limit } }),
  )
  printValue(items, output, () =>
    formatTable(
      ['NUMBER', 'AT', 'WHO', 'ACTION', 'WHAT', 'DETAIL'],
      items.map(({ number, at, actor, action, subject, detail }) => [
        String(number),
        at,
        actor,
        action,
        subject,
        typeof detail['message'] === 'string' ? detail['message'] : '',
      ]),
    ),
  )
}

async function exportTrail(api: ApiClient): Promise<void> {
  const trail = await trailOfApi(api)
  write(trailHeader(trail.keys))
  for await (const record of trail.records) write(JSON.stringify(record))
  for (const jws of trail.checkpoints) write(JSON.stringify({ checkpoint: { jws } }))
}

async function checkpoint(api: ApiClient): Promise<void> {
  const { head } = checkpointsSchema.parse(
    await api.json({ path: '/v1/audit/checkpoints', query: { limit: '1' } }),
  )
  if (head === null) throw new CliError('nothing was ever done: there is nothing to sign', 1)
  write(JSON.stringify({ checkpoint: head }))
}

async function verify(
  file: string | undefined,
  options: VerifyOptions,
  command: Command,
): Promise<void> {
  const trail =
    file === undefined ? await trailOfApi(contextOf(command).api) : await trailOfFile(file)
  const keys = trail.keys.filter(
    (key) => options.key === undefined || thumbprintOf(key) === options.key,
  )
  if (keys.length === 0)
    throw new CliError(
      `the trail is not of key ${options.key ?? ''}: its checkpoints prove nothing`,
      1,
    )
  const kept = (options.checkpoint ?? []).flatMap(keptCheckpoints)
  const checkpoints = [...trail.checkpoints, ...kept].map((jws) => trusted(jws, keys))
  const verifier = new AuditVerifier(sha256, checkpoints)
  for await (const record of trail.records) verifier.take(record)
  const { count, last, faults } = verifier.verdict()
  for (const { number, fault } of faults) write(`record ${number}: ${fault}`)
  const counted = `${count} records up to number ${last}, ${checkpoints.length} checkpoints`
  if (faults.length > 0) throw new CliError(`the audit trail was tampered with (${counted})`, 1)
  write(`the audit trail is whole: ${counted} of key ${keys.map(thumbprintOf).join(', ')}`)
  if (kept.length === 0)
    write(
      'its end is held by its own checkpoints only: name one that was kept elsewhere with --checkpoint',
    )
}

function sha256(text: string): string {
  return hash('sha256', text)
}

function trusted(jws: string, keys: readonly PublicKey[]): AuditCheckpoint {
  const result = readCheckpoint(jws, keys)
  if (!result.ok) throw new CliError(`a checkpoint ${result.why}`, 1)
  return result.checkpoint
}

function keptCheckpoints(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (line.trim() === '') return []
      const parsed = parseTrailLine(line, index + 1)
      return parsed.is === 'checkpoint' ? [parsed.jws] : []
    })
}

/** Checkpoints first: what is done meanwhile then comes after them. */
async function trailOfApi(api: ApiClient): Promise<Trail> {
  const { keys } = controllerSchema.parse(await api.json({ path: '/v1/controller' }))
  const checkpoints: string[] = []
  for (let before: string | undefined; ;) {
    const query = { limit: String(PAGE_SIZE), before }
    const page = checkpointsSchema.parse(await api.json({ path: '/v1/audit/checkpoints', query }))
    if (before === undefined && page.head !== null) checkpoints.push(page.head.jws)
    checkpoints.push(...page.items.map(({ jws }) => jws))
    if (page.items.length < PAGE_SIZE) break
    before = String(page.items.at(-1)?.number ?? 0)
  }
  return { keys, checkpoints, records: recordsOfApi(api) }
}

/** The next page is on its way while this one is looked at. */
async function* recordsOfApi(api: ApiClient): AsyncIterable<AuditRecord> {
  const pageAfter = async (after: number): Promise<readonly AuditRecord[]> => {
    const query = { limit: String(PAGE_SIZE), after: String(after) }
    return recordsSchema.parse(await api.json({ path: '/v1/audit-events', query })).items
  }
  for (let page = await pageAfter(0); ;) {
    const last = page.at(-1)
    const next =
      last !== undefined && page.length === PAGE_SIZE ? pageAfter(last.number) : undefined
    // Whoever stops early asks for no more; that one of them fails is told where it is awaited.
    next?.catch(() => {})
    yield* page
    if (next === undefined) return
    page = await next
  }
}

/** Read twice: what stands at its end is needed at its beginning. The first time records are passed over. */
async function trailOfFile(file: string): Promise<Trail> {
  const keys: PublicKey[] = []
  const checkpoints: string[] = []
  for await (const line of linesOf(file, mayBeNoRecord)) {
    if (line.is === 'keys') keys.push(...line.keys)
    if (line.is === 'checkpoint') checkpoints.push(line.jws)
  }
  return { keys, checkpoints, records: recordsOfFile(file) }
}

async function* recordsOfFile(file: string): AsyncIterable<AuditRecord> {
  for await (const line of linesOf(file)) if (line.is === 'record') yield line.record
}

async function* linesOf(file: string, isWanted: (text: string) => boolean = () => true) {
  let number = 0
  for await (const text of createInterface({ input: createReadStream(file) })) {
    number += 1
    if (text !== '' && isWanted(text)) yield parseTrailLine(text, number)
  }
}
