// SPDX-License-Identifier: Apache-2.0
internal import EventLoop

/// A connection lent to one caller until it is given back.
// @unchecked Sendable: confined to the loop of its pool.
final class LeasedConnection: @unchecked Sendable {
    let pool: Pool
    let connection: Connection
    private var isEnded = false
    private var isCopying = false
    /// The first error of a query, which has aborted the transaction it ran in.
    private(set) var firstError: PostgresError?

    init(pool: Pool, connection: Connection) {
        self.pool = pool
        self.connection = connection
    }

    /// Sends queries in one round trip and waits for all results.
    @discardableResult
    func run(_ queries: [PostgresQuery], place: QueryPlace?, role: String? = nil) async throws(PostgresError)
        -> [PostgresResult]
    {
        try checkUsable()
        let unit = WorkUnit(role: role, queries: queries)
        if let place, let refusal = unit.refusal(in: place) { throw refusal }
        switch await pool.run(Operation(.leased, unit), on: connection) {
        case .success(let results): return results
        case .failure(let error):
            if firstError == nil { firstError = error }
            throw error
        }
    }

    /// Refuses use after the closure it was lent to, on another loop, and while data is copied.
    func checkUsable() throws(PostgresError) {
        guard !isEnded else { throw PostgresError(.misuse, "the transaction has ended") }
        guard pool.loop.isOnLoop else { throw PostgresError(.misuse, "a transaction stays on the loop it began on") }
        guard !isCopying else { throw PostgresError(.misuse, "the connection is busy with COPY") }
    }

    func beginCopy() throws(PostgresError) {
        try checkUsable()
        isCopying = true
    }

    func endCopy() { isCopying = false }

    /// Nothing more may be sent by the borrower.
    func end() { isEnded = true }
}
