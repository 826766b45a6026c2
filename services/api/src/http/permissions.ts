/**
 * Who may call what: one table, route × role. The middleware refuses what it does not list; tests walk all of it, and
 * `docs/access.md` shows it. `own`: within the sites and labels of the credential, which the verbs decide
 * by what would change.
 */
import { OPERATOR_ROLES, type OperatorRole } from '../access/grant.ts'
import { KIND_PATHS } from '../intent/kinds.ts'

export type Access = 'yes' | 'own' | 'no'
/** `anyone`: the body or nothing is the credential. `agent`: an access token of a host. */
export type Caller = 'anyone' | 'agent' | 'operator'

export type Permission = {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** As the route contracts spell it: `/v1/pools/{name}`. */
  readonly path: string
  readonly caller: Caller
  readonly access: Readonly<Record<OperatorRole, Access>>
}

const NOBODY = accessOf({})
const ADMINS = accessOf({ admin: 'yes' })
/** Everybody but the enroller, who needs to know nothing of the fleet. */
const READERS = accessOf({ admin: 'yes', operator: 'yes', 'site-operator': 'yes', viewer: 'yes' })
const EVERYBODY = accessOf({
  admin: 'yes',
  operator: 'yes',
  'site-operator': 'yes',
  enroller: 'yes',
  viewer: 'yes',
})
const CHANGERS = accessOf({ admin: 'yes', operator: 'yes', 'site-operator': 'own' })
const ENROLLERS = accessOf({
  admin: 'yes',
  operator: 'yes',
  'site-operator': 'own',
  enroller: 'own',
})
/** Join tokens tell names, sites and who made them. */
const ENROLMENT_READERS = accessOf({ ...ENROLLERS, viewer: 'yes' })
/** Only keys that are no stronger than one's own. */
const KEY_HOLDERS = accessOf({ admin: 'yes', operator: 'own', 'site-operator': 'own' })
const AUDITORS = READERS
/** A rule lets hosts into any site, for as long as it stands. */
const RULE_MAKERS = accessOf({ admin: 'yes', operator: 'yes' })
/** They tell the whole fleet to somebody outside, and URLs of receivers often are secrets in themselves. */
const TELLERS = accessOf({ admin: 'yes', operator: 'yes' })

export const PERMISSIONS: readonly Permission[] = [
  open('GET /healthz'),
  open('GET /readyz'),
  open('POST /v1/enrol'),
  open('POST /v1/enrol/challenge'),
  open('POST /v1/agent/token'),
  { ...open('GET /v1/agent/state'), caller: 'agent' },
  { ...open('POST /v1/agent/report'), caller: 'agent' },
  { ...open('POST /v1/agent/rotate-key'), caller: 'agent' },
  operator('GET /v1/fleet', READERS),
  operator('PUT /v1/fleet', CHANGERS),
  operator('GET /v1/revisions', READERS),
  operator('GET /v1/revisions/{number}', READERS),
  ...Object.values(KIND_PATHS).flatMap((kind) => [
    operator(`GET /v1/${kind}`, READERS),
    operator(`GET /v1/${kind}/{name}`, READERS),
    operator(`PUT /v1/${kind}/{name}`, CHANGERS),
    operator(`PATCH /v1/${kind}/{name}`, CHANGERS),
    operator(`DELETE /v1/${kind}/{name}`, CHANGERS),
  ]),
  operator('GET /v1/virtual-services/{name}/explain', READERS),
  operator('GET /v1/explain', READERS),
  operator('GET /v1/hosts', READERS),
  operator('GET /v1/hosts/{role}/{name}', READERS),
  operator('GET /v1/hosts/{role}/{name}/state', READERS),
  operator('GET /v1/hosts/{role}/{name}/document', READERS),
  operator('GET /v1/hosts/{role}/{name}/script', READERS),
  operator('POST /v1/hosts/{role}/{name}/revoke', ENROLLERS),
  operator('POST /v1/hosts/{role}/{name}/release', ENROLLERS),
  operator('GET /v1/doctor', READERS),
  operator('GET /v1/health', READERS),
  operator('GET /v1/drain-status', READERS),
  operator('GET /v1/drain-status/{name}', READERS),
  operator('GET /v1/events', READERS),
  operator('GET /v1/events/stream', READERS),
  operator('GET /v1/webhooks', TELLERS),
  operator('POST /v1/webhooks', TELLERS),
  operator('DELETE /v1/webhooks/{id}', TELLERS),
  operator('POST /v1/webhooks/{id}/pause', TELLERS),
  operator('POST /v1/webhooks/{id}/resume', TELLERS),
  operator('GET /v1/join-tokens', ENROLMENT_READERS),
  operator('POST /v1/join-tokens', ENROLLERS),
  operator('DELETE /v1/join-tokens/{id}', ENROLLERS),
  operator('GET /v1/enrolment-rules', READERS),
  operator('GET /v1/enrolment-rules/{name}', READERS),
  operator('PUT /v1/enrolment-rules/{name}', RULE_MAKERS),
  operator('DELETE /v1/enrolment-rules/{name}', RULE_MAKERS),
  operator('GET /v1/pending-enrolments', ENROLMENT_READERS),
  operator('POST /v1/pending-enrolments/{id}/approve', ENROLLERS),
  operator('POST /v1/pending-enrolments/{id}/refuse', ENROLLERS),
  operator('GET /v1/api-keys', KEY_HOLDERS),
  operator('POST /v1/api-keys', KEY_HOLDERS),
  operator('POST /v1/api-keys/{id}/rotate', KEY_HOLDERS),
  operator('DELETE /v1/api-keys/{id}', KEY_HOLDERS),
  operator('GET /v1/controller', EVERYBODY),
  operator('POST /v1/controller/new-epoch', ADMINS),
  operator('POST /v1/controller/keys/{step}', ADMINS),
  operator('GET /v1/audit-events', AUDITORS),
  operator('GET /v1/audit/checkpoints', AUDITORS),
]

/** The row of a request; undefined when the table has none, which means no. */
export function findPermission(method: string, path: string): Permission | undefined {
  const wanted = method === 'HEAD' ? 'GET' : method
  return PERMISSIONS.find((one) => one.method === wanted && matchesPath(one.path, path))
}

/** Whether a path is one of a pattern with `{name}` in it. */
export function matchesPath(pattern: string, path: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return (
    wanted.length === given.length &&
    wanted.every((part, i) => part === given[i] || (part.startsWith('{') && given[i] !== ''))
  )
}

/** Roles that may call it, at least within their scope. */
export function rolesOf({ access }: Permission): OperatorRole[] {
  return OPERATOR_ROLES.filter((role) => access[role] !== 'no')
}

/** The table as a page shows it. */
export function permissionTable(): string {
  const rows = PERMISSIONS.map(({ method, path, caller, access }) => [
    `${method} ${path}`,
    ...(caller === 'operator'
      ? OPERATOR_ROLES.map((role) => (access[role] === 'no' ? '' : access[role]))
      : OPERATOR_ROLES.map(() => (caller === 'agent' ? 'agents' : 'anyone'))),
  ])
  const lines = [['route', ...OPERATOR_ROLES], ['---', ...OPERATOR_ROLES.map(() => '---')], ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function accessOf(some: Partial<Record<OperatorRole, Access>>): Record<OperatorRole, Access> {
  return {
    admin: 'no',
    operator: 'no',
    'site-operator': 'no',
    enroller: 'no',
    viewer: 'no',
    ...some,
  }
}

function operator(route: string, access: Permission['access']): Permission {
  return { ...open(route), caller: 'operator', access }
}

function open(route: string): Permission {
  const [method = '', path = ''] = route.split(' ')
  if (!isMethod(method)) throw new Error(`${route} has no method`)
  return { method, path, caller: 'anyone', access: NOBODY }
}

function isMethod(text: string): text is Permission['method'] {
  return ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'].includes(text)
}
