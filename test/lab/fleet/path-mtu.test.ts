/** What `npm test` waits for; `npm run test:thorough` has every tunnel. */
import { pathMtuSuite } from './path-mtu-suite.ts'

pathMtuSuite('brief')
