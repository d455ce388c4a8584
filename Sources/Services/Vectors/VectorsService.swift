// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
package import Postgres
package import Primitives

/// Qdrant's REST API over PostgreSQL and pgvector.
///
/// A request runs as its principal under row level security; the service adds no conditions of its own on tenants.
package struct VectorsService: Sendable {
    let configuration: VectorsConfiguration
    let database: Database
    let access: AccessControl
    let catalog: CollectionCatalog
    let clock: OperationClock
    let collisions: CollisionMemory
    let builder: IndexBuilder?
    /// Keeps the collections that are made from now on in PostgreSQL's place.
    let external: ExternalQdrant?
    let metrics: Metrics
    let version: String
    let log: Log

    /// - Parameters:
    ///   - database: logs in as `authenticator`.
    ///   - builder: told of writes, so that it builds indexes in time; nil builds none.
    ///   - external: where new collections are kept; nil keeps them in PostgreSQL.
    ///   - version: the server's own, for `GET /`.
    package init(
        configuration: VectorsConfiguration = VectorsConfiguration(), database: Database, access: AccessControl,
        builder: IndexBuilder?, external: ExternalQdrant? = nil, metrics: Metrics = Metrics(), version: String,
        log: Log
    ) {
        self.configuration = configuration
        self.database = database
        self.access = access
        self.builder = builder
        self.external = external
        self.metrics = metrics
        self.version = version
        self.log = log.with(.field("service", "vectors"))
        catalog = CollectionCatalog(maxEntries: configuration.maxRememberedCollections)
        clock = OperationClock()
        collisions = CollisionMemory(maxEntries: configuration.maxRememberedCollections)
    }

    /// The version of Qdrant whose API this is; clients compare it with their own.
    static let protocolVersion = "1.18.0"

    /// Adds the routes under `prefix`: empty for Qdrant's own port, `/vectors/v1` beside the other services.
    package func register(on router: inout Router, prefix: String = "") {
        let build: (inout Router) -> Void = { router in
            registerService(on: &router, prefix: prefix)
            registerCollections(on: &router, prefix: prefix)
            registerPoints(on: &router, prefix: prefix)
            registerQueries(on: &router, prefix: prefix)
        }
        router.group(prefix, errors: answer, build)
    }

    /// Adds a route whose handler gets who is asking.
    func route(
        _ method: HTTPMethod, _ path: String, on router: inout Router,
        _ handler: @escaping @Sendable (HTTPRequest, Caller, Envelope) async throws -> HTTPResponse
    ) {
        let gateway = external.map { ExternalGateway(service: self, store: $0) }
        let endpoint = ExternalEndpoint(method, path)
        router.on(method, path, maxBodyBytes: configuration.maxBodyBytes) { [self] request in
            let envelope = Envelope()
            let caller = try Caller(request, access, maxAnswerBytes: configuration.maxAnswerBytes)
            try Self.checkParameters(request)
            if let gateway, let endpoint,
                let response = try await gateway.answer(endpoint, request, caller, envelope)
            {
                return response
            }
            return try await handler(request, caller, envelope)
        }
    }

    /// The query parameters that every call takes.
    private static func checkParameters(_ request: HTTPRequest) throws {
        guard let query = request.query else { return }
        let fields = FormFields(query: query)
        if let timeout = fields.first("timeout") {
            guard let seconds = Int(timeout), seconds >= 1 else {
                throw VectorsError(.parameter, "[timeout: value \(timeout.prefix(16)) invalid, must be 1 or larger]")
            }
        }
        if let ordering = fields.first("ordering"), !["weak", "medium", "strong"].contains(ordering) {
            throw VectorsError(.parameter, "[ordering: expected weak, medium or strong]")
        }
        if let consistency = fields.first("consistency"), !["majority", "quorum", "all"].contains(consistency),
            (UInt(consistency) ?? 0) < 1
        {
            throw VectorsError(.parameter, "[consistency: expected an integer of 1 or more, majority, quorum or all]")
        }
    }

    /// How long the request's queries may run.
    func statementTimeout(_ request: HTTPRequest) -> Duration {
        guard let text = request.query.flatMap({ FormFields(query: $0).first("timeout") }), let seconds = Int(text)
        else {
            return configuration.statementTimeout
        }
        return min(.seconds(seconds), configuration.statementTimeout)
    }

    /// The body as a JSON object; an empty one where there is no body.
    ///
    /// - Throws: ``VectorsError`` with `format`.
    func body(of request: HTTPRequest) async throws -> JSONObject {
        let bytes = try await request.body.collect()
        if bytes.isEmpty { return [:] }
        return try Self.object(parsing: bytes)
    }

    static func object(parsing bytes: some Collection<UInt8>) throws -> JSONObject {
        let value: JSON
        do { value = try JSON(parsing: bytes) } catch { throw VectorsError(.format, "\(error)") }
        guard let members = value.objectValue else { throw VectorsError(.format, "expected an object") }
        return members
    }

    // MARK: Errors

    /// The one place that turns errors into responses.
    private func answer(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let error = VectorsError(error)
        if let cause = error.cause, error.code.status.code >= 500 {
            log.error(
                "vectors request failed", .field("request_id", request.id), .field("code", error.code.rawValue),
                .field("cause", String(describing: cause)))
        }
        return error.response(after: .zero)
    }
}

extension VectorsService {
    /// What needs no collection.
    private func registerService(on router: inout Router, prefix: String) {
        let root: HTTPHandler = { [version] _ in
            .json([
                "title": "qdrant - vector search engine", "version": .string(Self.protocolVersion),
                "commit": .string(String(repeating: "0", count: 40)), "atoll": .string(version),
            ])
        }
        router.on(.get, prefix.isEmpty ? "/" : prefix, root)
        if !prefix.isEmpty { router.on(.get, "\(prefix)/", root) }
        for path in ["healthz", "livez"] {
            router.on(.get, "\(prefix)/\(path)") { _ in .text("healthz check passed") }
        }
        router.on(.get, "\(prefix)/readyz") { [external] _ in
            if let external, !(await external.isReady()) {
                return .text("the external Qdrant is not available", status: .serviceUnavailable)
            }
            return .text("all shards are ready")
        }
        route(.get, "\(prefix)/telemetry", on: &router) { [self] _, caller, envelope in
            guard caller.isService else { throw VectorsError(.forbidden, "the service key is needed") }
            let counted = try await run(["select count(*) from vectors.collections as c"], caller)
            return envelope.response([
                "id": "atoll", "app": ["name": "atoll", "version": .string(version)],
                "collections": ["number_of_collections": JSON(counted[0].onlyRow?[0].int ?? 0)],
            ])
        }
        if prefix.isEmpty {
            route(.get, "/metrics", on: &router) { [metrics] _, caller, _ in
                guard caller.isService else { throw VectorsError(.forbidden, "the service key is needed") }
                return .text(metrics.exposition())
            }
        }
        for (method, path) in [
            (HTTPMethod.get, "cluster"), (.post, "cluster/recover"), (.delete, "cluster/peer/:peer"),
            (.get, "snapshots"), (.post, "snapshots"), (.get, "snapshots/:snapshot"), (.delete, "snapshots/:snapshot"),
            (.get, "collections/:collection/cluster"), (.post, "collections/:collection/cluster"),
            (.get, "collections/:collection/snapshots"), (.post, "collections/:collection/snapshots"),
            (.get, "collections/:collection/snapshots/:snapshot"),
            (.delete, "collections/:collection/snapshots/:snapshot"),
            (.put, "collections/:collection/snapshots/recover"), (.post, "collections/:collection/snapshots/upload"),
            (.get, "collections/:collection/shards"), (.put, "collections/:collection/shards"),
            (.post, "collections/:collection/shards/delete"), (.get, "collections/:collection/optimizations"),
            (.get, "quotas"),
        ] {
            route(method, "\(prefix)/\(path)", on: &router) { _, _, _ in
                throw VectorsError(
                    .unsupported,
                    "Collections live in PostgreSQL, in standalone mode: there are no shards, peers or snapshots of their own"
                )
            }
        }
        route(.get, "\(prefix)/issues", on: &router) { _, _, envelope in envelope.response(["issues": []]) }
    }
}
