// SPDX-License-Identifier: Apache-2.0

extension PostgresTransaction {
    /// Streams data into a table by `COPY ... FROM STDIN`.
    ///
    /// - Parameters:
    ///   - query: the command; it takes no binds. Its rows fall under the transaction's statement timeout.
    ///   - body: writes the data in the command's format, in pieces of any size.
    /// - Returns: the number of rows.
    /// - Throws: what `body` throws, which closes the connection; ``PostgresError`` when the server refuses the data.
    package func copyIn(
        _ query: PostgresQuery, _ body: (PostgresCopyWriter) async throws -> Void
    ) async throws -> Int {
        try await lease.copying(query, .toServer) { connection in
            try await body(PostgresCopyWriter(connection: connection))
            return try await connection.finishCopyIn()
        }
    }

    /// Streams data out by `COPY ... TO STDOUT`; the server goes no faster than `body` reads.
    ///
    /// - Parameters:
    ///   - query: the command; it takes no binds. It falls under the transaction's statement timeout.
    ///   - body: reads the data; what it leaves unread closes the connection.
    package func copyOut<T>(
        _ query: PostgresQuery, _ body: (PostgresCopyReader) async throws -> T
    ) async throws -> T {
        try await lease.copying(query, .fromServer) { connection in
            try await body(PostgresCopyReader(connection: connection))
        }
    }
}

/// Takes the data of ``PostgresTransaction/copyIn(_:_:)``.
package struct PostgresCopyWriter: Sendable {
    fileprivate let connection: Connection

    /// Sends bytes; returns when they are on their way to the server, so that a slow one slows the caller.
    package func write(_ bytes: [UInt8]) async throws(PostgresError) {
        try await connection.putCopyData(bytes)
    }
}

/// Gives the data of ``PostgresTransaction/copyOut(_:_:)``.
package struct PostgresCopyReader: Sendable {
    fileprivate let connection: Connection

    /// The next whole rows in the command's format, about 64 KiB at most unless one row is larger; nil at the end.
    package func next() async throws(PostgresError) -> [UInt8]? {
        guard connection.isCopying else { return nil }
        return try await connection.nextCopyData()
    }
}

extension LeasedConnection {
    fileprivate func copying<T>(
        _ query: PostgresQuery, _ direction: Connection.CopyDirection, _ body: (Connection) async throws -> T
    ) async throws -> T {
        guard query.parameters.isEmpty else {
            throw PostgresError(.invalidQuery, "COPY takes no binds")
        }
        // It is sent by the simple protocol, which would run further statements too.
        guard !query.sql.utf8.contains(0), SQLCommand.words(of: query.sql, 1) == ["copy"],
            SQLScript(query.sql).statements.count == 1
        else {
            throw PostgresError(.invalidQuery, "the query is no single COPY")
        }
        try beginCopy()
        defer { endCopy() }
        try await connection.beginCopy(query.sql, direction)
        do {
            let value = try await body(connection)
            if connection.isCopying { connection.lose(PostgresError(.misuse, "COPY was left before its end")) }
            return value
        } catch {
            if connection.isCopying { connection.lose(PostgresError(.connectionLost, "COPY was given up")) }
            throw error
        }
    }
}
