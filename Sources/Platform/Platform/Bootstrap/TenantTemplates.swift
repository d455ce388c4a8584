// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
package import Postgres
internal import Primitives

/// What every tenant's own schema is made from: `supabase/tenants/*.sql`, named and ordered as migrations are.
package struct TenantTemplates: Sendable {
    /// One file.
    package struct Template: Sendable {
        package let migration: Migration
        /// SHA-256 of its text, in hexadecimal.
        package let checksum: String
    }

    /// In the order in which they are applied.
    package let templates: [Template]
    /// Names of files that are no templates, for a warning each.
    package let skipped: [String]

    /// The newest version; nil without templates.
    package var newest: String? { templates.last?.migration.version }

    /// Reads a folder; there are no templates when it is not there. Blocks.
    ///
    /// - Throws: ``BootstrapError`` with `unreadableFile`, `MigrationError` for two files of one version.
    package init(folder: String) throws {
        let files = try ProjectMigrations(folder: folder)
        skipped = files.skipped
        templates = files.migrations.sorted { $0.version < $1.version }.map {
            Template(migration: $0, checksum: Hex.encode(digest(Array($0.sql.utf8))))
        }
        for (first, second) in zip(templates, templates.dropFirst())
        where first.migration.version == second.migration.version {
            throw MigrationError(
                .duplicate,
                "templates \(first.migration.label) and \(second.migration.label) have the same version; rename one")
        }
    }
}
