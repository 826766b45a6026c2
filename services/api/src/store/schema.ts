/**
 * The tables. Intent is kept as history: a row of `objects` is one version of one object, current while
 * `untilRevision` is null, so the fleet at any revision is a where clause and nothing is ever overwritten.
 * Secrets are kept as SHA-256 only.
 */
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })
const count = (name: string) => bigint(name, { mode: 'number' })

/** One row: who signs this database's states, and the epoch that an operator bumps after a restore. */
export const controller = pgTable(
  'controller',
  {
    id: integer('id').primaryKey(),
    epoch: integer('epoch').notNull(),
    /** Public keys (RFC 8037) of everything that ever signed here. */
    keys: jsonb('keys').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  (table) => [check('controller_is_one', sql`${table.id} = 1`)],
)

/** Lists of the keys that sign states, each a JWS by a key of the list before: how agents hear of a new key. */
export const controllerKeyLists = pgTable('controller_key_lists', {
  /** From 1; agents take only a higher one than theirs. */
  serial: integer('serial').primaryKey(),
  /** Thumbprint of the key that signs states from here on. */
  current: text('current').notNull(),
  jws: text('jws').notNull(),
  createdAt: moment('created_at').notNull(),
})

export const revisions = pgTable('revisions', {
  number: count('number').primaryKey(),
  at: moment('at').notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  summary: text('summary').notNull(),
  /** `[{change, kind, name, before?, after?}]`. */
  changes: jsonb('changes').notNull(),
})

export const objects = pgTable(
  'objects',
  {
    id: uuid('id').notNull(),
    kind: text('kind').notNull(),
    name: text('name').notNull(),
    version: integer('version').notNull(),
    spec: jsonb('spec').notNull(),
    sinceRevision: count('since_revision').notNull(),
    untilRevision: count('until_revision'),
    createdAt: moment('created_at').notNull(),
    updatedAt: moment('updated_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.id, table.version] }),
    uniqueIndex('objects_current')
      .on(table.kind, table.name)
      .where(sql`${table.untilRevision} is null`),
    index('objects_since').on(table.sinceRevision),
  ],
)

/** Enrolled identities. At most one stands (active or quarantined) per role and name. */
export const hosts = pgTable(
  'hosts',
  {
    id: uuid('id').primaryKey(),
    role: text('role').notNull(),
    name: text('name').notNull(),
    site: text('site').notNull(),
    /** The director or real server that this identity speaks for. */
    objectId: uuid('object_id').notNull(),
    publicKey: jsonb('public_key').notNull(),
    /** RFC 7638. */
    thumbprint: text('thumbprint').notNull().unique(),
    state: text('state').notNull(),
    machineId: text('machine_id').notNull(),
    enrolledAt: moment('enrolled_at').notNull(),
    revokedAt: moment('revoked_at'),
    /** The link that the host is to show with its next assertion; null = whatever it shows begins the chain. */
    link: text('link'),
    /** Why it is quarantined, for operators. */
    quarantine: text('quarantine'),
    /** Access tokens from before are void: other processes drop their sessions when it moves. */
    sessionsVoidAt: moment('sessions_void_at'),
  },
  (table) => [
    uniqueIndex('hosts_standing')
      .on(table.role, table.name)
      .where(sql`${table.state} <> 'revoked'`),
    check('hosts_known_state', sql`${table.state} in ('active', 'quarantined', 'revoked')`),
  ],
)

/** Challenges that an enrolling host signs; a row goes when it is used or its time is over. */
export const enrolmentChallenges = pgTable(
  'enrolment_challenges',
  { id: text('id').primaryKey(), expiresAt: moment('expires_at').notNull() },
  (table) => [index('enrolment_challenges_expiry').on(table.expiresAt)],
)

/** Which AWS identities may enrol, as what. */
export const enrolmentRules = pgTable('enrolment_rules', {
  name: text('name').primaryKey(),
  spec: jsonb('spec').notNull(),
  createdAt: moment('created_at').notNull(),
  updatedAt: moment('updated_at').notNull(),
})

/** Hosts that proved what was asked and wait for a person. */
export const pendingEnrolments = pgTable('pending_enrolments', {
  id: uuid('id').primaryKey(),
  /** Of the key that the host made. */
  thumbprint: text('thumbprint').notNull().unique(),
  state: text('state').notNull(),
  /** What it is to become: role, name, site, labels, addresses, key, machine. */
  candidate: jsonb('candidate').notNull(),
  createdAt: moment('created_at').notNull(),
  expiresAt: moment('expires_at').notNull(),
})

/** Ids of client assertions that were used; a row lives as long as the assertion could. */
export const assertionIds = pgTable(
  'assertion_ids',
  { id: text('id').primaryKey(), expiresAt: moment('expires_at').notNull() },
  (table) => [index('assertion_ids_expiry').on(table.expiresAt)],
)

/** What is published for each host. A host that left the intent keeps its row, so its generation never goes back. */
export const hostStates = pgTable(
  'host_states',
  {
    role: text('role').notNull(),
    name: text('name').notNull(),
    site: text('site').notNull(),
    objectId: uuid('object_id').notNull(),
    epoch: integer('epoch').notNull(),
    generation: integer('generation').notNull(),
    digest: text('digest').notNull(),
    shrinkAllowedGeneration: integer('shrink_allowed_generation').notNull(),
    serviceCount: integer('service_count').notNull(),
    destinationCount: integer('destination_count').notNull(),
    jws: text('jws').notNull(),
    /** `[{name, digest}]`. */
    shards: jsonb('shards').notNull(),
    revision: count('revision').notNull(),
    publishedAt: moment('published_at').notNull(),
    removedAt: moment('removed_at'),
  },
  (table) => [primaryKey({ columns: [table.role, table.name] })],
)

/** Shard lists of recent generations: what an agent holds when it says `?have=`. */
export const hostStateHistory = pgTable(
  'host_state_history',
  {
    role: text('role').notNull(),
    name: text('name').notNull(),
    epoch: integer('epoch').notNull(),
    generation: integer('generation').notNull(),
    shards: jsonb('shards').notNull(),
    /** Null for what was published before this was kept. */
    publishedAt: moment('published_at'),
  },
  (table) => [primaryKey({ columns: [table.role, table.name, table.epoch, table.generation] })],
)

/** Content-addressed and shared between hosts. */
export const shards = pgTable(
  'shards',
  {
    digest: text('digest').primaryKey(),
    body: text('body').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  (table) => [index('shards_created').on(table.createdAt)],
)

/** The newest report of each identity. */
export const reports = pgTable('reports', {
  hostId: uuid('host_id')
    .primaryKey()
    .references(() => hosts.id),
  seq: count('seq').notNull(),
  body: jsonb('body').notNull(),
  receivedAt: moment('received_at').notNull(),
  /** When the silence after it was told; null = it was not. */
  staleAt: moment('stale_at'),
})

export const joinTokens = pgTable('join_tokens', {
  id: text('id').primaryKey(),
  sha256: text('sha256').notNull(),
  role: text('role').notNull(),
  site: text('site').notNull(),
  name: text('name'),
  labels: jsonb('labels').notNull().default({}),
  /** `auto`, or `manual`: a person lets the host in. */
  approval: text('approval').notNull().default('auto'),
  /** May take the name of a host that stands, whose identity is then revoked: for a host that was installed anew. */
  replaces: boolean('replaces').notNull().default(false),
  maxUses: integer('max_uses').notNull(),
  uses: integer('uses').notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: moment('created_at').notNull(),
  expiresAt: moment('expires_at').notNull(),
  revokedAt: moment('revoked_at'),
})

export const accessTokens = pgTable(
  'access_tokens',
  {
    sha256: text('sha256').primaryKey(),
    hostId: uuid('host_id')
      .notNull()
      .references(() => hosts.id),
    expiresAt: moment('expires_at').notNull(),
  },
  (table) => [index('access_tokens_expiry').on(table.expiresAt)],
)

export const apiKeys = pgTable('api_keys', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  sha256: text('sha256').notNull(),
  role: text('role').notNull(),
  createdAt: moment('created_at').notNull(),
  expiresAt: moment('expires_at'),
  revokedAt: moment('revoked_at'),
  lastUsedAt: moment('last_used_at'),
  /** Names of the sites that the role is bound to; null = all. */
  sites: jsonb('sites'),
  /** Labels that all must have that the role changes; null = none. */
  labels: jsonb('labels'),
})

/** Append only: a trigger refuses update, delete and truncate; only a hash that is missing may be set, once. */
export const auditEvents = pgTable(
  'audit_events',
  {
    number: bigint('number', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    at: moment('at').notNull(),
    actor: text('actor').notNull(),
    action: text('action').notNull(),
    subject: text('subject').notNull(),
    revision: count('revision'),
    detail: jsonb('detail').notNull(),
    /** Of this row and the hash of the row before it (`contract/src/audit.ts`); null until chained. */
    hash: text('hash'),
  },
  (table) => [
    index('audit_events_at').on(table.at),
    index('audit_events_unchained')
      .on(table.number)
      .where(sql`${table.hash} is null`),
  ],
)

/** Signed heads of the audit chain. What matters is the copy that somebody keeps elsewhere. */
export const auditCheckpoints = pgTable('audit_checkpoints', {
  number: count('number').primaryKey(),
  hash: text('hash').notNull(),
  at: moment('at').notNull(),
  jws: text('jws').notNull(),
})

/**
 * One row: the ids of events. Whoever adds events takes their ids from it and holds the row until the end of the
 * transaction, so that ids have no gaps and become visible in their order.
 */
export const eventStream = pgTable(
  'event_stream',
  {
    id: integer('id').primaryKey(),
    lastId: count('last_id').notNull(),
    /** Events up to this one are no longer kept. */
    prunedId: count('pruned_id').notNull(),
  },
  (table) => [check('event_stream_is_one', sql`${table.id} = 1`)],
)

export const events = pgTable('events', {
  id: count('id').primaryKey(),
  at: moment('at').notNull(),
  recordedAt: moment('recorded_at').notNull(),
  kind: text('kind').notNull(),
  severity: text('severity').notNull(),
  director: text('director'),
  site: text('site'),
  realServer: text('real_server'),
  virtualServices: text('virtual_services').array().notNull(),
  subject: text('subject').notNull(),
  cause: text('cause').notNull(),
  message: text('message').notNull(),
  detail: jsonb('detail').notNull(),
})

/** Who is told of events, and how far each of them has come. */
export const webhooks = pgTable('webhooks', {
  id: text('id').primaryKey(),
  name: text('name').notNull().unique(),
  url: text('url').notNull(),
  /** Null = every kind. */
  kinds: jsonb('kinds'),
  severity: text('severity').notNull(),
  /** Sealed with a key that is derived from the signing key, which is not in the database. */
  sealedSecret: text('sealed_secret').notNull(),
  giveUpHours: integer('give_up_hours').notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: moment('created_at').notNull(),
  pausedAt: moment('paused_at'),
  /** It did not take an event for so long that nobody tries any more. */
  gaveUpAt: moment('gave_up_at'),
  /** Every event up to this one was taken, or is not for it. */
  deliveredId: count('delivered_id').notNull(),
  deliveredAt: moment('delivered_at'),
  /** Attempts at the next event, since when, and why the last one failed. */
  attempts: integer('attempts').notNull(),
  failingSince: moment('failing_since'),
  nextAttemptAt: moment('next_attempt_at'),
  lastError: text('last_error'),
  /** Whose turn it is, by the clock of the database; over when that process died. */
  leasedBy: text('leased_by'),
  leasedUntil: moment('leased_until'),
})
