// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

@Suite struct PoolTests {
    private static let terminateOthers: PostgresQuery = """
        select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()
        """

    @Test func refusesWhoWaitsTooLongAndTooMany() async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1
            $0.maxWaiting = 1
            $0.waitTimeout = .milliseconds(200)
        }) { fixture in
            let database = fixture.database
            // Opens the one connection, so that a waiter waits for it and not for the connect, however busy the machine is.
            try await eventually("the connection is made") { (try? await database.query("select 1")) != nil }
            let before = fixture.counter("refusals")
            let holder = fixture.loop.spawn { _ = try? await database.query("select pg_sleep(60)") }
            let codes = await withTaskGroup(of: PostgresError.Code?.self) { group in
                for sql in ["select 2", "select 3"] {
                    group.addTask(executorPreference: fixture.loop) {
                        await postgresError { try await database.query(PostgresQuery(sql: sql)) }?.code
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(codes) == [.poolTimeout, .poolQueueFull])
            #expect(fixture.counter("refusals") == before + 2)
            holder.cancel()
            await holder.value
            try await database.query("select 1")
        }
    }

    @Test func tellsAtOnceThatItCannotLogIn() async throws {
        try await DatabaseFixture.run({ $0.address.database = "not_there" }) { fixture in
            let error = await postgresError { try await fixture.database.query("select 1") }
            #expect(error?.code == .connectionFailed)
            #expect(error?.message.contains("not_there") == true)
        }
    }

    @Test func givesUpConnectingInTime() async throws {
        let silent = try #require(SilentServer())
        try await DatabaseFixture.run({
            $0.address.host = "127.0.0.1"
            $0.address.port = silent.port
            $0.connectTimeout = .milliseconds(50)
        }) { fixture in
            let error = await postgresError { try await fixture.database.query("select 1") }
            #expect(error?.code == .connectionFailed)
        }
    }

    @Test func refusesUseFromElsewhere() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            let error = await Task.detached {
                await postgresError { try await database.query("select 1") }
            }.value
            #expect(error?.code == .misuse)
        }
    }

    @Test func refusesAfterShutdown() async throws {
        try await DatabaseFixture.run { fixture in
            try await fixture.database.query("select 1")
            await fixture.database.shutdown()
            let error = await postgresError { try await fixture.database.query("select 1") }
            #expect(error?.code == .shutdown)
        }
    }

    @Test func connectsOverTCPByName() async throws {
        try await DatabaseFixture.run({ $0.address.host = "localhost" }) { fixture in
            let result = try await fixture.database.query("select inet_server_port()")
            #expect(result[0][0].int == fixture.server.port)
        }
    }

    @Test func growsWithDemandAndKeepsConnections() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 3 }) { fixture in
            let database = fixture.database
            for _ in 0..<5 { try await database.query("select 1") }
            #expect(fixture.counter("connections_opened") == 1)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: fixture.loop) {
                        try await database.query("select pg_sleep(0.05)")
                    }
                }
                try await group.waitForAll()
            }
            #expect(fixture.counter("connections_opened") == 3)
        }
    }

    @Test func cancellingTheTaskCancelsTheQuery() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            let process = try await database.query("select pg_backend_pid()")[0][0]
            let outcome = Outcome()
            let task = fixture.loop.spawn {
                outcome.error = await postgresError { try await database.query("select pg_sleep(60)") }
            }
            try await eventually("the query runs") {
                try await fixture.server.exec(
                    "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active'") == "1"
            }
            task.cancel()
            await task.value
            #expect(outcome.error?.code == .queryCancelled)
            #expect(outcome.error?.isOutcomeUnknown == false)
            // The same session goes on, clean.
            let after = try await database.query("select pg_backend_pid(), current_setting('statement_timeout')")
            #expect(after[0][0] == process)
            #expect(fixture.counter("cancels") == 1)
        }
    }

    @Test func cancellingWhoWaitsTakesItFromTheQueue() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            let outcome = Outcome()
            try await database.query("select 1")
            let holder = fixture.loop.spawn { _ = try? await database.query("select pg_sleep(60)") }
            let waiting = fixture.loop.spawn {
                outcome.error = await postgresError { try await database.query("select 1") }
            }
            try await eventually("the second waits") { fixture.counter("waits") > 1 }
            waiting.cancel()
            await waiting.value
            #expect(outcome.error?.code == .queryCancelled)
            #expect(fixture.counter("cancels") == 0)
            holder.cancel()
            await holder.value
        }
    }

    @Test func aCancelledTaskSendsNothing() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            let outcome = Outcome()
            let task = fixture.loop.spawn {
                try? await fixture.loop.sleep(for: .seconds(60))
                outcome.error = await postgresError { try await database.query("select 1") }
            }
            task.cancel()
            await task.value
            #expect(outcome.error?.code == .queryCancelled)
            #expect(fixture.counter("connections_opened") == 0)
            try await database.query("select 1")
        }
    }

    @Test func cancellingInsideATransactionRollsItBack() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 2 }) { fixture in
            let database = fixture.database
            try await database.query("create table t (a int)")
            let outcome = Outcome()
            let task = fixture.loop.spawn {
                outcome.error = await postgresError {
                    try await database.withTransaction { transaction in
                        try await transaction.query("insert into t values (1)")
                        try await transaction.query("select pg_sleep(60)")
                    }
                }
            }
            try await eventually("the query runs") {
                try await database.query(
                    "select 1 from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active' and datname = current_database()"
                ).rowCount == 1
            }
            task.cancel()
            await task.value
            #expect(outcome.error?.code == .queryCancelled)
            #expect(try await database.query("select * from t").rowCount == 0)
            for _ in 0..<10 { try await database.query("select 1") }
        }
    }

    @Test func terminatedConnectionsAreReplaced() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask(executorPreference: fixture.loop) {
                        try await database.query("select pg_sleep(0.05)")
                    }
                }
                try await group.waitForAll()
            }
            for _ in 0..<5 {
                // Whether the loop has seen the end of an idle connection or not: no caller does.
                try await database.query(Self.terminateOthers)
                for _ in 0..<8 { try await database.query("select 1") }
            }
            #expect(fixture.counter("connections_lost") > 0)
        }
    }

    @Test func aUnitThatIsTerminatedSaysItWasNotCommitted() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            try await database.query("create table t (a int)")
            let error = await postgresError {
                _ = try await database.run(
                    WorkUnit(queries: [
                        "insert into t values (1)", "select pg_terminate_backend(pg_backend_pid(), 5000)",
                    ]))
            }
            #expect(error?.code == .connectionLost)
            #expect(error?.sqlState == "57P01")
            #expect(error?.isOutcomeUnknown == false)
            #expect(try await database.query("select * from t").rowCount == 0)
        }
    }

    @Test func preparedStatementsAreBounded() async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1
            $0.maxPreparedStatements = 8
        }) { fixture in
            for number in 0..<50 {
                try await fixture.database.query(
                    PostgresQuery(sql: "select \(number), $1::int", parameters: [PostgresParameter(text: "1")]))
            }
            let count = try await fixture.database.query(
                "select count(*) from pg_prepared_statements where name like 'a%'")
            // The bound and the one that is evicted with the next operation.
            #expect((count[0][0].int ?? 99) <= 9)
        }
    }

    @Test func repeatedStatementsAreParsedOnce() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            for _ in 0..<5 {
                _ = try await fixture.database.run(
                    WorkUnit(settings: [("a.b", "c")], queries: ["select 'again'", "select 'again'"]))
            }
            let rows = try await fixture.database.query(
                "select generic_plans + custom_plans from pg_prepared_statements where statement = 'select ''again'''")
            #expect(rows.rowCount == 1)
            #expect(rows[0][0].int == 10)
        }
    }

    @Test func statementsLeftStaleByOthersAreRetried() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let database = fixture.database
            try await database.query("create table t (a int)")
            try await database.query("insert into t values (1)")
            let read: PostgresQuery = "select * from t"
            for _ in 0..<2 { #expect(try await database.query(read).columnCount == 1) }
            try await fixture.server.exec("alter table t add column b text default 'b'")
            #expect(try await database.query(read)[0]["b"].string == "b")
            #expect(fixture.counter("retries") == 1)
            try await database.query("deallocate all")
            #expect(try await database.query(read).columnCount == 2)
            #expect(fixture.counter("retries") == 2)
            // A function that raises the same code is no reason to try for ever.
            let raises: PostgresQuery = "do $$ begin raise exception 'no' using errcode = '0A000'; end $$"
            for _ in 0..<3 {
                let error = await postgresError { try await database.query(raises) }
                #expect(error?.sqlState == "0A000")
            }
        }
    }

    @Test func aFailedParseIsTriedAnew() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let read: PostgresQuery = "select * from later"
            for _ in 0..<2 {
                let error = await postgresError { try await fixture.database.query(read) }
                #expect(error?.sqlState == "42P01")
                #expect(error?.queryIndex == 0)
            }
            try await fixture.database.query("create table later (a int)")
            #expect(try await fixture.database.query(read).rowCount == 0)
        }
    }

    @Test func runEndsWithItsTaskAndClosesEverything() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            try await database.query("select 1")
            let running = fixture.loop.spawn { try? await database.run() }
            running.cancel()
            await running.value
            let left = try await fixture.server.exec(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            #expect(left == "0")
        }
    }
}

/// What a task left behind.
// @unchecked Sendable: written by the task and read after it has ended.
final class Outcome: @unchecked Sendable {
    var error: PostgresError?

    @Test func closesConnectionsThatAreOldOrIdle() async throws {
        try await DatabaseFixture.run({ $0.maxConnectionAge = .milliseconds(200) }) { fixture in
            let first = try await fixture.processID()
            try await eventually("another connection is used") { try await fixture.processID() != first }
        }
        try await DatabaseFixture.run({ $0.maxConnectionIdleTime = .milliseconds(200) }) { fixture in
            let first = try await fixture.processID()
            let watcher = try Database(
                DatabaseConfiguration(address: fixture.server.address), loops: [fixture.loop], log: .disabled)
            try await eventually("the idle connection is gone") {
                try await watcher.query("select from pg_stat_activity where pid = \(first)").rowCount == 0
            }
            await watcher.shutdown(grace: .seconds(1))
        }
    }

    @Test func retiresConnectionsWithoutDisturbingWork() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let first = try await fixture.processID()
            let during = try await fixture.database.withTransaction { transaction in
                fixture.database.retireConnections()
                try await transaction.query("select pg_sleep(0.05)")
                return try await transaction.query("select pg_backend_pid()").string(0, 0)
            }
            #expect(during == first)
            #expect(try await fixture.processID() != first)
        }
    }

    @Test func preparesNothingWhereItMayNot() async throws {
        try await DatabaseFixture.run({ $0.preparesStatements = false }) { fixture in
            for _ in 0..<3 {
                let count = try await fixture.database.query(
                    "select count(*), \("a") from pg_catalog.pg_prepared_statements where name <> ''")
                #expect(count.string(0, 0) == "0")
            }
            _ = try await fixture.database.withTransaction { try await $0.query("select 1") }
        }
    }
}

extension DatabaseFixture {
    fileprivate func processID() async throws -> String {
        try await database.query("select pg_backend_pid()").string(0, 0) ?? ""
    }
}
