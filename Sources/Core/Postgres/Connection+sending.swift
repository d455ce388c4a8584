// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop
internal import Primitives

/// The statement that sets role and settings for one transaction.
enum Preamble {
    /// The unit's settings, and role, read-only and timeout.
    static let maxSettings = WorkUnit.maxSettings + 3

    /// `select pg_advisory_unlock_all(), set_config($1, $2, true), ...`, by number of settings. The locks are those a
    /// function of an earlier unit took for its session: nobody else would ever give them back.
    static let statements: [String] = (0...maxSettings).map { count in
        "select pg_catalog.pg_advisory_unlock_all()"
            + (0..<count).map { ", pg_catalog.set_config($\($0 * 2 + 1), $\($0 * 2 + 2), true)" }.joined()
    }

    /// What a unit sets: what needs the rights of the login, then the role, then what needs no more than any role may do.
    ///
    /// The role is set even when the unit names none, to the login's, so that one left by a function with
    /// `set_config('role', ..., false)` cannot reach the next unit.
    ///
    /// - Parameter bound: on a shared connection, how long a query may run there.
    static func settings(of unit: WorkUnit, bound: Duration? = nil) -> [(name: String, value: String)] {
        var settings: [(name: String, value: String)] = []
        settings.reserveCapacity(unit.settings.count + unit.loginSettings.count + 3)
        settings.append(contentsOf: unit.loginSettings)
        settings.append((name: "role", value: unit.role ?? "none"))
        if unit.readOnly { settings.append((name: "transaction_read_only", value: "on")) }
        if let timeout = unit.statementTimeout {
            settings.append((name: "statement_timeout", value: String(timeout.wholeMilliseconds)))
        }
        settings.append(contentsOf: unit.settings)
        // Where others wait behind it, no unit's own time limit counts.
        if let bound, unit.limitsTime {
            settings.append((name: "statement_timeout", value: String(bound.wholeMilliseconds)))
        }
        return settings
    }
}

extension Connection {
    /// Sends an operation; what comes back ends it. It was validated before.
    func submit(_ operation: Operation) {
        loop.assertOnLoop()
        operation.connection = self
        guard let handle, phase == .open else {
            operation.fail(PostgresError(.connectionLost, "the connection is closed"))
            return
        }
        lastOperation += 1
        operation.number = lastOperation
        operation.startedAt = loop.monotonicNanoseconds
        running.append(operation)
        guard sendAll(operation, handle) else {
            lose(libpqError(.connectionLost))
            return
        }
        if !operation.isReadOnly { mayHoldTemporaries = true }
        flush()
    }

    private func sendAll(_ operation: Operation, _ handle: OpaquePointer) -> Bool {
        defer { parameters.trim() }
        if mayDeallocate(before: operation, handle) {
            for name in cache.takeEvictedNames() {
                guard sendOnce("deallocate \(quoteIdentifier(name))", handle, .quiet(nil)) else { return false }
            }
        }
        switch operation.kind {
        case .unit:
            guard sendReset(operation, handle), sendPreamble(operation, handle) else { return false }
        case .begin(let isolation):
            // The isolation level must be known before anything looks at the database, which the reset does.
            guard sendPrepared(isolation.beginStatement.description, operation, handle, role: nil, isQuiet: true),
                sendReset(operation, handle), sendPreamble(operation, handle)
            else { return false }
        case .commit:
            guard sendPrepared("commit", operation, handle, role: nil, isQuiet: false) else { return false }
        case .rollback:
            guard sendPrepared("rollback", operation, handle, role: nil, isQuiet: false) else { return false }
        case .leased, .lease: break
        }
        let last = operation.stream == nil ? -1 : operation.unit.queries.count - 1
        for (index, query) in operation.unit.queries.enumerated() {
            guard send(query, operation, handle, streams: index == last) else { return false }
        }
        steps.append(.sync)
        if let wire {
            wire.sync()
            return true
        }
        return PQpipelineSync(handle) == 1
    }

    /// In a transaction that has failed PostgreSQL takes nothing but its end or a savepoint: a statement is forgotten there later.
    private func mayDeallocate(before operation: Operation, _ handle: OpaquePointer) -> Bool {
        switch operation.kind {
        case .unit, .begin, .lease: true
        case .leased: running.count == 1 && PQtransactionStatus(handle) == PQTRANS_INTRANS
        case .commit, .rollback: false
        }
    }

    /// Takes back what a function may have left with `set_config(..., false)` or in temporary tables: it must not reach
    /// the next unit, which may be another tenant's. Where only reads have run there are no temporary tables: PostgreSQL makes none in a
    /// transaction that is read-only before its first query, and lets it become no other.
    private func sendReset(_ operation: Operation, _ handle: OpaquePointer) -> Bool {
        guard sendPrepared("reset all", operation, handle, role: nil, isQuiet: true) else { return false }
        guard mayHoldTemporaries else { return true }
        operation.discardsTemporaries = true
        return sendPrepared("discard temporary", operation, handle, role: nil, isQuiet: true)
    }

    private func sendPreamble(_ operation: Operation, _ handle: OpaquePointer) -> Bool {
        let settings = Preamble.settings(
            of: operation.unit, bound: isShared ? configuration.statementTimeout : nil)
        let sql = Preamble.statements[settings.count]
        guard configuration.preparesStatements else {
            parameters.load(settings: settings)
            return sendUnnamed(sql, types: [], handle, .quiet(nil))
        }
        if preambles[settings.count] == nil {
            lastPreamble += 1
            let statement = PreparedStatement(
                key: StatementKey(sql: sql, role: nil, types: []), name: "p\(lastPreamble)\(nameEnding)",
                state: .parsing(operation: operation.number))
            preambles[settings.count] = statement
            guard prepare(statement, handle) else { return false }
        }
        guard let statement = preambles[settings.count] else { return false }
        parameters.load(settings: settings)
        if case .parsing(let owner) = statement.state, owner != operation.number {
            return sendUnnamed(sql, types: [], handle, .quiet(nil))
        }
        return execute(statement, handle, .quiet(statement))
    }

    private func send(
        _ query: PostgresQuery, _ operation: Operation, _ handle: OpaquePointer, streams: Bool
    ) -> Bool {
        func step(_ statement: PreparedStatement?) -> Step { streams ? .stream(statement) : .rows(statement) }
        let types = query.parameterTypes
        if !query.isPrepared || !configuration.preparesStatements
            || query.sql.utf8.count > configuration.maxPreparedBytes
        {
            parameters.load(query.parameters)
            return sendUnnamed(query.sql, types: types, handle, step(nil))
        }
        let key = StatementKey(
            sql: query.sql, role: operation.unit.role, types: types, sqlHash: query.sqlHash)
        switch cache.use(key, operation: operation.number) {
        case .execute(let statement):
            services.counters.statementHits.increment()
            parameters.load(query.parameters)
            return execute(statement, handle, step(statement))
        case .prepare(let statement):
            services.counters.statementMisses.increment()
            guard prepare(statement, handle) else { return false }
            parameters.load(query.parameters)
            return execute(statement, handle, step(statement))
        case .unnamed:
            services.counters.statementMisses.increment()
            parameters.load(query.parameters)
            return sendUnnamed(query.sql, types: types, handle, step(nil))
        }
    }

    /// A command of our own without parameters, kept prepared.
    private func sendPrepared(
        _ sql: String, _ operation: Operation, _ handle: OpaquePointer, role: String?, isQuiet: Bool
    ) -> Bool {
        parameters.load([])
        guard configuration.preparesStatements else {
            return sendUnnamed(sql, types: [], handle, isQuiet ? .quiet(nil) : .rows(nil))
        }
        switch cache.use(StatementKey(sql: sql, role: role, types: []), operation: operation.number) {
        case .execute(let statement):
            return execute(statement, handle, isQuiet ? .quiet(statement) : .rows(statement))
        case .prepare(let statement):
            guard prepare(statement, handle) else { return false }
            return execute(statement, handle, isQuiet ? .quiet(statement) : .rows(statement))
        case .unnamed: return sendUnnamed(sql, types: [], handle, isQuiet ? .quiet(nil) : .rows(nil))
        }
    }

    private func sendOnce(_ sql: String, _ handle: OpaquePointer, _ step: Step) -> Bool {
        parameters.load([])
        return sendUnnamed(sql, types: [], handle, step)
    }

    private func prepare(_ statement: PreparedStatement, _ handle: OpaquePointer) -> Bool {
        steps.append(.parse(statement))
        let types = statement.key.types
        if let wire {
            wire.prepare(statement.name, statement.key.sql, types: types)
            return true
        }
        return PQsendPrepare(handle, statement.name, statement.key.sql, Int32(types.count), types) == 1
    }

    /// Executes a statement with the loaded parameters.
    private func execute(_ statement: PreparedStatement, _ handle: OpaquePointer, _ step: Step) -> Bool {
        steps.append(step)
        if let wire {
            wire.execute(statement.name, parameters)
            return true
        }
        return PQsendQueryPrepared(
            handle, statement.name, Int32(parameters.count), parameters.values,
            parameters.hasBinary ? parameters.lengths : nil, parameters.hasBinary ? parameters.formats : nil,
            step.resultFormat) == 1
    }

    /// Parses and executes at once with the loaded parameters.
    private func sendUnnamed(_ sql: String, types: [UInt32], _ handle: OpaquePointer, _ step: Step) -> Bool {
        steps.append(step)
        if let wire {
            wire.execute(sql: sql, types: types, parameters)
            return true
        }
        let allTypes =
            types.isEmpty ? [UInt32](repeating: 0, count: parameters.count) : types
        return PQsendQueryParams(
            handle, sql, Int32(parameters.count), allTypes, parameters.values,
            parameters.hasBinary ? parameters.lengths : nil, parameters.hasBinary ? parameters.formats : nil,
            step.resultFormat) == 1
    }
}

extension WorkUnit {
    /// Whether its settings have a time limit; for a unit that is brief only.
    fileprivate var limitsTime: Bool {
        func isLimit(_ setting: (name: String, value: String)) -> Bool {
            setting.name.utf8.count == 17 && setting.name.lowercased() == "statement_timeout"
        }
        return settings.contains(where: isLimit) || loginSettings.contains(where: isLimit)
    }
}

extension Connection.Step {
    /// Streams are binary: bytes pass as they are.
    fileprivate var resultFormat: Int32 {
        if case .stream = self { 1 } else { 0 }
    }
}

extension PostgresQuery {
    /// The OIDs of the parameters' types; empty when the server is to infer all.
    fileprivate var parameterTypes: [UInt32] {
        parameters.contains { $0.type != 0 } ? parameters.map(\.type) : []
    }
}

extension Duration {
    /// Milliseconds, rounded up: a timeout is never shorter than asked for, and never becomes "none" by rounding.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let part = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return max(0, min(seconds, 2_000_000) * 1000 + part)
    }
}
