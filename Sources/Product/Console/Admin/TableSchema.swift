// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Postgres
internal import Primitives

/// A table as the row browser needs to know it.
struct TableSchema: Sendable {
    struct Column: Sendable {
        let name: String
        /// As PostgreSQL writes it: `character varying(10)`. Part of statements, and so taken from the catalogue alone.
        let type: String
        let isNullable: Bool
        let hasDefault: Bool
        /// Whether a value may be given for it.
        let isWritable: Bool
    }

    let schema: String
    let name: String
    let columns: [Column]
    /// The columns that name a row; empty where nothing does.
    let key: [String]

    static func queries(_ schema: String, _ name: String) -> [PostgresQuery] {
        [
            """
            select
                a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, not a.attnotnull as nullable,
                a.atthasdef or a.attidentity <> '' as has_default,
                a.attgenerated = '' and a.attidentity <> 'a' as writable
            from pg_catalog.pg_attribute as a
            inner join pg_catalog.pg_class as c on c.oid = a.attrelid
            inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = \(schema) and c.relname = \(name) and c.relkind in ('r', 'p', 'v', 'm', 'f')
                and a.attnum > 0 and not a.attisdropped
            order by a.attnum
            """,
            """
            select a.attname as name
            from pg_catalog.pg_index as i
            inner join pg_catalog.pg_class as c on c.oid = i.indrelid
            inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            inner join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum = any (i.indkey)
            where n.nspname = \(schema) and c.relname = \(name) and i.indisprimary
            order by pg_catalog.array_position(i.indkey::smallint[], a.attnum)
            """,
        ]
    }

    /// - Parameter results: of ``queries(_:_:)``; nil when there is no such table.
    init?(_ schema: String, _ name: String, _ results: [PostgresResult]) {
        guard results.count >= 2, results[0].rowCount > 0 else { return nil }
        self.schema = schema
        self.name = name
        columns = results[0].rows.map { row in
            Column(
                name: row["name"].string ?? "", type: row["type"].string ?? "text",
                isNullable: row["nullable"].bool ?? true, hasDefault: row["has_default"].bool ?? false,
                isWritable: row["writable"].bool ?? false)
        }
        key = results[1].rows.compactMap { $0["name"].string }
    }

    func column(_ name: String) -> Column? { columns.first { $0.name == name } }

    var path: String { "/admin/tables/\(Console.segment(schema))/\(Console.segment(name))" }

    // MARK: Statements

    /// How a filter compares; the raw value stands in addresses.
    enum Comparison: String, CaseIterable, Sendable {
        case equal = "eq"
        case different = "neq"
        case contains
        case less = "lt"
        case greater = "gt"
        case null

        var title: Message {
            switch self {
            case .equal: .isEqual
            case .different: .isDifferent
            case .contains: .contains
            case .less: .isLess
            case .greater: .isGreater
            case .null: .isEmpty
            }
        }
    }

    struct Filter: Sendable {
        let column: Column
        let comparison: Comparison
        let value: String

        var condition: PostgresQuery {
            let name: PostgresQuery = "\(identifier: column.name)"
            let typed: PostgresQuery = "\(value)::text::" + PostgresQuery(sql: column.type)
            switch comparison {
            case .equal: return name + " = " + typed
            case .different: return name + " is distinct from " + typed
            case .less: return name + " < " + typed
            case .greater: return name + " > " + typed
            case .contains: return "position(lower(\(value)) in lower(" + name + "::text)) > 0"
            case .null: return name + " is null"
            }
        }
    }

    /// A page of rows, each cell as text and no longer than is shown, one row more than the page to know whether there is another.
    func selection(_ filter: Filter?, order: Column?, descending: Bool, page: Int, size: Int, width: Int)
        -> PostgresQuery
    {
        var query: PostgresQuery = "select "
        for (index, column) in columns.enumerated() {
            if index > 0 { query += ", " }
            // Keys are shown whole: they stand in the addresses of rows.
            if key.contains(column.name) {
                query += "\(identifier: column.name)::text"
            } else {
                query += "left(\(identifier: column.name)::text, \(String(width + 1))::integer)"
            }
        }
        query += " from \(identifier: name, in: schema)"
        if let filter { query += " where " + filter.condition }
        // The key last, so that rows of one value stand in one order on all pages.
        let sorted = (order.map { [$0.name] } ?? []) + key.filter { $0 != order?.name }
        if !sorted.isEmpty {
            query += " order by "
            for (index, column) in sorted.enumerated() {
                if index > 0 { query += ", " }
                query += "\(identifier: column)"
                if descending { query += " desc" }
            }
        }
        query += " limit \(String(size + 1))::bigint offset \(String((page - 1) * size))::bigint"
        return query
    }

    /// The condition that names one row by its key; nil when a value is missing.
    func condition(_ fields: FormFields) -> PostgresQuery? {
        guard !key.isEmpty else { return nil }
        var condition: PostgresQuery = ""
        for (index, name) in key.enumerated() {
            guard let value = fields.first("key.\(name)"), let column = column(name) else { return nil }
            if index > 0 { condition += " and " }
            condition += "\(identifier: name) = \(value)::text::" + PostgresQuery(sql: column.type)
        }
        return condition
    }

    /// All cells of a row as text.
    func whole(_ condition: PostgresQuery) -> PostgresQuery {
        var query: PostgresQuery = "select "
        for (index, column) in columns.enumerated() {
            if index > 0 { query += ", " }
            query += "\(identifier: column.name)::text"
        }
        return query + " from \(identifier: name, in: schema) where " + condition
    }

    /// The values a form gives: columns whose field is there, and holds something else than when the form was made. What others have
    /// changed meanwhile in other columns stays theirs.
    func values(_ fields: FormFields) -> [(column: Column, value: String?)] {
        columns.compactMap { column in
            guard column.isWritable, let value = Self.value(of: column, in: fields),
                fields.first("was.\(column.name)") != Self.mark(of: value)
            else { return nil }
            return (column, value)
        }
    }

    /// What is in the field of a column, NULL where its box is ticked; a value that was typed where NULL was counts more than the box.
    ///
    /// - Returns: Nil where there is no field.
    static func value(of column: Column, in fields: FormFields) -> String?? {
        guard let typed = fields.first("value.\(column.name)") else { return nil }
        let isTicked = fields.first("null.\(column.name)") != nil
        let wasNull = (fields.first("was.\(column.name)") ?? mark(of: nil)) == mark(of: nil)
        // Browsers send line breaks as CR LF.
        return .some(isTicked && !(wasNull && !typed.isEmpty) ? nil : typed.replacing("\r\n", with: "\n"))
    }

    /// Tells whether a field has changed, without sending its value twice. A text area holds all line breaks in one form.
    static func mark(of value: String?) -> String {
        guard let value else { return "null" }
        let lines = value.replacing("\r\n", with: "\n").replacing("\r", with: "\n")
        return String(Base64URL.encode(digest(Array(lines.utf8))).prefix(22))
    }

    func update(_ values: [(column: Column, value: String?)], _ condition: PostgresQuery) -> PostgresQuery {
        var query: PostgresQuery = "update \(identifier: name, in: schema) set "
        for (index, entry) in values.enumerated() {
            if index > 0 { query += ", " }
            query += "\(identifier: entry.column.name) = \(entry.value)::text::" + PostgresQuery(sql: entry.column.type)
        }
        return query + " where " + condition
    }

    /// Columns that are left empty and have a default take it.
    func insertion(_ values: [(column: Column, value: String?)]) -> PostgresQuery {
        let given = values.filter { !($0.column.hasDefault && ($0.value ?? "").isEmpty) }
        guard !given.isEmpty else { return "insert into \(identifier: name, in: schema) default values" }
        var names: PostgresQuery = ""
        var list: PostgresQuery = ""
        for (index, entry) in given.enumerated() {
            if index > 0 {
                names += ", "
                list += ", "
            }
            names += "\(identifier: entry.column.name)"
            list += "\(entry.value)::text::" + PostgresQuery(sql: entry.column.type)
        }
        return "insert into \(identifier: name, in: schema) (" + names + ") values (" + list + ")"
    }

    func deletion(_ condition: PostgresQuery) -> PostgresQuery {
        "delete from \(identifier: name, in: schema) where " + condition
    }
}
