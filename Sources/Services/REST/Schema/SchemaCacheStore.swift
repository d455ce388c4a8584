// SPDX-License-Identifier: Apache-2.0
package import Postgres
package import Primitives
internal import Synchronization

/// Holds the schema cache in force and replaces it as a whole; requests under way keep the one they began with.
package final class SchemaCacheStore: Sendable {
    let database: Database
    private let configuration: RESTConfiguration
    let log: Log
    private let current = Mutex<SchemaCache?>(nil)

    package init(database: Database, configuration: RESTConfiguration, log: Log) {
        self.database = database
        self.configuration = configuration
        self.log = log
    }

    /// The cache in force; read on first use when ``run()`` has not read it yet.
    ///
    /// - Throws: ``RESTError`` `schemaCacheUnavailable`.
    func cache() async throws(RESTError) -> SchemaCache {
        if let cache = current.withLock({ $0 }) { return cache }
        do {
            return try await load()
        } catch {
            log.warning("rest.schema_cache_failed", .field("error", error.description))
            throw .schemaCacheUnavailable
        }
    }

    /// The cache in force, where one was read already.
    var loaded: SchemaCache? { current.withLock { $0 } }

    /// Reads the catalog and puts what it says in force.
    @discardableResult
    package func reload() async throws(PostgresError) -> Int {
        try await load().relations.count
    }

    /// What is in force as JSON text; nil when nothing was read yet.
    package var json: String? { current.withLock { $0 }?.json.text }

    private func load() async throws(PostgresError) -> SchemaCache {
        let results = try await database.run(
            SchemaCache.unit(
                schemas: configuration.schemas, functions: configuration.platformFunctions,
                withTenants: configuration.servesTenantSchemas))
        var cache = SchemaCache(
            results: results, hoistedSettings: configuration.hoistedSettings,
            defaultSchema: configuration.schemas.first ?? "public")
        if !configuration.appliesRoleSettings { cache.roles = [:] }
        current.withLock { $0 = cache }
        log.debug(
            "rest.schema_cache_loaded", .field("relations", cache.relations.count),
            .field("functions", cache.functions.count))
        return cache
    }
}
