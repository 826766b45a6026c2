/** Explain: what happens to one packet at one director; that of a whole virtual service is with the intent. */
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { PacketExplanation as Answer } from '@lvs-fleet/contract'
import { explainPacket, type PacketExplanation } from '../../compile/explain/packet.ts'
import { ApiError } from '../../errors.ts'
import type { Deps } from '../../verbs/deps.ts'
import { findHostView } from '../../verbs/read-hosts.ts'
import type { AppEnv } from '../app-env.ts'
import { explainPacketContract } from './explain-contract.ts'

export function explainRoutes(app: OpenAPIHono<AppEnv>, deps: Deps): void {
  app.openapi(explainPacketContract, async (c) => {
    const { director, vip, protocol, port, firewallMark, client } = c.req.valid('query')
    const { snapshot } = deps.live
    const view = await findHostView(deps, 'director', director)
    const answer = explainPacket(
      {
        director,
        vip,
        protocol: protocol ?? null,
        port: port ?? null,
        firewallMark: firewallMark ?? null,
        client: client ?? null,
      },
      snapshot.fleet,
      deps.live.compiled(snapshot),
      view?.report?.weights ?? null,
    )
    if (!answer.ok) {
      const code = answer.reason === 'unknown' ? 'not-found' : 'invalid-parameter'
      throw new ApiError(code, answer.text)
    }
    return c.json({ ...bodyOf(answer.explanation), revision: snapshot.revision }, 200)
  })
}

/** The same with lists that may be written to, which is what the contract's types say of JSON. */
function bodyOf(explanation: PacketExplanation): Omit<Answer, 'revision'> {
  return {
    ...explanation,
    cautions: [...explanation.cautions],
    destinations: explanation.destinations.map((destination) => ({
      ...destination,
      passedOver: [...destination.passedOver],
      weightFactors: [...destination.weightFactors],
      cautions: [...destination.cautions],
      path: destination.path.map(({ sends, ...hop }) => ({
        ...hop,
        sends: sends === null ? null : { ...sends, outer: outerOf(sends.outer) },
      })),
    })),
  }
}

function outerOf<T extends { readonly sources: readonly string[] }>(outer: T | null) {
  return outer === null ? null : { ...outer, sources: [...outer.sources] }
}
