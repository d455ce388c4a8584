// SPDX-License-Identifier: Apache-2.0
package import EmbeddedPostgres
internal import Processes

/// One database of a test cluster.
package struct TestDatabase: Sendable {
    package private(set) var name: String
    /// The folder of the Unix socket: a connection's `host`.
    package let socketFolder: String
    package let port: Int
    package var user: String
    package var password: String
    private let psql: String

    package init(
        name: String, socketFolder: String, port: Int, user: String, password: String,
        installation: PostgresInstallation
    ) {
        self.name = name
        self.socketFolder = socketFolder
        self.port = port
        self.user = user
        self.password = password
        psql = installation.program("psql")
    }

    /// For a connection over TCP.
    package var url: String { "postgresql://\(user):\(password)@127.0.0.1:\(port)/\(name)" }

    /// The same database as another user.
    package func login(as user: String, password: String) -> TestDatabase {
        var copy = self
        copy.user = user
        copy.password = password
        return copy
    }

    /// Runs statements with `psql`, each in a transaction of its own, and stops at the first error.
    ///
    /// - Returns: what they printed: rows without headers, a line each, columns separated by `|`.
    /// - Throws: ``TestDatabaseError`` with psql's message.
    @discardableResult
    package func exec(_ sql: String) async throws -> String {
        let result = try await run(sql)
        guard result.isSuccess else { throw TestDatabaseError(message: result.output) }
        return result.output.last == "\n" ? String(result.output.dropLast()) : result.output
    }

    /// Runs statements as ``exec(_:)`` does and returns everything psql printed, its error too.
    package func attempt(_ sql: String) async -> String {
        do { return try await run(sql).output } catch { return "\(error)" }
    }

    private func run(_ sql: String) async throws -> ProgramResult {
        let invocation = ProgramInvocation(
            psql, ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            environment: [
                "PGHOST": socketFolder, "PGPORT": "\(port)", "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": name,
                "PGOPTIONS": "-c client_min_messages=warning", "PGCLIENTENCODING": "UTF8",
            ])
        return try await onThread {
            try invocation.capture(timeout: .seconds(120), maxOutputBytes: 16 << 20, input: sql)
        }
    }

    /// Removes the database and whoever is connected to it.
    package func drop() async throws {
        var elsewhere = self
        elsewhere.name = "postgres"
        try await elsewhere.exec("drop database if exists \(name) with (force)")
    }
}

/// What psql refused.
package struct TestDatabaseError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package init(message: String) { self.message = message }
    package var description: String { message }
}
