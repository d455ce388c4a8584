// SPDX-License-Identifier: Apache-2.0
package import Postgres
package import Primitives
internal import Synchronization

/// Where the members of a tenant work: in the tables that all share, or in a schema of the tenant's own.
///
/// What is remembered here decides which shape a request is planned for, never what it may reach: ``entry`` asks the database
/// for that with every request, so that a token which outlived a membership opens nothing.
package final class TenantDirectory: Sendable {
    private let database: Database
    private let known: Mutex<RecentlyUsed<UUID, Bool>>

    /// - Parameter database: logs in as `authenticator`.
    package init(database: Database, maxEntries: Int = 100_000) {
        self.database = database
        known = Mutex(RecentlyUsed(maxEntries: maxEntries, maxCost: maxEntries))
    }

    /// The statement by which a request changes to its tenant's role and schema, to be run with the claims set; it fails with
    /// SQLSTATE 42501 for who is no member.
    package static let entry: PostgresQuery = """
        select set_config('role', e.role_name, true), set_config('search_path', e.search_path, true)
        from tenancy.enter_schema() as e
        """

    /// The schema that has the shape of all tenants' schemas.
    package static let template = "tenant_template"

    /// Whether the principal's tenant has a schema of its own that is ready.
    package func hasSchema(_ principal: Principal) async throws(PostgresError) -> Bool {
        guard principal.role == .authenticated, let tenant = principal.tenantID else { return false }
        if let answer = known.withLock({ $0.value(for: tenant, cost: 1) }) { return answer }
        let results = try await database.run(
            principal.unit(["select isolation, is_ready from tenancy.current_schema_state()"], readOnly: true))
        guard let row = results.first?.onlyRow else { return false }
        let isReady = row["is_ready"].bool ?? false
        // A schema that is being made will be there in a moment: that is asked again.
        if isReady || row["isolation"].string == "shared" {
            known.withLock { $0.insert(isReady, for: tenant, cost: 1) }
        }
        return isReady
    }

    /// To be called when a tenant's mode or schema has changed.
    package func forget(_ tenant: UUID) { known.withLock { $0.remove(tenant, cost: 1) } }

    /// Follows what other processes change, until the task is cancelled or the database is shut down.
    package func run() async {
        for await event in database.notifications(on: "atoll_tenants") {
            switch event {
            case .gap: known.withLock { $0.removeAll() }
            case .message(let payload, _): if let tenant = UUID(payload) { forget(tenant) }
            }
        }
    }
}
