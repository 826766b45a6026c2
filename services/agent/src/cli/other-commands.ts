/** Every command but a plain `run`, by its name. */
import { VERSION } from '@lvs-fleet/contract'
import { EXIT, type Command, type Config } from '../config.ts'
import {
  loadIdentity,
  loadOrMakeKey,
  publicPart,
  setIdentityAside,
} from '../control-plane/identity.ts'
import { openDisk } from '../disk/node-disk.ts'
import { releaseHold, setHold } from '../hold.ts'
import { AgentError } from '../ports.ts'
import { clearQuarantine } from '../state/boot-counter.ts'
import { applyCommand } from './apply-command.ts'
import { doctorCommand } from './doctor-command.ts'
import { enrolNow, warnIfPlain } from './enrol-now.ts'
import { HELP } from './help.ts'
import { probeCommand } from './probe-command.ts'
import type { Outside } from './session.ts'
import { statusCommand } from './status-command.ts'

/** Its help or its version. */
export function tellOfProgram({ help }: Config, print: Outside['print']): number {
  print(help ? HELP : `${VERSION}\n`)
  return EXIT.ok
}

export async function otherCommand(
  command: Exclude<Command, 'run'>,
  config: Config,
  outside: Outside,
): Promise<number> {
  const say = (text: string): number => {
    outside.print(text)
    return EXIT.ok
  }
  switch (command) {
    case 'apply':
      return applyCommand(config, outside)
    case 'status':
      return statusCommand(config, outside)
    case 'enrol': {
      const disk = await openDisk(config.stateDir)
      if (config.again) await setIdentityAside(disk)
      if ((await loadIdentity(disk)) !== undefined) {
        throw new AgentError(
          `${config.stateDir} is enrolled already: --again makes a new key and enrols anew`,
        )
      }
      if (config.api !== undefined) warnIfPlain(config.api, outside.log)
      const { hostId, name } = await enrolNow(config, outside, disk)
      return say(`enrolled ${name} as ${hostId}\n`)
    }
    case 'key': {
      const key = await loadOrMakeKey(await openDisk(config.stateDir))
      return say(`${JSON.stringify(publicPart(key))}\n`)
    }
    case 'doctor':
      return doctorCommand(config, outside)
    case 'probe-kernel':
      return probeCommand(outside.print)
    case 'hold':
      await setHold(await openDisk(config.stateDir), config.reason ?? 'by hand')
      return say('held: forwarding goes on, nothing is applied\n')
    case 'release': {
      const disk = await openDisk(config.stateDir)
      await clearQuarantine(disk)
      await releaseHold(disk)
      return say('released\n')
    }
  }
}
