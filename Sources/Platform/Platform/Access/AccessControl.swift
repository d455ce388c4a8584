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
    /// The keys of tokens in force.
    package let keys: TokenKeys
    private let publishableKeys: [SecretString]
    private let secretKeys: [SecretString]
    private let verified = VerifiedTokens(maxEntries: 8192)

    /// As ``init(keys:publishableKeys:secretKeys:)``, with keys that do not change.
    package init(tokens: JWTCodec, publishableKeys: [SecretString], secretKeys: [SecretString]) {
        self.init(keys: TokenKeys(tokens), publishableKeys: publishableKeys, secretKeys: secretKeys)
    }

    /// - Parameters:
    ///   - keys: verify API keys and users' tokens alike.
    ///   - publishableKeys: opaque keys that stand for `anon`.
    ///   - secretKeys: opaque keys that stand for `service_role`.
    package init(keys: TokenKeys, publishableKeys: [SecretString], secretKeys: [SecretString]) {
        self.keys = keys
        // An empty key would let everybody in who sends an empty header.
        self.publishableKeys = publishableKeys.filter { !$0.isEmpty }
        self.secretKeys = secretKeys.filter { !$0.isEmpty }
    }

    /// The principal of a request.
    ///
    /// - Throws: ``AccessError``; never falls back to a lesser principal when a credential is wrong.
    package func principal(for request: HTTPRequest, now: Timestamp = .now()) throws(AccessError) -> Principal {
        let bearer = Self.bearerToken(of: request)
        guard let (holder, key) = try keyPrincipal(of: request, now) else {
            guard let bearer else { throw .missingKey }
            return try principal(ofBearer: bearer, now)
        }
        guard let bearer, bearer != key else { return holder }
        return try principal(ofBearer: bearer, now)
    }

    /// The principal of a credential that came in another way than ``principal(for:now:)`` looks at: a project's key of
    /// either form, or a user's token.
    ///
    /// - Throws: ``AccessError``.
    package func principal(presenting credential: String, now: Timestamp = .now()) throws(AccessError) -> Principal {
        try principal(ofBearer: credential, now)
    }

    /// Who a request speaks for, in any of the ways that services take; nil for nobody, and for a credential that is for the service to
    /// refuse.
    func caller(of request: HTTPRequest) -> Principal? {
        if let key = request.headers["api-key"] { return try? principal(presenting: key) }
        return try? principal(for: request)
    }

    /// The role of the API key alone, for endpoints that take no notice of the user's token.
    package func keyHolder(for request: HTTPRequest) throws(AccessError) -> Principal {
        if let (holder, _) = try keyPrincipal(of: request, .now()) { return holder }
        return try principal(for: request)
    }

    /// The token of an `Authorization: Bearer` field; other schemes are none of ours.
    package static func bearerToken(of request: HTTPRequest) -> String? {
        guard let field = request.headers["authorization"] else { return nil }
        let scheme = field.utf8.prefix { $0 != UInt8(ascii: " ") }
        guard scheme.count == 6, scheme.elementsEqual("bearer".utf8, by: { $0 | 0x20 == $1 }) else { return nil }
        return String(field.utf8.dropFirst(7)) ?? ""
    }

    /// The principal of the request's API key; nil when it has none.
    ///
    /// Addresses are kept in histories and logs along the way, so only a key that is public anyway may stand in one.
    private func keyPrincipal(of request: HTTPRequest, _ now: Timestamp) throws(AccessError) -> (
        Principal, key: String
    )? {
        if let key = request.headers["apikey"] { return (try principal(ofKey: key, now), key) }
        guard let query = request.query, let key = FormFields(query: query).first("apikey") else { return nil }
        let holder = try principal(ofKey: key, now)
        guard holder.role == .anon else { throw .invalidKey }
        return (holder, key)
    }

    private func principal(ofKey key: String, _ now: Timestamp) throws(AccessError) -> Principal {
        if let role = opaqueKeyRole(key) { return Principal(role: role) }
        guard let token = try? verifiedToken(key, now), token.namesRole, let holder = token.principal,
            holder.role != .authenticated, !holder.isForeign
        else { throw .invalidKey }
        return holder
    }

    private func principal(ofBearer token: String, _ now: Timestamp) throws(AccessError) -> Principal {
        if let role = opaqueKeyRole(token) { return Principal(role: role) }
        if Self.looksOpaque(token) { throw .invalidKey }
        let verified: VerifiedTokens.Token
        do { verified = try verifiedToken(token, now) } catch { throw .invalidToken(error) }
        guard let principal = verified.principal else { throw .roleNotAllowed }
        return principal
    }

    /// A token's signature is checked once; its times with every request.
    private func verifiedToken(_ text: String, _ now: Timestamp) throws(JWTError) -> VerifiedTokens.Token {
        if let known = verified.token(text), known.generation == keys.generation {
            if !known.isWithinTimes(now) { try JWTChecks().checkTimes(known.claims.members, now: now) }
            return known
        }
        let token = try keys.verify(text, now: now)
        verified.insert(token, text)
        return token
    }

    /// The other issuer of a token, and the key that must be fetched of it before the token can be verified; nil when nothing
    /// must.
    func unknownKey(of token: String) -> (url: String, keyID: String?)? {
        if let known = verified.token(token), known.generation == keys.generation { return nil }
        guard let (issuer, keyID) = keys.issuer(of: token) else { return nil }
        guard let published = issuer.keys else { return (issuer.url, keyID) }
        return keyID.map(published.ids.contains) ?? true ? nil : (issuer.url, keyID)
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
