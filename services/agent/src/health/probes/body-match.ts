/**
 * A regular expression of an operator on a body of a stranger, with a time limit: backtracking may take for ever, and
 * the agent has one thread.
 */
import type { Context, Script } from 'node:vm'

const TIME_LIMIT_MS = 50

type Sandbox = { readonly context: Context; readonly script: Script }
let sandbox: Sandbox | undefined

/** Never throws: what goes wrong comes back as text. */
export function matchesInTime(pattern: string, text: string): boolean | string {
  sandbox ??= createSandbox()
  const { context, script } = sandbox
  Object.assign(context, { pattern, text })
  try {
    return script.runInContext(context, { timeout: TIME_LIMIT_MS }) === true
  } catch (error) {
    // Errors come from the other context, so that `instanceof Error` is false.
    return `bodyMatches: ${String(error)}`
  }
}

/** Made at first use: a context costs memory. */
function createSandbox(): Sandbox {
  const vm = process.getBuiltinModule('node:vm')
  return {
    context: vm.createContext({}),
    script: new vm.Script('new RegExp(pattern, "u").test(text)'),
  }
}
