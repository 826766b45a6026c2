// A helper process of the daemon (traffic servers, traffic clients), started when first needed and
// kept: it runs beside the daemon on the other CPU. Speaks {id, op, args} over Node's IPC.
import { type ChildProcess, fork } from 'node:child_process'

type Reply = { readonly id: number; readonly result?: unknown; readonly error?: string }
type Waiting = {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

export class Helper {
  private readonly script: string
  private readonly waiting = new Map<number, Waiting>()
  private child: ChildProcess | undefined
  private nextId = 1

  constructor(script: string) {
    this.script = script
  }

  /** Starts it ahead of its first request. */
  warm(): void {
    this.child ??= this.start()
  }

  /** The host's request has the deadline, so there is none here. */
  request(op: string, args: unknown): Promise<unknown> {
    const child = (this.child ??= this.start())
    const id = this.nextId++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      child.send({ id, op, args })
    })
  }

  private start(): ChildProcess {
    const child = fork(this.script, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    child.on('message', (message) => this.settle(message as Reply))
    child.on('exit', (code, signal) => {
      this.child = undefined
      for (const { reject } of this.waiting.values()) {
        reject(new Error(`lab helper ${this.script} ended (${code ?? signal}); see console.log`))
      }
      this.waiting.clear()
    })
    return child
  }

  private settle({ id, result, error }: Reply): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error))
  }
}

/** The helper's side: answers with what `handle` returns. */
export function serveHelper(handle: (op: string, args: unknown) => unknown): void {
  process.on('message', (message: { id: number; op: string; args: unknown }) => {
    const answer = async () => {
      try {
        process.send?.({ id: message.id, result: (await handle(message.op, message.args)) ?? null })
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        process.send?.({ id: message.id, error: text })
      }
    }
    void answer()
  })
  process.on('disconnect', () => process.exit(0))
}
