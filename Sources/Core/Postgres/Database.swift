// SPDX-License-Identifier: Apache-2.0
package import EventLoop
package import Primitives

/// One PostgreSQL database: a pool of connections on each loop, all logged in as one role.
///
/// Use it from tasks of its loops; a task uses the pool of the loop it runs on and never leaves that thread.
package final class Database: Sendable {
    package let configuration: DatabaseConfiguration
    private let pools: [Pool]
    private let listener: Listener
    private let services: DatabaseServices
    private let logins: [String: Database]

    /// The databases whose connection the current task holds: asking them for a second one could wait for itself.
    @TaskLocal private static var leased: [ObjectIdentifier] = []

    /// Makes the database known; connections are opened when they are needed.
    ///
    /// - Parameters:
    ///   - loops: where it can be used; at least one.
    ///   - name: the label of its metrics.
    ///   - logins: by role, the same database under another login, on which what runs as that role is run: this one's login need not be
    ///     able to become it. They live by themselves.
    /// - Throws: `SystemError` when no thread can be started.
    package init(
        _ configuration: DatabaseConfiguration, loops: [Loop], log: Log, metrics: Metrics = Metrics(),
        name: String = "main", logins: [String: Database] = [:]
    ) throws {
        guard let firstLoop = loops.first else { preconditionFailure("a database needs a loop") }
        self.configuration = configuration
        self.logins = logins
        let services = DatabaseServices(
            log: log.with(.field("database", name)), counters: DatabaseCounters(metrics, database: name),
            workers: try WorkerPool(threads: 2, maxQueued: 256))
        self.services = services
        pools = loops.map { Pool(configuration, loop: $0, services: services) }
        listener = Listener(configuration, loop: firstLoop, services: services)
    }

    // MARK: Work

    /// Runs a unit of work in one round trip and one transaction.
    ///
    /// - Returns: one result for each query, in order, after PostgreSQL has committed.
    /// - Throws: ``PostgresError``; nothing was committed unless ``PostgresError/isOutcomeUnknown`` says otherwise.
    package func run(_ unit: WorkUnit) async throws(PostgresError) -> [PostgresResult] {
        if let login = login(of: unit.role) { return try await login.run(unit) }
        if let refusal = unit.refusal(in: .unit) { throw refusal }
        return try await currentPool().run(Operation(.unit, unit)).get()
    }

    /// Runs a unit that only reads and hands on the rows of its last query as they come; see ``PostgresRows``. Returns with the first row.
    ///
    /// - Throws: ``PostgresError``; `misuse` for a unit that may write, as rows are seen before PostgreSQL commits.
    package func stream(_ unit: WorkUnit) async throws(PostgresError) -> PostgresRows {
        if let login = login(of: unit.role) { return try await login.stream(unit) }
        guard unit.readOnly else { throw PostgresError(.misuse, "only what reads is streamed") }
        if let refusal = unit.refusal(in: .unit) { throw refusal }
        var unit = unit
        unit.isBrief = false
        let pool = try currentPool()
        let stream = RowStream()
        let operation = Operation(.unit, unit, stream: stream)
        let earlier = try await pool.run(operation).get()
        return PostgresRows(operation, stream, earlier: earlier, loop: pool.loop)
    }

    /// Runs one query as the role that logged in, in a transaction of its own.
    @discardableResult
    package func query(_ query: PostgresQuery) async throws(PostgresError) -> PostgresResult {
        let results = try await run(WorkUnit(queries: [query]))
        guard let result = results.first else { throw PostgresError(.misuse, "the query returned nothing") }
        return result
    }

    /// Lends a transaction to `body`: committed when it returns, rolled back when it throws.
    ///
    /// For work that must look at one result before it sends the next; everything else is a ``WorkUnit``. The same database
    /// cannot be used otherwise inside `body`, as that could wait for the connection it holds.
    ///
    /// - Throws: what `body` throws; else ``PostgresError``, also when a query failed whose error `body` has caught, as
    ///   PostgreSQL has rolled the transaction back.
    package func withTransaction<T>(
        role: String? = nil, settings: [(name: String, value: String)] = [], readOnly: Bool = false,
        isolation: TransactionIsolation = .readCommitted, statementTimeout: Duration? = nil,
        loginSettings: [(name: String, value: String)] = [], _ body: (PostgresTransaction) async throws -> T
    ) async throws -> T {
        if let login = login(of: role) {
            return try await login.withTransaction(
                role: role, settings: settings, readOnly: readOnly, isolation: isolation,
                statementTimeout: statementTimeout, loginSettings: loginSettings, body)
        }
        var unit = WorkUnit(role: role, settings: settings, readOnly: readOnly, statementTimeout: statementTimeout)
        unit.loginSettings = loginSettings
        if let refusal = unit.refusal(in: .transaction) { throw refusal }
        let lease = try await begin(isolation, unit)
        let value: T
        do {
            value = try await Self.$leased.withValue(Self.leased + [ObjectIdentifier(self)]) {
                try await body(PostgresTransaction(lease: lease, role: role))
            }
            lease.end()
        } catch {
            lease.end()
            await rollback(lease)
            throw error
        }
        try await commit(lease)
        return value
    }

    private func begin(_ isolation: TransactionIsolation, _ unit: WorkUnit) async throws(PostgresError)
        -> LeasedConnection
    {
        let pool = try currentPool()
        let operation = Operation(.begin(isolation), unit)
        let outcome = await pool.run(operation)
        switch outcome {
        case .success:
            guard let connection = operation.connection else {
                throw PostgresError(.connectionLost, "the connection is closed")
            }
            return LeasedConnection(pool: pool, connection: connection)
        case .failure(let error):
            if let connection = operation.connection {
                await rollback(LeasedConnection(pool: pool, connection: connection))
            }
            throw error
        }
    }

    private func rollback(_ lease: LeasedConnection) async {
        if !lease.connection.isOutsideTransaction {
            _ = await lease.pool.finish(Operation(.rollback, WorkUnit()), on: lease.connection)
        }
        lease.pool.release(lease.connection)
    }

    private func commit(_ lease: LeasedConnection) async throws(PostgresError) {
        let outcome = await lease.pool.finish(Operation(.commit, WorkUnit()), on: lease.connection)
        lease.pool.release(lease.connection)
        let results = try outcome.get()
        // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK instead of an error.
        guard results.last?.commandTag == "COMMIT" else {
            throw lease.firstError ?? PostgresError(.misuse, "the transaction was rolled back")
        }
    }

    /// Lends a connection outside of any transaction and closes it afterwards, so that nothing of the session is left.
    func withSession<T>(_ body: (LeasedConnection) async throws -> T) async throws -> T {
        let pool = try currentPool()
        let operation = Operation(.lease, WorkUnit())
        _ = try await pool.run(operation).get()
        guard let connection = operation.connection else {
            throw PostgresError(.connectionLost, "the connection is closed")
        }
        let lease = LeasedConnection(pool: pool, connection: connection)
        defer {
            lease.end()
            pool.discard(connection)
        }
        return try await Self.$leased.withValue(Self.leased + [ObjectIdentifier(self)]) { try await body(lease) }
    }

    /// What is notified on a channel: an endless sequence that survives reconnects and says when something may have been
    /// missed. Usable on any task.
    ///
    /// - Parameter channel: as `NOTIFY` and `pg_notify` name it, at most 63 bytes.
    package func notifications(on channel: String) -> PostgresNotifications {
        PostgresNotifications { [listener] in listener.subscribe(to: channel) }
    }

    private func login(of role: String?) -> Database? {
        guard !logins.isEmpty, let role else { return nil }
        return logins[role]
    }

    private func currentPool() throws(PostgresError) -> Pool {
        guard let loop = Loop.current, let pool = pools.first(where: { $0.loop === loop }) else {
            throw PostgresError(.misuse, "a database is used from the tasks of its loops")
        }
        guard !Self.leased.contains(ObjectIdentifier(self)) else {
            throw PostgresError(.misuse, "the task holds a transaction of this database: use that, or end it first")
        }
        return pool
    }

    // MARK: Life

    /// Has each connection closed as soon as it is free, and others made when they are needed. Returns at once.
    package func retireConnections() {
        for pool in pools { pool.loop.execute { pool.retireConnections() } }
    }

    /// How the connections of all loops are used right now.
    package func counts() async -> ConnectionCounts {
        var sum = ConnectionCounts()
        for pool in pools {
            let counts = await withUnsafeContinuation { continuation in
                pool.loop.execute { continuation.resume(returning: pool.counts) }
            }
            sum.idle += counts.idle
            sum.busy += counts.busy
            sum.waiting += counts.waiting
        }
        return sum
    }

    /// Lives as long as the database is used: returns after ``shutdown(grace:)``, and shuts down when cancelled.
    package func run() async throws {
        await ended.wait()
        await shutdown()
    }

    /// Refuses new work, lets what runs finish for at most `grace`, then closes all connections. Waits until they are.
    package func shutdown(grace: Duration = .seconds(5)) async {
        ended.open()
        await withDiscardingTaskGroup { group in
            group.addTask(executorPreference: listener.loop) { self.listener.shutdown() }
            for pool in pools {
                group.addTask(executorPreference: pool.loop) { await pool.shutdown(grace: grace) }
            }
        }
        services.workers.shutdown()
    }

    private let ended = Gate()
}

/// Connections by what they do, and who waits for one.
package struct ConnectionCounts: Sendable, Hashable {
    package var idle = 0
    package var busy = 0
    /// Callers without a connection.
    package var waiting = 0
}
