/**
 * A host state in the form that somebody asked for: shell script, cloud-init or systemd-networkd files, for hosts
 * without an agent. Pure; gives a reason instead where a form cannot say what the host needs.
 */
import { assertNever, type HostState, type Role } from '@lvs-fleet/contract'
import { renderCloudInit } from './render-cloud-init.ts'
import { renderNetworkd } from './render-networkd.ts'
import { renderScript } from './render-script.ts'

export const RENDER_FORMATS = ['shell', 'cloud-init', 'networkd'] as const
export type RenderFormat = (typeof RENDER_FORMATS)[number]

export type RenderedHost = { readonly name: string; readonly role: Role }
export type Rendered =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly why: string }

export function renderHost(
  host: RenderedHost,
  compiled: HostState,
  format: RenderFormat,
): Rendered {
  const state = withoutProbes(compiled)
  switch (format) {
    case 'shell':
      return { ok: true, text: renderScript(host, state) }
    case 'cloud-init':
      return { ok: true, text: renderCloudInit(host, state) }
    case 'networkd':
      return renderNetworkd(host, state)
    default:
      return assertNever(format)
  }
}

/** Nobody probes where no agent runs. */
function withoutProbes(state: HostState): HostState {
  const sysctls = state.sysctls.filter(({ key }) => !key.endsWith('.accept_local'))
  return { ...state, paths: [], sysctls }
}
