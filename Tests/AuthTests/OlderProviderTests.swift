// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import HTTP
import Primitives
import Synchronization
import TestSupport
import Testing

/// Providers that go their own ways: Twitter with OAuth 1.0a, Apple with a client secret that a key signs.
@Suite struct OlderProviderTests {
    // MARK: OAuth 1.0a

    /// The example of Twitter's documentation.
    @Test func signsAsTheProvidersExampleDoes() {
        let signature = OAuth1Signature(
            consumer: "xvz1evFS4wEEPTGEFPHBog",
            consumerSecret: SecretString("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"),
            token: OAuth1Token(
                text: "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
                secret: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"),
            nonce: "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg", timestamp: 1_318_622_958)
        let field = signature.authorization(
            .post, "https://api.twitter.com/1.1/statuses/update.json",
            parameters: [
                ("include_entities", "true"), ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
            ])
        #expect(field.contains("oauth_signature=\"hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D\""), "\(field)")
    }

    /// A browser's way to Twitter and back.
    private static func begin(
        _ fixture: AuthFixture, _ provider: TestProvider
    ) async throws -> (token: String, returnQuery: FormFields) {
        let response = try await fixture.request(
            "GET", "/authorize?provider=twitter&" + ExternalFlow.challenge,
            headers: ["host": "auth.test", "apikey": ""])
        let location = try #require(response.headers["location"], "\(response.text)")
        #expect(location.hasPrefix(provider.url + "/oauth/authenticate?oauth_token="))
        let known = try #require(provider.state.withLock { $0.requestToken })
        #expect(known.callback.hasPrefix("http://auth.test/auth/v1/callback?state="))
        return (known.text, ExternalFlow.query(known.callback))
    }

    private static func back(
        _ fixture: AuthFixture, _ state: String, _ further: [(name: String, value: String)]
    ) async throws -> TestHTTPResponse {
        try await fixture.request(
            "GET", "/callback?" + FormFields.encode([("state", state)] + further),
            headers: ["host": "auth.test", "apikey": ""])
    }

    @Test func signsInThroughOAuth1() async throws {
        try await TestProvider.run { fixture, provider in
            provider.state.withLock {
                $0.twitterUser = [
                    "id_str": "38895958", "name": "Anna B", "screen_name": "anna", "email": "Anna@example.com",
                    "profile_image_url_https": "https://example.com/p.jpg",
                ]
            }
            let (token, query) = try await Self.begin(fixture, provider)
            // Nothing in the database finishes the flow.
            let stored = try await fixture.sql("select provider_access_token from auth.flow_state")
            #expect(stored.hasPrefix("v1.") && !stored.contains(token))
            let returned = try await Self.back(
                fixture, try #require(query.first("state")),
                [("oauth_token", token), ("oauth_verifier", "verifier-1")])
            let target = try #require(returned.headers["location"], "\(returned.text)")
            let code = try #require(ExternalFlow.query(target).first("code"), "\(target)")
            let body: JSON = ["auth_code": .string(code), "code_verifier": .string(ExternalFlow.verifier)]
            let session = try await fixture.request("POST", "/token?grant_type=pkce", body.text)
            #expect(session.status == 200, "\(session.text)")
            let user = try #require(session.json["user"])
            #expect(user["email"] == "anna@example.com")
            #expect(user["identities"]?[0]?["id"] == "38895958")
            #expect(user["user_metadata"]?["user_name"] == "anna")
            #expect(session.json["provider_token"] == "7588892-token")
        }
    }

    @Test func aTokenOfAnotherFlowIsRefused() async throws {
        try await TestProvider.run { fixture, provider in
            let (first, _) = try await Self.begin(fixture, provider)
            for further: [(name: String, value: String)] in [
                [("oauth_token", first), ("oauth_verifier", "verifier-1")], [("oauth_verifier", "verifier-1")],
                [("oauth_token", "x"), ("oauth_verifier", "verifier-1")], [("code", "code-1")],
            ] {
                let (_, query) = try await Self.begin(fixture, provider)
                let answer = try await Self.back(fixture, try #require(query.first("state")), further)
                #expect(answer.redirectedError == "bad_oauth_callback", "\(answer.headers)")
            }
            let (token, query) = try await Self.begin(fixture, provider)
            let wrong = try await Self.back(
                fixture, try #require(query.first("state")), [("oauth_token", token), ("oauth_verifier", "guessed")])
            #expect(wrong.redirectedError == "unexpected_failure")
            let (other, denial) = try await Self.begin(fixture, provider)
            let denied = try await Self.back(fixture, try #require(denial.first("state")), [("denied", other)])
            let told = denied.headers["location"].map { ExternalFlow.fragment($0) }
            #expect(told?.first("error") == "access_denied")
            #expect(provider.state.withLock { $0.exchanges } == 0)
            #expect(try await fixture.sql("select count(*) from auth.users") == "0")
        }
    }

    // MARK: Apple

    /// Runs `body` with a provider `apple` whose private key is the one that its server knows, or another.
    private static func withApple(
        knowsKey: Bool = true, teamID: String = "TEAM123456",
        _ body: @escaping @Sendable (AuthFixture, TestProvider) async throws -> Void
    ) async throws {
        let (pem, key) = try makeKey()
        try await TestProvider.run { configuration, provider in
            provider.state.withLock {
                $0.clientKey = knowsKey ? key : try? makeKey().key
                $0.metadata = ["token_endpoint_auth_methods_supported": ["client_secret_post"]]
            }
            var settings = ExternalProviderSettings(clientIDs: [TestProvider.clientID], secret: SecretString(pem))
            settings.url = provider.url
            settings.teamID = teamID
            settings.keyID = "KEY1234567"
            configuration.externalProviders["apple"] = settings
        } _: { fixture, provider in
            try await body(fixture, provider)
        }
    }

    /// A key as Apple gives it out, and what verifies its signatures.
    private static func makeKey() throws -> (pem: String, key: JWTCodec) {
        let jwk = try JWTKey.generateJWK(for: .es256)
        let number = try #require(jwk["d"]?.stringValue.flatMap { Base64URL.decode($0) })
        // PKCS #8 (RFC 5958): a key on P-256, which this much of the encoding always is, and its private number.
        let prefix = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"
        let der = try #require(Hex.decode(prefix)) + number
        let pem = "-----BEGIN PRIVATE KEY-----\n\(Base64.encode(der))\n-----END PRIVATE KEY-----\n"
        let key = try JWTKey(privatePEM: pem, id: "KEY1234567")
        return (pem, JWTCodec(keys: KeySet(signingKey: key)))
    }

    private static func signIn(_ fixture: AuthFixture, _ provider: TestProvider) async throws -> TestHTTPResponse {
        let flow = try await ExternalFlow(fixture, provider, "provider=apple&" + ExternalFlow.challenge)
        #expect(flow.request.first("response_mode") == "form_post")
        let user = #"{"name":{"firstName":"Anna","lastName":"B"},"email":"anna@example.com"}"#
        let form = FormFields.encode([("code", "code-1"), ("state", flow.state), ("user", user)])
        return try await fixture.request(
            "POST", "/callback", form,
            headers: ["host": "auth.test", "apikey": "", "content-type": "application/x-www-form-urlencoded"])
    }

    @Test func applesSecretIsATokenOfTheTeamsKey() async throws {
        try await Self.withApple { fixture, provider in
            provider.state.withLock { $0.claims = ["name": .null] }
            let returned = try await Self.signIn(fixture, provider)
            let target = try #require(returned.headers["location"], "\(returned.text)")
            let code = try #require(ExternalFlow.query(target).first("code"), "\(target)")
            let body: JSON = ["auth_code": .string(code), "code_verifier": .string(ExternalFlow.verifier)]
            let session = try await fixture.request("POST", "/token?grant_type=pkce", body.text)
            #expect(session.json["user"]?["user_metadata"]?["full_name"] == "Anna B", "\(session.text)")
            let secret = try #require(provider.state.withLock { $0.exchange.first("client_secret") })
            let header = try JSON(parsing: Base64URL.decode(secret.prefix { $0 != "." }) ?? [])
            #expect(header["alg"] == "ES256" && header["kid"] == "KEY1234567")
            #expect(!secret.contains("PRIVATE KEY"))
        }
    }

    @Test func anotherKeyOrTeamSignsNobodyIn() async throws {
        for (knowsKey, team) in [(false, "TEAM123456"), (true, "OTHER12345")] {
            try await Self.withApple(knowsKey: knowsKey, teamID: team) { fixture, provider in
                let returned = try await Self.signIn(fixture, provider)
                #expect(returned.redirectedError == "unexpected_failure")
                #expect(try await fixture.sql("select count(*) from auth.users") == "0")
            }
        }
    }
}
