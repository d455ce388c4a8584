// SPDX-License-Identifier: Apache-2.0
import Testing

/// A schema that is broken in one way on purpose, and the lint that must name it.
struct PlantedLeak: Sendable, CustomTestStringConvertible {
    let name: String
    /// Run after ``base``, as the project's owner would.
    let sql: String
    /// The name of the lint, and of the object it must name.
    let finding: String
    let object: String
    /// As the superuser: what a project's owner cannot break.
    var needsSuperuser = false
    var testDescription: String { name }

    /// A schema without a fault: notes of a person, projects and tasks of a tenant.
    static let base = """
        create table public.notes (
            id uuid primary key default gen_random_uuid(),
            user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
            title text not null
        );
        create index notes_user_id_idx on public.notes (user_id);
        alter table public.notes enable row level security;
        alter table public.notes force row level security;
        create policy own_notes on public.notes for all to authenticated
            using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
        create table public.projects (
            id uuid not null default gen_random_uuid(),
            tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
            title text not null,
            primary key (id),
            unique (tenant_id, id)
        );
        alter table public.projects enable row level security;
        alter table public.projects force row level security;
        create policy own_projects on public.projects for all to authenticated
            using (tenant_id = (select tenancy.current_tenant()))
            with check (tenant_id = (select tenancy.current_tenant()));
        create table public.tasks (
            id uuid primary key default gen_random_uuid(),
            tenant_id uuid not null references tenancy.tenants (id) on delete cascade,
            project_id uuid not null,
            foreign key (tenant_id, project_id) references public.projects (tenant_id, id) on delete cascade
        );
        create index tasks_tenant_idx on public.tasks (tenant_id, project_id);
        alter table public.tasks enable row level security;
        alter table public.tasks force row level security;
        create policy own_tasks on public.tasks for all to authenticated
            using (tenant_id = (select tenancy.current_tenant()))
            with check (tenant_id = (select tenancy.current_tenant()));
        create view public.note_titles with (security_invoker = true) as select id, title from public.notes;
        insert into storage.buckets (id, name, public) values ('files', 'files', false), ('avatars', 'avatars', true);
        create policy own_files on storage.objects for all to authenticated
            using (bucket_id = 'files' and (storage.foldername(name))[1] = (select auth.uid())::text)
            with check (bucket_id = 'files' and (storage.foldername(name))[1] = (select auth.uid())::text);
        """

    static let all: [PlantedLeak] =
        tables + policies + tenants + functions + views + files + roles + indirection + [
            PlantedLeak(
                name: "a message queue without row level security",
                sql: """
                    create schema pgmq; create table pgmq.q_jobs (msg_id bigint primary key, message jsonb);
                    grant usage on schema pgmq to anon, authenticated; grant select, delete on pgmq.q_jobs to authenticated;
                    """,
                finding: "insecure_queue_exposed_in_api", object: "q_jobs", needsSuperuser: true),
            PlantedLeak(
                name: "an extension in public", sql: "create extension citext schema public",
                finding: "extension_in_public", object: "citext", needsSuperuser: true),
            PlantedLeak(
                name: "topics that nobody owns",
                sql: """
                    create table if not exists realtime.messages (id uuid primary key, topic text);
                    alter table realtime.messages enable row level security;
                    create policy everybody on realtime.messages for select to authenticated using (true);
                    """,
                finding: "realtime_topic_open", object: "messages", needsSuperuser: true),
            PlantedLeak(
                name: "deleted rows are published whole",
                sql:
                    "alter table public.notes replica identity full; alter publication supabase_realtime add table public.notes",
                finding: "deletes_are_told_to_all", object: "notes", needsSuperuser: true),
        ]

    private static let tables = [
        PlantedLeak(
            name: "row level security is off", sql: "alter table public.notes disable row level security",
            finding: "rls_disabled_in_public", object: "notes"),
        PlantedLeak(
            name: "policies that do nothing", sql: "alter table public.notes disable row level security",
            finding: "policy_exists_rls_disabled", object: "notes"),
        PlantedLeak(
            name: "a new table forgotten",
            sql: "create table public.invoices (id uuid primary key, user_id uuid, total int)",
            finding: "rls_disabled_in_public", object: "invoices"),
        PlantedLeak(
            name: "a partition served beside its protected parent",
            sql: """
                create table public.events (id uuid not null, user_id uuid not null, at date not null, primary key (id, at))
                    partition by range (at);
                create table public.events_2026 partition of public.events for values from ('2026-01-01') to ('2027-01-01');
                alter table public.events enable row level security;
                create policy own on public.events to authenticated using (user_id = (select auth.uid()));
                """,
            finding: "rls_disabled_in_public", object: "events_2026"),
        PlantedLeak(
            name: "an owner without force", sql: "alter table public.projects no force row level security",
            finding: "row_security_not_forced", object: "projects"),
        PlantedLeak(
            name: "secrets in the open", sql: "create table public.connections (id uuid primary key, api_key text)",
            finding: "sensitive_columns_exposed", object: "connections"),
        PlantedLeak(
            name: "a foreign key into other tenants",
            sql: "alter table public.tasks add column parent_project uuid references public.projects (id)",
            finding: "foreign_key_crosses_tenants", object: "tasks"),
        PlantedLeak(
            name: "a unique key over all tenants",
            sql: "alter table public.projects add constraint title_once unique (title)",
            finding: "unique_key_spans_tenants", object: "projects"),
        PlantedLeak(
            name: "numbers that count everybody's rows",
            sql: "alter table public.projects add column number bigint generated always as identity",
            finding: "sequence_shows_volume", object: "projects"),
        PlantedLeak(
            name: "a trigger that copies to an open table",
            sql: """
                create table public.history (id uuid primary key default gen_random_uuid(), title text);
                create function public.remember() returns trigger language plpgsql set search_path = '' as
                    $$ begin insert into public.history (title) values (new.title); return null; end $$;
                create trigger remember after insert on public.notes for each row execute function public.remember();
                """,
            finding: "trigger_copies_to_open_table", object: "notes"),
        PlantedLeak(
            name: "a foreign key to a unique constraint of auth",
            sql:
                "alter table auth.identities add constraint once unique (provider_id); create table public.logins (id uuid primary key, provider_id text references auth.identities (provider_id))",
            finding: "fkey_to_auth_unique", object: "logins", needsSuperuser: true),
        PlantedLeak(
            name: "a column that blocks upgrades", sql: "alter table public.notes add column kind regproc",
            finding: "unsupported_reg_types", object: "notes"),
    ]

    private static let policies = [
        PlantedLeak(
            name: "everybody reads everything",
            sql: "create policy open on public.notes for select to authenticated using (true)",
            finding: "policy_ignores_tenant", object: "notes"),
        PlantedLeak(
            name: "everybody writes everything", sql: "create policy open on public.notes for insert with check (true)",
            finding: "rls_policy_always_true", object: "notes"),
        PlantedLeak(
            name: "true behind an or",
            sql:
                "create policy open on public.notes for update to authenticated using (user_id = (select auth.uid()) or true)",
            finding: "rls_policy_always_true", object: "notes"),
        PlantedLeak(
            name: "a comparison with itself",
            sql: "create policy open on public.notes for delete to authenticated using (user_id = user_id)",
            finding: "policy_without_identity", object: "notes"),
        PlantedLeak(
            name: "signed in is enough",
            sql:
                "create policy signed_in on public.notes for select to authenticated using ((select auth.uid()) is not null)",
            finding: "policy_ignores_tenant", object: "notes"),
        PlantedLeak(
            name: "the role is enough",
            sql: "create policy by_role on public.notes for select using ((select auth.role()) = 'authenticated')",
            finding: "policy_ignores_tenant", object: "notes"),
        PlantedLeak(
            name: "an owner that is not asked for",
            sql: "create policy owned on public.notes for select to authenticated using (user_id is not null)",
            finding: "policy_without_identity", object: "notes"),
        PlantedLeak(
            name: "metadata that users write",
            sql:
                "create policy by_metadata on public.notes for select to authenticated using (user_id::text = (select auth.jwt() -> 'user_metadata' ->> 'boss'))",
            finding: "rls_references_user_metadata", object: "notes"),
        PlantedLeak(
            name: "the database's user",
            sql:
                "create policy by_user on public.notes for select using (user_id is not null and current_user = 'authenticated')",
            finding: "policy_asks_current_user", object: "notes"),
        PlantedLeak(
            name: "anonymous users among the others",
            sql: "select 1", finding: "auth_allow_anonymous_sign_ins", object: "notes"),
        PlantedLeak(
            name: "asked for each row",
            sql: "create policy slow on public.notes for select to authenticated using (user_id = auth.uid())",
            finding: "auth_rls_initplan", object: "notes"),
        PlantedLeak(
            name: "two policies for one action",
            sql:
                "create policy again on public.notes for select to authenticated using (user_id = (select auth.uid()))",
            finding: "multiple_permissive_policies", object: "notes"),
        PlantedLeak(
            name: "a membership table without protection of its own",
            sql: """
                create table public.teams (user_id uuid, team uuid, primary key (user_id, team));
                create policy by_team on public.projects for select to authenticated
                    using (tenant_id in (select team from public.teams));
                """,
            finding: "policy_without_identity", object: "projects"),
    ]

    private static let tenants = [
        PlantedLeak(
            name: "an update that gives rows away",
            sql: "alter policy own_notes on public.notes with check (true)",
            finding: "update_moves_rows", object: "notes"),
        PlantedLeak(
            name: "an update that moves a row to another tenant",
            sql: "alter policy own_projects on public.projects with check ((select auth.uid()) is not null)",
            finding: "update_moves_rows", object: "projects"),
        PlantedLeak(
            name: "an author's row in another's tenant",
            sql: """
                alter table public.projects add column author_id uuid default auth.uid();
                create policy authors on public.projects for insert to authenticated with check (author_id = (select auth.uid()));
                """,
            finding: "tenant_column_not_pinned", object: "projects"),
        PlantedLeak(
            name: "a child that forgets its parent",
            sql: """
                create table public.comments (id uuid primary key, note_id uuid not null references public.notes (id), body text);
                alter table public.comments enable row level security;
                create policy open on public.comments for select to authenticated using ((select auth.uid()) is not null);
                """,
            finding: "policy_ignores_tenant", object: "comments"),
    ]

    private static let functions = [
        PlantedLeak(
            name: "whose data is an argument",
            sql:
                "create function public.notes_of(p_user_id uuid) returns setof public.notes language sql security definer set search_path = '' as $$ select * from public.notes where user_id = p_user_id $$",
            finding: "definer_function_trusts_argument", object: "notes_of"),
        PlantedLeak(
            name: "everybody's rows by a function",
            sql:
                "create function public.all_notes() returns setof public.notes language sql security definer set search_path = '' as $$ select * from public.notes $$",
            finding: "definer_function_reads_all_tenants", object: "all_notes"),
        PlantedLeak(
            name: "a definer function for visitors",
            sql:
                "create function public.hello() returns text language sql security definer set search_path = '' as $$ select 'hello' $$",
            finding: "anon_security_definer_function_executable", object: "hello"),
        PlantedLeak(
            name: "a definer function for the signed in",
            sql:
                "create function public.hello() returns text language sql security definer set search_path = '' as $$ select 'hello' $$; revoke execute on function public.hello() from public, anon; grant execute on function public.hello() to authenticated",
            finding: "authenticated_security_definer_function_executable", object: "hello"),
        PlantedLeak(
            name: "the caller's search path",
            sql: "create function public.hello() returns text language sql as $$ select 'hello' $$",
            finding: "function_search_path_mutable", object: "hello"),
        PlantedLeak(
            name: "text that is run",
            sql:
                "create function public.execute_sql(query text) returns void language plpgsql security definer set search_path = '' as $$ begin execute query; end $$",
            finding: "dynamic_sql_reachable", object: "execute_sql"),
        PlantedLeak(
            name: "text that is put into a statement",
            sql:
                "create function public.sorted(direction text) returns setof public.notes language plpgsql set search_path = '' as $$ begin return query execute 'select * from public.notes order by id ' || direction; end $$",
            finding: "dynamic_sql_reachable", object: "sorted"),
        PlantedLeak(
            name: "the owner asked for as the caller",
            sql:
                "create function public.mine() returns bigint language sql security definer set search_path = '' as $$ select count(*) from public.notes where user_id::text = current_user $$",
            finding: "policy_asks_current_user", object: "mine"),
    ]

    private static let views = [
        PlantedLeak(
            name: "a view with its owner's rights", sql: "create view public.everything as select * from public.notes",
            finding: "security_definer_view", object: "everything"),
        PlantedLeak(
            name: "an invoker view made a definer one", sql: "alter view public.note_titles reset (security_invoker)",
            finding: "security_definer_view", object: "note_titles"),
        PlantedLeak(
            name: "a view of accounts",
            sql:
                "create view public.people as select id, email from auth.users; grant select on public.people to anon, authenticated",
            finding: "auth_users_exposed", object: "people", needsSuperuser: true),
        PlantedLeak(
            name: "a view of a view of accounts",
            sql: """
                create schema inside; create view inside.people as select id, email from auth.users;
                create view public.contacts as select email from inside.people; grant select on public.contacts to authenticated;
                """,
            finding: "auth_users_exposed", object: "contacts", needsSuperuser: true),
        PlantedLeak(
            name: "a materialized view of tenants' rows",
            sql:
                "create materialized view public.totals as select user_id, count(*) from public.notes group by user_id",
            finding: "materialized_view_in_api", object: "totals"),
        PlantedLeak(
            name: "a foreign table",
            sql: """
                create extension postgres_fdw schema extensions;
                create server other foreign data wrapper postgres_fdw;
                create foreign table public.remote (id int) server other;
                grant select on public.remote to anon, authenticated;
                """,
            finding: "foreign_table_in_api", object: "remote", needsSuperuser: true),
    ]

    private static let files = [
        PlantedLeak(
            name: "files of everybody",
            sql: "create policy open on storage.objects for select to authenticated using (bucket_id = 'files')",
            finding: "storage_policy_ignores_owner", object: "objects"),
        PlantedLeak(
            name: "signed in is enough for files",
            sql:
                "create policy open on storage.objects for insert to authenticated with check (bucket_id = 'files' and (select auth.uid()) is not null)",
            finding: "storage_policy_ignores_owner", object: "objects"),
        PlantedLeak(
            name: "a folder's name that is trusted",
            sql:
                "create policy by_folder on storage.objects for insert to authenticated with check (bucket_id = 'files' and (storage.foldername(name))[1] <> 'private')",
            finding: "storage_policy_ignores_owner", object: "objects"),
        PlantedLeak(
            name: "files that move to another's folder",
            sql:
                "create policy move on storage.objects for update to authenticated using (owner_id = (select auth.uid())::text) with check (bucket_id = 'files')",
            finding: "storage_update_moves_files", object: "objects"),
        PlantedLeak(
            name: "a public bucket that can be listed",
            sql: "create policy list on storage.objects for select using (bucket_id = 'avatars')",
            finding: "public_bucket_allows_listing", object: "objects"),
    ]

    private static let roles = [
        PlantedLeak(
            name: "a role of requests owns a table",
            sql: "alter table public.notes owner to authenticated",
            finding: "api_role_bypasses_policies", object: "notes", needsSuperuser: true)
    ]
}
