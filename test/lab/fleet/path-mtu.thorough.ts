/** Every tunnel and DR, over routers that speak and routers that are silent. */
import { pathMtuSuite } from './path-mtu-suite.ts'

pathMtuSuite('thorough')
