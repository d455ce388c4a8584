// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    func registerCollections(on router: inout Router, prefix: String) {
        let path = "\(prefix)/collections"
        route(.get, path, on: &router, listCollections)
        route(.get, "\(path)/:collection", on: &router, collectionInfo)
        route(.get, "\(path)/:collection/exists", on: &router, collectionExists)
        route(.put, "\(path)/:collection", on: &router, createCollection)
        route(.patch, "\(path)/:collection", on: &router, updateCollection)
        route(.delete, "\(path)/:collection", on: &router, deleteCollection)
        route(.put, "\(path)/:collection/vectors/:vector", on: &router, addVector)
        route(.delete, "\(path)/:collection/vectors/:vector", on: &router, removeVector)
        route(.put, "\(path)/:collection/index", on: &router, createPayloadIndex)
        route(.delete, "\(path)/:collection/index/:field", on: &router, deletePayloadIndex)
        registerAliases(on: &router, prefix: prefix)
    }

    // MARK: Reading

    private func listCollections(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let scope: PostgresQuery =
            if caller.isService, let tenant = caller.tenant { "where c.tenant_id = \(tenant)" } else { "" }
        let results = try await run(
            [
                """
                select json_build_object(
                    'collections', coalesce(json_agg(json_build_object('name', n.name) order by n.name), '[]'))
                from (select distinct c.name from vectors.collections as c \(scope)) as n
                """
            ], caller)
        return envelope.response(bytes: results[0].copyBytes(0, 0))
    }

    private func collectionExists(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let name = try collectionName(request)
        do {
            try await withCollection(name, caller, takesExternal: true) { collection in
                _ = try await read([], of: collection, caller)
            }
        } catch let error as VectorsError where error.code == .notFound {
            return envelope.response(["exists": false])
        }
        return envelope.response(["exists": true])
    }

    private func collectionInfo(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        try await withCollection(try collectionName(request), caller) { collection in
            var queries: [PostgresQuery] = [Self.counts(collection)]
            var aliases = AliasCounter()
            for (key, _) in collection.payloadSchema {
                let path = try PayloadPath(key)
                let present = path.condition(on: "p.payload", &aliases) { value, _, _ in
                    "coalesce(\(value) <> 'null' and \(value) <> '[]', false)"
                }
                queries.append("select count(*) from \(collection.points) and \(present)")
            }
            let results = try await read(queries, of: collection, caller, timeout: statementTimeout(request))
            let counts = results[0][0]
            var payloadPoints: [String: Int] = [:]
            for (offset, entry) in collection.payloadSchema.enumerated() {
                payloadPoints[entry.key] = results[1 + offset].onlyRow?[0].int ?? 0
            }
            let plan = IndexPlan(collection, defaultThreshold: configuration.indexingThresholdKilobytes)
            let info = CollectionInfo(
                collection: collection, points: counts["points"].int ?? 0, indexedVectors: counts["indexed"].int ?? 0,
                isIndexing: plan.isBehind(unindexed: counts["unindexed"].int ?? 0), payloadPoints: payloadPoints)
            return envelope.response(info.json)
        }
    }

    /// Points, and vectors with and without an index, as the caller sees them.
    private static func counts(_ collection: VectorCollection) -> PostgresQuery {
        var indexed: PostgresQuery = "0"
        var unindexed: PostgresQuery = "0"
        for field in collection.settings.fields where field.isGraphable {
            let upTo = collection.indexedUpTo(field.slot)
            let rows: PostgresQuery =
                field.slot == 0
                ? "\(collection.points) and p.embedding is not null" : "\(collection.vectors(field.slot))"
            let version: PostgresQuery = field.slot == 0 ? "p.version" : "v.version"
            indexed += " + (select count(*) from \(rows) and \(version) <= \(upTo)::bigint)"
            unindexed += " + (select count(*) from \(rows) and \(version) > \(upTo)::bigint)"
        }
        return """
            select
                (select count(*) from \(collection.points)) as points, \(indexed) as indexed, \(unindexed) as unindexed
            """
    }

    // MARK: Making and removing

    private func createCollection(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let name = try collectionName(request)
        try Self.checkName(name)
        let settings = try CollectionSettings(
            creating: try await body(of: request), maxVectors: configuration.maxVectorsPerCollection)
        try await insert(name, settings, caller)
        return envelope.response(true)
    }

    /// Makes the collection.
    func insert(_ name: String, _ settings: CollectionSettings, _ caller: Caller) async throws {
        if let external {
            try await ExternalGateway(service: self, store: external).create(name, settings, caller)
        } else {
            _ = try await insertRow(name, settings, caller, isExternal: false)
        }
    }

    /// Makes a collection's row.
    ///
    /// - Returns: its id.
    func insertRow(
        _ name: String, _ settings: CollectionSettings, _ caller: Caller, isExternal: Bool
    ) async throws -> Int {
        let tenant: PostgresQuery
        if let named = caller.tenant {
            tenant = "\(named)::uuid"
        } else {
            guard caller.isService else { throw VectorsError(.forbidden, "the token names no tenant") }
            // The name of a user's collection says whose it is.
            let owner = name.hasPrefix("qdrant_user_") ? String(name.dropFirst(12)) : ""
            tenant = "vectors.tenant_of_user(\(owner))"
        }
        // A tenant may not hide a collection of the project behind one of its own.
        let sharedCollection: PostgresQuery = caller.isService ? "false" : "c.tenant_id is null"
        let sharedAlias: PostgresQuery = caller.isService ? "false" : "a.tenant_id is null"
        let conflicts: PostgresQuery = """
            select
                exists (
                    select from vectors.collections as c
                    where c.name = \(name) and (c.tenant_id is not distinct from t.id or \(sharedCollection))),
                exists (
                    select from vectors.aliases as a
                    where a.name = \(name) and (a.tenant_id is not distinct from t.id or \(sharedAlias))),
                t.id is not null
                    and (select count(*) from vectors.collections as c where c.tenant_id = t.id)
                        >= \(configuration.maxCollectionsPerTenant)::bigint
            from (select \(tenant)) as t (id)
            """
        let results: [PostgresResult]
        do {
            results = try await run(
                [
                    // One at a time for a tenant, so that the count holds; what the next statement sees is committed.
                    Self.lockNames(of: tenant),
                    conflicts,
                    """
                    insert into vectors.collections (tenant_id, name, bucket, settings, is_external)
                    select t.id, \(name), \(settings.isInline ? 0 : 8)::integer + floor(random() * 8)::integer,
                        \(settings.stored)::jsonb, \(isExternal)::boolean
                    from (select \(tenant)) as t (id)
                    where not exists (select from (\(conflicts)) as k (a, b, c)
                        where k.a or k.b or k.c)
                    on conflict do nothing
                    returning id
                    """,
                ], caller)
        } catch let error as PostgresError where error.sqlState == "42501" {
            throw VectorsError(.forbidden, "the token does not allow a collection `\(name)`", cause: error)
        } catch let error as PostgresError where error.sqlState == "23503" {
            throw VectorsError(.badRequest, "X-Atoll-Tenant names no tenant", cause: error)
        }
        if let id = results[2].onlyRow?[0].int { return id }
        let row = results[1][0]
        if row[1].bool == true, row[0].bool != true {
            throw VectorsError(
                .alreadyExists, "Can't create collection with name \(name). Alias with the same name already exists")
        }
        if row[2].bool == true, row[0].bool != true {
            throw VectorsError(
                .forbidden, "a tenant may have at most \(configuration.maxCollectionsPerTenant) collections")
        }
        throw VectorsError(.alreadyExists, "Collection `\(name)` already exists!")
    }

    /// Keeps others from giving names to collections and aliases of a tenant until the transaction ends.
    static func lockNames(of tenant: PostgresQuery) -> PostgresQuery {
        "select pg_advisory_xact_lock(hashtextextended('collections of ' || coalesce((\(tenant))::text, ''), 0))"
    }

    static func checkName(_ name: String, in path: String = "collection_name") throws {
        guard (1...maxNameBytes).contains(name.utf8.count), !name.contains(where: { "/\\<>:\"|?*\0".contains($0) })
        else { throw unusableName(name, in: path) }
    }

    /// The longest name of a collection or an alias.
    static let maxNameBytes = 255

    static func unusableName(_ name: String, in path: String) -> VectorsError {
        .outOfBounds(
            path,
            "value \(name.prefix(64)) invalid, must have 1 to \(maxNameBytes) bytes and none of / \\ < > : \" | ? *")
    }

    private func deleteCollection(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let name = try collectionName(request)
        do {
            let wasThere = try await withCollection(name, caller, takesExternal: true) { collection -> Bool in
                // An alias is not the collection.
                guard collection.name == name else { return false }
                let results = try await run(
                    [
                        "delete from vectors.collections as c where c.id = \(collection.id)::bigint",
                        "select from vectors.collections as c where c.id = \(collection.id)::bigint",
                    ], caller, timeout: configuration.maintenanceTimeout)
                catalog[CollectionCatalog.Key(caller, name)] = nil
                if results[0].affectedRows == 0, results[1].rowCount == 1 {
                    try requireChange(results[0], collection, caller)
                }
                return results[0].affectedRows == 1
            }
            return envelope.response(.bool(wasThere))
        } catch let error as VectorsError where error.code == .notFound {
            return envelope.response(false)
        }
    }

    // MARK: Changing

    private func updateCollection(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let change = try await body(of: request)
        try await withCollection(try collectionName(request), caller, isChange: true) { collection in
            var settings = collection.settings
            try settings.update(change)
            try await save(settings, [], collection, caller)
            builder?.consider(collection.id)
        }
        return envelope.response(true)
    }

    /// Stores changed settings. Of concurrent changes of one collection all but one fail on the revision and are made again.
    func save(
        _ settings: CollectionSettings, _ queries: [PostgresQuery], _ collection: VectorCollection, _ caller: Caller
    ) async throws {
        let results = try await write(
            [
                """
                update vectors.collections as c
                set settings = \(settings.stored)::jsonb, revision = c.revision + 1
                where c.id = \(collection.id)::bigint and c.revision = \(collection.revision)::bigint
                """
            ] + queries, to: collection, caller, timeout: configuration.maintenanceTimeout)
        try requireChange(results[0], collection, caller)
    }

    /// Row level security hides the project's collections from changes by a token.
    func requireChange(
        _ result: PostgresResult, _ collection: VectorCollection, _ caller: Caller
    ) throws {
        guard result.affectedRows != 1 else { return }
        if !caller.isService, collection.tenantID == nil {
            throw VectorsError(.forbidden, "the collection is the project's: the service key is needed")
        }
        // Somebody else's change came first: this one is made again over it.
        throw CollectionChanged()
    }

    private func addVector(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let name = request.parameters["vector"] ?? ""
        let params = try await body(of: request)
        try await withCollection(try collectionName(request), caller, isChange: true) { collection in
            var settings = collection.settings
            guard try settings.addVector(name, params) else { return }
            guard settings.isInline || !collection.settings.isInline else {
                throw VectorsError(
                    .badRequest,
                    "a vector of more than \(CollectionSettings.maxInlineSize) dimensions has to be there when the collection is made"
                )
            }
            guard settings.fields.count <= configuration.maxVectorsPerCollection else {
                throw VectorsError(
                    .badRequest, "a collection may have at most \(configuration.maxVectorsPerCollection) vectors")
            }
            try await save(settings, [], collection, caller)
        }
        return envelope.response(UpdateResult(request, version: clock.next()).json)
    }

    private func removeVector(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let name = request.parameters["vector"] ?? ""
        let version = clock.next()
        try await withCollection(try collectionName(request), caller, isChange: true) { collection in
            var settings = collection.settings
            let slot = try settings.removeVector(name)
            let removal: PostgresQuery =
                slot == 0
                ? """
                update vectors.points as p set embedding = null, version = \(version)::bigint
                where \(collection.isPoint) and p.embedding is not null
                """
                : "delete from vectors.named_vectors as v where \(collection.isVector(slot))"
            try await save(settings, [removal], collection, caller)
        }
        return envelope.response(UpdateResult(request, version: version).json)
    }

    // MARK: Indexes on payloads

    private func createPayloadIndex(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        guard let key = members["field_name"]?.stringValue else {
            throw VectorsError(.format, "missing field `field_name`")
        }
        _ = try PayloadPath(key)
        let index = try PayloadIndex(request: members["field_schema"])
        return try await changePayloadSchema(request, caller, envelope) { schema in
            guard schema.count < 200 else {
                throw VectorsError(.badRequest, "a collection may have at most 200 indexes")
            }
            schema[key] = index.json
        }
    }

    private func deletePayloadIndex(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let key = request.parameters["field"] ?? ""
        return try await changePayloadSchema(request, caller, envelope) { schema in schema[key] = nil }
    }

    private func changePayloadSchema(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope, _ change: (inout JSONObject) throws -> Void
    ) async throws -> HTTPResponse {
        let version = clock.next()
        try await withCollection(try collectionName(request), caller, isChange: true) { collection in
            let old = JSONObject(collection.payloadSchema.map { ($0.key, $0.index.json) })
            var schema = old
            try change(&schema)
            if schema == old { return }
            let results = try await write(
                [
                    """
                    update vectors.collections as c
                    set payload_schema = \(JSON.object(schema))::jsonb, revision = c.revision + 1
                    where c.id = \(collection.id)::bigint and c.revision = \(collection.revision)::bigint
                    """
                ], to: collection, caller)
            try requireChange(results[0], collection, caller)
        }
        return envelope.response(UpdateResult(request, version: version).json)
    }
}

extension PostgresResult {
    /// A cell's text.
    func copyBytes(_ row: Int, _ column: Int) -> [UInt8] { withBytes(row, column) { Array($0) } }
}
