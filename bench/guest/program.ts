/**
 * The kernel's part of a cold start alone: reads a host state, then times the ops that make it through the
 * agent's own kernel port, encoding included. Prints milliseconds.
 */
import { readFileSync } from 'node:fs'
import { createService } from '../../contract/src/diff.ts'
import type { HostState } from '../../contract/src/host-state.ts'
import { openKernel } from '../../services/agent/src/kernel/linux-kernel.ts'

const state = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as HostState
const ops = state.services.flatMap(createService)
const kernel = await openKernel()
const started = performance.now()
const outcomes = await kernel.apply(ops)
const took = performance.now() - started
kernel.close()
const failed = outcomes.filter((outcome) => !outcome.ok).length
if (failed > 0) throw new Error(`${failed} of ${outcomes.length} ops failed`)
console.log(took)
