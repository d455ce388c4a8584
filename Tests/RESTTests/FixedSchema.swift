// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres

@testable import REST

/// A schema cache without a database: relations that lead to each other and to themselves in every way, and functions of every kind.
enum FixedSchema {
    static let cache: SchemaCache = {
        var cache = SchemaCache.empty
        let tree = relation(
            "tree",
            [("id", "bigint"), ("parent", "bigint"), ("name", "text"), ("data", "jsonb"), ("words", "tsvector")])
        let leaf = relation("leaf", [("id", "bigint"), ("tree", "bigint"), ("tags", "text[]"), ("owner", "uuid")])
        let owner = relation("owner", [("id", "uuid"), ("name", "text"), ("q\"uoted", "integer")])
        let junction = relation("tree_owner", [("tree", "bigint"), ("owner", "uuid")])
        for each in [tree, leaf, owner, junction] { cache.relations[each.name] = each }
        func link(_ constraint: String, _ from: String, _ to: String) -> Relationship.Link {
            Relationship.Link(constraint: constraint, pairs: [.init(from: from, to: to)])
        }
        func add(_ source: Relation, _ target: Relation, _ kind: Relationship.Kind) {
            cache.relationships[source.name, default: []].append(
                Relationship(source: source.name, target: target.name, kind: kind))
        }
        add(tree, tree, .manyToOne(link("tree_parent_fkey", "parent", "id")))
        add(tree, tree, .oneToMany(link("tree_parent_fkey", "id", "parent")))
        add(leaf, tree, .manyToOne(link("leaf_tree_fkey", "tree", "id")))
        add(tree, leaf, .oneToMany(link("leaf_tree_fkey", "id", "tree")))
        add(leaf, owner, .oneToOne(link("leaf_owner_fkey", "owner", "id"), isParent: false))
        add(owner, leaf, .oneToOne(link("leaf_owner_fkey", "id", "owner"), isParent: true))
        add(
            tree, owner,
            .manyToMany(
                junction: junction.name, source: link("to_tree", "id", "tree"), target: link("to_owner", "owner", "id"))
        )
        add(
            owner, tree,
            .manyToMany(
                junction: junction.name, source: link("to_owner", "id", "owner"), target: link("to_tree", "tree", "id"))
        )
        add(
            tree, leaf,
            .computed(function: QualifiedName(schema: "public", name: "oldest_leaf"), isToOne: true))
        for function in [
            function("add", [("a", "integer", false), ("b", "integer", true)], .scalar),
            function("trees", [("above", "bigint", true)], .composite(relation: tree.name), returnsSet: true),
            function("take", [("", "jsonb", false)], .scalar), function("none", [], .void),
        ] {
            cache.functions[function.name] = [function]
        }
        return cache
    }()

    private static func relation(_ name: String, _ columns: [(String, String)]) -> Relation {
        Relation(
            name: QualifiedName(schema: "public", name: name),
            columns: columns.map { Column(name: $0.0, type: $0.1, baseType: $0.1) },
            primaryKey: columns[0].0 == "id" ? ["id"] : columns.map(\.0), isInsertable: true, isUpdatable: true,
            isDeletable: true, isTable: true)
    }

    private static func function(
        _ name: String, _ parameters: [(String, String, Bool)], _ result: Function.Result, returnsSet: Bool = false
    ) -> Function {
        Function(
            name: QualifiedName(schema: "public", name: name),
            parameters: parameters.map { .init(name: $0.0, type: $0.1, hasDefault: $0.2, isVariadic: false) },
            result: result, returnsSet: returnsSet, volatility: .stable, settings: [])
    }
}

/// A request as bytes: a byte that chooses method and path, then the query, the preferences, the accepted types, the range and the
/// body, each ended by a line feed.
struct FuzzedRequest {
    private static let targets: [(HTTPMethod, String)] = [
        (.get, "/tree"), (.head, "/leaf"), (.get, "/owner"), (.post, "/tree"), (.patch, "/tree"), (.put, "/owner"),
        (.delete, "/leaf"), (.get, "/rpc/trees"), (.get, "/rpc/add"), (.post, "/rpc/take"), (.post, "/rpc/trees"),
        (.get, "/tree_owner"),
    ]

    let method: HTTPMethod
    let path: String
    let query: String
    let headers: HTTPHeaders
    let body: [UInt8]

    init(_ bytes: [UInt8]) {
        let target = Self.targets[Int(bytes.first ?? 0) % Self.targets.count]
        (method, path) = target
        let parts = bytes.dropFirst().split(
            separator: UInt8(ascii: "\n"), maxSplits: 4, omittingEmptySubsequences: false
        ).map { Array($0) }
        func text(_ index: Int) -> String { index < parts.count ? String(decoding: parts[index], as: UTF8.self) : "" }
        query = text(0)
        var headers = HTTPHeaders()
        for (index, name) in ["Prefer", "Accept", "Range"].enumerated() where !text(index + 1).isEmpty {
            headers.append(name, text(index + 1))
        }
        self.headers = headers
        body = parts.count > 4 ? parts[4] : []
    }

    /// Parses, plans and writes the request's statement and checks it.
    ///
    /// - Returns: what is wrong, nil for nothing; a refusal in the protocol's own form is nothing wrong.
    func problem(_ configuration: RESTConfiguration) -> String? {
        do throws(RESTError) {
            let request = try APIRequest(
                method: method, path: path, query: query, headers: headers, configuration: configuration)
            var payload: Payload?
            switch request.action {
            case .create, .update, .upsert, .call(readOnly: false):
                payload = try Payload(
                    body, contentType: request.contentType, columns: request.query.columns,
                    isCall: request.action == .call(readOnly: false))
            case .read, .delete, .inspect, .call(readOnly: true): break
            }
            let statement = Statement(try RESTService.plan(request, payload, FixedSchema.cache, configuration))
            for query in [statement.query, statement.estimate].compactMap(\.self) {
                // A NUL in a name: the connection sends no such statement (SQLSTATE 22021).
                if query.sql.utf8.contains(0) { continue }
                if query.sql.utf8.count > Self.maxStatementBytes {
                    return "a statement of \(query.sql.utf8.count) bytes"
                }
                if let problem = StatementCheck.problem(in: query.sql, parameterCount: query.parameters.count) {
                    return problem
                }
            }
            return nil
        } catch {
            return error.status < 500 ? nil : "\(error)"
        }
    }

    /// What no request may make a statement longer than.
    private static let maxStatementBytes = 16 << 20
}
