// SPDX-License-Identifier: Apache-2.0

/// Runs one script on a leased session.
struct ScriptRun {
    let session: LeasedConnection
    /// Names the script in messages.
    let label: String

    /// Statements sent in one round trip; bounds what is in memory of a long seed, on both sides.
    private static let maxStatementsPerTrip = 200

    /// Runs the script in one transaction if it can, else statement by statement, and `record` after it.
    func run(_ script: SQLScript, thenRecord record: PostgresQuery?) async throws {
        if let statement = script.statements.first(where: { $0.restriction == .needsInput }) {
            throw MigrationError(
                .failed,
                "\(label), line \(statement.line): COPY FROM STDIN takes its data from psql; use INSERT instead")
        }
        do {
            if script.fitsInTransaction {
                try await runInTransaction(script, record)
            } else {
                try await runSeparately(script, record)
            }
        } catch let error as PostgresError {
            throw MigrationError(.failed, "\(label): \(error.message)", cause: error)
        }
    }

    /// Runs the script in a transaction that somebody else has begun and ends.
    func runWithin(_ script: SQLScript) async throws {
        if let statement = script.statements.first(where: { $0.restriction != nil }) {
            throw MigrationError(
                .failed, "\(label), line \(statement.line): the statement cannot run in a transaction with others")
        }
        do {
            var rest = script.statements[...]
            while !rest.isEmpty {
                let trip = rest.prefix(Self.maxStatementsPerTrip)
                rest = rest.dropFirst(trip.count)
                try await runTrip(trip)
            }
        } catch let error as PostgresError {
            throw MigrationError(.failed, "\(label): \(error.message)", cause: error)
        }
    }

    private func runInTransaction(_ script: SQLScript, _ record: PostgresQuery?) async throws {
        try await session.run(["begin"], place: nil)
        do {
            var rest = script.statements[...]
            while !rest.isEmpty {
                let trip = rest.prefix(Self.maxStatementsPerTrip)
                rest = rest.dropFirst(trip.count)
                try await runTrip(trip)
            }
            var end: [PostgresQuery] = []
            if let record { end.append(record.onceOnly) }
            end.append("commit")
            try await session.run(end, place: nil)
        } catch {
            _ = try? await session.run(["rollback"], place: nil)
            throw error
        }
    }

    private func runTrip(_ statements: ArraySlice<SQLScript.Statement>) async throws {
        do {
            try await session.run(statements.map { PostgresQuery(sql: $0.text).onceOnly }, place: nil)
        } catch {
            throw failure(error, Array(statements), error.queryIndex)
        }
    }

    private func runSeparately(_ script: SQLScript, _ record: PostgresQuery?) async throws {
        for (index, statement) in script.statements.enumerated() {
            do {
                try await session.run([PostgresQuery(sql: statement.text).onceOnly], place: nil)
            } catch {
                _ = try? await session.run(["rollback"], place: nil)
                var failure = failure(error, [statement], 0)
                if index > 0 {
                    failure.message +=
                        "; it does not run in one transaction, so that the \(index) statements before it stay"
                }
                throw failure
            }
        }
        guard session.connection.isOutsideTransaction else {
            throw MigrationError(.failed, "\(label): begins a transaction that it does not commit")
        }
        if let record { try await session.run([record.onceOnly], place: nil) }
    }

    /// Names the line of the script, from the server's position within the statement.
    private func failure(
        _ error: PostgresError, _ statements: [SQLScript.Statement], _ failed: Int?
    ) -> MigrationError {
        guard error.code == .server, let failed, failed < statements.count else {
            return MigrationError(.failed, "\(label): \(error.message)", cause: error)
        }
        let statement = statements[failed]
        // The position counts characters from 1, as Unicode code points.
        let before = statement.text.unicodeScalars.prefix(max((error.position ?? 1) - 1, 0))
        let line = statement.line + before.count { $0 == "\n" }
        var message = "\(label), line \(line): \(error.message)"
        if let state = error.sqlState { message += " (SQLSTATE \(state))" }
        if let detail = error.detail { message += "; \(detail)" }
        if let hint = error.hint { message += "; \(hint)" }
        return MigrationError(.failed, message, cause: error)
    }
}

extension PostgresTransaction {
    /// Runs a script's statements within the transaction.
    ///
    /// - Parameter label: names it in messages.
    /// - Throws: ``MigrationError`` with `failed`, which names the line.
    package func run(script: SQLScript, label: String) async throws {
        try await ScriptRun(session: lease, label: label).runWithin(script)
    }
}

extension Database {
    /// Runs a script such as a seed in one transaction if it can, else statement by statement.
    ///
    /// - Parameter label: names it in messages.
    /// - Throws: ``MigrationError`` with `failed`, which names the line.
    package func run(script: SQLScript, label: String) async throws {
        try await withSession { session in
            try await ScriptRun(session: session, label: label).run(script, thenRecord: nil)
        }
    }
}
