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
        /// Tables whose rows are groups of people: another table says who belongs to which, and policies ask that.
        var groups: Set<Int> = []
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
                ownerColumns[table.id] = columns(
                    of: table, named: Catalog.ownerNames, pointingAt: ["auth.users", "tenancy.profiles"])
            }
            findGroups(catalog)
            for table in catalog.relations {
                let named = columns(of: table, named: Catalog.tenantNames, pointingAt: ["tenancy.tenants"])
                let tenants = named + groupColumns(of: table).filter { !named.contains($0) }
                let owners = ownerColumns[table.id] ?? []
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

        /// A table is one of groups if its own columns say nobody's, a table of memberships points at it and at a person, and the
        /// policies of others look a person's groups up there.
        private mutating func findGroups(_ catalog: Catalog) {
            for members in catalog.relations where catalog.isProjectTable(members) {
                guard ownerColumns[members.id]?.isEmpty == false else { continue }
                for key in foreignKeys[members.id] ?? [] where key.columns.count == 1 && key.target != members.id {
                    guard let target = relations[key.target], catalog.isProjectTable(target),
                        ownerColumns[target.id]?.isEmpty != false,
                        columns(of: target, named: Catalog.tenantNames, pointingAt: ["tenancy.tenants"]).isEmpty
                    else { continue }
                    let isAsked = catalog.policies.contains { policy in
                        policy.relation != members.id
                            && [policy.using, policy.check].contains { expression in
                                guard let expression else { return false }
                                return expression.mentions(members.name) && expression.mentions(key.columns[0])
                                    && expression.asksForIdentity
                            }
                    }
                    if isAsked { groups.insert(target.id) }
                }
            }
        }

        /// Columns that name a group.
        private func groupColumns(of table: Relation) -> [String] {
            (foreignKeys[table.id] ?? []).filter { $0.columns.count == 1 && groups.contains($0.target) }.flatMap(
                \.columns)
        }

        /// `tenantId` as `tenant_id`.
        private static func snake(_ name: String) -> String {
            guard name.contains(where: \.isUppercase) else { return name }
            return name.reduce(into: "") { text, letter in
                if letter.isUppercase, !text.isEmpty, text.last != "_" { text.append("_") }
                text.append(contentsOf: letter.lowercased())
            }
        }

        private func columns(
            of table: Relation, named names: Set<String>, pointingAt targets: Set<String>
        ) -> [String] {
            let pointing = (foreignKeys[table.id] ?? []).filter {
                $0.columns.count == 1 && targets.contains("\($0.targetSchema).\($0.targetName)")
            }.flatMap(\.columns)
            return table.columns.map(\.name).filter { names.contains(Self.snake($0)) || pointing.contains($0) }
        }
    }
}
