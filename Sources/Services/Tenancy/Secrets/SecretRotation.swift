// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import Platform
package import Postgres
internal import Primitives

/// Seals anew with the current master key what older keys have sealed, in batches and beside running servers.
///
/// What is left to do is told by the envelopes themselves, so it can be interrupted at any time and goes on where it stopped. A row that
/// changes meanwhile keeps its newer value.
package struct SecretRotation: Sendable {
    /// The columns of the platform that hold sealed texts.
    package static let columns: [SealedColumn] = [
        SealedColumn(
            name: "third-party keys", table: "tenancy.secrets", column: "envelope",
            parts: "array[r.tenant_id::text, r.service_name]"),
        SealedColumn(
            name: "set-ups", table: "tenancy.setup_inputs", key: "run_id", column: "envelope",
            parts: """
                array[(select s.tenant_id::text from tenancy.setup_runs as s where s.id = r.run_id), \(SetupInput.sealName)::text]
                """),
        SealedColumn(
            name: "second factors", table: "auth.mfa_factors", column: "secret",
            parts: "array['auth.mfa_factors', r.id::text]"),
        SealedColumn(
            name: "queued mails", table: "jobs.jobs", column: "payload", parts: "array['mail', r.id::text]"),
    ]

    /// What came of one column.
    package struct Count: Sendable, Hashable {
        package var sealed = 0
        /// What no key opens; it stays as it is.
        package var unopened = 0

        package init(sealed: Int = 0, unopened: Int = 0) {
            self.sealed = sealed
            self.unopened = unopened
        }
    }

    private let database: Database
    private let keyring: Keyring
    private let batch: Int

    /// - Parameters:
    ///   - database: logs in as an administrator.
    ///   - batch: rows at a time.
    package init(database: Database, keyring: Keyring, batch: Int = 500) {
        self.database = database
        self.keyring = keyring
        self.batch = batch
    }

    /// How many texts of a column are sealed with another key than the current one.
    package func outdated(_ column: SealedColumn) async throws -> Int {
        let result = try await database.query(
            """
            select count(*) from \(Self.table(column)) as r
            where starts_with(r.\(identifier: column.column), 'v1.')
                and not starts_with(r.\(identifier: column.column), \(keyring.currentPrefix))
            """)
        return result.onlyRow?[0].int ?? 0
    }

    /// Seals a column anew.
    ///
    /// - Parameter progress: told the number of rows after each batch.
    package func run(_ column: SealedColumn, progress: @Sendable (Int) -> Void = { _ in }) async throws -> Count {
        var count = Count()
        var last: UUID?
        while true {
            let rows = try await database.query(
                """
                select r.\(identifier: column.key) as key, r.\(identifier: column.column) as sealed, \(column.parts) as parts
                from \(Self.table(column)) as r
                where starts_with(r.\(identifier: column.column), 'v1.')
                    and not starts_with(r.\(identifier: column.column), \(keyring.currentPrefix))
                    and (\(last)::uuid is null or r.\(identifier: column.key) > \(last)::uuid)
                order by r.\(identifier: column.key)
                limit \(batch)
                """)
            guard rows.rowCount > 0 else { return count }
            var keys: [String] = []
            var before: [String] = []
            var after: [String] = []
            for row in rows.rows {
                guard let key = row["key"].uuid, let sealed = row["sealed"].string else { continue }
                last = key
                let context = SealingContext((row["parts"].array ?? []).map { $0 ?? "" })
                guard let plain = try? keyring.open(sealed, context: context) else {
                    count.unopened += 1
                    continue
                }
                keys.append(key.description)
                before.append(sealed)
                after.append(try keyring.seal(plain, context: context))
            }
            count.sealed += try await store(column, keys, before, after)
            progress(rows.rowCount)
        }
    }

    /// The same text under another key is no change that triggers have to hear of.
    private func store(
        _ column: SealedColumn, _ keys: [String], _ before: [String], _ after: [String]
    ) async throws -> Int {
        guard !keys.isEmpty else { return 0 }
        let results = try await database.run(
            WorkUnit(
                settings: [("session_replication_role", "replica")],
                queries: [
                    """
                    update \(Self.table(column)) as r
                    set \(identifier: column.column) = n.after
                    from unnest(\(keys)::uuid[], \(before)::text[], \(after)::text[]) as n (key, before, after)
                    where r.\(identifier: column.key) = n.key
                        and r.\(identifier: column.column) = n.before
                    """
                ]))
        return results[0].affectedRows
    }

    private static func table(_ column: SealedColumn) -> PostgresQuery {
        let parts = column.table.split(separator: ".").map(String.init)
        return "\(identifier: parts.last ?? column.table, in: parts.first ?? "public")"
    }
}
