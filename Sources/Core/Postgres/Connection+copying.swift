// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop

// COPY is not part of pipeline mode: the connection leaves it for the length of one COPY and comes back when that has ended
// in order. If it has not, the connection is closed, which rolls back what it did.
extension Connection {
    enum CopyDirection {
        case toServer
        case fromServer
    }

    /// Sends a COPY command and waits until data may flow.
    func beginCopy(_ sql: String, _ direction: CopyDirection) async throws(PostgresError) {
        loop.assertOnLoop()
        guard isIdle, let handle, PQexitPipelineMode(handle) == 1 else {
            throw PostgresError(.misuse, "COPY begins when no other query runs on the connection")
        }
        phase = .copying
        pauseWatching()
        guard PQsendQuery(handle, sql) == 1, let result = try await nextCopyResult() else {
            throw brokenCopy()
        }
        let status = PQresultStatus(result)
        switch (status, direction) {
        case (PGRES_COPY_IN, .toServer), (PGRES_COPY_OUT, .fromServer): PQclear(result)
        case (PGRES_COPY_IN, .fromServer), (PGRES_COPY_OUT, .toServer), (PGRES_COPY_BOTH, _):
            PQclear(result)
            let error = PostgresError(.misuse, "this COPY flows the other way")
            lose(error)
            throw error
        case (PGRES_FATAL_ERROR, _):
            let error = PostgresError(result: result)
            PQclear(result)
            _ = try await endCopy()
            throw error
        default:
            PQclear(result)
            _ = try await endCopy()
            throw PostgresError(.misuse, "the query is no COPY")
        }
    }

    /// Hands bytes to the server; returns when libpq holds none of them any more, so that a slow server slows the caller.
    func putCopyData(_ bytes: [UInt8]) async throws(PostgresError) {
        var offset = 0
        while offset < bytes.count {
            guard let handle, phase == .copying else { throw brokenCopy() }
            let length = min(bytes.count - offset, Self.maxCopyPiece)
            // libpq copies the piece before it returns.
            let outcome = bytes.withUnsafeBytes { buffer in
                buffer.baseAddress.map {
                    PQputCopyData(handle, ($0 + offset).assumingMemoryBound(to: CChar.self), Int32(length))
                } ?? 1
            }
            switch outcome {
            case 1:
                offset += length
                try await drainOutput()
            case 0: try await waitForSocket([.readable, .writable])
            default:
                // The server has refused what came before; its reason is in the results.
                throw try await endCopy().error ?? brokenCopy()
            }
        }
    }

    /// Says that all data was sent; the number of rows the server took.
    func finishCopyIn() async throws(PostgresError) -> Int {
        while let handle, phase == .copying {
            switch PQputCopyEnd(handle, nil) {
            case 1:
                let end = try await endCopy()
                if let error = end.error { throw error }
                return end.rows
            case 0: try await waitForSocket([.readable, .writable])
            default: throw try await endCopy().error ?? brokenCopy()
            }
        }
        throw brokenCopy()
    }

    /// The next rows, at least one and about `maxCopyPiece` bytes at most, or nil at the end.
    func nextCopyData() async throws(PostgresError) -> [UInt8]? {
        var chunk: [UInt8] = []
        while let handle, phase == .copying {
            var row: UnsafeMutablePointer<CChar>?
            let length = PQgetCopyData(handle, &row, 1)
            if length > 0, let row {
                chunk.append(contentsOf: UnsafeRawBufferPointer(start: row, count: Int(length)))
                PQfreemem(row)
                if chunk.count >= Self.maxCopyPiece { return chunk }
            } else if length == 0 {
                if !chunk.isEmpty { return chunk }
                try await waitForSocket([.readable])
                guard consumeInput(handle) else { throw brokenCopy() }
            } else {
                if !chunk.isEmpty { return chunk }
                if let error = try await endCopy().error { throw error }
                return nil
            }
        }
        throw brokenCopy()
    }

    /// Whether a COPY is under way.
    var isCopying: Bool { phase == .copying }

    func wakeCopy() {
        pauseWatching()
        let waiter = copyWaiter
        copyWaiter = nil
        waiter?.resume()
    }

    private static let maxCopyPiece = 65536

    /// Takes the remaining results and goes back to pipeline mode.
    private func endCopy() async throws(PostgresError) -> (rows: Int, error: PostgresError?) {
        var rows = 0
        var error: PostgresError?
        while let result = try await nextCopyResult() {
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_FATAL_ERROR: error = error ?? PostgresError(result: result)
            case PGRES_COMMAND_OK: rows = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
            case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH: throw brokenCopy()
            default: break
            }
        }
        guard let handle, PQenterPipelineMode(handle) == 1 else { throw brokenCopy() }
        phase = .open
        resumeWatching([.readable])
        return (rows, error)
    }

    private func nextCopyResult() async throws(PostgresError) -> OpaquePointer? {
        try await drainOutput()
        while let handle, phase == .copying {
            if PQisBusy(handle) == 0 { return PQgetResult(handle) }
            try await waitForSocket([.readable])
            guard consumeInput(handle) else { throw brokenCopy() }
        }
        throw brokenCopy()
    }

    private func drainOutput() async throws(PostgresError) {
        while let handle, phase == .copying {
            switch PQflush(handle) {
            case 0: return
            case 1:
                try await waitForSocket([.readable, .writable])
                guard consumeInput(handle) else { throw brokenCopy() }
            default: throw brokenCopy()
            }
        }
        throw brokenCopy()
    }

    /// Suspends until the socket is ready. A cancelled task closes the connection: a COPY stopped half-way is in doubt.
    private func waitForSocket(_ wanted: Readiness) async throws(PostgresError) {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                copyWaiter = continuation
                resumeWatching(wanted)
            }
        } onCancel: {
            loop.execute { [weak self] in
                guard let self, self.isCopying else { return }
                self.lose(PostgresError(.queryCancelled, "the task was cancelled while data was copied"))
            }
        }
        guard phase == .copying else {
            throw PostgresError(
                Task.isCancelled ? .queryCancelled : .connectionLost, "the connection was lost while data was copied")
        }
    }

    /// While nobody waits the socket is not watched: the kernel's buffers fill up and slow the server.
    private func pauseWatching() {
        if let registration { loop.deregister(registration) }
        registration = nil
        interest = []
    }

    private func resumeWatching(_ wanted: Readiness) {
        guard let handle, registration == nil else { return }
        do {
            registration = try loop.register(PQsocket(handle), wanted, self)
            interest = wanted
        } catch {
            lose(PostgresError(.connectionLost, "cannot watch the socket: \(error)"))
        }
    }

    private func brokenCopy() -> PostgresError {
        let error = libpqError(.connectionLost)
        lose(error)
        return error
    }
}
