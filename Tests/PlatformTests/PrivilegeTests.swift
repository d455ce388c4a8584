// SPDX-License-Identifier: Apache-2.0
import Platform
import PlatformTestSupport
import TestSupport
import Testing

/// What each role may do in SQL, tried as that role.
@Suite struct PrivilegeTests {
    struct Attempt: Sendable, CustomTestStringConvertible {
        var sql: String
        var allowed: Set<String>

        var testDescription: String { sql }
    }

    /// The roles a request can have, by which every attempt is made; the ones listed succeed.
    static let requestRoles = ["anon", "authenticated", "service_role"]

    static let attempts: [Attempt] = [
        // Public tables: open to all, and row level security decides.
        Attempt(sql: "select * from notes", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "insert into notes values (2)", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "select nextval('notes_sequence')", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "select public.answer()", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "select uuid_generate_v4(), '[1]'::vector", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "create table public.mine ()", allowed: []),
        Attempt(sql: "drop table notes", allowed: []),
        // The texts of other tenants' statements, which ran as the same role.
        Attempt(sql: "select query from extensions.pg_stat_statements", allowed: []),
        // Auth: the functions and nothing else.
        Attempt(
            sql: "select auth.uid(), auth.jwt(), auth.role(), auth.email()",
            allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "select id from auth.users", allowed: []),
        Attempt(sql: "insert into auth.users (id) values (gen_random_uuid())", allowed: []),
        Attempt(sql: "select * from auth.refresh_tokens", allowed: []),
        Attempt(sql: "select * from auth.sessions", allowed: []),
        Attempt(sql: "select * from auth.identities", allowed: []),
        Attempt(sql: "select * from auth.one_time_tokens", allowed: []),
        Attempt(sql: "select * from auth.mfa_factors", allowed: []),
        // Storage: the rows are under row level security.
        Attempt(
            sql: "select * from storage.objects, storage.buckets", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(
            sql: "insert into storage.buckets (id, name) values ('b', 'b')", allowed: ["service_role"]),
        Attempt(
            sql: "insert into storage.objects (bucket_id, name) values ('files', 'a')", allowed: ["service_role"]),
        Attempt(sql: "delete from storage.objects", allowed: []),
        Attempt(sql: "truncate storage.objects", allowed: []),
        Attempt(sql: "create policy mine on storage.objects for select using (true)", allowed: []),
        Attempt(sql: "alter table storage.objects disable row level security", allowed: []),
        // Uploads are the Storage service's, which logs in by a name of its own.
        Attempt(
            sql: """
                select storage.reserve_upload(
                    'v', 'plain', gen_random_uuid(), 'files', 'a', null, 5, true, 'a/b', null, null, '1 hour')
                """, allowed: []),
        Attempt(sql: "select storage.cancel_upload('v')", allowed: []),
        Attempt(sql: "select storage.extend_upload('v', 5)", allowed: []),
        Attempt(sql: "select * from storage.uploads", allowed: []),
        Attempt(sql: "set role atoll_storage", allowed: []),
        Attempt(sql: "set role atoll_requests", allowed: []),
        Attempt(sql: "select storage.foldername('a/b/c')", allowed: ["anon", "authenticated", "service_role"]),
        // Tenancy.
        Attempt(sql: "select tenancy.current_tenant()", allowed: ["anon", "authenticated", "service_role"]),
        Attempt(sql: "select * from tenancy.tenants", allowed: ["authenticated", "service_role"]),
        Attempt(sql: "select * from tenancy.members", allowed: ["authenticated", "service_role"]),
        Attempt(sql: "select * from tenancy.plans", allowed: ["authenticated", "service_role"]),
        Attempt(sql: "select service_name from tenancy.secrets", allowed: ["authenticated", "service_role"]),
        Attempt(sql: "select envelope from tenancy.secrets", allowed: []),
        Attempt(sql: "select * from tenancy.secrets", allowed: []),
        Attempt(sql: "update tenancy.secrets set envelope = envelope", allowed: []),
        Attempt(sql: "select * from tenancy.use_secret('openai')", allowed: ["authenticated"]),
        Attempt(sql: "select tenancy.audit(null, 'a.b', null, null)", allowed: []),
        Attempt(sql: "update tenancy.tenants set plan = 'enterprise'", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.tenants set status = 'active'", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.tenants set owner_id = null", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.profiles set user_id = user_id", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.settings set vector_collection = 'other'", allowed: ["service_role"]),
        Attempt(sql: "insert into tenancy.members select * from tenancy.members", allowed: []),
        Attempt(sql: "update tenancy.members set role = 'owner'", allowed: ["service_role"]),
        Attempt(sql: "delete from tenancy.tenants", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.usage_counters set cost_cents = 0", allowed: ["service_role"]),
        Attempt(sql: "update tenancy.audit_log set actor = null", allowed: []),
        Attempt(sql: "delete from tenancy.audit_log", allowed: []),
        Attempt(sql: "truncate tenancy.audit_log", allowed: []),
        // The names of the statements that the server keeps prepared.
        Attempt(sql: "select name from pg_prepared_statements", allowed: []),
        // The seal of who a request speaks for.
        Attempt(sql: "select * from tenancy.identity_keys", allowed: []),
        Attempt(sql: "select tenancy.keep_identity_key('x', 'y')", allowed: []),
        Attempt(sql: "update tenancy.usage_alerts set told_at = null", allowed: ["service_role"]),
        // The platform's own history, and the server.
        Attempt(sql: "select * from atoll.migrations", allowed: []),
        Attempt(sql: "select * from supabase_migrations.schema_migrations", allowed: []),
        Attempt(sql: "select * from pg_authid", allowed: []),
        Attempt(sql: "set role postgres", allowed: []),
        Attempt(sql: "set role supabase_auth_admin", allowed: []),
        Attempt(sql: "set role atoll_tenancy", allowed: []),
        Attempt(sql: "set session_replication_role = replica", allowed: []),
        Attempt(sql: "create extension hstore", allowed: []),
        Attempt(sql: "select pg_read_file('/etc/hostname')", allowed: []),
        Attempt(sql: "copy notes to program 'true'", allowed: []),
    ]

    private static let project = """
        create table notes (id integer);
        create sequence notes_sequence;
        create function answer() returns integer language sql return 42;
        insert into storage.buckets (id, name) values ('files', 'files');
        """

    @Test func requestsReachWhatTheyShouldAndNothingElse() async throws {
        try await TestProject.run(files: ["supabase/migrations/1_notes.sql": Self.project]) { fixture in
            _ = try await fixture.signUp("ann@example.com")
            for attempt in Self.attempts {
                for role in Self.requestRoles {
                    // In a transaction that is thrown away: one attempt must not be the cause of the next one's result.
                    let output = await fixture.request(role, "begin; \(attempt.sql); rollback; select 'done';")
                    #expect(
                        output.contains("done") == attempt.allowed.contains(role), "\(role): \(attempt.sql): \(output)")
                }
            }
        }
    }

    @Test(
        arguments: [
            ("select * from notes", false),
            ("select id from auth.users", false),
            ("select * from tenancy.tenants", false),
            ("set role anon", true),
            ("set role authenticated", true),
            ("set role service_role", true),
            ("set role postgres", false),
            ("set role supabase_auth_admin", false),
            ("set role supabase_storage_admin", false),
            ("set role atoll_tenancy", false),
            ("set role supabase_admin", false),
            ("create table mine ()", false),
            ("create role mine", false),
        ])
    func theServersLoginMayOnlySwitch(_ sql: String, _ isAllowed: Bool) async throws {
        try await TestProject.run(files: ["supabase/migrations/1_notes.sql": Self.project]) { fixture in
            let output = await fixture.login("authenticator").attempt("\(sql); select 'done';")
            #expect(output.contains("done") == isAllowed, "\(output)")
        }
    }

    /// People's requests have a login of their own, which takes no role that sees more than they do.
    @Test(
        arguments: [
            ("select * from notes", false),
            ("select id from auth.users", false),
            ("set role service_role", false),
            ("set role authenticator", false),
            ("set role authenticated; set role service_role", false),
            ("set role postgres", false),
            ("set role atoll_tenancy", false),
            ("set session authorization authenticator", false),
            ("create table mine ()", false),
            ("set role anon", true),
            ("set role authenticated", true),
        ])
    func theLoginOfPeoplesRequestsCannotBecomeTheBackEnd(_ sql: String, _ isAllowed: Bool) async throws {
        try await TestProject.run(files: ["supabase/migrations/1_notes.sql": Self.project]) { fixture in
            let output = await fixture.login("atoll_requests").attempt("\(sql); select 'done';")
            #expect(output.contains("done") == isAllowed, "\(output)")
        }
    }

    @Test func whatBoundsTheServersLoginBoundsPeoplesRequests() async throws {
        try await TestProject.run { fixture in
            let name = try await fixture.server.exec("select current_database()")
            try await fixture.server.exec(
                "alter role authenticator in database \(name) set statement_timeout = '7s'")
            _ = try await fixture.bootstrap()
            #expect(await fixture.login("atoll_requests").attempt("show statement_timeout") == "7s\n")
        }
    }

    @Test(
        arguments: [
            ("create schema app; create table app.things (); drop schema app cascade", true),
            ("create role helper; drop role helper", true),
            ("create extension pg_trgm with schema extensions", true),
            ("create table things (user_id uuid references auth.users (id), t uuid references tenancy.tenants)", true),
            ("create policy p on storage.objects for select using (bucket_id = 'files')", true),
            (
                "create function f() returns trigger language plpgsql as 'begin return new; end'; "
                    + "create trigger t after insert on auth.users for each row execute function f(); "
                    + "drop trigger t on auth.users", true
            ),
            ("insert into storage.buckets (id, name, public) values ('avatars', 'avatars', true)", true),
            ("alter publication supabase_realtime add table notes", true),
            ("set session_replication_role = replica", true),
            ("set role authenticated", true),
            ("comment on schema public is 'ours'", true),
            ("create event trigger t on ddl_command_end execute function f()", false),
            ("alter role postgres superuser", false),
            ("create role helper superuser", false),
            ("set role supabase_admin", false),
            ("set role atoll_tenancy", false),
            ("select envelope from tenancy.secrets", false),
            ("delete from tenancy.audit_log", false),
            ("update tenancy.audit_log set actor = null", false),
            ("truncate tenancy.audit_log", false),
            ("select * from tenancy.identity_keys", false),
            ("drop schema tenancy cascade", false),
            ("delete from atoll.migrations", false),
            ("copy notes to program 'true'", false),
        ])
    func theProjectsOwnerMayBuildButNotRule(_ sql: String, _ isAllowed: Bool) async throws {
        try await TestProject.run(files: ["supabase/migrations/1_notes.sql": Self.project]) { fixture in
            let output = await fixture.login("postgres").attempt("\(sql); select 'done';")
            #expect(output.contains("done") == isAllowed, "\(output)")
        }
    }

    @Test func nobodyBypassesRowSecurityWhoShouldNot() async throws {
        try await TestProject.run { fixture in
            let bypassing = try await fixture.server.exec(
                "select rolname from pg_roles where rolbypassrls and not rolsuper order by 1")
            #expect(bypassing.split(separator: "\n") == ["postgres", "service_role"])
            let superusers = "select count(*) from pg_roles where rolsuper and rolname <> 'supabase_admin'"
            #expect(try await fixture.server.exec(superusers) == "0")
            let members = try await fixture.server.exec(
                """
                select roleid::regrole from pg_auth_members where member = 'authenticator'::regrole order by 1
                """)
            #expect(Set(members.split(separator: "\n")) == ["anon", "authenticated", "service_role"])
            let owned = "select count(*) from pg_shdepend where refobjid = 'authenticator'::regrole and deptype = 'o'"
            #expect(try await fixture.server.exec(owned) == "0")
        }
    }
}
