// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension Catalog {
    /// Schemas of the platform whose tables requests reach with rows of tenants in them.
    static let probedPlatformSchemas: Set<String> = ["tenancy", "vectors"]

    /// The tables that requests reach.
    var probedTables: [Relation] {
        relations.filter { relation in
            relation.isTable && !relation.isPartition && relation.isReachable && !relation.isOfExtension
                && (!Self.platformSchemas.contains(relation.schema)
                    || Self.probedPlatformSchemas.contains(relation.schema))
        }
    }

    /// Tables before those that point at them; where they point at each other, in any order.
    func inOrderOfKeys(_ tables: [Relation]) -> [Relation] {
        var waiting = tables
        var ordered: [Relation] = []
        var open = Set(tables.map(\.id))
        while !waiting.isEmpty {
            let ready = waiting.filter { table in
                !foreignKeys(of: table).contains { $0.target != table.id && open.contains($0.target) }
            }
            let next = ready.isEmpty ? Array(waiting.prefix(1)) : ready
            ordered += next
            open.subtract(next.map(\.id))
            waiting.removeAll { !open.contains($0.id) }
        }
        return ordered
    }

    /// These tables, with those that their rows must point at, in the order in which rows can be made.
    ///
    /// - Parameter mayFill: which of those that are pointed at may be given rows.
    func withTargets(_ tables: [Relation], where mayFill: (Relation) -> Bool = { _ in true }) -> [Relation] {
        var wanted = Set(tables.map(\.id))
        var all = tables
        var waiting = tables
        while let table = waiting.popLast() {
            for key in foreignKeys(of: table) {
                guard let target = relation(key.target), target.isTable, mayFill(target),
                    !Self.accountTables.contains(target.qualifiedName), wanted.insert(target.id).inserted
                else { continue }
                all.append(target)
                waiting.append(target)
            }
        }
        return inOrderOfKeys(all)
    }

    /// Those whose rows a probe's tenants are.
    private static let accountTables: Set<String> = ["auth.users", "tenancy.tenants"]

    /// Whether one row of the table stands for both tenants, as it is nobody's.
    func isShared(_ table: Relation) -> Bool {
        !isScoped(table) && !linking.groups.contains(table.id)
            && (!Self.platformSchemas.contains(table.schema) || !table.isReachable)
    }

    /// The functions of a row of the table, which the API serves as columns of it.
    func functions(of table: Relation, _ settings: LintSettings) -> [Function] {
        projectFunctions.filter { function in
            function.schema == table.schema && function.argumentTypes.first == table.rowType
                && function.argumentTypes.count == 1 && settings.exposedSchemas.contains(function.schema)
                && !function.callers.isEmpty
        }
    }

    /// The functions that the API serves and requests may call.
    func calledFunctions(_ settings: LintSettings) -> [Function] {
        projectFunctions.filter {
            !$0.isTrigger && !$0.callers.isEmpty && settings.exposedSchemas.contains($0.schema)
        }
    }
}

extension Catalog.Relation {
    /// As it stands in a statement.
    var quotedName: String { "\(quoteIdentifier(schema)).\(quoteIdentifier(name))" }

    /// Its rows' type, as `format_type` writes it.
    var rowType: String { "\(quoteIdentifierWhereNeeded(schema)).\(quoteIdentifierWhereNeeded(name))" }

    func column(_ name: String) -> Catalog.Column? { columns.first { $0.name == name } }

    /// The condition that finds one row; nil where nothing tells rows apart.
    func identity(of row: JSONObject) -> String? {
        guard !primaryKey.isEmpty else { return nil }
        let parts = primaryKey.compactMap { name -> String? in
            guard let value = row[name].flatMap(RowMaker.text), let column = column(name) else { return nil }
            return "\(quoteIdentifier(name)) = \(quoteLiteral(value))::\(column.type)"
        }
        return parts.count == primaryKey.count ? parts.joined(separator: " and ") : nil
    }

    /// The condition that finds the rows which hold these values.
    func condition(_ values: [String: String]) -> String {
        values.sorted { $0.key < $1.key }.map { name, value in
            "\(quoteIdentifier(name)) = \(quoteLiteral(value))::\(column(name)?.type ?? "text")"
        }.joined(separator: " and ")
    }

    /// A column that a role may change, rather not a key.
    func changeableColumn(by role: String) -> String? {
        columns.first { $0.updaters.contains(role) && !$0.isGenerated && !primaryKey.contains($0.name) }?.name
            ?? columns.first { $0.updaters.contains(role) && !$0.isGenerated }?.name
    }
}

extension Catalog.Function {
    /// What each argument is given so that it asks for a tenant's: its ids where a name asks for them. Nil for null.
    func arguments(naming tenant: ProbeTenant) -> [(name: String, type: String, value: String?)] {
        zip(argumentNames, argumentTypes).map { name, type in
            let asksForTenant = ["tenant", "org", "team", "workspace", "company"].contains {
                name.lowercased().contains($0)
            }
            let value: String? =
                switch type {
                case "uuid": (asksForTenant ? tenant.tenantID : tenant.userID).description
                case "text", "character varying", "citext":
                    name.lowercased().contains("mail")
                        ? tenant.email : asksForTenant ? tenant.tenantID.description : tenant.userID.description
                case "integer", "bigint", "smallint", "numeric", "real", "double precision": "1"
                case "boolean": "true"
                case "json", "jsonb": "{}"
                case let array where array.hasSuffix("[]"): "{}"
                default: nil
                }
            return (name, type, value)
        }
    }

    /// The call as it stands in a statement.
    ///
    /// - Parameter values: what arguments are given instead, by their places.
    func call(naming tenant: ProbeTenant, with values: [Int: String] = [:]) -> String {
        let arguments = arguments(naming: tenant).enumerated().map { place, argument -> String in
            let (name, type, given) = argument
            let value = values[place] ?? given
            let literal = value.map { "\(quoteLiteral($0))::\(type)" } ?? "null::\(type)"
            return name.isEmpty ? literal : "\(quoteIdentifier(name)) => \(literal)"
        }
        return "\(quoteIdentifier(schema)).\(quoteIdentifier(name))(\(arguments.joined(separator: ", ")))"
    }
}

/// As PostgreSQL itself writes a name; keywords, which it quotes too, are not known here.
private func quoteIdentifierWhereNeeded(_ name: String) -> String {
    let isPlain =
        name.first.map { $0 == "_" || ($0.isASCII && $0.isLowercase) } ?? false
        && name.allSatisfy { $0 == "_" || $0 == "$" || ($0.isASCII && ($0.isLowercase || $0.isNumber)) }
    return isPlain ? name : quoteIdentifier(name)
}
