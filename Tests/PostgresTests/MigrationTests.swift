// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

@Suite struct MigrationPlanTests {
    private static func known(_ version: String, _ name: String = "x", checksum: String = "c") -> (
        migration: Migration, checksum: String
    ) {
        (Migration(version: version, name: name, sql: ""), checksum)
    }

    private func code(
        _ migrations: [(migration: Migration, checksum: String)], _ applied: [AppliedMigration],
        allowsOutOfOrder: Bool = false, allowsMissing: Bool = false
    ) -> MigrationError.Code? {
        do {
            _ = try MigrationPlan(
                migrations, applied: applied, allowsOutOfOrder: allowsOutOfOrder, allowsMissing: allowsMissing)
            return nil
        } catch { return error.code }
    }

    @Test func refusesChangedMissingMisplacedAndDoubled() {
        let one = AppliedMigration(version: "1", name: "x", checksum: "c")
        let two = AppliedMigration(version: "2", name: "y", checksum: "c")
        #expect(code([Self.known("1", checksum: "other")], [one]) == .changed)
        #expect(code([Self.known("1")], [one, two]) == .missing)
        #expect(code([Self.known("1"), Self.known("2")], [two]) == .outOfOrder)
        #expect(code([Self.known("1"), Self.known("1", "z")], []) == .duplicate)
        #expect(code([Self.known("1")], [one, two], allowsMissing: true) == nil)
        #expect(code([Self.known("1"), Self.known("2")], [two], allowsOutOfOrder: true) == nil)
        #expect(code([Self.known("1")], [AppliedMigration(version: "1", name: "x", checksum: nil)]) == nil)
    }

    @Test func runsWhatIsNewInOrder() throws {
        let plan = try MigrationPlan(
            [Self.known("3"), Self.known("1"), Self.known("2")],
            applied: [AppliedMigration(version: "1", name: "x", checksum: "c")], allowsOutOfOrder: false,
            allowsMissing: false)
        #expect(plan.pending.map(\.version) == ["2", "3"])
    }

    @Test(arguments: [
        ("20260102030405_add_notes.sql", "20260102030405", "add_notes"), ("1_a.sql", "1", "a"),
    ])
    func readsFileNames(fileName: String, version: String, name: String) {
        let migration = Migration(fileName: fileName, sql: "")
        #expect(migration?.version == version)
        #expect(migration?.name == name)
        #expect(migration?.label == "\(version)_\(name)")
    }

    @Test(arguments: ["a.sql", "1.sql", "1_.sql", "_a.sql", "1_a.txt", "1a_b.sql"])
    func refusesOtherFileNames(fileName: String) {
        #expect(Migration(fileName: fileName, sql: "") == nil)
    }
}

@Suite struct MigrationsTests {
    private static let notes = Migration(
        version: "1", name: "notes", sql: "create table note (id int);\ninsert into note values (1);")
    private static let more = Migration(version: "2", name: "more", sql: "alter table note add column text text")

    private static func error(_ body: () async throws -> some Any) async -> MigrationError? {
        do {
            _ = try await body()
            return nil
        } catch let error as MigrationError {
            return error
        } catch {
            Issue.record("unexpected \(error)")
            return nil
        }
    }

    @Test func runsEachOnceAndRecordsIt() async throws {
        try await DatabaseFixture.run { fixture in
            let migrations = Migrations()
            let first = try await migrations.run([Self.notes], on: fixture.database)
            #expect(first == [Self.notes])
            #expect(try await migrations.pending([Self.notes, Self.more], on: fixture.database) == [Self.more])
            let second = try await migrations.run([Self.notes, Self.more], on: fixture.database)
            #expect(second == [Self.more])
            #expect(try await migrations.run([Self.notes, Self.more], on: fixture.database).isEmpty)
            let history = try await fixture.database.query(
                "select version, name, statements, checksum, encode(sha256(convert_to(\(Self.notes.sql), 'UTF8')), 'hex') from supabase_migrations.schema_migrations order by 1"
            )
            #expect(history.rowCount == 2)
            #expect(history[0]["name"].string == "notes")
            #expect(history[0]["statements"].array == ["create table note (id int)", "insert into note values (1)"])
            #expect(history[0]["checksum"] == history[0][4])
            #expect(try await fixture.database.query("select count(text) from note")[0][0].int == 0)
        }
    }

    @Test func refusesAChangedOrMissingMigration() async throws {
        try await DatabaseFixture.run { fixture in
            var migrations = Migrations(schema: "own", table: "history")
            try await migrations.run([Self.notes, Self.more], on: fixture.database)
            var changed = Self.notes
            changed.sql += " "
            let third = Migration(version: "3", name: "third", sql: "create table never (a int)")
            let first = await Self.error {
                try await migrations.run([changed, Self.more, third], on: fixture.database)
            }
            #expect(first?.code == .changed)
            #expect(first?.message.contains("1_notes") == true)
            let second = await Self.error { try await migrations.run([Self.notes, third], on: fixture.database) }
            #expect(second?.code == .missing)
            #expect(second?.message.contains("2_more") == true)
            #expect(try await fixture.database.query("select to_regclass('never')")[0][0].isNull)
            migrations.allowsMissing = true
            #expect(try await migrations.run([Self.notes, third], on: fixture.database) == [third])
        }
    }

    @Test func aFailureLeavesNothingAndNamesTheLine() async throws {
        try await DatabaseFixture.run { fixture in
            let bad = Migration(
                version: "1", name: "bad", sql: "create table a (id int);\n\ninsert into a\nselect id from missing;")
            let error = await Self.error { try await Migrations().run([bad], on: fixture.database) }
            #expect(error?.code == .failed)
            #expect(error?.message.hasPrefix("migration 1_bad, line 4: ") == true)
            #expect(error?.cause?.sqlState == "42P01")
            let table = try await fixture.database.query("select to_regclass('a')")
            #expect(table[0][0].isNull)
            #expect(try await Migrations().pending([bad], on: fixture.database) == [bad])
        }
    }

    @Test func whatCannotRunInATransactionRunsOutside() async throws {
        try await DatabaseFixture.run { fixture in
            let index = Migration(
                version: "1", name: "index",
                sql: "create table a (id int); create index concurrently a_id_idx on a (id); vacuum a;")
            let own = Migration(version: "2", name: "own", sql: "begin; insert into a values (1); commit;")
            let marked = Migration(
                version: "3", name: "marked", sql: "-- atoll:no-transaction\ninsert into a values (2); select 1/0;")
            try await Migrations().run([index, own], on: fixture.database)
            let error = await Self.error { try await Migrations().run([index, own, marked], on: fixture.database) }
            #expect(error?.cause?.sqlState == "22012")
            #expect(error?.message.contains("stay") == true)
            #expect(
                try await fixture.database.query("select array_agg(id order by id) from a")[0][0].array == ["1", "2"])
            let open = Migration(version: "3", name: "open", sql: "begin; insert into a values (3);")
            let left = await Self.error { try await Migrations().run([index, own, open], on: fixture.database) }
            #expect(left?.message.contains("does not commit") == true)
            #expect(try await fixture.database.query("select max(id) from a")[0][0].int == 2)
        }
    }

    @Test func whatAScriptSetsDoesNotReachTheNext() async throws {
        try await DatabaseFixture.run { fixture in
            let dump = Migration(
                version: "1", name: "dump",
                sql:
                    "select pg_catalog.set_config('search_path', '', false); set role pg_monitor; reset role; create table public.a (id int)"
            )
            let next = Migration(version: "2", name: "next", sql: "create table b (id int)")
            try await Migrations().run([dump, next], on: fixture.database)
            #expect(try await fixture.database.query("select to_regclass('public.b')")[0][0].isNull == false)
        }
    }

    @Test func takesOverTheHistoryOfTheSupabaseCLI() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.server.exec(
                """
                create schema supabase_migrations;
                create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);
                insert into supabase_migrations.schema_migrations values ('1', '{select 1}', 'notes');
                create table note (id int);
                """)
            #expect(try await Migrations().run([Self.notes, Self.more], on: fixture.database) == [Self.more])
        }
    }

    @Test func concurrentRunnersRunEachMigrationOnce() async throws {
        try await DatabaseFixture.run { fixture in
            let slow = Migration(
                version: "1", name: "slow",
                sql: "create table once (id int); select pg_sleep(0.1); insert into once values (1)")
            let counts = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask(executorPreference: fixture.loop) {
                        try await Migrations().run([slow], on: fixture.database).count
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(counts.sorted() == [0, 0, 0, 1])
            #expect(try await fixture.database.query("select count(*) from once")[0][0].int == 1)
        }
    }

    @Test func aRunnerWaitsOnlySoLong() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.withSession { session in
                try await session.run(
                    [
                        "select pg_advisory_lock(hashtextextended('atoll.migrations.supabase_migrations.schema_migrations', 0))"
                    ],
                    place: nil)
                // Another database value, as this task holds a connection of the first.
                let other = try Database(fixture.database.configuration, loops: [fixture.loop], log: .disabled)
                var migrations = Migrations()
                migrations.lockTimeout = .milliseconds(20)
                let runner = migrations
                let error = await Self.error { try await runner.run([Self.notes], on: other) }
                #expect(error?.code == .locked)
                await other.shutdown()
            }
        }
    }

    @Test func scriptsRunAsAWhole() async throws {
        try await DatabaseFixture.run { fixture in
            let seed = (1...1000).map { "insert into seed values (\($0));" }.joined(separator: "\n")
            try await fixture.database.run(script: SQLScript("create table seed (id int);\n" + seed), label: "seed.sql")
            #expect(try await fixture.database.query("select count(*) from seed")[0][0].int == 1000)
            let error = await Self.error {
                try await fixture.database.run(
                    script: SQLScript(seed + "\ninsert into seed values ('x');"), label: "seed.sql")
            }
            #expect(error?.message.hasPrefix("seed.sql, line 1001: ") == true)
            let copy = await Self.error {
                try await fixture.database.run(script: SQLScript("copy seed from stdin;"), label: "seed.sql")
            }
            #expect(copy?.code == .failed)
            #expect(try await fixture.database.query("select count(*) from seed")[0][0].int == 1000)
        }
    }
}
