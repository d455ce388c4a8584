// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Postgres
internal import Primitives

/// The database that a command works on: the running project's, or the one that `--db-url` names.
struct ProjectDatabase: Sendable {
    /// Logs in as an administrator.
    let address: PostgresAddress
    /// With the flags the server was started with; nil where no project's server runs.
    let project: Project?

    init(_ invocation: Invocation) throws {
        if let url = invocation.value("db-url") {
            address = try PostgresAddress(url: url)
            project = nil
            return
        }
        let folder = try ProjectFolder.find(from: invocation.workdir)
        guard let process = ServerProcess.running(in: folder) else {
            throw CommandFailure(
                "no server runs for \(folder.path)",
                next: "start it with `atoll start`, or name a database with --db-url")
        }
        let project = try Project.open(workdir: folder.path, overrides: process.overrides)
        var address = try PostgresAddress(url: project.databaseURL.reveal())
        if project.configuration.atoll.database.url == nil {
            address.user = "supabase_admin"
            address.password = project.secrets.databasePassword(for: "supabase_admin")
        }
        self.address = address
        self.project = project
    }

    /// Lends the database to `body` on a loop of its own.
    ///
    /// - Parameter connections: how many there may be at a time.
    /// - Throws: what `body` throws, an error of PostgreSQL in words for people.
    func use<T: Sendable>(connections: Int = 1, _ body: @escaping @Sendable (Database) async throws -> T) throws -> T {
        var configuration = DatabaseConfiguration(address: address)
        configuration.connectionsPerLoop = connections
        configuration.statementTimeout = .seconds(60)
        let made = configuration
        do {
            return try Loop.runMain { loop in
                let database = try Database(made, loops: [loop], log: Log(level: .error))
                let result: Result<T, any Error>
                do { result = .success(try await body(database)) } catch { result = .failure(error) }
                await database.shutdown()
                return try result.get()
            }
        } catch {
            guard let refusal = error as? PostgresError else { throw error }
            // What the functions of tenancy refuse is said for people.
            if refusal.sqlState?.hasPrefix("PT") == true {
                throw CommandFailure(
                    refusal.message, next: refusal.hint ?? "`atoll tenants list` shows tenants and their states")
            }
            throw CommandFailure(
                "the database answered: \(refusal.message)",
                next: refusal.hint ?? "see `atoll status` for the address it answers at")
        }
    }
}
