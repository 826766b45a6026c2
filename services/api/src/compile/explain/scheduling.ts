/**
 * Scheduling: what a scheduler does with a new connection, as far as that follows from the intent. Takes the
 * destinations of one kernel service; gives who decides, and the real server where there is no choice. Pure.
 *
 * sh and mh are not computed: their tables depend on the order in which the kernel holds its destinations, newest
 * first (ip_vs_sh_reassign and ip_vs_mh_populate walk svc->destinations), and that order is history.
 */
import { assertNever, type Scheduler, type ServiceFlag } from '@lvs-fleet/contract'

export type Choice = { readonly realServer: string; readonly weight: number }

export type Verdict = {
  /** `intent`: it follows from what is written. `nobody`: no destination has a weight. The rest: the kernel, at that moment. */
  readonly decidedBy: 'nobody' | 'intent' | 'turn' | 'load' | 'hash' | 'order'
  readonly realServer: string | null
  readonly text: string
}

const AT_THAT_MOMENT = 'which one is decided by the kernel at that moment'

export function schedulingVerdict(
  scheduler: Scheduler,
  flags: readonly ServiceFlag[],
  choices: readonly Choice[],
): Verdict {
  const live = choices.filter(({ weight }) => weight > 0)
  const [first] = live
  if (first === undefined) {
    const text = 'no destination has a weight above 0: clients are refused at once'
    return { decidedBy: 'nobody', realServer: null, text }
  }
  // sh gives one place of its table to a destination of weight 0, and refuses who hashes there.
  if (live.length === 1 && (scheduler !== 'sh' || choices.length === 1)) {
    const text = `${scheduler}: only ${first.realServer} has a weight above 0`
    return { decidedBy: 'intent', realServer: first.realServer, text }
  }
  return verdictOf(scheduler, flags, live)
}

function verdictOf(
  scheduler: Scheduler,
  flags: readonly ServiceFlag[],
  live: readonly Choice[],
): Verdict {
  const by = (decidedBy: Verdict['decidedBy'], text: string): Verdict => ({
    decidedBy,
    realServer: null,
    text: `${scheduler}: ${text}`,
  })
  switch (scheduler) {
    case 'rr':
      return by(
        'turn',
        `in turn, ${shares(live.map((one) => ({ ...one, weight: 1 })))}; ${AT_THAT_MOMENT}`,
      )
    case 'wrr':
      return by('turn', `in turn by weight, ${shares(live)}; ${AT_THAT_MOMENT}`)
    case 'lc':
      return by('load', `the one with the fewest connections; ${AT_THAT_MOMENT}`)
    case 'wlc':
    case 'sed':
    case 'nq':
      return by('load', `the one with the fewest connections for its weight; ${AT_THAT_MOMENT}`)
    case 'twos':
      return by('load', `the less loaded of two picked by chance; ${AT_THAT_MOMENT}`)
    case 'ovf':
      return by(
        'load',
        `the highest weight that has fewer connections than its weight; ${AT_THAT_MOMENT}`,
      )
    case 'sh':
    case 'mh':
      return by('hash', hashText(scheduler, flags))
    case 'dh':
    case 'lblc':
    case 'lblcr':
      return by('hash', `one real server for this VIP, whoever asks; ${AT_THAT_MOMENT}`)
    case 'fo':
      return highest(live, by)
    default:
      return assertNever(scheduler)
  }
}

/** Weight 0 takes a destination out of the table of mh, so its clients move; sh keeps its place. */
function hashText(scheduler: 'sh' | 'mh', flags: readonly ServiceFlag[]): string {
  const of = flags.includes('port') ? 'address and port' : 'address'
  const when =
    scheduler === 'sh' ? 'has weight 0 or is above its threshold' : 'is above its threshold'
  const then = flags.includes('fallback') ? 'moved' : 'refused'
  return `by a hash of the client's ${of}: the same client comes to the same real server while destinations, their order and weights stay, and is ${then} while that one ${when}; ${AT_THAT_MOMENT}`
}

/** ip_vs_fo_schedule takes the highest weight that is not overloaded, the first in its list among equals. */
function highest(
  live: readonly Choice[],
  by: (decidedBy: Verdict['decidedBy'], text: string) => Verdict,
): Verdict {
  const top = Math.max(...live.map(({ weight }) => weight))
  const [first, second] = live.filter(({ weight }) => weight === top)
  if (first === undefined || second !== undefined) {
    return by('order', `one of those with the highest weight, ${top}; ${AT_THAT_MOMENT}`)
  }
  const text = `${first.realServer}, which has the highest weight, ${top}, while it is below its threshold`
  return { ...by('intent', text), realServer: first.realServer }
}

/** `rs-a1 40 %, rs-b1 60 %` */
function shares(live: readonly Choice[]): string {
  const sum = live.reduce((total, { weight }) => total + weight, 0)
  return live
    .map(({ realServer, weight }) => `${realServer} ${Math.round((100 * weight) / sum)} %`)
    .join(', ')
}
