// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    /// Finds a collection and works with it, again when it turns out to have changed since it was remembered.
    ///
    /// - Parameters:
    ///   - isLookup: whether the name is that of another collection, which a different text refuses.
    ///   - takesExternal: whether `body` knows what to do with a collection that the external Qdrant keeps.
    ///   - isChange: whether `body` changes the collection itself. Of those that do so at once one succeeds at a time, and the others
    ///     have to try as often as there are many.
    func withCollection<T>(
        _ name: String, _ caller: Caller, isLookup: Bool = false, takesExternal: Bool = false, isChange: Bool = false,
        _ body: (VectorCollection) async throws -> T
    ) async throws -> T {
        var attempts = 0
        while true {
            let isRemembered = catalog[CollectionCatalog.Key(caller, name)] != nil
            let collection = try await collection(name, caller, isLookup: isLookup)
            guard takesExternal || !collection.isExternal else { throw externalRefusal(name) }
            do {
                return try await body(collection)
            } catch {
                attempts += 1
                let state = (error as? PostgresError)?.sqlState ?? ""
                // VC001: removed, moved or altered. Deadlocks and failed serialisations have changed nothing either.
                var hasChanged = error is CollectionChanged || state == "VC001"
                // What settings that were remembered refuse, an index or a vector that was made since may allow.
                if !hasChanged, isRemembered, let refusal = error as? VectorsError,
                    [.badRequest, .wrongInput].contains(refusal.code)
                {
                    hasChanged = try await run([collection.check], caller)[0].rowCount != 1
                }
                guard attempts < (isChange ? 100 : 5), hasChanged || state == "40P01" || state == "40001" else {
                    throw error
                }
                if hasChanged { catalog[CollectionCatalog.Key(caller, name)] = nil }
            }
        }
    }

    /// Why a collection of the external Qdrant is not read here.
    private func externalRefusal(_ name: String) -> VectorsError {
        external == nil
            ? VectorsError(
                .unavailable, "Collection `\(name)` is kept in an external Qdrant, and QDRANT_URL names none")
            : VectorsError(
                .badRequest, "collections of this server and of the external Qdrant cannot look into each other")
    }

    /// A collection by its name or alias: the caller's own first, then those of the project.
    ///
    /// - Throws: ``VectorsError`` with `notFound`, also for a collection of another tenant.
    func collection(_ name: String, _ caller: Caller, isLookup: Bool = false) async throws -> VectorCollection {
        let key = CollectionCatalog.Key(caller, name)
        if let known = catalog[key] { return known }
        let results = try await run([Self.find(name, caller)], caller)
        let found = results[0]
        guard found.rowCount > 0 else {
            throw isLookup ? VectorsError.lookupNotFound(name) : VectorsError.collectionNotFound(name)
        }
        try Self.requireUnambiguous(found, name)
        guard let collection = VectorCollection(found[0]) else {
            throw VectorsError(
                .internalError, "internal error", cause: UnreadableCollection(id: found[0]["id"].int ?? 0))
        }
        catalog[key] = collection
        return collection
    }

    /// Refuses a name that the service key would find at several tenants.
    static func requireUnambiguous(_ found: PostgresResult, _ name: String) throws {
        guard found.rowCount > 1, found[0]["rank"].int == found[1]["rank"].int else { return }
        throw VectorsError(
            .badRequest, "several tenants have a collection `\(name)`: name the tenant in the header X-Atoll-Tenant")
    }

    /// For a token, row level security leaves the tenant's own and the project's. The service key sees all: of the project
    /// first, unless it names a tenant.
    static func find(_ name: String, _ caller: Caller) -> PostgresQuery {
        let scope: PostgresQuery =
            if caller.isService, let tenant = caller.tenant {
                "where f.tenant_id = \(tenant) or f.tenant_id is null"
            } else { "" }
        let preference: PostgresQuery =
            caller.isService && caller.tenant == nil
            ? "(f.tenant_id is not null)::integer" : "(f.tenant_id is null)::integer"
        return """
            select \(VectorCollection.columns), f.rank
            from (
                select f.collection_id, \(preference) * 2 + f.is_alias::integer as rank
                from (
                    select c.id as collection_id, c.tenant_id, false as is_alias
                    from vectors.collections as c
                    where c.name = \(name)
                    union all
                    select a.collection_id, a.tenant_id, true
                    from vectors.aliases as a
                    where a.name = \(name)
                ) as f
                \(scope)
            ) as f
            inner join vectors.collections as c on c.id = f.collection_id
            order by f.rank, c.id
            limit 2
            """
    }

    /// Runs queries as the caller in one unit of work.
    @discardableResult
    func run(
        _ queries: [PostgresQuery], _ caller: Caller, timeout: Duration? = nil
    ) async throws -> [PostgresResult] {
        var unit = caller.principal.unit(queries)
        unit.statementTimeout = timeout
        return try await database.run(unit)
    }

    /// Runs reads of a collection and makes sure that it was what the server thought.
    ///
    /// - Parameter isSmall: whether the rows are so small that their number bounds them; they are not counted as they come then.
    func read(
        _ queries: [PostgresQuery], of collection: VectorCollection, _ caller: Caller, isSmall: Bool = false,
        settings: [(name: String, value: String)] = [], timeout: Duration? = nil
    ) async throws -> [PostgresResult] {
        var unit = caller.principal.unit(queries + [collection.check])
        unit.readOnly = true
        // Most take a millisecond; those that do not are told by their statement's pace, and run on connections of their own.
        unit.isBrief = true
        unit.waitsBehindOthers = false
        if !isSmall { unit.maxResultBytes = caller.budget.bytes }
        unit.settings += settings
        if let timeout {
            unit.settings.append(("statement_timeout", "\(Int64((timeout.inSeconds * 1000).rounded(.up)))"))
        }
        var results = try await database.run(unit)
        guard results.popLast()?.rowCount == 1 else { throw CollectionChanged() }
        if !isSmall { caller.budget.take(results.reduce(0) { $0 + $1.byteCount }) }
        return results
    }

    /// Runs writes to a collection once it is certain to stay what the server thinks. The results are those of the writes.
    func write(
        _ queries: [PostgresQuery], to collection: VectorCollection, _ caller: Caller, timeout: Duration? = nil
    ) async throws -> [PostgresResult] {
        Array(try await run([collection.enter] + queries, caller, timeout: timeout).dropFirst())
    }

    /// The name in a request's path.
    func collectionName(_ request: HTTPRequest) throws -> String {
        guard let name = request.parameters["collection"] else { throw VectorsError(.format, "the path is not UTF-8") }
        guard name.utf8.count <= Self.maxNameBytes else { throw Self.unusableName(name, in: "collection_name") }
        return name
    }
}

/// A collection that was removed, moved or altered since it was remembered.
struct CollectionChanged: Error {}

/// A row of `vectors.collections` that this version cannot read.
struct UnreadableCollection: Error {
    var id: Int
}
