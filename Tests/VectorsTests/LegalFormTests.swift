// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// Bodies that are unusual and legal: members that are null or that nobody knows, other spellings, settings in all their forms.
@Suite struct LegalFormTests {
    typealias Key = VectorsFixture.Key

    /// Each counts the one point whose `n` is 1.
    static let filters: [String] = [
        #"{"must": [{"key": "n", "match": {"value": 1, "any": null, "text": null, "surprise": 1}}]}"#,
        #"{"must": [{"key": "n", "match": null, "range": {"lte": 1, "gt": null, "surprise": "x"}, "has_id": null}]}"#,
        #"{"must": [{"key": "n", "range": null, "match": {"any": [1]}, "nested": null, "has_vector": null}]}"#,
        #"{"must": {"key": "n", "match": {"value": 1}}, "should": null, "min_should": null}"#,
    ]

    @Test(arguments: VectorsFixture.Store.allCases) func writesAndFilters(_ store: VectorsFixture.Store) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            for body in [
                #"{"points": [{"id": 1, "vectors": [1, 0, 0, 0], "payload": {"n": 1, "e": 1e300, "t": "1e999"}, "score": 0.5}]}"#,
                #"{"points": [{"id": 2, "vector": [1, 0, 0, 0], "payload": null, "version": 3}], "shard_key": "a", "surprise": {}}"#,
                #"{"batch": {"ids": [3], "vectors": [[1, 0, 0, 0]], "payloads": [{"n": 3}], "surprise": []}}"#,
            ] {
                let response = try await fixture.send(alice, "PUT", "/collections/notes/points?wait=true", text: body)
                #expect(response.status == 200, "\(body): \(response.text)")
            }
            for body in [
                #"{"operations": [{"delete": {"points": [2]}}], "surprise": 1}"#,
                #"{"operations": [{"update_vectors": {"points": [{"id": 3, "vector": [0, 1, 0, 0], "payload": {}}]}}]}"#,
            ] {
                let response = try await fixture.send(alice, "POST", "/collections/notes/points/batch", text: body)
                #expect(response.status == 200, "\(body): \(response.text)")
            }
            #expect(try await fixture.count(alice, "notes") == 2)
            #expect(try await fixture.search(alice, "notes", [0, 1, 0, 0], ["limit": 1]) == [3])
            for filter in Self.filters {
                let response = try await fixture.send(
                    alice, "POST", "/collections/notes/points/count", text: "{\"filter\": \(filter)}")
                #expect(response.json["result"]?["count"] == 1, "\(filter): \(response.text)")
            }
            try await fixture.result(
                alice, "PUT", "/collections/notes/index?wait=true", ["field_name": "n", "field_schema": "integer"])
            for order: JSON in [
                ["key": "n", "direction": nil, "start_from": nil], ["key": "n", "direction": "asc", "start_from": 1],
            ] {
                let page = try await fixture.result(
                    alice, "POST", "/collections/notes/points/scroll", ["order_by": order])
                #expect(page["points"]?.arrayValue?.compactMap { $0["id"] } == [1, 3], "\(order)")
            }
        }
    }

    /// What is of another type is none of a list; null is no value.
    @Test func listsGoByTypes() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            let values: [JSON] = [1, 2, 1.5, "a", "1", true, nil, [:], [], [nil], [1, "a"], ["x": 1]]
            var points = values.enumerated().map { point(JSON($0), [1, 0, 0, 0], ["k": $1]) }
            points.append(point(99))
            try await fixture.upsert(alice, "notes", points)
            for (match, found) in [
                (["any": [1, 7]], [0, 10]), (["any": ["a", "1"]], [3, 4, 10]), (["any": []], []),
                (["except": [1]], [1, 2, 3, 4, 5, 7, 10, 11]), (["except": ["a"]], [0, 1, 2, 4, 5, 7, 10, 11]),
                (["except": []], [0, 1, 2, 3, 4, 5, 7, 10, 11]),
            ] as [(JSON, [Int])] {
                let filter: JSON = ["must": [["key": "k", "match": match]]]
                let page = try await fixture.result(
                    alice, "POST", "/collections/notes/points/scroll", ["filter": filter, "limit": 50])
                #expect((page["points"]?.arrayValue ?? []).compactMap { $0["id"]?.intValue } == found, "\(match)")
            }
        }
    }

    @Test func theUnnamedVectorBesideOthersAndGroupsByNumbers() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.result(
                alice, "PUT", "/collections/both",
                ["vectors": ["a": ["size": 4, "distance": "Dot"], "": ["size": 2, "distance": "Dot"]]])
            let groups: [JSON] = [1, 1.5, 2.0, "2", true]
            try await fixture.upsert(
                alice, "both",
                groups.enumerated().map { point(JSON($0), ["a": [1, 0, 0, 0], "": [3, 4]], ["g": $1]) })
            for (wanted, shown): (JSON, JSON) in [
                ([""], [3, 4]), (["a"], ["a": [1, 0, 0, 0]]), (true, ["a": [1, 0, 0, 0], "": [3, 4]]),
            ] {
                let records = try await fixture.result(
                    alice, "POST", "/collections/both/points", ["ids": [0], "with_vector": wanted])
                #expect(records[0]?["vector"] == shown, "\(wanted)")
            }
            let answer = try await fixture.result(
                alice, "POST", "/collections/both/points/query/groups", ["query": [1, 1], "group_by": "g"])
            #expect(Set((answer["groups"]?.arrayValue ?? []).compactMap { $0["id"] }) == [1, "2"])
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func settings(_ store: VectorsFixture.Store) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = Key.person(fixture.alice)
            for (name, body) in [
                (
                    "nulls",
                    #"{"vectors": {"size": 4, "distance": "Dot", "multivector_config": null, "hnsw_config": null, "datatype": null}, "metadata": null}"#
                ),
                ("size", #"{"vectors": {"size": {"size": 4, "distance": "Dot"}}}"#),
                ("bare", #"{"sparse_vectors": {"s": null}}"#),
                (
                    "threads",
                    #"{"vectors": {"size": 4, "distance": "Dot"}, "optimizer_config": {"max_optimization_threads": "auto"}}"#
                ),
            ] {
                let response = try await fixture.send(alice, "PUT", "/collections/\(name)", text: body)
                #expect(response.status == 200, "\(name): \(response.text)")
            }
            let named = try await fixture.result(alice, "GET", "/collections/size")
            #expect(named["config"]?["params"]?["vectors"]?["size"]?["size"] == 4)
            let threads = try await fixture.result(alice, "GET", "/collections/threads")
            #expect(threads["config"]?["optimizer_config"]?["max_optimization_threads"] == JSON.null)
            try await fixture.upsert(alice, "size", [point(1, ["size": [1, 0, 0, 0]])])
            let found = try await fixture.search(alice, "size", [1, 0, 0, 0], ["using": "size"])
            #expect(found == [1])
        }
    }

    /// A change says what it changes; what it does not say, or says null of, stays.
    @Test func changesOfSettings() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "one", ["optimizers_config": ["indexing_threshold": 7]])
            let body: JSON = ["vectors": ["a": ["size": 4, "distance": "Dot"]], "sparse_vectors": ["s": [:]]]
            try await fixture.result(alice, "PUT", "/collections/two", body)
            for (collection, vector) in [("one", ""), ("two", "a")] {
                for change: JSON in [
                    ["vectors": .object([vector: ["hnsw_config": ["m": 32], "on_disk": true]])],
                    ["vectors": .object([vector: ["hnsw_config": ["ef_construct": 50, "m": nil]]])],
                    ["vectors": .object([vector: ["quantization_config": ["scalar": ["type": "int8"]]]])],
                    ["optimizers_config": ["indexing_threshold": nil, "flush_interval_sec": 9]],
                    ["params": ["on_disk_payload": false, "read_fan_out_factor": nil]],
                ] {
                    try await fixture.result(alice, "PATCH", "/collections/\(collection)", change)
                }
                func vectors() async throws -> JSON? {
                    let info = try await fixture.result(alice, "GET", "/collections/\(collection)")
                    let vectors = info["config"]?["params"]?["vectors"]
                    return vector.isEmpty ? vectors : vectors?[vector]
                }
                #expect(try await vectors()?["hnsw_config"] == ["m": 32, "ef_construct": 50])
                #expect(try await vectors()?["quantization_config"] == ["scalar": ["type": "int8"]])
                #expect(try await vectors()?["on_disk"] == true)
                try await fixture.result(
                    alice, "PATCH", "/collections/\(collection)",
                    ["vectors": .object([vector: ["quantization_config": "Disabled"]])])
                #expect(try await vectors()?["quantization_config"] == nil)
            }
            let info = try await fixture.result(alice, "GET", "/collections/one")
            #expect(info["config"]?["optimizer_config"]?["indexing_threshold"] == 7)
            #expect(info["config"]?["optimizer_config"]?["flush_interval_sec"] == 9)
            for index: JSON in [["on_disk": true], ["full_scan_threshold": 10]] {
                try await fixture.result(
                    alice, "PATCH", "/collections/two", ["sparse_vectors": ["s": ["index": index]]])
            }
            let sparse = try await fixture.result(alice, "GET", "/collections/two")["config"]?["params"]?[
                "sparse_vectors"]
            #expect(sparse?["s"]?["index"] == ["on_disk": true, "full_scan_threshold": 10])
        }
    }

    /// Whoever knew the collection before a change is not refused by what it was then.
    @Test(arguments: VectorsFixture.Store.allCases) func whatIsNewIsKnownAtOnce(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(.service, "shared")
            try await fixture.upsert(alice, "shared", [point(1, [1, 0, 0, 0], ["n": 1, "k": "a"])])
            #expect(try await fixture.send(alice, "POST", "/collections/shared/facet", ["key": "k"]).status == 400)
            for (field, type) in [("n", "integer"), ("k", "keyword")] {
                try await fixture.result(
                    .service, "PUT", "/collections/shared/index?wait=true",
                    ["field_name": .string(field), "field_schema": .string(type)])
            }
            let facet = try await fixture.result(alice, "POST", "/collections/shared/facet", ["key": "k"])
            #expect(facet["hits"] == [["value": "a", "count": 1]])
            try await fixture.result(.service, "PUT", "/collections/shared/vectors/words?wait=true", ["sparse": [:]])
            let words: JSON = ["indices": [3], "values": [1]]
            try await fixture.upsert(alice, "shared", [point(2, ["words": words])])
            #expect(try await fixture.search(alice, "shared", words, ["using": "words"]) == [2])
            try await fixture.result(.service, "DELETE", "/collections/shared/vectors/words?wait=true")
            let gone = try await fixture.send(
                alice, "PUT", "/collections/shared/points", ["points": [point(3, ["words": words])]])
            #expect(gone.status == 400)
        }
    }

    @Test func aliasesTakeThePlaceOfOthers() async throws {
        try await VectorsFixture.run { fixture in
            let (alice, bob) = (Key.person(fixture.alice), Key.person(fixture.bob))
            for name in ["blue", "green"] { try await fixture.create(alice, name) }
            func change(_ key: Key, _ action: JSON) async throws -> Int {
                try await fixture.send(key, "POST", "/collections/aliases", ["actions": [action]]).status
            }
            for (alias, name) in [("live", "blue"), ("next", "green")] {
                let action: JSON = ["create_alias": ["alias_name": .string(alias), "collection_name": .string(name)]]
                #expect(try await change(alice, action) == 200)
            }
            func rename(_ old: JSON, _ new: JSON) -> JSON {
                ["rename_alias": ["old_alias_name": old, "new_alias_name": new]]
            }
            #expect(try await change(alice, rename("next", "live")) == 200)
            #expect(try await change(alice, rename("live", "live")) == 200)
            #expect(try await change(alice, rename("next", "live")) == 404)
            #expect(
                try await fixture.result(alice, "GET", "/aliases")["aliases"]
                    == [["alias_name": "live", "collection_name": "green"]])
            // The service key does not choose between tenants' collections of one name.
            try await fixture.create(bob, "green")
            let action: JSON = ["create_alias": ["alias_name": "all", "collection_name": "green"]]
            #expect(try await change(.service, action) == 400)
            #expect(try await fixture.send(.service, "GET", "/collections/all").status == 404)
        }
    }

    @Test func changesAtOnceAllSucceed() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            let count = 24
            let refused = try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<count {
                    let change: (String, String, JSON) =
                        switch number % 3 {
                        case 0:
                            (
                                "PUT", "/collections/notes/index",
                                ["field_name": .string("f\(number)"), "field_schema": "keyword"]
                            )
                        case 1: ("PATCH", "/collections/notes", ["metadata": .object(["m\(number)": 1])])
                        default:
                            (
                                "POST", "/collections/aliases",
                                ["actions": [["create_alias": ["alias_name": "live", "collection_name": "notes"]]]]
                            )
                        }
                    group.addTask {
                        let response = try await fixture.send(alice, change.0, change.1, change.2)
                        return response.status == 200 ? nil : "\(change): \(response.text)"
                    }
                }
                return try await group.reduce(into: [String]()) { if let text = $1 { $0.append(text) } }
            }
            #expect(refused == [])
            let info = try await fixture.result(alice, "GET", "/collections/notes")
            #expect(info["payload_schema"]?.objectValue?.count == count / 3)
            #expect(info["config"]?["metadata"]?.objectValue?.count == count / 3)
        }
    }

    @Test func settingsThatAreTooLargeAreRefused() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            let large = JSON.string(String(repeating: "x", count: 70_000))
            for (method, path, body): (String, String, JSON) in [
                ("PUT", "", ["vectors": ["size": 4, "distance": "Dot"], "metadata": ["a": large]]),
                ("PATCH", "", ["metadata": ["a": large]]),
                ("PUT", "/index", ["field_name": large, "field_schema": "keyword"]),
            ] {
                let name = path.isEmpty && method == "PUT" ? "new" : "notes"
                let response = try await fixture.send(alice, method, "/collections/\(name)\(path)", body)
                #expect(response.status == 400, "\(method) \(path): \(response.text)")
            }
            #expect(try await fixture.send(alice, "GET", "/collections/new").status == 404)
        }
    }

    @Test(arguments: [
        ("GET", "/snapshots/a"), ("GET", "/collections/a/snapshots/b"), ("PUT", "/collections/a/snapshots/recover"),
        ("GET", "/collections/a/shards"), ("POST", "/cluster/recover"), ("GET", "/collections/a/optimizations"),
    ])
    func whatNeedsAClusterIsRefusedClearly(_ method: String, _ path: String) async throws {
        try await VectorsFixture.run { fixture in
            let response = try await fixture.send(.service, method, path)
            #expect(response.status == 405)
            #expect(response.json["status"]?["error"]?.stringValue?.contains("standalone mode") == true)
            #expect(try await fixture.send(.anon, method, path).status == 403)
        }
    }

    @Test func telemetryCountsAndLongNamesAreRefused() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "a")
            try await fixture.create(.service, "b")
            let telemetry = try await fixture.result(.service, "GET", "/telemetry")
            #expect(telemetry["collections"]?["number_of_collections"] == 2)
            let long = String(repeating: "n", count: 256)
            for path in ["/collections/\(long)", "/collections/\(long)/points/1", "/collections/\(long)/exists"] {
                let response = try await fixture.send(alice, "GET", path)
                #expect(response.status == 422, "\(response.text)")
            }
        }
    }
}
