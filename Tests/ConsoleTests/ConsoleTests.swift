// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Primitives
import Synchronization
import Testing

@testable import Console

@Suite("Console")
struct ConsoleTests {
    /// A console over an API that answers as told and remembers what it was asked.
    final class Fixture: Sendable {
        let asked = Mutex<[(target: String, authorization: String?, body: String)]>([])
        private let answers: [String: HTTPResponse]

        init(_ answers: [String: HTTPResponse] = [:]) { self.answers = answers }

        func answer(_ request: HTTPRequest) async -> HTTPResponse {
            let body = (try? await request.body.collect()) ?? []
            asked.withLock {
                $0.append((request.path, request.headers["authorization"], String(decoding: body, as: UTF8.self)))
            }
            return answers[request.path] ?? .json([:])
        }

        func send(
            _ method: HTTPMethod, _ target: String, _ form: String? = nil, _ headers: HTTPHeaders = [:]
        ) async throws -> (status: Int, headers: HTTPHeaders, page: String) {
            try await Loop.withLoop { [self] loop in
                var router = Router()
                Console(
                    api: ConsoleAPI(key: SecretString("key")) { await self.answer($0) }, secret: Array("secret".utf8),
                    siteURL: "http://h:1", listings: [.init(name: "Auth <x>", address: "http://h/auth/v1")],
                    minPasswordLength: 8
                ).register(on: &router)
                var all: HTTPHeaders = ["Host": "h:1"]
                if form != nil { all.set("Content-Type", "application/x-www-form-urlencoded") }
                for field in headers.fields { all.set(field.name, field.value) }
                let response = await router.respond(
                    to: HTTPRequest(method, target, headers: all, body: Array((form ?? "").utf8), loop: loop))
                var page = ""
                if case .bytes(let bytes) = response.body { page = String(decoding: bytes, as: UTF8.self) }
                return (response.status.code, response.headers, page)
            }
        }

        /// Sends a form as the browser does that has loaded a page before.
        func sendForm(
            _ target: String, _ form: String, _ headers: HTTPHeaders = [:]
        ) async throws -> (status: Int, headers: HTTPHeaders, page: String) {
            let seed = String(repeating: "ab", count: 16)
            let token = FormGuard(secret: Array("secret".utf8)).token(for: seed)
            var all = headers
            all.set("Cookie", ["atoll-form=\(seed)", headers["cookie"]].compactMap { $0 }.joined(separator: "; "))
            return try await send(.post, target, "form_token=\(token)&\(form)", all)
        }
    }

    static let session = HTTPResponse.json([
        "access_token": "a.b.c", "refresh_token": "r", "user": ["id": "u-1", "email": "a@example.com"],
    ])

    // MARK: Refusals

    @Test(arguments: ["/auth/signin", "/auth/signup", "/auth/signout", "/auth/forgot", "/settings/keys"])
    func refusesFormsItHasNotMade(_ path: String) async throws {
        let fixture = Fixture(["/auth/v1/token": Self.session])
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
        let asked = fixture.asked.withLock { $0.map(\.target) }
        #expect(asked.allSatisfy { $0 == "/auth/v1/token" || $0.isEmpty })
    }

    @Test func protectedPagesSendVisitorsToSignInAndBack() async throws {
        for page in ["/dashboard", "/settings"] {
            let answer = try await Fixture().send(.get, page)
            #expect(answer.status == 303)
            #expect(answer.headers["location"] == "/auth/signin?next=\(page)")
        }
    }

    @Test(arguments: ["https://evil", "//evil", "/\\evil", "javascript:alert(1)", "/a\nb", "evil"])
    func nobodyIsSentElsewhereAfterSigningIn(_ next: String) async throws {
        let form = "email=a&password=b&next=" + next.utf8.map { "%" + Hex.encode([$0]) }.joined()
        let answer = try await Fixture(["/auth/v1/token": Self.session]).sendForm("/auth/signin", form)
        #expect(answer.status == 303)
        #expect(answer.headers["location"] == "/dashboard")
    }

    @Test func whatTheVisitorTypedIsEscaped() async throws {
        let refusal = HTTPResponse.json(["msg": "no <b>"], status: 422)
        let answer = try await Fixture(["/auth/v1/signup": refusal]).sendForm(
            "/auth/signup", "email=%22%3E%3Cscript%3E&password=verysecret")
        #expect(answer.status == 422)
        #expect(!answer.page.contains("<script>") && !answer.page.contains("<b>"))
        #expect(answer.page.contains("&quot;&gt;&lt;script&gt;") && answer.page.contains("no &lt;b&gt;"))
        #expect(!answer.page.contains("verysecret"))
    }

    @Test func anErrorStandsBesideItsField() async throws {
        let refusal = HTTPResponse.json(["error_code": "weak_password", "msg": "too short"], status: 422)
        let page = try await Fixture(["/auth/v1/signup": refusal]).sendForm("/auth/signup", "email=a&password=b").page
        #expect(page.contains(#"aria-describedby="password-hint password-error""#))
        #expect(page.contains(#"<p id="password-error" class="error">too short</p>"#))
    }

    // MARK: Sessions

    @Test func signingInSetsCookiesThatScriptsCannotRead() async throws {
        let fixture = Fixture(["/auth/v1/token": Self.session])
        let answer = try await fixture.sendForm("/auth/signin", "email=a%40b&password=c&next=%2Fsettings")
        #expect(answer.status == 303 && answer.headers["location"] == "/settings")
        let cookies = answer.headers.values("set-cookie")
        #expect(cookies.contains { $0.hasPrefix("atoll-access=a.b.c; Path=/; HttpOnly; SameSite=Lax") })
        #expect(cookies.contains { $0.hasPrefix("atoll-refresh=r; Path=/; HttpOnly; SameSite=Lax; Max-Age=") })
        #expect(cookies.allSatisfy { !$0.contains("Secure") })
        #expect(Cookie(name: "a", value: "b").field(isSecure: true).hasSuffix("; Secure"))
    }

    @Test func aSpentTokenIsRefreshedAndTheNewOneKept() async throws {
        let fixture = Fixture(["/auth/v1/token": Self.session])
        let answer = try await fixture.send(
            .get, "/dashboard", nil,
            ["Cookie": "atoll-access=x.\(Base64URL.encode(Array(#"{"exp":1}"#.utf8))).y; atoll-refresh=old"])
        #expect(answer.status == 200)
        #expect(answer.headers.values("set-cookie").contains { $0.hasPrefix("atoll-refresh=r;") })
        let asked = fixture.asked.withLock { $0 }
        #expect(asked.first?.body == #"{"refresh_token":"old"}"#)
        #expect(asked.dropFirst().allSatisfy { $0.authorization == "Bearer a.b.c" })
    }

    @Test func aSessionThatHasEndedIsForgotten() async throws {
        let ended = HTTPResponse.json(["msg": "gone"], status: 400)
        let answer = try await Fixture(["/auth/v1/token": ended]).send(
            .get, "/dashboard", nil, ["Cookie": "atoll-refresh=old"])
        #expect(answer.status == 303)
        #expect(
            answer.headers.values("set-cookie").contains {
                $0.hasPrefix("atoll-refresh=; ") && $0.contains("Max-Age=0")
            })
    }

    @Test func theSignedInAreSentOnFromPagesForVisitors() async throws {
        for page in ["/", "/auth/signin", "/auth/signup", "/auth/forgot"] {
            let answer = try await Fixture(["/auth/v1/token": Self.session]).send(
                .get, page, nil, ["Cookie": "atoll-refresh=r"])
            #expect(answer.status == 303 && answer.headers["location"] == "/dashboard", "\(page)")
        }
    }

    @Test func aLinkInAMailIsExchangedByTheBrowserThatAsked() async throws {
        let fixture = Fixture(["/auth/v1/token": Self.session])
        let asked = try await fixture.sendForm("/auth/forgot", "email=a%40b")
        let verifier = asked.headers.values("set-cookie").first { $0.hasPrefix("atoll-verifier=") }
        let pair = try #require(verifier?.split(separator: ";").first.map(String.init))
        let elsewhere = try await fixture.send(.get, "/auth/callback?code=c")
        #expect(elsewhere.status == 400)
        let back = try await fixture.send(.get, "/auth/callback?code=c", nil, ["Cookie": pair])
        #expect(back.status == 303 && back.headers["location"] == "/auth/reset")
        let exchange = fixture.asked.withLock { $0.last?.body } ?? ""
        #expect(exchange.contains(#""auth_code":"c""#) && exchange.contains(String(pair.dropFirst(15))))
    }

    // MARK: Pages

    @Test func theFirstPageSaysWhatRunsWhereAndSignsUp() async throws {
        let answer = try await Fixture().send(.get, "/")
        #expect(answer.page.contains("Auth &lt;x&gt;") && answer.page.contains("minlength=\"8\""))
        #expect(answer.page.contains("action=\"/auth/signup\""))
    }

    @Test func pagesCarryTheirPolicyAndNoScript() async throws {
        for page in ["/", "/auth/signin", "/auth/signup", "/auth/forgot"] {
            let answer = try await Fixture().send(.get, page)
            #expect(answer.headers["content-security-policy"]?.contains("default-src 'none'") == true)
            #expect(answer.headers["cache-control"] == "no-store")
            #expect(
                !answer.page.contains("<script") && !answer.page.contains(" style=") && !answer.page.contains(" on"))
        }
    }
}

@Suite struct MarkupTests {
    @Test(arguments: ["javascript:alert(1)", "java\tscript:x", " javascript:x", "data:text/html,x", "vbscript:x", "x"])
    func addressesThatRunAreNotLinked(_ address: String) {
        #expect(Markup(.a, .href(address)) { "x" }.html == ##"<a href="#">x</a>"##)
    }

    @Test func textsAndAttributesAreEscaped() {
        let markup = Markup(.p, .title(#"a"b'<"#)) { "<&>\"'" }
        #expect(markup.html == "<p title=\"a&quot;b&#39;&lt;\">&lt;&amp;&gt;&quot;&#39;</p>")
    }

    @Test func voidElementsHaveNoEnd() {
        #expect(Markup(.input, .name("a"), .required(), .checked(false)).html == #"<input name="a" required>"#)
    }
}
