/** A helper program in a process of its own, so that what is measured shares no event loop with what measures. */
import { fork, type ChildProcess } from 'node:child_process'

const ANSWER_TIMEOUT_MS = 120_000

export class Child implements Disposable {
  readonly process: ChildProcess

  constructor(program: URL, execArgv: readonly string[] = process.execArgv) {
    this.process = fork(program, [], { execArgv: [...execArgv] })
  }

  /** Sends `request`, when there is one, and gives the next message. */
  ask(request?: unknown): Promise<unknown> {
    const child = this.process
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer)
        child.off('message', answer)
        child.off('exit', gone)
        settle()
      }
      const answer = (message: unknown) => end(() => resolve(message))
      const gone = () =>
        end(() => reject(new Error('a helper process of the benchmark ended early')))
      const timer = setTimeout(gone, ANSWER_TIMEOUT_MS)
      child.on('message', answer)
      child.on('exit', gone)
      if (request !== undefined) child.send({ request })
    })
  }

  [Symbol.dispose](): void {
    if (this.process.connected) this.process.disconnect()
  }
}
