CREATE TABLE "api_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"name" text NOT NULL,
	"key_hash" "bytea" NOT NULL,
	"scopes" text[] NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "code_ledger" (
	"code_hash" "bytea" PRIMARY KEY NOT NULL,
	"link_id" text NOT NULL,
	"seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "connect_links" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"integration_id" text NOT NULL,
	"token_hash" "bytea" NOT NULL,
	"status" text NOT NULL,
	"end_user" jsonb NOT NULL,
	"return_url" text,
	"scopes" text[] NOT NULL,
	"inputs_sealed" text,
	"metadata" jsonb NOT NULL,
	"reconnects" text,
	"verification" text NOT NULL,
	"page" text NOT NULL,
	"endpoint" text NOT NULL,
	"snapshot" json NOT NULL,
	"redirect_uri" text NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"browser_hash" "bytea",
	"state_hash" "bytea",
	"state_expires_at" timestamp (3) with time zone,
	"attempt" integer DEFAULT 0 NOT NULL,
	"pending_sealed" text,
	"answer_sealed" text,
	"nonce_hash" "bytea",
	"nonce_expires_at" timestamp (3) with time zone,
	"connection_id" text,
	"error_code" text,
	"error_detail" text,
	"finished_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "connections" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"integration_id" text NOT NULL,
	"provider_id" text NOT NULL,
	"method" text NOT NULL,
	"end_user" jsonb NOT NULL,
	"end_user_id" text NOT NULL,
	"organization_id" text,
	"status" text NOT NULL,
	"reason" text,
	"reason_since" timestamp (3) with time zone,
	"requested_scopes" text[] NOT NULL,
	"scopes" text[] NOT NULL,
	"credential_sealed" text,
	"inputs_sealed" text,
	"token_version" integer NOT NULL,
	"issued_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"refresh_expires_at" timestamp (3) with time zone,
	"refreshable" boolean NOT NULL,
	"refresh_due_at" timestamp (3) with time zone,
	"refresh_lease" uuid,
	"lease_until" timestamp (3) with time zone,
	"retry_at" timestamp (3) with time zone,
	"failure_count" integer DEFAULT 0 NOT NULL,
	"failing_since" timestamp (3) with time zone,
	"last_error" jsonb,
	"last_refreshed_at" timestamp (3) with time zone,
	"refresh_count" integer DEFAULT 0 NOT NULL,
	"metadata" jsonb NOT NULL,
	"extras" jsonb NOT NULL,
	"account" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"deleted_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "data_keys" (
	"kid" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"wrapped" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"retired_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"type" text NOT NULL,
	"integration_id" text,
	"link_id" text,
	"connection_id" text,
	"data" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"project_id" text NOT NULL,
	"caller" text NOT NULL,
	"key" text NOT NULL,
	"request_hash" "bytea" NOT NULL,
	"status" integer,
	"answer_sealed" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_project_id_caller_key_pk" PRIMARY KEY("project_id","caller","key")
);
--> statement-breakpoint
CREATE TABLE "integrations" (
	"project_id" text NOT NULL,
	"id" text NOT NULL,
	"provider_id" text NOT NULL,
	"method" text NOT NULL,
	"client_id" text NOT NULL,
	"client_secret_sealed" text,
	"private_key_sealed" text,
	"inputs_sealed" text,
	"secret_version" integer DEFAULT 1 NOT NULL,
	"scopes" text[] NOT NULL,
	"callback" text NOT NULL,
	"context" text NOT NULL,
	"verification" text NOT NULL,
	"status" text DEFAULT 'active' NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "integrations_project_id_id_pk" PRIMARY KEY("project_id","id")
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"return_urls" text[] DEFAULT '{}'::text[] NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "provider_versions" (
	"project_id" text NOT NULL,
	"provider_id" text NOT NULL,
	"version" integer NOT NULL,
	"definition" json NOT NULL,
	"current" boolean NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "provider_versions_project_id_provider_id_version_pk" PRIMARY KEY("project_id","provider_id","version")
);
--> statement-breakpoint
CREATE TABLE "refresh_intents" (
	"connection_id" text NOT NULL,
	"token_version" integer NOT NULL,
	"lease" uuid NOT NULL,
	"attempts" integer DEFAULT 1 NOT NULL,
	"outcome" text NOT NULL,
	"ambiguous" boolean DEFAULT false NOT NULL,
	"sent_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "refresh_intents_connection_id_token_version_pk" PRIMARY KEY("connection_id","token_version")
);
--> statement-breakpoint
CREATE TABLE "revocations" (
	"connection_id" text PRIMARY KEY NOT NULL,
	"project_id" text NOT NULL,
	"integration_id" text NOT NULL,
	"credential_sealed" text NOT NULL,
	"inputs_sealed" text,
	"token_version" integer NOT NULL,
	"method" text NOT NULL,
	"extras" jsonb NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "settings" (
	"name" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "connect_links" ADD CONSTRAINT "connect_links_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "connections" ADD CONSTRAINT "connections_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "data_keys" ADD CONSTRAINT "data_keys_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "integrations" ADD CONSTRAINT "integrations_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "provider_versions" ADD CONSTRAINT "provider_versions_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "refresh_intents" ADD CONSTRAINT "refresh_intents_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "public"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "revocations" ADD CONSTRAINT "revocations_project_id_projects_id_fk" FOREIGN KEY ("project_id") REFERENCES "public"."projects"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "api_keys_key_hash" ON "api_keys" USING btree ("key_hash");--> statement-breakpoint
CREATE INDEX "api_keys_project" ON "api_keys" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "code_ledger_seen" ON "code_ledger" USING btree ("seen_at");--> statement-breakpoint
CREATE UNIQUE INDEX "connect_links_token" ON "connect_links" USING btree ("token_hash");--> statement-breakpoint
CREATE UNIQUE INDEX "connect_links_state" ON "connect_links" USING btree ("state_hash") WHERE "connect_links"."state_hash" is not null;--> statement-breakpoint
CREATE INDEX "connect_links_browser" ON "connect_links" USING btree ("browser_hash") WHERE "connect_links"."state_hash" is not null;--> statement-breakpoint
CREATE INDEX "connect_links_integration" ON "connect_links" USING btree ("project_id","integration_id");--> statement-breakpoint
CREATE INDEX "connect_links_open" ON "connect_links" USING btree ("expires_at") WHERE "connect_links"."finished_at" is null;--> statement-breakpoint
CREATE INDEX "connect_links_finished" ON "connect_links" USING btree ("finished_at") WHERE "connect_links"."finished_at" is not null;--> statement-breakpoint
CREATE INDEX "connections_list" ON "connections" USING btree ("project_id","id") WHERE "connections"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "connections_end_user" ON "connections" USING btree ("project_id","end_user_id","id") WHERE "connections"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "connections_organization" ON "connections" USING btree ("project_id","organization_id","id") WHERE "connections"."deleted_at" is null and "connections"."organization_id" is not null;--> statement-breakpoint
CREATE INDEX "connections_integration" ON "connections" USING btree ("project_id","integration_id","id") WHERE "connections"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX "connections_ending" ON "connections" USING btree ("expires_at") WHERE "connections"."deleted_at" is null and not "connections"."refreshable" and "connections"."status" = 'active' and "connections"."expires_at" is not null;--> statement-breakpoint
CREATE INDEX "connections_due" ON "connections" USING btree ("refresh_due_at") WHERE "connections"."refresh_due_at" is not null;--> statement-breakpoint
CREATE INDEX "connections_deleted" ON "connections" USING btree ("deleted_at") WHERE "connections"."deleted_at" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "data_keys_current" ON "data_keys" USING btree ("project_id") WHERE "data_keys"."retired_at" is null;--> statement-breakpoint
CREATE INDEX "data_keys_project" ON "data_keys" USING btree ("project_id");--> statement-breakpoint
CREATE INDEX "events_project" ON "events" USING btree ("project_id","id");--> statement-breakpoint
CREATE INDEX "events_connection" ON "events" USING btree ("connection_id","id") WHERE "events"."connection_id" is not null;--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "integrations_context" ON "integrations" USING btree ("context");--> statement-breakpoint
CREATE UNIQUE INDEX "provider_versions_current" ON "provider_versions" USING btree ("project_id","provider_id") WHERE "provider_versions"."current";--> statement-breakpoint
CREATE INDEX "revocations_due" ON "revocations" USING btree ("next_attempt_at");