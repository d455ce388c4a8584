// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension ExternalGateway {
    // MARK: Making

    /// Makes a collection: its row, then its counterpart in the other server. Without the one the other does not stay.
    ///
    /// A row whose counterpart is missing, since a server ended between the two or its data is lost, makes room for a new one.
    func create(_ name: String, _ settings: CollectionSettings, _ caller: Caller) async throws {
        do {
            try await make(name, settings, caller)
        } catch let error as VectorsError where error.code == .alreadyExists {
            guard try await removeIfMissing(name, caller) else { throw error }
            try await make(name, settings, caller)
        }
    }

    private func make(_ name: String, _ settings: CollectionSettings, _ caller: Caller) async throws {
        let body = try ExternalSettings.creation(settings.config, isService: caller.isService)
        let id = try await service.insertRow(name, settings, caller, isExternal: true)
        do {
            let rows = try await service.run(
                ["select \(VectorCollection.columns) from vectors.collections as c where c.id = \(id)::bigint"],
                caller)
            guard let row = rows[0].onlyRow, let collection = VectorCollection(row) else {
                throw VectorsError(.internalError, "internal error", cause: UnreadableCollection(id: id))
            }
            let space = ExternalSpace(
                collection: collection, reach: collection.tenantID == nil ? .everyTenant : .whole)
            try await makeCounterpart(of: space, body)
        } catch {
            // Its trigger has the counterpart removed, should it have been made all the same.
            _ = try? await service.run(
                ["delete from vectors.collections as c where c.id = \(id)::bigint"], caller)
            throw error
        }
    }

    private func makeCounterpart(of space: ExternalSpace, _ body: JSONObject) async throws {
        let writer = ExternalWriter(space)
        let timeout = service.configuration.maintenanceTimeout
        _ = try await ask(.put, "", .object(body), writer, timeout)
        guard space.isShared else { return }
        // What every search of a tenant's filters by, and what the service key finds ids by.
        for (key, schema) in [
            (ExternalSpace.tenantKey, ["type": "keyword", "is_tenant": true] as JSON),
            (ExternalSpace.idKey, "keyword"),
        ] {
            _ = try await ask(
                .put, "index?wait=true", ["field_name": .string(key), "field_schema": schema], writer, timeout)
        }
    }

    /// Removes the row of a collection that the other server does not have.
    private func removeIfMissing(_ name: String, _ caller: Caller) async throws -> Bool {
        let collection = try await service.collection(name, caller)
        // An alias is not the collection, and a project's is not a tenant's to remove.
        guard collection.isExternal, collection.name == name, caller.isService || collection.tenantID != nil else {
            return false
        }
        let physicalName = ExternalSpace(collection: collection, reach: .whole).physicalName
        let there = try await store.call(.get, "/collections/\(physicalName)/exists")
        guard there["exists"] == false else { return false }
        let results = try await service.run(
            ["delete from vectors.collections as c where c.id = \(collection.id)::bigint"], caller)
        service.catalog[CollectionCatalog.Key(caller, name)] = nil
        return results[0].affectedRows == 1
    }

    // MARK: Reading

    /// The other server's own description, with the numbers of what the caller reaches.
    func info(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            let found = try await ask(.get, "", nil, ExternalWriter(space), timeout)
            var shown = JSONObject()
            for name in [
                "status", "optimizer_status", "indexed_vectors_count", "points_count", "segments_count", "config",
            ] {
                shown[name] = found[name] ?? .null
            }
            if space.condition != nil {
                let count = try await self.count(nil, isExact: true, space, timeout)
                shown["points_count"] = JSON(count)
                shown["indexed_vectors_count"] = JSON(min(count, found["indexed_vectors_count"]?.intValue ?? 0))
                shown["segments_count"] = 1
            }
            shown["payload_schema"] = try await schema(found["payload_schema"]?.objectValue ?? [:], space, timeout)
            return envelope.response(.object(shown))
        }
    }

    /// The indexes on payloads under the client's names; those of the two members around the payload are not shown.
    private func schema(
        _ schema: JSONObject, _ space: ExternalSpace, _ timeout: Duration
    ) async throws -> JSON {
        guard space.isShared else { return .object(schema) }
        var shown = JSONObject()
        let prefix = "\(ExternalSpace.payloadKey)."
        for (key, index) in schema where key.hasPrefix(prefix) {
            guard let path = try? PayloadPath(String(key.dropFirst(prefix.count))),
                var members = index.objectValue
            else { continue }
            if space.condition != nil {
                let filter = Filter(mustNot: [.field(path, .isEmpty)])
                members["points"] = JSON(try await count(filter, isExact: true, space, timeout))
            }
            shown[path.text] = .object(members)
        }
        return .object(shown)
    }

    // MARK: Changing

    /// Asks PostgreSQL whether the caller may change the collection: row level security hides the project's from a token.
    private func requireChange(_ space: ExternalSpace, _ caller: Caller) async throws {
        let collection = space.collection
        let results = try await service.write(
            [
                """
                update vectors.collections as c set revision = c.revision
                where c.id = \(collection.id)::bigint and c.revision = \(collection.revision)::bigint
                """
            ], to: collection, caller)
        try service.requireChange(results[0], collection, caller)
    }

    func update(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let change = try await service.body(of: request)
        try await withSpace(try service.collectionName(request), caller) { space in
            var settings = space.collection.settings
            try settings.update(change)
            let body = try ExternalSettings.change(change, isService: caller.isService)
            try await requireChange(space, caller)
            _ = try await ask(
                .patch, "", .object(body), ExternalWriter(space), service.configuration.maintenanceTimeout)
            try await service.save(settings, [], space.collection, caller)
        }
        return envelope.response(true)
    }

    func addVector(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let name = request.parameters["vector"] ?? ""
        let params = try await service.body(of: request)
        try await withSpace(try service.collectionName(request), caller) { space in
            var settings = space.collection.settings
            let isNew = try settings.addVector(name, params)
            guard settings.fields.count <= service.configuration.maxVectorsPerCollection else {
                throw VectorsError(
                    .badRequest,
                    "a collection may have at most \(service.configuration.maxVectorsPerCollection) vectors")
            }
            let body = try ExternalSettings.vector(params)
            try await requireChange(space, caller)
            _ = try await ask(
                .put, "vectors/\(percentEncode(component: name))?wait=true", .object(body), ExternalWriter(space),
                service.configuration.maintenanceTimeout)
            if isNew { try await service.save(settings, [], space.collection, caller) }
        }
        return envelope.response(UpdateResult(request, version: service.clock.next()).json)
    }

    func removeVector(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let name = request.parameters["vector"] ?? ""
        try await withSpace(try service.collectionName(request), caller) { space in
            var settings = space.collection.settings
            _ = try settings.removeVector(name)
            try await requireChange(space, caller)
            _ = try await ask(
                .delete, "vectors/\(percentEncode(component: name))?wait=true", nil, ExternalWriter(space),
                service.configuration.maintenanceTimeout)
            try await service.save(settings, [], space.collection, caller)
        }
        return envelope.response(UpdateResult(request, version: service.clock.next()).json)
    }

    // MARK: Indexes on payloads

    func createIndex(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["field_name", "field_schema"])
        guard let key = members["field_name"]?.stringValue else {
            throw VectorsError(.format, "missing field `field_name`")
        }
        let path = try PayloadPath(key)
        let index = try PayloadIndex(request: members["field_schema"])
        let schema = try ExternalSettings.index(index)
        try await withSpace(try service.collectionName(request), caller) { space in
            let there = try await ask(
                .get, "", nil, ExternalWriter(space), service.configuration.maintenanceTimeout)
            guard (there["payload_schema"]?.objectValue?.count ?? 0) < 200 else {
                throw VectorsError(.badRequest, "a collection may have at most 200 indexes")
            }
            try await requireChange(space, caller)
            var writer = ExternalWriter(space)
            let body: JSON = ["field_name": writer.key(path), "field_schema": schema]
            _ = try await ask(
                .put, "index\(wait(request))", body, writer, service.configuration.maintenanceTimeout)
        }
        return envelope.response(UpdateResult(request, version: service.clock.next()).json)
    }

    func deleteIndex(_ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope) async throws -> HTTPResponse {
        let path = try PayloadPath(request.parameters["field"] ?? "")
        try await withSpace(try service.collectionName(request), caller) { space in
            try await requireChange(space, caller)
            var writer = ExternalWriter(space)
            let key = percentEncode(component: writer.keyText(path))
            _ = try await ask(
                .delete, "index/\(key)\(wait(request))", nil, writer, service.configuration.maintenanceTimeout)
        }
        return envelope.response(UpdateResult(request, version: service.clock.next()).json)
    }

    private func wait(_ request: HTTPRequest) -> String {
        let isAwaited = request.query.flatMap { FormFields(query: $0).first("wait") } == "true"
        return "?wait=\(isAwaited)"
    }
}
