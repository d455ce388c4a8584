// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Postgres
internal import Primitives
internal import Tenancy

/// Makes tenants' own schemas from the templates in the project's folder.
struct TenantSchemaMaker: Sendable {
    let directory: TenantDirectory
    private let schemas: TenantSchemas
    private let database: Database
    private let folder: String
    private let isolation: ProjectConfiguration.Atoll.Tenancy.Isolation
    private let log: Log

    /// - Parameters:
    ///   - owner: logs in as the owner of the project's objects.
    ///   - requests: logs in as `authenticator`.
    init(
        _ project: Project, _ owner: PostgresAddress, requests: Database, loops: [Loop], log: Log, metrics: Metrics
    ) throws {
        let settings = project.configuration.atoll
        var configuration = DatabaseConfiguration(settings.database, owner)
        configuration.connectionsPerLoop = settings.tenancy.schemaConnections
        configuration.lanesPerLoop = 0
        database = try Database(configuration, loops: loops, log: log, metrics: metrics, name: "schemas")
        schemas = TenantSchemas(database: database)
        directory = TenantDirectory(database: requests)
        folder = Self.folder(project)
        isolation = settings.tenancy.isolation
        self.log = log
    }

    static func folder(_ project: Project) -> String { "\(project.supabaseFolder)/tenants" }

    /// Applies new templates to the shape that all tenants have, and says which mode new tenants have. A template that fails keeps nobody
    /// from working with the shape as it was.
    func prepare() async throws {
        _ = try await database.query(
            """
            insert into tenancy.options (name, value)
            values ('isolation', \(isolation.rawValue))
            on conflict (name) do update set value = excluded.value
            """)
        do {
            let templates = try TenantTemplates(folder: folder)
            for name in templates.skipped {
                log.warning("tenant template skipped", .field("file", name))
            }
            let count = try await schemas.prepareShape(templates)
            if count > 0 { log.info("tenant templates applied", .field("count", count)) }
        } catch let error as MigrationError {
            log.error("tenant templates not applied", .field("error", error.message))
        }
    }

    /// Brings one tenant to the newest templates.
    func make(_ tenant: UUID) async throws -> (schema: String, version: String?) {
        let templates = try TenantTemplates(folder: folder)
        let schema: String
        do {
            try await schemas.prepareShape(templates)
            schema = try await schemas.migrate(tenant, to: templates)
        } catch let error as MigrationError {
            try await schemas.note(error.message, of: tenant)
            throw error
        }
        directory.forget(tenant)
        return (schema, templates.newest)
    }

    func shutdown() async { await database.shutdown() }
}
