// SPDX-License-Identifier: Apache-2.0

extension Catalog {
    /// What belongs to which relation, by its id.
    struct Links: Sendable {
        var relations: [Int: Relation] = [:]
        /// Ids by `schema.name`.
        var identifiers: [String: Int] = [:]
        var policies: [Int: [Policy]] = [:]
        var foreignKeys: [Int: [ForeignKey]] = [:]
        var tenantColumns: [Int: [String]] = [:]
        var ownerColumns: [Int: [String]] = [:]
        /// The columns of a unique index of several or one.
        var uniqueColumns: [Int: Set<String>] = [:]
        /// The project's tables that hold rows of one tenant or person each.
        var scoped: Set<Int> = []
        /// Columns that lead to a scoped table: a comment's post, an order line's order.
        var parentColumns: [Int: [String]] = [:]
        /// The names of tables whose policies ask who is calling.
        var guardedNames: Set<String> = []

        init(_ catalog: Catalog) {
            relations = Dictionary(catalog.relations.map { ($0.id, $0) }) { first, _ in first }
            identifiers = Dictionary(catalog.relations.map { ($0.qualifiedName, $0.id) }) { first, _ in first }
            policies = Dictionary(grouping: catalog.policies, by: \.relation)
            foreignKeys = Dictionary(grouping: catalog.foreignKeys, by: \.relation)
            for index in catalog.indexes where index.isUnique {
                uniqueColumns[index.relation, default: []].formUnion(index.columns.compactMap { $0 })
            }
            for table in catalog.relations {
                let tenants = columns(of: table, named: Catalog.tenantNames, pointingAt: ["tenancy.tenants"])
                let owners = columns(
                    of: table, named: Catalog.ownerNames, pointingAt: ["auth.users", "tenancy.profiles"])
                tenantColumns[table.id] = tenants
                ownerColumns[table.id] = owners.filter { !tenants.contains($0) }
                if catalog.isProjectTable(table), !tenants.isEmpty || !owners.isEmpty { scoped.insert(table.id) }
                if table.isSecured, policies[table.id]?.contains(where: { $0.using?.asksForIdentity ?? false }) == true
                {
                    guardedNames.insert(table.name)
                }
            }
            for (id, keys) in foreignKeys {
                parentColumns[id] = keys.filter { $0.target != id && scoped.contains($0.target) }.flatMap(\.columns)
            }
        }

        private func columns(
            of table: Relation, named names: Set<String>, pointingAt targets: Set<String>
        ) -> [String] {
            let pointing = (foreignKeys[table.id] ?? []).filter {
                $0.columns.count == 1 && targets.contains("\($0.targetSchema).\($0.targetName)")
            }.flatMap(\.columns)
            return table.columns.map(\.name).filter { names.contains($0) || pointing.contains($0) }
        }
    }
}
