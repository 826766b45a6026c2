/** `npm run cost`: counts an hour of an agent's life, keeps it in bench/results/cost.json, and writes docs/cost.md. */
import { writeFileSync } from 'node:fs'
import { countRequests } from './count.ts'
import { PAGE_FILE, RESULT_FILE, writePage } from './page.ts'

const counted = await countRequests({ pollSeconds: 10, quietSeconds: 3_600 })
writeFileSync(RESULT_FILE, `${JSON.stringify(counted, null, 2)}\n`)
console.log(counted)
writePage(counted)
console.log(PAGE_FILE.pathname)
