// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Primitives
import Synchronization

/// Refuses who calls too often. A lock is held for no longer than a dictionary look-up.
final class RateLimiter: Sendable {
    /// The buckets of one limit. A class, as a mutex can be no element of a dictionary.
    private final class Buckets: Sendable {
        let buckets: Mutex<TokenBuckets>
        init(_ limit: TokenBucketLimit, maxKeys: Int) { buckets = Mutex(TokenBuckets(limit, maxKeys: maxKeys)) }
    }

    private let buckets: [RateLimit: Buckets]
    private let exemptsLoopback: Bool

    init(_ limits: AuthRateLimits) {
        buckets = Dictionary(
            uniqueKeysWithValues: RateLimit.allCases.map { kind in
                (kind, Buckets(limits[kind], maxKeys: kind.scope == .server ? 2 : limits.maxAddresses))
            })
        exemptsLoopback = limits.exemptsLoopback
    }

    /// Counts a request against a limit by address.
    ///
    /// - Throws: `overRequestRateLimit`, with the seconds to wait.
    func admit(_ request: HTTPRequest, _ kind: RateLimit) throws(AuthError) {
        guard let address = ClientAddress(request.remoteAddress) else { return }
        if exemptsLoopback, address.isLoopback { return }
        try take(kind, address.limitKey, request)
    }

    /// Counts an attempt at an account.
    ///
    /// - Parameter account: names it, whether it exists or not: an unknown one must be limited alike.
    func admit(_ request: HTTPRequest, _ kind: RateLimit, account: String) throws(AuthError) {
        try take(kind, account, request)
    }

    /// Counts something the server does against what it may do in all.
    func admitForServer(_ kind: RateLimit, _ request: HTTPRequest) throws(AuthError) {
        try take(kind, "", request)
    }

    /// Refuses an attempt at an account when as many have failed as may; counts nothing. Failures are counted by
    /// ``recordFailure(_:_:account:)``, so that whoever knows the password is never limited for using it often.
    func check(_ request: HTTPRequest, _ kind: RateLimit, account: String) throws(AuthError) {
        let now = now(request)
        guard let wait = buckets[kind]?.buckets.withLock({ $0.wait(account, now: now) }) else { return }
        throw Self.refusal(kind, wait)
    }

    func recordFailure(_ request: HTTPRequest, _ kind: RateLimit, account: String) {
        let now = now(request)
        _ = buckets[kind]?.buckets.withLock { $0.take(account, now: now) }
    }

    private func now(_ request: HTTPRequest) -> Duration {
        .nanoseconds(Int64(request.loop.monotonicNanoseconds))
    }

    private static func refusal(_ kind: RateLimit, _ wait: Duration) -> AuthError {
        AuthError(
            kind.code, kind.message, retryAfter: .seconds(wait.components.seconds + 1), limit: kind.setting)
    }

    private func take(_ kind: RateLimit, _ key: String, _ request: HTTPRequest) throws(AuthError) {
        let now = now(request)
        guard let wait = buckets[kind]?.buckets.withLock({ $0.take(key, now: now) }) else { return }
        throw Self.refusal(kind, wait)
    }
}
