// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

/// Connections that short reads share.
@Suite struct LaneTests {
    private static func unit(_ query: PostgresQuery, role: String? = nil, claims: String = "") -> WorkUnit {
        WorkUnit(
            role: role, settings: [("request.jwt.claims", claims)], readOnly: true, isBrief: true, queries: [query])
    }

    private static func sleep(_ seconds: String) -> PostgresQuery {
        "select 'slept' || pg_sleep(\(seconds)::text::float8)::text"
    }

    /// Runs the units at the same time.
    private static func all(_ units: [WorkUnit], _ fixture: DatabaseFixture) async -> [Result<String, PostgresError>] {
        await withTaskGroup(of: (Int, Result<String, PostgresError>).self) { group in
            for (position, unit) in units.enumerated() {
                group.addTask(executorPreference: fixture.loop) {
                    do throws(PostgresError) {
                        let results = try await fixture.database.run(unit)
                        return (position, .success(results.last?.string(0, 0) ?? ""))
                    } catch {
                        return (position, .failure(error))
                    }
                }
            }
            var outcomes: [Result<String, PostgresError>] = Array(repeating: .success("none"), count: units.count)
            for await (position, outcome) in group { outcomes[position] = outcome }
            return outcomes
        }
    }

    /// Makes a statement known as quick, and one lane open.
    private static func prove(_ query: PostgresQuery, _ fixture: DatabaseFixture, role: String? = nil) async throws {
        for _ in 0..<StatementPace.firstProof { _ = try await fixture.database.run(unit(query, role: role)) }
        try await eventually("a lane is open") {
            _ = await all([unit(query, role: role)], fixture)
            return fixture.counter("shared_operations") > 0
        }
    }

    private static let oneLane: @Sendable (inout DatabaseConfiguration) -> Void = {
        $0.connectionsPerLoop = 2
        $0.lanesPerLoop = 1
        $0.laneDepth = 64
        // As long as a busy machine may take over a small statement.
        $0.laneTimeout = .seconds(20)
    }

    // MARK: What stays apart

    @Test func roleAndSettingsOfNeighboursNeverCross() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let database = fixture.database
            for role in ["lane_a", "lane_b"] {
                try await database.query(PostgresQuery(sql: "create role \(role) nologin"))
            }
            try await database.query("create table lane_rows (owner text, value int)")
            try await database.query("insert into lane_rows select 'user' || n % 10, n from generate_series(1, 1000) n")
            try await database.query("alter table lane_rows enable row level security")
            try await database.query(
                "create policy own on lane_rows using (owner = current_setting('request.jwt.claims', true))")
            try await database.query("grant select on lane_rows to lane_a, lane_b")
            let read: PostgresQuery =
                "select current_user || ' ' || current_setting('request.jwt.claims', true) || ' ' || string_agg(distinct owner, ',') from lane_rows"
            for role in ["lane_a", "lane_b"] { try await Self.prove(read, fixture, role: role) }
            let before = fixture.counter("shared_operations")
            for _ in 0..<10 {
                let names = (0..<40).map { (role: $0 % 2 == 0 ? "lane_a" : "lane_b", user: "user\($0 % 10)") }
                let outcomes = await Self.all(names.map { Self.unit(read, role: $0.role, claims: $0.user) }, fixture)
                for (name, outcome) in zip(names, outcomes) {
                    #expect(try outcome.get() == "\(name.role) \(name.user) \(name.user)")
                }
            }
            #expect(fixture.counter("shared_operations") - before == 400)
            // Nobody's are left for one who brings none.
            let bare = try await database.run(
                WorkUnit(readOnly: true, isBrief: true, queries: [read]))[0].string(0, 0)
            #expect(bare?.hasPrefix("\(fixture.server.user)  ") == true)
            for sql in ["drop table lane_rows", "drop role lane_a", "drop role lane_b"] {
                try await database.query(PostgresQuery(sql: sql))
            }
        }
    }

    @Test func anErrorLeavesTheNeighboursAlone() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let divide: (Int) -> PostgresQuery = { "select (100 / \($0)::int)::text" }
            try await Self.prove(divide(1), fixture)
            let outcomes = await Self.all((0..<30).map { Self.unit(divide($0 % 3)) }, fixture)
            for (position, outcome) in outcomes.enumerated() {
                switch outcome {
                case .success(let text): #expect(position % 3 != 0 && text == "\(100 / (position % 3))")
                case .failure(let error): #expect(position % 3 == 0 && error.sqlState == "22012")
                }
            }
            #expect(fixture.counter("connections_lost") == 0)
        }
    }

    @Test func whatAFunctionLeavesInTheSessionDoesNotReachTheNext() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let leave: PostgresQuery =
                "select set_config('app.tenant', 'other', false) || set_config('search_path', 'pg_catalog', false) || pg_advisory_lock(pg_backend_pid())::text"
            let look: PostgresQuery = """
                select concat_ws('|', current_setting('app.tenant', true), current_setting('search_path'), (select count(*)
                    from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))
                """
            try await Self.prove(leave, fixture)
            try await Self.prove(look, fixture)
            let before = fixture.counter("shared_operations")
            let outcomes = await Self.all((0..<40).map { Self.unit($0 % 2 == 0 ? leave : look) }, fixture)
            for (position, outcome) in outcomes.enumerated() where position % 2 == 1 {
                #expect(try outcome.get() == #"|"$user", public|0"#)
            }
            #expect(fixture.counter("shared_operations") - before == 40)
        }
    }

    @Test func whatReadsCannotLeaveTemporaryTables() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            try await fixture.database.query(
                """
                create function make_temporary() returns text language plpgsql as $$ begin
                    perform set_config('transaction_read_only', 'off', true);
                    create temporary table kept (a int); return 'made';
                exception when sqlstate '25001' then create temporary table kept (a int); return 'made'; end $$
                """)
            let error = await postgresError {
                _ = try await fixture.database.run(Self.unit("select make_temporary()"))
            }
            #expect(error?.sqlState == "25006" || error?.sqlState == "25001")
        }
    }

    @Test func temporaryTablesOfWritersAreGoneForReaders() async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1; $0.lanesPerLoop = 0
        }) { fixture in
            let look = Self.unit("select coalesce(to_regclass('pg_temp.kept')::text, 'none')")
            let make = WorkUnit(queries: ["create temporary table kept as select 'of a tenant' as text"])
            for _ in 0..<2 {
                _ = try await fixture.database.run(make)
                // A failing reader takes its own discard back.
                await #expect(throws: PostgresError.self) {
                    _ = try await fixture.database.run(Self.unit("select (1 / 0)::text"))
                }
                for _ in 0..<2 { #expect(try await fixture.database.run(look)[0].string(0, 0) == "none") }
            }
        }
    }

    // MARK: What does not share

    @Test(arguments: [
        WorkUnit(isBrief: true, queries: ["select 'x'"]),
        WorkUnit(readOnly: true, queries: ["select 'x'"]),
        WorkUnit(readOnly: true, statementTimeout: .seconds(1), isBrief: true, queries: ["select 'x'"]),
    ])
    func onlyBriefReadsShare(unit: WorkUnit) async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            try await Self.prove("select 'x'", fixture)
            let before = fixture.counter("shared_operations")
            _ = try await fixture.database.run(unit)
            #expect(fixture.counter("shared_operations") == before)
        }
    }

    @Test func aSlowUnitIsRunAloneAndHoldsUpTheOthersNoLonger() async throws {
        try await DatabaseFixture.run({
            Self.oneLane(&$0)
            $0.laneTimeout = .milliseconds(200)
        }) { fixture in
            try await Self.prove(Self.sleep("0"), fixture)
            try await Self.prove("select 'quick'", fixture)
            let units = [Self.unit(Self.sleep("1"))] + (0..<10).map { _ in Self.unit("select 'quick'") }
            let outcomes = await Self.all(units, fixture)
            #expect(try outcomes[0].get() == "slept")
            for outcome in outcomes.dropFirst() { #expect(try outcome.get() == "quick") }
            #expect(fixture.counter("retries") == 1)
            // The statement has lost its place.
            let before = fixture.counter("shared_operations")
            _ = try await fixture.database.run(Self.unit(Self.sleep("0")))
            #expect(fixture.counter("shared_operations") == before)
        }
    }

    @Test func cancellingOneNeverStopsAnother() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let database = fixture.database
            try await Self.prove(Self.sleep("0"), fixture)
            let outcome = Outcome()
            let cancelled = fixture.loop.spawn {
                outcome.error = await postgresError { _ = try await database.run(Self.unit(Self.sleep("60"))) }
            }
            let neighbours = fixture.loop.spawn {
                let outcomes = await Self.all((0..<5).map { _ in Self.unit(Self.sleep("0")) }, fixture)
                for outcome in outcomes { #expect(throws: Never.self) { try outcome.get() } }
            }
            try await eventually("the first runs") {
                try await fixture.server.exec(
                    """
                    select count(*) > 0 from pg_stat_activity where query like '%slept%' and state = 'active'
                        and datname = current_database() and pid <> pg_backend_pid()
                    """) == "t"
            }
            cancelled.cancel()
            await cancelled.value
            await neighbours.value
            #expect(outcome.error?.code == .queryCancelled)
            #expect(fixture.counter("cancels") == 0)
            #expect(fixture.counter("connections_lost") == 0)
        }
    }

    // MARK: Trouble

    @Test func unitsBehindOneThatEndsTheSessionRunElsewhere() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let end: (Bool) -> PostgresQuery = {
                "select case when \($0 ? "yes" : "no")::text = 'yes' then pg_terminate_backend(pg_backend_pid(), 5000)::text else 'alive' end"
            }
            try await Self.prove(end(false), fixture)
            let outcomes = await Self.all([Self.unit(end(true))] + (0..<5).map { _ in Self.unit(end(false)) }, fixture)
            for outcome in outcomes.dropFirst() { #expect(try outcome.get() == "alive") }
            #expect(fixture.counter("connections_lost") >= 1)
            // And lanes come back.
            let before = fixture.counter("shared_operations")
            try await eventually("units share again") {
                _ = await Self.all([Self.unit(end(false))], fixture)
                return fixture.counter("shared_operations") > before
            }
        }
    }

    @Test func staleStatementsAreRetriedAmongNeighbours() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            try await fixture.database.query("create table t (a int)")
            try await fixture.database.query("insert into t values (1)")
            try await Self.prove("select * from t", fixture)
            try await fixture.server.exec("alter table t add column b text default 'b'")
            let outcomes = await Self.all((0..<10).map { _ in Self.unit("select * from t") }, fixture)
            for outcome in outcomes { #expect(try outcome.get() == "1") }
        }
    }

    @Test func whatDoesNotWaitBehindOthersHasAFreeLaneOrNone() async throws {
        try await DatabaseFixture.run(Self.oneLane) { fixture in
            let sleep: PostgresQuery = "select 'slept' || pg_sleep(0.05)::text"
            try await Self.prove(sleep, fixture)
            let before = fixture.counter("shared_operations")
            var unit = Self.unit(sleep)
            unit.waitsBehindOthers = false
            let outcomes = await Self.all(Array(repeating: unit, count: 5), fixture)
            for outcome in outcomes { #expect(try outcome.get() == "slept") }
            #expect(fixture.counter("shared_operations") - before == 1)
        }
    }

    @Test func aFullLaneLeavesTheRestToOtherConnections() async throws {
        try await DatabaseFixture.run({
            Self.oneLane(&$0)
            $0.laneDepth = 2
        }) { fixture in
            let sleep: PostgresQuery = "select 'slept' || pg_sleep(0.05)::text"
            try await Self.prove(sleep, fixture)
            let outcomes = await Self.all((0..<20).map { _ in Self.unit(sleep) }, fixture)
            for outcome in outcomes { #expect(try outcome.get() == "slept") }
            #expect(fixture.counter("connections_opened") == 3)
        }
    }
}
