// SPDX-License-Identifier: Apache-2.0

/// Brings a database's schema up to date: forward only, one migration at a time, each in one transaction where PostgreSQL
/// allows it, recorded with a checksum.
///
/// Runners of several processes wait for each other by an advisory lock. A script that holds a statement that cannot run in
/// a transaction block, or is marked `-- atoll:no-transaction`, runs statement by statement and is recorded at its end; when
/// it fails half-way, what it did so far stays.
package struct Migrations: Sendable {
    /// The schema and table of the history; made when they are not there. The columns are those of the Supabase CLI
    /// (`version`, `statements`, `name`) and `checksum`, `applied_at`.
    package var schema: String
    package var table: String
    /// Whether a new migration may sort before one that was applied.
    package var allowsOutOfOrder = false
    /// Whether applied migrations may be gone from the files.
    package var allowsMissing = false
    /// How long to wait for another runner.
    package var lockTimeout: Duration = .seconds(60)
    /// The longest a single statement may run; zero for no limit.
    package var statementTimeout: Duration = .zero
    /// Settings in force for the scripts, such as `search_path`.
    package var settings: [(name: String, value: String)] = []

    package init(schema: String = "supabase_migrations", table: String = "schema_migrations") {
        self.schema = schema
        self.table = table
    }

    /// Runs what is new, in order of version.
    ///
    /// - Parameters:
    ///   - database: logged in as the role that is to own what the scripts make.
    ///   - progress: told of each migration before it runs: its number from 1, how many there are.
    /// - Returns: what was run.
    /// - Throws: ``MigrationError``, also when an applied migration was changed or is missing; then nothing was run.
    @discardableResult
    package func run(
        _ migrations: [Migration], on database: Database,
        progress: (Migration, _ number: Int, _ total: Int) -> Void = { _, _, _ in }
    ) async throws -> [Migration] {
        try await database.withSession { session in
            try await prepare(session)
            try await lock(session)
            try await makeHistory(session)
            let plan = try await plan(migrations, session)
            for (index, migration) in plan.pending.enumerated() {
                progress(migration, index + 1, plan.pending.count)
                try await ScriptRun(session: session, label: "migration \(migration.label)")
                    .run(SQLScript(migration.sql), thenRecord: record(migration))
                try await prepare(session)
            }
            return plan.pending
        }
    }

    /// Which migrations would run, and whether all is well. Reads only; a database without history has none applied.
    package func pending(_ migrations: [Migration], on database: Database) async throws -> [Migration] {
        try await database.withSession { session in
            try await plan(migrations, session).pending
        }
    }

    private func prepare(_ session: LeasedConnection) async throws {
        // A script may have changed anything for its session.
        var queries: [PostgresQuery] = ["reset session authorization", "reset role", "reset all"]
        queries.append("select set_config('statement_timeout', \(String(statementTimeout.wholeMilliseconds)), false)")
        queries.append("select set_config('idle_in_transaction_session_timeout', '0', false)")
        for setting in settings {
            queries.append("select set_config(\(setting.name), \(setting.value), false)")
        }
        try await session.run(queries.map(\.onceOnly), place: nil)
    }

    /// Held by the session, so across the transactions of all migrations; gone with the connection.
    private func lock(_ session: LeasedConnection) async throws {
        let name = "atoll.migrations.\(schema).\(table)"
        do {
            try await session.run(
                [
                    "select set_config('lock_timeout', \(String(lockTimeout.wholeMilliseconds)), true)",
                    "select pg_advisory_lock(hashtextextended(\(name), 0))",
                ], place: nil)
        } catch {
            guard error.sqlState == "55P03" else { throw error }
            throw MigrationError(.locked, "another process is migrating this database; try again later", cause: error)
        }
    }

    private func makeHistory(_ session: LeasedConnection) async throws {
        var queries: [PostgresQuery] = []
        // Asked first: a role that may use the schema need not have the right to make one.
        let exists = try await session.run(
            [
                "select to_regclass(\(qualifiedName)) is not null, to_regnamespace(\(quoteIdentifier(schema))) is not null"
            ],
            place: nil)
        if exists.first?[0][1].bool != true { queries.append("create schema if not exists \(identifier: schema)") }
        if exists.first?[0][0].bool != true {
            queries.append("create table if not exists \(history) (version text not null primary key)")
        }
        let columns = try await session.run(
            [
                "select array_agg(attname::text) from pg_attribute where attrelid = to_regclass(\(qualifiedName)) and attnum > 0"
            ],
            place: nil)
        let present = Set((columns.first?[0][0].array ?? []).compactMap { $0 })
        if !present.contains("statements") {
            queries.append("alter table \(history) add column if not exists statements text[]")
        }
        if !present.contains("name") { queries.append("alter table \(history) add column if not exists name text") }
        if !present.contains("checksum") {
            queries.append("alter table \(history) add column if not exists checksum text")
        }
        if !present.contains("applied_at") {
            queries.append("alter table \(history) add column if not exists applied_at timestamptz default now()")
        }
        if !queries.isEmpty { try await session.run(queries.map(\.onceOnly), place: nil) }
    }

    private func plan(_ migrations: [Migration], _ session: LeasedConnection) async throws -> MigrationPlan {
        // PostgreSQL digests the texts, so that this target needs no cryptography.
        let digests = try await session.run(
            [
                """
                select encode(sha256(convert_to(text, 'UTF8')), 'hex')
                from unnest(\(migrations.map(\.sql))::text[]) with ordinality as scripts (text, position)
                order by position
                """
            ], place: nil)
        let checksums = digests.first.map { result in result.rows.map { $0[0].string ?? "" } } ?? []
        return try MigrationPlan(
            Array(zip(migrations, checksums)).map { (migration: $0, checksum: $1) },
            applied: try await applied(session),
            allowsOutOfOrder: allowsOutOfOrder, allowsMissing: allowsMissing)
    }

    private func applied(_ session: LeasedConnection) async throws -> [AppliedMigration] {
        let exists = try await session.run(["select to_regclass(\(qualifiedName)) is not null"], place: nil)
        guard exists.first?[0][0].bool == true else { return [] }
        let rows = try await session.run(
            [
                "select to_jsonb(h)->>'version', to_jsonb(h)->>'name', to_jsonb(h)->>'checksum' from \(history) h order by 1"
            ],
            place: nil)
        return rows.first.map { result in
            result.rows.map {
                AppliedMigration(version: $0[0].string ?? "", name: $0[1].string ?? "", checksum: $0[2].string)
            }
        } ?? []
    }

    private func record(_ migration: Migration) -> PostgresQuery {
        """
        insert into \(history) (version, name, statements, checksum)
        values (\(migration.version), \(migration.name), \(SQLScript(migration.sql).statements.map(\.text)),
            encode(sha256(convert_to(\(migration.sql), 'UTF8')), 'hex'))
        """
    }

    private var history: PostgresQuery { "\(identifier: table, in: schema)" }

    private var qualifiedName: String { quoteIdentifier(schema) + "." + quoteIdentifier(table) }
}

extension PostgresQuery {
    /// The query parsed each time, as it runs once.
    var onceOnly: PostgresQuery {
        var query = self
        query.isPrepared = false
        return query
    }
}
