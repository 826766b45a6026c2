/** Enrolment rules: put one, delete one. What they allow counts from the next enrolment on; who is in stays in. */
import { ApiError } from '../errors.ts'
import type { EnrolmentRule } from '../identity/match-rules.ts'
import { insertAuditEvent } from '../store/audit-store.ts'
import { deleteRule, findRule, putRule, type StoredRule } from '../store/enrolment-store.ts'
import type { Deps } from './deps.ts'
import { objectKey } from './live-fleet.ts'

export async function putEnrolmentRule(
  deps: Deps,
  actor: string,
  rule: EnrolmentRule,
): Promise<StoredRule> {
  const { name, spec } = rule
  refuseContradictions(deps, rule)
  const at = deps.now()
  return deps.database.db.transaction(async (tx) => {
    await putRule(tx, rule, at)
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'enrolment-rule.put',
      subject: `enrolment-rule/${name}`,
      revision: null,
      detail: { ...spec },
    })
    const stored = await findRule(tx, name)
    if (stored === undefined) throw new Error(`enrolment rule ${name} vanished`)
    return stored
  })
}

function refuseContradictions(deps: Deps, { spec }: EnrolmentRule): void {
  const refuse = (pointer: string, code: string, message: string) =>
    new ApiError('invalid-body', message, { errors: [{ pointer, code, message }] })
  if (!deps.live.snapshot.objects.has(objectKey('site', spec.site)))
    throw refuse('/site', 'unknown-name', `there is no site named ${spec.site}`)
  if (spec.aws.arn.split(':')[4] !== spec.aws.account)
    throw refuse('/aws/arn', 'other-account', `the ARN is not of account ${spec.aws.account}`)
  if (spec.hostName.includes('{instance}') && !spec.aws.instance)
    throw refuse('/hostName', 'no-instance', '{instance} needs aws.instance to be true')
}

export async function deleteEnrolmentRule(deps: Deps, actor: string, name: string): Promise<void> {
  const at = deps.now()
  await deps.database.db.transaction(async (tx) => {
    if (!(await deleteRule(tx, name)))
      throw new ApiError('not-found', `there is no enrolment rule ${name}`)
    await insertAuditEvent(tx, {
      at,
      actor,
      action: 'enrolment-rule.delete',
      subject: `enrolment-rule/${name}`,
      revision: null,
      detail: {},
    })
  })
}
