// SPDX-License-Identifier: Apache-2.0
package import EventLoop
internal import HTTP
internal import Jobs
package import Postgres
package import Primitives

/// Removes from the external Qdrant what PostgreSQL has let go: collections whose row is gone, and the rows of removed tenants in the
/// project's collections.
///
/// Triggers queue a job for each in the transaction that removes the row, so that none is forgotten while the other server is away.
package struct ExternalRemoval: Sendable {
    private let store: ExternalQdrant
    private let database: Database
    private let log: Log

    /// - Parameter database: logs in as `atoll_vectors`.
    package init(store: ExternalQdrant, database: Database, log: Log) {
        self.store = store
        self.database = database
        self.log = log.with(.field("service", "vectors"))
    }

    /// Works until its task is cancelled.
    package func run(on loop: Loop, metrics: Metrics) async {
        var queue = JobQueue("vectors_external")
        // A month and a half, an hour apart at most.
        queue.maxAttempts = 1000
        await JobWorker(queue, database: database, loop: loop, log: log, metrics: metrics) { job in
            do {
                return try await remove(job.payload) ? .done : .hopeless("the job names nothing")
            } catch {
                return .failed(String(describing: (error as? VectorsError)?.message ?? "\(error)"))
            }
        }.run()
    }

    /// - Returns: whether the job could be read.
    private func remove(_ payload: String) async throws -> Bool {
        let words = payload.split(separator: " ")
        guard words.count == 2, let id = UUID(words[1]) else { return false }
        switch words[0] {
        case "collection": try await removeCollection(id)
        case "tenant": try await removeTenant(id)
        default: return false
        }
        return true
    }

    private func removeCollection(_ id: UUID) async throws {
        let rows = try await database.query(
            "select from vectors.collections as c where c.external_id = \(id) and c.is_external")
        guard rows.rowCount == 0 else { return }
        do {
            _ = try await store.call(.delete, "/collections/\(ExternalSpace.physicalName(of: id))")
        } catch let refusal as ExternalRefusal where refusal.status == 404 {
            // It is gone already.
        }
    }

    private func removeTenant(_ tenant: UUID) async throws {
        let rows = try await database.query(
            "select c.external_id from vectors.collections as c where c.is_external and c.tenant_id is null")
        let body: JSON = ["filter": ["must": [ExternalSpace.condition(of: tenant)]]]
        for id in rows.rows.compactMap({ $0["external_id"].uuid }) {
            do {
                _ = try await store.call(
                    .post, "/collections/\(ExternalSpace.physicalName(of: id))/points/delete?wait=true", body.encoded())
            } catch let refusal as ExternalRefusal where refusal.status == 404 {
                // A collection that is not there holds nothing.
            }
        }
    }
}
