// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport

@testable import Vectors

/// Vectors on a real server and a real database, with two people and the service key.
struct VectorsFixture: Sendable {
    let project: TestProject
    let alice: Account
    let bob: Account
    let builder: IndexBuilder
    /// As the superuser, for what a test compares.
    private let observer: Database
    private let loop: Loop
    private let service: VectorsService
    private let tokens: JWTCodec
    private let client: TestHTTPClient
    let port: Int
    /// The server behind this one, where there is one; a list, as a value cannot hold another of its kind.
    private let remotes: [VectorsFixture]

    static let serviceKey = "sb_secret_of_the_tests"
    static let publishableKey = "sb_publishable_of_the_tests"

    /// Who asks.
    enum Key: Sendable {
        case service
        case anon
        case person(Account)
        /// A token with other claims.
        case claims(JSON)
        case text(String)
        case none
    }

    /// The server that is the external Qdrant of this one.
    var remote: VectorsFixture? { remotes.first }

    /// Where a server keeps its points.
    enum Store: Sendable, CaseIterable {
        case postgres
        /// A second server behind it, which speaks Qdrant's API and knows one key alone.
        case external
    }

    /// Each test on a second server holds two databases, of which only so many are lent at a time.
    private static let turnstile = Turnstile(2)

    /// Runs `body` beside a server that keeps points in `store`.
    static func run(
        on store: Store, _ configure: @escaping @Sendable (inout VectorsConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (VectorsFixture) async throws -> Void
    ) async throws {
        guard store == .external else { return try await run(configure, body) }
        await turnstile.enter()
        let result: Result<Void, any Error>
        do {
            try await run { remote in
                try await run(configure, remote: remote, body)
            }
            result = .success(())
        } catch { result = .failure(error) }
        await turnstile.leave()
        try result.get()
    }

    /// Runs `body` beside the server, which ends with it.
    ///
    /// - Parameter externalURL: of an external Qdrant that is asked thrice at a time and waited for briefly.
    static func run(
        _ configure: @escaping @Sendable (inout VectorsConfiguration) -> Void = { _ in },
        remote: VectorsFixture? = nil, externalURL: String? = nil,
        _ body: @escaping @Sendable (VectorsFixture) async throws -> Void
    ) async throws {
        try await TestProject.run { project in
            let alice = try await project.signUp("alice@example.com")
            let bob = try await project.signUp("bob@example.com")
            try await Loop.withLoop { loop in
                func database(_ role: String, _ connections: Int) throws -> Database {
                    var configuration = DatabaseConfiguration(address: project.login(role).address)
                    configuration.connectionsPerLoop = connections
                    configuration.statementTimeout = .zero
                    return try Database(configuration, loops: [loop], log: .disabled)
                }
                let requests = try database("authenticator", 4)
                let builds = try database("atoll_vectors", 4)
                var superuser = DatabaseConfiguration(address: project.server.address)
                superuser.connectionsPerLoop = 2
                let observer = try Database(superuser, loops: [loop], log: .disabled)
                let tokens = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32))))
                var settings = VectorsConfiguration()
                settings.indexingInterval = .milliseconds(500)
                configure(&settings)
                let builder = IndexBuilder(
                    database: builds, thresholdKilobytes: settings.indexingThresholdKilobytes,
                    interval: settings.indexingInterval, loop: loop, log: .disabled)
                var external: ExternalQdrant?
                if let url = externalURL ?? remote.map({ "http://127.0.0.1:\($0.port)" }) {
                    var configuration = ExternalQdrantConfiguration(url: url)
                    configuration.apiKey = SecretString(serviceKey)
                    if externalURL != nil {
                        configuration.timeout = .milliseconds(700)
                        configuration.maxCalls = 3
                    }
                    external = try ExternalQdrant(configuration, loops: [loop])
                }
                let removal = external.map { ExternalRemoval(store: $0, database: builds, log: .disabled) }
                var router = Router()
                let service = VectorsService(
                    configuration: settings, database: requests,
                    access: AccessControl(
                        tokens: tokens, publishableKeys: [SecretString(publishableKey)],
                        secretKeys: [SecretString(serviceKey)]),
                    builder: builder, external: external, version: "test", log: .disabled)
                service.register(on: &router)
                service.register(on: &router, prefix: "/vectors/v1")
                let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
                let fixture = VectorsFixture(
                    project: project, alice: alice, bob: bob, builder: builder, observer: observer, loop: loop,
                    service: service,
                    tokens: tokens,
                    client: TestHTTPClient(port: Int(server.port)), port: Int(server.port),
                    remotes: [remote].compactMap { $0 })
                let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                    group.addTask(executorPreference: loop) { await server.run() }
                    group.addTask(executorPreference: loop) { await builder.run() }
                    if let removal {
                        group.addTask(executorPreference: loop) { await removal.run(on: loop, metrics: Metrics()) }
                    }
                    let result: Result<Void, any Error>
                    do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                    server.stop()
                    group.cancelAll()
                    return result
                }
                await external?.shutdown()
                await requests.shutdown(grace: .seconds(1))
                await builds.shutdown(grace: .seconds(1))
                await observer.shutdown(grace: .seconds(1))
                try result.get()
            }
        }
    }

    /// Sends a request with the key in `api-key`, as Qdrant's clients do.
    func send(_ key: Key, _ method: String, _ target: String, _ body: JSON? = nil) async throws -> TestHTTPResponse {
        try await send(key, method, target, text: body?.text)
    }

    /// Sends a request with a body that need not be JSON.
    func send(_ key: Key, _ method: String, _ target: String, text: String?) async throws -> TestHTTPResponse {
        var headers: [String: String] = [:]
        switch key {
        case .service: headers["api-key"] = Self.serviceKey
        case .anon: headers["api-key"] = Self.publishableKey
        case .person(let account): headers["api-key"] = try token(account.claims)
        case .claims(let claims): headers["api-key"] = try token(claims)
        case .text(let text): headers["api-key"] = text
        case .none: break
        }
        return try await client.request(method, target, headers: headers, body: text)
    }

    func send(_ method: String, _ target: String, headers: [String: String]) async throws -> TestHTTPResponse {
        try await client.request(method, target, headers: headers)
    }

    func token(_ claims: JSON) throws -> String {
        var members = claims.objectValue ?? [:]
        members["exp"] = JSON(Timestamp.now().unixSeconds + 3600)
        return try tokens.sign(members)
    }

    /// Calls the service as a person, as other services do.
    func serve<T: Sendable>(
        _ account: Account, _ body: @Sendable (VectorsService, Principal) async throws -> T
    ) async throws -> T {
        let principal = try service.access.principal(presenting: try token(account.claims))
        return try await withTaskExecutorPreference(loop) { try await body(service, principal) }
    }

    /// Runs `body` beside an index builder that begins now, as that of a server does which was started anew.
    func withFreshBuilder<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { await builder.run() }
            defer { group.cancelAll() }
            return try await body()
        }
    }

    // MARK: Steps

    /// What the database holds, row level security aside.
    func observe(_ query: PostgresQuery) async throws -> PostgresResult {
        try await withTaskExecutorPreference(loop) { try await observer.query(query) }
    }

    /// Sends a request that has to succeed, and returns `result`.
    @discardableResult
    func result(_ key: Key, _ method: String, _ target: String, _ body: JSON? = nil) async throws -> JSON {
        let response = try await send(key, method, target, body)
        guard response.status == 200, let result = response.json["result"] else {
            throw UnexpectedAnswer(description: "\(method) \(target): \(response.status) \(response.text.prefix(2000))")
        }
        return result
    }

    /// Makes a collection of vectors of `size` dimensions.
    func create(_ key: Key, _ name: String, size: Int = 4, distance: String = "Dot", _ more: JSONObject = [:])
        async throws
    {
        var body: JSONObject = ["vectors": ["size": JSON(size), "distance": .string(distance)]]
        for (name, value) in more { body[name] = value }
        try await result(key, "PUT", "/collections/\(name)", .object(body))
    }

    func upsert(_ key: Key, _ collection: String, _ points: [JSON]) async throws {
        try await result(key, "PUT", "/collections/\(collection)/points?wait=true", ["points": .array(points)])
    }

    func count(_ key: Key, _ collection: String, filter: JSON = nil) async throws -> Int? {
        try await result(key, "POST", "/collections/\(collection)/points/count", ["filter": filter])["count"]?.intValue
    }

    /// The ids a search finds.
    func search(_ key: Key, _ collection: String, _ vector: JSON, _ more: JSONObject = [:]) async throws -> [JSON] {
        var body: JSONObject = ["query": vector]
        for (name, value) in more { body[name] = value }
        let answer = try await result(key, "POST", "/collections/\(collection)/points/query", .object(body))
        return (answer["points"]?.arrayValue ?? []).compactMap { $0["id"] }
    }
}

/// A point of four dimensions.
func point(_ id: JSON, _ vector: JSON = [1, 0, 0, 0], _ payload: JSON = [:]) -> JSON {
    ["id": id, "vector": vector, "payload": payload]
}

/// An answer that is not what the step needs.
struct UnexpectedAnswer: Error, CustomStringConvertible {
    var description: String
}
