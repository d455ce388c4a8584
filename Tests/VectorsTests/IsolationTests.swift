// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// What one tenant must not reach of another's. The database refuses; nothing here relies on the server's own filters.
@Suite struct IsolationTests {
    @Test(arguments: VectorsFixture.Store.allCases) func strangersCollectionsAreNotThere(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(alice, "notes")
            try await fixture.upsert(alice, "notes", [point(1)])
            let requests: [(String, String, JSON?)] = [
                ("GET", "/collections/notes", nil),
                ("PATCH", "/collections/notes", ["metadata": ["a": 1]]),
                ("PUT", "/collections/notes/index", ["field_name": "a", "field_schema": "keyword"]),
                ("DELETE", "/collections/notes/index/a", nil),
                ("GET", "/collections/notes/aliases", nil),
                ("PUT", "/collections/notes/points", ["points": [point(2)]]),
                ("POST", "/collections/notes/points", ["ids": [1]]),
                ("GET", "/collections/notes/points/1", nil),
                ("POST", "/collections/notes/points/scroll", [:]),
                ("POST", "/collections/notes/points/count", [:]),
                ("POST", "/collections/notes/points/delete", ["points": [1]]),
                ("POST", "/collections/notes/points/payload", ["payload": ["a": 1], "points": [1]]),
                ("POST", "/collections/notes/points/payload/clear", ["points": [1]]),
                ("PUT", "/collections/notes/points/vectors", ["points": [["id": 1, "vector": [0, 1, 0, 0]]]]),
                ("POST", "/collections/notes/points/query", ["query": [1, 0, 0, 0]]),
                ("POST", "/collections/notes/points/search", ["vector": [1, 0, 0, 0], "limit": 3]),
                ("POST", "/collections/notes/points/query/groups", ["query": [1, 0, 0, 0], "group_by": "a"]),
                ("POST", "/collections/notes/points/search/matrix/pairs", [:]),
                ("POST", "/collections/notes/facet", ["key": "a"]),
            ]
            for (method, path, body) in requests {
                let response = try await fixture.send(bob, method, path, body)
                #expect(response.status == 404, "\(method) \(path)")
                #expect(
                    response.json["status"]?["error"] == "Not found: Collection `notes` doesn't exist!",
                    "\(method) \(path)")
            }
            #expect(try await fixture.result(bob, "GET", "/collections/notes/exists")["exists"] == false)
            #expect(try await fixture.result(bob, "DELETE", "/collections/notes") == false)
            #expect(try await fixture.result(bob, "GET", "/collections")["collections"] == [])
            #expect(try await fixture.count(alice, "notes") == 1)
            // The name is free for others, whose collection is another.
            try await fixture.create(bob, "notes", size: 2)
            #expect(try await fixture.count(bob, "notes") == 0)
            #expect(try await fixture.count(alice, "notes") == 1)
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func strangersCollectionsAreNoExamplesNoAliasesNoLookups(
        _ store: VectorsFixture.Store
    ) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(alice, "private")
            try await fixture.upsert(alice, "private", [point(1)])
            try await fixture.create(bob, "mine")
            try await fixture.upsert(bob, "mine", [point(7, [0, 1, 0, 0], ["g": 1])])
            let lookup = try await fixture.send(
                bob, "POST", "/collections/mine/points/query", ["query": 1, "lookup_from": ["collection": "private"]])
            #expect(lookup.status == 404)
            #expect(lookup.json["status"]?["error"] == "Not found: Collection private not found")
            let group = try await fixture.send(
                bob, "POST", "/collections/mine/points/query/groups",
                ["query": [1, 0, 0, 0], "group_by": "g", "with_lookup": "private"])
            #expect(group.status == 404)
            let alias = try await fixture.send(
                bob, "POST", "/collections/aliases",
                ["actions": [["create_alias": ["collection_name": "private", "alias_name": "theirs"]]]])
            #expect(alias.status == 404)
            #expect(try await fixture.result(bob, "GET", "/aliases")["aliases"] == [])
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func sharedCollectionShowsEachTenantItsOwnRows(
        _ store: VectorsFixture.Store
    ) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(.service, "shared")
            try await fixture.upsert(
                .service, "shared",
                [
                    point(1, [1, 0, 0, 0], ["user_id": .string("\(fixture.alice.id)")]),
                    point(2, [1, 0, 0, 0], ["user_id": .string("\(fixture.bob.id)")]),
                    point(3, [1, 0, 0, 0], ["kind": "nobody's"]),
                ])
            #expect(try await fixture.count(.service, "shared") == 3)
            #expect(try await fixture.search(alice, "shared", [1, 0, 0, 0]) == [1])
            #expect(try await fixture.search(bob, "shared", [1, 0, 0, 0]) == [2])
            // What a filter says can only narrow.
            let forged: JSON = ["must": [["key": "user_id", "match": ["value": .string("\(fixture.bob.id)")]]]]
            #expect(try await fixture.search(alice, "shared", [1, 0, 0, 0], ["filter": forged]) == [])
            let either: JSON = ["should": [["has_id": [2]], ["has_id": [1]]]]
            #expect(try await fixture.search(alice, "shared", [1, 0, 0, 0], ["filter": either]) == [1])
            #expect(
                try await fixture.result(alice, "POST", "/collections/shared/points", ["ids": [1, 2, 3]]).arrayValue?
                    .count == 1)
            #expect(try await fixture.send(alice, "GET", "/collections/shared/points/2").status == 404)
            #expect(try await fixture.result(alice, "GET", "/collections/shared")["points_count"] == 1)
            // Deleting everything deletes one's own.
            try await fixture.result(alice, "POST", "/collections/shared/points/delete", ["filter": [:]])
            #expect(try await fixture.count(.service, "shared") == 2)
            // The collection itself is the project's.
            for (method, path, body) in [
                ("DELETE", "/collections/shared", nil),
                ("PATCH", "/collections/shared", ["metadata": ["a": 1]] as JSON),
                ("PUT", "/collections/shared/index", ["field_name": "a", "field_schema": "keyword"]),
            ] as [(String, String, JSON?)] {
                #expect(try await fixture.send(bob, method, path, body).status == 403, "\(method) \(path)")
            }
            #expect(try await fixture.search(bob, "shared", [1, 0, 0, 0]) == [2])
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func nobodyWritesInAnothersName(_ store: VectorsFixture.Store)
        async throws
    {
        try await VectorsFixture.run(on: store) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(.service, "shared")
            let forged: JSON = ["user_id": .string("\(fixture.bob.id)")]
            let upsert = try await fixture.send(
                alice, "PUT", "/collections/shared/points", ["points": [point(5), point(6, [1, 0, 0, 0], forged)]])
            #expect(upsert.status == 403)
            #expect(try await fixture.count(.service, "shared") == 0, "a batch is applied whole or not at all")
            try await fixture.upsert(alice, "shared", [point(5)])
            for (method, path) in [("POST", "payload"), ("PUT", "payload")] {
                let response = try await fixture.send(
                    alice, method, "/collections/shared/points/\(path)", ["payload": forged, "points": [5]])
                #expect(response.status == 403, "\(method) \(path)")
            }
            let list = try await fixture.send(
                alice, "POST", "/collections/shared/points/payload",
                ["payload": ["user_id": [.string("\(fixture.bob.id)")]], "points": [5]])
            #expect(list.status == 403, "a list of owners is no member either")
            // Each tenant has its own ids: neither takes, finds or overwrites the other's.
            try await fixture.upsert(bob, "shared", [point(5, [0, 1, 0, 0])])
            #expect(try await fixture.count(.service, "shared") == 2)
            #expect(
                try await fixture.result(alice, "GET", "/collections/shared/points/5")["vector"] == [1, 0, 0, 0])
            try await fixture.result(bob, "POST", "/collections/shared/points/delete", ["points": [5]])
            #expect(try await fixture.count(alice, "shared") == 1)
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func aUsersCollectionIsReservedForThem(
        _ store: VectorsFixture.Store
    ) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            let name = "qdrant_user_\(fixture.alice.id)"
            let squat = try await fixture.send(
                bob, "PUT", "/collections/\(name)", ["vectors": ["size": 4, "distance": "Cosine"]])
            #expect(squat.status == 403)
            let alias = try await fixture.send(
                bob, "POST", "/collections/aliases",
                ["actions": [["create_alias": ["collection_name": "x", "alias_name": .string(name)]]]])
            #expect(alias.status == 404)
            // The set-up makes it with the service key, as seeds do; it is the user's all the same.
            try await fixture.create(.service, name, size: 1536, distance: "Cosine")
            #expect(try await fixture.result(alice, "GET", "/collections/\(name)/exists")["exists"] == true)
            #expect(try await fixture.result(bob, "GET", "/collections/\(name)/exists")["exists"] == false)
            let vector = JSON.array((0..<1536).map { JSON($0 == 3 ? 1 : 0) })
            try await fixture.upsert(.service, name, [point(1, vector)])
            #expect(try await fixture.search(alice, name, vector) == [1])
        }
    }

    @Test(arguments: VectorsFixture.Store.allCases) func aRevokedMembershipSeesNothingAtOnce(
        _ store: VectorsFixture.Store
    ) async throws {
        try await VectorsFixture.run(on: store) { fixture in
            let alice = VectorsFixture.Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await fixture.create(.service, "shared")
            for name in ["notes", "shared"] { try await fixture.upsert(alice, name, [point(1)]) }
            // Remembered by the server, then taken away in the database.
            try await fixture.project.server.exec("delete from tenancy.members where user_id = '\(fixture.alice.id)'")
            for name in ["notes", "shared"] {
                for (method, path, body) in [
                    ("POST", "points/count", [:]), ("PUT", "points", ["points": [point(2)]]),
                    ("POST", "points/delete", ["filter": [:]]), ("POST", "points/query", ["query": 1]),
                ] as [(String, String, JSON)] {
                    let response = try await fixture.send(alice, method, "/collections/\(name)/\(path)", body)
                    #expect(response.status == 404, "\(name) \(path)")
                }
            }
            #expect(try await fixture.count(.service, "shared") == 1)
            // A token that names another's tenant is no key to it.
            let stolen = VectorsFixture.Key.claims(fixture.bob.claims(tenant: fixture.alice.tenant))
            #expect(try await fixture.send(stolen, "GET", "/collections/notes").status == 404)
            #expect(
                try await fixture.send(stolen, "PUT", "/collections/new", ["vectors": ["size": 2, "distance": "Dot"]])
                    .status == 403)
        }
    }

    @Test func whatATenantHasGoesWithIt() async throws {
        try await VectorsFixture.run { fixture in
            let (alice, bob) = (VectorsFixture.Key.person(fixture.alice), VectorsFixture.Key.person(fixture.bob))
            try await fixture.create(.service, "shared")
            try await fixture.create(alice, "notes", ["sparse_vectors": ["words": [:]]])
            try await fixture.upsert(
                alice, "notes", [point(1, ["": [1, 0, 0, 0], "words": ["indices": [3], "values": [1]]])])
            try await fixture.upsert(alice, "shared", [point(1)])
            try await fixture.upsert(bob, "shared", [point(1)])
            try await fixture.project.server.exec("delete from tenancy.tenants where id = '\(fixture.alice.tenant)'")
            let left = try await fixture.project.server.exec(
                "select (select count(*) from vectors.points), (select count(*) from vectors.named_vectors), (select count(*) from vectors.collections)"
            )
            #expect(left == "1|0|1")
            #expect(try await fixture.count(bob, "shared") == 1)
        }
    }
}
