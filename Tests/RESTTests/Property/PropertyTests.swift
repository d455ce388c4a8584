// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Foundation
import HTTP
import Postgres
import Primitives
import TestSupport
import Testing

@testable import REST

/// Whatever is asked of whatever schema, the answer is that of a query written by hand, and never a 5xx.
///
/// `REST_PROPERTY_QUERIES` is how many queries run, 300 if it is not set; `REST_PROPERTY_SEED` the seed they begin with. A failure
/// names the seed of its own schema and query, which then run alone with `REST_PROPERTY_QUERIES=1`.
struct PropertyTests {
    /// Queries of one schema; each schema has a seed of its own.
    private static let queriesPerSchema = 40

    @Test(.timeLimit(.minutes(60)))
    func answersAreThoseOfQueriesWrittenByHand() async throws {
        let environment = ProcessInfo.processInfo.environment
        var left = environment["REST_PROPERTY_QUERIES"].flatMap { Int($0) } ?? 300
        var seed = environment["REST_PROPERTY_SEED"].flatMap { UInt64($0) } ?? 20_260_821
        var tally = Tally()
        while left > 0, tally.failures < 5 {
            let count = min(left, Self.queriesPerSchema)
            try await run(seed: seed, count: count, &tally)
            left -= count
            seed += 1
        }
        // A generator whose queries find nothing proves nothing.
        #expect(tally.rowsSeen > 0 && tally.counted > 0 || tally.queries < 100)
        print(
            "property: \(tally.queries) queries, \(tally.withRows) with rows, \(tally.rowsSeen) rows, \(tally.counted) counted, \(tally.failures) failed"
        )
    }

    private struct Tally {
        var queries = 0
        var withRows = 0
        var rowsSeen = 0
        var counted = 0
        var failures = 0
    }

    private func run(seed: UInt64, count: Int, _ tally: inout Tally) async throws {
        var random = SeededGenerator(seed: seed)
        let schema = RandomSchema(&random)
        let queries = (0..<count).map { _ in RandomQuery(schema, &random) }
        let server = try await TestCluster.shared.makeDatabase()
        let statements = schema.statements
        let outcome: Result<Tally, any Error>
        let before = tally
        do {
            try await server.exec(statements.joined(separator: ";\n"))
            outcome = .success(
                try await Loop.withLoop { loop in
                    let database = try Database(
                        DatabaseConfiguration(
                            address: PostgresAddress(
                                host: server.socketFolder, port: server.port, user: server.user,
                                password: SecretString(server.password), database: server.name)), loops: [loop],
                        log: .disabled)
                    let result: Result<Tally, any Error>
                    do {
                        result = .success(try await Self.check(queries, on: database, loop, seed: seed, before))
                    } catch { result = .failure(error) }
                    await database.shutdown(grace: .seconds(1))
                    return try result.get()
                })
        } catch {
            Issue.record("seed \(seed): \(error)\n\(statements.joined(separator: ";\n"))")
            outcome = .failure(error)
        }
        try await server.drop()
        tally = try outcome.get()
    }

    private static func check(
        _ queries: [RandomQuery], on database: Database, _ loop: Loop, seed: UInt64, _ tally: Tally
    ) async throws -> Tally {
        var tally = tally
        var configuration = RESTConfiguration()
        configuration.maxRows = nil
        configuration.allowsAggregates = true
        let role = try await database.query("select current_user").string(0, 0) ?? ""
        let store = SchemaCacheStore(database: database, configuration: configuration, log: .disabled)
        let service = RESTService(configuration, database: database, store: store, log: .disabled) { _ in
            RESTIdentity(role: role, claims: nil, isAnonymous: false)
        }
        for (number, query) in queries.enumerated() {
            tally.queries += 1
            let problem = try await problem(of: query, service, database, loop, &tally)
            guard let problem else { continue }
            tally.failures += 1
            Issue.record("seed \(seed), query \(number): GET \(query.target)\n\(problem)\n\(query.expected)")
        }
        return tally
    }

    /// What is wrong with the answer, nil for nothing.
    private static func problem(
        of query: RandomQuery, _ service: RESTService, _ database: Database, _ loop: Loop, _ tally: inout Tally
    ) async throws -> String? {
        let expected = try await reference(query, database)
        var headers = HTTPHeaders()
        if query.counts { headers.append("Prefer", "count=exact") }
        let request = HTTPRequest(.get, query.target, headers: headers, body: [], loop: loop)
        let response: HTTPResponse
        do {
            response = try await service.respond(to: request, prefix: "")
        } catch let error as RESTError {
            if error.status == 416, query.counts, query.range.offset > expected.total { return nil }
            return "refused: \(error)"
        }
        let body: String
        switch response.body {
        case .bytes(let bytes): body = String(decoding: bytes, as: UTF8.self)
        case .lent(let owner): body = owner.withBytes { String(decoding: $0, as: UTF8.self) }
        case .empty, .file, .stream: return "no body"
        }
        let comparison = try await database.query("select \(body)::jsonb = \(expected.body)::jsonb")
        guard comparison.string(0, 0) == "t" else { return "got \(body)\nwanted \(expected.body)" }
        tally.rowsSeen += expected.rowCount
        if expected.rowCount > 0 { tally.withRows += 1 }
        guard query.counts else { return nil }
        tally.counted += 1
        let first = query.range.offset
        let shown =
            expected.rowCount > 0 && expected.total > 0 ? "\(first)-\(first + expected.rowCount - 1)" : "*"
        let range = "\(shown)/\(expected.total)"
        let status = expected.rowCount < expected.total ? 206 : 200
        guard response.headers["content-range"] == range, response.status.code == status else {
            return "\(response.status), \(response.headers["content-range"] ?? "no range"), wanted \(status), \(range)"
        }
        return nil
    }

    private static func reference(
        _ query: RandomQuery, _ database: Database
    ) async throws -> (body: String, rowCount: Int, total: Int) {
        let results = try await database.run(
            WorkUnit(queries: [
                PostgresQuery(sql: query.expected), PostgresQuery(sql: query.expectedTotal),
            ]))
        let body = results[0].string(0, 0) ?? ""
        let rows = try JSON(parsing: body).arrayValue?.count ?? 0
        return (body, rows, results[1].string(0, 0).flatMap { Int($0) } ?? 0)
    }
}
