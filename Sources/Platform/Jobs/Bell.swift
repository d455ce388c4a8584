// SPDX-License-Identifier: Apache-2.0
internal import EventLoop

/// Wakes one waiting task, or makes its next wait return at once.
// @unchecked Sendable: touched on the loop alone; cancellation comes through `Loop.execute`.
final class Bell: @unchecked Sendable {
    private let loop: Loop
    private var hasRung = false
    private var waiter: UnsafeContinuation<Void, Never>?
    private var timer: LoopTimer?

    init(loop: Loop) { self.loop = loop }

    func ring() {
        loop.assertOnLoop()
        if waiter == nil { hasRung = true } else { wake() }
    }

    /// Returns when the bell rings or has rung, when the time is over, or when the task is cancelled.
    func wait(atMost limit: Duration) async {
        loop.assertOnLoop()
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                if hasRung || Task.isCancelled {
                    hasRung = false
                    continuation.resume()
                    return
                }
                waiter = continuation
                timer = loop.schedule(after: limit) { [self] in wake() }
            }
        } onCancel: {
            loop.execute { self.wake() }
        }
    }

    private func wake() {
        if let timer { loop.cancel(timer) }
        timer = nil
        waiter?.resume()
        waiter = nil
    }
}
