/** A host that runs with real servers whose health is as the test says. */
import { serviceKey, type DestinationState, type Ip } from '@lvs-fleet/contract'
import { createFakeHealth, type FakeHealth } from './fake-health.ts'
import { createFakeHost, type FakeHost } from './fake-host.ts'

export type CheckedHost = FakeHost & { readonly health: FakeHealth }

/** Started, with nothing in force. */
export async function startCheckedHost(): Promise<CheckedHost> {
  const health = createFakeHealth()
  const host = Object.assign(await createFakeHost({ health }), { health })
  await host.start()
  return host
}

/** In the kernel, of a virtual service at TCP port 80, in the order of `ends`. */
export function weightsOf(
  { kernel }: FakeHost,
  address: Ip,
  ends: readonly Pick<DestinationState, 'address' | 'port'>[],
): (number | undefined)[] {
  const held = kernel.services.get(serviceKey({ protocol: 'tcp', address, port: 80 }))?.destinations
  return ends.map((end) => held?.get(`${end.address}:${end.port}`)?.config.weight)
}
