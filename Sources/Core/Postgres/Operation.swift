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
    /// When the server could begin with it, in the loop's nanoseconds.
    var startedAt: UInt64 = 0
    /// Whether the reset before it dropped temporary tables.
    var discardsTemporaries = false
    /// Whether it may run on a shared connection, and what its statements are known by there.
    let isBrief: Bool
    let statementHash: Int
    var isCancelled = false
    var wasRetried = false
    /// The rows so far of a query whose rows are counted as they come.
    private var gathered: WireRows?
    private var resultBytes = 0
    private var continuation: UnsafeContinuation<Outcome, Never>?
    /// Where the rows of the last query go, one at a time; nil to collect them as a result.
    let stream: RowStream?

    init(_ kind: Kind, _ unit: WorkUnit, stream: RowStream? = nil) {
        self.kind = kind
        self.stream = stream
        self.unit = unit
        if case .unit = kind, stream == nil, unit.isBrief, unit.readOnly, unit.statementTimeout == nil {
            isBrief = true
            statementHash = unit.queries.reduce(0) { $0 &* 31 &+ $1.sqlHash }
        } else {
            isBrief = false
            statementHash = 0
        }
    }

    /// Whether the connection goes back to the pool when this ends.
    var endsLease: Bool {
        if case .unit = kind { true } else { false }
    }

    /// Whether PostgreSQL refuses what it writes.
    var isReadOnly: Bool {
        if case .unit = kind { unit.readOnly } else { false }
    }

    /// Whether its rows are counted as they come.
    var isBounded: Bool { unit.readOnly && unit.maxResultBytes != nil && stream == nil }

    /// Counts the bytes of a row; false for one that is too much, with which everything has failed.
    func takes(_ bytes: Int) -> Bool {
        guard isBounded, let limit = unit.maxResultBytes else { return true }
        resultBytes += bytes
        guard resultBytes > limit else { return true }
        if error == nil {
            error = PostgresError(.resultTooLarge, "the result is larger than \(limit) bytes")
            results = []
            gathered = nil
        }
        return false
    }

    /// Keeps a row that libpq gives as a result of its own.
    func gather(_ row: OpaquePointer) {
        let rows = gathered ?? WireRows(WireColumns(of: row))
        rows.add(row)
        gathered = rows
    }

    /// What was gathered of the query that has ended, or nil when it had no rows.
    func takeGathered() -> WireRows? {
        defer { gathered = nil }
        return gathered
    }

    var isFinished: Bool { continuation == nil }

    func begin(_ continuation: UnsafeContinuation<Outcome, Never>) {
        self.continuation = continuation
    }

    /// Hands on a row of the last query; with the first one, who waits for the outcome goes on.
    func add(row: PostgresResult) {
        stream?.add(row)
        continuation?.resume(returning: .success(results))
        continuation = nil
    }

    /// Nobody wants the rows that are still to come.
    func abandon() {
        guard let stream, !stream.isEnded, !stream.isAbandoned else { return }
        stream.abandon()
        connection?.cancel(self)
        connection?.resumeTaking()
    }

    /// Gives the outcome to who waits; later calls do nothing.
    func finish() {
        stream?.end(error)
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
        prepareMove()
    }

    /// Makes it as new for another connection.
    func prepareMove() {
        gathered = nil
        resultBytes = 0
        discardsTemporaries = false
        results = []
        error = nil
        failedAtSync = false
        failedStatement = nil
        connection = nil
    }
}
