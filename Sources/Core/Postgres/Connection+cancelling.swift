// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop
internal import Primitives

extension Connection {
    /// Asks the server to stop an operation that runs here. Its waiter is told when the server has answered; if that takes
    /// longer than `cancelTimeout` the connection is closed instead.
    func cancel(_ operation: Operation) {
        loop.assertOnLoop()
        guard phase == .open, !operation.isCancelled, running.contains(where: { $0 === operation }), let handle else {
            return
        }
        operation.isCancelled = true
        services.counters.cancels.increment()
        if cancelTimer == nil {
            cancelTimer = loop.schedule(after: configuration.cancelTimeout) { [weak self] in
                self?.lose(PostgresError(.queryCancelled, "the server did not stop the query in time"))
            }
        }
        guard let request = PQgetCancel(handle) else {
            isCancelDoubtful = true
            return
        }
        cancelsUnderway += 1
        let cancelRequest = CancelRequest(request)
        // PQcancel connects anew and blocks; libpq 15 has no other way.
        loop.spawn { [weak self, workers = services.workers] in
            let wasSent = (try? await workers.run { cancelRequest.send() }) ?? false
            self?.cancelEnded(wasSent: wasSent)
        }
    }

    private func cancelEnded(wasSent: Bool) {
        cancelsUnderway -= 1
        if !wasSent { isCancelDoubtful = true }
        guard cancelsUnderway == 0, phase == .open else { return }
        if let operation = heldBack {
            heldBack = nil
            if let cancelTimer { loop.cancel(cancelTimer) }
            cancelTimer = nil
            if isCancelDoubtful {
                lose(PostgresError(.queryCancelled, "cancelling a query failed"))
            } else {
                owner?.connectionFinished(operation, on: self)
            }
        }
    }
}

/// libpq's way to name a session to be interrupted.
// @unchecked Sendable: libpq documents PQcancel as safe on any thread; used once and freed with the last reference.
private final class CancelRequest: @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    deinit { PQfreeCancel(handle) }

    /// Sends the request and waits until the server has passed it on. Blocks.
    func send() -> Bool {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
            PQcancel(handle, message.baseAddress, Int32(message.count)) == 1
        }
    }
}
