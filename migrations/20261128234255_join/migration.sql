CREATE TABLE "controller_key_lists" (
	"serial" integer PRIMARY KEY,
	"current" text NOT NULL,
	"jws" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "enrolment_challenges" (
	"id" text PRIMARY KEY,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "enrolment_rules" (
	"name" text PRIMARY KEY,
	"spec" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pending_enrolments" (
	"id" uuid PRIMARY KEY,
	"thumbprint" text NOT NULL UNIQUE,
	"state" text NOT NULL,
	"candidate" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "hosts" DROP CONSTRAINT "hosts_state";--> statement-breakpoint
DROP INDEX "hosts_active";--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "link" text;--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "quarantine" text;--> statement-breakpoint
ALTER TABLE "hosts" ADD COLUMN "sessions_void_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "join_tokens" ADD COLUMN "labels" jsonb DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE "join_tokens" ADD COLUMN "approval" text DEFAULT 'auto' NOT NULL;--> statement-breakpoint
ALTER TABLE "join_tokens" ADD COLUMN "replaces" boolean DEFAULT false NOT NULL;--> statement-breakpoint
CREATE INDEX "enrolment_challenges_expiry" ON "enrolment_challenges" ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "hosts_standing" ON "hosts" ("role","name") WHERE "state" <> 'revoked';--> statement-breakpoint
ALTER TABLE "hosts" ADD CONSTRAINT "hosts_known_state" CHECK ("state" in ('active', 'quarantined', 'revoked'));