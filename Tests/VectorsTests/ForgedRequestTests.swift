// SPDX-License-Identifier: Apache-2.0
import Glibc
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

@testable import Vectors

/// Two tenants send random requests that name each other's collections, ids, users and aliases. Nothing crosses.
///
/// ATOLL_FORGED_REQUESTS says how many.
@Suite struct ForgedRequestTests {
    private static let seeds: [UInt64] = [42, 43, 44, 45]

    /// Each tenant's rows carry a mark that no row of the other has.
    @Test(arguments: seeds, VectorsFixture.Store.allCases)
    func nothingCrosses(_ seed: UInt64, _ store: VectorsFixture.Store) async throws {
        // Two servers are asked for each of them with a store behind.
        let usual = store == .external ? 1000 : 4000
        let wanted = getenv("ATOLL_FORGED_REQUESTS").flatMap { Int(String(cString: $0)) } ?? usual
        let count = wanted / Self.seeds.count
        try await VectorsFixture.run(on: store) { fixture in
            let people = [fixture.alice, fixture.bob]
            for shared in ["shared", "qdrant_shared"] {
                try await fixture.create(.service, shared)
                for (number, person) in people.enumerated() {
                    try await fixture.upsert(
                        .service, shared,
                        (0..<6).map { id in
                            point(
                                JSON(id + 10 * number), [1, 0, 0, 0],
                                [
                                    "user_id": .string("\(person.id)"), "mark": .string("mark-of-\(number)"),
                                    "n": JSON(id),
                                ])
                        })
                }
                for field in ["mark", "n"] {
                    try await fixture.result(
                        .service, "PUT", "/collections/\(shared)/index",
                        ["field_name": .string(field), "field_schema": field == "n" ? "integer" : "keyword"])
                }
            }
            for (number, person) in people.enumerated() {
                for name in ["own", "own\(number)", "qdrant_user_\(person.id)"] {
                    try await fixture.create(.person(person), name)
                    try await fixture.upsert(
                        .person(person), name,
                        [point(1, [0, 1, 0, 0], ["mark": .string("mark-of-\(number)"), "n": 1])])
                }
            }
            var known = try await Self.state(fixture, people)
            // The names in a server behind, where there is one.
            let names = try await fixture.observe("select 'atoll_' || c.external_id from vectors.collections as c").rows
                .compactMap { $0[0].string }
            var generator = Forger(seed: seed, people: people, names: names)
            for _ in 0..<count {
                let number = generator.pick(2)
                let request = generator.request()
                let response = try await fixture.send(
                    .person(people[number]), request.method, request.path, request.body)
                // Whatever the answer is, the other's mark is not in it, and no request breaks the server.
                #expect(!response.text.contains("mark-of-\(1 - number)"), "\(request)")
                #expect(response.status < 500, "\(request): \(response.text)")
                // What a tenant removes or writes is its own: the other's rows stay as they were.
                if request.mayWrite {
                    let after = try await Self.state(fixture, people)
                    #expect(after[1 - number] == known[1 - number], "\(request)")
                    known = after
                }
            }
        }
    }

    /// What there is of each tenant, rows and collections, as the database has it.
    private static func state(_ fixture: VectorsFixture, _ people: [Account]) async throws -> [String] {
        var lines = try await fixture.observe(
            """
            select (
                select coalesce(string_agg(s.line, E'\\n' order by s.line), '')
                from (
                    select format('%s %s %s %s', c.name, p.id, p.payload, p.embedding) as line
                    from vectors.points as p
                    inner join vectors.collections as c on c.id = p.collection_id
                    where p.tenant_id = t.id
                    union all
                    select format('%s %s', c.name, c.settings) from vectors.collections as c where c.tenant_id = t.id
                    union all
                    select format('%s of %s', a.name, a.collection_id) from vectors.aliases as a where a.tenant_id = t.id
                ) as s
            )
            from unnest(\(people.map { "\($0.tenant)" })::text[]::uuid[]) with ordinality as t (id, place)
            order by t.place
            """
        ).rows.map { $0[0].string ?? "" }
        if let remote = fixture.remote {
            let external = try await Self.externalState(fixture, remote)
            for (number, person) in people.enumerated() {
                lines[number] += "\n" + (external["\(person.tenant)"] ?? []).sorted().joined(separator: "\n")
            }
        }
        return lines
    }

    /// The points in the server behind, by the tenant they belong to.
    private static func externalState(
        _ fixture: VectorsFixture, _ remote: VectorsFixture
    ) async throws -> [String: [String]] {
        var tenants: [String: String] = [:]
        for row in try await fixture.observe(
            "select 'atoll_' || c.external_id, coalesce(c.tenant_id::text, '') from vectors.collections as c"
        ).rows {
            tenants[row[0].string ?? ""] = row[1].string
        }
        var lines: [String: [String]] = [:]
        for row in try await remote.observe(
            """
            select c.name, p.payload ->> 'tenant', format('%s %s %s %s', c.name, p.id, p.payload, p.embedding)
            from vectors.points as p
            inner join vectors.collections as c on c.id = p.collection_id
            """
        ).rows {
            // What is in no collection of the server in front is gone for it, and on its way out behind.
            guard let owner = tenants[row[0].string ?? ""] else { continue }
            lines[owner.isEmpty ? row[1].string ?? "" : owner, default: []].append(row[2].string ?? "")
        }
        return lines
    }
}

/// Makes requests that try to reach what is another's.
struct Forger {
    struct Request: CustomStringConvertible {
        var method: String
        var path: String
        var body: JSON?
        var mayWrite = false

        var description: String { "\(method) \(path) \(body?.text ?? "")" }
    }

    private var state: UInt64
    private let people: [Account]
    private let names: [String]

    init(seed: UInt64, people: [Account], names: [String]) {
        state = seed
        self.names = names
        self.people = people
    }

    mutating func pick(_ count: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 33) % UInt64(count))
    }

    private mutating func pick<T>(_ values: [T]) -> T { values[pick(values.count)] }

    private mutating func collection() -> String {
        if pick(12) == 0 { return pick(names) }
        return pick(
            ["shared", "qdrant_shared", "own", "own0", "own1", "live", "theirs"]
                + people.map { "qdrant_user_\($0.id)" } + people.map { "qdrant_user_\($0.tenant)" })
    }

    private mutating func id() -> JSON { JSON(pick([0, 1, 2, 10, 11, 12, 99])) }

    private mutating func user() -> JSON {
        pick(people.flatMap { [JSON.string("\($0.id)"), .string("\($0.tenant)")] } + [nil, "*", 1, [], "nobody"])
    }

    private mutating func filter() -> JSON {
        switch pick(9) {
        case 7:
            return [
                "must": [
                    ["key": pick(["tenant", "\"tenant\"", "payload.tenant", "tenant_id"]), "match": ["value": user()]]
                ]
            ]
        case 8: return ["must_not": [["nested": ["key": pick(["payload", "tenant"]), "filter": ["must": []]]]]]
        case 0: return ["must": [["key": "user_id", "match": ["value": pick(people.map { JSON.string("\($0.id)") })]]]]
        case 1:
            return [
                "should": [
                    ["key": "mark", "match": ["value": "mark-of-0"]], ["key": "mark", "match": ["value": "mark-of-1"]],
                ]
            ]
        case 2: return ["must_not": [["key": "mark", "match": ["value": pick(["mark-of-0", "mark-of-1"])]]]]
        case 3: return ["must": [["has_id": [id(), id(), id()]]]]
        case 4: return ["min_should": ["conditions": [["is_empty": ["key": "absent"]]], "min_count": 0]]
        case 5: return ["must": [["key": "user_id", "match": ["any": .array(people.map { .string("\($0.id)") })]]]]
        default: return [:]
        }
    }

    private mutating func payload() -> JSON {
        var members: JSONObject = ["note": "forged", "user_id": user()]
        if pick(2) == 0 { members["tenant_id"] = user() }
        if pick(3) == 0 { members["user_id"] = nil }
        if pick(3) == 0 {
            members["tenant"] = user()
            members["id"] = .string(id().text)
            members["payload"] = ["note": "forged"]
        }
        return .object(members)
    }

    private mutating func operation() -> JSON {
        switch pick(6) {
        case 0:
            return [
                "upsert": ["points": [point(id(), [0, 0, 1, 0], payload()), point(id(), [1, 0, 1, 0], payload())]]
            ]
        case 1: return ["delete": ["points": [id(), id()]]]
        case 2: return ["delete": ["filter": filter()]]
        case 3: return ["set_payload": ["payload": payload(), "filter": filter()]]
        case 4: return ["overwrite_payload": ["payload": payload(), "points": [id()]]]
        default: return ["update_vectors": ["points": [["id": id(), "vector": [9, 9, 9, 9]]]]]
        }
    }

    mutating func request() -> Request {
        let name = collection()
        let path = "/collections/\(name)"
        let query: JSON = pick([0, 1]) == 0 ? [1, 0, 0, 0] : id()
        switch pick(24) {
        case 21:
            return Request(
                method: pick(["POST", "PUT"]), path: "\(path)/points/payload",
                body: [
                    "payload": payload(), "filter": filter(),
                    "key": pick(["tenant", "id", "payload", "user_id", "note", "payload.mark"]),
                ], mayWrite: true)
        case 22:
            return Request(
                method: "POST", path: "\(path)/points/payload/delete",
                body: ["keys": [pick(["tenant", "id", "payload", "user_id", "mark"])], "filter": filter()],
                mayWrite: true)
        case 0: return Request(method: "GET", path: path)
        case 1:
            return Request(
                method: "POST", path: "\(path)/points/query",
                body: ["query": query, "filter": filter(), "with_payload": true])
        case 2:
            return Request(
                method: "POST", path: "\(path)/points/scroll", body: ["filter": filter(), "limit": 100, "offset": id()])
        case 3:
            return Request(
                method: "POST", path: "\(path)/points", body: ["ids": [id(), id(), id()], "with_vector": true])
        case 4: return Request(method: "GET", path: "\(path)/points/\(id().text)")
        case 5: return Request(method: "POST", path: "\(path)/facet", body: ["key": "mark", "filter": filter()])
        case 6:
            return Request(
                method: "POST", path: "\(path)/points/query/groups",
                body: ["query": query, "group_by": "mark", "with_payload": true, "with_lookup": .string(collection())])
        case 7:
            return Request(
                method: "POST", path: "\(path)/points/query",
                body: ["query": id(), "lookup_from": ["collection": .string(collection())], "with_payload": true])
        case 8:
            return Request(
                method: "POST", path: "\(path)/points/query",
                body: [
                    "prefetch": [["query": query, "filter": filter()], ["filter": filter()]],
                    "query": ["fusion": "rrf"], "with_payload": true,
                ])
        case 9:
            return Request(
                method: "POST", path: "\(path)/points/recommend",
                body: ["positive": [id()], "negative": [id()], "limit": 10, "with_payload": true])
        case 10:
            return Request(
                method: "POST", path: "\(path)/points/search/matrix/pairs", body: ["sample": 20, "filter": filter()])
        case 11:
            return Request(
                method: "POST", path: "\(path)/points/query", body: ["query": ["order_by": "n"], "with_payload": true])
        case 12:
            return Request(
                method: "PUT", path: "\(path)/points", body: ["points": [point(id(), [0, 0, 0, 1], payload())]],
                mayWrite: true)
        case 13:
            return Request(
                method: "POST", path: "\(path)/points/delete",
                body: pick([0, 1]) == 0 ? ["filter": filter()] : ["points": [id(), id()]], mayWrite: true)
        case 14:
            return Request(
                method: "POST", path: "\(path)/points/payload", body: ["payload": payload(), "filter": filter()],
                mayWrite: true)
        case 15:
            return Request(
                method: "PUT", path: "\(path)/points/payload", body: ["payload": payload(), "points": [id()]],
                mayWrite: true)
        case 16:
            return Request(
                method: "POST", path: "\(path)/points/batch",
                body: ["operations": [operation(), operation(), operation()]], mayWrite: true)
        case 17:
            return Request(
                method: "POST", path: "/collections/aliases",
                body: [
                    "actions": [
                        [
                            "create_alias": [
                                "collection_name": .string(collection()),
                                "alias_name": .string(pick(["live", "theirs", name])),
                            ]
                        ], ["delete_alias": ["alias_name": .string(name)]],
                    ]
                ], mayWrite: true)
        case 18:
            return Request(
                method: "PUT", path: path, body: ["vectors": ["size": 4, "distance": "Dot"]], mayWrite: true)
        case 19: return Request(method: "DELETE", path: path, mayWrite: true)
        case 20:
            return Request(
                method: "PUT", path: "\(path)/points/vectors",
                body: ["points": [["id": id(), "vector": [7, 7, 7, 7]]]], mayWrite: true)
        default:
            return Request(
                method: pick(["GET", "GET", "PATCH"]), path: pick(["/aliases", "/collections", path]),
                body: ["metadata": ["a": 1]], mayWrite: true)
        }
    }
}
