// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Platform
import Primitives

/// Why an id token is refused.
struct IDTokenError: Error, Sendable {
    /// Fit for the client.
    let message: String
    /// For the log.
    let cause: (any Error)?

    init(_ message: String, _ cause: (any Error)?) {
        self.message = message
        self.cause = cause
    }
}

/// Checks id tokens of one provider (OpenID Connect Core 1.0 section 3.1.3.7).
struct IDTokenVerifier: Sendable {
    private let provider: ExternalProvider

    init(_ provider: ExternalProvider) {
        self.provider = provider
    }

    /// The claims of a token that the provider signed for this project's application, and that holds now.
    ///
    /// - Parameters:
    ///   - accessToken: came with it; must be the one the token speaks of in `at_hash`.
    ///   - needsHash: whether a token that speaks of an access token is refused without that.
    /// - Throws: ``IDTokenError``; `AuthError` when the provider's keys cannot be had.
    func claims(of token: String, accessToken: String?, needsHash: Bool) async throws -> JSONObject {
        guard let issuer = provider.issuer else { throw IDTokenError("The provider has no id tokens", nil) }
        guard let parties = JWTCodec.unverifiedParties(of: token) else { throw IDTokenError("Bad ID token", nil) }
        let facts: OpenIDIssuer.Facts
        do { facts = try await issuer.facts(naming: parties.keyID) } catch { throw provider.unreachable(error) }
        let claims: JSONObject
        do { claims = try facts.keys.keys.claims(ofSigned: token) } catch { throw IDTokenError("Bad ID token", error) }

        guard Self.isIssuer(claims, facts.metadata.issuer) else {
            throw IDTokenError("The id token is of another issuer", JWTError.wrongIssuer)
        }
        do {
            guard claims["exp"] != nil else { throw JWTError.invalidClaim("exp") }
            try JWTChecks(clockSkew: .seconds(30)).check(claims)
        } catch {
            throw IDTokenError("Bad ID token", error)
        }
        try checkAudience(claims)
        guard let subject = claims["sub"]?.stringValue, !subject.isEmpty else {
            throw IDTokenError("Missing sub claim in id_token", nil)
        }
        try checkHash(claims, of: accessToken, algorithm: Self.algorithm(of: token), isNeeded: needsHash)
        return claims
    }

    private static func isIssuer(_ claims: JSONObject, _ expected: String) -> Bool {
        guard let issuer = claims["iss"]?.stringValue else { return false }
        guard expected.contains("{tenantid}") else { return issuer == expected }
        // Azure: the token names its directory twice, and both must agree.
        guard let tenant = claims["tid"]?.stringValue, UUID(tenant) != nil else { return false }
        return issuer == expected.replacing("{tenantid}", with: tenant)
    }

    /// The token is for this application: in `aud`, and where that names several in `azp` as well.
    private func checkAudience(_ claims: JSONObject) throws(IDTokenError) {
        let audiences =
            claims["aud"]?.arrayValue?.compactMap(\.stringValue) ?? [claims["aud"]?.stringValue].compactMap { $0 }
        guard audiences.contains(where: provider.settings.clientIDs.contains) else {
            throw IDTokenError("Unacceptable audience in id_token", JWTError.wrongAudience)
        }
        if let party = claims["azp"]?.stringValue, audiences.count > 1,
            !provider.settings.clientIDs.contains(party)
        {
            throw IDTokenError("Unacceptable audience in id_token", JWTError.wrongAudience)
        }
    }

    /// `at_hash` is the left half of the access token's digest (section 3.1.3.6).
    private func checkHash(
        _ claims: JSONObject, of accessToken: String?, algorithm: DigestAlgorithm, isNeeded: Bool
    ) throws(IDTokenError) {
        guard let expected = claims["at_hash"]?.stringValue else { return }
        guard let accessToken, !accessToken.isEmpty else {
            guard isNeeded else { return }
            throw IDTokenError("access_token is required as the id_token has an at_hash", nil)
        }
        let hash = digest(accessToken.utf8, using: algorithm)
        guard Base64URL.encode(hash.prefix(hash.count / 2)) == expected else {
            throw IDTokenError("The access_token is not the one of the id_token", nil)
        }
    }

    /// The digest of the token's signature; EdDSA's is SHA-512.
    private static func algorithm(of token: String) -> DigestAlgorithm {
        let header = token.split(separator: ".").first.flatMap { Base64URL.decode($0) } ?? []
        let name = (try? JSON(parsing: header))?["alg"]?.stringValue ?? ""
        if name == "EdDSA" { return .sha512 }
        return name.hasSuffix("512") ? .sha512 : name.hasSuffix("384") ? .sha384 : .sha256
    }
}
