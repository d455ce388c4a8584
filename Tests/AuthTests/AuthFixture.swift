// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import EventLoop
import HTTP
import HTTPClient
import Jobs
import Mail
import MailCatcher
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

/// Auth on a real server and a real database.
struct AuthFixture: Sendable {
    static let issuer = "http://auth.test/auth/v1"
    static let publishableKey = "sb_publishable_test"
    static let secretKey = "sb_secret_test"

    let project: TestProject
    let database: Database
    private let loop: Loop
    let tokens: JWTCodec
    private let service: AuthService
    private let metrics: Metrics
    /// What the service registered.
    let routes: [(method: HTTPMethod, pattern: String)]
    /// What Auth has sent.
    let mails: MailStore
    private let client: TestHTTPClient

    /// Runs `body` beside the server, which ends with it.
    static func run(
        files: [String: String] = [:], log: Log = .disabled, messaging: Messaging = Messaging(),
        _ configure: (inout AuthConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (AuthFixture) async throws -> Void
    ) async throws {
        var configuration = AuthConfiguration(issuer: issuer, version: "1.2.3")
        configuration.bcryptCost = 4
        configuration.externalURL = issuer
        configuration.flows.emailPause = .zero
        configuration.flows.smsPause = .zero
        configuration.flows.uniformResponseTime = .zero
        configure(&configuration)
        let made = configuration
        try await TestProject.run(files: files) { project in
            try await Loop.withLoop { loop in try await serve(project, made, messaging, log, loop, body) }
        }
    }

    private static func serve(
        _ project: TestProject, _ configuration: AuthConfiguration, _ messaging: Messaging, _ log: Log, _ loop: Loop,
        _ body: @escaping @Sendable (AuthFixture) async throws -> Void
    ) async throws {
        var pool = DatabaseConfiguration(address: project.login("supabase_auth_admin").address)
        pool.connectionsPerLoop = 6
        let database = try Database(pool, loops: [loop], log: .disabled)
        let workers = try WorkerPool(threads: 2, maxQueued: 100)
        let tokens = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32))))
        let outgoing = try HTTPClient(loops: [loop])
        let keyring = try Keyring(keys: ["test": randomBytes(AES256GCM.keyByteCount)], currentID: "test")
        let metrics = Metrics()
        let mails = MailStore(maxMails: 1000, maxBytes: 64 << 20)
        let sending = try messaging.make(keyring)
        let sender = sending.mailer.outbox.worker(
            .catcher { mails.add(CaughtMail(sender: $0, recipients: [$1], raw: $2)) }, database: database, loop: loop,
            log: log, metrics: metrics)
        var router = Router()
        let service = AuthService(
            configuration: configuration, database: database,
            access: AccessControl(
                tokens: tokens, publishableKeys: [SecretString(publishableKey)],
                secretKeys: [SecretString(secretKey)]),
            workers: workers, client: outgoing, messaging: sending, keyring: keyring, log: log, metrics: metrics)
        service.register(on: &router)
        let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
        let fixture = AuthFixture(
            project: project, database: database, loop: loop, tokens: tokens, service: service, metrics: metrics,
            routes: router.listing,
            mails: mails,
            client: TestHTTPClient(port: Int(server.port)))
        let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { await server.run() }
            group.addTask(executorPreference: loop) { await sender.run() }
            let result: Result<Void, any Error>
            do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
            server.stop()
            group.cancelAll()
            return result
        }
        await outgoing.shutdown()
        await database.shutdown(grace: .seconds(1))
        workers.shutdown()
        try result.get()
    }

    /// What is sent, and by whom.
    struct Messaging: Sendable {
        var templates: [AuthMailKind: AuthMailTemplate] = [:]
        var notices: Set<AuthMailKind> = []
        var provider: AuthMessenger.Provider?
        var smsBaseURL: String?
        var testCodes: [String: String] = [:]

        fileprivate func make(_ keyring: Keyring) throws -> AuthMessaging {
            var mailer = try AuthMailer(
                outbox: MailOutbox(JobQueue("mail"), keyring: keyring),
                sender: try Mailbox("auth@test.example", name: "Auth"), templates: templates)
            mailer.notices = notices
            var messenger = AuthMessenger(
                provider: provider, template: try MailTemplate("Your code is {{ .Code }}"))
            messenger.baseURL = smsBaseURL
            messenger.testCodes = testCodes
            return AuthMessaging(mailer: mailer, messenger: messenger, codeKey: randomBytes(32))
        }
    }

    /// Waits for the newest mail to an address, other than those seen before.
    func mail(to address: String, after count: Int = 0) async throws -> CaughtMail {
        func all() -> [CaughtMail] { mails.all.filter { $0.recipients == [address] } }
        try await eventually("mail number \(count + 1) to \(address)") { all().count > count }
        return try #require(all().first)
    }

    /// Waits until nothing is queued any more.
    func settleMail() async throws {
        try await eventually("the queue is empty") { try await sql("select count(*) from jobs.jobs") == "0" }
    }

    // MARK: Requests

    /// A request to `/auth/v1` with the publishable key.
    func request(
        _ method: String, _ path: String, _ body: String? = nil, bearer: String? = nil, headers: [String: String] = [:]
    ) async throws -> TestHTTPResponse {
        var fields = ["apikey": Self.publishableKey]
        if let bearer { fields["authorization"] = "Bearer \(bearer)" }
        fields.merge(headers) { $1 }
        return try await client.request(
            method, "/auth/v1" + path, headers: fields.filter { !$0.value.isEmpty }, body: body)
    }

    /// A request of the project's back end.
    func administer(_ method: String, _ path: String, _ body: JSON? = nil) async throws -> TestHTTPResponse {
        try await request(
            method, path, body?.text, bearer: Self.secretKey, headers: ["apikey": Self.secretKey])
    }

    func signUp(_ email: String, password: String = "correct horse", data: JSON = [:]) async throws -> TestHTTPResponse
    {
        let body: JSON = ["email": .string(email), "password": .string(password), "data": data]
        return try await request("POST", "/signup", body.text)
    }

    func signIn(_ email: String, password: String = "correct horse") async throws -> TestHTTPResponse {
        let body: JSON = ["email": .string(email), "password": .string(password)]
        return try await request("POST", "/token?grant_type=password", body.text)
    }

    func refresh(_ token: String) async throws -> TestHTTPResponse {
        let body: JSON = ["refresh_token": .string(token)]
        return try await request("POST", "/token?grant_type=refresh_token", body.text)
    }

    /// Runs a statement as the superuser.
    @discardableResult
    func sql(_ statement: String) async throws -> String { try await project.server.exec(statement) }

    /// Runs queries of the service as it does, in one transaction.
    func run(_ queries: [PostgresQuery]) async throws {
        try await withTaskExecutorPreference(loop) { _ = try await database.run(WorkUnit(queries: queries)) }
    }

    /// One pass of the clean-up.
    func removeWhatIsOver() async throws -> [String: Int] {
        try await withTaskExecutorPreference(loop) { try await service.removeWhatIsOver() }
    }

    /// How many passwords were hashed or verified.
    var hashCount: Int {
        metrics.counter("atoll_auth_password_hashes_total", "Passwords hashed or verified.").value
    }

    func claims(of response: TestHTTPResponse) throws -> JWTClaims {
        try tokens.verify(try response.member("access_token"))
    }
}

extension TestHTTPResponse {
    /// A text member of the body.
    func member(_ name: String) throws -> String { try #require(json[name]?.stringValue, "\(text)") }
    /// `error_code` of the first error form.
    var errorCode: String? { json["error_code"]?.stringValue }
}

extension CaughtMail {
    /// The code in the text.
    var code: String {
        let digits = content.text.firstRange(of: "code: ").map { content.text[$0.upperBound...] } ?? ""
        return String(digits.prefix { $0.isNumber })
    }

    /// The link's path and query below `/auth/v1`.
    var link: String {
        let start = content.text.firstRange(of: AuthFixture.issuer).map { content.text[$0.upperBound...] } ?? ""
        return String(start.prefix { !$0.isWhitespace && $0 != ")" })
    }

    /// The link's token.
    var token: String {
        let start = link.firstRange(of: "token=").map { link[$0.upperBound...] } ?? ""
        return String(start.prefix { $0 != "&" })
    }
}
