// SPDX-License-Identifier: Apache-2.0
import EventLoop
import class Foundation.FileManager
import func Foundation.NSTemporaryDirectory
import struct Foundation.URL
import Platform
import Postgres
import Primitives
import TestSupport
import Testing

/// A database that `Bootstrap` has made ready, and the project folder it was made ready for.
struct BootstrapFixture: Sendable {
    let server: TestDatabase
    let folder: String

    /// One password a role for the whole cluster: the tests run side by side on it.
    static let passwords = Dictionary(
        uniqueKeysWithValues: Bootstrap.loginRoles.map { ($0, SecretString("test-password-of-\($0)")) })

    /// A new database with the platform in it, copied from a template that is made once.
    ///
    /// - Parameter files: the project's files by path, such as `supabase/seed.sql`.
    static func run<T>(
        files: [String: String] = [:], _ body: (BootstrapFixture) async throws -> T
    ) async throws -> T {
        let template = try await TestCluster.shared.template(named: "platform_template") { database in
            let fixture = try BootstrapFixture(server: database, files: [:])
            defer { fixture.removeFolder() }
            _ = try await fixture.bootstrap()
        }
        return try await run(template: template, files: files) { fixture in
            _ = try await fixture.bootstrap()
            return try await body(fixture)
        }
    }

    /// A new database without anything in it.
    static func runEmpty<T>(
        files: [String: String] = [:], _ body: (BootstrapFixture) async throws -> T
    ) async throws -> T {
        try await run(template: "template1", files: files, body)
    }

    private static func run<T>(
        template: String, files: [String: String], _ body: (BootstrapFixture) async throws -> T
    ) async throws -> T {
        let server = try await TestCluster.shared.makeDatabase(template: template)
        let fixture = try BootstrapFixture(server: server, files: files)
        defer { fixture.removeFolder() }
        let result: Result<T, any Error>
        do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
        try await server.drop()
        return try result.get()
    }

    private init(server: TestDatabase, files: [String: String]) throws {
        self.server = server
        folder = NSTemporaryDirectory() + "bootstrap-" + UUID.random().description
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (path, text) in files { try write(path, text) }
    }

    private func removeFolder() { try? FileManager.default.removeItem(atPath: folder) }

    /// Writes a file of the project.
    func write(_ path: String, _ text: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(path)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: true, encoding: .utf8)
    }

    func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: "\(folder)/\(path)") }

    /// Runs `Bootstrap` on a loop of its own, as a process that starts would.
    func bootstrap(
        as login: TestDatabase? = nil, _ configure: (inout Bootstrap.Settings) -> Void = { _ in }
    ) async throws -> Bootstrap.Report {
        var settings = Bootstrap.Settings(projectFolder: folder)
        settings.passwords = Self.passwords
        configure(&settings)
        let made = settings
        let address = (login ?? server).address
        return try await Loop.withLoop { _ in try await Bootstrap(made).run(on: address) }
    }

    /// The database as one of the roles that log in.
    func login(_ role: String) -> TestDatabase {
        server.login(as: role, password: Self.passwords[role]?.reveal() ?? "")
    }

    /// Runs statements as a request would: logged in as `authenticator`, with role and claims set.
    func request(_ role: String, claims: JSON = [:], _ sql: String) async -> String {
        await login("authenticator").attempt(
            """
            set role \(role);
            select from set_config('request.jwt.claims', \(quoteLiteral(claims.text)), false);
            \(sql)
            """)
    }

    /// Inserts an account as Auth does.
    ///
    /// - Returns: its id and the tenant made for it.
    func signUp(_ email: String, metadata: JSON = [:]) async throws -> Account {
        let id = UUID.random()
        let row = try await login("supabase_auth_admin").exec(
            """
            insert into auth.users (id, aud, role, email, raw_user_meta_data)
            values ('\(id)', 'authenticated', 'authenticated', \(quoteLiteral(email)), \(quoteLiteral(metadata.text)))
            returning raw_app_meta_data ->> 'tenant_id'
            """)
        return Account(id: id, tenant: try #require(UUID(row)))
    }
}

/// A person who has signed up.
struct Account: Sendable {
    let id: UUID
    let tenant: UUID

    /// What the person's token says.
    var claims: JSON { claims(tenant: tenant) }

    func claims(tenant: UUID) -> JSON {
        [
            "sub": .string(id.description), "role": "authenticated",
            "app_metadata": .object(["tenant_id": .string(tenant.description)]),
        ]
    }
}

extension TestDatabase {
    var address: PostgresAddress {
        PostgresAddress(
            host: socketFolder, port: port, user: user, password: SecretString(password), database: name,
            tlsMode: .disable)
    }
}
