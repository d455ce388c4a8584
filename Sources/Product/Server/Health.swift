// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// `/health` for probes and `/metrics` for Prometheus.
struct Health: Sendable {
    let database: Database
    let metrics: Metrics

    func register(on router: inout Router) {
        router.on(.get, "/health") { [database] _ in
            do {
                try await database.query("select 1")
                return .json(["status": "ok", "database": "ok", "version": .string(ServerVersion.current)])
            } catch {
                return .json(
                    ["status": "unavailable", "database": "unreachable", "version": .string(ServerVersion.current)],
                    status: .serviceUnavailable)
            }
        }
        router.on(.get, "/metrics") { [metrics] _ in
            HTTPResponse(
                .ok, headers: ["Content-Type": "text/plain; version=0.0.4; charset=utf-8"],
                body: .bytes(Array(metrics.exposition().utf8)))
        }
    }
}
