// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import Postgres
import Primitives
import TestSupport
import Testing

/// `POST /token?grant_type=pkce`, with flows as `/verify` and `/callback` leave them.
@Suite struct PKCETests {
    private static let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    private static let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    private func exchange(
        _ fixture: AuthFixture, _ code: String, _ verifier: String = verifier
    ) async throws -> TestHTTPResponse {
        let body: JSON = ["auth_code": .string(code), "code_verifier": .string(verifier)]
        return try await fixture.request("POST", "/token?grant_type=pkce", body.text)
    }

    /// Makes an account and a flow of it that waits for its code to be exchanged.
    private func flow(
        _ fixture: AuthFixture, method: String = "s256", tokens: ProviderTokens = ProviderTokens()
    ) async throws -> AuthCode {
        let user = try await fixture.signUp("anna@example.com").json["user"]?["id"]?.stringValue ?? ""
        let id = try #require(UUID(user))
        let flow = FlowState(
            challenge: try CodeChallenge(challenge: Self.challenge, method: method), provider: "email",
            authenticationMethod: "magiclink", userID: id)
        let code = AuthCode.random()
        let issue = FlowState.issue(code, toFlowOf: id, method: "magiclink")
        try await fixture.run([flow.insertion, issue])
        if let access = tokens.access {
            let sealed = try code.seal(access, in: flow.id, as: "access")
            try await fixture.sql("update auth.flow_state set provider_access_token = '\(sealed)'")
        }
        return code
    }

    @Test func refusesWhatIsNoCodeAndChangesNothing() async throws {
        try await AuthFixture.run { fixture in
            _ = try await flow(fixture)
            for (code, verifier) in [("", Self.verifier), ("code", "")] {
                let response = try await exchange(fixture, code, verifier)
                #expect(response.status == 400)
                #expect(response.errorCode == "validation_failed")
            }
            for code in ["unknown", "null", "' or true --", String(repeating: "x", count: 10_000)] {
                let response = try await exchange(fixture, code)
                #expect(response.status == 404)
                #expect(response.errorCode == "flow_state_not_found")
            }
            #expect(try await fixture.sql("select count(*) from auth.flow_state") == "1")
        }
    }

    @Test func aCodeIsExchangedOnce() async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture, tokens: ProviderTokens(access: "ya29.secret"))
            #expect(!(try await fixture.sql("select f::text from auth.flow_state as f")).contains(code.text))
            #expect(!(try await fixture.sql("select f::text from auth.flow_state as f")).contains("ya29"))
            let response = try await exchange(fixture, code.text)
            #expect(response.status == 200, "\(response.text)")
            #expect(try fixture.claims(of: response)["amr"]?[0]?["method"] == "magiclink")
            #expect(response.json["provider_token"] == "ya29.secret")
            #expect(response.json["provider_refresh_token"] == nil)
            #expect(try await fixture.refresh(try response.member("refresh_token")).status == 200)
            let again = try await exchange(fixture, code.text)
            #expect(again.errorCode == "flow_state_not_found")
        }
    }

    @Test func ofManyWhoExchangeACodeAtOnceOneGetsASession() async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<16 { group.addTask { try await exchange(fixture, code.text).status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.filter { $0 == 200 }.count == 1)
            #expect(statuses.filter { $0 == 404 }.count == 15)
        }
    }

    @Test func aPlainChallengeIsItsOwnVerifier() async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture, method: "plain")
            #expect(try await exchange(fixture, code.text, Self.challenge).status == 200)
        }
    }

    @Test func aWrongVerifierSpendsTheCode() async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture)
            let wrong = try await exchange(fixture, code.text, String(repeating: "a", count: 43))
            #expect(wrong.status == 400)
            #expect(wrong.errorCode == "bad_code_verifier")
            #expect(try await exchange(fixture, code.text).errorCode == "flow_state_not_found")
            #expect(try await fixture.sql("select count(*) from auth.sessions") == "1")
        }
    }

    @Test func anOldCodeIsRefused() async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture)
            try await fixture.sql(
                "update auth.flow_state set auth_code_issued_at = now() - interval '301 seconds'")
            let response = try await exchange(fixture, code.text)
            #expect(response.status == 422)
            #expect(response.errorCode == "flow_state_expired")
        }
    }

    @Test(arguments: [("banned_until = 'infinity'", "user_banned"), ("deleted_at = now()", "flow_state_not_found")])
    func anAccountThatIsClosedGetsNoSession(_ change: String, _ errorCode: String) async throws {
        try await AuthFixture.run { fixture in
            let code = try await flow(fixture)
            try await fixture.sql("update auth.users set \(change)")
            #expect(try await exchange(fixture, code.text).errorCode == errorCode)
            #expect(try await fixture.sql("select count(*) from auth.sessions") == "1")
        }
    }
}
