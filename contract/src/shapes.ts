/**
 * Numbers and texts that many messages share. Schemas of this folder are made by zod's functions, never by its methods:
 * `z.optional(x)`, not `x.optional()`. So they hold for `zod/mini` as well, which the agent's bundle takes in its place.
 */
import * as z from 'zod'

/** 0, 1, 2, … */
export const naturalSchema = z.int().check(z.gte(0))
/** 1, 2, 3, … */
export const positiveSchema = z.int().check(z.gte(1))

/** A whole number, both ends included. */
export const intBetween = (least: number, most: number) => z.int().check(z.gte(least), z.lte(most))

/** A text of so many characters at most. */
export const textUpTo = (most: number) => z.string().check(z.maxLength(most))

/** A list of so many items at most. */
export const listUpTo = <T extends z.core.SomeType>(item: T, most: number) =>
  z.array(item).check(z.maxLength(most))
