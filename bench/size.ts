/** The two tables that everything is measured with: virtual services, ten destinations each. */

export const SIZES = [1_000, 10_000] as const
export type Size = (typeof SIZES)[number]
export const WIDTH = 10

export function sizeName(size: Size): string {
  return `${size.toLocaleString('en')} x ${WIDTH}`
}
