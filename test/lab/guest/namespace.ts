// Runs a piece of synchronous code in another network namespace. Only this thread moves (setns is per
// thread), so sockets and child processes created inside belong to that namespace for good, and one
// Node process can serve all hosts of the topology: a process for each would cost 0.5 s of boot.
import * as fs from 'node:fs'
import koffi from 'koffi'

const CLONE_NEWNET = 0x40000000
const setns = koffi.load('libc.so.6').func('int setns(int fd, int nstype)')
const home = fs.openSync('/proc/self/ns/net', 'r')

/** The guest's own namespace, where the management bridge and the API relay live. */
export const ROOT = 'root'

/** Calls `work`, which must not await, in the namespace of `host`. */
export function inNamespace<T>(host: string, work: () => T): T {
  if (host === ROOT) return work()
  const fd = openNamespace(host)
  try {
    enter(fd, host)
    return work()
  } finally {
    enter(home, ROOT)
    fs.closeSync(fd)
  }
}

function openNamespace(host: string): number {
  try {
    return fs.openSync(`/run/netns/${host}`, 'r')
  } catch (error) {
    throw new Error(`the lab has no host ${host}`, { cause: error })
  }
}

function enter(fd: number, host: string): void {
  if (setns(fd, CLONE_NEWNET) !== 0) {
    throw new Error(`cannot enter namespace ${host}: errno ${koffi.errno()}`)
  }
}
