ALTER TABLE "provider_versions" ADD COLUMN "written" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "provider_versions" ADD COLUMN "made_by" jsonb;