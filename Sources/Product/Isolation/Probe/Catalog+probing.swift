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
    func call(naming tenant: ProbeTenant) -> String {
        let arguments = arguments(naming: tenant).map { name, type, value -> String in
            let literal = value.map { "\(quoteLiteral($0))::\(type)" } ?? "null::\(type)"
            return name.isEmpty ? literal : "\(quoteIdentifier(name)) => \(literal)"
        }
        return "\(quoteIdentifier(schema)).\(quoteIdentifier(name))(\(arguments.joined(separator: ", ")))"
    }
}
