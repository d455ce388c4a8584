// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Postgres
import Primitives
import TestSupport

/// A fresh database of the test cluster and a `Database` on a loop of its own.
struct DatabaseFixture: Sendable {
    let server: TestDatabase
    let database: Database
    let metrics: Metrics
    let loop: Loop

    /// Runs `body` on the loop; afterwards closes all connections and removes the database.
    static func run<T: Sendable>(
        _ configure: @Sendable (inout DatabaseConfiguration) -> Void = { _ in },
        _ body: @Sendable @escaping (DatabaseFixture) async throws -> T
    ) async throws -> T {
        let server = try await TestCluster.shared.makeDatabase()
        var configuration = DatabaseConfiguration(address: server.address)
        configuration.connectionsPerLoop = 4
        configure(&configuration)
        let made = configuration
        let result: Result<T, any Error>
        do {
            result = .success(
                try await Loop.withLoop { loop in
                    let metrics = Metrics()
                    let database = try Database(made, loops: [loop], log: .disabled, metrics: metrics, name: "test")
                    let fixture = DatabaseFixture(server: server, database: database, metrics: metrics, loop: loop)
                    let outcome: Result<T, any Error>
                    do { outcome = .success(try await body(fixture)) } catch { outcome = .failure(error) }
                    await database.shutdown(grace: .seconds(1))
                    return try outcome.get()
                })
        } catch {
            result = .failure(error)
        }
        try await server.drop()
        return try result.get()
    }

    /// The value of one of the database's counters.
    func counter(_ name: String) -> Int {
        metrics.counter("atoll_postgres_\(name)_total", "", ["database": "test"]).value
    }
}

extension TestDatabase {
    var address: PostgresAddress {
        PostgresAddress(
            host: socketFolder, port: port, user: user, password: SecretString(password), database: name,
            tlsMode: .disable)
    }
}
