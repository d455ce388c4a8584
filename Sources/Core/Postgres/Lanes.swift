// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Primitives

/// Connections of one loop on which several short reads are under way at once, each sent behind the other: the server then finds the next
/// one waiting instead of being woken for it, and a few sessions do the work of many.
///
/// Each unit still has its own Sync, so its own transaction, role and settings, and an error of one leaves its neighbours alone. What
/// could hold the others up is kept away: only units that read and say they are brief, whose statement has been quick lately
/// (``StatementPace``). One that is not after all is stopped by the server at `laneTimeout` and run again on a connection of its own.
/// Cancelling the task of one never interrupts the session, as that could hit a neighbour; its result is thrown away.
// @unchecked Sendable: confined to its loop.
final class Lanes: ConnectionOwner, @unchecked Sendable {
    private let loop: Loop
    private let configuration: DatabaseConfiguration
    private let services: DatabaseServices
    private unowned let pool: Pool
    private var open: [Connection] = []
    private var connecting: [Connection] = []
    private var pace: StatementPace
    private var backoff: Backoff
    private var random = SystemRandomNumberGenerator()
    private var retryAt: UInt64 = 0
    private var lastID = 0
    private var isShutdown = false

    /// Behind a pooler there may be no session to share.
    private var isOn: Bool { configuration.lanesPerLoop > 0 && configuration.preparesStatements }

    /// A lane with this many under way makes another one open.
    private static let crowd = 3

    init(_ configuration: DatabaseConfiguration, pool: Pool, services: DatabaseServices) {
        var configuration = configuration
        configuration.statementTimeout = configuration.laneTimeout
        self.configuration = configuration
        self.services = services
        self.pool = pool
        loop = pool.loop
        // A fifth of what stops a unit: long before neighbours are held up that much, the statement goes elsewhere.
        pace = StatementPace(limitNanoseconds: configuration.laneTimeout.clampedNanoseconds / 5)
        backoff = Backoff(minimum: configuration.minReconnectDelay, maximum: configuration.maxReconnectDelay)
    }

    /// Whether nothing is open or being opened.
    var isEmpty: Bool { open.isEmpty && connecting.isEmpty }

    // MARK: Operations

    /// Sends a unit behind others when it may be; false when it is to run on a connection of its own.
    func take(_ operation: Operation) -> Bool {
        guard isOn, operation.isBrief, !isShutdown, pace.isQuick(operation.statementHash) else { return false }
        var best: Connection?
        let depth = operation.unit.waitsBehindOthers ? configuration.laneDepth : 1
        var fewest = depth
        for connection in open where connection.running.count < fewest && !pool.isOutworn(connection) {
            best = connection
            fewest = connection.running.count
        }
        if best == nil || fewest >= min(Self.crowd, depth) { openAnother() }
        guard let best else { return false }
        best.submit(operation)
        return true
    }

    /// How long a brief unit took, wherever it ran.
    func note(_ operation: Operation) {
        guard operation.isBrief else { return }
        let now = loop.monotonicNanoseconds
        pace.ran(operation.statementHash, nanoseconds: now > operation.startedAt ? now - operation.startedAt : 0)
    }

    // MARK: Connections

    private func openAnother() {
        guard connecting.isEmpty, open.count < configuration.lanesPerLoop, loop.monotonicNanoseconds >= retryAt else {
            return
        }
        lastID += 1
        let connection = Connection(
            id: lastID, loop: loop, configuration: configuration, services: services, owner: self, isShared: true)
        connecting.append(connection)
        connection.connect()
    }

    func connectionOpened(_ connection: Connection) {
        services.counters.connectionsOpened.increment()
        connecting.removeAll { $0 === connection }
        backoff.reset()
        open.append(connection)
        closeIfDone(connection)
    }

    func connectionFailed(_ connection: Connection, _ error: PostgresError) {
        services.counters.connectFailures.increment()
        services.log.warning("postgres_connect_failed", .field("error", error.description))
        configuration.onConnectionFailure(error)
        retryAt = loop.monotonicNanoseconds &+ backoff.next(using: &random).clampedNanoseconds
        forget(connection)
    }

    func connectionFinished(_ operation: Operation, on connection: Connection) {
        services.counters.operations.increment()
        services.counters.sharedOperations.increment()
        if operation.error != nil { services.counters.errors.increment() }
        note(operation)
        closeIfDone(connection)
    }

    func takesBack(_ operation: Operation, from connection: Connection) -> Bool {
        guard operation.error?.sqlState == PostgresError.cancelledState, !operation.isCancelled else { return false }
        pace.wasStopped(operation.statementHash)
        services.counters.retries.increment()
        operation.prepareMove()
        pool.runAlone(operation)
        closeIfDone(connection)
        return true
    }

    func connectionLost(_ connection: Connection, _ error: PostgresError, unstarted: [Operation]) {
        services.counters.connectionsLost.increment()
        services.log.warning("postgres_connection_lost", .field("error", error.description))
        configuration.onConnectionFailure(error)
        forget(connection)
        for operation in unstarted { pool.runAlone(operation) }
    }

    func connectionNotified(_ connection: Connection, channel: String, payload: String, processID: Int32) {
        // Units cannot LISTEN; a function that did is ignored.
    }

    private func closeIfDone(_ connection: Connection) {
        guard connection.isIdle else { return }
        connection.freeSince = loop.monotonicNanoseconds
        if isShutdown || pool.isOutworn(connection) { close(connection) }
    }

    private func close(_ connection: Connection) {
        connection.close()
        forget(connection)
    }

    private func forget(_ connection: Connection) {
        open.removeAll { $0 === connection }
        connecting.removeAll { $0 === connection }
        if isShutdown { pool.checkDrained() }
    }

    // MARK: Age

    /// Closes those without work that are too old or were not needed for too long.
    func closeOutworn() {
        let idleTime = configuration.maxConnectionIdleTime?.clampedNanoseconds ?? .max
        let now = loop.monotonicNanoseconds
        for connection in open where connection.isIdle {
            if pool.isOutworn(connection) || now &- connection.freeSince >= idleTime { close(connection) }
        }
    }

    /// Those in use take nothing more and are closed once they are free.
    func retireConnections() {
        for connection in open { connection.isRetired = true }
    }

    // MARK: End

    /// Takes nothing more and closes each lane once its work is done.
    func shutdown() {
        isShutdown = true
        for connection in open where connection.isIdle { close(connection) }
    }

    /// Ends what runs still.
    func closeAll() {
        for connection in open + connecting { connection.lose(PostgresError(.shutdown)) }
    }
}

extension ConnectionOwner {
    func takesBack(_ operation: Operation, from connection: Connection) -> Bool { false }
}

extension PostgresError {
    /// `query_canceled`: by request or by a timeout.
    static let cancelledState = "57014"
}
