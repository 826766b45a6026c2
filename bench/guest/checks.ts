/** Measures checks as its argument says, and prints the result. */
import { measureChecks, type ChecksOrder } from '../measure-checks.ts'

const order = JSON.parse(process.argv[2] ?? '') as ChecksOrder
console.log(JSON.stringify(await measureChecks(order)))
