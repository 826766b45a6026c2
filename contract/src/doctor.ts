/**
 * What the doctor of one host says: findings, each with what is, what should be, why it matters, what a user
 * would see, and what mends it. The same words on the host, in the report, in the API and in the CLI.
 */
import * as z from 'zod'
import { listUpTo, naturalSchema, textUpTo } from './shapes.ts'

/** broken: traffic fails now. risk: it will, or can be abused. info: worth knowing. */
export const SEVERITIES = ['broken', 'risk', 'info'] as const
export const severitySchema = z.enum(SEVERITIES)
export type Severity = z.infer<typeof severitySchema>

export const findingSchema = z.object({
  /** Which check, such as `rp-filter`. */
  check: textUpTo(40),
  severity: severitySchema,
  /** What it is about: a sysctl, a device, a VIP, a virtual service. */
  object: textUpTo(200),
  found: textUpTo(400),
  wanted: textUpTo(400),
  why: textUpTo(600),
  /** What somebody who uses the service would notice. */
  symptom: textUpTo(400),
  /** What to run; in order. Lines that begin with `#` are advice where no command can know enough. */
  commands: listUpTo(textUpTo(400), 10),
  /** `doctor --fix` may do it. */
  fixable: z.boolean(),
})
export type Finding = z.infer<typeof findingSchema>

/** How many findings a report carries; the count is whole. */
export const FINDINGS_MAX = 50

/** The doctor's share of a report. */
export const doctorSummarySchema = z.object({
  findings: listUpTo(findingSchema, FINDINGS_MAX),
  findingCount: naturalSchema,
})
export type DoctorSummary = z.infer<typeof doctorSummarySchema>
