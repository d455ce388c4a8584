// SPDX-License-Identifier: Apache-2.0

extension Lint {
    /// Ways to rows that do not name their table: what inherits, what is done besides, what a view reads in its turn.
    static let indirection: [Lint] = [
        atoll(
            "0111", "policy_compares_column_with_itself", .error, "A policy that compares a column with itself",
            why:
                "In a sub-select a name without a table is a column of the sub-select's: m.tenant_id = tenant_id is true of every row.",
            fix: "Name the table: m.tenant_id = documents.tenant_id."
        ) { catalog, _ in
            (catalog.projectPolicies() + catalog.policies(of: "storage", "objects")
                + catalog.policies(of: "realtime", "messages")).compactMap { policy, table in
                    let names = Set([policy.using, policy.check].compactMap { $0 }.flatMap(\.selfComparisons))
                    guard policy.isPermissive, !policy.apiRoles.isEmpty, !names.isEmpty else { return nil }
                    return Occurrence(
                        table, part: policy.name,
                        "\(policy.title(on: table)) compares \(list(names.sorted())) with itself")
                }
        },
        atoll(
            "0112", "inherited_rows_shown", .error, "A table shows the rows of one that inherits from it",
            why: "Who selects from a table sees the rows of those that inherit from it, by its own policies alone.",
            fix:
                "Give the parent the policies of the child, or revoke it, or stop inheriting: alter table ... no inherit ..."
        ) { catalog, _ in
            catalog.projectTables.flatMap { child -> [Occurrence] in
                guard !catalog.scopeColumns(of: child).isEmpty else { return [] }
                return child.parents.compactMap(catalog.relation).filter { parent in
                    !parent.roles(allowed: "SELECT").isEmpty && catalog.scopeColumns(of: parent).isEmpty
                        && (!parent.isSecured || catalog.isReadByEverybody(parent))
                }.map { parent in
                    Occurrence(
                        parent, part: child.qualifiedName,
                        "\(parent.qualifiedName) shows rows of \(child.qualifiedName) past its policies")
                }
            }
        },
        atoll(
            "0113", "rule_passes_policies", .error, "A rule that reaches tenants' rows with its owner's rights",
            why:
                "What a rule does is done with the rights of its relation's owner: the policies of the tables it names are not those of who asks.",
            fix: "Use a trigger without security definer in its place, or compare with (select auth.uid()) in the rule."
        ) { catalog, _ in
            let targets = catalog.scopedTables.filter { $0.isSecured && !$0.isForced }
            return catalog.rules.flatMap { rule -> [Occurrence] in
                guard let relation = catalog.relation(rule.relation), catalog.isOfProject(relation),
                    !relation.roles(allowed: rule.event).isEmpty, !rule.definition.usesIdentity
                else { return [] }
                return targets.filter { $0.id != relation.id && rule.definition.reaches($0.name) }.map { target in
                    Occurrence(
                        relation, part: "\(rule.name):\(target.name)",
                        "Rule \(rule.name) of \(relation.qualifiedName) reaches \(target.qualifiedName) with the rights of \(relation.owner)"
                    )
                }
            }
        },
        atoll(
            "0114", "definer_trigger_changes_all_tenants", .warning,
            "A trigger with its owner's rights changes tenants' rows",
            why:
                "It passes their policies by and neither asks who is calling nor looks at whose rows they are, so that a write to one table changes everybody's rows in another.",
            fix:
                "Compare the tenant or owner column of what it changes with that of the row, or make it security invoker."
        ) { catalog, _ in
            let targets = catalog.scopedTables.filter { !$0.isForced }
            let functions = Dictionary(catalog.functions.map { ($0.id, $0) }) { first, _ in first }
            return catalog.triggers.flatMap { trigger -> [Occurrence] in
                guard let relation = catalog.relation(trigger.relation), catalog.isOfProject(relation),
                    !["INSERT", "UPDATE", "DELETE"].allSatisfy({ relation.roles(allowed: $0).isEmpty }),
                    let function = functions[trigger.function], function.isDefiner
                else { return [] }
                let source = SQLExpression(function.source)
                guard !source.usesIdentity else { return [] }
                return targets.filter { target in
                    // A key of the row's that leads to the target says which row is meant: a count of its comments.
                    let leading = catalog.foreignKeys(of: relation).filter { $0.target == target.id }.flatMap(\.columns)
                    let ways = catalog.scopeColumns(of: target) + catalog.parentColumns(of: target) + leading
                    return target.id != relation.id && source.changes(target.name) && !source.mentions(anyOf: ways)
                }.map { target in
                    Occurrence(
                        relation, part: "\(trigger.name):\(target.name)",
                        "Trigger \(trigger.name) of \(relation.qualifiedName) changes \(target.qualifiedName) with the rights of \(function.owner)"
                    )
                }
            }
        },
        atoll(
            "0127", "api_role_may_create", .warning, "A role of requests may make objects",
            why:
                "Where a caller's text is run, or a function looks names up in that schema, objects of theirs take the place of the project's.",
            fix: "revoke create on schema ... from public, anon, authenticated"
        ) { catalog, _ in
            Set(catalog.creatable.values.flatMap { $0 }).sorted().map { schema in
                let roles = Catalog.apiRoles.filter { catalog.creatable[$0]?.contains(schema) ?? false }
                return Occurrence(
                    schema: schema, name: schema, type: "schema",
                    detail: "\(list(roles)) may make objects in schema \(schema)")
            }
        },
        atoll(
            "0128", "view_reads_past_policies", .error, "A view leads to rows that no policy guards",
            why:
                "A view with its caller's rights still shows all rows where what it reads has no policies for them: a view with its owner's rights, a materialized view, a table without row level security.",
            fix:
                "Set security_invoker on the inner view, enable row level security on the table, or filter by the caller in the view."
        ) { catalog, settings in
            let scoped = Set(catalog.scopedTables.map(\.id))
            return catalog.exposed(settings).filter { $0.kind == .view && $0.isInvoker }.flatMap { view in
                view.reads.sorted().compactMap(catalog.relation).filter { inner in
                    guard catalog.isOfProject(inner), !settings.exposedSchemas.contains(inner.schema) else {
                        return false
                    }
                    return switch inner.kind {
                    case .view: !inner.isInvoker && !inner.reads.isDisjoint(with: scoped)
                    case .materializedView: !inner.reads.isDisjoint(with: scoped)
                    case .foreignTable: true
                    case .table, .partitioned: !inner.isSecured && scoped.contains(inner.id)
                    }
                }.map { inner in
                    Occurrence(
                        view, part: inner.qualifiedName,
                        "View \(view.qualifiedName) shows rows of \(inner.kind.word) \(inner.qualifiedName), which no policy guards"
                    )
                }
            }
        },
    ]
}

extension Catalog {
    /// Whether it is the project's own: neither the platform's nor an extension's.
    func isOfProject(_ relation: Relation) -> Bool {
        !relation.isOfExtension && !Self.platformSchemas.contains(relation.schema)
    }
}

extension SQLExpression {
    /// Whether it updates a table of this name or deletes from it.
    func changes(_ table: String) -> Bool { follows(table, ["update", "from"]) { $0 == "update" || deletes(at: $1) } }

    /// Whether it reads or writes a table of this name.
    func reaches(_ table: String) -> Bool { follows(table, ["update", "from", "into", "join"]) { _, _ in true } }

    /// Whether a name stands, with its schema or without, after one of these words.
    private func follows(_ table: String, _ words: Set<String>, where isMeant: (String, Int) -> Bool) -> Bool {
        tokens.indices.contains { index in
            guard tokens[index] == .word(table) else { return false }
            var before = index - 1
            if before > 0, tokens[before] == .symbol(".") { before -= 2 }
            if before >= 0, tokens[before] == .word("only") { before -= 1 }
            guard before >= 0, case .word(let word) = tokens[before], words.contains(word) else { return false }
            return isMeant(word, before)
        }
    }

    private func deletes(at from: Int) -> Bool { from > 0 && tokens[from - 1] == .word("delete") }
}
