// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import HTTPClient
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
    let keyring: Keyring
    let tokens: JWTCodec
    /// The services that keys are for.
    let services: KeyServices
    /// Where set-ups make collections.
    let collections: CollectionMaker
    /// Those of the tenants that have one of their own.
    let schemas: TenantSchemas
    let loop: Loop
    private let client: TestHTTPClient

    /// The master key `k1`.
    static let firstKey = randomBytes(32)

    /// Runs `body` beside the server, which ends with it.
    static func run(
        files: [String: String] = [:],
        configure: @escaping @Sendable (inout TenancyConfiguration) -> Void = { _ in },
        _ body: @escaping @Sendable (TenancyFixture) async throws -> Void
    ) async throws {
        try await TestProject.run(files: files) { project in
            try await Loop.withLoop { loop in
                var configuration = DatabaseConfiguration(address: project.login("authenticator").address)
                configuration.connectionsPerLoop = 4
                let port = try freePorts(1)[0]
                var tenancyConfiguration = TenancyConfiguration()
                tenancyConfiguration.validation.addresses = KeyServices.addresses(port)
                configure(&tenancyConfiguration)
                let database = try Database(configuration, loops: [loop], log: .disabled)
                let tokens = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: randomBytes(32))))
                let keyring = try Keyring(keys: ["k1": Self.firstKey], currentID: "k1")
                let vault = SecretVault(keyring: keyring, database: database)
                var router = Router()
                let client = try HTTPClient(loops: [loop])
                let validator = KeyValidator(tenancyConfiguration.validation, client: client)
                let tenancy = TenancyService(
                    configuration: tenancyConfiguration, database: database,
                    access: AccessControl(
                        tokens: tokens, publishableKeys: [], secretKeys: [SecretString("sb_secret_x")]),
                    vault: vault, validator: validator, log: .disabled)
                tenancy.register(on: &router)
                let locks = try Database(configuration, loops: [loop], log: .disabled)
                let collections = CollectionMaker()
                var ownerConfiguration = configuration
                ownerConfiguration.address = project.login("postgres").address
                let owner = try Database(ownerConfiguration, loops: [loop], log: .disabled)
                let schemas = TenantSchemas(database: owner)
                let folder = project.folder + "/supabase/tenants"
                let setup = SetupService(
                    tenancy: tenancy, locks: locks, validator: validator,
                    makeCollection: { name, person in await collections.make(name, person) },
                    makeSchema: { tenant in
                        let templates = try TenantTemplates(folder: folder)
                        try await schemas.prepareShape(templates)
                        return (try await schemas.migrate(tenant, to: templates), templates.newest)
                    }, log: .disabled)
                setup.register(on: &router)
                let services = KeyServices()
                services.register(on: &router)
                var serverConfiguration = HTTPServerConfiguration()
                serverConfiguration.port = UInt16(port)
                let server = try HTTPServer(serverConfiguration, router: router, loops: [loop])
                let fixture = TenancyFixture(
                    project: project, vault: vault, keyring: keyring, tokens: tokens, services: services,
                    collections: collections,
                    schemas: schemas, loop: loop,
                    client: TestHTTPClient(port: port))
                let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                    group.addTask(executorPreference: loop) { await server.run() }
                    group.addTask(executorPreference: loop) { await setup.run() }
                    let result: Result<Void, any Error>
                    do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                    collections.gate.open()
                    server.stop()
                    group.cancelAll()
                    return result
                }
                await client.shutdown()
                await locks.shutdown(grace: .seconds(1))
                await owner.shutdown(grace: .seconds(1))
                // Roles belong to the whole cluster.
                _ = await project.server.attempt("delete from tenancy.tenant_schemas")
                await database.shutdown(grace: .seconds(1))
                try result.get()
            }
        }
    }

    /// A request with a token of these claims, or without any.
    func request(
        _ method: String, _ target: String, claims: JSON?, _ body: JSON? = nil, headers: [String: String] = [:]
    ) async throws -> TestHTTPResponse {
        var headers = headers
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
