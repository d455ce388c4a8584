// SPDX-License-Identifier: Apache-2.0

/// One step of a database's schema.
package struct Migration: Sendable, Hashable {
    /// Orders migrations and names them in the history: `20260102030405`. Compared as text, so of one length.
    package var version: String
    /// What it does, from its file name.
    package var name: String
    package var sql: String

    package init(version: String, name: String, sql: String) {
        self.version = version
        self.name = name
        self.sql = sql
    }

    /// Takes version and name from a file name such as `20260102030405_add_notes.sql`.
    ///
    /// - Returns: nil when the name is not a number, an underscore, a name, and `.sql`.
    package init?(fileName: String, sql: String) {
        guard fileName.hasSuffix(".sql") else { return nil }
        let stem = fileName.dropLast(4)
        let version = stem.prefix { $0 != "_" }
        let name = stem.dropFirst(version.count + 1)
        guard !version.isEmpty, version.utf8.allSatisfy({ (0x30...0x39).contains($0) }), !name.isEmpty else {
            return nil
        }
        self.init(version: String(version), name: String(name), sql: sql)
    }

    /// For messages: `20260102030405_add_notes`.
    package var label: String { name.isEmpty ? version : "\(version)_\(name)" }
}

/// A migration as the history has it.
struct AppliedMigration: Sendable, Hashable {
    var version: String
    var name: String
    /// SHA-256 in hex; nil when another tool wrote the row.
    var checksum: String?
}

/// Why migrations cannot run.
package struct MigrationError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// An applied migration's file has changed.
        case changed
        /// An applied migration's file is gone.
        case missing
        /// A new migration sorts before one that was applied.
        case outOfOrder = "out_of_order"
        /// Two migrations have one version.
        case duplicate
        /// A statement of a migration failed; ``MigrationError/cause`` says how.
        case failed
        /// Another runner holds the lock for too long.
        case locked
    }

    package var code: Code
    /// For people: which migration, what is wrong, what to do.
    package var message: String
    /// What PostgreSQL said.
    package var cause: PostgresError?

    package init(_ code: Code, _ message: String, cause: PostgresError? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { message }
}

/// Which migrations are to be run, decided without a database.
struct MigrationPlan: Sendable, Hashable {
    /// What is left to run, in order.
    let pending: [Migration]

    /// - Parameters:
    ///   - migrations: all there are, with their SHA-256 in hex.
    ///   - applied: the history.
    ///   - allowsOutOfOrder: whether a new migration may sort before an applied one.
    ///   - allowsMissing: whether applied migrations may be gone.
    init(
        _ migrations: [(migration: Migration, checksum: String)], applied: [AppliedMigration], allowsOutOfOrder: Bool,
        allowsMissing: Bool
    ) throws(MigrationError) {
        let sorted = migrations.sorted { $0.migration.version < $1.migration.version }
        for (first, second) in zip(sorted, sorted.dropFirst()) where first.migration.version == second.migration.version
        {
            throw MigrationError(
                .duplicate,
                "migrations \(first.migration.label) and \(second.migration.label) have the same version; rename one")
        }
        let known = Dictionary(uniqueKeysWithValues: sorted.map { ($0.migration.version, $0) })
        for row in applied {
            guard let file = known[row.version] else {
                if allowsMissing { continue }
                let label = row.name.isEmpty ? row.version : "\(row.version)_\(row.name)"
                throw MigrationError(
                    .missing,
                    "migration \(label) was applied to this database, but its file is gone; restore it")
            }
            if let checksum = row.checksum, checksum != file.checksum {
                throw MigrationError(
                    .changed,
                    "migration \(file.migration.label) has changed since it was applied; restore its text and put the "
                        + "change into a new migration")
            }
        }
        let appliedVersions = Set(applied.map(\.version))
        pending = sorted.map(\.migration).filter { !appliedVersions.contains($0.version) }
        if !allowsOutOfOrder, let last = applied.map(\.version).max(), let first = pending.first, first.version < last {
            throw MigrationError(
                .outOfOrder,
                "migration \(first.label) is new but sorts before \(last), which was already applied; give it a later version"
            )
        }
    }
}
