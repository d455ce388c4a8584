// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import HTTP
package import Primitives

/// Decides who a request speaks for, by the rules of the gateway that clients expect before the services.
///
/// A request carries an API key (header `apikey`, else query parameter `apikey`, else `Authorization: Bearer`): a token
/// signed for `anon` or `service_role`, or an opaque `sb_publishable_` or `sb_secret_` key. A bearer token beside the key
/// says who the user is and then decides alone.
package struct AccessControl: Sendable {
    private let tokens: JWTCodec
    private let publishableKeys: [SecretString]
    private let secretKeys: [SecretString]

    /// - Parameters:
    ///   - tokens: verifies API keys and users' tokens alike, so it should ask for no issuer or audience.
    ///   - publishableKeys: opaque keys that stand for `anon`.
    ///   - secretKeys: opaque keys that stand for `service_role`.
    package init(tokens: JWTCodec, publishableKeys: [SecretString], secretKeys: [SecretString]) {
        self.tokens = tokens
        // An empty key would let everybody in who sends an empty header.
        self.publishableKeys = publishableKeys.filter { !$0.isEmpty }
        self.secretKeys = secretKeys.filter { !$0.isEmpty }
    }

    /// The principal of a request.
    ///
    /// - Throws: ``AccessError``; never falls back to a lesser principal when a credential is wrong.
    package func principal(for request: HTTPRequest) throws(AccessError) -> Principal {
        let bearer = Self.bearerToken(of: request)
        guard let key = Self.apiKey(of: request) else {
            guard let bearer else { throw .missingKey }
            return try principal(ofBearer: bearer)
        }
        let holder = try principal(ofKey: key)
        guard let bearer, bearer != key else { return holder }
        return try principal(ofBearer: bearer)
    }

    /// The role of the API key alone, for endpoints that take no notice of the user's token.
    package func keyHolder(for request: HTTPRequest) throws(AccessError) -> Principal {
        if let key = Self.apiKey(of: request) { return try principal(ofKey: key) }
        return try principal(for: request)
    }

    /// The token of an `Authorization: Bearer` field; other schemes are none of ours.
    package static func bearerToken(of request: HTTPRequest) -> String? {
        guard let field = request.headers["authorization"] else { return nil }
        let parts = field.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0].lowercased() == "bearer" else { return nil }
        return parts.count == 2 ? String(parts[1]) : ""
    }

    private static func apiKey(of request: HTTPRequest) -> String? {
        if let header = request.headers["apikey"] { return header }
        return request.query.flatMap { FormFields(query: $0).first("apikey") }
    }

    private func principal(ofKey key: String) throws(AccessError) -> Principal {
        if let role = opaqueKeyRole(key) { return Principal(role: role) }
        guard let claims = try? tokens.verify(key), let role = claims.role.flatMap(Role.init), role != .authenticated
        else { throw .invalidKey }
        return Principal(role: role, verified: claims)
    }

    private func principal(ofBearer token: String) throws(AccessError) -> Principal {
        if let role = opaqueKeyRole(token) { return Principal(role: role) }
        if Self.looksOpaque(token) { throw .invalidKey }
        let claims: JWTClaims
        do { claims = try tokens.verify(token) } catch { throw .invalidToken(error) }
        // A token that names no role is a visitor's with claims.
        guard let name = claims["role"] else { return Principal(role: .anon, verified: claims) }
        guard let role = name.stringValue.flatMap(Role.init) else { throw .roleNotAllowed }
        return Principal(role: role, verified: claims)
    }

    private static func looksOpaque(_ key: String) -> Bool {
        key.hasPrefix("sb_publishable_") || key.hasPrefix("sb_secret_")
    }

    /// Compares with every key, whichever fits, so that the time tells nothing.
    private func opaqueKeyRole(_ key: String) -> Role? {
        guard Self.looksOpaque(key) else { return nil }
        var role: Role?
        for candidate in publishableKeys where candidate.matches(key) { role = .anon }
        for candidate in secretKeys where candidate.matches(key) { role = .serviceRole }
        return role
    }
}
