// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Primitives

/// The connections of one loop and those who wait for one. Carries out what ``PoolState`` decides.
// @unchecked Sendable: confined to its loop.
final class Pool: ConnectionOwner, @unchecked Sendable {
    let loop: Loop
    private let configuration: DatabaseConfiguration
    private let services: DatabaseServices
    private var state: PoolState<Operation>
    private lazy var lanes = Lanes(configuration, pool: self, services: services)
    private var connections: [Int: Connection] = [:]
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()
    private var waitTimer: LoopTimer?
    private var backoffTimer: LoopTimer?
    private var sweepTimer: LoopTimer?
    private var hasConnected = false
    private var lastConnectError: PostgresError?
    private var drainWaiters: [UnsafeContinuation<Void, Never>] = []

    init(_ configuration: DatabaseConfiguration, loop: Loop, services: DatabaseServices) {
        self.configuration = configuration
        self.loop = loop
        self.services = services
        state = PoolState(maxConnections: configuration.connectionsPerLoop, maxWaiting: configuration.maxWaiting)
        backoff = Backoff(minimum: configuration.minReconnectDelay, maximum: configuration.maxReconnectDelay)
    }

    // MARK: Operations

    /// Runs an operation on some connection and waits for its outcome. A lease ends with ``release(_:)``.
    func run(_ operation: Operation) async -> Operation.Outcome {
        loop.assertOnLoop()
        // Nothing need be sent only to be cancelled.
        if Task.isCancelled { return .failure(.cancelledBeforeStart) }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                operation.begin(continuation)
                dispatch(operation)
            }
        } onCancel: {
            loop.execute { self.cancel(operation) }
        }
    }

    /// Runs an operation on a leased connection; the end of a transaction, which runs even when the task is cancelled.
    func finish(_ operation: Operation, on connection: Connection) async -> Operation.Outcome {
        loop.assertOnLoop()
        return await withUnsafeContinuation { continuation in
            operation.begin(continuation)
            connection.submit(operation)
        }
    }

    /// Runs an operation on a leased connection.
    func run(_ operation: Operation, on connection: Connection) async -> Operation.Outcome {
        loop.assertOnLoop()
        if Task.isCancelled { return .failure(.cancelledBeforeStart) }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                operation.begin(continuation)
                connection.submit(operation)
            }
        } onCancel: {
            loop.execute { self.cancel(operation) }
        }
    }

    private func dispatch(_ operation: Operation) {
        if !state.isShutdown, operation.isBrief, lanes.take(operation) { return }
        runAlone(operation)
    }

    /// Runs an operation on a connection that has no other under way.
    func runAlone(_ operation: Operation) {
        switch state.admit(operation, deadline: waitDeadline) {
        case .run(let id): start(operation, on: id)
        case .wait(let ticket): wait(operation, ticket)
        case .refuse(let refusal):
            services.counters.refusals.increment()
            operation.fail(PostgresError(refusal))
        }
    }

    private func start(_ operation: Operation, on id: Int) {
        guard let connection = connections[id] else {
            operation.fail(PostgresError(.connectionLost, "the connection is closed"))
            return
        }
        operation.ticket = nil
        if case .lease = operation.kind {
            operation.connection = connection
            operation.finish()
        } else {
            connection.submit(operation)
        }
    }

    private func wait(_ operation: Operation, _ ticket: UInt64) {
        operation.ticket = ticket
        services.counters.waits.increment()
        openConnections()
        armWaitTimer()
    }

    private func cancel(_ operation: Operation) {
        guard !operation.isFinished else { return }
        if let ticket = operation.ticket {
            _ = state.withdraw(ticket)
            operation.fail(.cancelledBeforeStart)
        } else if let connection = operation.connection, connection.isShared {
            // A cancel request names a session, not a query, and could stop a neighbour's.
            operation.isCancelled = true
            operation.fail(PostgresError(.queryCancelled, "the task was cancelled"))
        } else {
            operation.connection?.cancel(operation)
        }
    }

    // MARK: Waiting

    private var waitDeadline: UInt64 {
        loop.monotonicNanoseconds &+ configuration.waitTimeout.clampedNanoseconds
    }

    /// One timer for all who wait: they wait equally long, so the first is always due first.
    private func armWaitTimer() {
        guard waitTimer == nil, let deadline = state.nextDeadline else { return }
        let now = loop.monotonicNanoseconds
        let delay = Duration.nanoseconds(Int64(clamping: deadline > now ? deadline - now : 0))
        waitTimer = loop.schedule(after: delay) { [weak self] in
            guard let self else { return }
            self.waitTimer = nil
            self.expireWaiting()
            self.armWaitTimer()
        }
    }

    private func expireWaiting() {
        while let operation = state.takeExpired(at: loop.monotonicNanoseconds) {
            services.counters.refusals.increment()
            operation.ticket = nil
            if let lastConnectError {
                operation.fail(lastConnectError)
            } else {
                operation.fail(PostgresError(.poolTimeout, "no database connection became free in time"))
            }
        }
    }

    // MARK: Connections

    private func openConnections() {
        while let id = state.openIfNeeded() {
            let connection = Connection(
                id: id, loop: loop, configuration: configuration, services: services, owner: self)
            connections[id] = connection
            connection.connect()
        }
    }

    func connectionOpened(_ connection: Connection) {
        services.counters.connectionsOpened.increment()
        hasConnected = true
        backoff.reset()
        lastConnectError = nil
        next(state.connected(connection.id), for: connection)
        openConnections()
    }

    func connectionFailed(_ connection: Connection, _ error: PostgresError) {
        services.counters.connectFailures.increment()
        services.log.warning("postgres_connect_failed", .field("error", error.description))
        configuration.onConnectionFailure(error)
        connections[connection.id] = nil
        lastConnectError = error
        if !hasConnected {
            // A wrong address or password does not heal by waiting; only a server that was there before may come back.
            for operation in state.takeAllWaiting() { operation.fail(error) }
        }
        if state.connectFailed(connection.id) {
            let delay = backoff.next(using: &random)
            backoffTimer = loop.schedule(after: delay) { [weak self] in
                guard let self else { return }
                self.backoffTimer = nil
                self.state.backoffEnded()
                self.openConnections()
            }
        }
        checkDrained()
    }

    func connectionFinished(_ operation: Operation, on connection: Connection) {
        services.counters.operations.increment()
        if operation.error != nil { services.counters.errors.increment() }
        lanes.note(operation)
        guard operation.endsLease else { return }
        if isOutworn(connection) {
            discard(connection)
        } else {
            next(state.released(connection.id), for: connection)
        }
    }

    func connectionLost(_ connection: Connection, _ error: PostgresError, unstarted: [Operation]) {
        services.counters.connectionsLost.increment()
        services.log.warning(
            "postgres_connection_lost", .field("error", error.description))
        configuration.onConnectionFailure(error)
        forget(connection)
        for operation in unstarted.reversed() {
            switch state.readmit(operation, deadline: waitDeadline) {
            case .run(let id): start(operation, on: id)
            case .wait(let ticket): wait(operation, ticket)
            case .refuse(let refusal): operation.fail(PostgresError(refusal))
            }
        }
        openConnections()
    }

    func connectionNotified(_ connection: Connection, channel: String, payload: String, processID: Int32) {
        // Units cannot LISTEN; a function that did is ignored.
    }

    /// Ends a lease. A connection that is not clean is closed instead of handed on.
    func release(_ connection: Connection) {
        loop.assertOnLoop()
        guard connections[connection.id] === connection else { return }
        if connection.isReusable, !isOutworn(connection) {
            next(state.released(connection.id), for: connection)
        } else {
            discard(connection)
        }
    }

    /// Closes a leased connection.
    func discard(_ connection: Connection) {
        loop.assertOnLoop()
        guard connections[connection.id] === connection else { return }
        connection.close()
        forget(connection)
        openConnections()
    }

    private func next(_ next: PoolState<Operation>.Next, for connection: Connection) {
        switch next {
        case .run(let operation): start(operation, on: connection.id)
        case .stayIdle: becameFree(connection)
        case .close:
            connection.close()
            forget(connection)
        }
    }

    private func forget(_ connection: Connection) {
        connections[connection.id] = nil
        state.closed(connection.id)
        checkDrained()
    }

    var counts: ConnectionCounts {
        ConnectionCounts(idle: state.idleCount, busy: state.busyCount, waiting: state.waitingCount)
    }

    // MARK: Age

    private var isAging: Bool { configuration.maxConnectionAge != nil || configuration.maxConnectionIdleTime != nil }

    func isOutworn(_ connection: Connection) -> Bool {
        if connection.isRetired { return true }
        guard let age = configuration.maxConnectionAge else { return false }
        return loop.monotonicNanoseconds &- connection.openedAt >= age.clampedNanoseconds
    }

    private func becameFree(_ connection: Connection) {
        guard isAging else { return }
        connection.freeSince = loop.monotonicNanoseconds
        if sweepTimer == nil { scheduleSweep() }
    }

    /// One timer for all connections, there while any is: their times are seconds, and each request would set and cancel its own.
    private func scheduleSweep() {
        let shortest = [configuration.maxConnectionAge, configuration.maxConnectionIdleTime].compactMap(\.self).min()
        let interval = (shortest ?? .seconds(60)) / 4
        sweepTimer = loop.schedule(after: max(.milliseconds(50), min(interval, .seconds(10)))) { [weak self] in
            guard let self else { return }
            self.sweepTimer = nil
            self.closeOutworn()
            let isEmpty = self.connections.isEmpty && self.lanes.isEmpty
            if !isEmpty, !self.state.isShutdown { self.scheduleSweep() }
        }
    }

    private func closeOutworn() {
        let now = loop.monotonicNanoseconds
        lanes.closeOutworn()
        for id in state.idleConnections {
            guard let connection = connections[id] else { continue }
            let idleTime = configuration.maxConnectionIdleTime?.clampedNanoseconds ?? .max
            if isOutworn(connection) || now &- connection.freeSince >= idleTime {
                connection.close()
                forget(connection)
            }
        }
    }

    /// Closes the connections that are free now, and those in use once they are: the server's settings for a role, and what a session
    /// remembers of the catalog, are as old as the connection.
    func retireConnections() {
        loop.assertOnLoop()
        for connection in connections.values where connection.phase != .connecting { connection.isRetired = true }
        lanes.retireConnections()
        closeOutworn()
    }

    // MARK: End

    /// Refuses new work, lets what runs finish for at most `grace`, then closes everything.
    func shutdown(grace: Duration) async {
        loop.assertOnLoop()
        for operation in state.takeAllWaiting() { operation.fail(PostgresError(.shutdown)) }
        for id in state.shutdown() {
            guard let connection = connections[id] else { continue }
            connection.close()
            forget(connection)
        }
        if let waitTimer { loop.cancel(waitTimer) }
        if let backoffTimer { loop.cancel(backoffTimer) }
        if let sweepTimer { loop.cancel(sweepTimer) }
        lanes.shutdown()
        guard !connections.isEmpty || !lanes.isEmpty else { return }
        let timer = loop.schedule(after: grace) { [weak self] in self?.closeAll() }
        await withUnsafeContinuation { drainWaiters.append($0) }
        loop.cancel(timer)
    }

    private func closeAll() {
        for connection in Array(connections.values) { connection.lose(PostgresError(.shutdown)) }
        lanes.closeAll()
    }

    func checkDrained() {
        guard state.isShutdown, connections.isEmpty, lanes.isEmpty else { return }
        for waiter in drainWaiters { waiter.resume() }
        drainWaiters.removeAll()
    }
}

extension Connection {
    /// Whether nothing runs, no transaction is open and no cancel request may still arrive.
    fileprivate var isReusable: Bool {
        isIdle && isOutsideTransaction && cancelsUnderway == 0 && !isCancelDoubtful
    }
}

extension PostgresError {
    fileprivate static var cancelledBeforeStart: PostgresError {
        PostgresError(.queryCancelled, "the task was cancelled before its work began")
    }

    fileprivate init<Request>(_ refusal: PoolState<Request>.Refusal) {
        switch refusal {
        case .queueFull: self.init(.poolQueueFull, "too many requests wait for a database connection")
        case .shutdown: self.init(.shutdown)
        }
    }

    init(_ code: Code) {
        self.init(code, "the database is shut down")
    }
}
