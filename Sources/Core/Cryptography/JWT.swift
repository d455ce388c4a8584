// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Why a token is refused; fit for the client.
package enum JWTError: Error, Sendable, Hashable {
    /// Longer than the verifier takes.
    case tooLarge
    /// Not three base64url parts with JSON objects in the first two.
    case malformed
    /// The header asks for `none`, for an algorithm nobody here signs with, or for extensions (`crit`).
    case unsupportedAlgorithm
    /// No key has the `kid`, or the key it names is for another algorithm.
    case unknownKey
    case badSignature
    /// A claim of time, issuer or audience has the wrong type.
    case invalidClaim(String)
    case expired
    case notYetValid
    /// Its time of issue is still to come, beyond the clock skew.
    case issuedInFuture
    case wrongAudience
    case wrongIssuer
}

/// A verified token.
package struct JWTClaims: Sendable {
    package let members: JSONObject

    package init(_ members: JSONObject) {
        self.members = members
    }

    package subscript(name: String) -> JSON? { members[name] }
    package var subject: String? { members["sub"]?.stringValue }
    package var role: String? { members["role"]?.stringValue }

    /// The claims as JSON text, for `request.jwt.claims`.
    package var text: String { JSON.object(members).text }
}

/// Signs and verifies JSON Web Tokens in compact form (RFC 7519, RFC 7515), strictly after RFC 8725.
package struct JWTCodec: Sendable {
    package var keys: KeySet
    /// `iss` a token must carry; `nil` takes any.
    package var issuer: String?
    /// Values one of which `aud` must hold; `nil` takes any, also none.
    package var audiences: Set<String>?
    /// How far the clocks of issuer and verifier may be apart.
    package var clockSkew: Duration
    /// Tokens above it are refused unread.
    package var maxBytes: Int

    package init(
        keys: KeySet, issuer: String? = nil, audiences: Set<String>? = nil, clockSkew: Duration = .seconds(5),
        maxBytes: Int = 16 << 10
    ) {
        self.keys = keys
        self.issuer = issuer
        self.audiences = audiences
        self.clockSkew = clockSkew
        self.maxBytes = maxBytes
    }

    // MARK: Signing

    /// Signs claims with the set's signing key.
    package func sign(_ claims: JSONObject) throws(CryptographyError) -> String {
        let key = keys.signingKey
        var header: JSONObject = ["alg": .string(key.algorithm.rawValue)]
        if let id = key.id { header["kid"] = .string(id) }
        header["typ"] = "JWT"
        let input =
            Base64URL.encode(JSON.object(header).encoded()) + "." + Base64URL.encode(JSON.object(claims).encoded())
        return input + "." + Base64URL.encode(try key.sign(Array(input.utf8)))
    }

    // MARK: Verification

    private var checks: JWTChecks { JWTChecks(issuer: issuer, audiences: audiences, clockSkew: clockSkew) }

    /// The claims of a token whose signature, times, issuer and audience hold.
    package func verify(_ token: String, now: Timestamp = .now()) throws(JWTError) -> JWTClaims {
        let claims = try claims(ofSigned: token)
        try checks.check(claims, now: now)
        return JWTClaims(claims)
    }

    /// Checks again that claims verified earlier are within their time.
    package func verifyTimes(of claims: JWTClaims, now: Timestamp = .now()) throws(JWTError) {
        try JWTChecks(clockSkew: clockSkew).checkTimes(claims.members, now: now)
    }

    /// What a token says of who signed it with which key, before anybody has checked it: for finding the keys, never more.
    package static func unverifiedParties(
        of token: String, maxBytes: Int = 16 << 10
    ) -> (issuer: String?, keyID: String?)? {
        guard token.utf8.count <= maxBytes else { return nil }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = object(parts[0]), let claims = object(parts[1]) else { return nil }
        return (claims["iss"]?.stringValue, header["kid"]?.stringValue)
    }

    private func claims(ofSigned token: String) throws(JWTError) -> JSONObject {
        guard token.utf8.count <= maxBytes else { throw .tooLarge }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let signature = Base64URL.decode(parts[2]) else {
            throw .malformed
        }
        let key = try key(for: header)
        // The signature is checked before the claims are even parsed.
        guard key.verifies(signature, of: Array(token.utf8.dropLast(parts[2].utf8.count + 1))) else {
            throw .badSignature
        }
        guard let claims = Self.object(parts[1]) else { throw .malformed }
        return claims
    }

    /// The key decides the algorithm, never the header: a header that asks for another one is refused.
    private func key(for header: JSONObject) throws(JWTError) -> JWTKey {
        guard let name = header["alg"]?.stringValue, let algorithm = JWTAlgorithm(rawValue: name), header["crit"] == nil
        else { throw .unsupportedAlgorithm }
        let id: String?
        switch header["kid"] {
        case nil: id = nil
        case .string(let text): id = text
        default: throw .malformed
        }
        guard let key = keys.key(id: id, algorithm: algorithm) else { throw .unknownKey }
        return key
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = Base64URL.decode(part) else { return nil }
        return (try? JSON(parsing: bytes, maxDepth: 32))?.objectValue
    }
}
