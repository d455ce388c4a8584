// SPDX-License-Identifier: Apache-2.0
import Primitives
import Synchronization
import TestSupport
import Testing

@testable import HTTP
@testable import REST

/// What a streamed body's producer writes.
enum StreamedBody {
    // The text is behind a Mutex.
    private final class Sink: ResponseSink {
        let bytes = Mutex<[UInt8]>([])
        func write(_ bytes: [UInt8]) async throws { self.bytes.withLock { $0 += bytes } }
    }

    static func text(_ produce: (ResponseWriter) async throws -> Void) async throws -> String {
        let sink = Sink()
        try await produce(ResponseWriter(sink: sink))
        return sink.bytes.withLock { String(decoding: $0, as: UTF8.self) }
    }
}

/// Answers beyond what is held in memory are the same, in pieces.
extension RESTServiceTests {
    private static let rows = 400

    private func withLargeTable(_ body: @Sendable @escaping (RESTFixture, RESTConfiguration) async throws -> Void)
        async throws
    {
        var configuration = RESTConfiguration()
        configuration.maxHeldBytes = 3000
        let made = configuration
        try await run(made) { fixture in
            try await fixture.server.exec(
                """
                create table pages (id int primary key, owner uuid not null, text text);
                alter table pages enable row level security;
                create policy own on pages to rest_user using (owner = current_owner());
                grant select on pages to rest_user;
                insert into pages select n, case when n % 2 = 0 then '\(Self.ann)' else '\(Self.bob)' end::uuid, repeat('\u{e4}', 1000)
                    from generate_series(1, \(Self.rows)) n
                """)
            _ = try await fixture.store.reload()
            try await body(fixture, made)
        }
    }

    private static func isStreamed(_ response: HTTPResponse) -> Int? {
        if case .stream(let byteCount, _) = response.body { byteCount } else { nil }
    }

    @Test func aLargeAnswerComesInPiecesAndIsWhole() async throws {
        try await withLargeTable { fixture, _ in
            for round in 0..<4 {
                let answer = try await fixture.send(
                    .get, "/pages?select=id,text&order=id&id=gt.\(round)", as: Self.ann,
                    headers: ["Prefer": "count=exact"])
                #expect(Self.isStreamed(answer.response) == answer.body.utf8.count)
                let rows = try #require(try JSON(parsing: answer.body).arrayValue)
                let expected = stride(from: 2, through: Self.rows, by: 2).filter { $0 > round }
                #expect(rows.compactMap { $0["id"]?.intValue } == expected)
                #expect(rows.allSatisfy { $0["text"]?.stringValue == String(repeating: "\u{e4}", count: 1000) })
                #expect(answer.response.headers["content-range"] == "0-\(expected.count - 1)/\(expected.count)")
                #expect(answer.response.headers["content-type"] == "application/json; charset=utf-8")
            }
        }
    }

    @Test func nobodySeesAnothersRowsInPieces() async throws {
        try await withLargeTable { fixture, _ in
            for (user, parity) in [(Self.ann, 0), (Self.bob, 1), (Self.ann, 0)] {
                let answer = try await fixture.send(.get, "/pages?select=id,text", as: user)
                let ids = try JSON(parsing: answer.body).arrayValue?.compactMap { $0["id"]?.intValue } ?? []
                #expect(ids.count == Self.rows / 2)
                #expect(ids.allSatisfy { $0 % 2 == parity })
            }
            let nobody = try await fixture.send(.get, "/pages?select=id,text")
            #expect(nobody.response.status.code == 401)
        }
    }

    @Test func smallAnswersOfALargeStatementAreHeldAgain() async throws {
        try await withLargeTable { fixture, _ in
            let large = "/pages?select=id,text&id=gt.0"
            let small = "/pages?select=id,text&id=gt.\(Self.rows - 1)"
            let whole = try await fixture.send(.get, large, as: Self.ann)
            #expect(Self.isStreamed(whole.response) != nil)
            // Once more in pieces, as nobody knows before.
            let first = try await fixture.send(.get, small, as: Self.ann)
            #expect(Self.isStreamed(first.response) == first.body.utf8.count)
            for _ in 0..<3 {
                let again = try await fixture.send(.get, small, as: Self.ann)
                #expect(Self.isStreamed(again.response) == nil)
                #expect(again.body == first.body)
            }
        }
    }

    @Test func otherFormsOfALargeAnswerArePiecesToo() async throws {
        try await withLargeTable { fixture, _ in
            let csv = try await fixture.send(
                .get, "/pages?select=id,text&order=id", as: Self.ann, headers: ["Accept": "text/csv"])
            #expect(Self.isStreamed(csv.response) == csv.body.utf8.count)
            #expect(csv.body.hasPrefix("id,text\n2,"))
            #expect(csv.body.split(separator: "\n").count == Self.rows / 2 + 1)
            let head = try await fixture.send(.head, "/pages?select=id,text", as: Self.ann)
            #expect(Self.isStreamed(head.response) == nil)
            #expect(head.response.headers["content-range"] == "0-\(Self.rows / 2 - 1)/*")
        }
    }

    @Test func anErrorOfALargeReadIsAnswered() async throws {
        try await withLargeTable { fixture, _ in
            for _ in 0..<3 {
                let right = try await fixture.send(.get, "/pages?id=gt.0", as: Self.ann)
                #expect(Self.isStreamed(right.response) != nil)
                let wrong = try await fixture.send(.get, "/pages?id=gt.x", as: Self.ann)
                #expect(wrong.response.status.code == 400)
                let code = try JSON(parsing: wrong.body)["code"]?.stringValue
                #expect(code == "22P02")
            }
        }
    }
}
