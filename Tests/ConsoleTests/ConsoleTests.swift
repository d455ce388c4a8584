// SPDX-License-Identifier: Apache-2.0
import HTTP
import Primitives
import Testing

@testable import Console

@Suite("Console")
struct ConsoleTests {
    // MARK: Refusals

    @Test(arguments: [
        "/auth/signin", "/auth/signup", "/auth/signout", "/auth/forgot", "/settings/keys", "/setup/start",
        "/tenant/switch",
        "/settings/members/role", "/settings/team/delete", "/settings/account/delete", "/settings/factors", "/language",
        "/auth/mfa", "/auth/mfa/send", "/auth/mfa/key", "/auth/mfa/key/options", "/auth/passkey",
        "/auth/passkey/options",
        "/settings/passkeys", "/settings/passkeys/options", "/settings/passkeys/remove", "/settings/factors/key",
        "/settings/factors/key/options", "/settings/factors/phone", "/settings/factors/remove",
    ])
    func refusesFormsItHasNotMade(_ path: String) async throws {
        let fixture = ConsoleFixture(["/auth/v1/token": ConsoleFixture.session])
        let signedIn = "atoll-refresh=r"
        #expect(try await fixture.send(.post, path, "email=a", ["Cookie": signedIn]).status == 403)
        #expect(
            try await fixture.send(.post, path, "form_token=x&email=a", ["Cookie": "atoll-form=00; \(signedIn)"]).status
                == 403)
        for headers: HTTPHeaders in [["Origin": "https://evil"], ["Sec-Fetch-Site": "cross-site"]] {
            var all = headers
            all.set("Cookie", signedIn)
            #expect(try await fixture.sendForm(path, "email=a", all).status == 403)
        }
        let json: HTTPHeaders = ["Content-Type": "application/json", "Cookie": signedIn]
        #expect(try await fixture.sendForm(path, "email=a", json).status == 415)
        let asked = fixture.calls
        #expect(asked.allSatisfy { $0.target == "/auth/v1/token" || $0.method == "GET" })
    }

    @Test func protectedPagesSendVisitorsToSignInAndBack() async throws {
        for page in ["/dashboard", "/usage", "/setup", "/avatar/u"] + SettingsSection.allCases.map(\.path) {
            let answer = try await ConsoleFixture().send(.get, page)
            #expect(answer.status == 303)
            #expect(answer.headers["location"] == "/auth/signin?next=\(page)")
        }
        let deep = try await ConsoleFixture().send(.get, "/usage?days=7&metric=tokens")
        #expect(deep.headers["location"] == "/auth/signin?next=/usage%3Fdays%3D7%26metric%3Dtokens")
    }

    @Test(arguments: ["https://evil", "//evil", "/\\evil", "javascript:alert(1)", "/a\nb", "evil"])
    func nobodyIsSentElsewhereAfterSigningIn(_ next: String) async throws {
        let form = "email=a&password=b&next=" + next.utf8.map { "%" + Hex.encode([$0]) }.joined()
        let answer = try await ConsoleFixture(["/auth/v1/token": ConsoleFixture.session]).sendForm("/auth/signin", form)
        #expect(answer.status == 303)
        #expect(answer.headers["location"] == "/dashboard")
    }

    @Test func whatTheVisitorTypedIsEscaped() async throws {
        let refusal = HTTPResponse.json(["msg": "no <b>"], status: 422)
        let answer = try await ConsoleFixture(["/auth/v1/signup": refusal]).sendForm(
            "/auth/signup", "email=%22%3E%3Cscript%3E&password=verysecret")
        #expect(answer.status == 422)
        #expect(!answer.page.contains("<script>") && !answer.page.contains("<b>"))
        #expect(answer.page.contains("&quot;&gt;&lt;script&gt;") && answer.page.contains("no &lt;b&gt;"))
        #expect(!answer.page.contains("verysecret"))
    }

    @Test func anErrorStandsBesideItsField() async throws {
        let refusal = HTTPResponse.json(["error_code": "weak_password", "msg": "too short"], status: 422)
        let page = try await ConsoleFixture(["/auth/v1/signup": refusal]).sendForm("/auth/signup", "email=a&password=b")
            .page
        #expect(page.contains(#"aria-describedby="password-hint password-error""#))
        #expect(page.contains(#"<p id="password-error" class="error">too short</p>"#))
    }

    // MARK: Sessions

    @Test func signingInSetsCookiesThatScriptsCannotRead() async throws {
        let fixture = ConsoleFixture(["/auth/v1/token": ConsoleFixture.session])
        let answer = try await fixture.sendForm("/auth/signin", "email=a%40b&password=c&next=%2Fsettings")
        #expect(answer.status == 303 && answer.headers["location"] == "/settings")
        let cookies = answer.headers.values("set-cookie")
        #expect(cookies.contains { $0.hasPrefix("atoll-access=a.b.c; Path=/; HttpOnly; SameSite=Lax") })
        #expect(cookies.contains { $0.hasPrefix("atoll-refresh=r; Path=/; HttpOnly; SameSite=Lax; Max-Age=") })
        #expect(cookies.allSatisfy { !$0.contains("Secure") })
        #expect(Cookie(name: "a", value: "b").field(isSecure: true).hasSuffix("; Secure"))
    }

    @Test func aSpentTokenIsRefreshedAndTheNewOneKept() async throws {
        let fixture = ConsoleFixture(["/auth/v1/token": ConsoleFixture.session])
        let answer = try await fixture.send(
            .get, "/dashboard", nil,
            ["Cookie": "atoll-access=x.\(Base64URL.encode(Array(#"{"exp":1}"#.utf8))).y; atoll-refresh=old"])
        #expect(answer.status == 200)
        #expect(answer.headers.values("set-cookie").contains { $0.hasPrefix("atoll-refresh=r;") })
        let asked = fixture.calls
        #expect(asked.first?.body == #"{"refresh_token":"old"}"#)
        #expect(asked.dropFirst().allSatisfy { $0.authorization == "Bearer a.b.c" })
    }

    @Test func aSessionThatHasEndedIsForgotten() async throws {
        let ended = HTTPResponse.json(["msg": "gone"], status: 400)
        let answer = try await ConsoleFixture(["/auth/v1/token": ended]).send(
            .get, "/dashboard", nil, ["Cookie": "atoll-refresh=old"])
        #expect(answer.status == 303)
        #expect(
            answer.headers.values("set-cookie").contains {
                $0.hasPrefix("atoll-refresh=; ") && $0.contains("Max-Age=0")
            })
    }

    @Test func theSignedInAreSentOnFromPagesForVisitors() async throws {
        for page in ["/", "/auth/signin", "/auth/signup", "/auth/forgot"] {
            let answer = try await ConsoleFixture(["/auth/v1/token": ConsoleFixture.session]).send(
                .get, page, nil, ["Cookie": "atoll-refresh=r"])
            #expect(answer.status == 303 && answer.headers["location"] == "/dashboard", "\(page)")
        }
    }

    @Test func aLinkInAMailIsExchangedByTheBrowserThatAsked() async throws {
        let fixture = ConsoleFixture(["/auth/v1/token": ConsoleFixture.session])
        let asked = try await fixture.sendForm("/auth/forgot", "email=a%40b")
        let verifier = asked.headers.values("set-cookie").first { $0.hasPrefix("atoll-verifier=") }
        let pair = try #require(verifier?.split(separator: ";").first.map(String.init))
        let elsewhere = try await fixture.send(.get, "/auth/callback?next=/auth/reset&code=c")
        #expect(elsewhere.status == 400)
        let astray = try await fixture.send(.get, "/auth/callback?next=//evil&code=c", nil, ["Cookie": pair])
        #expect(astray.headers["location"] == "/dashboard")
        let back = try await fixture.send(.get, "/auth/callback?next=/auth/reset&code=c", nil, ["Cookie": pair])
        #expect(back.status == 303 && back.headers["location"] == "/auth/reset")
        let exchange = fixture.calls.last?.body ?? ""
        #expect(exchange.contains(#""auth_code":"c""#) && exchange.contains(String(pair.dropFirst(15))))
    }

    // MARK: Pages

    @Test func theFirstPageSaysWhatRunsWhereAndSignsUp() async throws {
        let answer = try await ConsoleFixture().send(.get, "/")
        #expect(answer.page.contains("Auth &lt;x&gt;") && answer.page.contains("minlength=\"8\""))
        #expect(answer.page.contains("action=\"/auth/signup\""))
    }

    @Test(arguments: ["/", "/auth/signin", "/auth/signup", "/auth/forgot", "/dashboard", "/usage", "/settings"])
    func pagesCarryTheirPolicyAndNoScriptOfTheirOwn(_ page: String) async throws {
        let isOpen = page == "/" || page.hasPrefix("/auth")
        let answer = try await ConsoleFixture().send(.get, page, nil, isOpen ? [:] : ConsoleFixture.signedIn())
        #expect(answer.status == 200)
        let policy = answer.headers["content-security-policy"] ?? ""
        #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
        #expect(answer.headers["cache-control"] == "no-store")
        // One script, from this server, with nothing in the page itself that runs.
        #expect(answer.page.components(of: "<script") == 1)
        #expect(answer.page.contains("<script src=\"/assets/atoll.js\" defer></script>"))
        #expect(!answer.page.contains(" style=") && answer.page.firstMatch(of: #/ on[a-z]+=/#) == nil)
    }

    @Test func independentCallsOfAPageAreMade() async throws {
        let fixture = ConsoleFixture()
        _ = try await fixture.send(.get, "/dashboard", nil, ConsoleFixture.signedIn())
        let asked = Set(fixture.calls.map(\.target))
        #expect(
            asked == [
                "/auth/v1/user", "/api/user/profile", "/api/tenants", "/api/overview", "/api/usage",
                "/api/user/api-keys", "/api/audit", "/api/setup",
            ])
    }

    @Test func nobodyIsSignedOutBecauseTheServerIsBusy() async throws {
        let busy = HTTPResponse.json(["msg": "busy"], status: .serviceUnavailable)
        let answer = try await ConsoleFixture(["/auth/v1/user": busy]).send(
            .get, "/dashboard", nil, ConsoleFixture.signedIn())
        #expect(answer.status == 503)
        #expect(answer.headers.values("set-cookie").allSatisfy { !$0.hasPrefix("atoll-refresh=;") })
    }

    @Test func anAddressAsksForNoNoticeButThoseOfTheCatalogue() async throws {
        func page(_ done: String) async throws -> String {
            try await ConsoleFixture().send(.get, "/settings?done=\(done)", nil, ConsoleFixture.signedIn()).page
        }
        #expect(try await page("profileSaved").contains("role=\"status\""))
        for other in ["heroTitle", "nonsense", "%3Cb%3E"] {
            #expect(try await !page(other).contains("role=\"status\""))
        }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int { ranges(of: part).count }
}
