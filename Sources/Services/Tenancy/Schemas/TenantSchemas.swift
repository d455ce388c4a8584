// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import Platform
package import Postgres
package import Primitives
internal import Synchronization

/// Makes the schemas of tenants in schema mode from the project's templates and brings them to the newest version, each tenant in
/// one transaction.
package struct TenantSchemas: Sendable {
    private let database: Database

    /// - Parameter database: logs in as `postgres`, the owner of the project's objects, or as an administrator who may become it.
    package init(database: Database) {
        self.database = database
    }

    /// A tenant whose schema could not be brought to the newest version; what it had stands as it was.
    package struct Failure: Sendable {
        package let tenant: UUID
        /// Fit for whoever writes the templates.
        package let message: String
    }

    /// What a migration of all tenants has come to.
    package struct Report: Sendable {
        package var migrated = 0
        package var failures: [Failure] = []

        package init() {}
    }

    // MARK: The shape

    /// Applies new templates to the shape that all tenants have in common.
    ///
    /// - Returns: how many were new.
    /// - Throws: `MigrationError` when one fails, was changed since it was applied, or is gone.
    @discardableResult
    package func prepareShape(_ templates: TenantTemplates) async throws -> Int {
        try await database.withTransaction(role: Bootstrap.projectRole) { transaction in
            let results = try await transaction.run([
                "select pg_advisory_xact_lock(hashtextextended('atoll.tenant_templates', 0))",
                "select version, name, checksum from tenancy.template_versions order by version",
            ])
            let pending = try Self.pending(templates, applied: results[1])
            guard !pending.isEmpty else { return 0 }
            try await transaction.run([Self.searchPath(TenantDirectory.template)])
            for template in pending {
                try await transaction.run(
                    script: SQLScript(template.migration.sql), label: "template \(template.migration.label)")
                try await transaction.query(
                    """
                    insert into tenancy.template_versions (version, name, checksum)
                    values (\(template.migration.version), \(template.migration.name), \(template.checksum))
                    """)
            }
            return pending.count
        }
    }

    private static func pending(
        _ templates: TenantTemplates, applied: PostgresResult
    ) throws(MigrationError) -> [TenantTemplates.Template] {
        let known = Dictionary(
            templates.templates.map { ($0.migration.version, $0) }, uniquingKeysWith: { first, _ in first })
        for row in applied.rows {
            let version = row["version"].string ?? ""
            let label = "\(version)_\(row["name"].string ?? "")"
            guard let template = known[version] else {
                throw MigrationError(.missing, "template \(label) was applied, but its file is gone; restore it")
            }
            guard template.checksum == row["checksum"].string else {
                throw MigrationError(
                    .changed,
                    "template \(label) has changed since it was applied; restore its text and put the change into a new template"
                )
            }
        }
        let newest = applied.rows.compactMap { $0["version"].string }.max()
        let pending = templates.templates.filter { template in
            !applied.rows.contains { $0["version"].string == template.migration.version }
        }
        if let newest, let first = pending.first, first.migration.version < newest {
            throw MigrationError(
                .outOfOrder,
                "template \(first.migration.label) is new but sorts before \(newest), which was already applied; give it a later version"
            )
        }
        return pending
    }

    // MARK: One tenant

    /// Makes a tenant's schema, or brings it to the newest version. Two at once wait for each other.
    ///
    /// - Parameter isOneOfMany: whether the commit need not wait for the disk, as a later one will: what a crash takes back is done again
    ///   by the next run, as a whole.
    /// - Returns: the schema's name.
    /// - Throws: `MigrationError`, with everything as it was; `PostgresError`.
    package func migrate(
        _ tenant: UUID, to templates: TenantTemplates, isOneOfMany: Bool = false
    ) async throws -> String {
        try await database.withTransaction(
            role: Bootstrap.projectRole, settings: isOneOfMany ? [("synchronous_commit", "off")] : []
        ) { transaction in
            let results = try await transaction.run([
                "select set_config('atoll.migrates_tenant', 'on', true), set_config('atoll.tenant_id', \(tenant)::text, true)",
                "select tenancy.make_schema(\(tenant))",
                "select version from tenancy.tenant_schema_versions where tenant_id = \(tenant)",
            ])
            guard let schema = results[1].onlyRow?[0].string else {
                throw MigrationError(.failed, "the tenant has no schema of its own")
            }
            let applied = Set(results[2].rows.compactMap { $0[0].string })
            let pending = templates.templates.filter { !applied.contains($0.migration.version) }
            if !pending.isEmpty { try await transaction.run([Self.searchPath(schema)]) }
            for template in pending {
                try await transaction.run(
                    script: SQLScript(template.migration.sql), label: "template \(template.migration.label)")
            }
            try await transaction.run(Self.conclusion(tenant, schema, pending, newest: templates.newest))
            return schema
        }
    }

    /// What templates name without a schema is the tenant's, or of an extension; never of `public`, where a table of the same name
    /// would belong to all.
    private static func searchPath(_ schema: String) -> PostgresQuery {
        "select set_config('search_path', \(quoteIdentifier(schema) + ", extensions, pg_temp"), true)"
    }

    private static func conclusion(
        _ tenant: UUID, _ schema: String, _ pending: [TenantTemplates.Template], newest: String?
    ) -> [PostgresQuery] {
        var queries: [PostgresQuery] = []
        if !pending.isEmpty {
            queries.append("select tenancy.grant_schema(\(schema)::name)")
            queries.append(
                """
                insert into tenancy.tenant_schema_versions (tenant_id, version, checksum)
                select \(tenant), version, checksum
                from unnest(\(pending.map(\.migration.version))::text[], \(pending.map(\.checksum))::text[])
                    as applied (version, checksum)
                """)
        }
        queries.append(
            """
            update tenancy.tenant_schemas
            set version = \(newest ?? ""), status = 'ready', error = null, attempts = attempts + 1
            where tenant_id = \(tenant)
            """)
        return queries
    }

    // MARK: All tenants

    /// The tenants in schema mode that are not at the newest version, without those that were deleted.
    package func behind(_ templates: TenantTemplates) async throws -> [UUID] {
        let results = try await database.run(
            WorkUnit(
                role: Bootstrap.projectRole,
                queries: [
                    """
                    select t.id
                    from tenancy.tenants as t
                    left join tenancy.tenant_schemas as s on s.tenant_id = t.id
                    where t.isolation = 'schema'
                        and t.status <> 'deleted'
                        and (s.version is distinct from \(templates.newest ?? "") or s.status <> 'ready')
                    order by t.id
                    """
                ]))
        return results[0].rows.compactMap { $0[0].uuid }
    }

    /// Brings tenants to the newest version, several at a time. One that fails does not keep the others; what is done stays done when
    /// this is interrupted, and the next run goes on with the rest.
    ///
    /// - Parameters:
    ///   - parallel: how many at a time; the database should have as many connections.
    ///   - progress: told of each tenant as it is done, on the loop this is called on.
    package func migrate(
        _ tenants: [UUID], to templates: TenantTemplates, parallel: Int,
        progress: @escaping @Sendable (_ failure: Failure?) -> Void
    ) async throws -> Report {
        guard let loop = Loop.current else { return Report() }
        let work = SharedMigration(tenants)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<max(1, min(parallel, tenants.count)) {
                group.addTask(executorPreference: loop) {
                    while let tenant = work.next() {
                        let failure = try await attempt(tenant, templates)
                        work.note(failure)
                        progress(failure)
                    }
                }
            }
            try await group.waitForAll()
        }
        // This commit waits for the disk, and so for all before it.
        try await noteMigration()
        return work.report
    }

    private func noteMigration() async throws {
        _ = try await database.run(
            WorkUnit(
                role: Bootstrap.projectRole,
                queries: [
                    """
                    insert into tenancy.options (name, value)
                    values ('tenants_migrated_at', now()::text)
                    on conflict (name) do update set value = excluded.value
                    """
                ]))
    }

    /// - Throws: what is wrong with the database as a whole.
    private func attempt(_ tenant: UUID, _ templates: TenantTemplates) async throws -> Failure? {
        let message: String
        do {
            _ = try await migrate(tenant, to: templates, isOneOfMany: true)
            return nil
        } catch let error as MigrationError {
            message = error.message
        } catch let error as PostgresError where error.code == .server {
            message = error.message
        }
        try await note(message, of: tenant)
        return Failure(tenant: tenant, message: message)
    }

    /// Keeps why a tenant's schema is not at the newest version, for `tenants list` and the tenant's admins.
    package func note(_ failure: String, of tenant: UUID) async throws {
        _ = try await database.run(
            WorkUnit(
                role: Bootstrap.projectRole,
                queries: [
                    """
                    insert into tenancy.tenant_schemas as s (tenant_id, schema_name, status, error, attempts)
                    select t.id, tenancy.schema_name(t.id), 'failed', left(\(failure), 4096), 1
                    from tenancy.tenants as t
                    where t.id = \(tenant)
                    on conflict (tenant_id) do update
                    set status = 'failed', error = excluded.error, attempts = s.attempts + 1
                    """
                ]))
    }
}

/// The tenants that several workers bring to the newest version, and what has come of it.
private final class SharedMigration: Sendable {
    private let state: Mutex<(rest: ArraySlice<UUID>, report: TenantSchemas.Report)>

    init(_ tenants: [UUID]) { state = Mutex((tenants[...], TenantSchemas.Report())) }

    var report: TenantSchemas.Report { state.withLock { $0.report } }

    func next() -> UUID? { state.withLock { $0.rest.popFirst() } }

    func note(_ failure: TenantSchemas.Failure?) {
        state.withLock { state in
            if let failure { state.report.failures.append(failure) } else { state.report.migrated += 1 }
        }
    }
}
