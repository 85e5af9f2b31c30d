CREATE TABLE "damaged_secrets" (
	"table_name" text NOT NULL,
	"row_id" text NOT NULL,
	"field" text NOT NULL,
	"project_id" text NOT NULL,
	"found_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "damaged_secrets_table_name_row_id_field_pk" PRIMARY KEY("table_name","row_id","field")
);
--> statement-breakpoint
CREATE TABLE "key_rotations" (
	"id" text PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"phase" text NOT NULL,
	"walk" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"kept" text[] DEFAULT '{}'::text[] NOT NULL,
	"started_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"keys_changed_at" timestamp (3) with time zone,
	"rows_begun_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	"destroyed" integer DEFAULT 0 NOT NULL,
	"problem" text,
	"lease" text,
	"lease_until" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "data_keys" ADD COLUMN "wrapped_by" text DEFAULT '' NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "key_rotations_running" ON "key_rotations" USING btree (("finished_at" is null)) WHERE "key_rotations"."finished_at" is null;--> statement-breakpoint
CREATE INDEX "key_rotations_started" ON "key_rotations" USING btree ("started_at");