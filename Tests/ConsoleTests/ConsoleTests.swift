// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Primitives
import Testing

@testable import Console

@Suite("Console")
struct ConsoleTests {
    static func router(answer: HTTPResponse) -> Router {
        var router = Router()
        Console(
            listings: [.init(name: "Auth <x>", address: "http://h/auth/v1")], minPasswordLength: 8,
            signUp: { _, _, _ in answer }
        ).register(on: &router)
        return router
    }

    func text(_ response: HTTPResponse) -> String {
        guard case .bytes(let bytes) = response.body else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    func send(
        _ form: String, _ headers: HTTPHeaders = [:], answer: HTTPResponse = .json(bytes: Array("{}".utf8))
    ) async throws -> (status: Int, page: String) {
        try await Loop.withLoop { loop in
            var all: HTTPHeaders = ["Content-Type": "application/x-www-form-urlencoded", "Host": "h:1"]
            for field in headers.fields { all.set(field.name, field.value) }
            let request = HTTPRequest(.post, "/auth/signup", headers: all, body: Array(form.utf8), loop: loop)
            let response = await Self.router(answer: answer).respond(to: request)
            return (response.status.code, text(response))
        }
    }

    @Test func refusesFormsFromOtherSites() async throws {
        #expect(try await send("email=a", ["Origin": "https://evil"]).status == 403)
        #expect(try await send("email=a", ["Sec-Fetch-Site": "cross-site", "Origin": "http://h:1"]).status == 403)
        #expect(try await send("email=a", ["Origin": "http://h:1"]).status == 200)
        #expect(try await send("{}", ["Content-Type": "application/json"]).status == 415)
    }

    @Test func whatTheVisitorTypedIsEscaped() async throws {
        let refusal = HTTPResponse.json(["msg": "no <b>"], status: 422)
        let answer = try await send("email=%22%3E%3Cscript%3E&password=x", answer: refusal)
        #expect(answer.status == 422)
        #expect(!answer.page.contains("<script>") && !answer.page.contains("<b>"))
        #expect(answer.page.contains("&quot;&gt;&lt;script&gt;") && answer.page.contains("no &lt;b&gt;"))
    }

    @Test func saysWhichTenantWasMade() async throws {
        let session = HTTPResponse.json([
            "access_token": "t",
            "user": ["id": "u-1", "email": "a@example.com", "app_metadata": ["tenant_id": "t-1"]],
        ])
        let answer = try await send("email=a%40example.com&password=secret", answer: session)
        #expect(answer.page.contains("t-1") && answer.page.contains("a@example.com"))
        #expect(!answer.page.contains("secret"))
    }

    @Test func everyNameOfTheTemplateHasAValue() async throws {
        let page = try await Loop.withLoop { loop in
            text(await Self.router(answer: .empty()).respond(to: HTTPRequest(.get, "/", loop: loop)))
        }
        #expect(!page.contains("{{") && page.contains("Auth &lt;x&gt;") && page.contains("minlength=\"8\""))
    }

    @Test func pagesCarryTheirPolicy() {
        let response = Page.response("x")
        #expect(response.headers["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(response.headers["cache-control"] == "no-store")
    }
}
