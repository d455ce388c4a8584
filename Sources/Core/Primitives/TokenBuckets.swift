// SPDX-License-Identifier: Apache-2.0

/// A rate: `count` calls in `interval` on average, `burst` at once.
package struct TokenBucketLimit: Sendable, Hashable {
    package var count: Int
    package var interval: Duration
    package var burst: Int

    package init(count: Int, interval: Duration, burst: Int) {
        self.count = count
        self.interval = interval
        self.burst = burst
    }
}

/// One token bucket for each key, in bounded memory; a value without a clock of its own.
///
/// Keys live in two generations. When the younger is full it becomes the older one and the former older one is forgotten,
/// so that a key is remembered until at least half of `maxKeys` others have come.
package struct TokenBuckets: Sendable {
    private struct Bucket {
        var tokens: Double
        var updatedAt: Duration
    }

    private let limit: TokenBucketLimit
    private let maxKeysPerGeneration: Int
    private var younger: [String: Bucket] = [:]
    private var older: [String: Bucket] = [:]

    package init(_ limit: TokenBucketLimit, maxKeys: Int) {
        self.limit = limit
        maxKeysPerGeneration = max(1, maxKeys / 2)
    }

    /// How many keys are remembered.
    package var keyCount: Int { younger.count + older.count }

    /// Takes a token of `key`'s bucket.
    ///
    /// - Parameter now: the time on a clock that never goes back, from any origin.
    /// - Returns: nil when there was one; else how long until there is.
    package mutating func take(_ key: String, now: Duration) -> Duration? {
        guard limit.count > 0 else { return limit.interval }
        var bucket =
            younger[key] ?? older.removeValue(forKey: key) ?? Bucket(tokens: Double(limit.burst), updatedAt: now)
        refill(&bucket, now)
        let isGranted = bucket.tokens >= 1
        if isGranted { bucket.tokens -= 1 }
        remember(bucket, under: key)
        return isGranted ? nil : limit.interval * ((1 - bucket.tokens) / Double(limit.count))
    }

    /// What ``take(_:now:)`` would answer, without taking.
    package func wait(_ key: String, now: Duration) -> Duration? {
        guard limit.count > 0 else { return limit.interval }
        guard var bucket = younger[key] ?? older[key] else { return nil }
        refill(&bucket, now)
        return bucket.tokens >= 1 ? nil : limit.interval * ((1 - bucket.tokens) / Double(limit.count))
    }

    private func refill(_ bucket: inout Bucket, _ now: Duration) {
        let elapsed = max(.zero, now - bucket.updatedAt)
        bucket.tokens = min(Double(limit.burst), bucket.tokens + elapsed / limit.interval * Double(limit.count))
        bucket.updatedAt = now
    }

    private mutating func remember(_ bucket: Bucket, under key: String) {
        if younger[key] == nil, younger.count >= maxKeysPerGeneration {
            older = younger
            younger = [:]
        }
        younger[key] = bucket
    }
}
