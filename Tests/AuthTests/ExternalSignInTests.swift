// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import HTTP
import Primitives
import Synchronization
import TestSupport
import Testing

/// `/authorize` and `/callback`: what they refuse, then what they do.
@Suite struct ExternalSignInTests {
    // MARK: Refusals on the way there

    @Test(arguments: [
        ("", "Unsupported provider: Provider  could not be found"),
        ("provider=nobody", "Unsupported provider: Provider nobody could not be found"),
        ("provider=discord", "Unsupported provider: provider is not enabled"),
        ("provider=google&code_challenge=abc", "PKCE flow requires code_challenge_method and code_challenge"),
        (
            "provider=google&code_challenge=abc&code_challenge_method=s256",
            "code challenge has to be between 43 and 128 characters"
        ),
    ])
    func refusesToBegin(_ query: String, _ message: String) async throws {
        try await TestProvider.run { fixture, _ in
            let response = try await fixture.request("GET", "/authorize?\(query)", headers: ["host": "auth.test"])
            #expect(response.status == 400)
            #expect(response.errorCode == "validation_failed")
            #expect(response.json["msg"]?.stringValue == message)
            let stored = try await fixture.sql("select count(*) from auth.flow_state")
            #expect(stored == "0")
        }
    }

    @Test func anUnknownInvitationIsToldBeforeTheWayThere() async throws {
        try await TestProvider.run { fixture, _ in
            let response = try await fixture.request(
                "GET", "/authorize?provider=google&invite_token=x&\(ExternalFlow.challenge)",
                headers: ["host": "auth.test"])
            #expect(response.status == 404)
            #expect(response.errorCode == "user_not_found")
        }
    }

    @Test func theProtocolsOwnParametersAreNotTheClients() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(
                fixture, provider,
                "provider=google&client_id=evil&redirect_uri=https://evil.test&state=evil&nonce=evil&response_type=token"
                    + "&response_mode=fragment&scope=admin&prompt=consent&scopes=calendar,email&login_hint=a%40b.test&"
                    + ExternalFlow.challenge)
            #expect(flow.location.hasPrefix(provider.url + "/authorize?"))
            #expect(flow.request.first("client_id") == TestProvider.clientID)
            #expect(flow.request.first("redirect_uri") == "http://auth.test/auth/v1/callback")
            #expect(flow.request.first("response_type") == "code")
            #expect(flow.request.first("scope") == "openid email profile calendar")
            #expect(flow.request.first("prompt") == "consent")
            #expect(flow.request.first("login_hint") == "a@b.test")
            #expect(flow.request.first("code_challenge_method") == "S256")
            for name in ["state", "nonce", "code_challenge"] {
                #expect(flow.request.first(name) != "evil")
                #expect(flow.request.all.filter { $0.name == name }.count == 1)
            }
            #expect(!flow.location.contains("evil"))
        }
    }

    // MARK: Refusals on the way back

    @Test func takesNoStateThatWasNotMadeHere() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            let parts = flow.state.split(separator: ".").map(String.init)
            let other = try await ExternalFlow(fixture, provider)
            let forged = [
                "x", "..", parts[0], parts[0] + ".", "." + parts[1], parts[0] + "." + Base64URL.encode(randomBytes(32)),
                parts[0] + "." + other.state.split(separator: ".")[1], flow.state + "A",
                Base64URL.encode(Array(UUID.random().description.utf8)) + "." + parts[1],
                String(repeating: "a", count: 5000),
            ]
            for state in forged {
                let response = try await flow.back(state: state)
                #expect(response.status == 400)
                #expect(response.errorCode == "bad_oauth_state")
                #expect(response.headers["location"] == nil)
            }
            let missing = try await flow.back(state: "")
            #expect(missing.errorCode == "bad_oauth_callback")
            #expect(provider.state.withLock { $0.exchanges } == 0)
        }
    }

    @Test func aStateServesOnce() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            let first = try await flow.back()
            #expect(first.status == 302)
            let again = try await flow.back()
            #expect(again.status == 400)
            #expect(again.errorCode == "flow_state_already_used")
            #expect(provider.state.withLock { $0.exchanges } == 1)
            let users = try await fixture.sql("select count(*) from auth.users")
            #expect(users == "1")
        }
    }

    @Test func aFlowThatTookTooLongIsOver() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            try await fixture.sql("update auth.flow_state set created_at = now() - interval '301 seconds'")
            let response = try await flow.back()
            #expect(response.errorCode == "bad_oauth_state")
            #expect(provider.state.withLock { $0.exchanges } == 0)
        }
    }

    /// Without a challenge nothing but the cookie ties an answer to the browser: the attack is to send somebody the address of a
    /// callback of one's own.
    @Test func aFlowWithoutAChallengeEndsInTheBrowserItBeganIn() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider, "provider=google")
            let other = try await ExternalFlow(fixture, provider, "provider=google")
            #expect(flow.cookie != nil)
            for cookie in ["", other.cookie ?? "", "a=b", (flow.cookie ?? "") + "x"] {
                let response = try await flow.back(cookie: cookie)
                #expect(response.status == 400)
                #expect(response.errorCode == "bad_oauth_state")
            }
            provider.state.withLock { $0.nonce = flow.request.first("nonce") }
            let returned = try await flow.back(cookie: "a=b; \(flow.cookie ?? "")")
            let members = ExternalFlow.fragment(try #require(returned.headers["location"]))
            #expect(members.first("access_token") != nil)
        }
    }

    @Test func theCookieIsForTheCallbackAndNoScript() async throws {
        try await TestProvider.run { configuration, _ in
            configuration.externalURL = "https://api.example.com/auth/v1"
        } _: { fixture, _ in
            let response = try await fixture.request(
                "GET", "/authorize?provider=google", headers: ["host": "api.example.com"])
            let cookie = try #require(response.headers["set-cookie"])
            for attribute in ["Path=/auth/v1/callback", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=300"] {
                #expect(cookie.contains("; \(attribute)"), "\(cookie)")
            }
        }
    }

    struct BadToken: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var claims: JSONObject = [:]
        var token: String?
    }

    static let badTokens = [
        BadToken(testDescription: "another nonce", claims: ["nonce": "other"]),
        BadToken(testDescription: "no nonce", claims: ["nonce": .null]),
        BadToken(testDescription: "for another application", claims: ["aud": "client-2"]),
        BadToken(testDescription: "for nobody", claims: ["aud": .null]),
        BadToken(
            testDescription: "asked for by another", claims: ["aud": ["client-1", "client-2"], "azp": "client-2"]),
        BadToken(testDescription: "of another issuer", claims: ["iss": "https://accounts.google.com"]),
        BadToken(testDescription: "of no issuer", claims: ["iss": .null]),
        BadToken(testDescription: "expired", claims: ["exp": 1]),
        BadToken(testDescription: "without an end", claims: ["exp": .null]),
        BadToken(testDescription: "issued in future", claims: ["iat": 99_999_999_999]),
        BadToken(testDescription: "of no subject", claims: ["sub": .null]),
        BadToken(testDescription: "of another access token", claims: ["at_hash": "AAAAAAAAAAAAAAAAAAAAAA"]),
        BadToken(testDescription: "no token", token: "nonsense"),
        BadToken(testDescription: "alg none", token: "none"),
        BadToken(testDescription: "signed by somebody else", token: "foreign"),
        BadToken(testDescription: "HMAC by the public key", token: "hmac"),
    ]

    @Test(arguments: badTokens)
    func refusesAnIDTokenThatIs(_ bad: BadToken) async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            let parts = try provider.idToken().split(separator: ".").map(String.init)
            let key = provider.state.withLock { $0.keys[0] }
            func token(_ header: String, _ signature: (String) -> String) -> String {
                let input = Base64URL.encode(Array(header.utf8)) + "." + parts[1]
                return input + "." + signature(input)
            }
            provider.state.withLock { state in
                state.claims = bad.claims
                switch bad.token {
                case "none": state.idToken = token(#"{"alg":"none"}"#) { _ in "" }
                case "hmac":
                    let secret = Base64URL.decode(key["x"]?.stringValue ?? "") ?? []
                    state.idToken = token(#"{"alg":"HS256","kid":"\#(key["kid"]?.stringValue ?? "")"}"#) {
                        Base64URL.encode(HMAC.code(for: $0.utf8, key: secret))
                    }
                case "foreign": state.idToken = parts[0] + "." + parts[1] + "." + Base64URL.encode(randomBytes(64))
                default: state.idToken = bad.token
                }
            }
            let response = try await flow.back()
            let target = try #require(response.headers["location"])
            #expect(target.hasPrefix("https://app.example.com"))
            #expect(response.redirectedError == "unexpected_failure")
            #expect(ExternalFlow.query(target).first("code") == nil)
            let users = try await fixture.sql("select count(*) from auth.users")
            #expect(users == "0")
        }
    }

    @Test func anAnswerThatNamesAnotherProviderIsRefused() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            let response = try await flow.back(further: "&iss=https%3A%2F%2Fevil.test")
            #expect(response.redirectedError == "bad_oauth_callback")
            #expect(provider.state.withLock { $0.exchanges } == 0)
        }
    }

    @Test func aCodeTheProviderRefusesEndsTheFlow() async throws {
        try await TestProvider.run { fixture, provider in
            for name in ["google", "github"] {
                let flow = try await ExternalFlow(fixture, provider, "provider=\(name)&\(ExternalFlow.challenge)")
                let response = try await flow.back(code: "stolen")
                #expect(response.redirectedError == "unexpected_failure")
                #expect(response.headers["location"]?.contains("stolen") == false)
            }
        }
    }

    @Test func whatTheProviderRefusesIsToldToThePage() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            let response = try await fixture.request(
                "GET", "/callback?state=\(flow.state)&error=access_denied&error_description=No+thanks")
            let target = try #require(response.headers["location"])
            for members in [ExternalFlow.query(target), ExternalFlow.fragment(target)] {
                #expect(members.first("error") == "access_denied")
                #expect(members.first("error_description") == "No thanks")
            }
            #expect(ExternalFlow.fragment(target).first("sb") == "")
        }
    }

    @Test(arguments: ["https://evil.test/", "https://app.example.com@evil.test/", "javascript:alert(1)", "//evil.test"])
    func sendsNobodyElsewhere(_ target: String) async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(
                fixture, provider,
                FormFields.encode([("redirect_to", target)]) + "&provider=google&\(ExternalFlow.challenge)")
            let response = try await flow.back()
            #expect(response.headers["location"]?.hasPrefix("https://app.example.com?code=") == true)
        }
    }

    // MARK: Signing in

    @Test func makesAnAccountThatIsTheSameNextTime() async throws {
        try await TestProvider.run { fixture, provider in
            let first = try await ExternalFlow(
                fixture, provider, "provider=google&redirect_to=http://localhost:3000/welcome&\(ExternalFlow.challenge)"
            )
            #expect(first.cookie == nil)
            let session = try await first.session()
            #expect(session.status == 200, "\(session.text)")
            #expect(session.json["provider_token"] == "access-1")
            #expect(session.json["provider_refresh_token"] == "refresh-1")
            let user = try #require(session.json["user"])
            #expect(user["email"] == "anna@example.com")
            #expect(user["email_confirmed_at"] != nil)
            #expect(user["app_metadata"]?["provider"] == "google")
            #expect(user["app_metadata"]?["providers"] == ["google"])
            #expect(user["user_metadata"]?["full_name"] == "Anna")
            let identity = try #require(user["identities"]?[0])
            #expect(identity["provider"] == "google")
            #expect(identity["id"] == "subject-1")
            #expect(identity["identity_data"]?["iss"]?.stringValue == provider.url)
            #expect(identity["identity_data"]?["email_verified"] == true)
            #expect(try fixture.claims(of: session)["amr"]?[0]?["method"] == "oauth")
            let answered = CodeChallenge(
                stored: provider.state.withLock { $0.challenge }, method: "s256")
            #expect(
                answered?.isAnswered(by: provider.state.withLock { $0.exchange.first("code_verifier") } ?? "") == true)

            provider.state.withLock { $0.claims = ["name": "Anna B", "email": "anna.b@example.com"] }
            let again = try await ExternalFlow(fixture, provider).session()
            #expect(again.json["user"]?["id"] == user["id"])
            #expect(again.json["user"]?["email"] == "anna@example.com")
            #expect(again.json["user"]?["identities"]?[0]?["identity_data"]?["name"] == "Anna B")
            #expect(again.json["user"]?["user_metadata"]?["name"] == "Anna B")
            let home = try await fixture.sql("select count(*) from tenancy.tenants")
            #expect(home == "1")
            let left = try await fixture.sql("select count(*) from auth.flow_state")
            #expect(left == "0")
        }
    }

    @Test func withoutAChallengeTheSessionIsInTheFragment() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(
                fixture, provider, "provider=google&redirect_to=https://app.example.com/in?a=b")
            let response = try await flow.back()
            let target = try #require(response.headers["location"])
            #expect(target.hasPrefix("https://app.example.com/in?a=b#access_token="))
            let members = ExternalFlow.fragment(target)
            for name in [
                "access_token", "expires_at", "expires_in", "refresh_token", "provider_token", "provider_refresh_token",
            ] {
                #expect(members.first(name)?.isEmpty == false)
            }
            #expect(members.first("token_type") == "bearer")
            let refreshed = try await fixture.refresh(members.first("refresh_token") ?? "")
            #expect(refreshed.status == 200)
        }
    }

    @Test func aFlowThatBeginsAtAnotherHostGoesToTheCallbacksFirst() async throws {
        try await TestProvider.run { fixture, _ in
            let response = try await fixture.request(
                "GET", "/authorize?provider=google",
                headers: ["host": "localhost:54321", "referer": "http://localhost:3000/x"])
            let target = try #require(response.headers["location"])
            #expect(target.hasPrefix("http://auth.test/auth/v1/authorize?provider=google&"))
            #expect(ExternalFlow.query(target).first("redirect_to") == "http://localhost:3000/x")
            // A proxy may have changed the host: the second time it is taken as it is.
            let query = try #require(target.split(separator: "?").last)
            let second = try await fixture.request("GET", "/authorize?\(query)", headers: ["host": "localhost:54321"])
            #expect(second.headers["set-cookie"] != nil)
            #expect(second.headers["location"]?.contains("atoll_host") == false)
        }
    }

    @Test func aPostedAnswerIsAnAnswer() async throws {
        try await TestProvider.run { fixture, provider in
            let flow = try await ExternalFlow(fixture, provider)
            provider.state.withLock { $0.claims = ["name": .null] }
            let user = #"{"name":{"firstName":"Anna","lastName":"Apple"},"email":"evil@example.com"}"#
            let response = try await fixture.request(
                "POST", "/callback", FormFields.encode([("code", "code-1"), ("state", flow.state), ("user", user)]),
                headers: ["content-type": "application/x-www-form-urlencoded", "apikey": ""])
            #expect(response.headers["location"]?.contains("code=") == true)
            let row = try await fixture.sql(
                "select email || ' ' || (raw_user_meta_data ->> 'full_name') from auth.users")
            #expect(row == "anna@example.com Anna Apple")
        }
    }

    @Test func theAddressMayComeFromUserinfoOfTheSameSubjectOnly() async throws {
        try await TestProvider.run { fixture, provider in
            provider.state.withLock { state in
                state.claims = ["email": .null, "email_verified": .null]
                state.userInfo = ["sub": "somebody else", "email": "anna@example.com", "email_verified": true]
            }
            let refused = try await ExternalFlow(fixture, provider).back()
            #expect(refused.redirectedError == "unexpected_failure")
            provider.state.withLock { $0.userInfo["sub"] = "subject-1" }
            let session = try await ExternalFlow(fixture, provider).session()
            #expect(session.json["user"]?["email"] == "anna@example.com")
        }
    }

    @Test func followsARotationOfTheProvidersKeys() async throws {
        try await TestProvider.run { fixture, provider in
            let first = try await ExternalFlow(fixture, provider).session()
            #expect(first.status == 200)
            // The keys were fetched a moment ago, and fetching again is bounded: the next sign-in is too early.
            try provider.rotate()
            let flow = try await ExternalFlow(fixture, provider)
            let early = try await flow.back()
            #expect(early.redirectedError == "unexpected_failure")
        }
    }
}
