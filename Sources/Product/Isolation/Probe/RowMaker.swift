// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Thinks up rows that a table takes: right types, enums, domains, foreign keys, and checks as far as their words give them away.
struct RowMaker {
    let catalog: Catalog
    let tenant: ProbeTenant
    /// The tenant's rows made so far, by table.
    var rows: [Int: JSONObject] = [:]
    /// Which of the candidates each column of a table took when a row of it was made: what fits once fits again.
    var choices: [Int: [String: Int]] = [:]
    /// Counts rows, so that no two of them have the same keys.
    private var serial = 0

    init(catalog: Catalog, tenant: ProbeTenant) {
        self.catalog = catalog
        self.tenant = tenant
    }

    /// A new row, as the text of a literal for each column that is given.
    ///
    /// - Parameters:
    ///   - choices: which of the candidates each column takes, where it is not the first; nil for those of an earlier row.
    ///   - values: what columns must hold, instead of what would be thought up.
    ///   - role: leaves out what this role may not insert.
    mutating func row(
        for table: Catalog.Relation, choices: [String: Int]? = nil, values: [String: String] = [:],
        by role: String? = nil
    ) -> [(column: Catalog.Column, literal: String)] {
        serial += 1
        var fixed = foreignValues(of: table)
        fixed.merge(scopeValues(of: table)) { $1 }
        fixed.merge(placing(in: table)) { first, _ in first }
        fixed.merge(values) { $1 }
        let choices = choices ?? self.choices[table.id] ?? [:]
        var row: [(column: Catalog.Column, literal: String)] = []
        for column in table.columns where !column.isGenerated && !column.isIdentity {
            if let role, !column.inserters.contains(role) { continue }
            if let literal = fixed[column.name] {
                row.append((column, literal))
                continue
            }
            let options = options(for: column, in: table)
            if let literal = options[min(choices[column.name] ?? 0, options.count - 1)] {
                row.append((column, literal))
            }
        }
        return row
    }

    /// What leads a row to a partition that is there, as that of an earlier row does.
    private func placing(in table: Catalog.Relation) -> [String: String] {
        guard table.kind == .partitioned, let earlier = rows[table.id] else { return [:] }
        let kinds: Set<String> = ["smallint", "integer", "bigint", "date", "timestamp with time zone"]
        return table.columns.reduce(into: [:]) { values, column in
            guard kinds.contains(column.baseType ?? column.type), !column.isGenerated else { return }
            values[column.name] = earlier[column.name].flatMap(Self.text)
        }
    }

    /// An insert of a new row; its parameters are those of ``row(for:choices:values:by:)``.
    mutating func insertion(
        into table: Catalog.Relation, choices: [String: Int]? = nil, values: [String: String] = [:],
        by role: String? = nil, returning: Bool = true
    ) -> String {
        let row = row(for: table, choices: choices, values: values, by: role)
        let names = row.map { quoteIdentifier($0.column.name) }.joined(separator: ", ")
        let literals = row.map { "\(quoteLiteral($0.literal))::\($0.column.type)" }.joined(separator: ", ")
        let insert =
            row.isEmpty
            ? "insert into \(table.quotedName) default values"
            : "insert into \(table.quotedName) (\(names)) values (\(literals))"
        return returning ? "\(insert) returning to_jsonb(\(quoteIdentifier(table.name)))" : insert
    }

    /// A new row as the body of a request; its parameters are those of ``row(for:choices:values:by:)``.
    mutating func body(
        for table: Catalog.Relation, values: [String: String] = [:], by role: String? = nil
    ) -> JSONObject {
        JSONObject(row(for: table, values: values, by: role).map { ($0.column.name, Self.json($0.literal, $0.column)) })
    }

    /// PostgreSQL reads a text as a value of any type, except where the type is JSON itself.
    private static func json(_ literal: String, _ column: Catalog.Column) -> JSON {
        guard ["json", "jsonb"].contains(column.baseType ?? column.type) else { return .string(literal) }
        return (try? JSON(parsing: literal)) ?? .string(literal)
    }

    /// The values that make a row this tenant's.
    func scopeValues(of table: Catalog.Relation) -> [String: String] {
        var values: [String: String] = [:]
        let owners = catalog.ownerColumns(of: table)
        for name in catalog.tenantColumns(of: table) + owners {
            guard let column = table.columns.first(where: { $0.name == name }), column.type == "uuid" || isText(column),
                !pointsAtProject(name, of: table)
            else { continue }
            values[name] = (owners.contains(name) ? tenant.userID : tenant.tenantID).description
        }
        return values
    }

    /// Whether a foreign key of the column is to a table of the project, whose row says what stands here. What such a key carries
    /// along of the tenant is not meant.
    private func pointsAtProject(_ column: String, of table: Catalog.Relation) -> Bool {
        catalog.foreignKeys(of: table).contains { key in
            guard let place = key.columns.firstIndex(of: column), rows[key.target] != nil,
                !Catalog.platformSchemas.contains(key.targetSchema), let target = catalog.relation(key.target)
            else { return false }
            return !catalog.scopeColumns(of: target).contains(key.targetColumns[place])
        }
    }

    /// What foreign keys must hold so that they point at rows of the same tenant.
    func foreignValues(of table: Catalog.Relation) -> [String: String] {
        var values: [String: String] = [:]
        for key in catalog.foreignKeys(of: table) {
            for (column, target) in zip(key.columns, key.targetColumns) {
                switch ("\(key.targetSchema).\(key.targetName)", target) {
                case ("auth.users", "id"): values[column] = tenant.userID.description
                case ("tenancy.tenants", "id"): values[column] = tenant.tenantID.description
                default: values[column] = rows[key.target]?[target].flatMap(Self.text) ?? values[column]
                }
            }
        }
        return values
    }

    /// A JSON value as a literal's text.
    static func text(_ value: JSON) -> String? { value == .null ? nil : value.stringValue ?? value.text }

    func isText(_ column: Catalog.Column) -> Bool {
        let type = column.baseType ?? column.type
        return type == "text" || type.hasPrefix("character") || type == "citext" || type.hasSuffix(".citext")
    }

    private func isUniqueText(_ column: Catalog.Column, in table: Catalog.Relation) -> Bool {
        isText(column) && catalog.linking.uniqueColumns[table.id]?.contains(column.name) ?? false
    }

    /// What a column may take, the likeliest first; nil for leaving it out.
    func options(for column: Catalog.Column, in table: Catalog.Relation) -> [String?] {
        let candidates = candidates(for: column, in: table)
        // What has a default keeps it, unless a row must be told from another by it; what may be empty is, unless it is a text,
        // which can hold the tenant's mark.
        let mayBeLeft =
            column.defaultValue != nil ? !isUniqueText(column, in: table) : column.isNullable && !isText(column)
        return mayBeLeft ? [nil] + candidates : candidates
    }

    private func candidates(for column: Catalog.Column, in table: Catalog.Relation) -> [String] {
        if let label = column.labels.first { return [label] + column.labels.dropFirst() }
        let type = (column.baseType ?? column.type).split(separator: "(").first.map(String.init) ?? column.type
        let conditions = table.checks.values.filter { $0.mentions(column.name) }
        let strings = conditions.flatMap(\.strings)
        if type.hasSuffix("[]") { return ["{}"] + strings.map { "{\(quoteIdentifier($0))}" } }
        switch type {
        case "uuid": return [UUID.random().description]
        case "boolean": return ["true", "false"]
        case "smallint", "integer", "bigint", "numeric", "real", "double precision", "money":
            return ["\(serial)", "1", "0", "50", "100", "-1"] + conditions.flatMap(\.numbers)
        case "json", "jsonb": return ["{\"probe\": \"\(tenant.marker)\"}", "[]", "{}"] + strings
        case "timestamp with time zone", "timestamp without time zone", "timestamp", "date":
            return ["now", "tomorrow", "yesterday", "2026-01-01"]
        case "time with time zone", "time without time zone", "time": return ["12:00"]
        case "interval": return ["1 hour"]
        case "bytea":
            // Of the lengths of a word, a number, a UUID, and both of these behind a byte that tells which.
            return ["\\x70726f6265"]
                + [8, 16, 9, 17].map { "\\x" + String(repeating: "00", count: $0 - 4) + Hex.encode(serialBytes) }
        case "inet", "cidr": return ["192.0.2.1"]
        case "macaddr": return ["08:00:2b:01:02:03"]
        case "bit", "bit varying": return ["1"]
        case "point": return ["(0,0)"]
        case "tsvector", "tsquery": return ["probe"]
        case "xml": return ["<probe/>"]
        case "int4range", "int8range", "numrange": return ["[1,2)"]
        case "tstzrange", "tsrange", "daterange": return ["[2026-01-01,2026-01-02)"]
        case "vector", "extensions.vector", "public.vector", "halfvec", "extensions.halfvec", "public.halfvec":
            return [vector(of: column)]
        default: return texts(for: column) + strings
        }
    }

    private var serialBytes: [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: serial >> $0) } }

    private func texts(for column: Catalog.Column) -> [String] {
        let marker = tenant.marker + (serial > 1 ? "-\(serial)" : "")
        // Names and digests that are made of an id.
        let digits = Hex.encode(tenant.tenantID.bytes)
        let texts = [
            marker, "\(marker)@example.com", "https://example.com/\(marker)", "/\(marker)", "\(100_000 + serial)",
            "+1555\(1_000_000 + serial)", "en", "USD", "p\(serial)", "probe.tried",
            String(repeating: "\(marker) ", count: 8), digits, "tenant_\(digits)", digits + digits,
        ]
        guard let most = column.maxLength else { return texts }
        return texts.map { String($0.suffix(most)) }
    }

    private func vector(of column: Catalog.Column) -> String {
        let dimensions = column.type.split(separator: "(").last.flatMap { Int($0.dropLast()) } ?? 3
        return "[" + (0..<dimensions).map { $0 == 0 ? "1" : "0" }.joined(separator: ",") + "]"
    }
}

extension SQLExpression {
    /// The numbers in it.
    var numbers: [String] {
        tokens.compactMap { token in
            guard case .number(let text) = token else { return nil }
            return text
        }
    }
}
