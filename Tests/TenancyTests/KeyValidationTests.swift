// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import HTTPClient
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@testable import Tenancy

@Suite struct KeyValidationTests {
    private static let keys = "/api/user/api-keys"

    struct Case: Sendable, CustomTestStringConvertible {
        var service: String
        var key: String
        var outcome: String?
        /// The end of the path that is asked; nil when nobody is.
        var path: String?

        var testDescription: String { "\(service) \(key.prefix(12))" }
    }

    static let cases: [Case] = [
        Case(service: "openai", key: "bad", outcome: "invalid", path: "/v1/models"),
        Case(service: "openai", key: "busy", outcome: "unknown", path: "/v1/models"),
        Case(service: "openai", key: "broken", outcome: "unknown", path: "/v1/models"),
        Case(service: "openai", key: "good\r\nX-Evil: 1", outcome: "invalid", path: nil),
        Case(service: "openai", key: "good", outcome: "valid", path: "/v1/models"),
        Case(service: "openai", key: "\t good\r\n", outcome: "valid", path: "/v1/models"),
        Case(service: "anthropic", key: "bad", outcome: "invalid", path: "/v1/models"),
        Case(service: "anthropic", key: "good", outcome: "valid", path: "/v1/models"),
        Case(service: "perplexity", key: "bad", outcome: "invalid", path: "/chat/completions"),
        Case(service: "perplexity", key: "good", outcome: "valid", path: "/chat/completions"),
        Case(service: "heygen", key: "bad", outcome: "invalid", path: "/v2/user/remaining_quota"),
        Case(service: "heygen", key: "good", outcome: "valid", path: "/v2/user/remaining_quota"),
        Case(service: "twilio", key: "good-without-a-colon", outcome: "invalid", path: nil),
        Case(service: "twilio", key: "../x:good", outcome: "invalid", path: nil),
        Case(service: "twilio", key: "AC1:bad", outcome: "invalid", path: "/2010-04-01/Accounts/AC1.json"),
        Case(service: "twilio", key: "AC1:good", outcome: "valid", path: "/2010-04-01/Accounts/AC1.json"),
        Case(service: "twitter_bearer", key: "bad", outcome: "invalid", path: "/rate_limit_status.json"),
        Case(service: "twitter_bearer", key: "good", outcome: "valid", path: "/rate_limit_status.json"),
        Case(service: "twitter_api_secret", key: "good", outcome: "unknown", path: nil),
        Case(service: "gemini", key: "good", outcome: "valid", path: "/v1beta/models"),
        Case(service: "mistral", key: "good", outcome: "valid", path: "/v1/models"),
        Case(service: "groq", key: "good", outcome: "valid", path: "/openai/v1/models"),
        Case(service: "deepseek", key: "good", outcome: "valid", path: "/models"),
        Case(service: "cohere", key: "good", outcome: "valid", path: "/v1/models"),
        Case(service: "github", key: "good", outcome: "valid", path: "/user"),
        Case(service: "sendgrid", key: "good", outcome: "valid", path: "/v3/scopes"),
        Case(service: "resend", key: "good", outcome: "valid", path: "/domains"),
        Case(service: "stripe", key: "good", outcome: "valid", path: "/v1/balance"),
        Case(service: "elevenlabs", key: "good", outcome: "valid", path: "/v1/user"),
        Case(service: "chatwoot", key: "good", outcome: nil, path: nil),
    ]

    @Test func servicesSayWhetherTheyTakeAKey() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            for test in Self.cases {
                let before = fixture.services.calls.count
                let answer = try await fixture.request(
                    "POST", "\(Self.keys)/\(test.service)/validate", claims: ann.claims,
                    ["api_key": .string(test.key)])
                #expect(answer.status == 200, "\(test)")
                #expect(answer.json["validation"] == JSON(test.outcome), "\(test): \(answer.text)")
                let calls = fixture.services.calls.dropFirst(before)
                #expect(calls.count == (test.path == nil ? 0 : 1), "\(test)")
                if let path = test.path, let call = calls.first { #expect(call.path.hasSuffix(path), "\(test)") }
            }
            // Nothing was stored.
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.secrets") == "0")
        }
    }

    @Test func keysThatGoTogetherAreTriedTogether() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            for (service, key) in [
                ("twitter_api_key", "good"), ("twitter_api_secret", "s"), ("twitter_access_token", "good-token"),
                ("twitter_access_token_secret", "t"),
            ] {
                let stored = try await fixture.request(
                    "POST", Self.keys, claims: ann.claims,
                    ["service_name": .string(service), "api_key": .string(key)])
                #expect(stored.status == 200)
            }
            for service in ["twitter_api_key", "twitter_api_secret", "twitter_access_token"] {
                let answer = try await fixture.request(
                    "POST", "\(Self.keys)/\(service)/validate", claims: ann.claims)
                #expect(answer.json["valid"] == true, "\(service)")
            }
        }
    }

    @Test func aStoredKeyRemembersWhatItsServiceSaid() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let path = "\(Self.keys)/openai/validate"
            #expect(try await fixture.request("POST", path, claims: ann.claims).status == 404)
            #expect(try await fixture.request("POST", path, claims: nil).status == 401)
            _ = try await fixture.request(
                "POST", Self.keys, claims: ann.claims, ["service_name": "openai", "api_key": "bad-key-of-ann"])
            #expect(try await fixture.request("POST", path, claims: bob.claims).status == 404)
            #expect(try await fixture.request("POST", path, claims: bob.claims(tenant: ann.tenant)).status == 403)

            let answer = try await fixture.request("POST", path, claims: ann.claims)
            #expect(answer.json["valid"] == false)
            #expect(answer.json["message"] == "The service refuses the key")
            let list = try await fixture.request("GET", Self.keys, claims: ann.claims)
            #expect(list.json["apiKeys"]?[0]?["validation"] == "invalid")
            #expect(list.json["apiKeys"]?[0]?["last_used_at"] != .null)
            // Another key has not been tried.
            _ = try await fixture.request(
                "POST", Self.keys, claims: ann.claims, ["service_name": "openai", "api_key": "good"])
            let after = try await fixture.request("GET", Self.keys, claims: ann.claims)
            #expect(after.json["apiKeys"]?[0]?["validation"] == .null)

            let log = try await fixture.project.server.exec(
                "select action || ' ' || detail from tenancy.audit_log where action like 'secret.%' order by at, action"
            )
            #expect(log.contains("secret.used") && log.contains(#"secret.validated {"outcome": "invalid"}"#))
            #expect(!log.contains("key-of-ann"))
        }
    }

    @Test func aRevokedKeyIsKeptAndNotUsed() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            try await fixture.project.server.exec(
                "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')")
            let path = "\(Self.keys)/openai/revoke"
            #expect(try await fixture.request("POST", path, claims: ann.claims).status == 404)
            _ = try await fixture.request(
                "POST", Self.keys, claims: ann.claims, ["service_name": "openai", "api_key": "good"])
            #expect(try await fixture.request("POST", path, claims: bob.claims(tenant: ann.tenant)).status == 403)
            #expect(try await fixture.request("POST", path, claims: bob.claims).status == 404)
            #expect(try await fixture.request("POST", path, claims: nil).status == 401)
            #expect(try await fixture.request("POST", path, claims: ann.claims).json == ["success": true])
            #expect(try await fixture.vault.secret(for: "openai", of: fixture.principal(ann.claims)) == nil)
            #expect(try await fixture.request("GET", Self.keys, claims: ann.claims).json == ["apiKeys": []])
            let all = try await fixture.request("GET", Self.keys + "?all=true", claims: ann.claims)
            #expect(all.json["apiKeys"]?[0]?["is_active"] == false)
            #expect(
                try await fixture.project.server.exec(
                    "select count(*) from tenancy.audit_log where action = 'secret.revoked'") == "1")
        }
    }

    @Test func aServiceThatDoesNotAnswerCostsItsTimeAlone() async throws {
        let port = try freePorts(1)[0]
        try await TenancyFixture.run(configure: { $0.validation.addresses["openai"] = "http://127.0.0.1:\(port)" }) {
            fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let answer = try await fixture.request(
                "POST", "\(Self.keys)/openai/validate", claims: ann.claims, ["api_key": "good"])
            #expect(answer.json["validation"] == "unknown")
            #expect(answer.json["valid"] == .null)
            #expect(answer.json["message"] == "openai cannot be reached")
        }
    }

    @Test func signsAsTheStandardSays() {
        let signature = OAuthSignature(consumerKey: "ck", consumerSecret: "c&s", token: "to/ken", tokenSecret: "t s")
        let header = signature.header(
            .get, "https://api.twitter.com/1.1/account/verify_credentials.json", nonce: "n0nce",
            seconds: 1_700_000_000)
        #expect(header.hasPrefix(#"OAuth oauth_consumer_key="ck", oauth_nonce="n0nce""#))
        #expect(header.contains(#"oauth_token="to%2Fken""#))
        // Computed by another program.
        #expect(header.hasSuffix(#"oauth_signature="G0G7wc0qZFM0%2FjdTySSeMzNdoB4%3D""#))
    }
}
