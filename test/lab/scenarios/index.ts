// The table of all scenarios. A new one is a file beside this and a row here.
import { ipvsByHand } from './ipvs-by-hand.ts'
import { matrix } from './matrix.ts'
import type { Scenario } from './scenario.ts'
import { topologyMap } from './topology.ts'

export const scenarios: readonly Scenario[] = [topologyMap, ipvsByHand, matrix]
