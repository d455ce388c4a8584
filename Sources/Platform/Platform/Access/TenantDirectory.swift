// SPDX-License-Identifier: Apache-2.0
package import Postgres
package import Primitives
internal import Synchronization

/// Where the members of a tenant work: in the tables that all share, or in a schema of the tenant's own.
///
/// What is remembered here decides which shape a request is planned for, never what it may reach: for that ``entering(_:_:columnCount:)``
/// asks the database with every request, so that a token which outlived a membership opens nothing.
package final class TenantDirectory: Sendable {
    private let database: Database
    private let known: Mutex<RecentlyUsed<UUID, Bool>>

    /// - Parameter database: logs in as `authenticator`.
    package init(database: Database, maxEntries: Int = 100_000) {
        self.database = database
        known = Mutex(RecentlyUsed(maxEntries: maxEntries, maxCost: maxEntries))
    }

    /// The statement run in a tenant's schema with the tenant's rights, which the database gives to who is a member of it now, and to
    /// nobody else (SQLSTATE 42501). What it runs cannot change its role: it is inside of a definer function.
    ///
    /// - Parameter columnCount: how many columns the statement has, at most ``maxColumns``; their values come as text.
    package static func entering(
        _ tenant: UUID, _ query: PostgresQuery, columnCount: Int
    ) throws(PostgresError) -> PostgresQuery {
        precondition(columnCount <= maxColumns, "an entry has \(maxColumns) columns")
        let columns = (0..<columnCount).map { "c\($0)" }.joined(separator: ", ")
        var entry = PostgresQuery(
            sql: "select \(columns) from tenant_entry.\(quoteIdentifier(schemaName(tenant)))($1)",
            parameters: [try query.withLiterals()])
        // Another text for every tenant: kept prepared, they would push out what all share.
        entry.isPrepared = false
        return entry
    }

    private static let maxColumns = 8

    /// As `tenancy.schema_name()` has it.
    package static func schemaName(_ tenant: UUID) -> String { "tenant_" + tenant.description.filter { $0 != "-" } }

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
