// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@Suite struct BootstrapTests {
    @Test func aFreshDatabaseGetsThePlatformOnce() async throws {
        try await TestProject.runEmpty { fixture in
            let clock = ContinuousClock()
            let start = clock.now
            let first = try await fixture.bootstrap()
            print("bootstrap of an empty database: \(clock.now - start)")
            let names = Assets.files(under: "sql/migrations/").map { $0.path.dropFirst(15).dropLast(4) }
            #expect(first.platformMigrations == names.map(String.init))
            #expect(first.warnings == [])

            let again = clock.now
            #expect(try await fixture.bootstrap() == Bootstrap.Report())
            print("bootstrap of a ready database: \(clock.now - again)")
        }
    }

    @Test func processesThatStartAtOnceDoTheWorkOnce() async throws {
        let files = [
            "supabase/migrations/1_notes.sql": "create table notes (text text);",
            "supabase/seed.sql": "insert into notes values ('once');",
        ]
        try await TestProject.runEmpty(files: files) { fixture in
            let reports = try await withThrowingTaskGroup(of: Bootstrap.Report.self) { group in
                for _ in 0..<4 { group.addTask { try await fixture.bootstrap() } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(reports.filter { !$0.platformMigrations.isEmpty }.count == 1)
            #expect(reports.filter { !$0.projectMigrations.isEmpty }.count == 1)
            #expect(try await fixture.server.exec("select count(*) from notes") == "1")
        }
    }

    @Test func databasesOfOneServerAreMadeReadySideBySide() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    try await TestProject.runEmpty { fixture in
                        let report = try await fixture.bootstrap()
                        #expect(!report.platformMigrations.isEmpty)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func migrationsRunInOrderAsPostgresAndAreRecorded() async throws {
        let files = [
            "supabase/migrations/20260102000000_second.sql": "insert into notes values ('Müller; $1');",
            "supabase/migrations/20260101000000_first.sql": """
            set search_path = '';
            create table public.notes (text text);
            """,
            "supabase/migrations/readme.md": "not a migration",
            "supabase/migrations/.gitkeep": "",
        ]
        try await TestProject.run(files: files) { fixture in
            let report = try await fixture.bootstrap()
            #expect(report.projectMigrations == [])
            let owner = "select tableowner from pg_tables where tablename = 'notes'"
            #expect(try await fixture.server.exec(owner) == "postgres")
            let history = """
                select version, name, statements[1] from supabase_migrations.schema_migrations order by version
                """
            #expect(
                try await fixture.server.exec(history) == """
                    20260101000000|first|set search_path = ''
                    20260102000000|second|insert into notes values ('Müller; $1')
                    """)
        }
        try await TestProject.run { fixture in
            for (path, text) in files { try fixture.write(path, text) }
            let report = try await fixture.bootstrap()
            #expect(report.projectMigrations == ["20260101000000_first", "20260102000000_second"])
            #expect(
                report.warnings == [
                    "supabase/migrations/readme.md is skipped: migrations are named <digits>_<name>.sql"
                ])
        }
    }

    @Test func whatAProjectMakesInPublicIsNeverRunByTheSuperuser() async throws {
        // Both fit calls of the start more closely than PostgreSQL's own, which would convert an argument.
        let traps = """
            create table caught (who text);
            create function hashtextextended(text, integer) returns bigint language plpgsql as $$
            begin
                insert into public.caught values (current_user);
                return pg_catalog.hashtextextended($1, $2::bigint);
            end $$;
            create function same(oid, regrole) returns boolean language plpgsql as $$
            begin
                insert into public.caught values (current_user);
                return $1 operator(pg_catalog.=) $2::oid;
            end $$;
            create operator = (leftarg = oid, rightarg = regrole, function = same);
            """
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/1_traps.sql", traps)
            _ = try await fixture.bootstrap()
            // The second start finds the traps laid.
            _ = try await fixture.bootstrap()
            #expect(try await fixture.server.exec("select distinct who from caught where who <> 'postgres'") == "")
        }
    }

    @Test func aFailingMigrationLeavesNothingAndNamesItsLine() async throws {
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/1_good.sql", "create table good ();")
            try fixture.write(
                "supabase/migrations/2_bad.sql", "create table half ();\n\ninsert into nowhere values (1);")
            let error = try await #require(throws: MigrationError.self) { try await fixture.bootstrap() }
            #expect(error.code == .failed)
            #expect(error.message.contains("2_bad, line 3"))
            #expect(try await fixture.server.exec("select to_regclass('half'), to_regclass('good')") == "|good")

            try fixture.write("supabase/migrations/2_bad.sql", "create table whole ();")
            #expect(try await fixture.bootstrap().projectMigrations == ["2_bad"])
        }
    }

    @Test func historyAndFilesMustAgree() async throws {
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/20260102000000_first.sql", "select 1;")
            _ = try await fixture.bootstrap()

            try fixture.write("supabase/migrations/20260101000000_older.sql", "select 1;")
            let older = try await #require(throws: MigrationError.self) { try await fixture.bootstrap() }
            #expect(older.code == .outOfOrder)
            let report = try await fixture.bootstrap { $0.includesOlderMigrations = true }
            #expect(report.projectMigrations == ["20260101000000_older"])

            try fixture.remove("supabase/migrations/20260102000000_first.sql")
            let missing = try await #require(throws: MigrationError.self) { try await fixture.bootstrap() }
            #expect(missing.code == .missing)
        }
    }

    @Test(arguments: ["", "if not exists "])
    func installedExtensionsMayBeCreatedAgain(_ clause: String) async throws {
        let sql = """
            CREATE EXTENSION \(clause)vector;
            create extension \(clause)"uuid-ossp" with schema extensions;
            create extension \(clause)pg_trgm;
            create table items (id uuid default uuid_generate_v4(), embedding vector(3));
            """
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/1_items.sql", sql)
            #expect(try await fixture.bootstrap().projectMigrations == ["1_items"])
        }
    }

    @Test func seedsRunOnce() async throws {
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/1_notes.sql", "create table notes (text text);")
            try fixture.write("supabase/seeds/b.sql", "insert into notes values ('b') -- no semicolon")
            try fixture.write(
                "supabase/seeds/a.sql", "set session_replication_role = replica; insert into notes values ('a');")
            let patterns = ["supabase/seeds/*.sql", "supabase/seeds/a.sql", "supabase/nothing.sql"]
            let report = try await fixture.bootstrap { $0.seedPatterns = patterns }
            #expect(report.seeds == ["supabase/seeds/a.sql", "supabase/seeds/b.sql"])
            #expect(report.warnings == ["no seed file matches supabase/nothing.sql"])

            try fixture.write("supabase/seeds/a.sql", "insert into notes values ('changed');")
            #expect(try await fixture.bootstrap { $0.seedPatterns = patterns }.seeds == [])
            #expect(try await fixture.server.exec("select string_agg(text, ',' order by text) from notes") == "a,b")
            let hash = "select count(distinct hash), count(*) from supabase_migrations.seed_files"
            #expect(try await fixture.server.exec(hash) == "2|2")
        }
    }

    @Test func aFailingSeedIsNotRecorded() async throws {
        try await TestProject.run { fixture in
            try fixture.write("supabase/migrations/1_notes.sql", "create table notes (text text);")
            try fixture.write("supabase/seed.sql", "insert into notes values ('a'); insert into notes values (1/0);")
            await #expect(throws: MigrationError.self) { try await fixture.bootstrap() }
            #expect(try await fixture.server.exec("select count(*) from notes") == "0")
            try fixture.write("supabase/seed.sql", "insert into notes values ('a');")
            #expect(try await fixture.bootstrap().seeds == ["supabase/seed.sql"])
        }
    }

    @Test func aMigrationCannotBecomeTheSuperuser() async throws {
        try await TestProject.run { fixture in
            try fixture.write(
                "supabase/migrations/1_escape.sql", "reset role; set session authorization supabase_admin;")
            let error = try await #require(throws: MigrationError.self) { try await fixture.bootstrap() }
            #expect(error.cause?.sqlState == "42501")
        }
    }

    @Test func anUnprivilegedLoginIsToldWhatIsMissing() async throws {
        try await TestProject.runEmpty { fixture in
            // The roles may be there already: they are the cluster's.
            let role = "limited_\(fixture.server.name)"
            try await fixture.server.exec("create role \(role) login password 'p'")
            let login = fixture.server.login(as: role, password: "p")
            let error = try await #require(throws: BootstrapError.self) { try await fixture.bootstrap(as: login) }
            #expect(error.code == .missingPrivilege)
            #expect(error.message.contains("\"\(role)\" is not a superuser"))
            try await fixture.server.exec("drop role \(role)")
        }
    }

    @Test func anOrdinaryLoginMayStartAnInstalledProject() async throws {
        try await TestProject.run { fixture in
            try await fixture.server.exec(
                "grant usage on schema atoll to postgres; grant select on atoll.migrations to postgres")
            try fixture.write("supabase/migrations/1_notes.sql", "create table notes (text text);")
            let report = try await fixture.bootstrap(as: fixture.login("postgres"))
            #expect(report.projectMigrations == ["1_notes"])
        }
    }

    @Test func wrongEncodingIsRefused() async throws {
        try await TestProject.runEmpty { fixture in
            let name = "latin_\(fixture.server.name)"
            try await fixture.server.exec(
                "create database \(name) encoding 'LATIN1' locale 'C' template template0")
            let database = try await TestCluster.shared.database(name)
            let error = try await #require(throws: BootstrapError.self) { try await fixture.bootstrap(as: database) }
            #expect(error.code == .wrongEncoding)
            try await database.drop()
        }
    }

    @Test func passwordsAreSetWithoutBeingTold() async throws {
        try await TestProject.run { fixture in
            let stored = try await fixture.server.exec(
                "select rolname, rolpassword from pg_authid where rolname in ('authenticator', 'supabase_auth_admin')")
            #expect(stored.split(separator: "\n").allSatisfy { $0.contains("SCRAM-SHA-256$4096:") })
            let stranger = fixture.server.login(as: "authenticator", password: "another")
            #expect(await stranger.attempt("select 1").contains("password authentication failed"))
            #expect(await fixture.login("authenticator").attempt("select 1") == "1\n")
            // The same password leaves the verifier as it is.
            _ = try await fixture.bootstrap()
            let again = try await fixture.server.exec(
                "select rolname, rolpassword from pg_authid where rolname in ('authenticator', 'supabase_auth_admin')")
            #expect(again == stored)
            let error = try await #require(throws: BootstrapError.self) {
                try await fixture.bootstrap { $0.passwords["authenticator"] = SecretString("naïve") }
            }
            #expect(error.code == .unusablePassword)
            #expect(!error.message.contains("naïve"))
        }
    }

    @Test func anotherProcessIsNotWaitedForForEver() async throws {
        try await TestProject.run { fixture in
            try await Loop.withLoop { loop in
                let database = try Database(
                    DatabaseConfiguration(address: fixture.server.address), loops: [loop], log: .disabled)
                let error = try await database.withTransaction { transaction in
                    try await transaction.run(["select pg_advisory_xact_lock(hashtextextended('atoll.bootstrap', 0))"])
                    return await #expect(throws: BootstrapError.self) {
                        try await fixture.bootstrap { $0.lockTimeout = .milliseconds(50) }
                    }
                }
                #expect(error?.code == .locked)
                await database.shutdown()
            }
        }
    }
}
