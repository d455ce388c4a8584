// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Testing

@testable import REST

/// From a request to its SQL, without a database.
struct PlanTests {
    private static let cache: SchemaCache = {
        var cache = SchemaCache.empty
        func relation(_ name: String, _ columns: [(String, String)]) {
            let qualified = QualifiedName(schema: "public", name: name)
            cache.relations[qualified] = Relation(
                name: qualified, columns: columns.map { Column(name: $0.0, type: $0.1, baseType: $0.1) },
                primaryKey: ["id"],
                isInsertable: true, isUpdatable: true, isDeletable: true, isTable: true)
        }
        relation(
            "items", [("id", "bigint"), ("name", "text"), ("data", "jsonb"), ("tags", "text[]"), ("owner", "uuid")])
        relation("owners", [("id", "uuid"), ("name", "text")])
        let items = QualifiedName(schema: "public", name: "items")
        let owners = QualifiedName(schema: "public", name: "owners")
        let link = Relationship.Link(constraint: "items_owner_fkey", pairs: [.init(from: "owner", to: "id")])
        cache.relationships[items] = [Relationship(source: items, target: owners, kind: .manyToOne(link))]
        cache.functions[QualifiedName(schema: "public", name: "add")] = [
            Function(
                name: QualifiedName(schema: "public", name: "add"),
                parameters: [
                    .init(name: "a", type: "integer", hasDefault: false, isVariadic: false),
                    .init(name: "b", type: "integer", hasDefault: true, isVariadic: false),
                ], result: .scalar, returnsSet: false, volatility: .immutable, settings: [])
        ]
        return cache
    }()

    private func statement(
        _ method: HTTPMethod, _ path: String, _ query: String? = nil, headers: HTTPHeaders = HTTPHeaders(),
        body: String? = nil
    ) throws -> Statement {
        let configuration = RESTConfiguration()
        let request = try APIRequest(
            method: method, path: path, query: query, headers: headers, configuration: configuration)
        let payload = try body.map {
            try Payload(Array($0.utf8), contentType: .json, columns: request.query.columns, isCall: false)
        }
        return Statement(try RESTService.plan(request, payload, Self.cache, configuration))
    }

    struct Refusal: Sendable {
        var method: HTTPMethod = .get
        var path: String
        var query: String?
        var headers: HTTPHeaders = HTTPHeaders()
        var body: String?
        var code: String
        var status: Int
    }

    @Test(arguments: [
        Refusal(path: "/nothing", code: "PGRST205", status: 404),
        Refusal(path: "/a/b/c", code: "PGRST125", status: 404),
        Refusal(path: "/rpc/nothing", code: "PGRST202", status: 404),
        Refusal(path: "/rpc/add", query: "b=1", code: "PGRST202", status: 404),
        Refusal(method: .delete, path: "/rpc/add", code: "PGRST101", status: 405),
        Refusal(path: "/items", query: "id=equals.1", code: "PGRST100", status: 400),
        Refusal(method: .delete, path: "/items", query: "id=eq.%ff", code: "PGRST100", status: 400),
        Refusal(method: .patch, path: "/items", query: "id=eq.%4", body: "{}", code: "PGRST100", status: 400),
        Refusal(path: "/items", query: "id=gt.1&%ed%a0%80=eq.1", code: "PGRST100", status: 400),
        Refusal(path: "/items", query: "limit=-1", code: "PGRST103", status: 416),
        Refusal(path: "/items", headers: ["Range": "9-3"], code: "PGRST103", status: 416),
        Refusal(path: "/items", headers: ["Accept": "image/png"], code: "PGRST107", status: 406),
        Refusal(path: "/items", headers: ["Accept-Profile": "auth"], code: "PGRST106", status: 406),
        Refusal(path: "/items", headers: ["Prefer": "handling=strict, nonsense"], code: "PGRST122", status: 400),
        Refusal(path: "/items", query: "select=*,things(*)", code: "PGRST200", status: 400),
        Refusal(path: "/items", query: "owners.name=eq.a", code: "PGRST108", status: 400),
        Refusal(path: "/items", query: "select=id.sum()", code: "PGRST123", status: 400),
        Refusal(method: .post, path: "/items", body: "{", code: "PGRST102", status: 400),
        Refusal(method: .post, path: "/items", body: #"[{"id":1},{"name":"a"}]"#, code: "PGRST102", status: 400),
        Refusal(method: .post, path: "/items", body: #"{"size":1}"#, code: "PGRST204", status: 400),
        Refusal(method: .put, path: "/items", query: "name=eq.a", body: #"{"id":1}"#, code: "PGRST105", status: 405),
        Refusal(
            method: .put, path: "/items", query: "id=eq.1&limit=1", body: #"{"id":1}"#, code: "PGRST114", status: 400),
    ])
    func refuses(_ refusal: Refusal) throws {
        let error = #expect(throws: RESTError.self) {
            try statement(
                refusal.method, refusal.path, refusal.query, headers: refusal.headers, body: refusal.body)
        }
        #expect(error?.code == refusal.code)
        #expect(error?.status == refusal.status)
    }

    @Test func suggestsSimilarNames() throws {
        let error = #expect(throws: RESTError.self) { try statement(.get, "/itemx") }
        #expect(error?.hint == "Perhaps you meant the table 'public.items'")
        let call = #expect(throws: RESTError.self) { try statement(.get, "/rpc/add", "a=1&c=2") }
        #expect(call?.hint == "Perhaps you meant to call the function public.add(a, b)")
    }

    @Test func bindsEveryValueAndQuotesEveryName() throws {
        let hostile = "x'); drop table items; --"
        let statement = try statement(
            .get, "/items",
            "select=%22\(hostile)%22:name,data->%22\(hostile)%22&name=eq.\(hostile)&or=(name.eq.%22\(hostile)%22,id.in.(1,2))&offset=3"
        )
        // The alias is the one thing of the client's that stands in the text, and there it is a quoted name.
        let text = statement.query.sql.replacing(quoteIdentifier(hostile), with: "")
        #expect(!text.contains("drop table"))
        #expect(statement.query.parameters.count == 5)
    }

    @Test func sameShapeIsTheSameText() throws {
        let first = try statement(.get, "/items", "id=eq.1&limit=1")
        let second = try statement(.get, "/items", "id=eq.2&limit=1")
        #expect(first.query.sql == second.query.sql)
        #expect(
            first.query.sql == """
                select count(*), nullif(current_setting('response.headers', true), ''), \
                coalesce(json_agg("_row".*), '[]'), nullif(current_setting('response.status', true), '') \
                from (select "items".* from "public"."items" where "items"."id" = $1 limit 1) as "_row"
                """)
    }

    @Test func returnsNoColumnsWhereNoneAreWanted() throws {
        let statement = try statement(.patch, "/items", "id=eq.1", body: #"{"name":"a"}"#)
        #expect(statement.query.sql.contains("returning 1)"))
        #expect(!statement.query.sql.contains("\"items\".*"))
    }

    @Test func capsRowsAtTheConfiguredMaximum() throws {
        #expect(try statement(.get, "/items").query.sql.contains("limit 1000)"))
        #expect(try statement(.get, "/items", "limit=5000").query.sql.contains("limit 1000)"))
        #expect(try statement(.get, "/items", "limit=10").query.sql.contains("limit 10)"))
    }

    @Test func embedsByForeignKey() throws {
        let statement = try statement(.get, "/items", "select=id,owner:owners!inner(name)&owners.name=like.A*")
        #expect(statement.query.sql.contains("join lateral"))
        #expect(statement.query.parameters.count == 1)
    }
}
