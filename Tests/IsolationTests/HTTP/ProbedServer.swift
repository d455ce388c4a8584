// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Isolation
import Platform
import Postgres
import Primitives
import Processes
import TestSupport

/// A running server with a project of its own, and its database as the administrator sees it.
struct ProbedServer: Sendable {
    let atoll: AtollProcess
    let address: PostgresAddress
    let target: ProbeServer
    let settings: LintSettings

    static func with<R>(
        _ files: AtollProcess.ProjectFiles, exposing schemas: [String] = ["public"],
        _ body: (ProbedServer) async throws -> R
    ) async throws -> R {
        try await AtollProcess.with(files) { atoll in
            let project = try Project.open(workdir: atoll.folder)
            var address = try PostgresAddress(url: project.databaseURL.reveal())
            address.user = "supabase_admin"
            address.password = project.secrets.databasePassword(for: "supabase_admin")
            var settings = LintSettings()
            settings.exposedSchemas = schemas
            let server = ProbedServer(
                atoll: atoll, address: address,
                target: ProbeServer(
                    url: project.localURL, anonKey: project.secrets.anonKey,
                    serviceKey: project.secrets.serviceRoleKey, projectID: project.configuration.projectID),
                settings: settings)
            return try await body(server)
        }
    }

    /// Both probes, as the command does.
    func probe(
        callsAllFunctions: Bool = false, progress: ProbeProgress = .silent
    ) async throws -> (sql: [Crossing], http: HTTPProbe.Outcome) {
        try await withDatabase { loop, database in
            let catalog = try await CatalogReader(database).read()
            let sql = try await SQLProbe(database, catalog: catalog, settings: settings).run(progress: progress)
            let http = try await HTTPProbe(
                target, database: database, catalog: catalog, settings: settings, callsAllFunctions: callsAllFunctions
            ).run(quietFunctions: sql.quietFunctions, on: loop, progress: progress)
            return (sql.crossings, http)
        }
    }

    /// A command under way, and what it has printed.
    struct Command: Sendable {
        let process: ChildProcess
        let file: String
        var output: String { FileSystem.read(file, maxBytes: 1 << 20) ?? "" }
    }

    /// Begins a command, and returns when it says that it is at a part of the check.
    func begin(_ arguments: [String], until part: String) async throws -> Command {
        let file = "\(atoll.folder)/command.log"
        let command = Command(process: try atoll.begin(arguments, output: file), file: file)
        try await eventually("the check is at \(part)", within: .seconds(60)) {
            command.output.split(separator: "\n").contains { $0 == part } || command.process.reap() != nil
        }
        return command
    }

    /// Runs statements as the administrator; the first column of the last one's only row.
    @discardableResult
    func exec(_ statements: String...) async throws -> String? {
        let queries = statements.map { PostgresQuery(sql: $0) }
        return try await withDatabase { _, database in
            try await database.withTransaction { transaction in
                var last: PostgresResult?
                for query in queries { last = try await transaction.query(query) }
                return last?.onlyRow?[0].string
            }
        }
    }

    private func withDatabase<T: Sendable>(
        _ body: @Sendable @escaping (Loop, Database) async throws -> T
    ) async throws -> T {
        let address = address
        return try await Loop.withLoop { loop in
            let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: Log(level: .error))
            let result: Result<T, any Error>
            do { result = .success(try await body(loop, database)) } catch { result = .failure(error) }
            await database.shutdown()
            return try result.get()
        }
    }

    /// What a probe's accounts could have left, as counts in one text: all noughts when nothing stays.
    func traces() async throws -> String? {
        try await exec(
            """
            select concat_ws(' ',
                (select count(*) from auth.users), (select count(*) from tenancy.tenants),
                (select count(*) from tenancy.audit_log), (select count(*) from tenancy.secrets),
                (select count(*) from storage.objects), (select count(*) from storage.usage),
                (select count(*) from storage.buckets where id like '%probe%'), (select count(*) from vectors.collections),
                (select count(*) from vectors.points))
            """)
    }
}
