// SPDX-License-Identifier: Apache-2.0
import HTTP
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// What is special about collections that an external Qdrant keeps; what holds for all is in the other suites.
@Suite struct ExternalTests {
    private typealias Key = VectorsFixture.Key

    /// The names around a payload are out of reach: whatever a client writes or asks lies below it.
    @Test func nothingNamesTheMembersAroundAPayload() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let (alice, bob) = (Key.person(fixture.alice), Key.person(fixture.bob))
            try await fixture.create(.service, "shared")
            try await fixture.upsert(alice, "shared", [point(1, [1, 0, 0, 0], ["secret": "mark-of-alice"])])
            let theirs = JSON.string("\(fixture.alice.tenant)")
            let forged: JSON = [
                "tenant": theirs, "id": "1", "payload": ["secret": "forged"], "payload.secret": "forged",
            ]
            try await fixture.upsert(bob, "shared", [point(1, [0, 1, 0, 0], forged)])
            for (method, path, body) in [
                ("POST", "payload", ["payload": forged, "points": [1]]),
                ("PUT", "payload", ["payload": forged, "filter": [:]]),
                ("POST", "payload", ["payload": forged, "key": "tenant", "points": [1]]),
                ("POST", "payload", ["payload": forged, "key": "payload", "points": [1]]),
                ("PUT", "payload", ["payload": forged, "key": "tenant", "filter": [:]]),
                ("POST", "payload/delete", ["keys": ["tenant", "id", "payload", "\"tenant\""], "filter": [:]]),
                ("POST", "payload/clear", ["filter": [:]]),
                ("PUT", "payload", ["payload": forged, "points": [1]]),
            ] as [(String, String, JSON)] {
                try await fixture.result(bob, method, "/collections/shared/points/\(path)?wait=true", body)
            }
            #expect(try await fixture.result(bob, "GET", "/collections/shared/points/1")["payload"] == forged)
            let filters: [JSON] = [
                ["must": [["key": "tenant", "match": ["value": theirs]]]],
                ["should": [["key": "secret", "match": ["value": "mark-of-alice"]], ["has_id": [1]]]],
                ["must_not": [["key": "\"tenant\"", "match": ["value": .string("\(fixture.bob.tenant)")]]]],
                ["must": [["is_empty": ["key": "payload.secret"]]]],
            ]
            for filter in filters {
                for (path, more) in [
                    ("points/scroll", [:]), ("points/query", ["query": [1, 0, 0, 0], "with_payload": true]),
                    ("points/query", ["with_payload": ["include": ["tenant", "secret", "payload"]]]),
                    ("points/count", [:]),
                ] as [(String, JSONObject)] {
                    var body = more
                    body["filter"] = filter
                    let response = try await fixture.send(bob, "POST", "/collections/shared/\(path)", .object(body))
                    #expect(response.status == 200, "\(path) \(filter.text): \(response.text)")
                    #expect(!response.text.contains("mark-of-alice"), "\(path) \(filter.text)")
                }
            }
            let stored = try await fixture.remote?.observe(
                "select payload ->> 'tenant', payload ->> 'id' from vectors.points")
            let owners = stored.map { $0.rows.compactMap { $0[0].string }.sorted() }
            #expect(owners == ["\(fixture.alice.tenant)", "\(fixture.bob.tenant)"].sorted())
            #expect(stored?.rows.allSatisfy { $0[1].string == "1" } == true)
            #expect(
                try await fixture.result(alice, "GET", "/collections/shared/points/1")["payload"]
                    == ["secret": "mark-of-alice"])
        }
    }

    @Test func theNamesBehindAreNoNamesHere() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let (alice, bob) = (Key.person(fixture.alice), Key.person(fixture.bob))
            try await fixture.create(alice, "private")
            try await fixture.upsert(alice, "private", [point(1)])
            try await fixture.create(bob, "mine")
            try await fixture.upsert(bob, "mine", [point(1)])
            let behind =
                try await fixture.observe(
                    "select 'atoll_' || external_id from vectors.collections where name = 'private'")[0][0].string ?? ""
            #expect(behind.count == 42)
            for key in [bob, alice, .service] {
                for (method, path, body) in [
                    ("GET", "", nil), ("POST", "/points/count", [:]), ("POST", "/points/scroll", [:]),
                    ("PUT", "/points", ["points": [point(9)]]),
                ] as [(String, String, JSON?)] {
                    let response = try await fixture.send(key, method, "/collections/\(behind)\(path)", body)
                    #expect(response.status == 404, "\(method) \(path)")
                }
            }
            for body: JSON in [
                ["query": 1, "lookup_from": ["collection": .string(behind)]],
                [
                    "prefetch": [["query": 1, "lookup_from": ["collection": .string(behind)]]],
                    "query": ["fusion": "rrf"],
                ],
                ["query": 1, "lookup_from": ["collection": "private"]],
            ] {
                #expect(try await fixture.send(bob, "POST", "/collections/mine/points/query", body).status == 404)
            }
            let alias = try await fixture.send(
                bob, "POST", "/collections/aliases",
                ["actions": [["create_alias": ["collection_name": .string(behind), "alias_name": "theirs"]]]])
            #expect(alias.status == 404)
            // A collection of that name is another one.
            try await fixture.create(bob, behind)
            #expect(try await fixture.count(bob, behind) == 0)
            #expect(try await fixture.count(alice, "private") == 1)
            // What the server behind says does not tell its names.
            let refusal = try await fixture.send(
                alice, "POST", "/collections/private/points/payload", ["payload": ["a": 1], "points": [404]])
            #expect(refusal.status == 404 && !refusal.text.contains("atoll_"))
            // Nor does it know this server's tokens.
            if let remote = fixture.remote {
                let direct = try await remote.send(
                    .text(try fixture.token(fixture.alice.claims)), "GET", "/collections/\(behind)")
                #expect(direct.status == 401)
            }
        }
    }

    static let unknown: [(method: String, path: String, body: String)] = [
        ("POST", "points/query", #"{"query": [1, 0, 0, 0], "shard_key": "a"}"#),
        (
            "POST", "points/query",
            #"{"prefetch": [{"query": [1, 0, 0, 0], "surprise": 1}], "query": {"fusion": "rrf"}}"#
        ),
        ("POST", "points/query", #"{"query": [1, 0, 0, 0], "params": {"surprise": 1}}"#),
        ("POST", "points/query", #"{"query": [1, 0, 0, 0], "params": {"quantization": {"oversampling": 1000}}}"#),
        ("POST", "points/query", #"{"query": 1, "lookup_from": {"collection": "notes", "shard_key": "a"}}"#),
        ("POST", "points/query", #"{"query": {"text": "a", "model": "b"}}"#),
        ("POST", "points/query/batch", #"{"searches": [{"query": [1, 0, 0, 0], "surprise": 1}]}"#),
        ("POST", "points/query/groups", #"{"query": [1, 0, 0, 0], "group_by": "a", "surprise": 1}"#),
        ("POST", "points/search", #"{"vector": [1, 0, 0, 0], "limit": 1, "surprise": 1}"#),
        ("POST", "points/scroll", #"{"surprise": 1}"#),
        ("POST", "points/scroll", #"{"filter": {"surprise": []}}"#),
        ("POST", "points/scroll", #"{"filter": {"must": [{"slice": {"index": 0, "total": 2}}]}}"#),
        ("POST", "points/count", #"{"shard_key": "a"}"#),
        ("POST", "points", #"{"ids": [1], "surprise": 1}"#),
        ("POST", "facet", #"{"key": "a", "surprise": 1}"#),
        ("POST", "points/batch", #"{"operations": [{"create_snapshot": {}}]}"#),
        ("PATCH", "", #"{"surprise": {}}"#),
        ("PATCH", "", #"{"hnsw_config": {"surprise": 1}}"#),
        ("PUT", "vectors/new", #"{"dense": {"size": 4, "distance": "Dot", "surprise": 1}}"#),
        ("POST", "points/payload", #"{"payload": {"a": 1}, "key": "list[2000000000]", "points": [1]}"#),
        ("POST", "snapshots", "{}"),
        ("POST", "cluster", "{}"),
    ]

    /// What is not understood is not passed on.
    @Test func refusesWhatItDoesNotKnow() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            try await fixture.upsert(alice, "notes", [point(1)])
            for (method, path, body) in Self.unknown {
                let path = path.isEmpty ? "" : "/\(path)"
                let response = try await fixture.send(alice, method, "/collections/notes\(path)", text: body)
                #expect([400, 405, 422].contains(response.status), "\(method) \(path) \(body): \(response.text)")
            }
            for body in [
                #"{"vectors": {"size": 4, "distance": "Dot"}, "surprise": 1}"#,
                #"{"vectors": {"size": 4, "distance": "Dot"}, "hnsw_config": {"m": 100000}}"#,
                // Copying another collection is nothing a tenant may ask of the server behind.
                #"{"vectors": {"size": 4, "distance": "Dot"}, "init_from": {"collection": "notes"}}"#,
            ] {
                let response = try await fixture.send(alice, "PUT", "/collections/new", text: body)
                #expect([400, 422].contains(response.status), "\(body): \(response.text)")
            }
        }
    }

    static let passedOver: [(method: String, path: String, body: String)] = [
        ("PUT", "/points", #"{"points": [{"id": 2, "vector": [1, 0, 0, 0], "surprise": 1}], "surprise": 1}"#),
        ("PUT", "/index", #"{"field_name": "a", "field_schema": {"type": "keyword", "surprise": 1}}"#),
        ("PATCH", "", #"{"optimizer_config": {"indexing_threshold": 9}}"#),
    ]

    /// In what is written and set, members that nobody knows are left out, as Qdrant does.
    @Test func passesOverWhatItDoesNotKnow() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let alice = Key.person(fixture.alice)
            let settings =
                #"{"vectors": {"a": {"size": 4, "distance": "Dot", "hnsw_config": {"m": 8, "surprise": 1}}}}"#
            #expect(try await fixture.send(alice, "PUT", "/collections/named", text: settings).status == 200)
            try await fixture.create(alice, "notes", ["optimizers_config": ["surprise": 1]])
            for (method, path, body) in Self.passedOver {
                let response = try await fixture.send(alice, method, "/collections/notes\(path)", text: body)
                #expect(response.status == 200, "\(method) \(path) \(body): \(response.text)")
            }
            for name in ["notes", "named"] {
                let info = try await fixture.send(alice, "GET", "/collections/\(name)")
                #expect(!info.text.contains("surprise\""), "\(info.text)")
            }
            let info = try await fixture.result(alice, "GET", "/collections/notes")
            #expect(info["config"]?["optimizer_config"]?["indexing_threshold"] == 9)
        }
    }

    /// What set-ups and embeddings call.
    @Test func otherServicesMakeAndFillCollectionsThere() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let name = "qdrant_user_\(fixture.alice.id)"
            for _ in 1...2 {
                let refusal = try await fixture.serve(fixture.alice) { service, principal in
                    try await service.ensureCollection(name, size: 2, distance: "Dot", for: principal)
                }
                #expect(refusal == nil)
            }
            let squat = try await fixture.serve(fixture.bob) { service, principal in
                try await service.ensureCollection(name, size: 2, distance: "Dot", for: principal)
            }
            #expect(squat != nil)
            try await fixture.create(.service, "shared", size: 2)
            for target in [name, "shared"] {
                _ = try await fixture.serve(fixture.alice) { service, principal in
                    let target = EmbeddingsRequest.Target(
                        collection: target, vector: nil, points: [(.number(1), ["text": "a"]), (.number(2), [:])])
                    let caller = try Caller(principal, maxAnswerBytes: 1 << 20)
                    _ = try await service.storeTarget(target, caller)
                    return try await service.store([[1, 0], [0, 1]], target, caller)
                }
                #expect(try await fixture.search(.person(fixture.alice), target, [1, 0]) == [1, 2])
            }
            #expect(try await fixture.count(.person(fixture.bob), "shared") == 0)
            #expect(try await fixture.observe("select count(*) from vectors.points")[0][0].int == 0)
        }
    }

    @Test func theServiceKeyReachesTheRowsOfAllTenants() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let (alice, bob) = (Key.person(fixture.alice), Key.person(fixture.bob))
            try await fixture.create(.service, "shared")
            try await fixture.upsert(alice, "shared", [point(1, [1, 0, 0, 0], ["of": "alice"])])
            try await fixture.upsert(bob, "shared", [point(1, [0, 1, 0, 0], ["of": "bob"]), point(2)])
            let both = try await fixture.result(.service, "POST", "/collections/shared/points", ["ids": [1, 7]])
            #expect(Set((both.arrayValue ?? []).compactMap { $0["payload"]?["of"]?.stringValue }) == ["alice", "bob"])
            #expect(both.arrayValue?.allSatisfy { $0["id"] == 1 } == true)
            #expect(try await fixture.count(.service, "shared", filter: ["must": [["has_id": [1]]]]) == 2)
            try await fixture.result(
                .service, "POST", "/collections/shared/points/payload?wait=true",
                ["payload": ["seen": true], "points": [1]])
            for key in [alice, bob] {
                let point = try await fixture.result(key, "GET", "/collections/shared/points/1")
                #expect(point["payload"]?["seen"] == true)
            }
            let missing = try await fixture.send(
                .service, "POST", "/collections/shared/points/payload", ["payload": ["seen": true], "points": [7]])
            #expect(missing.status == 404)
            #expect(
                try await fixture.search(.service, "shared", 2) == [1, 1], "an example is left out of its own search")
            let pairs = try await fixture.result(
                .service, "POST", "/collections/shared/points/search/matrix/pairs", ["sample": 5, "limit": 2])
            #expect(pairs["pairs"]?.arrayValue?.isEmpty == false)
            #expect(
                pairs["pairs"]?.arrayValue?.allSatisfy { $0["a"]?.intValue != nil && $0["b"]?.intValue != nil } == true)
            try await fixture.result(
                .service, "POST", "/collections/shared/points/delete?wait=true", ["points": [1, 404]])
            #expect(try await fixture.count(.service, "shared") == 1)
        }
    }

    @Test func whatIsRemovedHereIsRemovedThere() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let (alice, bob) = (Key.person(fixture.alice), Key.person(fixture.bob))
            guard let remote = fixture.remote else { return }
            func counts() async throws -> [Int?] {
                let row = try await remote.observe(
                    "select (select count(*) from vectors.collections), (select count(*) from vectors.points)")[0]
                return [row[0].int, row[1].int]
            }
            try await fixture.create(.service, "shared")
            for name in ["notes", "passing"] {
                try await fixture.create(alice, name)
                try await fixture.upsert(alice, name, [point(1)])
            }
            try await fixture.upsert(alice, "shared", [point(1), point(2)])
            try await fixture.upsert(bob, "shared", [point(1)])
            #expect(try await counts() == [3, 5])
            try await fixture.result(alice, "DELETE", "/collections/passing")
            try await eventually("the collection is gone") { try await counts() == [2, 4] }
            try await fixture.project.server.exec("delete from tenancy.tenants where id = '\(fixture.alice.tenant)'")
            try await eventually("the tenant is gone") { try await counts() == [1, 1] }
            #expect(try await fixture.count(bob, "shared") == 1)
            // What a request that was on its way has written is looked for once more.
            let later = try await fixture.observe(
                "select payload, run_at > now() from jobs.jobs where queue = 'vectors_external'")
            #expect(later.rowCount == 1 && later[0][0].string == "tenant \(fixture.alice.tenant)")
            #expect(later[0][1].bool == true)
        }
    }

    @Test func aCollectionThatIsMissingBehindIsMadeAnew() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            let again = try await fixture.send(
                alice, "PUT", "/collections/notes", ["vectors": ["size": 4, "distance": "Dot"]])
            #expect(again.status == 409)
            try await fixture.remote?.project.server.exec("delete from vectors.collections")
            let lost = try await fixture.send(alice, "POST", "/collections/notes/points/count", [:])
            #expect(lost.status == 404)
            #expect(
                lost.json["status"]?["error"]
                    == "Not found: Collection `notes` is missing in the external Qdrant: create it again")
            try await fixture.create(alice, "notes", size: 2)
            try await fixture.upsert(alice, "notes", [point(1, [1, 0])])
            #expect(try await fixture.count(alice, "notes") == 1)
        }
    }

    @Test func saysWhenTheOtherServerIsAway() async throws {
        let port = try freePorts(1)[0]
        try await VectorsFixture.run(externalURL: "http://127.0.0.1:\(port)") { fixture in
            let alice = Key.person(fixture.alice)
            let made = try await fixture.send(
                alice, "PUT", "/collections/notes", ["vectors": ["size": 4, "distance": "Dot"]])
            #expect(made.status == 503)
            #expect(
                made.json["status"]?["error"] == "Service internal error: the external Qdrant is not available")
            #expect(made.headers["retry-after"] != nil)
            #expect(try await fixture.send(.none, "GET", "/readyz").status == 503)
            #expect(try await fixture.send(.none, "GET", "/livez").status == 200)
            // Nothing is left of it but the order to remove what may have been made.
            #expect(try await fixture.result(alice, "GET", "/collections")["collections"] == [])
            let jobs = try await fixture.observe(
                "select count(*) from jobs.jobs where queue = 'vectors_external' and payload like 'collection %'")
            #expect(jobs[0][0].int == 1)
        }
    }

    /// A server that says nothing holds up no more than the calls that may be under way, and those for their time.
    @Test func givesUpOnASilentServer() async throws {
        let silent = try #require(SilentServer())
        try await VectorsFixture.run(externalURL: "http://127.0.0.1:\(silent.port)") { fixture in
            try await fixture.project.server.exec(
                "insert into vectors.collections (name, bucket, settings, is_external) values ('shared', 0, '{\"config\": {}, \"slots\": {}}', true)"
            )
            let answers = try await withThrowingTaskGroup(of: TestHTTPResponse.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        try await fixture.send(
                            .person(fixture.alice), "POST", "/collections/shared/points/count?timeout=1", [:])
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let statuses = answers.map(\.status)
            #expect(Set(statuses) == [408, 503], "\(statuses)")
            #expect(
                answers.filter { $0.status == 503 }.allSatisfy {
                    $0.json["status"]?["error"] == "Service internal error: too many calls are under way"
                })
            #expect(
                answers.filter { $0.status == 408 }.allSatisfy {
                    $0.json["status"]?["error"] == "Timeout: the external Qdrant did not answer in time"
                })
        }
        _ = silent
    }

    /// Collections stay where they were made.
    @Test func keepsToTheStoreACollectionWasMadeIn() async throws {
        try await VectorsFixture.run { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "notes")
            // As one that was made while an address was configured.
            try await fixture.project.server.exec("update vectors.collections set is_external = true, revision = 2")
            for (method, path, body) in [
                ("GET", "/collections/notes", nil), ("POST", "/collections/notes/points/count", [:]),
                ("PUT", "/collections/notes/points", ["points": [point(1)]]),
            ] as [(String, String, JSON?)] {
                #expect(try await fixture.send(alice, method, path, body).status == 503, "\(method) \(path)")
            }
            #expect(try await fixture.result(alice, "GET", "/collections/notes/exists")["exists"] == true)
            #expect(try await fixture.observe("select count(*) from vectors.points")[0][0].int == 0)
        }
        try await VectorsFixture.run(on: .external) { fixture in
            let alice = Key.person(fixture.alice)
            try await fixture.create(alice, "new")
            try await fixture.create(alice, "old")
            // As one that was made before.
            try await fixture.project.server.exec(
                "update vectors.collections set is_external = false, revision = 2 where name = 'old'")
            try await fixture.upsert(alice, "old", [point(1)])
            #expect(try await fixture.count(alice, "old") == 1)
            #expect(try await fixture.observe("select count(*) from vectors.points")[0][0].int == 1)
            for (one, other) in [("old", "new"), ("new", "old")] {
                let lookup = try await fixture.send(
                    alice, "POST", "/collections/\(one)/points/query",
                    ["query": 1, "lookup_from": ["collection": .string(other)]])
                #expect(lookup.status == 400, "\(one): \(lookup.text)")
            }
        }
    }

    @Test func aRoleOfRequestsCannotChooseTheNameBehind() async throws {
        try await VectorsFixture.run(on: .external) { fixture in
            try await fixture.create(.person(fixture.alice), "notes")
            for statement in [
                "insert into vectors.collections (name, bucket, settings, is_external, external_id) values ('x', 0, '{}', true, gen_random_uuid())",
                "update vectors.collections set external_id = gen_random_uuid()",
                "update vectors.collections set is_external = false",
            ] {
                for role in ["authenticated", "service_role"] {
                    await #expect(throws: (any Error).self, "\(role): \(statement)") {
                        _ = try await fixture.project.server.exec("begin; set local role \(role); \(statement)")
                    }
                }
            }
        }
    }

    // MARK: Writing requests

    /// Settings that cost the other server something for everybody are the operator's to choose.
    private static let settings: [(String, Set<String>, Set<String>)] = [
        (
            #"{"shard_number": 4, "vectors": {"size": 4, "distance": "Dot", "on_disk": true}}"#, ["vectors"],
            ["vectors", "shard_number"]
        ),
        (
            #"{"wal_config": {"wal_capacity_mb": 9000}, "on_disk_payload": true}"#, ["on_disk_payload"],
            ["on_disk_payload", "wal_config"]
        ),
        (
            #"{"strict_mode_config": {"enabled": false}, "metadata": {"a": {"b": 1}}}"#, ["metadata"],
            ["metadata", "strict_mode_config"]
        ),
        (#"{"init_from": {"collection": "atoll_x"}, "uuid": "x", "sharding_method": "custom", "timeout": 1}"#, [], []),
    ]

    @Test(arguments: settings)
    func passesOnWhatMayBeChosen(_ config: String, _ token: Set<String>, _ service: Set<String>) throws {
        let config = try #require(try JSON(parsing: config).objectValue)
        #expect(Set(try ExternalSettings.creation(config, isService: false).names) == token)
        #expect(Set(try ExternalSettings.creation(config, isService: true).names) == service)
    }

    @Test func tenantsChooseNoThreadsOfTheOptimizer() throws {
        let config: JSONObject = ["optimizers_config": ["indexing_threshold": 1, "max_optimization_threads": 64]]
        #expect(
            try ExternalSettings.creation(config, isService: false)["optimizers_config"] == ["indexing_threshold": 1])
        #expect(
            try ExternalSettings.creation(config, isService: true)["optimizers_config"] == config["optimizers_config"])
    }

    @Test func idsOfTenantsDoNotMeet() {
        let (one, other) = (UUID.random(), UUID.random())
        let ids: [PointID] = [.number(0), .number(1), .number(.max), .uuid(.zero), .uuid(one)]
        let stored = Set([one, other].flatMap { tenant in ids.map { ExternalSpace.id(of: $0, in: tenant) } })
        #expect(stored.count == 10)
        for case .uuid(let uuid) in stored { #expect(uuid.bytes[6] >> 4 == 8 && uuid.bytes[8] >> 6 == 2) }
    }

    @Test(arguments: [
        ("a.b", "a.b"), ("a[].b[0]", "a[].b[0]"), ("\"a.b\".c", "\"a.b\".c"), ("\"tenant\"", "tenant"),
        ("a b", "\"a b\""), ("straße", "\"straße\""), ("\"payload\"", "payload"),
    ])
    func writesPathsInOneForm(_ given: String, _ expected: String) throws {
        #expect(ExternalSpace.text(of: try PayloadPath(given)) == expected)
    }

    @Test func knowsEveryRouteOfACollection() throws {
        #expect(ExternalEndpoint(.get, "/collections") == nil)
        #expect(ExternalEndpoint(.get, "/vectors/v1/collections/:collection") == .info)
        #expect(ExternalEndpoint(.post, "/collections/:collection/points/query") == .query(.query))
        #expect(ExternalEndpoint(.post, "/collections/:collection/points/surprise") == .unknown)
    }
}
