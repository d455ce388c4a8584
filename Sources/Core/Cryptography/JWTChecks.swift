// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// What the claims of a token must say, whoever signed it (RFC 7519 section 4.1).
package struct JWTChecks: Sendable, Hashable {
    /// `iss` a token must carry; `nil` takes any.
    package var issuer: String?
    /// Values one of which `aud` must hold; `nil` takes any, also none.
    package var audiences: Set<String>?
    /// How far the clocks of issuer and verifier may be apart.
    package var clockSkew: Duration

    package init(issuer: String? = nil, audiences: Set<String>? = nil, clockSkew: Duration = .seconds(5)) {
        self.issuer = issuer
        self.audiences = audiences
        self.clockSkew = clockSkew
    }

    /// Checks times, issuer and audience of claims whose signature holds.
    package func check(_ claims: JSONObject, now: Timestamp = .now()) throws(JWTError) {
        try checkTimes(claims, now: now)
        try checkParties(claims)
    }

    package func checkTimes(_ claims: JSONObject, now: Timestamp) throws(JWTError) {
        let skew = Double(clockSkew.components.seconds)
        let seconds = Double(now.unixSeconds)
        if let expiry = try Self.time("exp", in: claims), seconds >= expiry + skew { throw .expired }
        if let start = try Self.time("nbf", in: claims), seconds < start - skew { throw .notYetValid }
        if let issued = try Self.time("iat", in: claims), seconds < issued - skew { throw .issuedInFuture }
    }

    private func checkParties(_ claims: JSONObject) throws(JWTError) {
        if let issuer, claims["iss"]?.stringValue != issuer { throw .wrongIssuer }
        guard let audiences else { return try Self.checkAudienceType(claims["aud"]) }
        switch claims["aud"] {
        case .string(let audience): guard audiences.contains(audience) else { throw .wrongAudience }
        case .array(let values):
            guard values.contains(where: { $0.stringValue.map(audiences.contains) ?? false }) else {
                throw .wrongAudience
            }
        case nil: throw .wrongAudience
        default: throw .invalidClaim("aud")
        }
    }

    /// Whoever the token is for, the claim is a string or an array of strings (RFC 7519 section 4.1.3).
    private static func checkAudienceType(_ claim: JSON?) throws(JWTError) {
        switch claim {
        case nil, .null?, .string?: return
        case .array(let values)? where values.allSatisfy({ $0.stringValue != nil }): return
        default: throw .invalidClaim("aud")
        }
    }

    private static func time(_ name: String, in claims: JSONObject) throws(JWTError) -> Double? {
        guard let claim = claims[name] else { return nil }
        guard let seconds = claim.doubleValue else { throw .invalidClaim(name) }
        return seconds
    }
}
