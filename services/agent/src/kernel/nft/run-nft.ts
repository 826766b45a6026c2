/** Runs the nft program: it is the only stable interface to nftables expressions (maps, options). */
import { runProgram } from '../run-program.ts'

export type NftResult =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly code: string; readonly message: string }

export type RunNft = (args: readonly string[], input: string) => Promise<NftResult>

/** Why nft gave no answer, as errno names. */
const CODE_OF_FAILURE = {
  missing: 'ENOTSUP',
  late: 'ETIMEDOUT',
  'too-much': 'EMSGSIZE',
  'not-started': 'EIO',
  stopped: 'ECANCELED',
} as const

export const runNft: RunNft = async (args, input) => {
  const ended = await runProgram(['nft', ...args], { input })
  if (ended.is === 'ended') {
    return ended.code === 0 ? { ok: true, output: ended.stdout } : refused(ended.stderr)
  }
  const hint = ended.why === 'missing' ? ': apt-get install nftables' : ''
  return failed(CODE_OF_FAILURE[ended.why], `${ended.message}${hint}`)
}

function failed(code: string, message: string): NftResult {
  return { ok: false, code, message }
}

/** nft prints strerror texts; these are the ones that mean something to us. */
const CODES: readonly (readonly [RegExp, string])[] = [
  [/No such file or directory/, 'ENOENT'],
  [/Operation not permitted/, 'EPERM'],
  [/Operation not supported|Protocol not supported/, 'ENOTSUP'],
  [/File exists/, 'EEXIST'],
]

function codeOf(text: string): string {
  return CODES.find(([pattern]) => pattern.test(text))?.[1] ?? 'EINVAL'
}

/** The first line is the first thing that went wrong; what follows comes from it. */
function refused(errors: string): NftResult {
  const first = errors.trim().split('\n', 1)[0] ?? ''
  return failed(codeOf(first), `nft: ${first.replace(/^.*?Error: /, '')}`)
}
