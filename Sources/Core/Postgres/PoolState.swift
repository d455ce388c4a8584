// SPDX-License-Identifier: Apache-2.0

/// The decisions of a connection pool: who gets which connection, who waits, when to connect. No I/O, no clock.
///
/// A request is what wants a connection; it is handed back by the function whose event gave it one.
struct PoolState<Request> {
    typealias ConnectionID = Int
    typealias Ticket = UInt64

    /// The answer to a new request.
    enum Admission {
        /// Use this connection.
        case run(ConnectionID)
        /// Wait until a connection is handed over, or the request is withdrawn.
        case wait(Ticket)
        case refuse(Refusal)
    }

    enum Refusal: Equatable {
        case queueFull
        case shutdown
    }

    /// What a connection that has become free does next.
    enum Next {
        case run(Request)
        case stayIdle
        case close
    }

    private struct Waiting {
        var ticket: Ticket
        var deadline: UInt64
        /// Nil once it was withdrawn; it then only waits to be skipped.
        var request: Request?
    }

    private let maxConnections: Int
    private let maxWaiting: Int
    private var idle: [ConnectionID] = []
    private var busy: Set<ConnectionID> = []
    private var connecting: Set<ConnectionID> = []
    private var queue: [Waiting] = []
    private var queueHead = 0
    private(set) var waitingCount = 0
    private var lastTicket: Ticket = 0
    private var lastConnection: ConnectionID = 0
    private var isBackingOff = false
    /// Since a failure and until the next success, one connection at a time is tried.
    private var isFailing = false
    private(set) var isShutdown = false

    init(maxConnections: Int, maxWaiting: Int) {
        self.maxConnections = max(maxConnections, 1)
        self.maxWaiting = max(maxWaiting, 0)
    }

    /// Those that nobody uses.
    var idleConnections: [ConnectionID] { idle }
    var idleCount: Int { idle.count }
    var busyCount: Int { busy.count }
    /// Connections in any state.
    var connectionCount: Int { idle.count + busy.count + connecting.count }

    // MARK: Requests

    /// A request asks for a connection; `deadline` is when it stops waiting, never before that of an earlier request.
    mutating func admit(_ request: Request, deadline: UInt64) -> Admission {
        if isShutdown { return .refuse(.shutdown) }
        // The one used last: its caches are warm, here and in the server.
        if let connection = idle.popLast() {
            busy.insert(connection)
            return .run(connection)
        }
        guard waitingCount < maxWaiting else { return .refuse(.queueFull) }
        lastTicket += 1
        waitingCount += 1
        queue.append(Waiting(ticket: lastTicket, deadline: deadline, request: request))
        return .wait(lastTicket)
    }

    /// Puts a request whose connection was lost before its work began in front of all others.
    mutating func readmit(_ request: Request, deadline: UInt64) -> Admission {
        if isShutdown { return .refuse(.shutdown) }
        if let connection = idle.popLast() {
            busy.insert(connection)
            return .run(connection)
        }
        lastTicket += 1
        waitingCount += 1
        // Its ticket is out of order on purpose: it is found by search from the front.
        queue.insert(Waiting(ticket: lastTicket, deadline: deadline, request: request), at: queueHead)
        return .wait(lastTicket)
    }

    /// A request gives up waiting; nil when it does not wait any more.
    mutating func withdraw(_ ticket: Ticket) -> Request? {
        guard let index = queue[queueHead...].firstIndex(where: { $0.ticket == ticket }),
            let request = queue[index].request
        else { return nil }
        queue[index].request = nil
        waitingCount -= 1
        dropWithdrawn()
        return request
    }

    /// Takes the first request whose deadline has passed.
    mutating func takeExpired(at now: UInt64) -> Request? {
        guard queueHead < queue.count, queue[queueHead].deadline <= now else { return nil }
        return takeWaiting()
    }

    /// When the first waiting request gives up.
    var nextDeadline: UInt64? { queueHead < queue.count ? queue[queueHead].deadline : nil }

    /// Takes all waiting requests, as none can be served.
    mutating func takeAllWaiting() -> [Request] {
        var taken: [Request] = []
        while let request = takeWaiting() { taken.append(request) }
        return taken
    }

    // MARK: Connections

    /// The next connection to open for those who wait, or nil when enough are on the way.
    mutating func openIfNeeded() -> ConnectionID? {
        guard !isShutdown, !isBackingOff, connectionCount < maxConnections,
            connecting.count < (isFailing ? min(waitingCount, 1) : waitingCount)
        else { return nil }
        lastConnection += 1
        connecting.insert(lastConnection)
        return lastConnection
    }

    mutating func connected(_ connection: ConnectionID) -> Next {
        connecting.remove(connection)
        isFailing = false
        return becameFree(connection)
    }

    /// A connection's work is done and it is clean.
    mutating func released(_ connection: ConnectionID) -> Next {
        guard busy.remove(connection) != nil else { return .stayIdle }
        return becameFree(connection)
    }

    /// A connection is gone, whatever it did.
    mutating func closed(_ connection: ConnectionID) {
        if busy.remove(connection) != nil || connecting.remove(connection) != nil { return }
        idle.removeAll { $0 == connection }
    }

    /// A connection could not be made. True when the caller is to wait and then call ``backoffEnded()``; false when another
    /// failure has started that wait already.
    mutating func connectFailed(_ connection: ConnectionID) -> Bool {
        connecting.remove(connection)
        isFailing = true
        guard !isBackingOff, !isShutdown else { return false }
        isBackingOff = true
        return true
    }

    mutating func backoffEnded() { isBackingOff = false }

    /// Refuses everything from now on; returns the idle connections, which are to be closed.
    mutating func shutdown() -> [ConnectionID] {
        isShutdown = true
        return idle
    }

    private mutating func becameFree(_ connection: ConnectionID) -> Next {
        if isShutdown { return .close }
        if let request = takeWaiting() {
            busy.insert(connection)
            return .run(request)
        }
        idle.append(connection)
        return .stayIdle
    }

    private mutating func takeWaiting() -> Request? {
        while queueHead < queue.count {
            let request = queue[queueHead].request
            queue[queueHead].request = nil
            queueHead += 1
            if let request {
                waitingCount -= 1
                dropWithdrawn()
                return request
            }
        }
        dropWithdrawn()
        return nil
    }

    private mutating func dropWithdrawn() {
        while queueHead < queue.count, queue[queueHead].request == nil { queueHead += 1 }
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: true)
            queueHead = 0
        } else if queueHead >= 256, queueHead * 2 >= queue.count {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }
}
