// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import HTTPClient
import Jobs
import Mail
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import Synchronization
import Tenancy
import TestSupport

/// Mails that were sent, as they were.
final class SentMails: Sendable {
    private let mails = Mutex<[(recipient: String, message: String)]>([])

    func add(_ recipient: String, _ message: String) { mails.withLock { $0.append((recipient, message)) } }

    /// The token of the newest mail to an address, once `count` of them have come.
    func token(to recipient: String, count: Int = 1) async throws -> String {
        try await eventually("mail \(count) to \(recipient)") { all(to: recipient).count >= count }
        let message = all(to: recipient).last ?? ""
        // Quoted-printable: `=3D` is an equals sign, `=` at the end of a line goes on.
        let text = message.replacing("=\r\n", with: "").replacing("=3D", with: "=")
        guard let start = text.firstRange(of: "?token=") else { return "" }
        return String(text[start.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
    }

    func all(to recipient: String) -> [String] {
        mails.withLock { mails in mails.filter { $0.recipient == recipient }.map(\.message) }
    }
}

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
    let mails: SentMails
    /// Logs in as `authenticator`.
    let requests: Database
    /// Logs in as `atoll_tenancy`.
    let owner: Database
    let removal: TenantRemoval
    private let client: TestHTTPClient
    let loop: Loop

    /// The master key `k1`.
    static let firstKey = randomBytes(32)

    /// Runs `body` beside the server, which ends with it.
    static func run(
        files: [String: String] = [:], rules: TenancyRules = TenancyRules(),
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
                var backgroundConfiguration = DatabaseConfiguration(address: project.login("atoll_tenancy").address)
                backgroundConfiguration.connectionsPerLoop = 2
                let tenancyOwner = try Database(backgroundConfiguration, loops: [loop], log: .disabled)
                let removal = TenantRemoval(database: tenancyOwner, log: .disabled)
                try await removal.keep(rules)
                let mails = SentMails()
                var queue = JobQueue("invitations")
                queue.firstDelay = .milliseconds(10)
                let outbox = MailOutbox(queue, keyring: keyring)
                let worker = outbox.worker(
                    .catcher { _, recipient, message in mails.add(recipient, message) }, database: tenancyOwner,
                    loop: loop,
                    log: .disabled, metrics: Metrics())
                var parts = TenancyParts()
                parts.invitations = try InvitationMailer(
                    outbox: outbox, sender: try Mailbox("atoll@example.com"), subject: nil, html: nil)
                parts.readObject = { _, range, take in
                    try await take([UInt8](repeating: UInt8(ascii: "x"), count: range.count))
                }
                var router = Router()
                let client = try HTTPClient(loops: [loop])
                let validator = KeyValidator(tenancyConfiguration.validation, client: client)
                let tenancy = TenancyService(
                    configuration: tenancyConfiguration, database: database,
                    access: AccessControl(
                        tokens: tokens, publishableKeys: [], secretKeys: [SecretString("sb_secret_x")]),
                    vault: vault, validator: validator, parts: parts, log: .disabled)
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
                    collections: collections, schemas: schemas, mails: mails, requests: database, owner: tenancyOwner,
                    removal: removal, client: TestHTTPClient(port: port), loop: loop)
                let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                    group.addTask(executorPreference: loop) { await server.run() }
                    group.addTask(executorPreference: loop) { await setup.run() }
                    group.addTask(executorPreference: loop) { await worker.run() }
                    group.addTask(executorPreference: loop) { await removal.run(on: loop, metrics: Metrics()) }
                    let result: Result<Void, any Error>
                    do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
                    collections.gate.open()
                    server.stop()
                    group.cancelAll()
                    return result
                }
                await client.shutdown()
                await locks.shutdown(grace: .seconds(1))
                await tenancyOwner.shutdown(grace: .seconds(1))
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

    /// Runs `body` where the databases can be used.
    func onLoop(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(executorPreference: loop) { try await body() }
            try await group.waitForAll()
        }
    }

    /// A person's new team.
    func team(of person: Account, _ name: String = "Acme") async throws -> UUID {
        let made = try await request("POST", "/api/tenants", claims: person.claims, ["name": .string(name)])
        guard let id = made.json["tenant"]?["id"]?.stringValue.flatMap({ UUID($0) }) else {
            throw TestDatabaseError(message: "no team: \(made.text)")
        }
        return id
    }

    /// Makes somebody a member without asking anybody.
    func join(_ person: Account, _ tenant: UUID, _ role: String = "member") async throws {
        try await project.server.exec(
            "insert into tenancy.members (tenant_id, user_id, role) values ('\(tenant)', '\(person.id)', '\(role)')")
    }

    /// The role of a person in a tenant; empty for none.
    func role(of person: Account, in tenant: UUID) async throws -> String {
        try await project.server.exec(
            "select role from tenancy.members where tenant_id = '\(tenant)' and user_id = '\(person.id)'")
    }

    /// The actions in the audit log of a tenant, in order.
    func actions(in tenant: UUID) async throws -> [String] {
        try await project.server.exec(
            "select action from tenancy.audit_log where tenant_id = '\(tenant)' order by at, action"
        ).split(separator: "\n").map(String.init)
    }

    static let serviceClaims: JSON = ["role": "service_role"]
}
