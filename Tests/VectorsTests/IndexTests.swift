// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// The index in the background: what searches find before, while and after it is built.
@Suite struct IndexTests {
    private static let size = 8

    /// The same points in every run.
    private static func vectors(_ count: Int, seed: UInt64) -> [[Float]] {
        var state = seed
        return (0..<count).map { _ in
            (0..<size).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Float(state >> 40) / Float(1 << 24) - 0.5
            }
        }
    }

    private static func json(_ vector: [Float]) -> JSON { .array(vector.map { JSON(Double($0)) }) }

    /// In one request: after a pause between several an index would be built over what is there by then, and the rest, being less than the
    /// threshold, would rightly stay without.
    private static func fill(
        _ fixture: VectorsFixture, _ key: VectorsFixture.Key, _ name: String, _ vectors: [[Float]], from first: Int = 0,
        payload: (Int) -> JSON = { ["n": JSON($0)] }
    ) async throws {
        try await fixture.upsert(
            key, name, vectors.indices.map { point(JSON(first + $0), json(vectors[$0]), payload(first + $0)) })
    }

    /// The ids of the nearest by their exact scores.
    private static func nearest(
        _ query: [Float], _ vectors: [[Float]], _ limit: Int, where keeps: (Int) -> Bool = { _ in true }
    ) -> [JSON] {
        let scores = vectors.indices.filter(keeps).map { index in
            (index, zip(query, vectors[index]).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) })
        }
        return scores.sorted { $0.1 < $1.1 }.prefix(limit).map { JSON($0.0) }
    }

    private static func awaitGreen(
        _ fixture: VectorsFixture, _ key: VectorsFixture.Key, _ name: String, indexed: Int
    ) async throws {
        try await eventually("\(name) is indexed", within: .seconds(60)) {
            let info = try await fixture.result(key, "GET", "/collections/\(name)")
            return info["status"] == "green" && (info["indexed_vectors_count"]?.intValue ?? 0) >= indexed
        }
    }

    @Test(arguments: ["none", "scalar", "binary"])
    func searchesAreRightBeforeWhileAndAfter(_ quantization: String) async throws {
        // Two thousand vectors of eight dimensions are past the threshold.
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 60 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            let more: JSONObject =
                quantization == "none" ? [:] : ["quantization_config": .object([quantization: ["type": "int8"]])]
            try await fixture.create(alice, "big", size: Self.size, distance: "Euclid", more)
            let vectors = Self.vectors(2500, seed: 7)
            try await Self.fill(fixture, alice, "big", Array(vectors[..<2000]))
            let queries = Self.vectors(10, seed: 99)
            func recall() async throws -> Double {
                var hits = 0
                for query in queries {
                    let found = try await fixture.search(alice, "big", Self.json(query), ["limit": 10])
                    #expect(found.count == 10)
                    let truth = Self.nearest(query, Array(vectors[..<2000]), 10)
                    hits += found.count { truth.contains($0) }
                }
                return Double(hits) / Double(queries.count * 10)
            }
            #expect(try await recall() >= (quantization == "none" ? 0.95 : 0.3))
            try await Self.awaitGreen(fixture, alice, "big", indexed: 2000)
            #expect(try await recall() >= (quantization == "none" ? 0.95 : 0.3))
            let info = try await fixture.result(alice, "GET", "/collections/big")
            #expect(info["indexed_vectors_count"] == 2000)
            #expect(info["points_count"] == 2000)

            // Exact searches do not go by the index.
            for query in queries {
                let found = try await fixture.search(
                    alice, "big", Self.json(query), ["limit": 10, "params": ["exact": true]])
                #expect(found == Self.nearest(query, Array(vectors[..<2000]), 10))
            }
            // A selective filter gets as many as match, not as many as the graph happens to meet.
            for query in queries.prefix(3) {
                let filter: JSON = ["must": [["key": "n", "range": ["lt": 25]]]]
                let found = try await fixture.search(alice, "big", Self.json(query), ["limit": 20, "filter": filter])
                #expect(found == Self.nearest(query, Array(vectors[..<2000]), 20) { $0 < 25 })
            }
            // What is written now is found at once, and what it replaces no longer.
            let moved: [Float] = Array(repeating: 40, count: Self.size)
            try await fixture.upsert(alice, "big", [point(3, Self.json(moved)), point(90_000, Self.json(moved))])
            #expect(Set(try await fixture.search(alice, "big", Self.json(moved), ["limit": 2])) == [3, 90_000])
            #expect(try await fixture.search(alice, "big", Self.json(vectors[3]), ["limit": 1]) != [3])
            try await fixture.result(alice, "POST", "/collections/big/points/delete", ["points": [3, 90_000, 5]])
            #expect(try await fixture.search(alice, "big", Self.json(vectors[5]), ["limit": 1]) != [5])
            #expect(try await fixture.result(alice, "GET", "/collections/big")["points_count"] == 1998)
        }
    }

    @Test func aSecondIndexCoversWhatCameLater() async throws {
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 30 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "big", size: Self.size, distance: "Euclid")
            let vectors = Self.vectors(4200, seed: 3)
            try await Self.fill(fixture, alice, "big", Array(vectors[..<3000]))
            try await Self.awaitGreen(fixture, alice, "big", indexed: 3000)
            try await Self.fill(fixture, alice, "big", Array(vectors[3000..<4200]), from: 3000)
            try await Self.awaitGreen(fixture, alice, "big", indexed: 4200)
            var hits = 0
            let queries = Self.vectors(10, seed: 4)
            for query in queries {
                let truth = Self.nearest(query, vectors, 10)
                hits += try await fixture.search(alice, "big", Self.json(query), ["limit": 10]).count {
                    truth.contains($0)
                }
            }
            #expect(hits >= 92)
        }
    }

    @Test func aLargeSharedCollectionStaysApartByTenant() async throws {
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 60 }) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(.service, "shared", size: Self.size, distance: "Euclid")
            let vectors = Self.vectors(2400, seed: 8)
            let owners = [fixture.alice.id, fixture.bob.id]
            // Every third is Alice's, the rest Bob's.
            try await Self.fill(fixture, .service, "shared", vectors) {
                ["user_id": .string("\(owners[$0 % 3 == 0 ? 0 : 1])")]
            }
            try await Self.awaitGreen(fixture, .service, "shared", indexed: 2400)
            for query in Self.vectors(5, seed: 12) {
                let hers = try await fixture.search(alice, "shared", Self.json(query), ["limit": 10])
                #expect(hers == Self.nearest(query, vectors, 10) { $0 % 3 == 0 })
                let his = try await fixture.search(bob, "shared", Self.json(query), ["limit": 10])
                #expect(his.count == 10 && his.allSatisfy { ($0.intValue ?? 0) % 3 != 0 })
                let filter: JSON = ["must": [["key": "user_id", "match": ["value": .string("\(fixture.alice.id)")]]]]
                let byService = try await fixture.search(
                    .service, "shared", Self.json(query), ["limit": 10, "filter": filter])
                #expect(byService == hers)
            }
            // The partition goes with the collection.
            try await fixture.result(.service, "DELETE", "/collections/shared")
            try await eventually("the partition is gone", within: .seconds(30)) {
                try await fixture.project.server.exec(
                    "select count(*) from pg_class where relnamespace = 'vectors'::regnamespace and relname ~ '_[0-9]{4,}$' and relkind = 'r'"
                ) == "0"
            }
        }
    }

    /// A server that ended after a write, or while it built, leaves a collection that nobody else was told of.
    @Test func aServerThatStartsIndexesWhatAnotherLeft() async throws {
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 30 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "big", size: Self.size, distance: "Euclid")
            try await Self.fill(fixture, alice, "big", Self.vectors(1500, seed: 31))
            try await Self.awaitGreen(fixture, alice, "big", indexed: 1500)
            _ = try await fixture.project.server.exec(
                """
                insert into vectors.points (collection_id, version, bucket, tenant_id, is_shared, id, embedding)
                select p.collection_id, (extract(epoch from clock_timestamp()) * 1e6)::bigint, p.bucket, p.tenant_id,
                    p.is_shared, overlay(p.id placing '\\x0f'::bytea from 2 for 1), p.embedding
                from vectors.points as p
                """)
            let left = try await fixture.result(alice, "GET", "/collections/big")
            #expect(left["status"] == "yellow" && left["points_count"] == 3000)
            try await fixture.withFreshBuilder {
                try await Self.awaitGreen(fixture, alice, "big", indexed: 3000)
            }
        }
    }

    /// A walk through the graph that gives up has not seen all that match; a threshold must not hide that.
    @Test func aThresholdKeepsWhatASelectiveFilterMatches() async throws {
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 60 }) { fixture in
            // Before the first request, whose connection begins with it.
            _ = try await fixture.project.server.exec(
                """
                do $$ begin
                    execute format('alter database %I set hnsw.max_scan_tuples = 50', current_database());
                end $$
                """)
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "big", size: Self.size, distance: "Euclid")
            let vectors = Self.vectors(2400, seed: 21)
            try await Self.fill(fixture, alice, "big", vectors)
            try await Self.awaitGreen(fixture, alice, "big", indexed: 2400)
            for query in Self.vectors(5, seed: 22) {
                let filter: JSON = ["must": [["key": "n", "range": ["lt": 30]]]]
                let found = try await fixture.search(
                    alice, "big", Self.json(query), ["limit": 10, "filter": filter, "score_threshold": 100])
                #expect(found == Self.nearest(query, vectors, 10) { $0 < 30 })
                let near = try await fixture.result(
                    alice, "POST", "/collections/big/points/query",
                    ["query": Self.json(query), "limit": 50, "score_threshold": 0.5])
                let scores = (near["points"]?.arrayValue ?? []).compactMap { $0["score"]?.doubleValue }
                #expect(scores.allSatisfy { $0 <= 0.5 } && scores == scores.sorted())
            }
        }
    }

    /// A planner that takes the partition for empty sorts all its rows instead of walking the graph.
    @Test func thePlannerKnowsWhatIsIndexed() async throws {
        try await VectorsFixture.run { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "large", size: Self.size, ["optimizers_config": ["indexing_threshold": 10]])
            try await Self.fill(fixture, alice, "large", Self.vectors(2000, seed: 4))
            try await Self.awaitGreen(fixture, alice, "large", indexed: 2000)
            let known = try await fixture.observe(
                """
                select t.reltuples::integer as rows, count(s.attname) as columns
                from vectors.collections as c
                inner join pg_class as t on t.relname = 'points_' || c.bucket
                left join pg_stats as s on s.schemaname = 'vectors' and s.tablename = t.relname
                where c.name = 'large' group by t.reltuples
                """)
            #expect(known.onlyRow?["rows"].int == 2000)
            #expect((known.onlyRow?["columns"].int ?? 0) >= 5)
        }
    }

    @Test func writesGoOnWhileACollectionIsMovedAndIndexed() async throws {
        try await VectorsFixture.run({ $0.indexingThresholdKilobytes = 30 }) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "busy", size: Self.size, distance: "Euclid")
            let vectors = Self.vectors(6000, seed: 5)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<3 {
                    group.addTask {
                        try await Self.fill(
                            fixture, alice, "busy", Array(vectors[(part * 2000)..<((part + 1) * 2000)]),
                            from: part * 2000)
                    }
                }
                group.addTask {
                    for query in Self.vectors(40, seed: 6) {
                        _ = try await fixture.search(alice, "busy", Self.json(query), ["limit": 5])
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await fixture.count(alice, "busy") == 6000)
            try await Self.awaitGreen(fixture, alice, "busy", indexed: 5000)
            #expect(try await fixture.count(alice, "busy") == 6000)
        }
    }
}
