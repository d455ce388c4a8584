// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Primitives
import Synchronization

/// Refuses clients that call too often. A lock is held for no longer than a dictionary look-up.
final class RateLimiter: Sendable {
    enum Kind {
        case signUp
        case token
        case anonymousSignIn
    }

    private let signUps: Mutex<TokenBuckets>
    private let tokens: Mutex<TokenBuckets>
    private let anonymousSignIns: Mutex<TokenBuckets>
    private let exemptsLoopback: Bool

    init(_ limits: AuthRateLimits) {
        signUps = Mutex(TokenBuckets(limits.signUps, maxKeys: limits.maxAddresses))
        tokens = Mutex(TokenBuckets(limits.tokens, maxKeys: limits.maxAddresses))
        anonymousSignIns = Mutex(TokenBuckets(limits.anonymousSignIns, maxKeys: limits.maxAddresses))
        exemptsLoopback = limits.exemptsLoopback
    }

    /// - Throws: `overRequestRateLimit`, with the seconds to wait.
    func admit(_ request: HTTPRequest, _ kind: Kind) throws(AuthError) {
        guard let address = ClientAddress(request.remoteAddress) else { return }
        if exemptsLoopback, address.isLoopback { return }
        let now = Duration.nanoseconds(Int64(request.loop.monotonicNanoseconds))
        let wait =
            switch kind {
            case .signUp: signUps.withLock { $0.take(address.limitKey, now: now) }
            case .token: tokens.withLock { $0.take(address.limitKey, now: now) }
            case .anonymousSignIn: anonymousSignIns.withLock { $0.take(address.limitKey, now: now) }
            }
        guard let wait else { return }
        throw AuthError(
            .overRequestRateLimit, "Request rate limit reached", retryAfter: .seconds(wait.components.seconds + 1))
    }
}
