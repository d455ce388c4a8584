// SPDX-License-Identifier: Apache-2.0
internal import Primitives
internal import Synchronization

/// How often the images of one path are asked for: many sizes of one image in a short time are somebody's script, and cost a process each.
final class RenderLimiter: Sendable {
    private let buckets: Mutex<TokenBuckets>
    private let start = ContinuousClock.now
    private static let maxPaths = 10_000

    /// - Parameter perSecond: requests of one path, as many at once; zero makes no limiter.
    init?(perSecond: Int) {
        guard perSecond > 0 else { return nil }
        let limit = TokenBucketLimit(count: perSecond, interval: .seconds(1), burst: perSecond)
        buckets = Mutex(TokenBuckets(limit, maxKeys: Self.maxPaths))
    }

    /// - Throws: ``StorageError`` with `slowDown` when the path was asked for too often.
    func take(_ object: ObjectName) throws(StorageError) {
        let now = ContinuousClock.now - start
        guard buckets.withLock({ $0.take(object.path, now: now) }) != nil else { return }
        throw StorageError(.slowDown, "Images of this path are rendered too often. Please try again later.")
    }
}
