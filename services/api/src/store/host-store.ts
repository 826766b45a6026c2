/** Queries on enrolled identities, their access tokens, the ids of their assertions, and their reports. */
import { and, count, eq, isNotNull, isNull, lt, lte, max, ne, sql } from 'drizzle-orm'
import {
  capabilitiesSchema,
  publicKeySchema,
  roleSchema,
  statusReportSchema,
  type Capabilities,
  type PublicKey,
  type Role,
  type StatusReport,
} from '@lvs-fleet/contract'
import type { Queryable } from './database.ts'
import { accessTokens, assertionIds, hosts, reports } from './schema.ts'

/** One enrolled identity. */
export type Identity = {
  readonly id: string
  readonly role: Role
  readonly name: string
  readonly site: string
  readonly objectId: string
  readonly publicKey: PublicKey
  readonly thumbprint: string
  readonly state: string
  readonly machineId: string
  readonly enrolledAt: Date
  readonly revokedAt: Date | null
  /** What its next assertion must show to be no clone; null = it begins anew. */
  readonly link: string | null
  readonly quarantine: string | null
  readonly sessionsVoidAt: Date | null
}

export type ReceivedReport = { readonly report: StatusReport; readonly receivedAt: Date }
/** The report that is kept, and whether its host's silence since was told. */
export type KeptReport = ReceivedReport & { readonly staleAt: Date | null }

export async function insertIdentity(tx: Queryable, identity: Identity): Promise<void> {
  await tx.insert(hosts).values(identity)
}

export async function findIdentityByThumbprint(
  db: Queryable,
  thumbprint: string,
): Promise<Identity | undefined> {
  const rows = await db.select().from(hosts).where(eq(hosts.thumbprint, thumbprint))
  return rows[0] === undefined ? undefined : parseIdentity(rows[0])
}

/** Active or quarantined: whoever has the name. */
export async function findStandingIdentity(
  db: Queryable,
  host: { readonly role: Role; readonly name: string },
): Promise<Identity | undefined> {
  const rows = await db
    .select()
    .from(hosts)
    .where(and(eq(hosts.role, host.role), eq(hosts.name, host.name), ne(hosts.state, 'revoked')))
  return rows[0] === undefined ? undefined : parseIdentity(rows[0])
}

export async function listStandingIdentities(db: Queryable): Promise<Identity[]> {
  return (await db.select().from(hosts).where(ne(hosts.state, 'revoked'))).map(parseIdentity)
}

/** Revokes the standing identity of a host and drops its tokens; undefined when there was none. */
export async function revokeIdentity(
  tx: Queryable,
  host: { readonly role: Role; readonly name: string },
  at: Date,
): Promise<Identity | undefined> {
  const rows = await tx
    .update(hosts)
    .set({ state: 'revoked', revokedAt: at, sessionsVoidAt: at })
    .where(and(eq(hosts.role, host.role), eq(hosts.name, host.name), ne(hosts.state, 'revoked')))
    .returning()
  const row = rows[0]
  if (row === undefined) return undefined
  await tx.delete(accessTokens).where(eq(accessTokens.hostId, row.id))
  return parseIdentity(row)
}

/** Holds a host off until an operator releases it, and drops its tokens. */
export async function quarantineIdentity(
  tx: Queryable,
  id: string,
  why: string,
  at: Date,
): Promise<void> {
  await tx
    .update(hosts)
    .set({ state: 'quarantined', quarantine: why, sessionsVoidAt: at })
    .where(and(eq(hosts.id, id), eq(hosts.state, 'active')))
  await tx.delete(accessTokens).where(eq(accessTokens.hostId, id))
}

/** False when it is not quarantined. Whoever comes next begins the chain anew. */
export async function releaseIdentity(tx: Queryable, id: string): Promise<boolean> {
  const rows = await tx
    .update(hosts)
    .set({ state: 'active', quarantine: null, link: null })
    .where(and(eq(hosts.id, id), eq(hosts.state, 'quarantined')))
    .returning({ id: hosts.id })
  return rows.length === 1
}

/** Locked until the transaction ends: of two assertions with one link one is first. */
export async function lockIdentity(tx: Queryable, id: string): Promise<Identity | undefined> {
  const rows = await tx.select().from(hosts).where(eq(hosts.id, id)).for('update')
  return rows[0] === undefined ? undefined : parseIdentity(rows[0])
}

export async function writeLink(tx: Queryable, id: string, link: string): Promise<void> {
  await tx.update(hosts).set({ link }).where(eq(hosts.id, id))
}

export async function replaceKey(
  tx: Queryable,
  id: string,
  next: { readonly publicKey: PublicKey; readonly thumbprint: string; readonly at: Date },
): Promise<void> {
  const { publicKey, thumbprint, at } = next
  await tx.update(hosts).set({ publicKey, thumbprint, sessionsVoidAt: at }).where(eq(hosts.id, id))
}

/** Changes whenever tokens became void before their time: other processes see by it that their sessions are stale. */
export async function sessionsStamp(db: Queryable): Promise<string> {
  const rows = await db
    .select({ count: count(), newest: max(hosts.sessionsVoidAt) })
    .from(hosts)
    .where(isNotNull(hosts.sessionsVoidAt))
  return `${rows[0]?.count ?? 0} ${rows[0]?.newest?.toISOString() ?? ''}`
}

export async function insertAccessToken(
  tx: Queryable,
  token: { readonly sha256: string; readonly hostId: string; readonly expiresAt: Date },
): Promise<void> {
  await tx.insert(accessTokens).values(token)
}

/** The identity behind an access token, when both are still good. */
export async function findIdentityByToken(
  db: Queryable,
  sha256: string,
): Promise<{ identity: Identity; expiresAt: Date } | undefined> {
  const rows = await db
    .select({ host: hosts, expiresAt: accessTokens.expiresAt })
    .from(accessTokens)
    .innerJoin(hosts, eq(hosts.id, accessTokens.hostId))
    .where(and(eq(accessTokens.sha256, sha256), eq(hosts.state, 'active')))
  const row = rows[0]
  return row === undefined
    ? undefined
    : { identity: parseIdentity(row.host), expiresAt: row.expiresAt }
}

/** False when this assertion was used before. */
export async function useAssertionId(tx: Queryable, id: string, expiresAt: Date): Promise<boolean> {
  const rows = await tx
    .insert(assertionIds)
    .values({ id, expiresAt })
    .onConflictDoNothing()
    .returning({ id: assertionIds.id })
  return rows.length === 1
}

/** Keeps a report when it is newer than the one that is kept; false = it was not. */
export async function upsertReport(
  db: Queryable,
  hostId: string,
  received: ReceivedReport,
): Promise<boolean> {
  const { report, receivedAt } = received
  const rows = await db
    .insert(reports)
    .values({ hostId, seq: report.seq, body: report, receivedAt })
    .onConflictDoUpdate({
      target: reports.hostId,
      set: { seq: report.seq, body: report, receivedAt, staleAt: null },
      setWhere: lt(reports.seq, report.seq),
    })
    .returning({ seq: reports.seq })
  return rows.length === 1
}

/** The newest report of each standing identity, by `role/name`. */
export async function loadReports(db: Queryable): Promise<Map<string, ReceivedReport>> {
  const rows = await db
    .select({
      role: hosts.role,
      name: hosts.name,
      body: reports.body,
      receivedAt: reports.receivedAt,
    })
    .from(reports)
    .innerJoin(hosts, eq(hosts.id, reports.hostId))
    .where(ne(hosts.state, 'revoked'))
  return new Map(rows.map((row) => [`${row.role}/${row.name}`, parseReport(row)]))
}

/** What the kernel of each director can, as its active identity last reported; those that said nothing are left out. */
export async function loadDirectorKernels(db: Queryable): Promise<Map<string, Capabilities>> {
  const rows = await db
    .select({ name: hosts.name, found: sql<unknown>`${reports.body}->'capabilities'` })
    .from(reports)
    .innerJoin(hosts, eq(hosts.id, reports.hostId))
    .where(and(eq(hosts.state, 'active'), eq(hosts.role, 'director')))
  const kernels = new Map<string, Capabilities>()
  for (const { name, found } of rows) {
    const parsed = capabilitiesSchema.safeParse(found)
    if (parsed.success) kernels.set(name, parsed.data)
  }
  return kernels
}

export async function findReport(
  db: Queryable,
  hostId: string,
): Promise<ReceivedReport | undefined> {
  const rows = await db.select().from(reports).where(eq(reports.hostId, hostId))
  return rows[0] === undefined ? undefined : parseReport(rows[0])
}

/** The kept report, for whoever replaces it: reports of one identity wait for one another until the transaction ends. */
export async function lockReport(tx: Queryable, hostId: string): Promise<KeptReport | undefined> {
  await tx.select({ id: hosts.id }).from(hosts).where(eq(hosts.id, hostId)).for('no key update')
  const row = (await tx.select().from(reports).where(eq(reports.hostId, hostId)))[0]
  return row === undefined ? undefined : { ...parseReport(row), staleAt: row.staleAt }
}

/** Marks enrolled hosts whose last report is older than `before`, each once until it reports again. */
export async function markStale(
  tx: Queryable,
  mark: { readonly before: Date; readonly at: Date },
): Promise<(Pick<Identity, 'role' | 'name' | 'site'> & { readonly receivedAt: Date })[]> {
  const rows = await tx
    .update(reports)
    .set({ staleAt: mark.at })
    .from(hosts)
    .where(
      and(
        eq(hosts.id, reports.hostId),
        eq(hosts.state, 'active'),
        isNull(reports.staleAt),
        lt(reports.receivedAt, mark.before),
      ),
    )
    .returning({
      role: hosts.role,
      name: hosts.name,
      site: hosts.site,
      receivedAt: reports.receivedAt,
    })
  return rows.map((row) => ({ ...row, role: roleSchema.parse(row.role) }))
}

export async function deleteExpiredCredentials(db: Queryable, now: Date): Promise<void> {
  await db.delete(accessTokens).where(lte(accessTokens.expiresAt, now))
  await db.delete(assertionIds).where(lte(assertionIds.expiresAt, now))
}

function parseReport(row: { body: unknown; receivedAt: Date }): ReceivedReport {
  return { report: statusReportSchema.parse(row.body), receivedAt: row.receivedAt }
}

function parseIdentity(row: typeof hosts.$inferSelect): Identity {
  return {
    ...row,
    role: roleSchema.parse(row.role),
    publicKey: publicKeySchema.parse(row.publicKey),
  }
}
