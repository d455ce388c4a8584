// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Type names of casts.
enum TypeName {
    /// Names that SQL spells as keywords: quoted, they would name no type.
    private static let keywords: Set<String> = [
        "bigint", "bit", "bit varying", "boolean", "char", "character", "character varying", "dec", "decimal",
        "double precision", "float", "int", "integer", "interval", "national character", "nchar", "numeric", "real",
        "smallint", "time", "time with time zone", "time without time zone", "timestamp", "timestamp with time zone",
        "timestamp without time zone", "varchar",
    ]

    /// The name as SQL: a keyword as it is, anything else quoted, in lower case as PostgreSQL folds bare names.
    static func sql(_ name: String) -> String {
        let name = name.lowercased()
        return keywords.contains(name) ? name : quoteIdentifier(name)
    }
}
