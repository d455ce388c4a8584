// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop
internal import Primitives

extension Connection {
    /// Takes every result that is complete and gives it to its operation.
    func takeResults() {
        var ends = 0
        while phase == .open, let handle, !steps.isEmpty {
            if case .stream = steps.first, running.first?.stream?.isFull ?? false {
                isPaused = true
                watch([])
                return
            }
            guard PQisBusy(handle) == 0 else { break }
            guard let result = PQgetResult(handle) else {
                // One after each command; two in a row mean that libpq expects nothing more while we do.
                ends += 1
                if ends > 1 {
                    lose(PostgresError(.connectionLost, "the protocol is out of step"))
                    return
                }
                // The moment between two commands is the only one at which libpq takes this.
                switch steps.first {
                case .stream: _ = PQsetSingleRowMode(handle)
                case .rows where running.first?.isBounded ?? false: _ = PQsetSingleRowMode(handle)
                default: break
                }
                continue
            }
            ends = 0
            take(result)
        }
        guard phase == .open, let handle else { return }
        // Notices, notifications and changed parameters come in between; looking is what makes libpq read them.
        if steps.isEmpty { _ = PQisBusy(handle) }
        takeNotifications(handle)
    }

    /// Reads on when who reads the rows of a stream has taken what there was.
    func resumeTaking() {
        guard phase == .open, isPaused else { return }
        isPaused = false
        exchange()
    }

    private func take(_ result: OpaquePointer) {
        switch PQresultStatus(result) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            let whole = PostgresResult(takingOwnershipOf: result)
            takeSuccess(running.first?.takeGathered().map { PostgresResult($0, tag: whole.commandTag) } ?? whole)
        case PGRES_SINGLE_TUPLE: takeRow(result)
        case PGRES_PIPELINE_SYNC:
            PQclear(result)
            steps.popFirst()
            endOperation()
        case PGRES_PIPELINE_ABORTED:
            PQclear(result)
            if case .parse(let statement) = steps.popFirst() { forgetParse(of: statement) }
        case PGRES_FATAL_ERROR:
            takeError(PostgresError(result: result))
            PQclear(result)
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH:
            PQclear(result)
            lose(PostgresError(.misuse, "COPY needs copyIn or copyOut of a leased transaction"))
        default:
            PQclear(result)
            lose(libpqError(.connectionLost))
        }
    }

    /// A row on its way to who reads a stream, or one of a query whose rows are counted.
    private func takeRow(_ row: OpaquePointer) {
        guard let operation = running.first, operation.stream == nil else {
            running.first?.add(row: PostgresResult(takingOwnershipOf: row))
            return
        }
        defer { PQclear(row) }
        if operation.takes(PostgresResult.byteCount(of: row, row: 0)) {
            operation.gather(row)
        } else {
            cancel(operation)
        }
    }

    /// The end of the step in hand; `result` is what it returned, where it was a command.
    func takeSuccess(_ result: PostgresResult?) {
        switch steps.popFirst() {
        case .parse(let statement):
            if isPreamble(statement) {
                statement.state = .ready
            } else {
                cache.parsed(statement)
            }
        case .rows:
            // Nothing is kept for who gets an error.
            if let result, let operation = running.first, operation.error == nil { operation.results.append(result) }
        case .quiet, .stream: break
        case .sync, nil: lose(PostgresError(.connectionLost, "the protocol is out of step"))
        }
    }

    func takeError(_ error: PostgresError) {
        var error = error
        guard error.server != nil else {
            // libpq's own error: the connection broke.
            lose(error)
            return
        }
        let operation = running.first
        // An error while the implicit transaction commits (a deferred constraint) comes when only the Sync is left.
        if case .sync = steps.first {
            if operation?.error == nil {
                operation?.error = error
                operation?.failedAtSync = true
            }
            return
        }
        switch steps.popFirst() {
        case .parse(let statement):
            if !isPreamble(statement) { error.queryIndex = operation?.results.count }
            forgetParse(of: statement)
        case .rows(let statement), .stream(let statement):
            error.queryIndex = operation?.results.count
            operation?.failedStatement = statement
        case .quiet(let statement): operation?.failedStatement = statement
        case .sync, nil: break
        }
        if operation?.error == nil { operation?.error = error }
    }

    private func isPreamble(_ statement: PreparedStatement) -> Bool {
        preambles.contains { $0 === statement }
    }

    func forgetParse(of statement: PreparedStatement) {
        if let index = preambles.firstIndex(where: { $0 === statement }) {
            preambles[index] = nil
        } else {
            cache.failed(statement)
        }
    }

    func endOperation() {
        guard let handle, let operation = running.popFirst() else { return }
        if steps.isEmpty, wire == nil {
            // Lets libpq see that nothing more is expected, without which it does not tell the transaction's status.
            _ = PQisBusy(handle)
            while let extra = PQgetResult(handle) { PQclear(extra) }
        }
        running.first?.startedAt = loop.monotonicNanoseconds
        // What it took back stays so only when it was not rolled back; and an operation behind it could have written since.
        if operation.discardsTemporaries, operation.error == nil, operation.isReadOnly, running.isEmpty {
            mayHoldTemporaries = false
        }
        if operation.error != nil, owner?.takesBack(operation, from: self) ?? false { return }
        if shouldRetry(operation) {
            operation.prepareRetry()
            services.counters.retries.increment()
            submit(operation)
            return
        }
        if operation.isCancelled, operation.error?.sqlState == PostgresError.cancelledState {
            operation.error?.code = .queryCancelled
        }
        if case .unit = operation.kind, steps.isEmpty, !isOutsideTransaction {
            operation.error = PostgresError(.invalidQuery, "the unit of work left a transaction open")
            running.append(operation)
            lose(PostgresError(.misuse, "a unit of work left a transaction open"))
            return
        }
        operation.finish()
        report(operation)
    }

    /// Tells the owner of an operation's end. One that frees the connection is held back while a cancel request may still
    /// arrive.
    private func report(_ operation: Operation) {
        if running.isEmpty, cancelsUnderway == 0, let cancelTimer {
            loop.cancel(cancelTimer)
            self.cancelTimer = nil
        }
        if !operation.endsLease || cancelsUnderway == 0 && !isCancelDoubtful {
            owner?.connectionFinished(operation, on: self)
        } else if cancelsUnderway > 0 {
            heldBack = operation
        } else {
            lose(PostgresError(.queryCancelled, "the connection was closed because cancelling a query on it failed"))
        }
    }

    /// Whether a stale prepared statement failed the unit, which was rolled back and can run again as a whole.
    private func shouldRetry(_ operation: Operation) -> Bool {
        guard let state = operation.error?.sqlState, let statement = operation.failedStatement else { return false }
        switch state {
        case "0A000":
            // `cached plan must not change result type` after a table was altered.
            cache.discard(statement)
        case "26000":
            // Somebody deallocated our statements.
            cache.forgetAll()
            for index in preambles.indices { preambles[index] = nil }
        default: return false
        }
        operation.failedStatement = nil
        guard case .unit = operation.kind else { return false }
        return !operation.wasRetried && !operation.isCancelled && !(operation.stream?.hasBegun ?? false)
    }

    /// Ends everything that runs with `error`; returns what certainly had no effect.
    func endRunning(_ error: PostgresError) -> [Operation] {
        _ = steps.removeAll()
        var unstarted: [Operation] = []
        for (position, operation) in running.removeAll().enumerated() {
            if isShared, position > 0, !operation.wasRetried, !operation.isCancelled {
                // It only reads, and the server had not come to it.
                operation.prepareRetry()
                unstarted.append(operation)
                continue
            }
            var failure = error
            if let reported = operation.error {
                // PostgreSQL said why before it hung up.
                failure = reported
                if reported.isFatal { failure.code = .connectionLost }
            }
            failure.isOutcomeUnknown = operation.mayHaveCommitted
            if case .unit = operation.kind, failure.isShutdownOfServer, !failure.isOutcomeUnknown,
                !operation.wasRetried, !operation.isCancelled, !(operation.stream?.hasBegun ?? false)
            {
                operation.prepareRetry()
                unstarted.append(operation)
            } else {
                operation.fail(failure)
            }
        }
        return unstarted
    }

    private func takeNotifications(_ handle: OpaquePointer) {
        while phase == .open, let notification = PQnotifies(handle) {
            let channel = String(cString: notification.pointee.relname)
            let payload = notification.pointee.extra.map { String(cString: $0) } ?? ""
            let processID = notification.pointee.be_pid
            PQfreemem(notification)
            owner?.connectionNotified(self, channel: channel, payload: payload, processID: processID)
        }
    }
}

extension Operation {
    /// Whether it may have taken effect although its end was not seen.
    fileprivate var mayHaveCommitted: Bool {
        switch kind {
        // The implicit transaction commits at the Sync: an error in place of a query's result is a roll-back.
        case .unit: !unit.readOnly && (error == nil || failedAtSync)
        case .commit: error?.isFatal ?? true
        case .begin, .leased, .rollback, .lease: false
        }
    }
}

extension PostgresError {
    /// `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`: the server goes down or restarts.
    fileprivate var isShutdownOfServer: Bool {
        isFatal && ["57P01", "57P02", "57P03"].contains(sqlState)
    }
}
