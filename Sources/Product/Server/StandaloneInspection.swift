// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Postgres
package import Primitives
package import REST

/// What `atoll rest` would run with, without running it.
package struct StandaloneInspection: Sendable {
    private let sources: StandaloneSources
    private let configuration: StandaloneConfiguration
    private let log: Log

    package init(_ sources: StandaloneSources, _ configuration: StandaloneConfiguration, log: Log) {
        self.sources = sources
        self.configuration = configuration
        self.log = log
    }

    /// The configuration with what the database says, as a file. A database that cannot be reached says nothing. Called on a loop.
    package func effective() async throws -> StandaloneConfiguration {
        guard configuration.readsDatabase else { return configuration }
        do {
            return try await withDatabase { try await effective($0) }
        } catch let error as PostgresError {
            log.warning("the database's settings are left out", .field("error", error.description))
            return configuration
        }
    }

    /// The schema cache as JSON. Called on a loop.
    package func schema() async throws -> String {
        try await withDatabase { database in
            let store = SchemaCacheStore(
                database: database, configuration: try await effective(database).service, log: log)
            try await store.reload()
            return store.json ?? ""
        }
    }

    private func effective(_ database: Database) async throws -> StandaloneConfiguration {
        let values = DatabaseSettings.values(
            try await database.run(DatabaseSettings.unit(preConfigFunction: configuration.preConfigFunction)))
        return try sources.configuration(database: values, databaseURI: configuration.databaseURI)
    }

    private func withDatabase<T>(_ body: (Database) async throws -> T) async throws -> T {
        guard let loop = Loop.current else { preconditionFailure("a database is used on a loop") }
        let database = try Database(
            configuration.database(loops: 1, version: ServerVersion.current), loops: [loop], log: .disabled)
        let result: Result<T, any Error>
        do { result = .success(try await body(database)) } catch { result = .failure(error) }
        await database.shutdown(grace: .seconds(1))
        return try result.get()
    }
}
