/**
 * The kernel port on a real kernel, checked against what other programs say about that kernel:
 * ipvsadm, ip, nft, and the packets themselves. All cases share one guest, on its several hosts.
 */
import { after, before, describe } from 'node:test'
import { startLab, type Lab } from '../lab.ts'
import { hostCases } from './host-cases.ts'
import { inspectCases } from './inspect-cases.ts'
import { ipvsCases } from './ipvs-cases.ts'
import { bundleKernelGuest } from './kernel-guest.ts'
import { markCases } from './mark-cases.ts'
import { networkCases } from './network-cases.ts'
import { tunnelCases } from './tunnel-cases.ts'
import { settingsCases } from './settings-cases.ts'

describe('kernel port', { timeout: 300_000 }, () => {
  let started: Lab | undefined
  const lab = (): Lab => {
    if (started === undefined) throw new Error('the lab did not start')
    return started
  }
  before(async () => {
    await bundleKernelGuest()
    started = await startLab()
  })
  after(async () => {
    await started?.stop()
  })
  ipvsCases(lab)
  networkCases(lab)
  tunnelCases(lab)
  hostCases(lab)
  settingsCases(lab)
  markCases(lab)
  inspectCases(lab)
})
