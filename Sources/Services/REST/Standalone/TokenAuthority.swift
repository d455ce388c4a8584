// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import HTTP
package import Primitives
internal import Synchronization

/// Says who a request runs as by its bearer token alone, as PostgREST does without a gateway before it.
package final class TokenAuthority: Sendable {
    /// A token whose signature is good. Its times are looked at with every request.
    private struct Token: Sendable {
        var claims: JSONObject
        /// Nil where the claims name none.
        var role: String?
        /// The claims as requests see them, with the role in its place.
        var text: String
    }

    private let lookups: Counter
    private let hits: Counter
    private let keys: VerificationKeys?
    private let audience: String?
    private let roleClaim: ClaimPath
    private let anonymousRole: String?
    private let anonymousClaims: String
    private let tokens: Mutex<RecentlyUsed<TextKey, Token>>
    private let remembers: Bool
    private let evictions: Counter

    /// How far the clocks of issuer and verifier may be apart, in seconds.
    static let clockSkew = 30.0
    /// The bytes of the remembered tokens' texts.
    private static let maxCacheBytes = 32 << 20

    /// - Parameter metrics: where the use of remembered tokens is counted.
    package init(_ configuration: StandaloneConfiguration, metrics: Metrics) {
        keys = configuration.jwtSecret?.keys
        audience = configuration.audience
        roleClaim = configuration.roleClaim
        anonymousRole = configuration.anonymousRole
        anonymousClaims = JSON.object(["role": JSON(configuration.anonymousRole)]).text
        lookups = metrics.counter("pgrst_jwt_cache_requests_total", "The total number of JWT cache lookups")
        hits = metrics.counter("pgrst_jwt_cache_hits_total", "The total number of JWT cache hits")
        evictions = metrics.counter("pgrst_jwt_cache_evictions_total", "The total number of JWT cache evictions")
        remembers = configuration.tokenCacheEntries > 0
        tokens = Mutex(
            RecentlyUsed(maxEntries: configuration.tokenCacheEntries, maxCost: Self.maxCacheBytes))
    }

    /// The identity that the `Authorization` field proves.
    ///
    /// - Throws: ``RESTError`` with PGRST300 to PGRST303.
    package func identity(of request: HTTPRequest, now: Timestamp = .now()) throws(RESTError) -> RESTIdentity {
        guard let text = Self.bearerToken(request.headers["authorization"]) else {
            guard let anonymousRole else { throw .accessNeedsToken }
            return RESTIdentity(role: anonymousRole, claims: anonymousClaims, isAnonymous: true)
        }
        let token = try token(text)
        try checkTimes(token.claims, now: Double(now.unixSeconds))
        try checkAudience(token.claims["aud"])
        guard let role = token.role else { throw .accessNeedsToken }
        return RESTIdentity(role: role, claims: token.text, isAnonymous: role == anonymousRole)
    }

    /// What follows the scheme; nil for other schemes, which are not ours to judge.
    static func bearerToken(_ field: String?) -> String? {
        guard let field else { return nil }
        let scheme = field.prefix { $0 != " " && $0 != "\t" }
        guard scheme.lowercased() == "bearer" else { return nil }
        return String(field.dropFirst(scheme.count).trimmingSpaces)
    }

    private func token(_ text: String) throws(RESTError) -> Token {
        guard let keys else { throw .unauthorized(code: "PGRST300", message: "Server lacks JWT secret") }
        let key = TextKey(text)
        if remembers {
            lookups.increment()
            if let known = tokens.withLock({ $0.value(for: key, cost: text.utf8.count) }) {
                hits.increment()
                return known
            }
        }
        let claims: JSONObject
        do throws(JWTError) {
            claims = try keys.claims(ofSigned: text)
        } catch {
            let parts =
                text.isEmpty ? 0 : text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).count
            throw RESTError(error, partCount: parts)
        }
        let role = roleClaim.value(in: claims) ?? anonymousRole
        var shown = claims
        shown["role"] = JSON(role)
        let token = Token(claims: claims, role: role, text: JSON.object(shown).text)
        if remembers {
            let forgotten = tokens.withLock { tokens in
                let before = tokens.count
                tokens.insert(token, for: key, cost: text.utf8.count)
                return before + 1 - tokens.count
            }
            if forgotten > 0 { evictions.increment(by: forgotten) }
        }
        return token
    }

    private func checkTimes(_ claims: JSONObject, now: Double) throws(RESTError) {
        if let end = try Self.time("exp", in: claims), now - Self.clockSkew > end {
            throw RESTError(.expired, partCount: 3)
        }
        if let start = try Self.time("nbf", in: claims), now + Self.clockSkew < start {
            throw RESTError(.notYetValid, partCount: 3)
        }
        if let issued = try Self.time("iat", in: claims), now + Self.clockSkew < issued {
            throw RESTError(.issuedInFuture, partCount: 3)
        }
    }

    /// Seconds since 1970; nil where the claim is absent or null.
    private static func time(_ name: String, in claims: JSONObject) throws(RESTError) -> Double? {
        switch claims[name] {
        case nil, .null?: return nil
        case let claim?:
            guard let seconds = claim.doubleValue else { throw RESTError(.invalidClaim(name), partCount: 3) }
            return seconds.rounded(.down)
        }
    }

    /// A token for nobody in particular is for us, too.
    private func checkAudience(_ claim: JSON?) throws(RESTError) {
        let audiences: [String]
        switch claim {
        case nil, .null?: return
        case .string(let text)?: audiences = [text]
        case .array(let items)?:
            audiences = items.compactMap(\.stringValue)
            guard audiences.count == items.count else { throw RESTError(.invalidClaim("aud"), partCount: 3) }
            if audiences.isEmpty { return }
        default: throw RESTError(.invalidClaim("aud"), partCount: 3)
        }
        if let audience, !audiences.contains(audience) { throw RESTError(.wrongAudience, partCount: 3) }
    }
}

extension RESTError {
    /// No token, and nobody to be without one.
    fileprivate static var accessNeedsToken: RESTError {
        .unauthorized(code: "PGRST302", message: "Anonymous access is disabled")
    }
}
