// SPDX-License-Identifier: Apache-2.0
internal import Processes

/// One database of a test cluster.
package struct TestDatabase: Sendable {
    package let name: String
    /// The folder of the Unix socket: a connection's `host`.
    package let socketFolder: String
    package let port: Int
    package var user: String
    package var password: String
    let psql: String

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
        let result = try ProgramInvocation(
            psql, ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-"],
            environment: [
                "PGHOST": socketFolder, "PGPORT": "\(port)", "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": name,
                "PGOPTIONS": "-c client_min_messages=warning", "PGCLIENTENCODING": "UTF8",
            ]
        ).capture(timeout: .seconds(120), input: sql)
        guard result.isSuccess else { throw TestDatabaseError(message: result.output) }
        return result.output.last == "\n" ? String(result.output.dropLast()) : result.output
    }

    /// Removes the database and whoever is connected to it.
    package func drop() async throws {
        let elsewhere = TestDatabase(
            name: "postgres", socketFolder: socketFolder, port: port, user: user, password: password, psql: psql)
        try await elsewhere.exec("drop database if exists \(name) with (force)")
    }
}

/// What psql refused.
package struct TestDatabaseError: Error, Sendable, CustomStringConvertible {
    package var message: String
    package var description: String { message }
}
