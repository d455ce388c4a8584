// SPDX-License-Identifier: Apache-2.0
internal import EventLoop

/// The rows of a unit's last query as they come, in binary form: each is handed on and forgotten, and the server waits while nobody asks
/// for the next. So memory stays the same however much there is.
///
/// The connection is taken until the last row was read. Dropping this before stops the query.
// @unchecked Sendable: used on the loop of the pool, which `next()` checks; the end of its life is told to that loop.
package final class PostgresRows: @unchecked Sendable {
    /// What the queries before the last returned.
    package let earlier: [PostgresResult]
    private let operation: Operation
    private let stream: RowStream
    private let loop: Loop

    init(_ operation: Operation, _ stream: RowStream, earlier: [PostgresResult], loop: Loop) {
        self.operation = operation
        self.stream = stream
        self.earlier = earlier
        self.loop = loop
    }

    deinit {
        guard !stream.isEnded else { return }
        loop.execute { [operation] in operation.abandon() }
    }

    /// The next row as a result of its own, or nil after the last.
    ///
    /// - Throws: ``PostgresError``: the query failed after it had returned rows, or the connection broke.
    package func next() async throws(PostgresError) -> PostgresResult? {
        loop.assertOnLoop()
        while true {
            if let row = stream.take() {
                if stream.isDrained { operation.connection?.resumeTaking() }
                return row
            }
            if let error = stream.error { throw error }
            if stream.isEnded { return nil }
            await withUnsafeContinuation { stream.wait($0) }
        }
    }
}

/// Rows on their way from a connection to who reads them.
// @unchecked Sendable: confined to the loop of its connection.
final class RowStream: @unchecked Sendable {
    private var rows = Fifo<PostgresResult>()
    private var waiter: UnsafeContinuation<Void, Never>?
    private(set) var hasBegun = false
    private(set) var isEnded = false
    private(set) var isAbandoned = false
    private(set) var error: PostgresError?

    /// Rows held at once; beyond it the connection is not read.
    private static let maxRows = 4

    var isFull: Bool { rows.count >= Self.maxRows }
    var isDrained: Bool { rows.count <= 1 }

    func add(_ row: PostgresResult) {
        hasBegun = true
        guard !isAbandoned else { return }
        rows.append(row)
        wake()
    }

    func take() -> PostgresResult? { rows.popFirst() }

    func end(_ error: PostgresError?) {
        guard !isEnded else { return }
        isEnded = true
        self.error = error
        wake()
    }

    func abandon() {
        isAbandoned = true
        _ = rows.removeAll()
    }

    func wait(_ continuation: UnsafeContinuation<Void, Never>) {
        if isEnded || !rows.isEmpty { continuation.resume() } else { waiter = continuation }
    }

    private func wake() {
        let waiter = waiter
        self.waiter = nil
        waiter?.resume()
    }
}
