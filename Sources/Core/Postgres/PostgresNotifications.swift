// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// What a listener learns, in order.
package enum PostgresNotification: Sendable, Hashable {
    /// From here on nothing is missed; anything before may have been. It comes first, when listening has begun, and again
    /// after each reconnect and each overflow of the buffer. The answer is to read the state anew.
    case gap
    /// Somebody notified the channel: `NOTIFY channel, 'payload'`.
    case message(payload: String, processID: Int32)
}

/// The notifications of one channel, without end until the database is shut down or the iterating task is cancelled.
///
/// All channels of a database share one connection, which is made again when it breaks.
package struct PostgresNotifications: AsyncSequence, Sendable {
    package typealias Element = PostgresNotification
    let subscribe: @Sendable () -> Subscription

    /// Listening begins with the iterator and ends with it.
    package func makeAsyncIterator() -> Iterator {
        Iterator(subscription: subscribe())
    }

    package final class Iterator: AsyncIteratorProtocol {
        private let subscription: Subscription

        init(subscription: Subscription) { self.subscription = subscription }

        deinit { subscription.end() }

        package func next() async -> PostgresNotification? {
            await subscription.next()
        }
    }
}

/// One consumer's buffer: filled on the listener's loop, drained by the consumer's task.
final class Subscription: Sendable {
    private struct State {
        var messages = Fifo<PostgresNotification>()
        var hasGap = false
        var isOver = false
        var waiter: UnsafeContinuation<PostgresNotification?, Never>?
    }

    let channel: String
    private let maxBuffered: Int
    private let state = Mutex(State())
    private let onEnd: @Sendable (Subscription) -> Void

    init(channel: String, maxBuffered: Int, onEnd: @escaping @Sendable (Subscription) -> Void) {
        self.channel = channel
        self.maxBuffered = max(maxBuffered, 1)
        self.onEnd = onEnd
    }

    /// The next element, or nil when it is over.
    func next() async -> PostgresNotification? {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<PostgresNotification?, Never>) in
                let ready: PostgresNotification?? = state.withLock { state in
                    if state.isOver || Task.isCancelled { return .some(nil) }
                    if state.hasGap {
                        state.hasGap = false
                        return .gap
                    }
                    if let message = state.messages.popFirst() { return message }
                    state.waiter = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            end()
        }
    }

    func deliver(_ message: PostgresNotification) {
        let waiter = state.withLock { state -> UnsafeContinuation<PostgresNotification?, Never>? in
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            if state.messages.count >= maxBuffered {
                // What is left would be of no use behind a gap: the consumer reads the state anew.
                _ = state.messages.removeAll()
                state.hasGap = true
            } else {
                state.messages.append(message)
            }
            return nil
        }
        waiter?.resume(returning: message)
    }

    /// Listening has begun, perhaps again.
    func deliverGap() {
        let waiter = state.withLock { state -> UnsafeContinuation<PostgresNotification?, Never>? in
            if let waiter = state.waiter {
                state.waiter = nil
                return waiter
            }
            _ = state.messages.removeAll()
            state.hasGap = true
            return nil
        }
        waiter?.resume(returning: .gap)
    }

    /// No more elements, on either side's wish.
    func end() {
        let (isFirst, waiter) = state.withLock { state in
            defer {
                state.isOver = true
                state.waiter = nil
            }
            return (!state.isOver, state.waiter)
        }
        waiter?.resume(returning: nil)
        if isFirst { onEnd(self) }
    }
}
