// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

/// Units that say how large their results may be.
@Suite struct ResultBoundTests {
    private static func unit(_ queries: [PostgresQuery], bytes: Int?, isBrief: Bool = false, readOnly: Bool = true)
        -> WorkUnit
    {
        var unit = WorkUnit(readOnly: readOnly, isBrief: isBrief, queries: queries)
        unit.maxResultBytes = bytes
        return unit
    }

    private static let kilobytes: PostgresQuery = "select n, repeat('x', 1000) as text from generate_series(1, 100) n"

    /// A database with one shared connection that is open and takes these units, or with none.
    private static func run(
        shared: Bool, proving units: [WorkUnit], _ body: @escaping @Sendable (DatabaseFixture) async throws -> Void
    ) async throws {
        try await DatabaseFixture.run({
            $0.connectionsPerLoop = 1
            $0.lanesPerLoop = shared ? 1 : 0
            $0.laneTimeout = .seconds(20)
        }) { fixture in
            if shared {
                for var unit in units {
                    unit.maxResultBytes = nil
                    let begin = fixture.counter("shared_operations")
                    for _ in 0..<StatementPace.firstProof { _ = try await fixture.database.run(unit) }
                    try await eventually("it runs on the shared connection") {
                        _ = try await fixture.database.run(unit)
                        return fixture.counter("shared_operations") > begin
                    }
                }
            }
            let begin = fixture.counter("shared_operations")
            try await body(fixture)
            #expect((fixture.counter("shared_operations") > begin) == shared)
        }
    }

    /// Whether it runs on a shared connection, where others' units follow, or on one of its own.
    @Test(arguments: [true, false])
    func whatIsTooLargeFailsAndHoldsUpNobody(isBrief: Bool) async throws {
        let large = Self.unit([Self.kilobytes], bytes: 50_000, isBrief: isBrief)
        let small = Self.unit(["select 'next'"], bytes: 50_000, isBrief: isBrief)
        try await Self.run(shared: isBrief, proving: [large, small]) { fixture in
            for _ in 0..<3 {
                let error = await postgresError { _ = try await fixture.database.run(large) }
                #expect(error?.code == .resultTooLarge && error?.condition == .tooLarge)
                let next = try await fixture.database.run(small)
                #expect(next[0][0][0].string == "next")
            }
        }
    }

    @Test(arguments: [true, false])
    func allQueriesOfAUnitCountTogether(isBrief: Bool) async throws {
        let both = Self.unit([Self.kilobytes, Self.kilobytes], bytes: 150_000, isBrief: isBrief)
        try await Self.run(shared: isBrief, proving: [both]) { fixture in
            let error = await postgresError { _ = try await fixture.database.run(both) }
            #expect(error?.code == .resultTooLarge)
            let one = try await fixture.database.run(Self.unit([Self.kilobytes], bytes: 150_000, isBrief: isBrief))
            #expect(one[0].rowCount == 100 && one[0].byteCount >= 100_000)
        }
    }

    @Test(arguments: [true, false])
    func whatFitsComesAsWithoutABound(isBrief: Bool) async throws {
        try await DatabaseFixture.run({ $0.lanesPerLoop = isBrief ? 1 : 0 }) { fixture in
            let queries: [PostgresQuery] = [
                "select n, nullif(n, 2) as maybe, 'é' || n as text from generate_series(1, 3) n",
                "select 1 where false",
                "select 'last' as word",
            ]
            let results = try await fixture.database.run(Self.unit(queries, bytes: 1000, isBrief: isBrief))
            let plain = try await fixture.database.run(Self.unit(queries, bytes: nil, isBrief: isBrief))
            #expect(results.count == 3)
            for (result, expected) in zip(results, plain) {
                #expect(result.columnNames == expected.columnNames && result.columnTypes == expected.columnTypes)
                #expect(result.commandTag == expected.commandTag && result.byteCount == expected.byteCount)
                #expect(
                    result.rows.map { row in (0..<result.columnCount).map { row[$0].string } }
                        == expected.rows.map { row in (0..<expected.columnCount).map { row[$0].string } })
            }
            #expect(results[0].isNull(1, 1) && results[0].column("text") == 2)
        }
    }

    @Test func errorsOfTheServerStayWhatTheyAre() async throws {
        try await DatabaseFixture.run({ $0.lanesPerLoop = 0 }) { fixture in
            let error = await postgresError {
                _ = try await fixture.database.run(
                    Self.unit(["select 100 / (50 - n) from generate_series(1, 100) n"], bytes: 1 << 20))
            }
            #expect(error?.sqlState == "22012")
        }
    }

    /// What has been written is answered for: a bound could only come too late.
    @Test func whatWritesHasNone() async throws {
        try await DatabaseFixture.run { fixture in
            let results = try await fixture.database.run(Self.unit([Self.kilobytes], bytes: 10, readOnly: false))
            #expect(results[0].rowCount == 100)
        }
    }
}
