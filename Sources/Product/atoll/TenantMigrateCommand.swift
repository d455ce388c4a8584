// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Postgres
internal import Primitives
internal import Tenancy

/// `atoll tenants migrate`
enum TenantMigrateCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let connection = try ProjectDatabase(invocation)
        let folder = try ProjectFolder.find(from: invocation.workdir)
        let templates = try TenantTemplates(folder: "\(folder.supabaseFolder)/tenants")
        for name in templates.skipped {
            Output.printError("supabase/tenants/\(name) is skipped: templates are named <digits>_<name>.sql")
        }
        guard let parallel = Int(invocation.value("parallel") ?? "4"), (1...64).contains(parallel) else {
            throw UsageError(message: "--parallel takes a number from 1 to 64", next: "4 is the default")
        }
        let isDry = invocation.has("dry-run")
        let report = try connection.use(connections: parallel) { database in
            let schemas = TenantSchemas(database: database)
            if isDry {
                return (try await schemas.behind(templates), TenantSchemas.Report())
            }
            do {
                try await schemas.prepareShape(templates)
            } catch let error as MigrationError {
                throw CommandFailure(error.message, next: "mend it; no tenant was changed")
            }
            let tenants = try await schemas.behind(templates)
            let bar = ProgressBar("tenants", total: tenants.count)
            let report = try await schemas.migrate(tenants, to: templates, parallel: parallel) { failure in
                bar.advance(failed: failure != nil)
            }
            bar.finish()
            return (tenants, report)
        }
        Output.print(
            OutputFormat(invocation) == .json
                ? json(report.0, report.1, isDry, templates).text : text(report.0, report.1, isDry, templates))
        return report.1.failures.isEmpty ? 0 : 1
    }

    /// Failures that are listed; the others are in `tenancy.tenant_schemas`.
    private static let maxListed = 20

    private static func text(
        _ tenants: [UUID], _ report: TenantSchemas.Report, _ isDry: Bool, _ templates: TenantTemplates
    ) -> String {
        let newest = templates.newest ?? "no template"
        guard !isDry else { return "\(tenants.count) tenants are behind \(newest)" }
        var lines = ["\(report.migrated) of \(tenants.count) tenants brought to \(newest)"]
        lines += report.failures.prefix(maxListed).map { "failed  \($0.tenant)  \($0.message)" }
        if report.failures.count > maxListed {
            lines.append("and \(report.failures.count - maxListed) more: see tenancy.tenant_schemas")
        }
        if !report.failures.isEmpty { lines.append("They stay as they were; run this again for the rest.") }
        return lines.joined(separator: "\n")
    }

    private static func json(
        _ tenants: [UUID], _ report: TenantSchemas.Report, _ isDry: Bool, _ templates: TenantTemplates
    ) -> JSON {
        [
            "version": JSON(templates.newest), "behind": JSON(tenants.count), "dry_run": .bool(isDry),
            "migrated": JSON(report.migrated),
            "failures": .array(
                report.failures.map { ["tenant": .string($0.tenant.description), "error": .string($0.message)] }),
        ]
    }

    static let command = Command(
        name: "migrate", summary: "Bring tenants' own schemas to the newest templates.",
        discussion:
            "Applies what is new in supabase/tenants/*.sql, each tenant in one transaction, several at a time. A tenant that fails stays as it was and keeps nobody else; run it again for the rest. Exits with 1 when one failed.",
        options: [
            .init(name: "parallel", value: "COUNT", summary: "tenants at a time, from 1 to 64; 4 by default"),
            .init(name: "dry-run", summary: "only say how many tenants are behind"),
            IsolationCommands.databaseOption,
        ], run: run)
}
