// SPDX-License-Identifier: Apache-2.0
import Primitives
import Synchronization

/// Keeps a pause between two messages of one kind to one address, in bounded memory.
final class SendingPauses: Sendable {
    private let buckets: Mutex<TokenBuckets>?

    /// - Parameter pause: zero for none.
    init(_ pause: Duration, maxAddresses: Int) {
        buckets =
            pause > .zero
            ? Mutex(TokenBuckets(TokenBucketLimit(count: 1, interval: pause, burst: 1), maxKeys: maxAddresses)) : nil
    }

    /// - Returns: nil when a message may be sent now, which counts as sent; else how long to wait.
    func take(_ address: String, now: Duration) -> Duration? {
        buckets?.withLock { $0.take(address, now: now) }
    }
}
