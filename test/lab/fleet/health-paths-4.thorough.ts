/** NAT, and the tunnels over IPv4. A file of its own, because each fault takes its time and a file has ten minutes. */
import { healthPathsSuite } from './health-paths-suite.ts'

healthPathsSuite({
  outer: 'IPv4',
  forms: { 'rs-a1': 'nat', 'rs-a2': 'ipip', 'rs-b1': 'gre', 'rs-b2': 'gue' },
})
