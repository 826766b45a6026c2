/**
 * Explain a packet: for one director, one VIP and a port or mark, and a client where one is asked for: the kernel
 * service that takes it, how each destination is reached and why, its weight and factors, what the scheduler
 * does, and the hops with their MTU. Pure; starts from the same routes that compile expands.
 */
import {
  describeForwarding,
  EMPTY_HOST_STATE,
  familyOf,
  serviceKey,
  type HostState,
  type Ip,
  type Level,
  type WeighedDestination,
} from '@lvs-fleet/contract'
import type { Fleet } from '../../intent/fleet.ts'
import type { DirectorSpec } from '../../intent/kinds.ts'
import type { Refusal } from '../choose-forwarding.ts'
import { hostKey, type Compiled } from '../compile.ts'
import { createChooser, routesOf, type Route } from '../destinations.ts'
import { indexFleet, type FleetIndex } from '../fleet-index.ts'
import { weightFactors, type WeightFactor } from '../weight.ts'
import { destinationCautions, packetCautions, segmentCautions } from './cautions.ts'
import type { Hop } from './hop.ts'
import { kernelWeights } from './kernel-weight.ts'
import { packetPath } from './packet-path.ts'
import { clientMismatch, persistenceOf, type Persistence } from './persistence.ts'
import { schedulingVerdict, type Verdict } from './scheduling.ts'
import { otherMarks, takenBy, takenName, type PacketQuestion, type Taken } from './taken-by.ts'

export type DestinationExplanation = {
  readonly realServer: string
  readonly site: string
  readonly forwarding: string | null
  readonly address: Ip | null
  readonly port: number | null
  readonly why: string
  readonly passedOver: readonly Refusal[]
  readonly weight: number
  readonly weightFactors: readonly WeightFactor[]
  /** Where the pool has a policy: which connections it gets first. */
  readonly level: Level | null
  /** What its director reported where the kernel's weight is not intent's. */
  readonly reported: WeighedDestination | null
  readonly path: readonly Hop[]
  readonly cautions: readonly string[]
}

export type PacketExplanation = {
  readonly director: string
  readonly vip: Ip
  readonly protocol: string
  readonly port: number | null
  readonly client: Ip | null
  readonly virtualService: string
  /** Key of the kernel's service: `tcp/10.1.0.100:80`, `fwmark/7/ipv4`. */
  readonly service: string
  readonly takenBecause: string
  readonly scheduling: Verdict
  readonly persistence: Persistence | null
  readonly destinations: readonly DestinationExplanation[]
  readonly cautions: readonly string[]
}

export type PacketAnswer =
  | { readonly ok: true; readonly explanation: PacketExplanation }
  | { readonly ok: false; readonly reason: 'unknown' | 'unclear'; readonly text: string }

export function explainPacket(
  question: PacketQuestion,
  fleet: Fleet,
  compiled: Compiled,
  reported: readonly WeighedDestination[] | null = null,
): PacketAnswer {
  const index = indexFleet(fleet)
  const director = fleet.directors.find(({ name }) => name === question.director)
  if (director === undefined) {
    const text = `there is no director named ${question.director}`
    return { ok: false, reason: 'unknown', text }
  }
  const mismatch = clientMismatch(question.vip, question.client)
  if (mismatch !== undefined) return { ok: false, reason: 'unclear', text: mismatch }
  const carried = index.carriedBy.get(director.name) ?? []
  const candidates = takenBy(question, carried)
  const [taken, ...others] = candidates
  if (taken === undefined) {
    return {
      ok: false,
      reason: 'unknown',
      text: nobodyTakes(
        question,
        carried.flatMap(({ vips }) => vips),
      ),
    }
  }
  if (others.length > 0) {
    const names = candidates.map(takenName).slice(0, 10).join(', ')
    const text = `more than one service of ${director.name} takes packets to ${question.vip}: ${names}: say protocol and port, or firewallMark`
    return { ok: false, reason: 'unclear', text }
  }
  const cautions = [...otherMarks(taken, carried), ...packetCautions(director, question.client)]
  const { client } = question
  const explanation = explain({ director, taken, client, index, compiled, reported })
  return { ok: true, explanation: { ...explanation, cautions } }
}

/** The kernel's own answer to a packet that no service takes. */
function nobodyTakes({ director, vip, port }: PacketQuestion, vips: readonly Ip[]): string {
  if (!vips.includes(vip)) return `${director} carries no virtual service with VIP ${vip}`
  return `no service of ${director} takes ${port === null ? 'such packets' : `port ${port}`} at ${vip}: the director answers for itself, which refuses the client as a rule`
}

type Subject = {
  readonly director: DirectorSpec
  readonly taken: Taken
  readonly client: Ip | null
  readonly index: FleetIndex
  readonly compiled: Compiled
  readonly reported: readonly WeighedDestination[] | null
}

function explain(subject: Subject): Omit<PacketExplanation, 'cautions'> {
  const { director, taken, client, index } = subject
  const { service, listener } = taken
  const key = serviceKey(listener.ref)
  const routes = routesOf(director, service, index, createChooser(index)).filter(
    ({ ref, vip }) => vip === listener.vip && serviceKey(ref) === key,
  )
  const weights = kernelWeights(routes, subject.reported)
  const choices = routes.flatMap(({ server, choice }, i) =>
    choice.ok ? [{ realServer: server.name, weight: weights[i]?.weight ?? 0 }] : [],
  )
  return {
    director: director.name,
    vip: listener.vip,
    protocol: service.protocol,
    port: taken.port,
    client,
    virtualService: service.name,
    service: key,
    takenBecause: taken.because,
    scheduling: schedulingVerdict(service.scheduler, service.flags, choices),
    persistence: persistenceOf(service, familyOf(listener.vip), client),
    destinations: routes.map((route, i) =>
      explainDestination(subject, route, weights[i]?.reported ?? null),
    ),
  }
}

function explainDestination(
  subject: Subject,
  route: Route,
  reported: WeighedDestination | null,
): DestinationExplanation {
  const { director, taken, client, index, compiled } = subject
  const { server, member, choice, serverPort } = route
  const path = packetPath({
    director,
    service: taken.service,
    route,
    port: taken.port,
    client,
    serverState: machineOf(server.name, server.addresses, index, compiled),
    index,
  })
  return {
    realServer: server.name,
    site: server.site,
    forwarding: choice.ok ? describeForwarding(choice.forwarding) : null,
    address: choice.ok ? choice.address : null,
    port: serverPort === 0 ? taken.port : serverPort,
    why: choice.ok ? choice.why : 'no method is possible',
    passedOver: choice.refusals,
    weight: route.weight,
    weightFactors: weightFactors({ director, server, member, drain: route.drain }, index),
    level: route.placement?.level ?? null,
    reported,
    path,
    cautions: [
      ...destinationCautions({ director, service: taken.service, route, client, index }),
      ...segmentCautions(path, familyOf(route.vip)),
    ],
  }
}

/** A real server that shares an address with a director is that machine, and its state is there (compile). */
function machineOf(
  name: string,
  addresses: readonly Ip[],
  index: FleetIndex,
  compiled: Compiled,
): HostState {
  const director = index.directors.find((one) =>
    one.addresses.some((address) => addresses.includes(address)),
  )
  const key =
    director === undefined ? hostKey('real-server', name) : hostKey('director', director.name)
  return compiled.hosts.get(key)?.state ?? EMPTY_HOST_STATE
}
