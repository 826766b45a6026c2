CREATE TABLE "event_stream" (
	"id" integer PRIMARY KEY,
	"last_id" bigint NOT NULL,
	"pruned_id" bigint NOT NULL,
	CONSTRAINT "event_stream_is_one" CHECK ("id" = 1)
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigint PRIMARY KEY,
	"at" timestamp with time zone NOT NULL,
	"recorded_at" timestamp with time zone NOT NULL,
	"kind" text NOT NULL,
	"severity" text NOT NULL,
	"director" text,
	"site" text,
	"real_server" text,
	"virtual_services" text[] NOT NULL,
	"subject" text NOT NULL,
	"cause" text NOT NULL,
	"message" text NOT NULL,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" text PRIMARY KEY,
	"name" text NOT NULL UNIQUE,
	"url" text NOT NULL,
	"kinds" jsonb,
	"severity" text NOT NULL,
	"sealed_secret" text NOT NULL,
	"give_up_hours" integer NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"paused_at" timestamp with time zone,
	"gave_up_at" timestamp with time zone,
	"delivered_id" bigint NOT NULL,
	"delivered_at" timestamp with time zone,
	"attempts" integer NOT NULL,
	"failing_since" timestamp with time zone,
	"next_attempt_at" timestamp with time zone,
	"last_error" text,
	"leased_by" text,
	"leased_until" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "host_state_history" ADD COLUMN "published_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "reports" ADD COLUMN "stale_at" timestamp with time zone;--> statement-breakpoint
-- The one row from which events take their ids.
INSERT INTO "event_stream" ("id", "last_id", "pruned_id") VALUES (1, 0, 0);
