CREATE TABLE "audit_checkpoints" (
	"number" bigint PRIMARY KEY,
	"hash" text NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"jws" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "sites" jsonb;--> statement-breakpoint
ALTER TABLE "api_keys" ADD COLUMN "labels" jsonb;--> statement-breakpoint
ALTER TABLE "audit_events" ADD COLUMN "hash" text;--> statement-breakpoint
CREATE INDEX "audit_events_unchained" ON "audit_events" ("number") WHERE "hash" is null;--> statement-breakpoint
-- Rows from before the chain get their hash once, at the next start; nothing else of a row ever changes.
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.hash IS NULL AND NEW.hash IS NOT NULL
    AND (OLD.number, OLD.at, OLD.actor, OLD.action, OLD.subject, OLD.revision, OLD.detail)
      IS NOT DISTINCT FROM (NEW.number, NEW.at, NEW.actor, NEW.action, NEW.subject, NEW.revision, NEW.detail)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit_events is append-only: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
