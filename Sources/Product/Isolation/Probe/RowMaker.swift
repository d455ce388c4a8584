// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Thinks up rows that a table takes: right types, enums, domains, foreign keys, and checks as far as their words give them away.
struct RowMaker {
    let catalog: Catalog
    let tenant: ProbeTenant
    /// The tenant's rows made so far, by table.
    var rows: [Int: JSONObject] = [:]
    /// Counts rows, so that no two of them have the same keys.
    private var serial = 0

    init(catalog: Catalog, tenant: ProbeTenant) {
        self.catalog = catalog
        self.tenant = tenant
    }

    /// An insert of a new row.
    ///
    /// - Parameters:
    ///   - choices: which of the candidates each column takes, where it is not the first.
    ///   - values: what columns must hold, instead of what would be thought up.
    ///   - role: leaves out what this role may not insert.
    mutating func insertion(
        into table: Catalog.Relation, choices: [String: Int] = [:], values: [String: String] = [:],
        by role: String? = nil, returning: Bool = true
    ) -> String {
        serial += 1
        var fixed = foreignValues(of: table)
        fixed.merge(scopeValues(of: table)) { $1 }
        fixed.merge(values) { $1 }
        var names: [String] = []
        var expressions: [String] = []
        for column in table.columns where !column.isGenerated && !column.isIdentity {
            if let role, !column.inserters.contains(role) { continue }
            var literal = fixed[column.name]
            if literal == nil {
                // What has a default keeps it, unless a row must be told from another by it.
                if column.defaultValue != nil, !isUniqueText(column, in: table) { continue }
                if column.isNullable, !isText(column) { continue }
                let candidates = candidates(for: column, in: table)
                literal = candidates[min(choices[column.name] ?? 0, candidates.count - 1)]
            }
            names.append(quoteIdentifier(column.name))
            expressions.append("\(quoteLiteral(literal ?? ""))::\(column.type)")
        }
        let target = "\(quoteIdentifier(table.schema)).\(quoteIdentifier(table.name))"
        let insert =
            names.isEmpty
            ? "insert into \(target) default values"
            : "insert into \(target) (\(names.joined(separator: ", "))) values (\(expressions.joined(separator: ", ")))"
        return returning ? "\(insert) returning to_jsonb(\(quoteIdentifier(table.name)))" : insert
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

    /// Whether a foreign key of the column is to a table of the project, whose row says what stands here.
    private func pointsAtProject(_ column: String, of table: Catalog.Relation) -> Bool {
        catalog.foreignKeys.contains { key in
            key.relation == table.id && key.columns == [column] && rows[key.target] != nil
                && !Catalog.platformSchemas.contains(key.targetSchema)
        }
    }

    /// What foreign keys must hold so that they point at rows of the same tenant.
    func foreignValues(of table: Catalog.Relation) -> [String: String] {
        var values: [String: String] = [:]
        for key in catalog.foreignKeys where key.relation == table.id {
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

    private func isText(_ column: Catalog.Column) -> Bool {
        let type = column.baseType ?? column.type
        return type == "text" || type.hasPrefix("character") || type == "citext" || type.hasSuffix(".citext")
    }

    private func isUniqueText(_ column: Catalog.Column, in table: Catalog.Relation) -> Bool {
        isText(column)
            && catalog.indexes.contains { $0.relation == table.id && $0.isUnique && $0.columns.contains(column.name) }
    }

    /// What a column may take, the likeliest first.
    func candidates(for column: Catalog.Column, in table: Catalog.Relation) -> [String] {
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
        case "bytea": return ["\\x70726f6265"]
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

    private func texts(for column: Catalog.Column) -> [String] {
        let marker = tenant.marker + (serial > 1 ? "-\(serial)" : "")
        let texts = [
            marker, "\(marker)@example.com", "https://example.com/\(marker)", "/\(marker)", "\(100_000 + serial)",
            "+1555\(1_000_000 + serial)", "en", "USD", "p\(serial)", "probe.tried",
            String(repeating: "\(marker) ", count: 8),
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
