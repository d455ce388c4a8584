// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Postgres
import Testing

@testable import REST

/// Reads of one form share a plan, and nothing but the values differs.
struct PlannedReadTests {
    private static let configuration = RESTConfiguration()

    private static func withLoop(_ body: @Sendable @escaping (Loop) throws -> Void) async throws {
        try await Loop.withLoop { loop in try body(loop) }
    }

    private static func form(
        _ target: String, _ loop: Loop, headers: HTTPHeaders = HTTPHeaders(), method: HTTPMethod = .get
    )
        -> ReadForm?
    {
        let request = HTTPRequest(method, target, headers: headers, loop: loop)
        return ReadForm(request, path: request.path, configuration: configuration)
    }

    @Test(arguments: [
        ("/items?id=eq.1", "/items?id=eq.2"), ("/items?id=eq.", "/items?id=eq.a%20b"),
        ("/items?a=gte.1&b=lt.2&select=id", "/items?a=gte.x&b=lt.&select=id"),
    ])
    func valuesAreNoPartOfTheForm(targets: (String, String)) async throws {
        try await Self.withLoop { loop in
            let first = try #require(Self.form(targets.0, loop))
            let second = try #require(Self.form(targets.1, loop))
            #expect(first.key == second.key)
            #expect(first.values != second.values)
        }
    }

    @Test(arguments: [
        ("/items?id=eq.1", "/item?id=eq.1"), ("/items?id=eq.1", "/items?ix=eq.1"),
        ("/items?id=eq.1", "/items?id=neq.1"),
        ("/items?id=eq.1", "/items?id=eq.1&"), ("/items?limit=1", "/items?limit=2"),
        ("/items?id=in.(1)", "/items?id=in.(2)"), ("/items?select=a", "/items?select=b"), ("/items", "/items?"),
        ("/items?id=not.eq.1", "/items?id=not.eq.2"), ("/a?b=eq.c&d=eq.e", "/a?d=eq.e&b=eq.c"),
    ])
    func allElseIs(targets: (String, String)) async throws {
        try await Self.withLoop { loop in
            let first = try #require(Self.form(targets.0, loop))
            let second = try #require(Self.form(targets.1, loop))
            // A trailing separator and an empty query mean the same, and may but need not share a form.
            if targets.1.last == "&" || targets.1.last == "?" { return }
            #expect(first.key != second.key)
        }
    }

    @Test(arguments: ["accept", "accept-profile", "prefer", "range"])
    func fieldsThatPlansDependOnAreToo(field: String) async throws {
        try await Self.withLoop { loop in
            func key(_ value: String?) throws -> ReadForm.Key {
                var headers = HTTPHeaders()
                if let value { headers.append(field, value) }
                return try #require(Self.form("/items?id=eq.1", loop, headers: headers)).key
            }
            let (a, b, none, empty) = (try key("a"), try key("b"), try key(nil), try key(""))
            #expect(a != b)
            #expect(none != empty)
            let again = try key("a")
            #expect(a == again)
        }
    }

    @Test(arguments: [
        (HTTPMethod.post, "/items?id=eq.1"), (.head, "/items?id=eq.1"), (.get, "/items?id=eq.%f"),
        (.get, "/items?id=eq.%ff"),
        (.get, "/items?id=eq.\u{1}"), (.get, "/items?select=" + String(repeating: "a", count: 5000)),
    ])
    func whatHasNoForm(_ method: HTTPMethod, _ target: String) async throws {
        try await Self.withLoop { loop in #expect(Self.form(target, loop, method: method) == nil) }
    }

    @Test func aQueryBeyondTheBoundHasNoForm() async throws {
        try await Self.withLoop { loop in
            var configuration = RESTConfiguration()
            configuration.maxQueryBytes = 8
            let request = HTTPRequest(.get, "/items?id=eq.1234", loop: loop)
            #expect(ReadForm(request, path: "/items", configuration: configuration) == nil)
        }
    }

    private static func cache() -> SchemaCache {
        var cache = SchemaCache.empty
        let items = QualifiedName(schema: "public", name: "items")
        cache.relations[items] = Relation(
            name: items,
            columns: [("id", "bigint"), ("name", "text"), ("data", "jsonb")].map {
                Column(name: $0.0, type: $0.1, baseType: $0.1)
            },
            primaryKey: ["id"], isInsertable: true, isUpdatable: true, isDeletable: true, isTable: true)
        return cache
    }

    private static func planned(_ target: String, _ cache: SchemaCache, _ loop: Loop) throws -> (
        read: PlannedRead?, ReadForm
    ) {
        let request = HTTPRequest(.get, target, loop: loop)
        let form = try #require(ReadForm(request, path: request.path, configuration: configuration))
        let parsed = try APIRequest(
            method: .get, path: request.path, query: request.query, headers: request.headers,
            configuration: configuration)
        let plan = try RESTService.plan(parsed, nil, cache, configuration)
        return (
            PlannedRead(form, request, path: request.path, parsed, plan, Statement(plan), cache, configuration), form
        )
    }

    @Test(arguments: [
        ("/items?id=eq.1&name=neq.a&select=id", "/items?id=eq.7&name=neq.%C3%A4+b&select=id"),
        ("/items?id=eq.1&id=eq.1", "/items?id=eq.1&id=eq.2"), ("/items?data->>a=eq.a", "/items?data->>a=eq.b"),
        ("/items?order=id.desc&limit=5&offset=3", "/items?order=id.desc&limit=5&offset=3"),
        ("/items?or=(id.eq.1,id.eq.2)&name=lt.x", "/items?or=(id.eq.1,id.eq.2)&name=lt.value-0-of-a-form"),
    ])
    func aSharedPlanIsTheRequestsOwn(targets: (String, String)) async throws {
        try await Self.withLoop { loop in
            let cache = Self.cache()
            let read = try #require(try Self.planned(targets.0, cache, loop).read)
            let request = HTTPRequest(.get, targets.1, loop: loop)
            let form = try #require(Self.form(targets.1, loop))
            let own = try APIRequest(
                method: .get, path: request.path, query: request.query, headers: request.headers,
                configuration: Self.configuration)
            let query = Statement(try RESTService.plan(own, nil, cache, Self.configuration)).query
            #expect(read.statement(form.values).query == query)
            #expect(read.request(form.values).location == own.location)
        }
    }

    @Test(arguments: [
        // What looks like a comparison and is something else.
        "/items?select=eq.id", "/items?limit=eq.5", "/items?order=eq.id", "/items?id=eq.1&Prefer=eq.a&offset=eq.3",
    ])
    func whatDependsOnItsValuesIsNotShared(target: String) async throws {
        try await Self.withLoop { loop in
            let read = try? Self.planned(target, Self.cache(), loop).read
            #expect(read == nil)
        }
    }

    @Test func isLearnedTheSecondTimeAndForgottenWithTheSchema() async throws {
        try await Self.withLoop { loop in
            let reads = PlannedReads(maxEntries: 8)
            let cache = Self.cache()
            let (read, form) = try Self.planned("/items?id=eq.1", cache, loop)
            guard case .unknown = reads.find(form, cache) else { throw Unexpected() }
            guard case .wanted = reads.find(form, cache) else { throw Unexpected() }
            reads.learn(form, read, cache)
            guard case .planned = reads.find(form, cache) else { throw Unexpected() }
            let newer = SchemaCache(relations: cache.relations, functions: [:], relationships: [:])
            guard case .unknown = reads.find(form, newer) else { throw Unexpected() }
            // A plan made under the old schema comes too late.
            reads.learn(form, read, cache)
            guard case .wanted = reads.find(form, newer) else { throw Unexpected() }
            guard case .unknown = reads.find(form, cache) else { throw Unexpected() }
            for number in 0..<100 {
                _ = reads.find(try #require(Self.form("/items\(number)", loop)), newer)
            }
            #expect(reads.count <= 8)
        }
    }

    private struct Unexpected: Error {}
}
