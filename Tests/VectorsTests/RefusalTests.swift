// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// Requests that are answered with Qdrant's status and text, and change nothing.
@Suite struct RefusalTests {
    @Test(arguments: VectorsFixture.Store.allCases) func asksForAKey(_ store: VectorsFixture.Store) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            for (key, status) in [
                (VectorsFixture.Key.none, 401), (.text("nonsense"), 401), (.text(""), 401),
                (.text("sb_secret_guess"), 401),
                (.anon, 403),
            ] {
                let response = try await fixture.send(key, "GET", "/collections")
                #expect(response.status == status, "\(key)")
            }
            for path in ["/", "/healthz", "/livez", "/readyz", "/vectors/v1"] {
                #expect(try await fixture.send(.none, "GET", path).status == 200, "\(path)")
            }
            #expect(try await fixture.send(.none, "GET", "/").json["version"] == "1.18.0")
            let bearer = try await fixture.send(
                "GET", "/collections", headers: ["authorization": "Bearer \(VectorsFixture.serviceKey)"])
            #expect(bearer.status == 200)
            let person = try await fixture.send(
                "GET", "/vectors/v1/collections",
                headers: [
                    "api-key": VectorsFixture.publishableKey,
                    "authorization": "Bearer \(try fixture.token(fixture.alice.claims))",
                ])
            #expect(person.status == 200)
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var method = "POST"
        var path: String
        var body: String
        var status: Int
        var error: String

        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(
            name: "no JSON", method: "PUT", path: "/points", body: "{\"points\": [", status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "text behind the body", method: "PUT", path: "/points", body: "{\"points\": []} x", status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "payload that is no JSON", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 1, "vector": [1,2,3,4], "payload": {"a": }}]}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "too few dimensions", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 9, "vector": [1,2,3,4]}, {"id": 10, "vector": [1,2,3]}]}"#, status: 400,
            error: "Wrong input: Vector dimension error: expected dim: 4, got 3"),
        Case(
            name: "an infinite number", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 1, "vector": [1,2,3,1e39]}]}"#, status: 400, error: "Format error in JSON body: "
        ),
        Case(
            name: "not a number", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 1, "vector": [1,2,3,NaN]}]}"#,
            status: 400, error: "Format error in JSON body: "),
        Case(
            name: "an unknown vector", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 1, "vector": {"image": [1,2,3,4]}}]}"#, status: 400,
            error: "Wrong input: Not existing vector name error: image"),
        Case(
            name: "a negative id", method: "PUT", path: "/points",
            body: #"{"points": [{"id": -1, "vector": [1,2,3,4]}]}"#,
            status: 400, error: "Format error in JSON body: "),
        Case(
            name: "an id of other text", method: "PUT", path: "/points",
            body: #"{"points": [{"id": "seven", "vector": [1,2,3,4]}]}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "an id beyond 64 bits", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 18446744073709551616, "vector": [1,2,3,4]}]}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "unequal columns", method: "PUT", path: "/points",
            body: #"{"batch": {"ids": [1, 2], "vectors": [[1,2,3,4]]}}"#, status: 422,
            error: "Validation error in JSON body: "),
        Case(
            name: "a limit of nothing", path: "/points/query", body: #"{"query": [1,2,3,4], "limit": 0}"#, status: 422,
            error: "Validation error in JSON body: "),
        Case(
            name: "a limit beyond the bound", path: "/points/query", body: #"{"query": [1,2,3,4], "limit": 1000000}"#,
            status: 422, error: "Validation error in JSON body: "),
        Case(
            name: "a query of another size", path: "/points/query", body: #"{"query": [1,2]}"#, status: 400,
            error: "Wrong input: Vector dimension error: expected dim: 4, got 2"),
        Case(
            name: "prefetch without a query", path: "/points/query", body: #"{"prefetch": {"query": [1,2,3,4]}}"#,
            status: 400,
            error: "Bad request: "),
        Case(
            name: "fusion without prefetch", path: "/points/query", body: #"{"query": {"fusion": "rrf"}}"#, status: 400,
            error: "Bad request: "),
        Case(
            name: "an unknown example", path: "/points/query", body: #"{"query": 77}"#, status: 404,
            error: "Not found: No point with id 77 found"),
        Case(
            name: "order by without an index", path: "/points/scroll", body: #"{"order_by": "n"}"#, status: 400,
            error: "Bad request: No range index for"),
        Case(
            name: "facet without an index", path: "/facet", body: #"{"key": "n"}"#, status: 400,
            error: "Bad request: No appropriate index for faceting"),
        Case(
            name: "a filter of another shape", path: "/points/count", body: #"{"filter": {"must": [{"key": "n"}]}}"#,
            status: 422, error: "Validation error in JSON body: "),
        Case(
            name: "a match of a list", path: "/points/count",
            body: #"{"filter": {"must": [{"key": "n", "match": {"value": [1]}}]}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a range of booleans", path: "/points/count",
            body: #"{"filter": {"must": [{"key": "n", "range": {"gt": true}}]}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "payload of a missing point", path: "/points/payload",
            body: #"{"payload": {"a": 1}, "points": [1, 404]}"#,
            status: 404, error: "Not found: No point with id 404 found"),
        Case(
            name: "vectors of a missing point", method: "PUT", path: "/points/vectors",
            body: #"{"points": [{"id": 404, "vector": [1,2,3,4]}]}"#, status: 404,
            error: "Not found: No point with id 404 found"),
        Case(
            name: "no vectors to change", method: "PUT", path: "/points/vectors",
            body: #"{"points": [{"id": 1, "vector": {}}]}"#, status: 422, error: "Validation error in JSON body: "),
        Case(
            name: "neither points nor filter", path: "/points/delete", body: "{}", status: 400, error: "Bad request: "),
        Case(
            name: "a batch whose last operation fails", path: "/points/batch",
            body: #"{"operations": [{"delete": {"points": [1]}}, {"clear_payload": {"points": [404]}}]}"#, status: 404,
            error: "Not found: No point with id 404 found"),
        Case(
            name: "a payload's number beyond a double", method: "PUT", path: "/points",
            body: #"{"points": [{"id": 1, "vector": [1,2,3,4], "payload": {"a": [true, 1e131071]}}]}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a column's number beyond a double", method: "PUT", path: "/points",
            body: #"{"batch": {"ids": [1], "vectors": [[1,2,3,4]], "payloads": [{"a": -2.5E+400}]}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a number of many zeros in a payload to be set", path: "/points/payload",
            body: #"{"payload": {"a": 1e-16000}, "points": [1]}"#, status: 400, error: "Format error in JSON body: "),
        Case(
            name: "points and columns", method: "PUT", path: "/points",
            body: #"{"points": [], "batch": {"ids": [1], "vectors": [[1,2,3,4]]}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "no points to change", method: "PUT", path: "/points/vectors", body: #"{"points": []}"#, status: 422,
            error: "Validation error in JSON body: "),
        Case(
            name: "a batch without operations", path: "/points/batch", body: "{}", status: 400,
            error: "Format error in JSON body: missing field `operations`"),
        Case(
            name: "a key that is no text", path: "/points/payload",
            body: #"{"payload": {"a": 1}, "points": [1], "key": 5}"#, status: 400, error: "Format error in JSON body: "
        ),
        Case(
            name: "two kinds of match", path: "/points/count",
            body: #"{"filter": {"must": [{"key": "n", "match": {"value": 1, "any": [1]}}]}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a count that is exact in words", path: "/points/count", body: #"{"exact": "yes"}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a search that is exact in words", path: "/points/query",
            body: #"{"query": [1,2,3,4], "params": {"exact": "yes"}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "a vector named by a number", path: "/points/search/matrix/pairs", body: #"{"using": 5}"#,
            status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "no time at all", path: "/points/count?timeout=0", body: "{}", status: 422,
            error: "Validation error in query parameters: [timeout: value 0 invalid"),
        Case(
            name: "an unknown consistency", path: "/points/count?consistency=most", body: "{}", status: 422,
            error: "Validation error in query parameters: "),
        Case(
            name: "settings of another shape", method: "PATCH", path: "",
            body: #"{"optimizers_config": {"indexing_threshold": "soon"}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "settings out of their bounds", method: "PATCH", path: "",
            body: #"{"params": {"replication_factor": 0}}"#, status: 422, error: "Validation error in JSON body: "),
        Case(
            name: "an unknown tokenizer", method: "PUT", path: "/index",
            body: #"{"field_name": "t", "field_schema": {"type": "text", "tokenizer": "syllables"}}"#, status: 400,
            error: "Format error in JSON body: "),
        Case(
            name: "tokens that cannot be", method: "PUT", path: "/index",
            body: #"{"field_name": "t", "field_schema": {"type": "text", "min_token_len": 9, "max_token_len": 2}}"#,
            status: 422, error: "Validation error in JSON body: "),
        Case(
            name: "an unknown operation", path: "/points/batch", body: #"{"operations": [{"drop": {}}]}"#, status: 400,
            error: "Format error in JSON body: "),
    ]

    @Test(arguments: VectorsFixture.Store.allCases) func refusesAndChangesNothing(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await fixture.upsert(alice, "notes", [point(1, [1, 2, 3, 4], ["n": 1])])
            let before = try await fixture.result(alice, "GET", "/collections/notes/points/1")
            for item in Self.cases {
                let response = try await fixture.send(
                    alice, item.method, "/collections/notes\(item.path)", text: item.body)
                #expect(response.status == item.status, "\(item.name): \(response.text)")
                let error = response.json["status"]?["error"]?.stringValue ?? ""
                #expect(error.hasPrefix(item.error), "\(item.name): \(error)")
                #expect(response.json["time"]?.doubleValue != nil, "\(item.name)")
            }
            #expect(try await fixture.count(alice, "notes") == 1)
            #expect(try await fixture.result(alice, "GET", "/collections/notes/points/1") == before)
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func refusesCollectionsThatCannotBe(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            let cases: [(String, String, Int)] = [
                ("a", #"{"vectors": {"size": 0, "distance": "Dot"}}"#, 422),
                ("a", #"{"vectors": {"size": 65537, "distance": "Dot"}}"#, 422),
                ("a", #"{"vectors": {"size": 4, "distance": "Hamming"}}"#, 400),
                ("a", #"{"vectors": {"size": 4}}"#, 400),
                ("a", #"{"vectors": 3}"#, 400),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "hnsw_config": {"ef_construct": 3}}"#, 422),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "shard_number": 0}"#, 422),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "surprise": 1}"#, 400),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "init_from": {"collection": "b"}}"#, 400),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot", "on_disk": "yes"}}"#, 400),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "quantization_config": {"scalar": {}}}"#, 400),
                (
                    "a",
                    #"{"vectors": {"size": 4, "distance": "Dot"}, "quantization_config": {"product": {"compression": "x3"}}}"#,
                    400
                ),
                (
                    "a", #"{"vectors": {"size": 4, "distance": "Dot"}, "optimizers_config": {"deleted_threshold": 2}}"#,
                    422
                ),
                ("a", #"{"vectors": {"size": 4, "distance": "Dot"}, "wal_config": {"wal_capacity_mb": 0}}"#, 422),
                ("a", #"{"sparse_vectors": {"s": {"index": {"datatype": "int4"}}}}"#, 400),
                ("a%2Fb", #"{"vectors": {"size": 4, "distance": "Dot"}}"#, 422),
                (String(repeating: "n", count: 256), #"{"vectors": {"size": 4, "distance": "Dot"}}"#, 422),
            ]
            for (name, body, status) in cases {
                let response = try await fixture.send(alice, "PUT", "/collections/\(name)", text: body)
                #expect(response.status == status, "\(body): \(response.text)")
            }
            #expect(try await fixture.result(alice, "GET", "/collections")["collections"] == [])
            try await fixture.create(alice, "a")
            let again = try await fixture.send(
                alice, "PUT", "/collections/a", ["vectors": ["size": 4, "distance": "Dot"]])
            #expect(again.status == 409)
            #expect(again.json["status"]?["error"] == "Wrong input: Collection `a` already exists!")
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func boundsATenantsCollections(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store, { $0.maxCollectionsPerTenant = 2 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "a")
            try await fixture.create(alice, "b")
            let third = try await fixture.send(
                alice, "PUT", "/collections/c", ["vectors": ["size": 4, "distance": "Dot"]])
            #expect(third.status == 403)
            try await fixture.create(.person(fixture.bob), "c")
        }
    }

    /// What is read for an answer is held until it is written: it is counted over all searches of a request.
    @Test func boundsWhatOneRequestReads() async throws {
        try await VectorsFixture.run({ $0.maxAnswerBytes = 100_000 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "a")
            try await fixture.upsert(
                alice, "a",
                (0..<200).map {
                    [
                        "id": JSON($0), "vector": [1, 2, 3, 4],
                        "payload": ["text": .string(String(repeating: "x", count: 1000))],
                    ]
                })
            let search: JSON = ["query": [1, 0, 0, 0], "limit": 40, "with_payload": true]
            let requests: [(String, JSON, Int)] = [
                ("scroll", ["limit": 200, "with_payload": true], 400),
                ("scroll", ["limit": 50, "with_payload": true], 200),
                ("scroll", ["limit": 200, "with_payload": false], 200),
                ("query/batch", ["searches": [search, search]], 200),
                ("query/batch", ["searches": [search, search, search]], 400),
                ("", ["ids": .array((0..<150).map { JSON($0) }), "with_payload": true], 400),
                ("scroll", ["limit": 1, "with_payload": true], 200),
            ]
            for (path, body, status) in requests {
                let target = path.isEmpty ? "/collections/a/points" : "/collections/a/points/\(path)"
                let response = try await fixture.send(alice, "POST", target, body)
                #expect(response.status == status, "\(path): \(response.text.prefix(300))")
                if status == 400 { #expect(response.text.contains("larger than it may")) }
            }
        }
    }
}
