// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc
internal import HTTPClient
internal import Isolation
internal import Platform
internal import Primitives
internal import Processes

/// `atoll isolation check` and `atoll db advisors`
enum IsolationCommands {
    static func check(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        let settings = LintSettings(database.project)
        let onlyLints = invocation.has("lints-only")
        let server = onlyLints || invocation.has("offline") ? nil : try server(invocation, database)
        let callsAll = invocation.has("all-functions")
        let line = ProbeLine()
        let progress = ProbeProgress { channel, done, total in line.show(channel, done, of: total) }
        line.show("reading the catalogue", 0, of: 0)
        let report: IsolationReport
        do {
            // One connection more than the probe's own: it holds the lock by which checks know of each other.
            report = try database.use(connections: 2) { connection in
                guard let loop = Loop.current else { throw CommandFailure("the check runs on a loop", next: "") }
                let signals = try SignalSource([SIGINT, SIGTERM, SIGHUP], on: loop) { _ in
                    // Whoever asks twice does not want to wait for the traces to be removed.
                    if line.isStopping { exit(130) }
                    line.stop()
                    progress.stop()
                }
                defer { signals.close(on: loop) }
                let proof = IsolationProof(
                    connection, settings: settings, server: server, callsAllFunctions: callsAll)
                return try await onlyLints ? proof.inspect() : proof.run(on: loop, progress: progress)
            }
        } catch let interruption as ProbeInterrupted {
            line.end()
            Output.printError("\(interruption)")
            return 130
        } catch let error as ProbeError {
            line.end()
            throw CommandFailure(
                error.description, next: "see `atoll status`; --offline leaves out what needs the server")
        } catch let error as HTTPClientError {
            line.end()
            throw CommandFailure(
                "the server could not be asked: \(error)",
                next: "see `atoll status`; what the check has made is taken away by `atoll isolation clean`")
        }
        line.end()
        let format = invocation.value("format").flatMap(IsolationReport.Format.init(rawValue:)) ?? .table
        Output.print(report.text(format, sources: sources(of: database.project)))
        if invocation.has("complete"), !report.isComplete { return 1 }
        return report.fails(at: failureLevel(invocation, otherwise: .error)) ? 1 : 0
    }

    /// The SQL of the project's migrations; nothing for a database without a project.
    private static func sources(of project: Project?) -> SchemaSources {
        guard let folder = project?.folder else { return SchemaSources() }
        let names = FileSystem.entries(of: "\(folder)/supabase/migrations").filter { $0.hasSuffix(".sql") }.sorted()
        return SchemaSources(
            names.compactMap { name in
                let path = "supabase/migrations/\(name)"
                return FileSystem.read("\(folder)/\(path)", maxBytes: 8 << 20).map { (path, $0) }
            })
    }

    static func clean(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        guard let server = try server(invocation, database) else {
            throw CommandFailure("no server is known", next: "name the server of the database with --url")
        }
        let left: [String]
        do {
            left = try database.use(connections: 2) { connection in
                guard let loop = Loop.current else { throw CommandFailure("the command runs on a loop", next: "") }
                let catalog = try await CatalogReader(connection).read()
                return try await HTTPProbe.clean(server, database: connection, catalog: catalog, on: loop)
            }
        } catch let error as ProbeError {
            throw CommandFailure(error.description, next: "wait for its end; it takes away what it has made by itself")
        }
        for trace in left { Output.printError("could not be taken away: \(trace)") }
        return left.isEmpty ? 0 : 1
    }

    /// The server to send requests to: the one that `--url` names, else the running project's; nil where there is neither.
    private static func server(_ invocation: Invocation, _ database: ProjectDatabase) throws -> ProbeServer? {
        if let url = invocation.value("url") {
            func key(_ name: String) throws -> SecretString {
                for variable in ["ATOLL_\(name)", "SUPABASE_\(name)"] {
                    if let value = getenv(variable) { return SecretString(String(cString: value)) }
                }
                throw CommandFailure(
                    "the keys of the server at \(url) are not known",
                    next: "set ATOLL_ANON_KEY and ATOLL_SERVICE_ROLE_KEY in the environment")
            }
            return ProbeServer(
                url: url.hasSuffix("/") ? String(url.dropLast()) : url, anonKey: try key("ANON_KEY"),
                serviceKey: try key("SERVICE_ROLE_KEY"),
                projectID: getenv("ATOLL_PROJECT_ID").map { String(cString: $0) } ?? "atoll")
        }
        guard let project = database.project else { return nil }
        var server = ProbeServer(
            url: project.localURL, anonKey: project.secrets.anonKey, serviceKey: project.secrets.serviceRoleKey,
            projectID: project.configuration.projectID)
        server.certificateAuthorityFile = project.configuration.api.tls.certificatePath.map(project.path)
        return server
    }

    static func advisors(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        let settings = LintSettings(database.project)
        let findings = try database.use { connection in
            Lint.run(on: try await CatalogReader(connection).read(), settings)
        }
        let least = level(invocation.value("level")) ?? .warning
        let type = invocation.value("type") ?? "all"
        let shown = findings.filter { finding in
            finding.level >= least && (type == "all" || finding.lint.category.rawValue.lowercased() == type)
        }
        if OutputFormat(invocation) == .json {
            Output.print(JSON.array(shown.map(\.json)).text)
        } else if shown.isEmpty {
            Output.print("Nothing found.")
        } else {
            Output.print(IsolationReport.lines(of: shown).joined(separator: "\n"))
        }
        guard let failing = failureLevel(invocation, otherwise: nil) else { return 0 }
        return shown.contains { $0.level >= failing } ? 1 : 0
    }

    private static func failureLevel(_ invocation: Invocation, otherwise: Finding.Level?) -> Finding.Level? {
        guard let word = invocation.value("fail-on") else { return otherwise }
        return level(word)
    }

    /// Nil for `none`.
    private static func level(_ word: String?) -> Finding.Level? {
        switch word {
        case "info": .info
        case "warn": .warning
        case "error": .error
        default: nil
        }
    }

    static let failOption = Command.Option(
        name: "fail-on", value: "LEVEL", summary: "the least level that makes the exit code 1",
        choices: ["none", "info", "warn", "error"])
    static let databaseOption = Command.Option(
        name: "db-url", value: "URL", summary: "another database than the running project's, as an administrator")

    static let isolation = Command(
        name: "isolation", summary: "Prove that tenants are kept apart.",
        commands: [
            Command(
                name: "check", summary: "Look for ways from one tenant to another's data, and try them.",
                discussion:
                    "Reads the catalogue for \(Lint.all.count) lints. Then two probe tenants with rows in every table are made, of whom one tries to read, add, change, move and delete what is the other's: first by SQL in one transaction that is undone, then over HTTP on the running server with two accounts at @probe.invalid, which are removed again with all that is theirs. Exits with 1 when anything crossed or a lint of the level of --fail-on fired (error by default), with 130 when it was interrupted. With --url the keys are taken from ATOLL_ANON_KEY and ATOLL_SERVICE_ROLE_KEY.",
                options: [
                    .init(
                        name: "format", value: "FORMAT",
                        summary: "how the report is printed: table, json, junit, sarif",
                        choices: IsolationReport.Format.allCases.map(\.rawValue)),
                    failOption, databaseOption,
                    .init(name: "url", value: "URL", summary: "the server of the database that --db-url names"),
                    .init(name: "offline", summary: "try by SQL only, nothing over HTTP"),
                    .init(name: "complete", summary: "exit with 1 also when something could not be tried"),
                    .init(name: "lints-only", summary: "try nothing, only read the catalogue"),
                    .init(
                        name: "all-functions",
                        summary: "call functions that write over HTTP too; for databases without real tenants"),
                ], run: check),
            Command(
                name: "clean", summary: "Take away what a check that was killed has left.",
                discussion:
                    "Removes the accounts at @probe.invalid with all that is theirs. The next check does so too. Exits with 1 when something is left, which it names.",
                options: [
                    databaseOption,
                    .init(name: "url", value: "URL", summary: "the server of the database that --db-url names"),
                ], run: clean),
        ])

    static let database = Command(
        name: "db", summary: "Look after the project's database.",
        commands: [
            Command(
                name: "advisors", summary: "Look for security and performance faults in the schema.",
                discussion:
                    "The lints of the public database advisors, under their names, and those that `atoll isolation check` adds.",
                options: [
                    .init(
                        name: "type", value: "TYPE", summary: "which lints",
                        choices: ["all", "security", "performance"]),
                    .init(
                        name: "level", value: "LEVEL", summary: "the least level that is shown; warn by default",
                        choices: ["info", "warn", "error"]),
                    failOption, databaseOption,
                    .init(name: "local", summary: "the running project's database, which is the default"),
                ], run: advisors)
        ])
}

extension LintSettings {
    /// What a project's configuration says; defaults for a database without one.
    fileprivate init(_ project: Project?) {
        self.init()
        guard let configuration = project?.configuration else { return }
        exposedSchemas = configuration.api.schemas
        allowsAnonymousSignIns = configuration.auth.enableAnonymousSignIns
        arePlansServed = configuration.atoll.rest.showsPlans
        accessTokenSeconds = Int(configuration.auth.jwtExpiry.components.seconds)
    }
}
