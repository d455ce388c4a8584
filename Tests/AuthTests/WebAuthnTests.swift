// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import Primitives
import TestSupport
import Testing

/// Security keys as second factors, with a key made of code; `Tests/clients/test_webauthn.py` has a browser's.
@Suite struct WebAuthnTests {
    private static func enabled(_ configuration: inout AuthConfiguration) {
        configuration.factors.webAuthn.canEnroll = true
        configuration.factors.webAuthn.canVerify = true
    }

    /// A signed-up user with a factor that waits for its key.
    private struct Account {
        let auth: AuthFixture
        var bearer: String
        let user: String
        let factor: String

        init(_ auth: AuthFixture, _ email: String = "ada@example.com") async throws {
            self.auth = auth
            let session = try await auth.signUp(email)
            bearer = try session.member("access_token")
            user = try #require(session.json["user"]?["id"]?.stringValue)
            let body = #"{"factor_type":"webauthn","friendly_name":"key"}"#
            let enrolled = try await auth.request("POST", "/factors", body, bearer: bearer)
            #expect(enrolled.status == 200 && enrolled.json["type"] == "webauthn", "\(enrolled.text)")
            factor = try enrolled.member("id")
        }

        func challenge() async throws -> JSON {
            let answer = try await auth.request("POST", "/factors/\(factor)/challenge", "{}", bearer: bearer)
            #expect(answer.status == 200 && answer.json["type"] == "webauthn", "\(answer.text)")
            return answer.json
        }

        func verify(_ challenge: JSON, _ type: String, _ response: JSON) async throws -> TestHTTPResponse {
            let body: JSON = [
                "challenge_id": challenge["id"] ?? .null,
                "webauthn": ["type": .string(type), "credential_response": response],
            ]
            return try await auth.request("POST", "/factors/\(factor)/verify", body.text, bearer: bearer)
        }

        /// With the key proved once, so that the factor counts.
        mutating func prove(_ key: SecurityKey, count: UInt32 = 0) async throws {
            let challenge = try await challenge()
            let answer = try await verify(
                challenge, "create", try key.create(challenge["webauthn"]?["credential_options"], count: count))
            #expect(answer.status == 200, "\(answer.text)")
            bearer = try answer.member("access_token")
        }
    }

    // MARK: Refusals

    struct Bent: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bend: SecurityKey.Bend

        init(_ description: String, _ change: (inout SecurityKey.Bend) -> Void) {
            testDescription = description
            var bend = SecurityKey.Bend()
            change(&bend)
            self.bend = bend
        }
    }

    /// What neither a new key nor one in use may say.
    static let bends = [
        Bent("for something else") { $0.type = "payment.get" },
        Bent("for another challenge") { $0.challenge = "AAAA" },
        Bent("a page of another origin") { $0.origin = "https://evil.example" },
        Bent("a page of another port") { $0.origin = "http://127.0.0.1:3001" },
        Bent("a page in a frame") { $0.crossOrigin = true },
        Bent("a key of another domain") { $0.relyingParty = "evil.example" },
        Bent("nobody touched it") { $0.flags = 0 }, Bent("backed up and cannot be") { $0.flags = 0x11 },
        Bent("bytes that follow") { $0.trailing = [0] }, Bent("another id") { $0.id = [1, 2, 3] },
    ]

    @Test(arguments: bends + [Bent("of a kind not asked for") { $0.algorithm = -36 }])
    func refusesANewKeyThatIs(_ bent: Bent) async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let account = try await Account(auth)
            let challenge = try await account.challenge()
            let response = try SecurityKey().create(challenge["webauthn"]?["credential_options"], bent.bend)
            let answer = try await account.verify(challenge, "create", response)
            #expect((answer.status, answer.errorCode) == (422, "mfa_verification_failed"), "\(answer.text)")
            #expect(try await auth.sql("select status from auth.mfa_factors") == "unverified")
        }
    }

    @Test(
        arguments: bends + [
            Bent("signed otherwise") { $0.isForged = true }, Bent("of somebody else") { $0.userHandle = [1] },
            Bent("of another kind than it was") { $0.flags = 0x09 },
        ])
    func refusesAKeyInUseThatIs(_ bent: Bent) async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let key = try SecurityKey()
            var account = try await Account(auth)
            try await account.prove(key)
            let challenge = try await account.challenge()
            let response = try key.get(challenge["webauthn"]?["credential_options"], bent.bend)
            let answer = try await account.verify(challenge, "request", response)
            #expect((answer.status, answer.errorCode) == (422, "mfa_verification_failed"), "\(answer.text)")
        }
    }

    @Test func refusesWhatIsNoAnswerOfAKey() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let account = try await Account(auth)
            let challenge = try await account.challenge()
            for response: JSON in [
                .null, [:], ["type": "public-key"],
                ["type": "password", "rawId": "AAAA", "response": ["clientDataJSON": "e30"]],
                ["type": "public-key", "rawId": "AAAA", "response": ["clientDataJSON": "***"]],
            ] {
                let answer = try await account.verify(challenge, "create", response)
                #expect((answer.status, answer.errorCode) == (400, "validation_failed"), "\(response)")
            }
            let response = try SecurityKey().create(challenge["webauthn"]?["credential_options"])
            #expect(try await account.verify(challenge, "destroy", response).errorCode == "validation_failed")
            #expect(try await account.verify(challenge, "request", response).errorCode == "mfa_verification_failed")
            let body: JSON = ["challenge_id": challenge["id"] ?? .null, "code": "000000"]
            let coded = try await auth.request(
                "POST", "/factors/\(account.factor)/verify", body.text, bearer: account.bearer)
            #expect(coded.errorCode == "validation_failed")
        }
    }

    @Test func aChallengeServesOnceAndACopyOfAKeyIsNoticed() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let key = try SecurityKey()
            var account = try await Account(auth)
            try await account.prove(key, count: 5)
            let challenge = try await account.challenge()
            let response = try key.get(challenge["webauthn"]?["credential_options"], count: 6)
            let proved = try await account.verify(challenge, "request", response)
            #expect(proved.status == 200, "\(proved.text)")
            #expect(try await account.verify(challenge, "request", response).errorCode == "mfa_challenge_expired")
            let next = try await account.challenge()
            // The answer to the last challenge is none to this one, and neither is one by a key that counts less.
            #expect(try await account.verify(next, "request", response).errorCode == "mfa_verification_failed")
            for count: UInt32 in [0, 5, 6] {
                let copied = try key.get(next["webauthn"]?["credential_options"], count: count)
                #expect(try await account.verify(next, "request", copied).errorCode == "mfa_verification_failed")
            }
            let right = try key.get(next["webauthn"]?["credential_options"], count: 7)
            #expect(try await account.verify(next, "request", right).status == 200)
        }
    }

    @Test func oneKeyIsOneFactor() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let key = try SecurityKey()
            var first = try await Account(auth)
            try await first.prove(key)
            let second = try await Account(auth, "berta@example.com")
            let challenge = try await second.challenge()
            let answer = try await second.verify(
                challenge, "create", try key.create(challenge["webauthn"]?["credential_options"]))
            #expect((answer.status, answer.errorCode) == (422, "webauthn_credential_exists"), "\(answer.text)")
            // A browser is told which keys there are, so that it does not offer them again.
            let body = #"{"factor_type":"webauthn","friendly_name":"other"}"#
            let other = try await auth.request("POST", "/factors", body, bearer: first.bearer)
            let options = try await auth.request(
                "POST", "/factors/\(try other.member("id"))/challenge", "{}", bearer: first.bearer
            ).json["webauthn"]?["credential_options"]?["publicKey"]
            #expect(options?["excludeCredentials"]?[0]?["id"] == .string(Base64URL.encode(key.id)))
            #expect(options?["excludeCredentials"]?[0]?["transports"] == ["usb"])
        }
    }

    /// Whatever bytes come, they are refused or read: none stops the process.
    @Test func bytesThatAreBentAreReadOrRefused() throws {
        let key = try SecurityKey()
        let party = RelyingParty(siteURL: "http://127.0.0.1:3000")
        let options: JSON = ["publicKey": ["challenge": "AAAA"]]
        let known = try WebAuthnResponse(key.create(options)).registration("AAAA", at: party)
        var generator = SeededGenerator(seed: 20_261_121)
        var refusals = 0
        for round in 0..<4000 {
            let isNew = round.isMultiple(of: 2)
            let whole = isNew ? try key.create(options) : try key.get(options)
            let name = isNew ? "attestationObject" : "authenticatorData"
            var bytes = try #require(whole["response"]?[name]?.stringValue.flatMap { Base64URL.decode($0) })
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeLast(min(bytes.count - 1, index))
                default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: index)
                }
            }
            var response = try #require(whole["response"]?.objectValue)
            response[name] = .string(Base64URL.encode(bytes))
            var members = try #require(whole.objectValue)
            members["response"] = .object(response)
            let bent = try WebAuthnResponse(.object(members))
            do throws(WebAuthnResponse.Failure) {
                if isNew {
                    _ = try bent.registration("AAAA", at: party)
                } else {
                    _ = try bent.assertion("AAAA", by: known, of: .zero, at: party)
                }
            } catch {
                refusals += 1
            }
        }
        #expect(refusals > 3000)
    }

    // MARK: What works

    @Test func aKeyIsAddedProvedAndRaisesTheSession() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let key = try SecurityKey()
            var account = try await Account(auth)
            let challenge = try await account.challenge()
            #expect(challenge["webauthn"]?["type"] == "create")
            let options = challenge["webauthn"]?["credential_options"]?["publicKey"]
            #expect(options?["rp"] == ["id": "127.0.0.1", "name": "127.0.0.1"])
            #expect(options?["user"]?["id"] == .string(Base64URL.encode(Array(account.user.utf8))))
            #expect(options?["pubKeyCredParams"]?.arrayValue?.compactMap { $0["alg"]?.intValue } == [-7, -8, -257])
            #expect(options?["attestation"] == "none")
            let created = try await account.verify(
                challenge, "create", try key.create(challenge["webauthn"]?["credential_options"]))
            #expect(created.status == 200, "\(created.text)")
            let claims = try auth.claims(of: created)
            #expect(claims["aal"] == "aal2")
            #expect(
                claims["amr"]?.arrayValue?.compactMap { $0["method"]?.stringValue } == ["mfa/webauthn", "password"])
            #expect(created.json["user"]?["factors"]?[0]?["status"] == "verified")
            #expect(
                created.json["user"]?["factors"]?[0]?["web_authn_aaguid"] == "07070707-0707-0707-0707-070707070707")

            // Another sign-in, at the first level until the key was used.
            account.bearer = try await auth.signIn("ada@example.com").member("access_token")
            let next = try await account.challenge()
            #expect(next["webauthn"]?["type"] == "request")
            let request = next["webauthn"]?["credential_options"]?["publicKey"]
            #expect(request?["rpId"] == "127.0.0.1")
            #expect(request?["allowCredentials"]?[0]?["id"] == .string(Base64URL.encode(key.id)))
            var bend = SecurityKey.Bend()
            bend.userHandle = Array(account.user.utf8)
            let proved = try await account.verify(
                next, "request", try key.get(next["webauthn"]?["credential_options"], bend))
            #expect(try auth.claims(of: proved)["aal"] == "aal2", "\(proved.text)")
            // The row is one that GoTrue reads.
            let stored = try JSON(parsing: try await auth.sql("select web_authn_credential from auth.mfa_factors"))
            #expect(stored["id"] == .string(Base64.encode(key.id)) && stored["attestationType"] == "none")
            let removed = try await auth.request(
                "DELETE", "/factors/\(account.factor)", bearer: try proved.member("access_token"))
            #expect(removed.status == 200)
        }
    }
}
