// SPDX-License-Identifier: Apache-2.0
internal import Isolation
internal import Platform
internal import Primitives

/// `atoll isolation check` and `atoll db advisors`
enum IsolationCommands {
    static func check(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        let settings = LintSettings(database.project)
        let progress = ProgressLine()
        progress.begin("reading the catalogue")
        let onlyLints = invocation.has("lints-only")
        let report = try database.use { connection in
            let catalog = try await CatalogReader(connection).read()
            let findings = Lint.run(on: catalog, settings)
            guard !onlyLints else { return IsolationReport(findings: findings, crossings: []) }
            let crossings = try await SQLProbe(connection, catalog: catalog, settings: settings).run()
            return IsolationReport(findings: findings, crossings: crossings)
        }
        progress.finish()
        let format = invocation.value("format").flatMap(IsolationReport.Format.init(rawValue:)) ?? .table
        Output.print(report.text(format))
        return report.fails(at: failureLevel(invocation, otherwise: .error)) ? 1 : 0
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
                    "Reads the catalogue for \(Lint.all.count) lints, then makes two probe tenants with rows in every table, of whom one tries to read, add, change, move and delete what is the other's. All of that is one transaction that is undone. Exits with 1 when anything crossed or a lint of the level of --fail-on fired (error by default).",
                options: [
                    .init(
                        name: "format", value: "FORMAT",
                        summary: "how the report is printed: table, json, junit, sarif",
                        choices: IsolationReport.Format.allCases.map(\.rawValue)),
                    failOption, databaseOption,
                    .init(name: "lints-only", summary: "try nothing, only read the catalogue"),
                ], run: check)
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
