// SPDX-License-Identifier: Apache-2.0

/// One round trip on a connection: what is sent, who waits for it, and what has come back so far.
// @unchecked Sendable: touched on the loop of its pool alone, but for being named in the cancellation handler of the task
// that waits for it, which only hands it to that loop.
final class Operation: @unchecked Sendable {
    /// What surrounds the queries.
    enum Kind {
        /// A unit of work: role and settings first, an implicit transaction around all.
        case unit
        /// Begins a leased transaction; the connection stays with the caller.
        case begin(TransactionIsolation)
        /// Within a leased transaction or session.
        case leased
        /// Ends a leased transaction.
        case commit
        case rollback
        /// Sends nothing: only asks for the connection.
        case lease
    }

    typealias Outcome = Result<[PostgresResult], PostgresError>

    let kind: Kind
    let unit: WorkUnit
    /// Tells the operations of a connection apart.
    var number: UInt64 = 0
    /// Its place in the queue of the pool while it waits there.
    var ticket: UInt64?
    /// The connection that runs it, or that a lease was given.
    var connection: Connection?
    var results: [PostgresResult] = []
    var error: PostgresError?
    /// Whether the error came after all commands had succeeded, while PostgreSQL committed.
    var failedAtSync = false
    /// The statement the error came from, when it was one the cache holds.
    var failedStatement: PreparedStatement?
    var isCancelled = false
    var wasRetried = false
    private var continuation: UnsafeContinuation<Outcome, Never>?

    init(_ kind: Kind, _ unit: WorkUnit) {
        self.kind = kind
        self.unit = unit
    }

    /// Whether the connection goes back to the pool when this ends.
    var endsLease: Bool {
        if case .unit = kind { true } else { false }
    }

    var isFinished: Bool { continuation == nil }

    func begin(_ continuation: UnsafeContinuation<Outcome, Never>) {
        self.continuation = continuation
    }

    /// Gives the outcome to who waits; later calls do nothing.
    func finish() {
        guard let continuation else { return }
        self.continuation = nil
        if let error {
            results = []
            continuation.resume(returning: .failure(error))
        } else {
            continuation.resume(returning: .success(results))
        }
    }

    func fail(_ error: PostgresError) {
        self.error = error
        finish()
    }

    /// Makes it as new for a second attempt.
    func prepareRetry() {
        wasRetried = true
        results = []
        error = nil
        failedAtSync = false
        failedStatement = nil
        connection = nil
    }
}
