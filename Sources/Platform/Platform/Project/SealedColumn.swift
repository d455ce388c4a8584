// SPDX-License-Identifier: Apache-2.0
package import Postgres

/// A column of texts that the master key has sealed, so that they can be sealed anew when the key changes.
package struct SealedColumn: Sendable {
    /// For people.
    package var name: String
    /// The table, with its schema.
    package var table: String
    /// A column of type `uuid` that identifies its rows.
    package var key: String
    /// The column of sealed texts; what does not begin with `v1.` is none.
    package var column: String
    /// The parts of the sealing context as an SQL array of texts, of the row named `r`.
    package var parts: PostgresQuery

    package init(name: String, table: String, key: String = "id", column: String, parts: PostgresQuery) {
        self.name = name
        self.table = table
        self.key = key
        self.column = column
        self.parts = parts
    }
}
