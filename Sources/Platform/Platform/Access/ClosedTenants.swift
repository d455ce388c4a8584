// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Postgres
package import Primitives
internal import Synchronization

/// The tenants that are suspended or deleted, as the database says and announces: their tokens are refused before a service sees a
/// request, whatever the policies of the project's tables ask for.
///
/// Those are few, so all are kept in memory, and a request costs no look at the database. What policies ask of
/// `tenancy.current_tenant()` is closed in the transaction that closes the tenant; this follows within the time of a notification.
package final class ClosedTenants: Sendable {
    private let database: Database
    private let log: Log
    /// By tenant, its status.
    private let closed = Mutex<[UUID: String]>([:])

    /// - Parameter database: logs in as `atoll_tenancy`.
    package init(database: Database, log: Log) {
        self.database = database
        self.log = log
    }

    /// Reads them all; before the server takes requests, and whenever announcements may have been missed.
    package func load() async throws(PostgresError) {
        let found = try await database.query("select id, status from tenancy.tenants where status <> 'active'")
        let all = Dictionary(
            found.rows.compactMap { row in row["id"].uuid.map { ($0, row["status"].string ?? "") } },
            uniquingKeysWith: { first, _ in first })
        closed.withLock { $0 = all }
    }

    /// Reads one of them, for a server that has just changed it: who is told so finds it so in the next request.
    package func load(_ tenant: UUID) async throws(PostgresError) {
        let found = try await database.query("select status from tenancy.tenants where id = \(tenant)")
        let status = found.onlyRow?["status"].string
        closed.withLock { $0[tenant] = status == "active" ? nil : status }
    }

    /// Follows what the database announces, until the task is cancelled or the database is shut down.
    package func run() async {
        for await event in database.notifications(on: "atoll_tenant_status") {
            switch event {
            case .gap:
                do { try await load() } catch {
                    // What is known stays; the next gap, which the end of the trouble brings, reads anew.
                    log.warning("closed tenants not read", .field("error", String(describing: error)))
                }
            case .message(let payload, _):
                let parts = payload.split(separator: " ")
                guard parts.count == 2, let tenant = UUID(parts[0]) else { continue }
                closed.withLock { $0[tenant] = parts[1] == "active" ? nil : String(parts[1]) }
            }
        }
    }

    /// The gateway's answer to a token of a closed tenant; nil for all else. `/api` answers for itself: an owner opens a tenant there.
    package func refusal(of request: HTTPRequest, _ access: AccessControl) -> HTTPResponse? {
        guard closed.withLock({ !$0.isEmpty }), !request.path.hasPrefix("/api/"),
            let principal = access.caller(of: request), principal.role == .authenticated,
            let tenant = principal.tenantID, let status = closed.withLock({ $0[tenant] })
        else { return nil }
        let message = "The tenant of the token is \(status)"
        return .json(
            [
                "code": .string("tenant_\(status)"), "message": .string(message), "error": .string(message),
                "details": nil,
                "hint": "Switch to another tenant, or have an owner open this one",
            ], status: .forbidden)
    }
}
