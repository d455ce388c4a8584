// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Answers for collections that the external Qdrant keeps.
///
/// PostgreSQL decides with each request who reaches what: the names, whose a collection is, and whether the caller may see it stay
/// there under row level security, and the tenant of a request is what it says. Only then is the other server asked, in terms that
/// keep to that tenant (``ExternalSpace``).
struct ExternalGateway: Sendable {
    let service: VectorsService
    let store: ExternalQdrant

    /// - Returns: nil for a collection that the server keeps itself, or that is not there for the caller.
    func answer(
        _ endpoint: ExternalEndpoint, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse? {
        guard endpoint != .catalog else { return nil }
        let name = try service.collectionName(request)
        do {
            guard try await service.collection(name, caller).isExternal else { return nil }
        } catch let error as VectorsError where error.code == .notFound {
            return nil
        }
        switch endpoint {
        case .catalog: return nil
        case .unknown: throw VectorsError(.unsupported, "The external Qdrant's collections do not take this call")
        case .info: return try await info(request, caller, envelope)
        case .update: return try await update(request, caller, envelope)
        case .addVector: return try await addVector(request, caller, envelope)
        case .removeVector: return try await removeVector(request, caller, envelope)
        case .createIndex: return try await createIndex(request, caller, envelope)
        case .deleteIndex: return try await deleteIndex(request, caller, envelope)
        case .change(let name): return try await change(name, request, caller, envelope)
        case .batch: return try await batch(request, caller, envelope)
        case .retrieve: return try await retrieve(request, caller, envelope)
        case .retrieveOne: return try await retrieveOne(request, caller, envelope)
        case .scroll: return try await scroll(request, caller, envelope)
        case .count: return try await count(request, caller, envelope)
        case .facet: return try await facet(request, caller, envelope)
        case .query(let form): return try await query(form, request, caller, envelope)
        case .queryBatch(let form): return try await queryBatch(form, request, caller, envelope)
        case .groups(let form): return try await groups(form, request, caller, envelope)
        case .matrix(let asPairs): return try await matrix(request, caller, envelope, asPairs: asPairs)
        }
    }

    // MARK: Who reaches what

    /// Finds a collection and what of it the caller reaches now, and works with it.
    func withSpace<T>(
        _ name: String, _ caller: Caller, isLookup: Bool = false, _ body: (ExternalSpace) async throws -> T
    ) async throws -> T {
        try await service.withCollection(name, caller, isLookup: isLookup, takesExternal: true) { collection in
            let (space, _) = try await enter(collection, caller)
            return try await body(space)
        }
    }

    /// Asks PostgreSQL, with the caller's rights, whether the collection is open to them and which tenant they speak for.
    ///
    /// - Parameter owners: users that payloads name.
    /// - Throws: `PostgresError` VC001 when the collection is not what the server remembers, or not open to the caller.
    func enter(
        _ collection: VectorCollection, _ caller: Caller, naming owners: Set<String> = []
    ) async throws -> (ExternalSpace, ExternalOwners) {
        guard collection.isExternal else {
            throw VectorsError(
                .badRequest, "collections of this server and of the external Qdrant cannot look into each other")
        }
        var queries: [PostgresQuery] = ["select tenancy.current_tenant() as tenant"]
        let isShared = collection.tenantID == nil
        if isShared, !owners.isEmpty {
            let names = Array(owners)
            queries.append(
                caller.isService
                    ? """
                    select o.owner, vectors.tenant_of_user(o.owner) as tenant
                    from unnest(\(names)::text[]) as o (owner)
                    """
                    : """
                    select m.user_id::text as owner, m.tenant_id as tenant
                    from tenancy.members as m
                    where m.tenant_id = (select tenancy.current_tenant())
                        and m.user_id::text = any (\(names)::text[])
                    """)
        }
        let results = try await service.read(queries, of: collection, caller)
        var named: [String: UUID] = [:]
        if queries.count > 1 {
            for row in results[1].rows {
                guard let owner = row["owner"].string, let tenant = row["tenant"].uuid else { continue }
                named[owner] = tenant
            }
        }
        guard isShared else {
            return (ExternalSpace(collection: collection, reach: .whole), ExternalOwners())
        }
        if caller.isService {
            return (
                ExternalSpace(collection: collection, reach: .everyTenant),
                ExternalOwners(tenant: caller.tenant, tenants: named)
            )
        }
        guard let tenant = results[0].onlyRow?["tenant"].uuid else {
            throw VectorsError.collectionNotFound(collection.name)
        }
        return (
            ExternalSpace(collection: collection, reach: .tenant(tenant)),
            ExternalOwners(members: Set(named.keys))
        )
    }

    // MARK: Asking

    /// Writes a request, looking up the ids it needs first, where one id may stand for points of several tenants.
    func written<T>(
        _ space: ExternalSpace, lookups: [String: ExternalSpace] = [:], _ timeout: Duration,
        _ write: (inout ExternalWriter) throws -> T
    ) async throws -> (T, ExternalWriter) {
        var writer = ExternalWriter(space, lookups: lookups)
        let first = try write(&writer)
        guard !writer.unknown.isEmpty else { return (first, writer) }
        var space = space
        var lookups = lookups
        if let ids = writer.unknown[space.collection.id] {
            space.known = try await storedIDs(ids, in: space, timeout)
        }
        for (name, lookup) in lookups {
            guard let ids = writer.unknown[lookup.collection.id] else { continue }
            var lookup = lookup
            lookup.known =
                lookup.collection.id == space.collection.id
                ? space.known : try await storedIDs(ids, in: lookup, timeout)
            lookups[name] = lookup
        }
        writer = ExternalWriter(space, lookups: lookups)
        return (try write(&writer), writer)
    }

    /// The points behind each id, whosever they are; an empty list for none.
    private func storedIDs(
        _ ids: Set<PointID>, in space: ExternalSpace, _ timeout: Duration
    ) async throws -> [PointID: [PointID]] {
        var stored: [PointID: [PointID]] = [:]
        for id in ids { stored[id] = [] }
        let pageSize = 1000
        let filter: JSON = [
            "must": [
                [
                    "key": .string(ExternalSpace.idKey),
                    "match": ["any": .array(ids.map { .string("\($0)") })],
                ]
            ]
        ]
        var offset: JSON = .null
        repeat {
            var body: JSONObject = [
                "filter": filter, "limit": JSON(pageSize), "with_payload": [.string(ExternalSpace.idKey)],
            ]
            if offset != .null { body["offset"] = offset }
            let page = try await ask(.post, "points/scroll", .object(body), ExternalWriter(space), timeout)
            for record in page["points"]?.arrayValue ?? [] {
                guard let there = record["id"].flatMap({ PointID($0) }),
                    let id = space.id(of: record).flatMap({ PointID($0) })
                else { continue }
                stored[id, default: []].append(there)
            }
            offset = page["next_page_offset"] ?? .null
        } while offset != .null
        return stored
    }

    /// Calls the other server about a collection.
    ///
    /// - Parameters:
    ///   - path: below the collection; empty for itself.
    ///   - writer: what wrote the request, for the names in a refusal.
    func ask(
        _ method: HTTPMethod, _ path: String, _ body: JSON?, _ writer: ExternalWriter, _ timeout: Duration
    ) async throws -> JSON {
        try await ask(method, path, bytes: body?.encoded(), writer, timeout)
    }

    func ask(
        _ method: HTTPMethod, _ path: String, bytes: [UInt8]?, _ writer: ExternalWriter, _ timeout: Duration
    ) async throws -> JSON {
        let physicalName = writer.space.physicalName
        let suffix = path.isEmpty ? "" : "/\(path)"
        do {
            return try await store.call(method, "/collections/\(physicalName)\(suffix)", bytes, timeout: timeout)
        } catch var refusal as ExternalRefusal {
            for missing in [writer.space] + writer.lookups.values where refusal.isMissing(missing.physicalName) {
                throw VectorsError(
                    .notFound,
                    "Collection `\(missing.collection.name)` is missing in the external Qdrant: create it again")
            }
            refusal.text = writer.asGiven(refusal.text)
            throw VectorsError(refusal)
        }
    }
}
