// SPDX-License-Identifier: Apache-2.0

/// A transaction on a connection of its own, lent to the closure of ``Database/withTransaction(role:settings:readOnly:isolation:statementTimeout:_:)``.
///
/// Queries of concurrent child tasks are sent without waiting for each other and answered in order. After a failed query
/// PostgreSQL refuses all others and the transaction is rolled back at its end, whatever the closure returns.
package struct PostgresTransaction: Sendable {
    let lease: LeasedConnection
    let role: String?

    /// Runs one query.
    @discardableResult
    package func query(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let results = try await run([query])
        guard let result = results.first else { throw PostgresError(.misuse, "the query returned nothing") }
        return result
    }

    /// Runs queries in order, in one round trip.
    @discardableResult
    package func run(_ queries: [PostgresQuery]) async throws(PostgresError) -> [PostgresResult] {
        try await lease.run(queries, place: .transaction, role: role)
    }
}
