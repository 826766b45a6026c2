/** A packet as people read it: who takes it, who chooses, then each real server with its reasons and its hops. */
import { styleText } from 'node:util'
import type {
  ExplainedDestination as Destination,
  ExplainedHop as Hop,
  PacketExplanation,
} from '@lvs-fleet/contract'
import { formatTable } from './table.ts'

export function formatPacket(packet: PacketExplanation): string {
  const { director, service, virtualService, takenBecause, scheduling, persistence } = packet
  const head = [
    `${director} takes it as ${service}, virtual service ${virtualService}: ${takenBecause}`,
    scheduling.text,
    ...(persistence === null ? [] : [`persistence: ${persistence.text}`]),
    ...packet.cautions.map((text) => `note: ${text}`),
  ]
  return [...head, ...packet.destinations.flatMap(destinationLines)].join('\n')
}

function destinationLines(destination: Destination): string[] {
  const { realServer, forwarding, address, weight, why, passedOver, path, cautions } = destination
  const place = address === null ? '' : ` to ${endpoint(address, destination.port)}`
  return [
    '',
    styleText('bold', `${realServer}: ${forwarding ?? 'none'}${place}, weight ${weight}`),
    `  why: ${why}`,
    ...passedOver.map(({ method, reason }) => `  not ${method}: ${reason}`),
    `  weight: ${weightText(destination)}`,
    ...(destination.level === null ? [] : [`  level: ${destination.level}`]),
    ...reportedLines(destination),
    ...cautions.map((text) => `  ${styleText('yellow', 'caution')}: ${text}`),
    ...(path.length === 0 ? [] : [pathTable(path), ...limits(path)]),
  ]
}

/** `100 = member 100 x director state 1 x ...`, and why a factor is not 1. */
function weightText({ weight, weightFactors }: Destination): string {
  const product = weightFactors.map(({ name, value }) => `${name} ${value}`).join(' x ')
  const reasons = weightFactors.slice(1).filter(({ value }) => value !== 1)
  const because = reasons.map(({ because: text }) => `; ${text}`).join('')
  return `${weight} = ${product}${because}`
}

/** What the director made of it: each factor that is not neutral with since when and why. */
function reportedLines({ reported }: Destination): string[] {
  if (reported === null) return []
  const product = reported.factors.map(({ name, value }) => `${name} ${value}`).join(' x ')
  const changed = reported.factors.filter(({ name, value }) => name !== 'intent' && value !== 1)
  return [
    `  in the kernel: ${styleText('bold', `weight ${reported.weight}`)} from ${product}`,
    ...changed.map(
      ({ name, value, since, why }) =>
        `    ${name} ${value}${since === null ? '' : ` since ${since}`}: ${why}`,
    ),
  ]
}

function pathTable(path: readonly Hop[]): string {
  const rows = path.map(({ at, does, sends }) => [
    at,
    sends === null ? '' : packetText(sends),
    sends?.mtu === null ? '?' : `${sends?.mtu.bytes ?? ''}`,
    `${sends?.mss?.bytes ?? ''}`,
    does,
  ])
  return indented(formatTable(['AT', 'SENDS', 'MTU', 'MSS', 'WHAT'], rows))
}

type Sends = NonNullable<Hop['sends']>

function packetText({ source, destination, outer }: Sends): string {
  const inner = `${source} > ${destination}`
  if (outer === null) return inner
  const how = outer.port === null ? `protocol ${outer.protocol}` : `UDP port ${outer.port}`
  return `${outer.sources.join('|')} > ${outer.destination} ${how} [${inner}]`
}

/** Each number once, with where it comes from. */
function limits(path: readonly Hop[]): string[] {
  const lines = path.flatMap(({ sends }) => [
    ...(sends?.mtu === null || sends === null
      ? []
      : [`  MTU ${sends.mtu.bytes}: ${sends.mtu.because}`]),
    ...(sends?.mss === null || sends === null
      ? []
      : [`  MSS ${sends.mss.bytes}: ${sends.mss.because}`]),
  ])
  const unknown = path.some(({ sends }) => sends !== null && sends.mtu === null)
    ? ['  MTU ?: the network of the client is in no site']
    : []
  return [...new Set([...unknown, ...lines])]
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
}

function endpoint(address: string, port: number | null): string {
  if (port === null) return address
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}
