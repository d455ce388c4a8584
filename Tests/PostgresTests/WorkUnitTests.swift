// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Postgres
import Primitives
import TestSupport
import Testing

@Suite struct WorkUnitTests {
    // MARK: Refusals

    @Test func anErrorInTheMiddleRollsAllBack() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            try await database.query("create table note (id int primary key)")
            let error = await postgresError {
                _ = try await database.run(
                    WorkUnit(queries: [
                        "insert into note values (1)", "insert into note values (1)", "insert into note values (2)",
                    ]))
            }
            #expect(error?.code == .server)
            #expect(error?.sqlState == "23505")
            #expect(error?.table == "note")
            #expect(error?.constraint == "note_pkey")
            #expect(error?.detail == "Key (id)=(1) already exists.")
            #expect(error?.isOutcomeUnknown == false)
            #expect(try await database.query("select * from note").rowCount == 0)
        }
    }

    @Test func anErrorAtCommitIsReported() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            try await database.query("create table a (id int primary key)")
            try await database.query("create table b (a int references a deferrable initially deferred)")
            let error = await postgresError { try await database.query("insert into b values (1)") }
            #expect(error?.sqlState == "23503")
            #expect(try await database.query("select count(*) from b")[0][0].int == 0)
        }
    }

    @Test(arguments: [
        "begin", "commit", " /* a */ COMMIT", "rollback", "-- b\nend", "start transaction", "abort",
        "prepare transaction 'x'", "listen a", "rollback to a",
    ])
    func refusesTransactionControl(sql: String) async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError {
                try await fixture.database.query(PostgresQuery(sql: sql))
            }
            #expect(error?.code == .invalidQuery)
        }
    }

    @Test(arguments: ["vacuum", "create index concurrently i on t (a)", "create database never_made"])
    func whatCannotRunInATransactionIsTheServersToRefuse(sql: String) async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            try await fixture.database.query("create table t (a int)")
            let error = await postgresError { try await fixture.database.query(PostgresQuery(sql: sql)) }
            #expect(error?.sqlState == "25001")
            #expect(try await fixture.database.query("select 1")[0][0].int == 1)
            #expect(fixture.counter("connections_opened") == 1)
        }
    }

    @Test func refusesNULInEveryPlace() async throws {
        try await DatabaseFixture.run { fixture in
            let units: [WorkUnit] = [
                WorkUnit(queries: ["select \("a\0b")"]),
                WorkUnit(queries: [PostgresQuery(sql: "select 1\0")]),
                WorkUnit(role: "anon\0x", queries: ["select 1"]),
                WorkUnit(settings: [("a.b", "c\0d")], queries: ["select 1"]),
            ]
            for unit in units {
                let error = await postgresError { _ = try await fixture.database.run(unit) }
                #expect(error?.code == .invalidQuery)
            }
        }
    }

    @Test(arguments: [
        WorkUnit(settings: [("role", "postgres")]), WorkUnit(settings: [("ROLE", "postgres")]),
        WorkUnit(settings: [("session_authorization", "postgres")]),
        WorkUnit(settings: (0...WorkUnit.maxSettings).map { ("a.b\($0)", "c") }),
        WorkUnit(queries: [
            PostgresQuery(sql: "", parameters: Array(repeating: .null, count: 65536))
        ]),
    ])
    func refusesWhatAUnitMayNotCarry(unit: WorkUnit) async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError { _ = try await fixture.database.run(unit) }
            #expect(error?.code == .invalidQuery)
        }
    }

    @Test func refusesWritesWhenReadOnly() async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError {
                _ = try await fixture.database.run(WorkUnit(readOnly: true, queries: ["create table t (a int)"]))
            }
            #expect(error?.sqlState == "25006")
            try await fixture.database.query("create table t (a int)")
        }
    }

    @Test func stopsAtTheStatementTimeout() async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError {
                _ = try await fixture.database.run(
                    WorkUnit(statementTimeout: .milliseconds(20), queries: ["select pg_sleep(30)"]))
            }
            #expect(error?.sqlState == "57014")
            #expect(error?.code == .server)
            let after = try await fixture.database.query("show statement_timeout")
            #expect(after[0][0].string == "30s")
        }
    }

    @Test func aCopyInAUnitClosesTheConnection() async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError {
                try await fixture.database.query("copy (select 1) to stdout")
            }
            #expect(error?.code == .misuse)
            let after = try await fixture.database.query("select 1")
            #expect(after[0][0].int == 1)
        }
    }

    // MARK: What it promises

    @Test func allQueriesRunInOneTransactionAndRoundTrip() async throws {
        try await DatabaseFixture.run { fixture in
            let query: PostgresQuery = "select pg_current_xact_id()::text, now()::text, pg_backend_pid()"
            let results = try await fixture.database.run(WorkUnit(queries: [query, query, "select 1"]))
            #expect(results.count == 3)
            #expect(results[0][0][0] == results[1][0][0])
            #expect(results[0][0][1] == results[1][0][1])
            #expect(fixture.counter("operations") == 1)
        }
    }

    @Test func roleAndSettingsHoldForTheUnitAlone() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            let look: PostgresQuery =
                "select current_user, current_setting('request.jwt.claims', true), pg_backend_pid(), current_setting('transaction_read_only')"
            try await database.query("create role unit_role nologin")
            let inside = try await database.run(
                WorkUnit(
                    role: "unit_role", settings: [("request.jwt.claims", #"{"sub":"1"}"#)], readOnly: true,
                    queries: [look]))[0][0]
            #expect(inside[0].string == "unit_role")
            #expect(inside[1].string == #"{"sub":"1"}"#)
            #expect(inside[3].string == "on")
            let after = try await database.query(look)[0]
            #expect(after[0].string == fixture.server.user)
            #expect(after[1].string ?? "" == "")
            #expect(after[2] == inside[2])
            #expect(after[3].string == "off")
            // Also after a failure within the unit.
            _ = await postgresError {
                _ = try await database.run(WorkUnit(role: "unit_role", queries: ["select 1/0"]))
            }
            #expect(try await database.query(look)[0][0].string == fixture.server.user)
            try await database.query("drop role unit_role")
        }
    }

    @Test func whatAFunctionSetsForTheSessionDoesNotReachTheNextUnit() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            try await database.query("create role leak_role nologin")
            _ = try await database.run(
                WorkUnit(queries: [
                    "select set_config('app.tenant', 'other', false), set_config('role', 'leak_role', false)",
                    "select set_config('search_path', 'pg_catalog', false)",
                ]))
            let after = try await database.query(
                "select current_setting('app.tenant', true), current_user, current_setting('search_path')")[0]
            #expect(after[0].string ?? "" == "")
            #expect(after[1].string == fixture.server.user)
            #expect(after[2].string == #""$user", public"#)
            try await database.query("drop role leak_role")
        }
    }

    @Test func whatAFunctionKeepsInItsSessionDoesNotReachTheNextUnit() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            let look: PostgresQuery = """
                select pg_backend_pid() as pid, to_regclass('pg_temp.kept') is null as is_gone,
                    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks
                """
            let pid = try await database.query(look)[0]["pid"].int
            let leave: [PostgresQuery] = [
                "create temporary table kept as select 'of a tenant' as text", "select pg_advisory_lock(42)",
            ]
            // Also after a unit that failed, which takes back what the reset before it did.
            _ = try await database.run(WorkUnit(queries: leave))
            await #expect(throws: PostgresError.self) { try await database.query("select 1 / 0") }
            let after = try await database.query(look)[0]
            #expect(after["pid"].int == pid)
            #expect(after["is_gone"].bool == true)
            #expect(after["locks"].int == 0)

            _ = try await database.run(WorkUnit(queries: leave))
            try await database.withTransaction { transaction in
                let inside = try await transaction.query(look)[0]
                #expect(inside["pid"].int == pid)
                #expect(inside["is_gone"].bool == true)
                #expect(inside["locks"].int == 0)
            }
        }
    }

    @Test func sessionSettingsHoldForAllUnits() async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1
            $0.sessionSettings = [("search_path", "auth, \"a b\", public"), ("app.backslash", #"a\b c"#)]
        }) { fixture in
            let look: PostgresQuery = "select current_setting('search_path'), current_setting('app.backslash')"
            _ = try await fixture.database.run(
                WorkUnit(queries: [
                    "select set_config('search_path', 'x', false), set_config('app.backslash', 'y', false)"
                ]))
            let after = try await fixture.database.query(look)[0]
            #expect(after[0].string == #"auth, "a b", public"#)
            #expect(after[1].string == #"a\b c"#)
        }
    }

    @Test func parametersOfEveryKindArrive() async throws {
        try await DatabaseFixture.run { fixture in
            let id = UUID.random()
            let moment = Timestamp(unixMicroseconds: 1_700_000_000_123_456)
            let bytes: [UInt8] = [0, 1, 255, 0]
            let texts = ["a", "NULL", #"b"c\d,{e}"#, ""]
            let json: JSON = ["a": [1, nil, "é"]]
            let missing: String? = nil
            let result = try await fixture.database.query(
                """
                select \("it's")::text as text, \(42)::int as int, \(true)::bool as bool, \(id)::uuid as id,
                    \(moment)::timestamptz as moment, \(bytes) as bytes, \(texts)::text[] as texts, \(json)::jsonb as json,
                    \(missing)::text as missing, \(1.5)::float8 as number
                """)
            let row = try #require(result.onlyRow)
            #expect(row["text"].string == "it's")
            #expect(row["int"].int == 42)
            #expect(row["bool"].bool == true)
            #expect(row["id"].uuid == id)
            #expect(row["moment"].timestamp == moment)
            #expect(row["bytes"].bytes == bytes)
            #expect(row["texts"].array == texts)
            #expect(row["json"].json == json)
            #expect(row["missing"].isNull)
            #expect(row["number"].double == 1.5)
            #expect(row["nothing"].isNull)
        }
    }

    @Test func cellsAreLentAndOutliveTheResult() async throws {
        try await DatabaseFixture.run { fixture in
            var result: PostgresResult? = try await fixture.database.query("select repeat('x', 100000), null")
            let cell = try #require(result?.value(0, 0))
            #expect(result?.value(0, 1).byteCount == 0)
            result = nil
            #expect(cell.byteCount == 100000)
            #expect(cell.withBytes { $0.allSatisfy { $0 == UInt8(ascii: "x") } })
        }
    }

    @Test func largeParametersAndResultsPass() async throws {
        try await DatabaseFixture.run { fixture in
            let text = String(repeating: "0123456789", count: 800_000)
            let result = try await fixture.database.query("select \(text)::text || 'z'")
            #expect(result.value(0, 0).byteCount == 8_000_001)
        }
    }

    @Test func tellsWhatStatementsDid() async throws {
        try await DatabaseFixture.run { fixture in
            let results = try await fixture.database.run(
                WorkUnit(queries: [
                    "create table t (a int)", "insert into t select generate_series(1, 7)",
                    "update t set a = 0 where a > 4",
                    "delete from t where a = 1", "",
                ]))
            #expect(results.map(\.commandTag) == ["CREATE TABLE", "INSERT 0 7", "UPDATE 3", "DELETE 1", ""])
            #expect(results.map(\.affectedRows) == [0, 7, 3, 1, 0])
        }
    }
}

/// Runs `body` and returns the error of this module it threw.
func postgresError(_ body: () async throws -> some Any) async -> PostgresError? {
    do {
        _ = try await body()
        return nil
    } catch let error as PostgresError {
        return error
    } catch {
        Issue.record("unexpected \(error)")
        return nil
    }
}
