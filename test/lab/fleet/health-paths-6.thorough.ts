/** DR, and the tunnels over IPv6. */
import { healthPathsSuite } from './health-paths-suite.ts'

healthPathsSuite({
  outer: 'IPv6',
  forms: { 'rs-a1': 'dr', 'rs-a2': 'ipip', 'rs-b1': 'gre', 'rs-b2': 'gue' },
})
