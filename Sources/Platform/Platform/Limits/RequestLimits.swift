// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import HTTP
package import Primitives
internal import Synchronization

/// How often one person, and all people of one tenant together, may call; each server counts for itself.
package final class RequestLimits: Sendable {
    /// Whose requests were too many.
    package enum Scope: String, Sendable {
        case user
        case tenant
    }

    /// A class, as an optional mutex cannot be lent.
    private final class Counted: Sendable {
        private let buckets: Mutex<TokenBuckets>

        init(_ limit: TokenBucketLimit, maxKeys: Int) { buckets = Mutex(TokenBuckets(limit, maxKeys: maxKeys)) }

        func take(_ key: UUID, now: Duration) -> Duration? { buckets.withLock { $0.take(key.description, now: now) } }
    }

    private let people: Counted?
    private let tenants: Counted?

    /// - Parameters:
    ///   - people: nil for no limit, as for `tenants`.
    ///   - maxKeys: how many are remembered of each; beyond it those unseen for longest are forgotten.
    package init(people: TokenBucketLimit?, tenants: TokenBucketLimit?, maxKeys: Int) {
        isEmpty = people == nil && tenants == nil
        self.people = people.map { Counted($0, maxKeys: maxKeys) }
        self.tenants = tenants.map { Counted($0, maxKeys: maxKeys) }
    }

    /// Whether nothing is limited.
    package let isEmpty: Bool

    /// Counts a request of a signed-in person; others are not counted.
    ///
    /// - Parameter now: on a clock that never goes back.
    /// - Returns: nil when it may go on; else whose requests are too many, and how long to wait.
    package func count(_ principal: Principal, now: Duration) -> (scope: Scope, wait: Duration)? {
        guard principal.role == .authenticated else { return nil }
        if let user = principal.userID, let wait = people?.take(user, now: now) {
            return (.user, wait)
        }
        if let tenant = principal.tenantID, let wait = tenants?.take(tenant, now: now) {
            return (.tenant, wait)
        }
        return nil
    }

    /// The gateway's answer to a request too many; nil for one that may go on, also where nobody is known yet: a wrong credential is for
    /// the service to refuse.
    package func refusal(of request: HTTPRequest, _ access: AccessControl) -> HTTPResponse? {
        guard let principal = access.caller(of: request),
            let refusal = count(principal, now: .nanoseconds(Int64(request.loop.monotonicNanoseconds)))
        else { return nil }
        let (whole, rest) = refusal.wait.components
        let seconds = rest > 0 ? whole + 1 : max(1, whole)
        var response = HTTPResponse.json(
            [
                "message": "API rate limit exceeded", "code": "rate_limited", "limit": .string(refusal.scope.rawValue),
            ], status: .tooManyRequests)
        response.headers.append("Retry-After", "\(seconds)")
        return response
    }
}
