// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import Primitives
import TestSupport
import Testing

/// Signing in by a key alone, with a key made of code; `Tests/clients/test_webauthn.py` has a browser's.
@Suite struct PasskeyTests {
    private static func enabled(_ configuration: inout AuthConfiguration) {
        configuration.passkeys.isEnabled = true
        configuration.passkeys.maxPerUser = 2
        configuration.isAnonymousSignInEnabled = true
    }

    /// What a key says that has looked who its user is.
    private static func verified(_ change: (inout SecurityKey.Bend) -> Void = { _ in }) -> SecurityKey.Bend {
        var bend = SecurityKey.Bend()
        bend.flags = 0x05
        change(&bend)
        return bend
    }

    private static func options(
        _ auth: AuthFixture, _ kind: String, bearer: String? = nil
    ) async throws -> (id: JSON, options: JSON) {
        let answer = try await auth.request("POST", "/passkeys/\(kind)/options", "{}", bearer: bearer)
        #expect(answer.status == 200, "\(answer.text)")
        // As MFA has them, for the key of the tests.
        return (answer.json["challenge_id"] ?? .null, ["publicKey": answer.json["options"] ?? .null])
    }

    private static func verify(
        _ auth: AuthFixture, _ kind: String, _ id: JSON, _ credential: JSON, bearer: String? = nil
    ) async throws -> TestHTTPResponse {
        let body: JSON = ["challenge_id": id, "credential": credential]
        return try await auth.request("POST", "/passkeys/\(kind)/verify", body.text, bearer: bearer)
    }

    @discardableResult
    private static func add(_ auth: AuthFixture, _ key: SecurityKey, bearer: String) async throws -> TestHTTPResponse {
        let (id, options) = try await options(auth, "registration", bearer: bearer)
        return try await verify(auth, "registration", id, try key.create(options, verified()), bearer: bearer)
    }

    private static func signIn(
        _ auth: AuthFixture, _ key: SecurityKey, user: String, count: UInt32 = 0,
        _ change: (inout SecurityKey.Bend) -> Void = { _ in }
    ) async throws -> TestHTTPResponse {
        let (id, options) = try await options(auth, "authentication")
        let bend = verified {
            $0.userHandle = Array(user.utf8)
            change(&$0)
        }
        return try await verify(auth, "authentication", id, try key.get(options, count: count, bend))
    }

    private static func signedUp(_ auth: AuthFixture, _ email: String = "ada@example.com") async throws -> (
        user: String, bearer: String
    ) {
        let session = try await auth.signUp(email)
        return (
            try #require(session.json["user"]?["id"]?.stringValue), try session.member("access_token")
        )
    }

    // MARK: Refusals

    @Test func areForSignedInUsersWithAnAddressWhereTheyAreOn() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            for (method, path) in [
                ("POST", "/passkeys/registration/options"), ("POST", "/passkeys/registration/verify"),
                ("GET", "/passkeys"), ("PATCH", "/passkeys/\(UUID.random())"), ("DELETE", "/passkeys/\(UUID.random())"),
                ("GET", "/admin/users/\(UUID.random())/passkeys"),
                ("DELETE", "/admin/users/\(UUID.random())/passkeys/\(UUID.random())"),
            ] {
                let answer = try await auth.request(method, path, method == "GET" ? nil : "{}")
                #expect((answer.status, answer.errorCode) == (401, "no_authorization"), "\(path) \(answer.text)")
            }
            let visitor = try await auth.request("POST", "/signup", "{}").member("access_token")
            let anonymous = try await auth.request("POST", "/passkeys/registration/options", "{}", bearer: visitor)
            #expect(anonymous.status == 403)
        }
    }

    @Test func aChallengeIsForOneUserOnePurposeAndOneAnswer() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let (user, bearer) = try await Self.signedUp(auth)
            let other = try await Self.signedUp(auth, "berta@example.com").bearer
            let key = try SecurityKey()
            let (id, options) = try await Self.options(auth, "registration", bearer: bearer)
            let response = try key.create(options, Self.verified())
            for (kind, bearer) in [("registration", other), ("authentication", nil)] as [(String, String?)] {
                let answer = try await Self.verify(auth, kind, id, response, bearer: bearer)
                #expect((answer.status, answer.errorCode) == (400, "webauthn_challenge_not_found"), "\(answer.text)")
            }
            #expect(try await Self.verify(auth, "registration", id, response, bearer: bearer).status == 200)
            let again = try await Self.verify(auth, "registration", id, response, bearer: bearer)
            #expect(again.errorCode == "webauthn_challenge_not_found")

            let (late, request) = try await Self.options(auth, "authentication")
            try await auth.sql("update auth.webauthn_challenges set expires_at = now() - interval '1 second'")
            let bend = Self.verified { $0.userHandle = Array(user.utf8) }
            let expired = try await Self.verify(auth, "authentication", late, try key.get(request, bend))
            #expect((expired.status, expired.errorCode) == (400, "webauthn_challenge_expired"))
            for body in ["{}", #"{"challenge_id":"x"}"#, "{\"challenge_id\":\"\(UUID.random())\"}"] {
                let answer = try await auth.request("POST", "/passkeys/authentication/verify", body)
                #expect((answer.status, answer.errorCode) == (400, "validation_failed"), "\(answer.text)")
            }
        }
    }

    @Test func refusesWhatIsNotTheUsersOwnProof() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let (user, bearer) = try await Self.signedUp(auth)
            let key = try SecurityKey()
            // A key that has not looked who its user is proves no more than a password would.
            let (id, options) = try await Self.options(auth, "registration", bearer: bearer)
            let unverified = try await Self.verify(auth, "registration", id, try key.create(options), bearer: bearer)
            #expect((unverified.status, unverified.errorCode) == (400, "webauthn_verification_failed"))
            #expect(try await Self.add(auth, key, bearer: bearer).status == 200)
            let taken = try await Self.add(auth, key, bearer: try await Self.signedUp(auth, "b@example.com").bearer)
            #expect((taken.status, taken.errorCode) == (422, "webauthn_credential_exists"))

            let other = try await Self.signedUp(auth, "c@example.com").user
            for change: @Sendable (inout SecurityKey.Bend) -> Void in [
                { $0.flags = 0x01 }, { $0.isForged = true }, { $0.origin = "https://evil.example" },
                { $0.userHandle = Array(other.utf8) }, { $0.userHandle = nil }, { $0.id = [1, 2, 3] },
                { $0.challenge = "AAAA" }, { $0.relyingParty = "evil.example" },
            ] {
                let answer = try await Self.signIn(auth, key, user: user, change)
                #expect((answer.status, answer.errorCode) == (400, "webauthn_verification_failed"), "\(answer.text)")
            }
            #expect(
                try await Self.signIn(auth, try SecurityKey(), user: user).errorCode == "webauthn_verification_failed")
            #expect(try await Self.signIn(auth, key, user: user).status == 200)
        }
    }

    @Test func bannedAndUnconfirmedUsersGetInNowhere() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let (user, bearer) = try await Self.signedUp(auth)
            let key = try SecurityKey()
            try await Self.add(auth, key, bearer: bearer)
            try await auth.sql("update auth.users set email_confirmed_at = null")
            #expect(try await Self.signIn(auth, key, user: user).errorCode == "email_not_confirmed")
            try await auth.sql("update auth.users set banned_until = 'infinity'")
            let banned = try await Self.signIn(auth, key, user: user)
            #expect((banned.status, banned.errorCode) == (403, "user_banned"))
            let gone = try await auth.administer("DELETE", "/admin/users/\(user)", ["should_soft_delete": true])
            #expect(gone.status == 200)
            #expect(try await auth.sql("select count(*) from auth.webauthn_credentials") == "0")
        }
    }

    // MARK: What works

    @Test func aKeySignsInIsNamedListedAndRemoved() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let (user, bearer) = try await Self.signedUp(auth)
            let key = try SecurityKey()
            let (_, options) = try await Self.options(auth, "registration", bearer: bearer)
            #expect(options["publicKey"]?["authenticatorSelection"]?["residentKey"] == "required")
            #expect(options["publicKey"]?["authenticatorSelection"]?["userVerification"] == "required")
            let added = try await Self.add(auth, key, bearer: bearer)
            let id = try added.member("id")
            #expect(added.json["created_at"]?.stringValue != nil && added.json["friendly_name"] == nil)

            let (_, request) = try await Self.options(auth, "authentication")
            #expect(request["publicKey"]?["allowCredentials"] == nil)
            #expect(request["publicKey"]?["rpId"] == "127.0.0.1")
            let session = try await Self.signIn(auth, key, user: user, count: 1)
            #expect(session.status == 200, "\(session.text)")
            let claims = try auth.claims(of: session)
            #expect(claims["sub"] == .string(user) && claims["aal"] == "aal1")
            #expect(claims["amr"]?.arrayValue?.compactMap { $0["method"]?.stringValue } == ["passkey"])
            // A copy of the key falls behind.
            #expect(try await Self.signIn(auth, key, user: user, count: 1).errorCode == "webauthn_verification_failed")

            let named = try await auth.request(
                "PATCH", "/passkeys/\(id)", #"{"friendly_name":"Laptop"}"#, bearer: bearer)
            #expect(named.json["friendly_name"] == "Laptop", "\(named.text)")
            let other = try await Self.signedUp(auth, "berta@example.com").bearer
            let foreign = try await auth.request(
                "PATCH", "/passkeys/\(id)", #"{"friendly_name":"Mine"}"#, bearer: other)
            #expect((foreign.status, foreign.errorCode) == (404, "webauthn_credential_not_found"))
            #expect(try await auth.request("DELETE", "/passkeys/\(id)", bearer: other).status == 404)
            #expect(try await auth.request("GET", "/passkeys", bearer: other).json == [])

            let listed = try await auth.request("GET", "/passkeys", bearer: bearer)
            #expect(listed.json[0]?["friendly_name"] == "Laptop" && listed.json[0]?["last_used_at"] != nil)
            #expect(!listed.text.contains("public_key") && !listed.text.contains(Base64URL.encode(key.id)))
            let byAdministrator = try await auth.administer("GET", "/admin/users/\(user)/passkeys")
            #expect(byAdministrator.json == listed.json)

            let second = try await Self.add(auth, try SecurityKey(), bearer: bearer)
            #expect(second.status == 200)
            let third = try await auth.request("POST", "/passkeys/registration/options", "{}", bearer: bearer)
            #expect((third.status, third.errorCode) == (422, "too_many_passkeys"))
            #expect(try await auth.request("DELETE", "/passkeys/\(id)", bearer: bearer).status == 204)
            #expect(try await Self.signIn(auth, key, user: user, count: 2).errorCode == "webauthn_verification_failed")
            let path = "/admin/users/\(user)/passkeys/\(try second.member("id"))"
            #expect(try await auth.administer("DELETE", path).status == 204)
            #expect(try await auth.administer("DELETE", path).status == 404)
            #expect(
                try await auth.sql(
                    "select string_agg(payload ->> 'action', ' ' order by created_at) from auth.audit_log_entries where payload ->> 'action' like 'passkey%'"
                ) == "passkey_created passkey_updated passkey_created passkey_deleted passkey_deleted")
            #expect(try await auth.request("GET", "/settings").json["passkeys_enabled"] == true)
        }
    }

    /// Whoever stole a session at the first level must not stay in by a key of their own.
    @Test func whoHasASecondFactorProvesItFirst() async throws {
        try await AuthFixture.run {
            Self.enabled(&$0)
            $0.factors.webAuthn.canEnroll = true
            $0.factors.webAuthn.canVerify = true
        } _: { auth in
            let (_, bearer) = try await Self.signedUp(auth)
            try await auth.sql(
                """
                insert into auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at)
                select gen_random_uuid(), u.id, 'totp', 'verified', now(), now() from auth.users as u
                """)
            let answer = try await auth.request("POST", "/passkeys/registration/options", "{}", bearer: bearer)
            #expect((answer.status, answer.errorCode) == (401, "insufficient_aal"), "\(answer.text)")
        }
    }
}
