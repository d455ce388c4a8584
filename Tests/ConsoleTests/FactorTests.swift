// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives
import Testing

@testable import Console

@Suite struct FactorTests {
    private static func user(_ factors: (id: String, kind: String, status: String)...) -> HTTPResponse {
        .json([
            "id": "u-1", "email": "a@b.c",
            "factors": .array(
                factors.map {
                    [
                        "id": .string($0.id), "factor_type": .string($0.kind), "status": .string($0.status),
                        "friendly_name": .string("name of \($0.id)"), "phone": "491701234567",
                    ]
                }),
        ])
    }

    @Test(arguments: ["totp", "webauthn", "phone"])
    func noPageOpensBeforeTheFactorIsProved(_ kind: String) async throws {
        let fixture = ConsoleFixture(["/auth/v1/user": Self.user(("f-1", kind, "verified"))])
        for path in ["/dashboard", "/settings/security", "/settings/keys"] {
            let page = try await fixture.send(.get, path, nil, ConsoleFixture.signedIn(["aal": "aal1"]))
            #expect(page.status == 303 && page.headers["location"] == "/auth/mfa?next=\(path)")
        }
    }

    @Test func oneThatWasNotProvedIsNotAskedFor() async throws {
        let fixture = ConsoleFixture(["/auth/v1/user": Self.user(("f-1", "webauthn", "unverified"))])
        let page = try await fixture.send(.get, "/dashboard", nil, ConsoleFixture.signedIn(["aal": "aal1"]))
        #expect(page.status == 200)
    }

    @Test func theLeastWorkIsOfferedFirstAndTheOthersBesideIt() async throws {
        let factors = Self.user(
            ("f-1", "phone", "verified"), ("f-2", "webauthn", "verified"), ("f-3", "totp", "verified"))
        let fixture = ConsoleFixture(["/auth/v1/user": factors])
        func page(_ query: String) async throws -> String {
            try await fixture.send(.get, "/auth/mfa\(query)", nil, ConsoleFixture.signedIn(["aal": "aal1"])).page
        }
        let key = try await page("")
        #expect(key.contains("data-ceremony=\"/auth/mfa/key/options\"") && key.contains("value=\"f-2\""))
        #expect(key.contains("factor=f-1&amp;next=/dashboard") && key.contains("factor=f-3&amp;next=/dashboard"))
        let phone = try await page("?factor=f-1")
        #expect(phone.contains("action=\"/auth/mfa/send\"") && phone.contains("ending in 4567"))
        #expect(!phone.contains("name=\"code\"") && !phone.contains("491701234567"))
        #expect(try await page("?factor=f-1&challenge=c-1").contains("name=\"code\""))
        #expect(try await page("?factor=unknown").contains("data-ceremony"))
    }

    @Test func aCodeIsSentAndProvedWithItsChallenge() async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/user": Self.user(("f-1", "phone", "verified")),
            "/auth/v1/factors/f-1/challenge": .json(["id": "c-1"]),
            "/auth/v1/factors/f-1/verify": .json(["access_token": "n.e.w", "refresh_token": "r2"]),
        ])
        let sent = try await fixture.submit("/auth/mfa/send", "factor=f-1&next=%2Fusage", ["aal": "aal1"])
        #expect(sent.headers["location"] == "/auth/mfa?factor=f-1&challenge=c-1&next=/usage")
        let proved = try await fixture.submit(
            "/auth/mfa", "factor=f-1&challenge=c-1&code=123456&next=%2Fusage", ["aal": "aal1"])
        #expect(proved.status == 303 && proved.headers["location"] == "/usage")
        // One message, not two.
        #expect(fixture.calls.count { $0.target.hasSuffix("/challenge") } == 1)
    }

    @Test func theScriptIsToldWhatToAskAKeyFor() async throws {
        let options: JSON = ["challenge": "AAAA", "rpId": "h"]
        let fixture = ConsoleFixture([
            "/auth/v1/factors/f-1/challenge": .json([
                "id": "c-1", "webauthn": ["type": "request", "credential_options": ["publicKey": options]],
            ])
        ])
        let asked = try await fixture.submit("/auth/mfa/key/options", "factor=f-1", ["aal": "aal1"])
        let answer = try JSON(parsing: asked.page)
        #expect(answer["kind"] == "get" && answer["publicKey"] == options)
        #expect(answer["fields"] == ["challenge": "c-1", "factor": "f-1"])
        #expect(asked.headers["cache-control"] == "no-store")
    }

    @Test func aRefusalReachesTheScriptInTheVisitorsWords() async throws {
        let fixture = ConsoleFixture(
            ["/auth/v1/passkeys/authentication/options": .json(["error_code": "captcha_failed"], status: 400)],
            languages: [LanguageTests.pseudo])
        let asked = try await fixture.sendForm("/auth/passkey/options", "next=%2F")
        #expect(asked.status == 400)
        #expect(try JSON(parsing: asked.page)["problem"]?.stringValue == "⟦\(Message.captchaRefused.rawValue)⟧")
    }

    @Test func aKeysAnswerIsPassedOnAsItIs() async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/passkeys/authentication/verify": .json([
                "access_token": "n.e.w", "refresh_token": "r",
                "user": ["id": "u", "factors": [["id": "f", "factor_type": "totp", "status": "verified"]]],
            ])
        ])
        let answer = try await fixture.sendForm(
            "/auth/passkey", "challenge=c-1&credential=%7B%22id%22%3A%22k%22%7D&next=%2Fusage")
        // A passkey is one factor; whoever has two proves the other as well.
        #expect(answer.status == 303 && answer.headers["location"] == "/auth/mfa?next=/usage")
        #expect(fixture.calls.last?.body == #"{"challenge_id":"c-1","credential":{"id":"k"}}"#)
        let broken = try await fixture.sendForm("/auth/passkey", "challenge=c-1&credential=%7B")
        #expect(broken.status == 303)
        #expect(fixture.calls.last?.body == #"{"challenge_id":"c-1","credential":{}}"#)
    }

    @Test func whatWasGivenUpIsNotInTheWayOfTheNextTry() async throws {
        let fixture = ConsoleFixture([
            "/auth/v1/user": Self.user(("f-1", "totp", "unverified"), ("f-2", "totp", "verified")),
            "POST /auth/v1/factors": .json(["id": "f-3", "totp": ["secret": "S"]]),
        ])
        let answer = try await fixture.submit("/settings/factors", "friendly_name=name+of+f-1", ["aal": "aal2"])
        #expect(answer.status == 200)
        #expect(fixture.calls.filter { $0.method == "DELETE" }.map(\.target) == ["/auth/v1/factors/f-1"])
        _ = try await fixture.submit("/settings/factors", "friendly_name=name+of+f-2", ["aal": "aal2"])
        #expect(fixture.calls.count { $0.method == "DELETE" } == 1)
    }

    @Test func onlyWhatTheProjectTakesIsOffered() async throws {
        let fixture = ConsoleFixture(methods: AccountMethods())
        let security = try await fixture.send(.get, "/settings/security", nil, ConsoleFixture.signedIn()).page
        #expect(!security.contains("data-ceremony") && !security.contains("/settings/factors\""))
        #expect(security.contains(Message.factorsNotOffered.rawValue))
        #expect(!(try await fixture.send(.get, "/auth/signin").page).contains("data-ceremony"))
        #expect(try await fixture.sendForm("/auth/passkey/options", "").status == 404)
        #expect(try await fixture.submit("/settings/passkeys", "").status == 404)
    }
}

@Suite struct CaptchaPageTests {
    private static func methods(_ provider: CaptchaWidget.Provider, key: String? = "site", script: String? = nil)
        -> AccountMethods
    {
        var methods = AccountMethods.everything
        methods.captcha = CaptchaWidget(provider: provider, siteKey: key, scriptURL: script)
        return methods
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let provider: CaptchaWidget.Provider
        var script: String?
        let tag: String
        let policy: String
        var testDescription: String { tag }
    }

    @Test(arguments: [
        Case(
            provider: .turnstile, tag: "src=\"https://challenges.cloudflare.com/turnstile/v0/api.js\"",
            policy: "script-src 'self' https://challenges.cloudflare.com;"),
        Case(
            provider: .hcaptcha, tag: "src=\"https://js.hcaptcha.com/1/api.js?hl=en\"",
            policy: "script-src 'self' https://hcaptcha.com https://*.hcaptcha.com;"),
        Case(
            provider: .turnstile, script: "http://127.0.0.1:9/x/api.js", tag: "src=\"http://127.0.0.1:9/x/api.js\"",
            policy: "script-src 'self' http://127.0.0.1:9;"),
        // What is no origin is not let into the policy.
        Case(
            provider: .turnstile, script: "http://h;script-src *", tag: "src=\"#\"", policy: "script-src 'self' 'none';"
        ),
    ])
    func thePagesWithTheWidgetAllowItsProviderAlone(_ given: Case) async throws {
        let fixture = ConsoleFixture(methods: Self.methods(given.provider, script: given.script))
        for path in ["/", "/auth/signup", "/auth/signin", "/auth/forgot"] {
            let answer = try await fixture.send(.get, path)
            let policy = answer.headers["content-security-policy"] ?? ""
            #expect(answer.page.contains(given.tag) && answer.page.contains("data-sitekey=\"site\""), "\(path)")
            #expect(policy.contains(given.policy) && !policy.contains("unsafe"), "\(policy)")
        }
        let other = try await fixture.send(.get, "/dashboard", nil, ConsoleFixture.signedIn())
        #expect(other.headers["content-security-policy"] == PageResponse.policy() && !other.page.contains("sitekey"))
    }

    @Test(arguments: [
        ("/auth/signin", "/auth/v1/token"), ("/auth/signup", "/auth/v1/signup"), ("/auth/forgot", "/auth/v1/recover"),
        ("/auth/passkey/options", "/auth/v1/passkeys/authentication/options"),
    ])
    func theProofIsPassedOn(_ page: String, _ door: String) async throws {
        for (provider, field) in [(CaptchaWidget.Provider.turnstile, "cf-turnstile"), (.hcaptcha, "h-captcha")] {
            let fixture = ConsoleFixture(methods: Self.methods(provider))
            _ = try await fixture.sendForm(page, "email=a%40b&password=c&\(field)-response=p%2B1")
            let call = fixture.calls.first { $0.target == door }
            #expect(call?.body.contains(#""gotrue_meta_security":{"captcha_token":"p+1"}"#) == true)
        }
        let open = ConsoleFixture()
        _ = try await open.sendForm(page, "email=a%40b&password=c&cf-turnstile-response=p")
        #expect(open.calls.allSatisfy { !$0.body.contains("captcha") })
    }

    @Test func withoutASiteKeyThePageSaysWhatIsMissing() async throws {
        let fixture = ConsoleFixture(methods: Self.methods(.turnstile, key: nil))
        #expect(try await fixture.send(.get, "/auth/signin").page.contains("captcha_site_key"))
    }
}
