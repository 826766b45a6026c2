/** Measures checks when it is asked to, in a process of its own. */
import { measureChecks, type ChecksOrder } from '../measure-checks.ts'

process.on('message', ({ request }: { request: ChecksOrder }) => {
  void measureChecks(request).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit(0))
