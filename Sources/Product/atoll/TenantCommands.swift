// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc
internal import Platform
internal import Postgres
internal import Primitives
internal import Processes
internal import Server
internal import Storage
internal import Tenancy

/// `atoll tenants`: the operator's look at tenants.
enum TenantCommands {
    // MARK: Reading

    private static let selection: PostgresQuery = """
        select
            t.id, t.name, t.slug, t.personal, t.plan, t.status, t.isolation, p.email as owner, t.owner_id,
            (select count(*) from tenancy.members as m where m.tenant_id = t.id) as members,
            t.suspended_by, t.suspension_reason, t.created_at, t.deleted_at, t.purge_at
        from tenancy.tenants as t
        left join tenancy.profiles as p on p.user_id = t.owner_id

        """

    static func list(_ invocation: Invocation) throws -> Int32 {
        let database = try ProjectDatabase(invocation)
        let status = invocation.value("status")
        let search = invocation.value("search").map { "%\($0)%" }
        let limit = try count(invocation, "limit") ?? 100
        let rows = try database.use { connection in
            try await connection.query(
                selection + """
                    where (\(status)::text is null or t.status = \(status))
                        and (
                            \(search)::text is null or t.name ilike \(search) or t.slug ilike \(search)
                            or p.email ilike \(search)
                        )
                    order by t.created_at desc, t.id
                    limit \(limit)
                    """
            ).rows.map(tenant)
        }
        if OutputFormat(invocation) == .json {
            Output.print(JSON.array(rows.map(JSON.object)).text)
        } else if rows.isEmpty {
            Output.print("No tenants.")
        } else {
            Output.print(table(rows))
        }
        return 0
    }

    static func show(_ invocation: Invocation) throws -> Int32 {
        let id = try named(invocation)
        let found = try ProjectDatabase(invocation).use { connection in
            try await connection.query(selection + "where t.id = \(id)").onlyRow.map(tenant)
        }
        guard let found else { throw missing(id) }
        Output.print(OutputFormat(invocation).text(found))
        return 0
    }

    private static func tenant(_ row: PostgresRow) -> JSONObject {
        var members: JSONObject = [:]
        for name in [
            "id", "name", "slug", "owner", "owner_id", "plan", "status", "isolation", "suspended_by",
            "suspension_reason", "created_at", "deleted_at", "purge_at",
        ] {
            if let text = row[name].string { members[name] = .string(text) }
        }
        members["personal"] = .bool(row["personal"].bool ?? false)
        members["members"] = JSON(row["members"].int ?? 0)
        return members
    }

    /// Columns as wide as their longest value.
    private static func table(_ rows: [JSONObject]) -> String {
        let columns = ["id", "name", "owner", "members", "plan", "status"]
        let cells =
            [columns.map { $0.uppercased() }]
            + rows.map { row in columns.map { row[$0].map { $0.stringValue ?? $0.text } ?? "" } }
        let widths = columns.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { line in
            var text = ""
            for (cell, width) in zip(line, widths) {
                text += cell + String(repeating: " ", count: width - cell.count + 2)
            }
            return String(text.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }

    // MARK: Changing

    /// `suspend`, `resume`, `delete`, `restore`.
    static func change(_ action: String) -> @Sendable (Invocation) throws -> Int32 {
        { invocation in
            let id = try named(invocation)
            let reason = invocation.value("reason")
            let changed = try ProjectDatabase(invocation).use { connection in
                try await connection.run(
                    WorkUnit(queries: [
                        "select from tenancy.administer_tenant(\(id), \(action), \(reason))",
                        selection + "where t.id = \(id)",
                    ])
                ).last?.onlyRow.map(tenant)
            }
            guard let changed else { throw missing(id) }
            Output.print(OutputFormat(invocation).text(changed))
            return 0
        }
    }

    static func plan(_ invocation: Invocation) throws -> Int32 {
        let id = try named(invocation)
        let plan = invocation.argument(1) ?? ""
        let (changed, plans) = try ProjectDatabase(invocation).use { connection in
            let results = try await connection.run(
                WorkUnit(queries: [
                    """
                    update tenancy.tenants as t
                    set plan = p.name
                    from tenancy.plans as p
                    where t.id = \(id) and p.name = \(plan)
                    """, selection + "where t.id = \(id)", "select name from tenancy.plans order by name",
                ]))
            return (
                results[0].affectedRows == 1 ? results[1].onlyRow.map(tenant) : nil,
                results[2].rows.compactMap { $0["name"].string }
            )
        }
        guard let changed else {
            guard plans.contains(plan) else {
                throw CommandFailure(
                    "there is no plan \"\(plan)\"", next: "choose one of \(plans.joined(separator: ", "))")
            }
            throw missing(id)
        }
        Output.print(OutputFormat(invocation).text(changed))
        return 0
    }

    // MARK: Exporting

    static func export(_ invocation: Invocation) throws -> Int32 {
        let id = try named(invocation)
        let database = try ProjectDatabase(invocation)
        guard let path = invocation.value("output") else {
            throw UsageError(message: "--output is needed", next: "add --output tenant.tar, or another file to write")
        }
        guard invocation.has("force") || !FileSystem.exists(path) else {
            throw CommandFailure("\(path) is there already", next: "name another file, or add --force")
        }
        // Only the operator may read it: it holds everything of somebody.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure("cannot write \(path): \(String(cString: strerror(errno)))", next: "see its folder")
        }
        defer { close(descriptor) }
        let progress = ProgressLine()
        progress.begin("exporting to \(path)")
        let report: TenantExport.Report
        do {
            report = try database.use { connection in
                guard try await connection.query("select from tenancy.tenants where id = \(id)").rowCount == 1 else {
                    throw missing(id)
                }
                let files = try database.project.flatMap { project in
                    project.configuration.storage.enabled
                        ? try ProjectFiles(project, loops: Loop.current.map { [$0] } ?? []) : nil
                }
                var readObject: TenancyParts.ReadObject?
                if let store = files?.store {
                    readObject = { version, range, take in try await store.read(version, range, take) }
                }
                let result: Result<TenantExport.Report, any Error>
                do {
                    let export = TenantExport(
                        of: id, by: .administrator, database: connection, timeout: .seconds(3600),
                        readObject: readObject)
                    result = .success(try await export.write { try write($0, to: descriptor, path) })
                } catch { result = .failure(error) }
                await files?.shutdown()
                return try result.get()
            }
        } catch {
            progress.fail()
            unlink(path)
            throw error
        }
        guard fsync(descriptor) == 0 else {
            throw CommandFailure("cannot write \(path): \(String(cString: strerror(errno)))", next: "see the disk")
        }
        progress.finish()
        let rows = report.rows.reduce(0) { $0 + $1.count }
        Output.print("\(path): \(rows) rows and \(report.fileCount) files (\(report.fileBytes) bytes)")
        for missing in report.missing { Output.printError("its content is not there: \(missing)") }
        return report.missing.isEmpty ? 0 : 1
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws {
        var rest = ArraySlice(bytes)
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw CommandFailure("cannot write \(path): \(String(cString: strerror(errno)))", next: "see the disk")
            }
            rest = rest.dropFirst(count)
        }
    }

    // MARK: Arguments

    private static func named(_ invocation: Invocation) throws -> UUID {
        let text = invocation.argument(0) ?? ""
        guard let id = UUID(text) else {
            throw UsageError(message: "\"\(text)\" is no tenant's id", next: "`atoll tenants list` shows them")
        }
        return id
    }

    private static func missing(_ id: UUID) -> CommandFailure {
        CommandFailure("there is no tenant \(id)", next: "`atoll tenants list` shows them")
    }

    private static func count(_ invocation: Invocation, _ option: String) throws -> Int? {
        guard let text = invocation.value(option) else { return nil }
        guard let number = Int(text), (1...100_000).contains(number) else {
            throw UsageError(message: "--\(option) cannot be \"\(text)\"", next: "write a number from 1 to 100000")
        }
        return number
    }

    private static let id = Command.Argument(name: "ID", summary: "the tenant's id")
    private static let reason = Command.Option(
        name: "reason", value: "TEXT", summary: "why, for its members and the audit log")

    static let commands: [Command] = [
        Command(
            name: "list", summary: "Print tenants, the newest first.",
            options: [
                .init(
                    name: "status", value: "STATUS", summary: "only those of a status",
                    choices: ["active", "suspended", "deleted"]),
                .init(
                    name: "search", value: "TEXT",
                    summary: "only those with this in their name, slug or owner's address"),
                .init(name: "limit", value: "COUNT", summary: "how many at most; 100 by default"),
                IsolationCommands.databaseOption,
            ], run: list),
        Command(
            name: "show", summary: "Print one tenant.", arguments: [id], options: [IsolationCommands.databaseOption],
            run: show),
        Command(
            name: "plan", summary: "Give a tenant another plan.",
            arguments: [id, .init(name: "PLAN", summary: "the plan, such as pro")],
            options: [IsolationCommands.databaseOption], run: plan),
        Command(
            name: "suspend", summary: "Close a tenant to its members.",
            discussion: "At once, also to tokens that were issued before. Its owner cannot open it again.",
            arguments: [id], options: [reason, IsolationCommands.databaseOption], run: change("suspend")),
        Command(
            name: "resume", summary: "Open a suspended tenant again.", arguments: [id],
            options: [IsolationCommands.databaseOption], run: change("resume")),
        Command(
            name: "delete", summary: "Delete a team.",
            discussion:
                "It is closed at once, and everything of it is removed when `[atoll.tenancy] deletion_grace` is over: rows, files, vectors, keys. Export it first.",
            arguments: [id], options: [IsolationCommands.databaseOption], run: change("delete")),
        Command(
            name: "restore", summary: "Take a deletion back.",
            discussion: "As long as the tenant has not been removed.", arguments: [id],
            options: [IsolationCommands.databaseOption], run: change("restore")),
        Command(
            name: "export", summary: "Write everything of a tenant into a tar archive.",
            discussion:
                "Rows as JSON, a line each, and files as they are; of secrets the names alone. Rows are those that carry the tenant's id, those of its own schema, and what its owner sees under row level security. `manifest.json` stands last: an archive without it is not whole.",
            arguments: [id],
            options: [
                .init(name: "output", letter: "o", value: "FILE", summary: "the archive to write; required"),
                .init(name: "force", summary: "write the file also when it is there"),
                IsolationCommands.databaseOption,
            ], run: export),
    ]

    static let tenants = Command(
        name: "tenants", summary: "Look after tenants.", commands: commands + [TenantMigrateCommand.command])
}
