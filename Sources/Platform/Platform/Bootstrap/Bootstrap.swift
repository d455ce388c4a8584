// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import Postgres
package import Primitives

/// Makes a database ready for a project: roles, the platform's schemas, then the project's own migrations and seeds.
///
/// Every step is safe to repeat and to be interrupted. Processes that start on one database wait for each other.
package struct Bootstrap: Sendable {
    /// What a project asks for.
    package struct Settings: Sendable {
        /// The folder that holds `supabase/`.
        package var projectFolder: String
        /// The folder of the project's migrations, relative to the project's unless absolute; nil to apply none.
        package var migrationsFolder: String? = "supabase/migrations"
        /// Shell patterns of seed files, relative to the project's folder unless absolute.
        package var seedPatterns: [String] = ["supabase/seed.sql"]
        /// Passwords by role, for the roles of ``loginRoles``; printable ASCII. A role without one keeps what it has.
        package var passwords: [String: SecretString] = [:]
        /// Whether a new migration may be older than the newest applied one.
        package var includesOlderMigrations = false
        /// How long to wait for another process that works on the same database or on the server's roles.
        package var lockTimeout: Duration = .seconds(60)

        package init(projectFolder: String) {
            self.projectFolder = projectFolder
        }
    }

    /// What was done.
    package struct Report: Sendable, Equatable {
        /// The platform's migrations that were applied, such as `20261121000100_create_schemas`.
        package var platformMigrations: [String] = []
        /// The project's migrations that were applied.
        package var projectMigrations: [String] = []
        /// The paths of the seed files that were run.
        package var seeds: [String] = []
        /// What the owner of the project should know.
        package var warnings: [String] = []

        package init() {}
    }

    /// The oldest major version of PostgreSQL that is supported.
    package static let minimumServerVersion = 15
    /// The extensions the platform installs.
    package static let extensions = ["pgcrypto", "uuid-ossp", "vector"]
    /// The roles that log in, and so have passwords.
    package static let loginRoles = [
        "authenticator", "postgres", "supabase_auth_admin", "supabase_storage_admin", "atoll_requests",
        "atoll_storage", "atoll_vectors", "atoll_tenancy",
    ]
    /// Every role the platform makes.
    package static let roles =
        loginRoles + [
            "anon", "authenticated", "service_role", "supabase_realtime_admin", "atoll_jobs",
        ]
    /// The owner of what a project's migrations make.
    package static let projectRole = "postgres"

    private let settings: Settings
    private let log: Log
    private let progress: @Sendable (String) -> Void

    /// - Parameter progress: told each step in a few words before it begins, for a terminal.
    package init(
        _ settings: Settings, log: Log = .disabled, progress: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.settings = settings
        self.log = log
        self.progress = progress
    }

    /// Makes the database at `address` ready. Called on a loop.
    ///
    /// - Parameter address: of a superuser; of any login once the platform is installed.
    /// - Throws: ``BootstrapError`` when the server will not do or a file cannot be read, `MigrationError` when a migration
    ///   or seed fails, `PostgresError` when the server cannot be reached.
    package func run(on address: PostgresAddress) async throws -> Report {
        guard let loop = Loop.current else {
            throw PostgresError(.misuse, "a database is made ready from a task of a loop")
        }
        let guardian = try database(address, loop, name: "bootstrap-lock", searchPath: Self.trustedPath)
        let admin = try database(address, loop, name: "bootstrap", searchPath: Self.trustedPath)
        let project = try database(projectAddress(address), loop, name: "bootstrap-project")
        let result: Result<Report, any Error>
        do {
            let facts = try await ServerFacts.read(from: admin)
            if let refusal = facts.refusal { throw refusal }
            result = .success(
                try await guardian.withTransaction { transaction in
                    try await lock(transaction)
                    return try await run(facts, admin: admin, project: project)
                })
        } catch {
            result = .failure(error)
        }
        for database in [guardian, admin, project] { await database.shutdown() }
        return try result.get()
    }

    private func run(_ facts: ServerFacts, admin: Database, project: Database) async throws -> Report {
        var report = Report()
        if facts.isSuperuser {
            progress("Preparing roles")
            try await ServerPreparation(settings: settings, login: facts.login).run(on: admin)
        }
        var platform = Migrations(schema: "atoll", table: "migrations")
        platform.lockTimeout = settings.lockTimeout
        let embedded = try Self.platformMigrations()
        if !facts.isSuperuser {
            try await refuseIfPending(embedded, platform, facts, admin)
        } else {
            report.platformMigrations = try await platform.run(embedded, on: admin) { migration, number, total in
                if number == 1 { progress("Installing the platform's schema (\(total) migrations)") }
                log.debug("platform migration", .field("migration", migration.label))
            }.map(\.label)
        }
        try await applyProject(on: project, &report)
        for warning in report.warnings { log.warning(warning) }
        return report
    }

    private func applyProject(on project: Database, _ report: inout Report) async throws {
        if let folder = settings.migrationsFolder {
            let local = try ProjectMigrations(folder: absolute(folder))
            for name in local.skipped {
                report.warnings.append("\(folder)/\(name) is skipped: migrations are named <digits>_<name>.sql")
            }
            var runner = Migrations()
            runner.allowsOutOfOrder = settings.includesOlderMigrations
            runner.lockTimeout = settings.lockTimeout
            report.projectMigrations = try await runner.run(local.migrations, on: project) {
                migration, number, total in
                progress("Applying migration \(number) of \(total): \(migration.label)")
                log.info("migration", .field("migration", migration.label))
            }.map(\.label)
        }
        let seeds = Seeds(projectFolder: settings.projectFolder, patterns: settings.seedPatterns)
        let (files, unmatched) = try seeds.files()
        // The seed that every project may have is not missed when it is not there.
        for pattern in unmatched where pattern != "supabase/seed.sql" {
            report.warnings.append("no seed file matches \(pattern)")
        }
        report.seeds = try await seeds.run(files, on: project) { path in
            progress("Running seed \(path)")
            log.info("seed", .field("path", path))
        }
    }

    /// Without a superuser nothing of the platform can be installed: says what is left.
    private func refuseIfPending(
        _ embedded: [Migration], _ platform: Migrations, _ facts: ServerFacts, _ admin: Database
    ) async throws {
        let pending = try await platform.pending(embedded, on: admin)
        guard let first = pending.first else { return }
        throw BootstrapError(
            .missingPrivilege,
            "the login \"\(facts.login)\" is not a superuser, and \(pending.count) migrations of the platform are not "
                + "applied yet, from \(first.label) on; start once with the address of a superuser")
    }

    /// Held until the end of the transaction, which does nothing else.
    private func lock(_ transaction: PostgresTransaction) async throws {
        do {
            try await transaction.run([
                "select set_config('lock_timeout', \(settings.lockTimeout.milliseconds), true)",
                "select pg_advisory_xact_lock(hashtextextended('atoll.bootstrap', 0))",
            ])
        } catch {
            guard error.sqlState == "55P03" else { throw error }
            throw BootstrapError(.locked, "another process is preparing this database; try again later")
        }
    }

    /// The embedded migrations, oldest first.
    static func platformMigrations() throws -> [Migration] {
        let folder = "sql/migrations/"
        return try Assets.files(under: folder).map { asset in
            guard let migration = Migration(fileName: String(asset.path.dropFirst(folder.count)), sql: asset.text)
            else {
                throw BootstrapError(.unreadableFile, "\(asset.path) is not named <digits>_<name>.sql")
            }
            return migration
        }
    }

    /// What the superuser's sessions look names up in. A function or operator that the project made in `public` and that
    /// fits a call more closely than PostgreSQL's own would otherwise run as the superuser.
    private static let trustedPath = "pg_catalog"

    private func database(
        _ address: PostgresAddress, _ loop: Loop, name: String, searchPath: String? = nil
    ) throws -> Database {
        var configuration = DatabaseConfiguration(address: address)
        configuration.applicationName = "atoll bootstrap"
        configuration.connectionsPerLoop = 1
        configuration.statementTimeout = .zero
        configuration.idleTransactionTimeout = .zero
        if let searchPath { configuration.sessionSettings = [(name: "search_path", value: searchPath)] }
        return try Database(configuration, loops: [loop], log: log, name: name)
    }

    /// The same database as the owner of the project's objects: a migration must not be able to become the superuser.
    private func projectAddress(_ address: PostgresAddress) -> PostgresAddress {
        guard address.user != Self.projectRole else { return address }
        var project = address
        project.user = Self.projectRole
        project.password = settings.passwords[Self.projectRole] ?? address.password
        return project
    }

    private func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(settings.projectFolder)/\(path)"
    }
}

extension Duration {
    /// Whole milliseconds as text, for a setting of PostgreSQL.
    var milliseconds: String { String(components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000) }
}
