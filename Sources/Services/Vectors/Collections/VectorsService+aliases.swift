// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    func registerAliases(on router: inout Router, prefix: String) {
        route(.get, "\(prefix)/collections/:collection/aliases", on: &router, listCollectionAliases)
        route(.post, "\(prefix)/collections/aliases", on: &router, changeAliases)
        route(.get, "\(prefix)/aliases", on: &router, listAliases)
    }

    private func listAliases(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let scope: PostgresQuery =
            if caller.isService, let tenant = caller.tenant { "a.tenant_id = \(tenant)" } else { "true" }
        let results = try await run([Self.aliases(where: scope)], caller)
        return envelope.response(bytes: results[0].copyBytes(0, 0))
    }

    private func listCollectionAliases(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        try await withCollection(try collectionName(request), caller, takesExternal: true) { collection in
            let results = try await read(
                [Self.aliases(where: "a.collection_id = \(collection.id)::bigint")], of: collection, caller)
            return envelope.response(bytes: results[0].copyBytes(0, 0))
        }
    }

    private static func aliases(where condition: PostgresQuery) -> PostgresQuery {
        """
        select json_build_object(
            'aliases',
            coalesce(
                json_agg(json_build_object('alias_name', a.name, 'collection_name', c.name) order by a.name, a.id), '[]'))
        from vectors.aliases as a
        inner join vectors.collections as c on c.id = a.collection_id
        where \(condition)
        """
    }

    /// Carries out the actions in order, all or none.
    private func changeAliases(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        guard let list = try await body(of: request)["actions"]?.arrayValue else {
            throw VectorsError(.format, "missing field `actions`")
        }
        guard list.count <= configuration.maxQueries else { throw VectorsError(.badRequest, "too many actions") }
        let actions = try list.map { try AliasAction($0) }
        let unit = caller.principal.unit([])
        try await database.withTransaction(role: unit.role, settings: unit.settings) { transaction in
            // One change at a time, so that neither two of one alias meet nor an alias and a collection of its name.
            if !actions.isEmpty { try await transaction.query(Self.lockNames(of: "\(caller.tenant)::uuid")) }
            for action in actions { try await carryOut(action, caller, transaction) }
        }
        for name in actions.flatMap(\.names) { catalog[CollectionCatalog.Key(caller, name)] = nil }
        return envelope.response(true)
    }

    private func carryOut(
        _ action: AliasAction, _ caller: Caller, _ transaction: PostgresTransaction
    ) async throws {
        // A token's aliases are its tenant's; the service key's are the project's unless it names a tenant.
        let isOwn: PostgresQuery = "a.tenant_id is not distinct from \(caller.tenant)::uuid"
        func requireFree(_ name: String) async throws {
            let taken = try await transaction.query(
                """
                select from vectors.collections as a
                where a.name = \(name) and (\(isOwn) or \(!caller.isService)::boolean and a.tenant_id is null)
                limit 1
                """)
            guard taken.rowCount == 0 else {
                throw VectorsError(.alreadyExists, "Collection `\(name)` already exists!")
            }
        }
        switch action {
        case .create(let alias, let name):
            let found = try await transaction.query(Self.find(name, caller))
            guard found.rowCount > 0, let id = found[0]["id"].int else { throw VectorsError.collectionNotFound(name) }
            try Self.requireUnambiguous(found, name)
            try await requireFree(alias)
            try await transaction.run([
                "delete from vectors.aliases as a where a.name = \(alias) and \(isOwn)",
                """
                insert into vectors.aliases (tenant_id, name, collection_id)
                values (\(caller.tenant)::uuid, \(alias), \(id)::bigint)
                """,
            ])
        case .delete(let alias):
            try await transaction.query("delete from vectors.aliases as a where a.name = \(alias) and \(isOwn)")
        case .rename(let old, let new):
            try await requireFree(new)
            let found = try await transaction.query(
                "select from vectors.aliases as a where a.name = \(old) and \(isOwn)")
            guard found.rowCount == 1 else { throw VectorsError(.notFound, "Alias \(old) does not exists!") }
            guard old != new else { return }
            // It takes the place of an alias of that name, as one that is made does.
            try await transaction.run([
                "delete from vectors.aliases as a where a.name = \(new) and \(isOwn)",
                "update vectors.aliases as a set name = \(new) where a.name = \(old) and \(isOwn)",
            ])
        }
    }
}

/// One member of `actions`.
private enum AliasAction {
    case create(alias: String, collection: String)
    case delete(alias: String)
    case rename(old: String, new: String)

    init(_ value: JSON) throws {
        func text(_ action: JSON, _ name: String) throws -> String {
            guard let text = action[name]?.stringValue else { throw VectorsError(.format, "missing field `\(name)`") }
            return text
        }
        if let action = value["create_alias"] {
            self = .create(alias: try text(action, "alias_name"), collection: try text(action, "collection_name"))
        } else if let action = value["delete_alias"] {
            self = .delete(alias: try text(action, "alias_name"))
        } else if let action = value["rename_alias"] {
            self = .rename(old: try text(action, "old_alias_name"), new: try text(action, "new_alias_name"))
        } else {
            throw VectorsError(.format, "actions: expected create_alias, delete_alias or rename_alias")
        }
        switch self {
        case .create(let alias, _): try VectorsService.checkName(alias, in: "alias_name")
        case .rename(_, let new): try VectorsService.checkName(new, in: "new_alias_name")
        case .delete: break
        }
    }

    var names: [String] {
        switch self {
        case .create(let alias, _), .delete(let alias): [alias]
        case .rename(let old, let new): [old, new]
        }
    }
}
