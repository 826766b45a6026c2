/** Asks modprobe for a kernel module; gives what it complained about, empty when it did not. */

export type Modprobe = (module: string) => Promise<string>

const TIMEOUT_MS = 10_000
/** A service's PATH may lack the folders for administrators. */
const PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'

export const modprobe: Modprobe = (module) =>
  new Promise((resolve) => {
    const options = { env: { PATH, LANG: 'C' }, timeout: TIMEOUT_MS }
    const { execFile } = process.getBuiltinModule('node:child_process')
    execFile('modprobe', [module], options, (error, _output, complaint) => {
      if (error === null) resolve('')
      else resolve(complaint.trim().split('\n', 1)[0] || error.message)
    })
  })
