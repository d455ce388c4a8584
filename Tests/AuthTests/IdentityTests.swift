// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import HTTP
import Primitives
import TestSupport
import Testing

/// Id tokens that applications bring along, and identities that users add and take away.
@Suite struct IdentityTests {
    private func grant(
        _ fixture: AuthFixture, _ members: JSONObject, bearer: String? = nil
    ) async throws -> TestHTTPResponse {
        var body: JSONObject = ["provider": "google"]
        for member in members { body[member.name] = member.value.isNull ? Optional<JSON>.none : member.value }
        return try await fixture.request("POST", "/token?grant_type=id_token", JSON.object(body).text, bearer: bearer)
    }

    private static let nonceHash = Hex.encode(digest("raw nonce".utf8))

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var claims: JSONObject = [:]
        var members: JSONObject = [:]
        var error: String?
    }

    private static let accessHash = Base64URL.encode(digest("access-1".utf8).prefix(16))

    static let cases = [
        Case(testDescription: "no token", members: ["id_token": ""], error: "invalid_request"),
        Case(testDescription: "no text", members: ["id_token": 1], error: "bad_json"),
        Case(testDescription: "nonsense", members: ["id_token": "a.b.c"], error: "invalid_request"),
        Case(testDescription: "no provider", members: ["provider": .null], error: "invalid_request"),
        Case(testDescription: "unknown provider", members: ["provider": "apple"], error: "provider_disabled"),
        Case(testDescription: "no id tokens there", members: ["provider": "github"], error: "invalid_request"),
        Case(
            testDescription: "unknown issuer",
            members: ["provider": .null, "issuer": "https://evil.test", "client_id": "client-1"],
            error: "provider_disabled"),
        Case(testDescription: "another audience", claims: ["aud": "other"], error: "invalid_request"),
        Case(testDescription: "another issuer", claims: ["iss": "https://evil.test"], error: "invalid_request"),
        Case(testDescription: "expired", claims: ["exp": 1], error: "invalid_request"),
        Case(testDescription: "a nonce nobody asked for", members: ["nonce": "raw nonce"], error: "invalid_request"),
        Case(
            testDescription: "a nonce that is not shown", claims: ["nonce": .string(nonceHash)],
            error: "invalid_request"),
        Case(
            testDescription: "another nonce", claims: ["nonce": .string(nonceHash)], members: ["nonce": "other"],
            error: "invalid_grant"),
        Case(
            testDescription: "the nonce itself instead of its hash", claims: ["nonce": "raw nonce"],
            members: ["nonce": "raw nonce"], error: "invalid_grant"),
        Case(
            testDescription: "the access token is missing", claims: ["at_hash": .string(accessHash)],
            error: "invalid_request"),
        Case(
            testDescription: "another access token", claims: ["at_hash": .string(accessHash)],
            members: ["access_token": "other"], error: "invalid_request"),
        Case(testDescription: "plain", members: [:]),
        Case(testDescription: "for the application on the phone", claims: ["aud": "phone-app"]),
        Case(testDescription: "with a nonce", claims: ["nonce": .string(nonceHash)], members: ["nonce": "raw nonce"]),
        Case(
            testDescription: "with an access token", claims: ["at_hash": .string(accessHash)],
            members: ["access_token": "access-1"]),
    ]

    @Test(arguments: cases)
    func idTokenGrant(_ test: Case) async throws {
        try await TestProvider.run { fixture, provider in
            var members = test.members
            if members["id_token"] == nil { members["id_token"] = .string(try provider.idToken(test.claims)) }
            let response = try await grant(fixture, members)
            let users = try await fixture.sql("select count(*) from auth.users")
            if let error = test.error {
                #expect(response.status == 400, "\(response.text)")
                #expect(
                    (response.json["error"] ?? response.json["error_code"])?.stringValue == error, "\(response.text)")
                #expect(users == "0")
            } else {
                #expect(response.status == 200, "\(response.text)")
                #expect(response.json["user"]?["email"] == "anna@example.com")
                #expect(users == "1")
            }
        }
    }

    @Test func findsTheProviderByIssuerAndClient() async throws {
        try await TestProvider.run { fixture, provider in
            let token = try provider.idToken()
            let response = try await grant(
                fixture,
                [
                    "provider": .null, "issuer": .string(provider.url), "client_id": "client-1",
                    "id_token": .string(token),
                ])
            #expect(response.status == 200, "\(response.text)")
        }
    }

    // MARK: Linking

    @Test func linksAndUnlinksAsLongAsOneIsLeft() async throws {
        try await TestProvider.run { fixture, provider in
            let signedUp = try await fixture.signUp("berta@example.com")
            let token = try signedUp.member("access_token")
            let flow = try await ExternalFlow(
                fixture, provider, "provider=google&skip_http_redirect=true&\(ExternalFlow.challenge)",
                path: "/user/identities/authorize", bearer: token)
            let linked = try await flow.session()
            let user = try #require(linked.json["user"])
            #expect(user["id"] == signedUp.json["user"]?["id"])
            #expect(user["email"] == "berta@example.com")
            #expect(user["app_metadata"]?["providers"] == ["email", "google"])

            let twice = try await ExternalFlow(
                fixture, provider, "provider=google&skip_http_redirect=true&\(ExternalFlow.challenge)",
                path: "/user/identities/authorize", bearer: token
            ).back()
            #expect(twice.redirectedError == "identity_already_exists")

            let identities = try #require(user["identities"]?.arrayValue)
            let google = try #require(identities.first { $0["provider"] == "google" }?["identity_id"]?.stringValue)
            let other = try await fixture.signUp("carla@example.com")
            let foreign = try await fixture.request(
                "DELETE", "/user/identities/\(google)", bearer: try other.member("access_token"))
            #expect(foreign.errorCode == "identity_not_found")
            let nobody = try await fixture.request("DELETE", "/user/identities/\(google)")
            #expect(nobody.status == 401)
            let unlinked = try await fixture.request("DELETE", "/user/identities/\(google)", bearer: token)
            #expect(unlinked.status == 200)
            #expect(unlinked.json == [:])
            let current = try await fixture.request("GET", "/user", bearer: token)
            #expect(current.json["app_metadata"]?["providers"] == ["email"])

            let email = try #require(identities.first { $0["provider"] == "email" }?["identity_id"]?.stringValue)
            let last = try await fixture.request("DELETE", "/user/identities/\(email)", bearer: token)
            #expect(last.status == 422)
            #expect(last.errorCode == "single_identity_not_deletable")
            let malformed = try await fixture.request("DELETE", "/user/identities/x", bearer: token)
            #expect(malformed.status == 404)
            #expect(malformed.errorCode == "validation_failed")
        }
    }

    @Test func anIdentityOfSomebodyElseIsNotLinked() async throws {
        try await TestProvider.run { fixture, provider in
            _ = try await ExternalFlow(fixture, provider).session()
            let other = try await fixture.signUp("berta@example.com")
            let response = try await grant(
                fixture, ["id_token": .string(try provider.idToken(["nonce": .null])), "link_identity": true],
                bearer: try other.member("access_token"))
            #expect(response.status == 422)
            #expect(response.errorCode == "identity_already_exists")
        }
    }

    @Test func anAnonymousUserBecomesOneWithAnAddress() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.isAnonymousSignInEnabled = true
        } _: { fixture, provider in
            let visitor = try await fixture.request("POST", "/signup", "{}")
            let flow = try await ExternalFlow(
                fixture, provider, "provider=google&skip_http_redirect=true&\(ExternalFlow.challenge)",
                path: "/user/identities/authorize", bearer: try visitor.member("access_token"))
            let user = try #require(try await flow.session().json["user"])
            #expect(user["id"] == visitor.json["user"]?["id"])
            #expect(user["is_anonymous"] == false)
            #expect(user["email"] == "anna@example.com")
            #expect(user["email_confirmed_at"] != nil)
        }
    }

    @Test func theAccountTakesTheAddressOfTheIdentityThatIsLeft() async throws {
        try await TestProvider.run { fixture, provider in
            let signedUp = try await fixture.signUp("berta@example.com")
            let token = try signedUp.member("access_token")
            let user = try #require(
                try await ExternalFlow(
                    fixture, provider, "provider=google&skip_http_redirect=true&\(ExternalFlow.challenge)",
                    path: "/user/identities/authorize", bearer: token
                ).session().json["user"])
            let email = user["identities"]?.arrayValue?.first { $0["provider"] == "email" }?["identity_id"]?.stringValue
            let response = try await fixture.request("DELETE", "/user/identities/\(email ?? "")", bearer: token)
            #expect(response.status == 200, "\(response.text)")
            let current = try await fixture.request("GET", "/user", bearer: token)
            #expect(current.json["email"] == "anna@example.com")
        }
    }

    @Test func linkingIsOffUnlessItIsOn() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.isManualLinkingEnabled = false
        } _: { fixture, provider in
            let token = try await fixture.signUp("berta@example.com").member("access_token")
            let requests = [
                ("GET", "/user/identities/authorize?provider=google"), ("DELETE", "/user/identities/\(UUID.random())"),
            ]
            for (method, path) in requests {
                let response = try await fixture.request(method, path, bearer: token)
                #expect(response.status == 404)
                #expect(response.errorCode == "manual_linking_disabled")
            }
            let granted = try await grant(
                fixture, ["id_token": .string(try provider.idToken()), "link_identity": true], bearer: token)
            #expect(granted.errorCode == "manual_linking_disabled")
        }
    }
}
