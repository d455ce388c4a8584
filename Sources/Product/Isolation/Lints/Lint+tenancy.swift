// SPDX-License-Identifier: Apache-2.0

extension Lint {
    static func atoll(
        _ id: String, _ name: String, _ level: Finding.Level, _ title: String, why description: String,
        fix remediation: String, _ find: @escaping @Sendable (Catalog, LintSettings) -> [Occurrence]
    ) -> Lint {
        Lint(
            id: id, name: name, title: title, level: level, category: .security, description: description,
            remediation: remediation, find: find)
    }

    /// Whether the policies of a tenant's tables really are about the tenant.
    static let tenancy: [Lint] = [
        atoll(
            "0101", "policy_ignores_tenant", .error, "A policy that does not look at whose row it is",
            why:
                "The table holds rows of many tenants; a condition that asks only who is calling, or nothing, shows all of them.",
            fix:
                "Compare the tenant or owner column: tenant_id = (select tenancy.current_tenant()), user_id = (select auth.uid())."
        ) { catalog, _ in
            catalog.projectPolicies().flatMap { policy, table -> [Occurrence] in
                let names = catalog.scopeColumns(of: table)
                let ways = names + catalog.parentColumns(of: table) + (names.isEmpty ? [] : table.primaryKey)
                guard policy.isPermissive, !ways.isEmpty, !policy.apiRoles.isEmpty else { return [] }
                let open = policy.action.actions.filter { action in
                    guard !policy.apiRoles.allSatisfy({ catalog.isRestricted(table, action, $0) }) else { return false }
                    let conditions = [policy.reading(action), policy.writing(action)].compactMap { $0 }
                    return conditions.contains { !$0.mentions(anyOf: ways) && !$0.isConstantlyFalse }
                }
                guard !open.isEmpty else { return [] }
                return [
                    Occurrence(
                        table, part: policy.name,
                        "\(policy.title(on: table)) never looks at \(list(names.isEmpty ? ways : names)) for \(list(open.map(\.keyword)))"
                    )
                ]
            }
        },
        atoll(
            "0102", "policy_without_identity", .error, "A policy that does not ask who is calling",
            why:
                "Whose row it is can only be compared with who is calling; anything else is the same for every tenant.",
            fix: "Compare with (select auth.uid()), (select tenancy.current_tenant()) or another claim of the token."
        ) { catalog, _ in
            catalog.projectPolicies().flatMap { policy, table -> [Occurrence] in
                let names = catalog.scopeColumns(of: table)
                guard policy.isPermissive, !names.isEmpty, !policy.apiRoles.isEmpty else { return [] }
                let open = policy.action.actions.filter { action in
                    guard !policy.apiRoles.allSatisfy({ catalog.isRestricted(table, action, $0) }) else { return false }
                    return [policy.reading(action), policy.writing(action)].compactMap { $0 }.contains {
                        $0.mentions(anyOf: names) && !$0.asksForIdentity && !$0.callsUnknownFunction
                            && !$0.readsSecuredTable(of: catalog)
                    }
                }
                guard !open.isEmpty else { return [] }
                return [
                    Occurrence(
                        table, part: policy.name,
                        "\(policy.title(on: table)) is the same for every caller for \(list(open.map(\.keyword)))")
                ]
            }
        },
        atoll(
            "0103", "update_moves_rows", .error, "An update can give a row to another tenant",
            why:
                "The check says what a row may become. Where it is looser than the condition of reading, one's row becomes somebody else's, or theirs is written to.",
            fix: "Repeat the condition in `with check`, or leave the check out so that it is the same."
        ) { catalog, _ in
            catalog.projectPolicies().compactMap { policy, table in
                guard policy.isPermissive, policy.action.actions.contains(.update), !policy.apiRoles.isEmpty,
                    let using = policy.using, let check = policy.check
                else { return nil }
                let pinned = (catalog.scopeColumns(of: table) + catalog.parentColumns(of: table)).filter(using.mentions)
                let loose = pinned.filter { !check.mentions($0) }
                guard !loose.isEmpty, !policy.apiRoles.allSatisfy({ catalog.isRestricted(table, .update, $0) }) else {
                    return nil
                }
                return Occurrence(
                    table, part: policy.name,
                    "\(policy.title(on: table)) tests \(list(loose)) before an update and not after")
            }
        },
        atoll(
            "0104", "tenant_column_not_pinned", .error, "A row can be written into another tenant",
            why: "The table names the tenant of a row, and the check of what is written tests only its author.",
            fix: "Add tenant_id = (select tenancy.current_tenant()) to the check."
        ) { catalog, _ in
            catalog.projectPolicies().compactMap { policy, table in
                let tenants = catalog.tenantColumns(of: table)
                guard policy.isPermissive, !tenants.isEmpty, !policy.apiRoles.isEmpty else { return nil }
                let open = policy.action.actions.filter { action in
                    guard let written = policy.writing(action),
                        !policy.apiRoles.allSatisfy({ catalog.isRestricted(table, action, $0) })
                    else { return false }
                    return written.mentions(anyOf: catalog.ownerColumns(of: table)) && !written.mentions(anyOf: tenants)
                }
                guard !open.isEmpty else { return nil }
                return Occurrence(
                    table, part: policy.name,
                    "\(policy.title(on: table)) does not test \(list(tenants)) of what \(list(open.map(\.keyword))) writes"
                )
            }
        },
        atoll(
            "0105", "row_security_not_forced", .warning, "The owner passes the table's policies by",
            why: "Functions with the owner's rights, and whoever logs in as the owner, see the rows of all tenants.",
            fix: "alter table ... force row level security"
        ) { catalog, _ in
            catalog.scopedTables.filter { $0.isSecured && !$0.isForced }.map {
                Occurrence($0, "\($0.qualifiedName) does not force row level security on its owner, \($0.owner)")
            }
        },
        atoll(
            "0106", "policy_asks_current_user", .error, "A condition on the database's user",
            why:
                "In a function with its owner's rights current_user is the owner, for every caller; in a request it is the same role for all tenants.",
            fix: "Ask (select auth.uid()) or another claim of the token."
        ) { catalog, _ in
            let words = ["current_user", "session_user", "current_role"]
            let policies = (catalog.projectPolicies() + catalog.policies(of: "storage", "objects")).filter {
                policy, _ in
                !policy.apiRoles.isEmpty
                    && [policy.using, policy.check].contains { $0?.mentions(anyOf: words) ?? false }
            }.map { policy, table in
                Occurrence(table, part: policy.name, "\(policy.title(on: table)) decides by the database's user")
            }
            let functions = catalog.projectFunctions.filter {
                $0.isDefiner && SQLExpression($0.source).mentions(anyOf: words)
            }.map {
                Occurrence(
                    $0, "Function \($0.signature) runs with the rights of \($0.owner) and asks for the database's user")
            }
            return policies + functions
        },
        atoll(
            "0107", "foreign_key_crosses_tenants", .warning, "A foreign key can reach into another tenant",
            why:
                "Foreign keys are checked past row level security: a row may point at one its writer cannot see, and the answer tells whether that exists.",
            fix:
                "Put the tenant column into both keys: foreign key (tenant_id, post_id) references posts (tenant_id, id)."
        ) { catalog, _ in
            let scoped = Dictionary(catalog.scopedTables.map { ($0.id, $0) }) { first, _ in first }
            return catalog.foreignKeys.compactMap { key in
                guard let table = scoped[key.relation], let target = scoped[key.target], target.isSecured,
                    !table.roles(allowed: "INSERT").isEmpty || !table.roles(allowed: "UPDATE").isEmpty
                else { return nil }
                let scope = Set(catalog.scopeColumns(of: table))
                guard scope.isDisjoint(with: key.columns) else { return nil }
                // A check that looks the target up under its own policies keeps the key inside.
                let isChecked = catalog.policies(of: table).contains { policy in
                    [policy.using, policy.check].contains { $0?.mentions(target.name) ?? false }
                }
                guard !isChecked else { return nil }
                return Occurrence(
                    table, part: key.name,
                    "Foreign key \(key.name) of \(table.qualifiedName) may point at rows of \(target.qualifiedName) of another tenant"
                )
            }
        },
        atoll(
            "0108", "unique_key_spans_tenants", .warning, "A unique key tells what other tenants have",
            why: "A refused insert shows that the value exists somewhere else.",
            fix: "Begin the unique key with the tenant or owner column."
        ) { catalog, _ in
            let scoped = Dictionary(catalog.scopedTables.map { ($0.id, $0) }) { first, _ in first }
            return catalog.indexes.compactMap { index in
                guard index.isUnique || index.isExclusion, let table = scoped[index.relation],
                    !table.roles(allowed: "INSERT").isEmpty
                else { return nil }
                let columns = table.columns.filter { column in
                    index.columns.contains(column.name) || index.expressions?.mentions(column.name) ?? false
                }
                let names = columns.map(\.name)
                let scope = catalog.scopeColumns(of: table) + catalog.parentColumns(of: table)
                // Keys that nobody chooses tell nothing.
                let isChosen =
                    columns.contains { $0.type != "uuid" }
                    && !(index.isPrimary && columns.contains { $0.type == "uuid" || $0.hasSequence })
                guard Set(names).isDisjoint(with: scope), isChosen else { return nil }
                return Occurrence(
                    table, part: index.name,
                    "\(index.isUnique ? "Unique key" : "Exclusion constraint") \(index.name) of \(table.qualifiedName) (\(list(names))) is one for all tenants"
                )
            }
        },
        atoll(
            "0109", "sequence_shows_volume", .info, "Numbers that tell how much others write",
            why: "Gaps between one's own numbers are other tenants' rows.",
            fix: "Use uuid primary keys with default gen_random_uuid()."
        ) { catalog, _ in
            catalog.scopedTables.flatMap { table in
                table.columns.filter { $0.hasSequence && !table.roles(allowed: "SELECT").isEmpty }.map {
                    Occurrence(
                        table, part: $0.name,
                        "Column \($0.name) of \(table.qualifiedName) counts the rows of all tenants")
                }
            }
        },
        atoll(
            "0110", "trigger_copies_to_open_table", .error,
            "A trigger copies rows to a table that everybody reads",
            why: "What the policies of the first table protect stands open in the second.",
            fix: "Enable row level security on the table that is written to, or revoke it from anon and authenticated."
        ) { catalog, _ in
            let open = catalog.projectTables.filter { table in
                guard !table.roles(allowed: "SELECT").isEmpty else { return false }
                return !table.isSecured || (!catalog.isScoped(table) && catalog.isReadByEverybody(table))
            }
            let scoped = Dictionary(catalog.scopedTables.map { ($0.id, $0) }) { first, _ in first }
            let functions = Dictionary(catalog.functions.map { ($0.id, $0) }) { first, _ in first }
            return catalog.triggers.flatMap { trigger -> [Occurrence] in
                guard let table = scoped[trigger.relation], table.isSecured, let function = functions[trigger.function]
                else { return [] }
                let source = SQLExpression(function.source)
                return open.filter { $0.id != table.id && source.writes(to: $0.name) }.map { target in
                    Occurrence(
                        table, part: "\(trigger.name):\(target.name)",
                        "Trigger \(trigger.name) of \(table.qualifiedName) writes to \(target.qualifiedName), which anybody may read"
                    )
                }
            }
        },
    ]
}

extension SQLExpression {
    /// `false`, with or without parentheses.
    var isConstantlyFalse: Bool {
        tokens.filter { $0 != .symbol("(") && $0 != .symbol(")") } == [.word("false")]
    }

    /// Whether it looks into a table whose own policies ask who is calling.
    func readsSecuredTable(of catalog: Catalog) -> Bool {
        mentions("select") && mentions(anyOf: catalog.linking.guardedNames)
    }

    /// Whether, read as the body of a function, it inserts into or updates a table of this name.
    func writes(to table: String) -> Bool {
        for (index, token) in tokens.enumerated() where token == .word(table) {
            var before = tokens[..<index]
            // The table's schema.
            if before.last == .symbol(".") { before = before.dropLast(2) }
            if before.last == .word("into") || before.last == .word("update") { return true }
        }
        return false
    }
}
