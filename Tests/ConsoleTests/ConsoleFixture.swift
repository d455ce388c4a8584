// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Isolation
import Postgres
import Primitives
import Synchronization

@testable import Console

/// A console over an API that answers as told and remembers what it was asked.
final class ConsoleFixture: Sendable {
    struct Asked: Sendable {
        let method: String
        let target: String
        let authorization: String?
        let key: String?
        let body: String
    }

    private let asked = Mutex<[Asked]>([])
    /// What the API was asked, in order.
    var calls: [Asked] { asked.withLock { $0 } }
    private let answers: [String: HTTPResponse]
    private let languages: [Language]
    private let isAdministered: Bool
    private let methods: AccountMethods

    /// - Parameter answers: by path, or by method and path.
    init(
        _ answers: [String: HTTPResponse] = [:], languages: [Language] = [.english], isAdministered: Bool = false,
        methods: AccountMethods = .everything
    ) {
        self.methods = methods
        self.answers = answers
        self.languages = languages
        self.isAdministered = isAdministered
    }

    private func answer(_ request: HTTPRequest) async -> HTTPResponse {
        let body = (try? await request.body.collect()) ?? []
        asked.withLock {
            $0.append(
                Asked(
                    method: request.method.rawValue, target: request.path,
                    authorization: request.headers["authorization"],
                    key: request.headers["apikey"], body: String(decoding: body, as: UTF8.self)))
        }
        return answers["\(request.method.rawValue) \(request.path)"] ?? answers[request.path] ?? .json([:])
    }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let page: String
    }

    func send(
        _ method: HTTPMethod, _ target: String, _ form: String? = nil, _ headers: HTTPHeaders = [:]
    ) async throws -> Answer {
        try await Loop.withLoop { [self] loop in
            var router = Router()
            var administration: Administration?
            var owner: Database?
            if isAdministered {
                let database = try Database(
                    DatabaseConfiguration(
                        address: PostgresAddress(host: "127.0.0.1", port: 1, user: "nobody", database: "none")),
                    loops: [loop],
                    log: .disabled)
                owner = database
                let check = IsolationCheck { _ in IsolationReport(findings: [], crossings: []) }
                administration = Administration(owner: database, logs: LogRing(), check: check) { [] }
            }
            Console(
                api: ConsoleAPI(key: SecretString("key"), operatorKey: SecretString("secret")) {
                    await self.answer($0)
                },
                secret: Array("secret".utf8), siteURL: "http://h:1",
                listings: [.init(name: "Auth <x>", address: "http://h/auth/v1")], minPasswordLength: 8,
                methods: methods, languages: languages, administration: administration
            ).register(on: &router)
            var all: HTTPHeaders = ["Host": "h:1"]
            if form != nil { all.set("Content-Type", "application/x-www-form-urlencoded") }
            for field in headers.fields { all.set(field.name, field.value) }
            let response = await router.respond(
                to: HTTPRequest(method, target, headers: all, body: Array((form ?? "").utf8), loop: loop))
            var page = ""
            if case .bytes(let bytes) = response.body { page = String(decoding: bytes, as: UTF8.self) }
            await owner?.shutdown()
            return Answer(status: response.status.code, headers: response.headers, page: page)
        }
    }

    static let seed = String(repeating: "ab", count: 16)

    /// Sends a form as the browser does that has loaded a page before.
    func sendForm(_ target: String, _ form: String, _ headers: HTTPHeaders = [:]) async throws -> Answer {
        let token = FormGuard(secret: Array("secret".utf8)).token(for: Self.seed)
        var all = headers
        all.set("Cookie", ["atoll-form=\(Self.seed)", headers["cookie"]].compactMap { $0 }.joined(separator: "; "))
        return try await send(.post, target, "form_token=\(token)&\(form)", all)
    }

    /// An access token that says what is told and is valid for an hour.
    static func token(_ claims: JSONObject = [:]) -> String {
        var claims = claims
        claims["exp"] = JSON(Timestamp.now().unixSeconds + 3600)
        return "a.\(Base64URL.encode(JSON.object(claims).encoded())).c"
    }

    /// The cookies of somebody who is signed in.
    static func signedIn(_ claims: JSONObject = [:]) -> HTTPHeaders {
        ["Cookie": "atoll-access=\(token(claims)); atoll-refresh=r"]
    }

    /// As ``sendForm(_:_:_:)``, by somebody who is signed in.
    func submit(_ target: String, _ form: String = "", _ claims: JSONObject = [:]) async throws -> Answer {
        try await sendForm(target, form, Self.signedIn(claims))
    }

    static let session = HTTPResponse.json([
        "access_token": "a.b.c", "refresh_token": "r", "user": ["id": "u-1", "email": "a@example.com"],
    ])
}

extension AccountMethods {
    /// All that can be offered, without a proof of a human.
    static var everything: AccountMethods {
        var methods = AccountMethods()
        methods.authenticatorApps = true
        methods.securityKeys = true
        methods.phones = true
        methods.passkeys = true
        return methods
    }
}
