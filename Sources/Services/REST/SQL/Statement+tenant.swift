// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Postgres
internal import Primitives

extension Statement {
    /// The statement as it is run in a tenant's own schema. Its names have no schema, and what comes of it is text.
    func entering(_ tenant: UUID, _ plan: Plan, maxBytes: Int) throws(PostgresError) -> Statement {
        var statement = self
        var columnCount = addedColumn
        if case .plan = plan.media { columnCount = 1 }
        statement.query = try TenantDirectory.entering(tenant, query, columnCount: columnCount)
        statement.estimate = try estimate.map { query throws(PostgresError) in
            try TenantDirectory.entering(tenant, query, columnCount: 1)
        }
        if guarded != nil {
            var query = statement.guarded(maxBytes: maxBytes)
            query.isPrepared = false
            statement.guarded = query
        }
        return statement
    }
}
