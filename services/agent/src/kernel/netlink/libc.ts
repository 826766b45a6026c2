/**
 * setsockopt(2) through koffi, because the `netlink` package sets no option but buffer sizes.
 * Loaded at first use and once: koffi costs memory, and nothing may happen at import time.
 */
import koffi from 'koffi'
import { KernelError } from '../kernel.ts'
import { errnoName } from './errno.ts'

type Libc = {
  readonly setInt: (fd: number, level: number, option: number, value: number) => number
}

let libc: Libc | undefined

/** Sets one integer socket option; returns undefined, or the name of the error. */
export function setSocketOption(
  fd: number,
  option: { readonly level: number; readonly name: number; readonly value: number },
): string | undefined {
  libc ??= loadLibc()
  if (libc.setInt(fd, option.level, option.name, option.value) === 0) return undefined
  return errnoName(koffi.errno())
}

function loadLibc(): Libc {
  // glibc only: the netlink package has no musl build either.
  const library = koffi.load('libc.so.6')
  const setsockopt: (...args: unknown[]) => unknown = library.func(
    'int setsockopt(int fd, int level, int option, const int *value, uint32_t length)',
  )
  return {
    setInt: (fd, level, option, value) => {
      const result = setsockopt(fd, level, option, [value], 4)
      if (typeof result !== 'number') throw new KernelError('setsockopt', 'EINVAL', 'no result')
      return result
    },
  }
}
