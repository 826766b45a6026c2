/** What the demo draws: the map of the two sites, and bars of who answered. Pure text from plain data. */
import { styleText } from 'node:util'

export type Counts = Readonly<Record<string, number>>

export type View = {
  /** Client, the VIP it asks, and who answered since the last picture. */
  readonly traffic: readonly {
    readonly client: string
    readonly vip: string
    readonly answers: Counts
    readonly errors: Counts
    readonly seconds: number
  }[]
}

const BAR_WIDTH = 28

export function drawMap(): string {
  return [
    '   site a                                          site b',
    '   ┌──────────────────────────────┐               ┌──────────────────────────────┐',
    '   │ cl-a   client    10.1.9.2    │               │ cl-b   client    10.2.9.2    │',
    '   │ dir-a  director  10.1.0.10   │      WAN      │ dir-b  director  10.2.0.10   │',
    '   │        VIP  10.1.0.100       ├───────────────┤        VIP  10.2.0.100       │',
    '   │ rs-a1  real      10.1.0.11   │ rt-a     rt-b │ rs-b1  real      10.2.0.11   │',
    '   │ rs-a2  server    10.1.0.12   │               │ rs-b2  server    10.2.0.12   │',
    '   └──────────────────────────────┘               └──────────────────────────────┘',
    '   In a site the director forwards by DR; to the other site through an IPIP tunnel.',
    '   Answers go straight from the real server to the client.',
  ].join('\n')
}

/** One line a real server: its share as a bar, requests per second, and how it is reached. */
export function drawTraffic(view: View): string {
  return view.traffic
    .map(({ client, vip, answers, errors, seconds }) => {
      const total = sum(answers)
      const failed = sum(errors)
      const head = `   ${styleText('bold', client)} → ${vip}   ${(total / seconds).toFixed(0)} answers/s${
        failed === 0
          ? ''
          : styleText('red', `, ${failed} failed: ${Object.keys(errors).join(', ')}`)
      }`
      const lines = ['rs-a1', 'rs-a2', 'rs-b1', 'rs-b2'].map((server) => {
        const share = total === 0 ? 0 : (answers[server] ?? 0) / total
        const width = Math.round(share * BAR_WIDTH)
        const bar = styleText(server.includes('-a') ? 'cyan' : 'magenta', '█'.repeat(width))
        const how = server.at(3) === client.at(3) ? 'dr' : 'tun ipip'
        return `     ${server}  ${bar}${' '.repeat(BAR_WIDTH - width)} ${(share * 100).toFixed(0).padStart(3)} %  ${styleText('dim', how)}`
      })
      return [head, ...lines].join('\n')
    })
    .join('\n')
}

function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
