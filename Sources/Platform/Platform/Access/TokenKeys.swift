// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import Primitives
internal import Synchronization

/// The keys of a project's tokens in force, which change while the server runs: its own when they are rotated, those of other
/// issuers when these rotate theirs.
package final class TokenKeys: Sendable {
    private struct State: Sendable {
        var codec: JWTCodec
        /// By their address, which is the `iss` of their tokens but for a slash at its end.
        var issuers: [String: IssuerKeys] = [:]
    }

    private let state: Mutex<State>
    private let seal: IdentitySeal?
    private let changes = Atomic<Int>(0)

    /// - Parameters:
    ///   - tokens: signs and verifies the project's own tokens, its API keys among them, so it should ask for no issuer or audience.
    ///   - seal: for who the tokens speak for; nil where the database asks for none.
    package init(_ tokens: JWTCodec, seal: IdentitySeal? = nil) {
        self.seal = seal
        state = Mutex(State(codec: tokens))
    }

    /// Signs and verifies the project's own tokens.
    package var codec: JWTCodec { state.withLock { $0.codec } }

    /// Counts changes. What was verified under another number may be refused now.
    var generation: Int { changes.load(ordering: .acquiring) }

    /// Puts other keys of the project's in force.
    package func replace(_ keys: KeySet) {
        state.withLock { state in
            state.codec.keys = keys
            changes.add(1, ordering: .releasing)
        }
    }

    /// Puts the keys of another issuer in force.
    func replace(_ keys: IssuerKeys) {
        state.withLock { state in
            if let known = state.issuers[keys.url], known.isSame(as: keys) { return }
            state.issuers[keys.url] = keys
            changes.add(1, ordering: .releasing)
        }
    }

    /// The other issuer whose token this claims to be, and the key it names; nil for the project's own.
    func issuer(of token: String) -> (keys: IssuerKeys, keyID: String?)? {
        let issuers = state.withLock { $0.issuers }
        guard !issuers.isEmpty, let parties = JWTCodec.unverifiedParties(of: token), let issuer = parties.issuer,
            let keys = issuers[issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer]
        else { return nil }
        return (keys, parties.keyID)
    }

    /// The claims of a token that holds. One that names another issuer is verified with that issuer's keys only.
    func verify(_ token: String, now: Timestamp) throws(JWTError) -> VerifiedTokens.Token {
        let generation = generation
        guard let issuer = issuer(of: token) else {
            return VerifiedTokens.Token(try codec.verify(token, now: now), generation: generation, seal: seal)
        }
        return VerifiedTokens.Token(
            try issuer.keys.verify(token, now: now), generation: generation, isForeign: true)
    }
}

/// The keys of an issuer of tokens that is not this project.
struct IssuerKeys: Sendable {
    /// Without a slash at its end.
    let url: String
    let checks: JWTChecks
    /// Nil while none could be fetched.
    let keys: PublishedKeys?

    func isSame(as other: IssuerKeys) -> Bool {
        checks == other.checks && keys == other.keys
    }

    func verify(_ token: String, now: Timestamp) throws(JWTError) -> JWTClaims {
        guard let keys else { throw .unknownKey }
        let claims = try keys.keys.claims(ofSigned: token)
        // A token without an end would stay valid after its user has left the issuer.
        guard claims["exp"] != nil else { throw .invalidClaim("exp") }
        try checks.check(claims, now: now)
        return JWTClaims(claims)
    }
}

/// A JSON Web Key Set of somebody else, as published (RFC 7517).
package struct PublishedKeys: Sendable, Equatable {
    /// Keys of a set that are looked at.
    private static let maxKeys = 100

    package let keys: VerificationKeys
    /// The `kid`s of the keys.
    package let ids: Set<String>
    private let document: JSON

    /// Takes the public keys for signatures. What is of another kind, or broken, is passed over, and so are shared secrets, which
    /// nobody publishes who means well.
    ///
    /// - Throws: `invalidKey` when none is left.
    package init(_ document: JSON) throws(CryptographyError) {
        let usable = (document["keys"]?.arrayValue ?? []).prefix(Self.maxKeys).filter { jwk in
            jwk["kty"] != "oct" && (try? VerificationKeys(jwk: jwk)) != nil
        }
        self.document = ["keys": .array(usable)]
        keys = try VerificationKeys(jwk: self.document)
        ids = Set(usable.compactMap { $0["kid"]?.stringValue })
    }

    package static func == (first: PublishedKeys, second: PublishedKeys) -> Bool { first.document == second.document }
}
