// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import Tenancy
import TestSupport

/// Tenancy on a real server and a real database.
struct TenancyFixture: Sendable {
    let project: TestProject
    let vault: SecretVault
    let tokens: JWTCodec
    private let client: TestHTTPClient

    /// Runs `body` beside the server, which ends with it.
    static func run(_ body: @escaping @Sendable (TenancyFixture) async throws -> Void) async throws {
        try await TestProject.run { project in
            try await Loop.withLoop { loop in
                var configuration = DatabaseConfiguration(address: project.login("authenticator").address)
                configuration.connectionsPerLoop = 4
                let database = try Database(configuration, loops: [loop], log: .disabled)
                let tokens = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32))))
                let vault = SecretVault(
                    keyring: try Keyring(keys: ["k1": randomBytes(32)], currentID: "k1"), database: database)
                var router = Router()
                TenancyService(
                    database: database,
                    access: AccessControl(
                        tokens: tokens, publishableKeys: [], secretKeys: [SecretString("sb_secret_x")]),
                    vault: vault, log: .disabled
                ).register(on: &router)
                let server = try HTTPServer(HTTPServerConfiguration(), router: router, loops: [loop])
                let fixture = TenancyFixture(
                    project: project, vault: vault, tokens: tokens, client: TestHTTPClient(port: Int(server.port)))
                let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                    group.addTask(executorPreference: loop) { await server.run() }
                    let result: Result<Void, any Error>
                    do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                    server.stop()
                    return result
                }
                await database.shutdown(grace: .seconds(1))
                try result.get()
            }
        }
    }

    /// A request with a token of these claims, or without any.
    func request(
        _ method: String, _ target: String, claims: JSON?, _ body: JSON? = nil
    ) async throws -> TestHTTPResponse {
        var headers: [String: String] = [:]
        if let claims { headers["authorization"] = "Bearer \(try token(claims))" }
        return try await client.request(method, target, headers: headers, body: body?.text)
    }

    /// A request with a body that need not be JSON.
    func send(_ method: String, _ target: String, claims: JSON, text: String) async throws -> TestHTTPResponse {
        try await client.request(
            method, target, headers: ["authorization": "Bearer \(try token(claims))"], body: text)
    }

    func send(_ method: String, _ target: String, headers: [String: String]) async throws -> TestHTTPResponse {
        try await client.request(method, target, headers: headers)
    }

    private func token(_ claims: JSON) throws -> String {
        var members = claims.objectValue ?? [:]
        members["exp"] = JSON(Timestamp.now().unixSeconds + 600)
        return try tokens.sign(members)
    }

    func principal(_ claims: JSON) -> Principal {
        Principal(role: .authenticated, verified: JWTClaims(claims.objectValue ?? [:]))
    }
}
