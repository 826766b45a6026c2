CREATE TABLE "access_tokens" (
	"sha256" text PRIMARY KEY,
	"host_id" uuid NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY,
	"name" text NOT NULL,
	"sha256" text NOT NULL,
	"role" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"last_used_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "assertion_ids" (
	"id" text PRIMARY KEY,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"number" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_events_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"subject" text NOT NULL,
	"revision" bigint,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "controller" (
	"id" integer PRIMARY KEY,
	"epoch" integer NOT NULL,
	"keys" jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "controller_is_one" CHECK ("id" = 1)
);
--> statement-breakpoint
CREATE TABLE "host_state_history" (
	"role" text,
	"name" text,
	"epoch" integer,
	"generation" integer,
	"shards" jsonb NOT NULL,
	CONSTRAINT "host_state_history_pkey" PRIMARY KEY("role","name","epoch","generation")
);
--> statement-breakpoint
CREATE TABLE "host_states" (
	"role" text,
	"name" text,
	"site" text NOT NULL,
	"object_id" uuid NOT NULL,
	"epoch" integer NOT NULL,
	"generation" integer NOT NULL,
	"digest" text NOT NULL,
	"shrink_allowed_generation" integer NOT NULL,
	"service_count" integer NOT NULL,
	"destination_count" integer NOT NULL,
	"jws" text NOT NULL,
	"shards" jsonb NOT NULL,
	"revision" bigint NOT NULL,
	"published_at" timestamp with time zone NOT NULL,
	"removed_at" timestamp with time zone,
	CONSTRAINT "host_states_pkey" PRIMARY KEY("role","name")
);
--> statement-breakpoint
CREATE TABLE "hosts" (
	"id" uuid PRIMARY KEY,
	"role" text NOT NULL,
	"name" text NOT NULL,
	"site" text NOT NULL,
	"object_id" uuid NOT NULL,
	"public_key" jsonb NOT NULL,
	"thumbprint" text NOT NULL UNIQUE,
	"state" text NOT NULL,
	"machine_id" text NOT NULL,
	"enrolled_at" timestamp with time zone NOT NULL,
	"revoked_at" timestamp with time zone,
	CONSTRAINT "hosts_state" CHECK ("state" in ('active', 'revoked'))
);
--> statement-breakpoint
CREATE TABLE "join_tokens" (
	"id" text PRIMARY KEY,
	"sha256" text NOT NULL,
	"role" text NOT NULL,
	"site" text NOT NULL,
	"name" text,
	"max_uses" integer NOT NULL,
	"uses" integer NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"revoked_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "objects" (
	"id" uuid,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"version" integer,
	"spec" jsonb NOT NULL,
	"since_revision" bigint NOT NULL,
	"until_revision" bigint,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	CONSTRAINT "objects_pkey" PRIMARY KEY("id","version")
);
--> statement-breakpoint
CREATE TABLE "reports" (
	"host_id" uuid PRIMARY KEY,
	"seq" bigint NOT NULL,
	"body" jsonb NOT NULL,
	"received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "revisions" (
	"number" bigint PRIMARY KEY,
	"at" timestamp with time zone NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"summary" text NOT NULL,
	"changes" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "shards" (
	"digest" text PRIMARY KEY,
	"body" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "access_tokens_expiry" ON "access_tokens" ("expires_at");--> statement-breakpoint
CREATE INDEX "assertion_ids_expiry" ON "assertion_ids" ("expires_at");--> statement-breakpoint
CREATE INDEX "audit_events_at" ON "audit_events" ("at");--> statement-breakpoint
CREATE UNIQUE INDEX "hosts_active" ON "hosts" ("role","name") WHERE "state" = 'active';--> statement-breakpoint
CREATE UNIQUE INDEX "objects_current" ON "objects" ("kind","name") WHERE "until_revision" is null;--> statement-breakpoint
CREATE INDEX "objects_since" ON "objects" ("since_revision");--> statement-breakpoint
CREATE INDEX "shards_created" ON "shards" ("created_at");--> statement-breakpoint
ALTER TABLE "access_tokens" ADD CONSTRAINT "access_tokens_host_id_hosts_id_fkey" FOREIGN KEY ("host_id") REFERENCES "hosts"("id");--> statement-breakpoint
ALTER TABLE "reports" ADD CONSTRAINT "reports_host_id_hosts_id_fkey" FOREIGN KEY ("host_id") REFERENCES "hosts"("id");