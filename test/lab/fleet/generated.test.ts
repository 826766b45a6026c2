/** What `npm test` waits for; `npm run test:thorough` has thousands. */
import { generatedSuite } from './generated-suite.ts'

generatedSuite({ services: 150, generatedMin: 500 })
