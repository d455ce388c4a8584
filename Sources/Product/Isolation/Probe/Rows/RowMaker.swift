// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Thinks up rows that a table takes: right types, enums, domains and foreign keys; which of the candidates satisfy the table's
/// checks is found by a ``RowSolver``.
struct RowMaker {
    /// What a column may be given.
    enum Option: Hashable {
        /// Left out: its default.
        case omitted
        case null
        /// The text of a literal.
        case text(String)
    }

    let catalog: Catalog
    let tenant: ProbeTenant
    /// The tenant's rows made so far, by table.
    var rows: [Int: JSONObject] = [:]
    /// Which of the candidates each column of a table took when a row of it was made: what fits once fits again.
    var choices: [Int: [String: Int]] = [:]
    /// Counts rows, so that no two of them have the same keys.
    private(set) var serial = 0
    /// Where its numbers begin, so that they are no other tenant's.
    let base: Int

    init(catalog: Catalog, tenant: ProbeTenant) {
        self.catalog = catalog
        self.tenant = tenant
        base = tenant.userID.bytes.prefix(6).reduce(0) { $0 << 8 | Int($1) }
    }

    /// Turns to the next row: what must differ from row to row does.
    mutating func advance() { serial += 1 }

    /// A new row: each column that is given with the text of its literal, nil for null.
    ///
    /// - Parameters:
    ///   - choices: which of its options each column takes, where it is not the first; nil for those of an earlier row.
    ///   - values: what columns must hold, instead of what would be thought up.
    ///   - role: leaves out what this role may not insert.
    mutating func row(
        for table: Catalog.Relation, choices: [String: Int]? = nil, values: [String: String] = [:],
        by role: String? = nil
    ) -> [(column: Catalog.Column, literal: String?)] {
        advance()
        let fixed = fixedValues(of: table).merging(placing(in: table)) { first, _ in first }
        let choices = choices ?? self.choices[table.id] ?? [:]
        var row: [(column: Catalog.Column, literal: String?)] = []
        for column in table.columns where !column.isGenerated && !column.isIdentity {
            if let role, !column.inserters.contains(role) { continue }
            if let literal = values[column.name] {
                row.append((column, literal))
                continue
            }
            let options = options(for: column, in: table, fixed: fixed[column.name])
            switch options[min(choices[column.name] ?? 0, options.count - 1)] {
            case .omitted: break
            case .null: row.append((column, nil))
            case .text(let literal): row.append((column, literal))
            }
        }
        return row
    }

    /// What columns hold whatever the row: the tenant's ids, and the keys of its rows in other tables.
    func fixedValues(of table: Catalog.Relation) -> [String: String] {
        foreignValues(of: table).merging(scopeValues(of: table)) { $1 }
    }

    /// What leads a row to a partition that is there, as that of an earlier row does.
    private func placing(in table: Catalog.Relation) -> [String: String] {
        guard table.kind == .partitioned, let earlier = rows[table.id], let condition = table.partitionCondition else {
            return [:]
        }
        return table.columns.reduce(into: [:]) { values, column in
            guard condition.mentions(column.name), !column.isGenerated else { return }
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
        let literals = row.map { "\($0.literal.map(quoteLiteral) ?? "null")::\($0.column.type)" }
            .joined(separator: ", ")
        let insert =
            row.isEmpty
            ? "insert into \(table.quotedName) default values"
            : "insert into \(table.quotedName) (\(names)) values (\(literals))"
        return returning ? "\(insert) returning to_jsonb(\(quoteIdentifier(table.name)))" : insert
    }

    /// A new row as the body of a request; its parameters are those of ``row(for:choices:values:by:)``.
    mutating func body(
        for table: Catalog.Relation, choices: [String: Int]? = nil, values: [String: String] = [:],
        by role: String? = nil
    ) -> JSONObject {
        JSONObject(
            row(for: table, choices: choices, values: values, by: role).map { column, literal in
                (column.name, literal.map { Self.json($0, column) } ?? .null)
            })
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

    /// What a column may take, the likeliest first.
    ///
    /// - Parameter fixed: what it must hold, unless it may be empty.
    func options(for column: Catalog.Column, in table: Catalog.Relation, fixed: String? = nil) -> [Option] {
        if let fixed {
            let mayBeEmpty = column.isNullable && !catalog.scopeColumns(of: table).contains(column.name)
            return mayBeEmpty ? [.text(fixed), .null] : [.text(fixed)]
        }
        let values = candidates(for: column, in: table).map(Option.text)
        if let expression = column.defaultValue {
            let isTold = isUnique(column, in: table) && !Self.isEachTimeAnother(expression)
            return (isTold ? values : [.omitted] + values) + (column.isNullable ? [.null] : [])
        }
        // What may be empty is, unless it is a text, which can hold the tenant's mark, or tells rows apart.
        guard column.isNullable else { return values }
        return isText(column) || isUnique(column, in: table) ? values + [.null] : [.null] + values
    }

    func isUnique(_ column: Catalog.Column, in table: Catalog.Relation) -> Bool {
        catalog.linking.uniqueColumns[table.id]?.contains(column.name) ?? false
    }

    private static func isEachTimeAnother(_ expression: String) -> Bool {
        ["nextval(", "uuid", "random", "now()", "clock_timestamp()", "CURRENT_"].contains(where: expression.contains)
    }
}
