/** Runs the nft program: it is the only stable interface to nftables expressions (maps, options). */

export type NftResult =
  | { readonly ok: true; readonly output: string }
  | { readonly ok: false; readonly code: string; readonly message: string }

export type RunNft = (args: readonly string[], input: string) => Promise<NftResult>

const TIMEOUT_MS = 10_000
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024
/** A service's PATH may lack the folders for administrators. */
const PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'

export const runNft: RunNft = (args, input) =>
  new Promise((resolve) => {
    const { spawn } = process.getBuiltinModule('node:child_process')
    const child = spawn('nft', args, { env: { PATH, LANG: 'C' } })
    const end = (result: NftResult) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      resolve(result)
    }
    // Not spawn's own timeout: a process that hangs in the kernel is not waited for.
    const timer = setTimeout(() => end(failed('ETIMEDOUT', 'nft did not end in time')), TIMEOUT_MS)
    const tooMuch = () => end(failed('EMSGSIZE', 'nft printed too much'))
    const output = collect(child.stdout, tooMuch)
    const errors = collect(child.stderr, tooMuch)
    child.on('error', (error) => end(notStarted(error)))
    child.on('close', (status) => {
      end(status === 0 ? { ok: true, output: output() } : refused(errors()))
    })
    // The child may be gone before it read everything; its exit status says why.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })

function collect(stream: NodeJS.ReadableStream, tooMuch: () => void): () => string {
  const chunks: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > OUTPUT_BYTES_MAX) tooMuch()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString()
}

function notStarted(error: Error): NftResult {
  const missing = 'code' in error && error.code === 'ENOENT'
  if (missing) return failed('ENOTSUP', 'nft is not installed: apt-get install nftables')
  return failed('EIO', `nft did not start: ${error.message}`)
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
