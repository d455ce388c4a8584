// SPDX-License-Identifier: Apache-2.0
internal import EventLoop

/// A connection on which a ``Wire`` speaks in libpq's place.
extension Connection: BatchEndHandler {
    /// Reads what came and takes what is complete.
    func exchange(_ wire: Wire) {
        let isReadable = wire.receive() != .failed
        takeMessages(wire)
        guard phase == .open else { return }
        if !isReadable {
            lose(PostgresError(.connectionLost, "the server closed the connection"))
        } else if interest.contains(.writable) {
            send(wire)
        }
    }

    /// What other units of this turn of the loop ask goes out with it.
    func flushAtBatchEnd(_ wire: Wire) {
        guard !willFlushAtBatchEnd else { return }
        willFlushAtBatchEnd = true
        loop.atBatchEnd(self)
    }

    func batchEnded() {
        willFlushAtBatchEnd = false
        if phase == .open, let wire { send(wire) }
    }

    private func send(_ wire: Wire) {
        switch wire.flush() {
        case .done: watch(.readable)
        case .again: watch([.readable, .writable])
        case .failed:
            // The server may have said why before it closed its side.
            _ = wire.receive()
            takeMessages(wire)
            lose(PostgresError(.connectionLost, "the server closed the connection"))
        }
    }

    private func takeMessages(_ wire: Wire) {
        while phase == .open {
            switch wire.next() {
            case .incomplete: return
            case .malformed: outOfStep()
            case .message(let message): take(message, wire)
            }
        }
    }

    private func take(_ message: Wire.Message, _ wire: Wire) {
        switch Unicode.Scalar(message.type) {
        case "D": takeRow(message.payload, wire)
        case "C", "I": takeEnd(message, wire)
        case "Z":
            guard case .sync = steps.popFirst() else { return outOfStep() }
            endOperation()
        case "T", "n": takeDescription(message, wire)
        case "E": takeError(message, wire)
        // Parse and Bind complete, the types of parameters, notices, changed parameters, notifications.
        case "1", "2", "t", "N", "S", "A": break
        case "G", "H", "W": lose(PostgresError(.misuse, "COPY needs copyIn or copyOut of a leased transaction"))
        default: outOfStep()
        }
    }

    private func takeRow(_ payload: UnsafeRawBufferPointer, _ wire: Wire) {
        switch steps.first {
        case .rows(let statement):
            guard running.first?.takes(payload.count) ?? true else { return wire.rows = nil }
            let rows = wire.rows ?? WireRows(statement?.columns ?? wire.columns)
            wire.rows = rows
            if !rows.add(payload) { outOfStep() }
        case .quiet: break
        default: outOfStep()
        }
    }

    private func takeEnd(_ message: Wire.Message, _ wire: Wire) {
        switch steps.first {
        case .rows(let statement):
            var reader = WireReader(message.payload)
            let rows = wire.rows ?? WireRows(statement?.columns ?? wire.columns)
            wire.rows = nil
            takeSuccess(PostgresResult(rows, tag: reader.text() ?? ""))
        case .quiet: takeSuccess(nil)
        default: outOfStep()
        }
    }

    /// What a statement returns: of one that was prepared the answer to that, of one without a name what comes before its rows.
    private func takeDescription(_ message: Wire.Message, _ wire: Wire) {
        let columns = message.type == UInt8(ascii: "n") ? WireColumns.none : WireColumns(message.payload)
        guard let columns else { return outOfStep() }
        if case .parse(let statement) = steps.first {
            statement.columns = columns
            takeSuccess(nil)
        } else {
            wire.columns = columns
        }
    }

    private func takeError(_ message: Wire.Message, _ wire: Wire) {
        guard let error = PostgresError(wire: message.payload) else { return outOfStep() }
        wire.rows = nil
        if steps.isEmpty {
            // Said without being asked: the session ends.
            lose(PostgresError(.connectionLost, error.message, server: error.server))
            return
        }
        takeError(error)
        // The server leaves out what was to come before the Sync.
        while let step = steps.first {
            if case .sync = step { return }
            steps.popFirst()
            if case .parse(let statement) = step { forgetParse(of: statement) }
        }
    }

    private func outOfStep() {
        lose(PostgresError(.connectionLost, "the protocol is out of step"))
    }
}
