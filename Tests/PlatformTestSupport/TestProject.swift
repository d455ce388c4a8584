// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
private import class Foundation.FileManager
private import func Foundation.NSTemporaryDirectory
private import struct Foundation.URL
package import Platform
package import Postgres
package import Primitives
package import TestSupport

/// A database that `Bootstrap` has made ready, and the project folder it was made ready for; both go when the test ends.
package struct TestProject: Sendable {
    /// As the superuser.
    package let server: TestDatabase
    /// The project's folder.
    package let folder: String

    /// One password a role for the whole cluster: the tests run side by side on it.
    package static let passwords = Dictionary(
        uniqueKeysWithValues: Bootstrap.loginRoles.map { ($0, SecretString("test-password-of-\($0)")) })

    /// A new database with the platform in it, copied from a template that is made once.
    ///
    /// - Parameter files: the project's files by path, such as `supabase/seed.sql`.
    package static func run<T>(
        files: [String: String] = [:], _ body: (TestProject) async throws -> T
    ) async throws -> T {
        let template = try await TestCluster.shared.template(named: "platform_template") { database in
            let project = try TestProject(server: database, files: [:])
            defer { project.removeFolder() }
            _ = try await project.bootstrap()
        }
        return try await run(template: template, files: files) { project in
            _ = try await project.bootstrap()
            return try await body(project)
        }
    }

    /// A new database without anything in it.
    package static func runEmpty<T>(
        files: [String: String] = [:], _ body: (TestProject) async throws -> T
    ) async throws -> T {
        try await run(template: "template1", files: files, body)
    }

    /// A test holds up to a dozen connections, and the cluster allows 200.
    private static let turnstile = Turnstile(8)

    private static func run<T>(
        template: String, files: [String: String], _ body: (TestProject) async throws -> T
    ) async throws -> T {
        await turnstile.enter()
        let result: Result<T, any Error>
        do { result = .success(try await runAlone(template: template, files: files, body)) } catch {
            result = .failure(error)
        }
        await turnstile.leave()
        return try result.get()
    }

    private static func runAlone<T>(
        template: String, files: [String: String], _ body: (TestProject) async throws -> T
    ) async throws -> T {
        let server = try await TestCluster.shared.makeDatabase(template: template)
        let project = try TestProject(server: server, files: files)
        defer { project.removeFolder() }
        let result: Result<T, any Error>
        do { result = .success(try await body(project)) } catch { result = .failure(error) }
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
    package func write(_ path: String, _ text: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(path)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try text.write(to: url, atomically: true, encoding: .utf8)
    }

    /// Removes a file of the project.
    package func remove(_ path: String) throws { try FileManager.default.removeItem(atPath: "\(folder)/\(path)") }

    /// Runs `Bootstrap` on a loop of its own, as a process that starts would.
    package func bootstrap(
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
    package func login(_ role: String) -> TestDatabase {
        server.login(as: role, password: Self.passwords[role]?.reveal() ?? "")
    }

    /// Runs statements as a request would: logged in as `authenticator`, with role and claims set.
    package func request(_ role: String, claims: JSON = [:], _ sql: String) async -> String {
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
    package func signUp(_ email: String, metadata: JSON = [:]) async throws -> Account {
        let id = UUID.random()
        let row = try await login("supabase_auth_admin").exec(
            """
            insert into auth.users (id, aud, role, email, raw_user_meta_data)
            values ('\(id)', 'authenticated', 'authenticated', \(quoteLiteral(email)), \(quoteLiteral(metadata.text)))
            returning raw_app_meta_data ->> 'tenant_id'
            """)
        guard let tenant = UUID(row) else { throw TestDatabaseError(message: "no tenant in the account: \(row)") }
        return Account(id: id, tenant: tenant)
    }
}

/// A person who has signed up.
package struct Account: Sendable {
    package let id: UUID
    /// The personal tenant.
    package let tenant: UUID

    /// What the person's token says.
    package var claims: JSON { claims(tenant: tenant) }

    package func claims(tenant: UUID) -> JSON {
        [
            "sub": .string(id.description), "role": "authenticated",
            "app_metadata": .object(["tenant_id": .string(tenant.description)]),
        ]
    }
}

extension TestDatabase {
    /// Where a `Database` connects to, over the Unix socket.
    package var address: PostgresAddress {
        PostgresAddress(
            host: socketFolder, port: port, user: user, password: SecretString(password), database: name,
            tlsMode: .disable)
    }
}
