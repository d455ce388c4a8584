// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// What is done on every start for the server and the database as a whole: roles, their passwords, the database's settings.
struct ServerPreparation: Sendable {
    let settings: Bootstrap.Settings
    /// The superuser that does it; its own password is left alone.
    let login: String

    /// Runs in one transaction that keeps other databases of the server from changing the same roles.
    func run(on database: Database) async throws {
        guard let script = Assets["sql/prepare.sql"] else {
            throw BootstrapError(.unreadableFile, "sql/prepare.sql is not embedded in this program")
        }
        let statements = SQLScript(script.text).statements.map { statement in
            var query = PostgresQuery(sql: statement.text)
            query.isPrepared = false
            return query
        }
        do {
            try await database.withTransaction { transaction in
                try await transaction.run([
                    "select set_config('lock_timeout', \(settings.lockTimeout.milliseconds), true)",
                    "lock table pg_catalog.pg_authid in share row exclusive mode",
                    // Verifiers do not tell passwords, and still have no business in a log.
                    "set local log_statement = 'none'",
                    "set local log_min_duration_statement = -1",
                    "set local log_min_error_statement = 'panic'",
                ])
                try await transaction.run(statements)
                try await setPasswords(transaction)
            }
        } catch let error as PostgresError where error.sqlState == "55P03" {
            throw BootstrapError(.locked, "another process is changing the server's roles; try again later")
        }
    }

    /// Sets the passwords that are not what they should be.
    private func setPasswords(_ transaction: PostgresTransaction) async throws {
        let stored = try await transaction.run([
            "select rolname, rolpassword from pg_catalog.pg_authid where rolname = any (\(Bootstrap.loginRoles)::name[])"
        ])
        let verifiers = Dictionary(
            stored.first.map { $0.rows.map { ($0["rolname"].string ?? "", $0["rolpassword"].string) } } ?? [],
            uniquingKeysWith: { $1 })
        for role in Bootstrap.loginRoles where role != login {
            guard let password = settings.passwords[role]?.reveal() else { continue }
            guard !password.isEmpty, password.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
                throw BootstrapError(
                    .unusablePassword, "the password of the database role \(role) must be printable ASCII")
            }
            if let verifier = verifiers[role] ?? nil, ScramVerifier.matches(verifier, password: password) { continue }
            let literal = quoteLiteral(ScramVerifier(password: password).text)
            var query: PostgresQuery = "alter role \(identifier: role) password "
            query.append(PostgresQuery(sql: literal))
            query.isPrepared = false
            try await transaction.run([query])
        }
    }
}
