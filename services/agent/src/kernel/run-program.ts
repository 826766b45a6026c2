/**
 * Runs a program of this host to its end: nft, modprobe, sysctl's and doctor's helpers, the agent's own probe. Bounded in time
 * and in what it may print; never by a shell.
 */

export type Ended =
  | {
      readonly is: 'ended'
      readonly code: number
      readonly stdout: string
      readonly stderr: string
    }
  | {
      readonly is: 'failed'
      readonly why: 'missing' | 'late' | 'too-much' | 'not-started' | 'stopped'
      readonly message: string
    }

export type ProgramOptions = {
  readonly input?: string
  readonly timeoutMs?: number
  /** Of each of its streams. */
  readonly outputBytesMax?: number
  /** `host`: a PATH with the folders for administrators, which a service's may lack, and messages in English; `own`: as this process has it. */
  readonly environment?: 'host' | 'own'
  readonly signal?: AbortSignal
}

const TIMEOUT_MS = 10_000
const OUTPUT_BYTES_MAX = 8 * 1024 * 1024
const HOST = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LANG: 'C' }

export function runProgram(
  [file = '', ...args]: readonly string[],
  options: ProgramOptions = {},
): Promise<Ended> {
  const { input = '', timeoutMs = TIMEOUT_MS, outputBytesMax = OUTPUT_BYTES_MAX } = options
  return new Promise((resolve) => {
    const { spawn } = process.getBuiltinModule('node:child_process')
    const child = spawn(file, args, options.environment === 'own' ? {} : { env: HOST })
    const end = (result: Ended): void => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', stop)
      child.kill('SIGKILL')
      resolve(result)
    }
    const fail = (why: Extract<Ended, { is: 'failed' }>['why'], message: string): void =>
      end({ is: 'failed', why, message: `${file} ${message}` })
    const stop = (): void => fail('stopped', 'was told to stop')
    // Not spawn's own timeout: a process that hangs in the kernel is not waited for.
    const timer = setTimeout(() => fail('late', 'did not end in time'), timeoutMs)
    options.signal?.addEventListener('abort', stop, { once: true })
    const tooMuch = (): void => fail('too-much', 'printed too much')
    const stdout = collect(child.stdout, outputBytesMax, tooMuch)
    const stderr = collect(child.stderr, outputBytesMax, tooMuch)
    child.on('error', (error) => {
      const isMissing = 'code' in error && error.code === 'ENOENT'
      if (isMissing) fail('missing', 'is not installed')
      else fail('not-started', `did not start: ${error.message}`)
    })
    child.on('close', (code) =>
      end({ is: 'ended', code: code ?? -1, stdout: stdout(), stderr: stderr() }),
    )
    // The child may be gone before it read everything; its exit status says why.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    if (options.signal?.aborted === true) stop()
  })
}

function collect(
  stream: NodeJS.ReadableStream,
  bytesMax: number,
  tooMuch: () => void,
): () => string {
  const chunks: Buffer[] = []
  let length = 0
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > bytesMax) tooMuch()
    else chunks.push(chunk)
  })
  return () => Buffer.concat(chunks).toString()
}
