-- The second line behind the project_id in every statement: a connection that was told a project sees the rows of that project alone. One that was told none
-- (the token path, sweeps, jobs) sees all. It holds for the owner of the tables too, but never for a superuser. Functions
-- in the place of operators: the planner would guess that a comparison leaves next to nothing, and choose other indexes.
alter table "projects" enable row level security;--> statement-breakpoint
alter table "projects" force row level security;--> statement-breakpoint
create policy "one_project" on "projects" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "id")));--> statement-breakpoint
alter table "api_keys" enable row level security;--> statement-breakpoint
alter table "api_keys" force row level security;--> statement-breakpoint
create policy "one_project" on "api_keys" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "data_keys" enable row level security;--> statement-breakpoint
alter table "data_keys" force row level security;--> statement-breakpoint
create policy "one_project" on "data_keys" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "provider_versions" enable row level security;--> statement-breakpoint
alter table "provider_versions" force row level security;--> statement-breakpoint
create policy "one_project" on "provider_versions" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "integrations" enable row level security;--> statement-breakpoint
alter table "integrations" force row level security;--> statement-breakpoint
create policy "one_project" on "integrations" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "connect_links" enable row level security;--> statement-breakpoint
alter table "connect_links" force row level security;--> statement-breakpoint
create policy "one_project" on "connect_links" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "connections" enable row level security;--> statement-breakpoint
alter table "connections" force row level security;--> statement-breakpoint
create policy "one_project" on "connections" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "revocations" enable row level security;--> statement-breakpoint
alter table "revocations" force row level security;--> statement-breakpoint
create policy "one_project" on "revocations" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "events" enable row level security;--> statement-breakpoint
alter table "events" force row level security;--> statement-breakpoint
create policy "one_project" on "events" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "webhook_endpoints" enable row level security;--> statement-breakpoint
alter table "webhook_endpoints" force row level security;--> statement-breakpoint
create policy "one_project" on "webhook_endpoints" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "webhook_deliveries" enable row level security;--> statement-breakpoint
alter table "webhook_deliveries" force row level security;--> statement-breakpoint
create policy "one_project" on "webhook_deliveries" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "idempotency_keys" enable row level security;--> statement-breakpoint
alter table "idempotency_keys" force row level security;--> statement-breakpoint
create policy "one_project" on "idempotency_keys" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "audit_log" enable row level security;--> statement-breakpoint
alter table "audit_log" force row level security;--> statement-breakpoint
create policy "one_project" on "audit_log" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));--> statement-breakpoint
alter table "damaged_secrets" enable row level security;--> statement-breakpoint
alter table "damaged_secrets" force row level security;--> statement-breakpoint
create policy "one_project" on "damaged_secrets" using (not (
  textne(coalesce(current_setting('grantry.project', true), ''), '') and textne(coalesce(current_setting('grantry.project', true), ''), "project_id")));
