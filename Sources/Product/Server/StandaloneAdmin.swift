// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives
internal import REST

/// What the admin server of `atoll rest` answers: `/live` and `/ready` for probes, `/metrics` for Prometheus, and `/config` and
/// `/schema_cache` for people.
struct StandaloneAdmin: Sendable {
    let rest: StandaloneREST
    let schema: StandaloneSchema
    let database: Database
    let metrics: Metrics
    /// Whether requests are taken.
    let isMainUp: @Sendable () -> Bool

    var router: Router {
        var router = Router()
        router.group("", errors: { error, _ in HTTPResponse((error as? HTTPError)?.status ?? .internalServerError) }) {
            $0.on(.get, "/live") { _ in HTTPResponse(isMainUp() ? .ok : .internalServerError) }
            $0.on(.get, "/ready") { _ in HTTPResponse(readiness) }
            $0.on(.get, "/metrics") { _ in .text(await exposition()) }
            $0.on(.get, "/config") { _ in .text(rest.current.configuration.text(masksSecrets: true)) }
            $0.on(.get, "/schema_cache") { _ in
                .json(bytes: Array((rest.current.store?.json ?? "").utf8))
            }
        }
        return router
    }

    private var readiness: HTTPStatus {
        switch schema.status {
        case .pending: .serviceUnavailable
        case .loaded: isMainUp() ? .ok : .internalServerError
        }
    }

    private func exposition() async -> String {
        let counts = await database.counts()
        let size = rest.current.configuration.poolSize
        metrics.gauge("pgrst_db_pool_max", "Max pool connections").set(size)
        metrics.gauge("pgrst_db_pool_available", "Available connections in the pool").set(max(0, size - counts.busy))
        metrics.gauge("pgrst_db_pool_waiting", "Requests waiting to acquire a pool connection").set(counts.waiting)
        return metrics.exposition()
    }
}
