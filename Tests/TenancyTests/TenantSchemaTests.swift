// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import Synchronization
import Tenancy
import TestSupport
import Testing

@Suite struct TenantSchemaTests {
    static let first = "supabase/tenants/20260101000000_create_notes.sql"
    static let second = "supabase/tenants/20260102000000_add_tags.sql"
    static let files = [
        first: """
        create table notes (
            id bigint generated always as identity primary key,
            author uuid references auth.users (id) on delete cascade,
            body text not null
        );
        create function shout(word text) returns text language sql as 'select upper(word)';
        """
    ]

    private static func templates(_ fixture: TenancyFixture) throws -> TenantTemplates {
        try TenantTemplates(folder: fixture.project.folder + "/supabase/tenants")
    }

    private static func schema(_ account: Account) -> String {
        "tenant_" + account.tenant.description.filter { $0 != "-" }
    }

    /// Runs work of the owner's on the loop its database belongs to.
    private static func onLoop<T: Sendable>(
        _ fixture: TenancyFixture, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        try await Task(executorPreference: fixture.loop) { try await body() }.value
    }

    private static func isolate(_ accounts: [Account], _ fixture: TenancyFixture) async throws {
        let ids = accounts.map { "'\($0.tenant)'" }.joined(separator: ",")
        try await fixture.project.server.exec(
            "update tenancy.tenants set isolation = 'schema' where id in (\(ids))")
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// The files after the first template was applied to the shape.
        var files: [String: String]
        var message: String
    }

    static let refusals = [
        Refusal(
            testDescription: "an error in the SQL", files: [second: "create table tags (id int);\n\nselect nonsense;"],
            message: "template 20260102000000_add_tags, line 3: column \"nonsense\" does not exist"),
        Refusal(
            testDescription: "a statement that runs in no transaction",
            files: [second: "select 1;\nvacuum;"], message: "line 2: the statement cannot run in a transaction"),
        Refusal(
            testDescription: "control of the transaction", files: [second: "commit;"],
            message: "line 1: the statement cannot run in a transaction"),
        Refusal(
            testDescription: "a changed template", files: [first: "create table notes (id int);"],
            message: "has changed since it was applied"),
        Refusal(
            testDescription: "a template that sorts before an applied one",
            files: ["supabase/tenants/20250101000000_older.sql": "select 1;"], message: "sorts before 20260101000000"),
    ]

    @Test(arguments: refusals)
    func templatesThatCannotBeAppliedChangeNothing(_ test: Refusal) async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            try await Self.isolate([ann], fixture)
            let before = try Self.templates(fixture)
            try await Self.onLoop(fixture) {
                try await fixture.schemas.prepareShape(before)
                _ = try await fixture.schemas.migrate(ann.tenant, to: before)
            }
            for (path, text) in test.files { try fixture.project.write(path, text) }
            let after = try Self.templates(fixture)
            await #expect {
                try await Self.onLoop(fixture) { try await fixture.schemas.prepareShape(after) }
            } throws: { error in
                ((error as? MigrationError)?.message ?? "\(error)").contains(test.message)
            }
            #expect(
                try await fixture.project.server.exec(
                    """
                    select version from tenancy.template_versions;
                    select count(*) from pg_class where relname = 'tags';
                    select status, version from tenancy.tenant_schemas;
                    """) == "20260101000000\n0\nready|20260101000000")
        }
    }

    @Test func aTemplateThatIsGoneIsMissed() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let before = try Self.templates(fixture)
            try await Self.onLoop(fixture) { _ = try await fixture.schemas.prepareShape(before) }
            try fixture.project.remove(Self.first)
            let after = try Self.templates(fixture)
            await #expect(throws: MigrationError.self) {
                try await Self.onLoop(fixture) { try await fixture.schemas.prepareShape(after) }
            }
        }
    }

    @Test func aTenantsSchemaIsClosedToEverybodyElse() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let eve = try await fixture.project.signUp("eve@example.com")
            try await Self.isolate([ann, bob], fixture)
            let templates = try Self.templates(fixture)
            try await Self.onLoop(fixture) {
                try await fixture.schemas.prepareShape(templates)
                for account in [ann, bob] { _ = try await fixture.schemas.migrate(account.tenant, to: templates) }
            }
            let hers = Self.schema(ann)
            func enter(_ account: Account, _ statement: String) -> String {
                "select c0 from tenant_entry.\(Self.schema(account))(\(quoteLiteral(statement)));"
            }
            let write = await fixture.project.request(
                "authenticated", claims: ann.claims,
                enter(ann, "insert into notes (body) values ('of ann') returning body")
                    + enter(ann, "select shout('x')"))
            #expect(write.split(separator: "\n") == ["of ann", "X"])

            // Who is nobody there does not come in.
            for claims in [eve.claims, bob.claims, bob.claims(tenant: ann.tenant), ["role": "authenticated"]] {
                let refusal = await fixture.project.request(
                    "authenticated", claims: claims, enter(ann, "select body from notes"))
                #expect(refusal.contains("the tenant's schema is not open to this user"), "\(refusal)")
            }
            for role in ["anon", "service_role"] {
                let refusal = await fixture.project.request(role, claims: ann.claims, enter(ann, "select 1"))
                #expect(refusal.contains("permission denied for schema tenant_entry"), "\(role): \(refusal)")
            }
            // No login of the server's can take a tenant's role.
            for login in ["authenticator", "atoll_requests", "atoll_storage"] {
                for role in [hers, Self.schema(bob)] {
                    let refusal = await fixture.project.login(login).attempt("set role \(role)")
                    #expect(refusal.contains("permission denied to set role"), "\(login): \(refusal)")
                }
            }
            for role in ["anon", "authenticated"] {
                let refusal = await fixture.project.request(
                    role, claims: ann.claims, "select * from \(hers).notes;")
                #expect(refusal.contains("permission denied for schema"), "\(role): \(refusal)")
            }
            for statement in [
                "select * from \(hers).notes", "insert into \(hers).notes (body) values ('of bob')",
                "select \(hers).shout('x')", "create table \(hers).mine ()", "create table mine ()",
                "alter table notes disable row level security", "drop table notes", "set role \(hers)",
                "set local role \(hers)", "select set_config('role', '\(hers)', true)", "reset role",
                "set session authorization default", "set role service_role",
                "create function tenant_entry.mine() returns int language sql as 'select 1'",
                "select c0 from tenant_entry.\(hers)('select body from notes')",
                "do $$ begin execute 'set role \(hers)'; end $$",
            ] {
                let refusal = await fixture.project.request("authenticated", claims: bob.claims, enter(bob, statement))
                #expect(
                    refusal.contains("permission denied") || refusal.contains("must be owner")
                        || refusal.contains("within security-definer function") || refusal.contains("is not open")
                        // What is no query is not run at all; functions of the schema try it in test_dynamic_sql.py.
                        || refusal.contains("query as cursor"),
                    "\(statement): \(refusal)")
            }
            let own = await fixture.project.request(
                "authenticated", claims: bob.claims, enter(bob, "select count(*) from notes"))
            #expect(own.split(separator: "\n").last == "0")

            // A token outlives a membership in vain.
            try await fixture.project.server.exec(
                "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')")
            let member = bob.claims(tenant: ann.tenant)
            let read = await fixture.project.request(
                "authenticated", claims: member, enter(ann, "select body from notes"))
            #expect(read.split(separator: "\n").last == "of ann")
            try await fixture.project.server.exec(
                "delete from tenancy.members where user_id = '\(bob.id)' and tenant_id = '\(ann.tenant)'")
            let late = await fixture.project.request("authenticated", claims: member, enter(ann, "select 1"))
            #expect(late.contains("not open to this user"))
        }
    }

    /// What is granted by name is all that `grant ... on all tables` and `on all sequences` would grant, and no more.
    @Test func everyKindOfObjectInASchemaIsItsTenants() async throws {
        let kinds = [
            Self.first: """
            create table "An ""odd"" name" (id serial primary key, at date not null);
            create table parts (id bigint generated always as identity, at date not null) partition by range (at);
            create table parts_of_2026 partition of parts for values from ('2026-01-01') to ('2027-01-01');
            create view latest as select * from parts;
            create materialized view counts as select count(*) as number from parts;
            create sequence numbers;
            create type pair as (a int, b int);
            """,
            Self.second: "create table later (id int); create sequence more;",
        ]
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            try await Self.isolate([ann], fixture)
            let hers = Self.schema(ann)
            func rights() async throws -> String {
                try await fixture.project.server.exec(
                    """
                    select string_agg(relname || ' ' || relkind::text || ' ' || coalesce(relacl::text, '-'), e'\n' order by relname)
                    from pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'c')
                        and relnamespace in ('\(hers)'::regnamespace, 'elsewhere'::regnamespace)
                    """)
            }
            try await fixture.project.login("postgres").exec(
                "create schema elsewhere; create table elsewhere.secret (id int)")
            for newest in [Self.first, Self.second] {
                try fixture.project.write(newest, kinds[newest] ?? "")
                let templates = try Self.templates(fixture)
                try await Self.onLoop(fixture) {
                    try await fixture.schemas.prepareShape(templates)
                    _ = try await fixture.schemas.migrate(ann.tenant, to: templates)
                }
                let granted = try await rights()
                #expect(granted.contains("secret r -"), "\(granted)")
                try await fixture.project.server.exec(
                    """
                    grant select, insert, update, delete on all tables in schema \(hers) to \(hers);
                    grant usage, select, update on all sequences in schema \(hers) to \(hers);
                    """)
                #expect(try await rights() == granted)
                #expect(
                    granted.split(separator: "\n").filter { $0.contains("\(hers)=") }.count
                        == (newest == Self.first ? 8 : 10))
            }
        }
    }

    @Test func fiftyTenantsAreMigratedAndFailuresAreKeptApart() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            var accounts: [Account] = []
            for number in 1...50 { accounts.append(try await fixture.project.signUp("person\(number)@example.com")) }
            let everybody = accounts
            try await Self.isolate(everybody, fixture)
            let old = try Self.templates(fixture)
            let made = try await Self.onLoop(fixture) {
                try await fixture.schemas.prepareShape(old)
                let behind = try await fixture.schemas.behind(old)
                return try await fixture.schemas.migrate(behind, to: old, parallel: 4) { _ in }
            }
            #expect(made.migrated == 50)
            #expect(made.failures.isEmpty)

            try fixture.project.write(
                Self.second,
                "alter table notes add column tags text[] not null default '{}'; create table labels (name text primary key);"
            )
            // Somebody has been at three of the schemas by hand.
            for account in everybody.prefix(3) {
                try await fixture.project.login("postgres").exec("create table \(Self.schema(account)).labels ()")
            }
            let new = try Self.templates(fixture)
            let seen = Mutex((done: 0, failed: 0))
            let report = try await Self.onLoop(fixture) {
                try await fixture.schemas.prepareShape(new)
                let behind = try await fixture.schemas.behind(new)
                return try await fixture.schemas.migrate(behind, to: new, parallel: 4) { failure in
                    seen.withLock { counts in
                        counts.done += 1
                        if failure != nil { counts.failed += 1 }
                    }
                }
            }
            #expect(report.migrated == 47)
            #expect(Set(report.failures.map(\.tenant)) == Set(everybody.prefix(3).map(\.tenant)))
            #expect(report.failures.allSatisfy { $0.message.contains("relation \"labels\" already exists") })
            #expect(seen.withLock { $0.done } == 50 && seen.withLock { $0.failed } == 3)
            #expect(
                try await fixture.project.server.exec(
                    "select status, version, count(*) from tenancy.tenant_schemas group by 1, 2 order by 1")
                    == "failed|20260101000000|3\nready|20260102000000|47")
            // What failed did so as a whole.
            #expect(
                try await fixture.project.server.exec(
                    """
                    select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid
                    where c.relname = 'notes' and a.attname = 'tags' and c.relnamespace::regnamespace::text ~ '^tenant_[0-9a-f]{32}$'
                    """) == "47")

            for account in everybody.prefix(3) {
                try await fixture.project.login("postgres").exec("drop table \(Self.schema(account)).labels")
            }
            let rest = try await Self.onLoop(fixture) {
                let behind = try await fixture.schemas.behind(new)
                return try await fixture.schemas.migrate(behind, to: new, parallel: 4) { _ in }
            }
            #expect(rest.migrated == 3 && rest.failures.isEmpty)
            #expect(try await Self.onLoop(fixture) { try await fixture.schemas.behind(new) }.isEmpty)
        }
    }

    @Test func twoWhoMigrateOneTenantDoItOnce() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            try await Self.isolate([ann], fixture)
            let templates = try Self.templates(fixture)
            try await Self.onLoop(fixture) { _ = try await fixture.schemas.prepareShape(templates) }
            async let first = Self.onLoop(fixture) { try await fixture.schemas.migrate(ann.tenant, to: templates) }
            async let second = Self.onLoop(fixture) { try await fixture.schemas.migrate(ann.tenant, to: templates) }
            #expect(try await [first, second] == [Self.schema(ann), Self.schema(ann)])
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.tenant_schema_versions") == "1")
        }
    }

    @Test func aSchemaGoesWithItsTenant() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            try await Self.isolate([ann], fixture)
            let templates = try Self.templates(fixture)
            try await Self.onLoop(fixture) {
                try await fixture.schemas.prepareShape(templates)
                _ = try await fixture.schemas.migrate(ann.tenant, to: templates)
            }
            // Her note refers to her account, which goes too.
            try await fixture.project.login("postgres").exec(
                "insert into \(Self.schema(ann)).notes (author, body) values ('\(ann.id)', 'x')")
            try await fixture.project.login("supabase_auth_admin").exec("delete from auth.users")
            #expect(
                try await fixture.project.server.exec(
                    """
                    select count(*) from pg_namespace where nspname = '\(Self.schema(ann))';
                    select count(*) from pg_roles where rolname = '\(Self.schema(ann))';
                    select count(*) from pg_proc where proname = '\(Self.schema(ann))';
                    select count(*) from tenancy.tenant_schemas;
                    """) == "0\n0\n0\n0")
        }
    }

    @Test func ownersGiveTheirTenantASchemaInTheSetUp() async throws {
        try await TenancyFixture.run(files: Self.files) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            try await fixture.project.server.exec(
                "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')")
            let member = await fixture.project.request(
                "authenticated", claims: bob.claims(tenant: ann.tenant), "select tenancy.set_isolation('schema');")
            #expect(member.contains("only an owner or an admin"))

            try fixture.project.write(Self.second, "create table tags (id int);\nselect nonsense;")
            let wait = ["prefer": "wait=30"]
            let failed = try await fixture.request(
                "POST", "/api/setup", claims: ann.claims, ["isolation": "schema"], headers: wait)
            #expect(failed.json["status"] == "failed")
            #expect(
                failed.json["steps"]?[2]?["error"]
                    == "template 20260102000000_add_tags, line 2: column \"nonsense\" does not exist (SQLSTATE 42703)")
            try fixture.project.write(Self.second, "create table tags (id int);")
            let done = try await fixture.request("POST", "/api/setup", claims: ann.claims, headers: wait)
            #expect(done.json["status"] == "completed", "\(done.text)")
            #expect(
                done.json["steps"]?[2]?["detail"] == [
                    "isolation": "schema", "schema": .string(Self.schema(ann)), "version": "20260102000000",
                ])
            // There is no way back that would lose rows.
            let back = await fixture.project.request(
                "authenticated", claims: ann.claims, "select tenancy.set_isolation('shared');")
            #expect(back.contains("a tenant that has a schema keeps it"))
            let asked = try await fixture.request(
                "POST", "/api/setup", claims: ann.claims, ["isolation": "shared"], headers: wait)
            #expect(asked.json["steps"]?[2]?["error"] == "a tenant that has a schema keeps it")
            #expect(
                try await fixture.project.server.exec(
                    "select detail from tenancy.audit_log where action = 'tenant.isolation_changed'")
                    == #"{"isolation": "schema"}"#)
        }
    }

    @Test func newTenantsHaveTheModeThatIsConfigured() async throws {
        try await TenancyFixture.run { fixture in
            _ = try await fixture.project.signUp("ann@example.com")
            try await fixture.project.login("postgres").exec(
                "insert into tenancy.options (name, value) values ('isolation', 'schema')")
            _ = try await fixture.project.signUp("bob@example.com")
            #expect(
                try await fixture.project.server.exec("select isolation from tenancy.tenants order by created_at")
                    == "shared\nschema")
        }
    }
}
