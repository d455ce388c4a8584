// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

@Suite struct TransactionTests {
    struct Refused: Error {}

    @Test func throwingRollsBack() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (a int)")
            await #expect(throws: Refused.self) {
                try await fixture.database.withTransaction { transaction in
                    try await transaction.query("insert into t values (1)")
                    throw Refused()
                }
            }
            #expect(try await fixture.database.query("select * from t").rowCount == 0)
        }
    }

    @Test func aCaughtErrorStillFailsTheTransaction() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (a int)")
            let error = await postgresError {
                try await fixture.database.withTransaction { transaction in
                    try await transaction.query("insert into t values (1)")
                    _ = try? await transaction.query("select 1/0")
                }
            }
            #expect(error?.sqlState == "22012")
            #expect(try await fixture.database.query("select * from t").rowCount == 0)
        }
    }

    @Test(arguments: ["commit", "rollback", "begin", "rollback work"])
    func refusesToBeEndedByAQuery(sql: String) async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError {
                try await fixture.database.withTransaction { try await $0.query(PostgresQuery(sql: sql)) }
            }
            #expect(error?.code == .invalidQuery)
        }
    }

    @Test func refusesNestedUse() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            let inner = await postgresError {
                try await database.withTransaction { _ in try await database.withTransaction { _ in } }
            }
            #expect(inner?.code == .misuse)
            let unit = await postgresError {
                try await database.withTransaction { _ in try await database.query("select 1") }
            }
            #expect(unit?.code == .misuse)
            try await database.query("select 1")
        }
    }

    @Test func refusesUseAfterItsEnd() async throws {
        try await DatabaseFixture.run { fixture in
            let escaped = try await fixture.database.withTransaction { $0 }
            let error = await postgresError { try await escaped.query("select 1") }
            #expect(error?.code == .misuse)
        }
    }

    @Test func aRoleThatIsNotThereLeavesTheConnectionUsable() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let error = await postgresError { try await fixture.database.withTransaction(role: "nobody_here") { _ in } }
            #expect(error?.sqlState == "22023")
            try await fixture.database.query("select 1")
            #expect(fixture.counter("connections_opened") == 1)
        }
    }

    @Test func commitsWithRoleAndSettings() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            try await fixture.database.query("create table t (a text)")
            try await fixture.database.query("grant all on t to pg_monitor")
            try await fixture.database.withTransaction(
                role: "pg_monitor", settings: [("app.a", "b")], isolation: .repeatableRead
            ) { transaction in
                let look = try await transaction.query(
                    "select current_user, current_setting('app.a'), current_setting('transaction_isolation')")
                try await transaction.query(
                    "insert into t select unnest(\((0..<3).map { look[0][$0].string ?? "" })::text[])")
            }
            let rows = try await fixture.database.query("select array_agg(a) from t")
            #expect(rows[0][0].array == ["pg_monitor", "b", "repeatable read"])
            let after = try await fixture.database.query("select current_user, current_setting('app.a', true)")
            #expect(after[0][0].string == fixture.server.user)
            #expect(after[0][1].string ?? "" == "")
        }
    }

    @Test func savepointsAreInOrder() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (a int)")
            try await fixture.database.withTransaction { transaction in
                try await transaction.run(["savepoint s", "insert into t values (1)"])
                try await transaction.run(["rollback to savepoint s", "insert into t values (2)"])
            }
            #expect(try await fixture.database.query("select sum(a) from t")[0][0].int == 2)
        }
    }

    @Test func aFailedTransactionIsTakenBackToItsSavepointThoughStatementsAreForgottenMeanwhile() async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1
            $0.maxPreparedStatements = 4
        }) { fixture in
            let sum = try await fixture.database.withTransaction { transaction in
                var sum = 0
                for number in 1...20 {
                    await #expect(throws: PostgresError.self) {
                        try await transaction.run(["savepoint s", PostgresQuery(sql: "select \(number), 1 / 0")])
                    }
                    try await transaction.run(["rollback to savepoint s"])
                    sum += try await transaction.query(PostgresQuery(sql: "select \(number)"))[0][0].int ?? 0
                }
                return sum
            }
            #expect(sum == 210)
        }
    }

    @Test func concurrentQueriesArePipelined() async throws {
        try await DatabaseFixture.run { fixture in
            let sum = try await fixture.database.withTransaction { transaction in
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for number in 1...50 {
                        group.addTask(executorPreference: fixture.loop) {
                            try await transaction.query("select \(number)::int")[0][0].int ?? 0
                        }
                    }
                    return try await group.reduce(0, +)
                }
            }
            #expect(sum == 1275)
        }
    }

    @Test func aFailedCommitIsAnError() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table a (id int primary key)")
            try await fixture.database.query("create table b (a int references a deferrable initially deferred)")
            let error = await postgresError {
                try await fixture.database.withTransaction { try await $0.query("insert into b values (1)") }
            }
            #expect(error?.sqlState == "23503")
        }
    }

    @Test func aConnectionLostBeforeTheCommitIsAnError() async throws {
        try await DatabaseFixture.run { fixture in
            let server = fixture.server
            let error = await postgresError {
                try await fixture.database.withTransaction { transaction in
                    let process = try await transaction.query("select pg_backend_pid()")[0][0].int ?? 0
                    try await server.exec("select pg_terminate_backend(\(process), 5000)")
                }
            }
            #expect(error?.code == .connectionLost)
            try await fixture.database.query("select 1")
        }
    }

    // MARK: COPY

    @Test func copiesInAndOut() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (a int, b text)")
            let written = try await fixture.database.withTransaction { transaction in
                try await transaction.copyIn("copy t from stdin") { writer in
                    for number in 0..<20_000 {
                        try await writer.write(
                            Array("\(number)\trow \(number) \(String(repeating: "x", count: 100))\n".utf8))
                    }
                }
            }
            #expect(written == 20_000)
            let (bytes, rows) = try await fixture.database.withTransaction { transaction in
                try await transaction.query("select 1")
                let counts = try await transaction.copyOut("copy (select * from t order by a) to stdout") { reader in
                    var bytes = 0
                    var rows = 0
                    while let chunk = try await reader.next() {
                        bytes += chunk.count
                        rows += chunk.count { $0 == UInt8(ascii: "\n") }
                    }
                    return (bytes, rows)
                }
                try await transaction.query("select 2")
                return counts
            }
            #expect(rows == 20_000)
            #expect(bytes > 2_000_000)
        }
    }

    @Test func refusedCopyDataIsAnErrorOfTheServer() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            try await fixture.database.query("create table t (a int)")
            for table in ["t", "missing"] {
                let error = await postgresError {
                    try await fixture.database.withTransaction { transaction in
                        try await transaction.copyIn("copy \(identifier: table) from stdin") { writer in
                            for _ in 0..<1000 { try await writer.write(Array("no number\n".utf8)) }
                        }
                    }
                }
                #expect(error?.sqlState == (table == "t" ? "22P02" : "42P01"))
            }
            #expect(fixture.counter("connections_opened") == 1)
        }
    }

    @Test func aCopyGivenUpClosesTheConnectionAndCopiesNothing() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            try await fixture.database.query("create table t (a int)")
            await #expect(throws: Refused.self) {
                try await fixture.database.withTransaction { transaction in
                    _ = try await transaction.copyIn("copy t from stdin") { writer in
                        try await writer.write(Array("1\n".utf8))
                        throw Refused()
                    }
                }
            }
            let left = await postgresError {
                try await fixture.database.withTransaction { transaction in
                    try await transaction.copyOut("copy (select generate_series(1, 1000000)) to stdout") {
                        _ = try await $0.next()
                    }
                }
            }
            #expect(left != nil)
            #expect(try await fixture.database.query("select * from t").rowCount == 0)
        }
    }

    @Test(arguments: ["select 1", "copy t to stdout", "copy t from stdin; drop table t"])
    func refusesWhatIsNoCopyIn(sql: String) async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("create table t (a int)")
            let error = await postgresError {
                try await fixture.database.withTransaction { transaction in
                    try await transaction.copyIn(PostgresQuery(sql: sql)) { try await $0.write([]) }
                }
            }
            #expect(error != nil)
            #expect(try await fixture.database.query("select to_regclass('t')")[0][0].isNull == false)
        }
    }
}
