// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

/// Rows that are handed on as they come.
@Suite struct RowStreamTests {
    private static func unit(_ sql: String) -> WorkUnit {
        WorkUnit(settings: [("app.user", "ann")], readOnly: true, queries: [PostgresQuery(sql: sql)])
    }

    private static func all(_ rows: PostgresRows) async throws -> [String] {
        var texts: [String] = []
        while let row = try await rows.next() { texts.append(row.string(0, 0) ?? "") }
        return texts
    }

    // MARK: Refusals

    @Test func refusesWhatMayWrite() async throws {
        try await DatabaseFixture.run { fixture in
            let error = await postgresError { _ = try await fixture.database.stream(WorkUnit(queries: ["select 1"])) }
            #expect(error?.code == .misuse)
        }
    }

    @Test(arguments: ["select 1/0", "select * from nowhere", "selec"])
    func anErrorBeforeTheFirstRowIsThrownAtOnce(sql: String) async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let error = await postgresError { _ = try await fixture.database.stream(Self.unit(sql)) }
            #expect(error?.code == .server)
            let next = try await Self.all(try await fixture.database.stream(Self.unit("select 'next'")))
            #expect(next == ["next"])
            #expect(fixture.counter("connections_opened") == 1)
        }
    }

    @Test func anErrorAfterRowsEndsThem() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let rows = try await fixture.database.stream(
                Self.unit("select (100 / (50 - n))::text from generate_series(1, 100) n"))
            var count = 0
            let error = await postgresError { while try await rows.next() != nil { count += 1 } }
            #expect(error?.sqlState == "22012")
            #expect(count <= 49)
            let one = try await fixture.database.query("select 1")[0][0].int
            #expect(one == 1)
        }
    }

    // MARK: Rows

    @Test(arguments: [0, 1, 3, 4, 5, 1000])
    func everyRowComesInOrder(count: Int) async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            for _ in 0..<2 {
                let rows = try await fixture.database.stream(
                    Self.unit("select n::text || current_setting('app.user') from generate_series(1, \(count)) n"))
                let texts = try await Self.all(rows)
                #expect(texts == (0..<count).map { "\($0 + 1)ann" })
            }
            let after = try await fixture.database.query("select current_setting('app.user', true), 'done'")[0]
            #expect(after[0].string ?? "" == "")
            #expect(fixture.counter("connections_opened") == 1)
        }
    }

    @Test func bytesComeAsTheyAre() async throws {
        try await DatabaseFixture.run { fixture in
            let rows = try await fixture.database.stream(Self.unit(#"select '\x00ff2e'::bytea, 'text'"#))
            let row = try #require(try await rows.next())
            #expect(row.withBytes(0, 0) { Array($0) } == [0, 0xFF, 0x2E])
            #expect(row.string(0, 1) == "text")
            let end = try await rows.next()
            #expect(end == nil)
        }
    }

    @Test func queriesBeforeTheLastGiveResults() async throws {
        try await DatabaseFixture.run { fixture in
            let rows = try await fixture.database.stream(
                WorkUnit(readOnly: true, queries: ["select 'first'", "select n::text from generate_series(1, 9) n"]))
            #expect(rows.earlier.count == 1)
            #expect(rows.earlier.first?.string(0, 0) == "first")
            let count = try await Self.all(rows).count
            #expect(count == 9)
        }
    }

    @Test func theServerWaitsForTheReader() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let rows = try await fixture.database.stream(
                Self.unit("select repeat('x', 100000) from generate_series(1, 500) n"))
            try await eventually("the server waits to send") {
                try await fixture.server.exec(
                    "select 1 from pg_stat_activity where query like '%100000%' and datname = current_database() and wait_event = 'ClientWrite'"
                ) == "1"
            }
            let count = try await Self.all(rows).count
            #expect(count == 500)
        }
    }

    @Test func whatNobodyReadsIsStopped() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            do {
                let rows = try await fixture.database.stream(
                    Self.unit("select repeat('x', 1000), generate_series(1, 100000000)"))
                _ = try await rows.next()
            }
            // The only connection is free again.
            let one = try await fixture.database.query("select 1")[0][0].int
            #expect(one == 1)
        }
    }

    @Test func aBrokenConnectionEndsTheRows() async throws {
        try await DatabaseFixture.run({ $0.connectionsPerLoop = 1 }) { fixture in
            let rows = try await fixture.database.stream(
                Self.unit("select repeat('x', 100000) from generate_series(1, 5000) n"))
            _ = try await rows.next()
            try await fixture.server.exec(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where query like '%100000%' and datname = current_database() and pid <> pg_backend_pid()"
            )
            let error = await postgresError { while try await rows.next() != nil {} }
            #expect(error?.code == .connectionLost)
            let one = try await fixture.database.query("select 1")[0][0].int
            #expect(one == 1)
        }
    }
}
