/** The connection behind a request where Node serves it; elsewhere there is none, and whoever serves cuts by itself. */
import { ServerResponse } from 'node:http'

/** `bindings` is what @hono/node-server gives as `c.env`. */
export function cutConnection(bindings: unknown): void {
  if (typeof bindings !== 'object' || bindings === null || !('outgoing' in bindings)) return
  if (bindings.outgoing instanceof ServerResponse) bindings.outgoing.destroy()
}
