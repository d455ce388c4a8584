// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `/health` for probes and `/metrics` for Prometheus.
///
/// Numbers of the whole server are for its operator: for who is on this machine, or has the secret key.
struct Health: Sendable {
    let database: Database
    let access: AccessControl
    let metrics: Metrics
    /// Whether the external Qdrant answers; nil where there is none.
    var isQdrantReady: (@Sendable () async -> Bool)?

    func register(on router: inout Router) {
        router.on(.get, "/health") { [database, isQdrantReady] _ in
            do {
                try await database.query("select 1")
                var body: JSONObject = ["status": "ok", "database": "ok", "version": .string(ServerVersion.current)]
                // The rest works without it: `/readyz` of Vectors refuses.
                if let isQdrantReady { body["qdrant"] = await isQdrantReady() ? "ok" : "unreachable" }
                return .json(.object(body))
            } catch {
                return .json(
                    ["status": "unavailable", "database": "unreachable", "version": .string(ServerVersion.current)],
                    status: .serviceUnavailable)
            }
        }
        // Monitors of Supabase Storage look below its own path.
        for path in ["/metrics", "/storage/v1/metrics"] {
            router.on(.get, path) { [metrics, access] request in
                guard Self.isLocal(request) || (try? access.principal(for: request))?.role == .serviceRole else {
                    throw HTTPError(401, "The metrics need the secret key, as `apikey` or bearer token")
                }
                return HTTPResponse(
                    .ok, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
                    body: .bytes(Array(metrics.exposition().utf8)))
            }
        }
    }

    /// Whether the request comes from this machine itself. One that was forwarded does not, whoever handed it on.
    private static func isLocal(_ request: HTTPRequest) -> Bool {
        let address = request.remoteAddress
        let isLoopback =
            address.hasPrefix("127.") || address == "::1" || address.hasPrefix("::ffff:127.") || address.isEmpty
        return isLoopback && request.headers["x-forwarded-for"] == nil && request.headers["forwarded"] == nil
            && request.headers["x-real-ip"] == nil
    }
}
