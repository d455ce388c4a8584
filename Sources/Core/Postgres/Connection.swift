// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop
internal import Primitives

/// What a connection tells its owner, always on the loop.
protocol ConnectionOwner: AnyObject {
    /// It is connected and idle.
    func connectionOpened(_ connection: Connection)
    /// It could not be made, and is closed.
    func connectionFailed(_ connection: Connection, _ error: PostgresError)
    /// An operation is over, its waiter told, and nothing else runs: the connection is clean when it is a unit's.
    func connectionFinished(_ operation: Operation, on connection: Connection)
    /// It broke, and is closed. `unstarted` are operations that certainly changed nothing and may run elsewhere.
    func connectionLost(_ connection: Connection, _ error: PostgresError, unstarted: [Operation])
    /// An operation has ended in an error and nobody was told; true when the owner runs it elsewhere.
    func takesBack(_ operation: Operation, from connection: Connection) -> Bool
    /// A notification arrived.
    func connectionNotified(_ connection: Connection, channel: String, payload: String, processID: Int32)
}

/// One session with PostgreSQL: libpq, non-blocking, in pipeline mode.
///
/// Operations are sent as they come and answered in order; each ends with its own Sync and so is a transaction of its own.
// @unchecked Sendable: confined to its loop, which `assertOnLoop()` checks where calls come in.
final class Connection: ReadinessHandler, @unchecked Sendable {
    enum Phase {
        case connecting
        case open
        case copying
        case closed
    }

    /// One command on its way; results come back in the same order.
    enum Step {
        case parse(PreparedStatement)
        /// A command whose result nobody wants.
        case quiet(PreparedStatement?)
        case rows(PreparedStatement?)
        /// A command whose rows are handed on as they come.
        case stream(PreparedStatement?)
        case sync
    }

    let id: Int
    let loop: Loop
    let configuration: DatabaseConfiguration
    let services: DatabaseServices
    /// Whether several units are under way on it at once.
    let isShared: Bool
    weak var owner: (any ConnectionOwner)?

    /// libpq's connection; nil once it is closed, and while a host name is looked up.
    var handle: OpaquePointer?
    /// What speaks with the server once libpq has connected, where units share the connection and it has no TLS.
    var wire: Wire?
    var willFlushAtBatchEnd = false
    var registration: Registration?
    var phase = Phase.connecting
    var interest: Readiness = []
    var connectTimer: LoopTimer?

    /// When it was connected, and when it became free, in the loop's nanoseconds.
    var openedAt: UInt64 = 0
    var freeSince: UInt64 = 0
    /// Whether it is to be closed when it is free.
    var isRetired = false

    var cache: StatementCache
    /// Of the names of prepared statements on this connection: nobody can guess it. SQL shares their name space, and a function that runs
    /// what it is sent could otherwise put a statement of its own in the place of one of ours, for the next unit to execute.
    /// A name is used once: one that was forgotten may still be taken.
    let nameEnding = "_" + String(UInt64.random(in: .min ... .max), radix: 36)
    /// The statements that set role and settings, by number of settings.
    var preambles: [PreparedStatement?]
    /// How many were ever prepared.
    var lastPreamble = 0
    let parameters = ParameterBuffer()
    var steps = Fifo<Step>()
    var running = Fifo<Operation>()
    var lastOperation: UInt64 = 0
    /// Whether a unit that could write has run, whose functions may have left temporary tables.
    var mayHoldTemporaries = false

    /// Cancel requests sent whose end is not known yet; the connection is not handed on before, as a late one would hit the
    /// next operation.
    var cancelsUnderway = 0
    var isCancelDoubtful = false
    var cancelTimer: LoopTimer?
    /// The operation whose end is told once the cancel requests are over.
    var heldBack: Operation?
    /// Whether nothing is read because who reads the rows of a stream has enough.
    var isPaused = false
    /// Who waits for the socket while data is copied.
    var copyWaiter: UnsafeContinuation<Void, Never>?

    init(
        id: Int, loop: Loop, configuration: DatabaseConfiguration, services: DatabaseServices,
        owner: any ConnectionOwner, isShared: Bool = false
    ) {
        self.id = id
        self.loop = loop
        self.configuration = configuration
        self.services = services
        self.owner = owner
        self.isShared = isShared
        cache = StatementCache(capacity: configuration.maxPreparedStatements, nameEnding: nameEnding)
        preambles = Array(repeating: nil, count: Preamble.maxSettings + 1)
    }

    deinit {
        if let handle { PQfinish(handle) }
    }

    /// The server process of the session.
    var processID: Int32 { handle.map { PQbackendPID($0) } ?? 0 }

    var isIdle: Bool { phase == .open && running.isEmpty && steps.isEmpty }

    /// Whether the session is in no transaction.
    var isOutsideTransaction: Bool {
        if let wire { return wire.transactionStatus == UInt8(ascii: "I") }
        guard let handle else { return false }
        return PQtransactionStatus(handle) == PQTRANS_IDLE
    }

    // MARK: Readiness

    func ready(_ readiness: Readiness) {
        switch phase {
        case .connecting: advanceConnecting()
        case .open where isPaused:
            // Level-triggered: what is not acted upon would come again at once.
            if readiness.contains(.error) || readiness.contains(.closed) {
                lose(PostgresError(.connectionLost, "the connection was closed"))
            }
        case .open: exchange()
        case .copying: wakeCopy()
        case .closed: break
        }
    }

    /// Reads what came, sends what is left, and takes the results.
    func exchange() {
        if let wire { return exchange(wire) }
        guard let handle else { return }
        let isReadable = consumeInput(handle)
        takeResults()
        guard phase == .open else { return }
        if !isReadable || PQstatus(handle) == CONNECTION_BAD {
            lose(libpqError(.connectionLost))
            return
        }
        flush()
    }

    /// Reads what the socket has; false when the connection broke.
    ///
    /// Over TLS a read may leave the rest of a record in OpenSSL's buffer, of which the loop would never hear.
    func consumeInput(_ handle: OpaquePointer) -> Bool {
        repeat {
            guard PQconsumeInput(handle) == 1 else { return false }
        } while cpostgres_tls_pending(handle) > 0
        return true
    }

    /// Sends what libpq holds; waits for writability when the socket is full.
    func flush() {
        if let wire { return flushAtBatchEnd(wire) }
        guard let handle else { return }
        switch PQflush(handle) {
        case 0: watch(isPaused ? [] : [.readable])
        case 1: watch(isPaused ? [.writable] : [.readable, .writable])
        default: exchangeAfterWriteError()
        }
    }

    /// A failed write may hide the reason, which is still to be read.
    private func exchangeAfterWriteError() {
        guard let handle else { return }
        _ = consumeInput(handle)
        takeResults()
        lose(libpqError(.connectionLost))
    }

    func watch(_ wanted: Readiness) {
        guard wanted != interest, let registration else { return }
        interest = wanted
        loop.modify(registration, wanted)
    }

    // MARK: End

    /// Closes the session without telling the owner.
    func close() {
        guard phase != .closed else { return }
        phase = .closed
        for timer in [connectTimer, cancelTimer].compactMap({ $0 }) { loop.cancel(timer) }
        connectTimer = nil
        cancelTimer = nil
        if let registration { loop.deregister(registration) }
        registration = nil
        wire = nil
        if let handle { PQfinish(handle) }
        handle = nil
        cache.forgetAll()
        let waiter = copyWaiter
        copyWaiter = nil
        waiter?.resume()
    }

    /// Closes a session that broke or is in doubt, and ends everything that runs on it with `error`.
    func lose(_ error: PostgresError) {
        guard phase != .closed else { return }
        let wasConnecting = phase == .connecting
        close()
        if wasConnecting {
            owner?.connectionFailed(self, error)
            return
        }
        let unstarted = endRunning(error)
        if let operation = heldBack {
            heldBack = nil
            operation.connection = nil
        }
        owner?.connectionLost(self, error, unstarted: unstarted)
    }

    /// libpq's last message on this connection.
    func libpqError(_ code: PostgresError.Code) -> PostgresError {
        guard let handle, let text = PQerrorMessage(handle) else {
            return PostgresError(code, "the connection is closed")
        }
        let message = String(cString: text).trimmingLineEnds
        return PostgresError(code, message.isEmpty ? "the connection was closed" : message)
    }
}

/// A queue over an array whose front moves, so that neither end shifts elements.
struct Fifo<Element> {
    private var elements: [Element?] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }
    var first: Element? { isEmpty ? nil : elements[head] }

    mutating func append(_ element: Element) { elements.append(element) }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard head < elements.count else { return nil }
        let element = elements[head]
        elements[head] = nil
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: true)
            head = 0
        } else if head == 512 {
            elements.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func removeAll() -> [Element] {
        defer {
            elements.removeAll(keepingCapacity: true)
            head = 0
        }
        return elements[head...].compactMap { $0 }
    }

    func contains(where condition: (Element) -> Bool) -> Bool {
        elements[head...].contains { $0.map(condition) ?? false }
    }
}

extension String {
    /// Without the line breaks libpq ends its messages with.
    var trimmingLineEnds: String {
        var text = self[...]
        while let last = text.last, last.isNewline || last == " " { text.removeLast() }
        return String(text)
    }
}
