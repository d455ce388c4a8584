// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives
internal import REST
internal import Synchronization

/// The REST service over a database that is somebody else's: what is in force, answers by it, and takes what is read anew.
final class StandaloneREST: Sendable {
    /// All that a reload replaces at once; a request keeps what it began with.
    struct Current: Sendable {
        var configuration: StandaloneConfiguration
        var authority: TokenAuthority
        var cors: StandaloneCORS
        /// Nil until the schema was read.
        var store: SchemaCacheStore?
        var service: RESTService?

        init(_ configuration: StandaloneConfiguration, metrics: Metrics) {
            self.configuration = configuration
            authority = TokenAuthority(configuration, metrics: metrics)
            cors = StandaloneCORS(allowedOrigins: configuration.allowedOrigins)
        }
    }

    private let state: Mutex<Current>
    private let metrics: Metrics
    private let accessLog: LogWriter
    private let timeouts: Counter
    private let onUnavailable: @Sendable () -> Void
    let log: Log

    /// - Parameters:
    ///   - accessLog: takes a line for each request that the log level lets through.
    ///   - onUnavailable: told of each answer for which the database was not there.
    init(
        _ configuration: StandaloneConfiguration, metrics: Metrics, log: Log, accessLog: LogWriter,
        onUnavailable: @escaping @Sendable () -> Void
    ) {
        state = Mutex(Current(configuration, metrics: metrics))
        self.metrics = metrics
        self.log = log
        self.accessLog = accessLog
        self.onUnavailable = onUnavailable
        timeouts = metrics.counter("pgrst_db_pool_timeouts_total", "The total number of pool connection timeouts")
    }

    var current: Current { state.withLock { $0 } }

    /// Puts another configuration in force. What belongs to the schema stays until that is read again.
    func use(_ configuration: StandaloneConfiguration, _ database: Database) {
        state.withLock { state in
            var next = Current(configuration, metrics: metrics)
            next.store = state.store
            if let store = state.store { next.service = service(configuration, next.authority, database, store) }
            state = next
        }
    }

    /// Puts a schema in force that was read with the configuration in force.
    func use(_ store: SchemaCacheStore, _ database: Database) {
        state.withLock { state in
            state.store = store
            state.service = service(state.configuration, state.authority, database, store)
        }
    }

    private func service(
        _ configuration: StandaloneConfiguration, _ authority: TokenAuthority, _ database: Database,
        _ store: SchemaCacheStore
    ) -> RESTService {
        RESTService(configuration.service, database: database, store: store, log: log) { request in
            try authority.identity(of: request)
        }
    }

    // MARK: Requests

    /// All paths and methods are the service's.
    func router(maxBodyBytes: Int) -> Router {
        var router = Router()
        let refuse: HTTPErrorMapping = { [self] error, request in
            let current = current
            var response = failure(error, request, current)
            finish(&response, request, role: nil, sql: nil, current)
            return response
        }
        router.group("", errors: refuse) { router in
            let methods: [HTTPMethod] = [.get, .head, .post, .patch, .put, .delete, .options]
            for pattern in ["/", "/*path"] {
                for method in methods {
                    router.on(method, pattern, maxBodyBytes: maxBodyBytes) { [self] in await respond(to: $0) }
                }
            }
        }
        return router
    }

    private func respond(to request: HTTPRequest) async -> HTTPResponse {
        let current = current
        if var preflight = current.cors.preflight(request) {
            identify(&preflight, request, current)
            return preflight
        }
        var role: String?
        var sql: String?
        var response: HTTPResponse
        do {
            guard let service = current.service else {
                // Who may not come in learns nothing, not even that the schema is not known.
                role = try current.authority.identity(of: request).role
                throw RESTError.schemaCacheUnavailable
            }
            response = try await service.respond(to: request, prefix: "") { observation in
                switch observation {
                case .identified(let identity): role = identity.role
                case .planned(let statement): sql = statement
                }
            }
        } catch {
            response = failure(error, request, current)
        }
        current.cors.apply(to: &response, for: request)
        finish(&response, request, role: role, sql: sql, current)
        return response
    }

    private func failure(_ error: any Error, _ request: HTTPRequest, _ current: Current) -> HTTPResponse {
        if let service = current.service { return service.response(to: error, request) }
        let refusal = error as? RESTError ?? .schemaCacheUnavailable
        return refusal.response(showsDetails: current.configuration.service.showsErrorDetails)
    }

    private func finish(
        _ response: inout HTTPResponse, _ request: HTTPRequest, role: String?, sql: String?, _ current: Current
    ) {
        identify(&response, request, current)
        let status = response.status.code
        if status == 503 { onUnavailable() }
        if status == 504 { timeouts.increment() }
        let level = current.configuration.logLevel
        guard AccessLogLine.isWritten(status, at: level) else { return }
        if current.configuration.logsQueries, let sql { log.info("query", .field("sql", sql)) }
        accessLog.append(Array(AccessLogLine(request, role: role, response).text(at: .now()).utf8))
    }

    /// Says what answers, and repeats the field that requests are traced by.
    private func identify(_ response: inout HTTPResponse, _ request: HTTPRequest, _ current: Current) {
        if !response.headers.contains("server") {
            response.headers.append("Server", "atoll/\(ServerVersion.current) (PostgREST 14)")
        }
        // Its own `X-Request-Id` the server repeats itself.
        if let field = current.configuration.traceField, field.lowercased() != "x-request-id" {
            response.headers.set(field, request.headers[field] ?? "")
        }
    }
}
