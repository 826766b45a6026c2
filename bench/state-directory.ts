/** A director's state directory as a reboot finds it: identity, signed state, a ledger of another boot. */
import { saveIdentity } from '../services/agent/src/control-plane/identity.ts'
import { openDisk } from '../services/agent/src/disk/node-disk.ts'
import { PRIVATE_MODE } from '../services/agent/src/disk/sealed.ts'
import { FOLDERS } from '../services/agent/src/state/store.ts'
import { createFakeHost } from '../test/fakes/fake-host.ts'
import { largeState } from '../test/fakes/states.ts'
import { WIDTH, type Size } from './size.ts'

/** Made by an agent on a fake kernel: what it keeps is what a real one keeps. */
export async function makeStateDirectory(path: string, size: Size, weight: number): Promise<void> {
  const { controller, disk: kept, start, offer } = await createFakeHost()
  await start()
  const state = largeState(size, WIDTH, weight)
  const taken = await offer(await controller.publish(state, { generation: 1 }))
  if (taken.is !== 'applied') throw new Error(`the state was not taken: ${taken.is}`)
  const disk = await openDisk(path, Object.values(FOLDERS))
  for (const [file, text] of kept.files) await disk.write(file, text, PRIVATE_MODE)
  await saveIdentity(disk, controller.identity)
}
