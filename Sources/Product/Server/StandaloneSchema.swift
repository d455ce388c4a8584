// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Platform
internal import Postgres
internal import Primitives
internal import REST
internal import Synchronization

/// Reads the schema and the configuration of the database, as often as it takes, and puts them in force. One task calls it.
final class StandaloneSchema: Sendable {
    enum Status: Sendable {
        /// Being read, or waiting for the database to be read from.
        case pending
        case loaded
    }

    /// Opens when the schema was read for the first time, or could not be.
    let tried = Gate()
    private let rest: StandaloneREST
    private let database: Database
    private let sources: StandaloneSources
    private let log: Log
    private let state = Mutex(Status.pending)
    private let loads: Counter
    private let failures: Counter
    private let lastQuerySeconds = Mutex(0.0)

    private static let minServerVersion = 150_000
    private static let maxRetryDelay: Duration = .seconds(32)

    init(_ rest: StandaloneREST, database: Database, sources: StandaloneSources, metrics: Metrics, log: Log) {
        self.rest = rest
        self.database = database
        self.sources = sources
        self.log = log
        let help = "The total number of times the schema cache was loaded"
        loads = metrics.counter("pgrst_schema_cache_loads_total", help, ["status": "SUCCESS"])
        failures = metrics.counter("pgrst_schema_cache_loads_total", help, ["status": "FAIL"])
        metrics.gauge(
            "pgrst_schema_cache_query_time_seconds", "The query time in seconds of the last schema cache load"
        ) { [self] in lastQuerySeconds.withLock { $0 } }
    }

    var status: Status { state.withLock { $0 } }

    /// Reads configuration and schema and puts them in force, trying again until it is done: after a second, and then twice as long each
    /// time, up to half a minute. What was in force stays so meanwhile.
    ///
    /// - Throws: what no trying again mends, or all where that is not wanted; and where the task is cancelled.
    func load() async throws {
        var delay: Duration = .seconds(1)
        while true {
            do {
                try await loadOnce()
                tried.open()
                return
            } catch let error as PostgresError {
                failures.increment()
                log.error("the schema cannot be read", .field("error", error.description))
                // A wrong password does not become right.
                if error.sqlState == "28P01" { throw ProjectError(error.message, next: "set another db-uri") }
                if !rest.current.configuration.recoversAutomatically {
                    throw ProjectError(error.message, next: "db-pool-automatic-recovery is false, so it ends here")
                }
            }
            state.withLock { $0 = .pending }
            tried.open()
            log.info("trying again", .field("seconds", Int(delay.components.seconds)))
            guard let loop = Loop.current else { preconditionFailure("the schema is read on a loop") }
            try await loop.sleep(for: delay)
            delay = min(delay * 2, Self.maxRetryDelay)
        }
    }

    private func loadOnce() async throws {
        try await checkServer()
        if rest.current.configuration.readsDatabase { await reloadConfiguration(isQuiet: true) }
        let configuration = rest.current.configuration
        try await checkSchemas(configuration.service.schemas)
        let store = SchemaCacheStore(database: database, configuration: configuration.service, log: log)
        let start = ContinuousClock.now
        let count = try await store.reload()
        let duration = start.duration(to: .now)
        lastQuerySeconds.withLock {
            $0 = Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
        }
        rest.use(store, database)
        // What a session remembers of the catalog, and of its role's settings, is as old as the session.
        database.retireConnections()
        loads.increment()
        state.withLock { $0 = .loaded }
        log.info("schema read", .field("relations", count), .field("milliseconds", Int(duration / .milliseconds(1))))
    }

    private func checkServer() async throws {
        let result = try await database.query("select current_setting('server_version_num')::int, version()")
        let number = result.string(0, 0).flatMap { Int($0) } ?? 0
        guard number >= Self.minServerVersion else {
            throw ProjectError(
                "the server is \(result.string(0, 1) ?? "of an unknown version")", next: "use PostgreSQL 15 or later")
        }
    }

    /// A name that is no schema's is a mistake that an empty answer would hide.
    private func checkSchemas(_ schemas: [String]) async throws {
        let result = try await database.query(
            """
            select name from unnest(\(schemas)::text[]) as name
            where not exists (select from pg_catalog.pg_namespace where nspname = name)
            """)
        guard let missing = result.rows.first(where: { _ in true })?["name"].text else { return }
        throw PostgresError(.invalidQuery, "schema \"\(missing)\" of db-schemas does not exist")
    }

    // MARK: Configuration

    /// Reads the configuration anew, file, environment and database, and puts it in force where it is one; then the schema again where
    /// that is read otherwise now. What the process began with, such as ports and the connection string, stays.
    func reloadConfiguration() async {
        let before = rest.current.configuration.service
        await reloadConfiguration(isQuiet: false)
        let after = rest.current.configuration.service
        if before.schemas != after.schemas || before.hoistedSettings != after.hoistedSettings
            || after.appliesRoleSettings
        {
            do { try await loadOnce() } catch {
                log.error("the schema cannot be read", .field("error", "\(error)"))
            }
        }
    }

    private func reloadConfiguration(isQuiet: Bool) async {
        let current = rest.current.configuration
        var values: [String: String] = [:]
        if current.readsDatabase {
            do throws(PostgresError) {
                values = DatabaseSettings.values(
                    try await database.run(DatabaseSettings.unit(preConfigFunction: current.preConfigFunction)))
            } catch {
                log.error("the configuration in the database cannot be read", .field("error", error.description))
                // The one in force is better than one without its half.
                return
            }
        }
        do {
            rest.use(try sources.configuration(database: values, databaseURI: current.databaseURI), database)
            if !isQuiet { log.info("configuration read") }
        } catch {
            log.error("the configuration is not used", .field("error", "\(error)"))
        }
    }
}
