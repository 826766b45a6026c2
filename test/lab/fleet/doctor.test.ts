/** What `npm test` waits for; `npm run test:thorough` has all faults. */
import { doctorSuite } from './doctor-suite.ts'

doctorSuite('brief')
