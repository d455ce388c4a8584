// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Primitives
import Testing

@testable import Platform

/// What becomes of tokens while keys change, and of those of other issuers.
@Suite struct TokenKeysTests {
    private static let issuer = "https://issuer.test/"
    private static let url = "https://issuer.test"
    private let own = KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32)))

    private func signer(_ id: String) throws -> (codec: JWTCodec, jwk: JSON) {
        var jwk = try #require(try JWTKey.generateJWK(for: .es256).objectValue)
        jwk["kid"] = .string(id)
        let key = try JWTKey(jwk: .object(jwk))
        return (JWTCodec(keys: KeySet(signingKey: key)), try #require(key.publicJWK))
    }

    private func foreignClaims(_ members: JSONObject = [:]) -> JSONObject {
        var claims: JSONObject = [
            "iss": .string(Self.issuer), "sub": "user_2abc", "aud": "app", "role": "authenticated",
            "exp": JSON(Timestamp.now().unixSeconds + 60), "session_id": .string(UUID.random().description),
        ]
        for member in members { claims[member.name] = member.value.isNull ? Optional<JSON>.none : member.value }
        return claims
    }

    private func principal(
        _ access: AccessControl, _ token: String, asKey: Bool = false
    ) async throws -> Result<Principal, AccessError> {
        try await Loop.withLoop { loop in
            let headers: HTTPHeaders =
                asKey ? ["apikey": token] : ["apikey": "sb_publishable_x", "Authorization": "Bearer \(token)"]
            let request = HTTPRequest(.get, "/", headers: headers, loop: loop)
            do throws(AccessError) { return .success(try access.principal(for: request)) } catch {
                return .failure(error)
            }
        }
    }

    private func access(_ keys: TokenKeys) -> AccessControl {
        AccessControl(keys: keys, publishableKeys: [SecretString("sb_publishable_x")], secretKeys: [])
    }

    @Test func aTokenOfARevokedKeyIsRefusedThoughItWasVerifiedBefore() async throws {
        let old = try signer("old")
        let keys = TokenKeys(JWTCodec(keys: old.codec.keys))
        let access = access(keys)
        let token = try old.codec.sign(["sub": .string(UUID.random().description), "role": "authenticated"])
        #expect(try await principal(access, token).get().role == .authenticated)
        keys.replace(own)
        await #expect(throws: AccessError.invalidToken(.unknownKey)) { try await principal(access, token).get() }
    }

    @Test func takesATokenOfAnotherIssuerForAVisitorsOrUsersOnly() async throws {
        let other = try signer("k1")
        let keys = TokenKeys(JWTCodec(keys: own))
        keys.replace(
            IssuerKeys(
                url: Self.url, checks: JWTChecks(issuer: Self.issuer, audiences: ["app"]),
                keys: try PublishedKeys(["keys": [other.jwk]])))
        let access = access(keys)

        let user = try await principal(access, try other.codec.sign(foreignClaims())).get()
        #expect(user.role == .authenticated)
        #expect(user.isForeign)
        // Not a user of the project, whatever its subject and session look like.
        #expect(user.userID == nil)
        #expect(user.sessionID == nil)
        #expect(user.claims.contains("user_2abc"))
        let visitor = try await principal(access, try other.codec.sign(foreignClaims(["role": .null]))).get()
        #expect(visitor.role == .anon)

        for (members, error): (JSONObject, AccessError) in [
            (["role": "service_role"], .roleNotAllowed), (["role": "postgres"], .roleNotAllowed),
            (["iss": "https://issuer.test"], .invalidToken(.wrongIssuer)),
            (["aud": "other"], .invalidToken(.wrongAudience)), (["aud": .null], .invalidToken(.wrongAudience)),
            (["exp": .null], .invalidToken(.invalidClaim("exp"))), (["exp": 1], .invalidToken(.expired)),
            // Of nobody that is known: verified with the project's own keys.
            (["iss": "https://other.test/"], .invalidToken(.unknownKey)), (["iss": .null], .invalidToken(.unknownKey)),
        ] {
            let token = try other.codec.sign(foreignClaims(members))
            await #expect(throws: error) { try await principal(access, token).get() }
        }
        let key = try other.codec.sign(foreignClaims(["role": "anon"]))
        await #expect(throws: AccessError.invalidKey) { try await principal(access, key, asKey: true).get() }
    }

    @Test func anIssuersKeysVerifyNoTokenOfTheProjectsAndTheReverse() async throws {
        let other = try signer("k1")
        let keys = TokenKeys(JWTCodec(keys: own))
        let access = access(keys)
        keys.replace(
            IssuerKeys(
                url: Self.url, checks: JWTChecks(issuer: Self.issuer), keys: try PublishedKeys(["keys": [other.jwk]])))
        let forged = try other.codec.sign(["iss": "http://own/auth/v1", "role": "service_role"])
        await #expect(throws: AccessError.invalidToken(.unknownKey)) { try await principal(access, forged).get() }
        let posing = try JWTCodec(keys: own).sign(foreignClaims())
        await #expect(throws: AccessError.invalidToken(.unknownKey)) { try await principal(access, posing).get() }
    }

    @Test func anIssuerWhoseKeysAreUnknownIsNotTrusted() async throws {
        let other = try signer("k1")
        let keys = TokenKeys(JWTCodec(keys: own))
        keys.replace(IssuerKeys(url: Self.url, checks: JWTChecks(issuer: Self.issuer), keys: nil))
        let token = try other.codec.sign(foreignClaims())
        await #expect(throws: AccessError.invalidToken(.unknownKey)) { try await principal(access(keys), token).get() }
        #expect(access(keys).unknownKey(of: token)?.keyID == "k1")
    }

    @Test(
        arguments: [
            [:], ["keys": "none"], ["keys": [1, "x", [:]]],
            ["keys": [["kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"]]],
        ] as [JSON])
    func aPublishedSetWithoutPublicKeysIsNone(_ document: JSON) {
        #expect(throws: CryptographyError.invalidKey) { try PublishedKeys(document) }
    }
}
