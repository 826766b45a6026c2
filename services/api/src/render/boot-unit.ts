/**
 * A script of ours as a systemd service that runs at each boot once the network is up, and takes back what it set
 * when it is stopped. Gives files; who writes them is the business of each form.
 */
export type RenderedFile = {
  readonly path: string
  readonly mode: '0644' | '0755'
  readonly content: string
}

/** Name of the service of a host. */
export function unitName(host: string): string {
  return `lvsfleet-${host}.service`
}

/** The script and its unit; `what` is the unit's description. */
export function bootFiles(host: string, what: string, script: string): readonly RenderedFile[] {
  const path = `/usr/local/sbin/lvsfleet-${host}`
  const unit = [
    '[Unit]',
    `Description=LVS Fleet: ${what}`,
    // The addresses that tunnels and GUE ports are bound to must be there.
    'Wants=network-online.target',
    'After=network-online.target',
    '',
    '[Service]',
    'Type=oneshot',
    'RemainAfterExit=yes',
    `ExecStart=/bin/sh ${path} setup`,
    `ExecStop=/bin/sh ${path} remove`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ]
  return [
    { path, mode: '0755', content: script },
    { path: `/etc/systemd/system/${unitName(host)}`, mode: '0644', content: unit.join('\n') },
  ]
}
