/**
 * System calls on sockets through koffi: neither the `netlink` package nor Node sets the options that the agent
 * needs. Only what neither of them can do is here; waiting, reading and closing stay theirs.
 * Loaded at first use and once: koffi costs memory, and nothing may happen at import time.
 */
import { createRequire } from 'node:module'
import type Koffi from 'koffi'
import { KernelError } from './kernel.ts'
import { errnoName } from './netlink/errno.ts'

type Libc = {
  readonly setInt: (fd: number, level: number, option: number, value: number) => number
  readonly socket: (family: number, type: number, protocol: number) => number
  readonly bind: (fd: number, address: Uint8Array) => number
  readonly close: (fd: number) => number
}

let koffi: typeof Koffi | undefined
let libc: Libc | undefined

/** Sets one integer socket option; returns undefined, or the name of the error. */
export function setSocketOption(
  fd: number,
  option: { readonly level: number; readonly name: number; readonly value: number },
): string | undefined {
  libc ??= loadLibc()
  return failureOf(libc.setInt(fd, option.level, option.name, option.value))
}

/** socket(2): the descriptor, or the name of the error. Whoever gets it closes it. */
export function openSocket(family: number, type: number, protocol = 0): number | string {
  libc ??= loadLibc()
  const fd = libc.socket(family, type, protocol)
  return failureOf(fd) ?? fd
}

/** bind(2) to an encoded sockaddr; returns undefined, or the name of the error. */
export function bindSocket(fd: number, address: Uint8Array): string | undefined {
  libc ??= loadLibc()
  return failureOf(libc.bind(fd, address))
}

/** Only for a descriptor that nothing else owns yet. */
export function closeSocket(fd: number): void {
  libc ??= loadLibc()
  libc.close(fd)
}

function failureOf(result: number): string | undefined {
  return result < 0 ? errnoName(loadKoffi().errno()) : undefined
}

/**
 * koffi's machine code, which its package for this processor has. Its own entry finds the same after it has read what
 * machine this is: 15 ms and 6 MB of a start.
 */
function loadKoffi(): typeof Koffi {
  koffi ??= createRequire(import.meta.url)(`@koromix/koffi-linux-${process.arch}`) as typeof Koffi
  return koffi
}

function loadLibc(): Libc {
  // glibc only: the netlink package has no musl build either.
  const library = loadKoffi().load('libc.so.6')
  const call = (declaration: string): ((...args: unknown[]) => number) => {
    const symbol: (...args: unknown[]) => unknown = library.func(declaration)
    return (...args) => {
      const result = symbol(...args)
      if (typeof result !== 'number') throw new KernelError(declaration, 'EINVAL', 'no result')
      return result
    }
  }
  const setsockopt = call(
    'int setsockopt(int fd, int level, int option, const int *value, uint32_t length)',
  )
  const bind = call('int bind(int fd, const uint8_t *address, uint32_t length)')
  return {
    setInt: (fd, level, option, value) => setsockopt(fd, level, option, [value], 4),
    socket: call('int socket(int family, int type, int protocol)'),
    bind: (fd, address) => bind(fd, address, address.length),
    close: call('int close(int fd)'),
  }
}
