/**
 * Enrolment rules: which AWS identities may enrol, and as what. Takes rules and the identity that STS confirmed; gives
 * the first rule, by name, that allows it, with the host's name. Pure.
 */
import { roleSchema } from '@lvs-fleet/contract'
import * as z from 'zod'
import { labelsSchema, nameSchema } from '../intent/shared-fields.ts'

export type AwsIdentity = {
  readonly account: string
  /** `arn:aws:sts::123456789012:assumed-role/lvs-director/i-0abc...` */
  readonly arn: string
  /** Of the STS host that confirmed it: chosen by the host. */
  readonly region: string
}

export const APPROVALS = ['auto', 'manual'] as const
export const approvalSchema = z.enum(APPROVALS).default('auto')

const templateSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/^([a-z0-9-]|\{(instance|account|session)\})+$/, {
    error:
      'is lower-case letters, digits, dashes and {instance}, {session} or {account}, such as dir-{instance}',
  })

export const enrolmentRuleSchema = z.strictObject({
  aws: z.strictObject({
    account: z.string().regex(/^\d{12}$/, { error: 'is an account number of 12 digits' }),
    /**
     * Of the caller: `*` is any run of characters but `/` and `:`. An EC2 instance is
     * `arn:aws:sts::ACCOUNT:assumed-role/ROLE/INSTANCE-ID`.
     */
    arn: z
      .string()
      .max(500)
      .regex(/^arn:aws[a-z-]*:(sts|iam)::\d{12}:[A-Za-z0-9+=,.@_/*-]+$/, {
        error: 'is an ARN of sts or iam, with * for parts of it',
      }),
    /** Only callers whose session is named as EC2 names those of instances (`i-` and 8 or 17 hex digits). */
    instance: z.boolean().default(true),
    /** Regions of the STS host that the caller signed for; empty = any. */
    regions: z.array(z.string().max(40)).max(64).default([]),
  }),
  role: roleSchema,
  site: nameSchema,
  /** For the director or real server, where enrolment creates it. */
  labels: labelsSchema,
  /** Of the host. It must be able to come out differently for each caller, or only one can ever enrol. */
  hostName: templateSchema.default('{instance}'),
  approval: approvalSchema,
  /** An identity of the same name is revoked, as when the instance was installed anew. */
  replaces: z.boolean().default(false),
})
export type EnrolmentRuleSpec = z.output<typeof enrolmentRuleSchema>
export type EnrolmentRule = { readonly name: string; readonly spec: EnrolmentRuleSpec }

export type RuleMatch =
  | { readonly ok: true; readonly rule: EnrolmentRule; readonly hostName: string }
  | { readonly ok: false; readonly why: string }

const INSTANCE = /^i-([0-9a-f]{8}|[0-9a-f]{17})$/

export function matchRules(rules: readonly EnrolmentRule[], caller: AwsIdentity): RuleMatch {
  for (const rule of rules.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!allows(rule.spec, caller)) continue
    const hostName = nameOf(rule.spec.hostName, caller)
    if (hostName !== undefined) return { ok: true, rule, hostName }
    return {
      ok: false,
      why: `rule ${rule.name} allows ${caller.arn}, but its hostName ${rule.spec.hostName} makes no host name of it`,
    }
  }
  return { ok: false, why: `no enrolment rule allows ${caller.arn}` }
}

function allows({ aws }: EnrolmentRuleSpec, caller: AwsIdentity): boolean {
  return (
    aws.account === caller.account &&
    patternOf(aws.arn).test(caller.arn) &&
    (!aws.instance || INSTANCE.test(sessionOf(caller.arn))) &&
    (aws.regions.length === 0 || aws.regions.includes(caller.region))
  )
}

function patternOf(arn: string): RegExp {
  const parts = arn.split('*').map((part) => part.replaceAll(/[^A-Za-z0-9]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^/:]*')}$`)
}

/** What comes after the last slash: for an instance its id, for other sessions the name that the caller chose. */
function sessionOf(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1)
}

function nameOf(template: string, { account, arn }: AwsIdentity): string | undefined {
  const session = sessionOf(arn)
  const name = template
    .replaceAll('{instance}', INSTANCE.test(session) ? session : '?')
    .replaceAll('{session}', session.toLowerCase())
    .replaceAll('{account}', account)
  return nameSchema.safeParse(name).success ? name : undefined
}
