// SPDX-License-Identifier: Apache-2.0

extension Lint {
    private static func performance(
        _ id: String, _ name: String, _ level: Finding.Level, _ title: String, why description: String,
        fix remediation: String, _ find: @escaping @Sendable (Catalog, LintSettings) -> [Occurrence]
    ) -> Lint {
        Lint(
            id: id, name: name, title: title, level: level, category: .performance, description: description,
            remediation: remediation, find: find)
    }

    /// The performance part of the public set of database advisors.
    static let advisorPerformance: [Lint] = [
        performance(
            "0001", "unindexed_foreign_keys", .info, "A foreign key without an index",
            why: "Deleting or changing a row that is pointed at, and joins over the key, read the whole table.",
            fix: "create index on ... (columns of the key)"
        ) { catalog, _ in
            let indexes = Dictionary(grouping: catalog.indexes.filter { !$0.isPartial }, by: \.relation)
            let tables = Dictionary(catalog.projectTables.map { ($0.id, $0) }) { first, _ in first }
            return catalog.foreignKeys.compactMap { key in
                guard let table = tables[key.relation] else { return nil }
                let isCovered = (indexes[key.relation] ?? []).contains { index in
                    Set(index.columns.prefix(key.columns.count)) == Set(key.columns.map(Optional.some))
                }
                guard !isCovered else { return nil }
                return Occurrence(
                    table, part: key.name,
                    "Foreign key \(key.name) of \(table.qualifiedName) (\(list(key.columns))) has no index")
            }
        },
        performance(
            "0003", "auth_rls_initplan", .warning, "A policy asks who is calling once per row",
            why: "The answer is the same for every row of a query; a scalar sub-select asks once.",
            fix: "Write (select auth.uid()) instead of auth.uid(), likewise for the others."
        ) { catalog, _ in
            catalog.projectPolicies().compactMap { policy, table in
                let calls = [policy.using, policy.check].compactMap { $0 }.flatMap(\.callsPerRow)
                guard !calls.isEmpty else { return nil }
                let names = Set(calls.map { ($0.schema.map { "\($0)." } ?? "") + $0.name + "()" }).sorted()
                return Occurrence(
                    table, part: policy.name, "\(policy.title(on: table)) calls \(list(names)) for each row")
            }
        },
        performance(
            "0004", "no_primary_key", .info, "A table without a primary key",
            why: "Rows cannot be addressed one by one; replication and realtime need it.",
            fix: "alter table ... add primary key (...)"
        ) { catalog, _ in
            catalog.projectTables.filter { $0.primaryKey.isEmpty && !$0.isPartition }.map {
                Occurrence($0, "\($0.qualifiedName) has no primary key")
            }
        },
        performance(
            "0005", "unused_index", .info, "An index that was never used",
            why: "It costs time at every write, and space.",
            fix: "drop index ..., once the statistics cover enough time"
        ) { catalog, _ in
            let tables = Dictionary(catalog.projectTables.map { ($0.id, $0) }) { first, _ in first }
            return catalog.indexes.compactMap { index in
                // Of an empty table nothing has been asked yet.
                guard let table = tables[index.relation], index.scans == 0, !index.isUnique, !index.isPrimary,
                    table.estimatedRows > 0
                else { return nil }
                return Occurrence(
                    table, part: index.name, "Index \(index.name) of \(table.qualifiedName) has never been scanned")
            }
        },
        performance(
            "0006", "multiple_permissive_policies", .warning, "Several permissive policies for one action",
            why: "Each of them is evaluated for every row.", fix: "Join them with `or` in one policy."
        ) { catalog, _ in
            catalog.projectTables.flatMap { table -> [Occurrence] in
                let permissive = catalog.policies(of: table).filter(\.isPermissive)
                return Catalog.apiRoles.flatMap { role -> [Occurrence] in
                    Catalog.Policy.Action.all.actions.compactMap { action in
                        let applying = permissive.filter { $0.applies(to: role) && $0.action.actions.contains(action) }
                        guard applying.count > 1 else { return nil }
                        let names = applying.map { "\"\($0.name)\"" }
                        return Occurrence(
                            table, part: "\(role)_\(action.keyword)",
                            "\(table.qualifiedName) has \(applying.count) permissive policies for \(action.keyword) by \(role): \(list(names))"
                        )
                    }
                }
            }
        },
        performance(
            "0009", "duplicate_index", .warning, "Two indexes that do the same",
            why: "Each costs time at every write, and space.", fix: "drop index ... all but one"
        ) { catalog, _ in
            let tables = Dictionary(catalog.projectTables.map { ($0.id, $0) }) { first, _ in first }
            return Dictionary(grouping: catalog.indexes, by: \.signature).values.compactMap { twins in
                guard twins.count > 1, let first = twins.first, let table = tables[first.relation] else { return nil }
                let names = twins.map(\.name).sorted()
                return Occurrence(
                    table, part: list(names), "\(table.qualifiedName) has indexes that do the same: \(list(names))")
            }.sorted { $0.detail < $1.detail }
        },
        performance(
            "0020", "table_bloat", .info, "A table mostly of dead space",
            why: "Scans read pages that hold nothing.",
            fix: "vacuum full ..., and look at the table's autovacuum settings"
        ) { catalog, _ in
            catalog.projectTables.compactMap { table in
                let size = Double(table.pages) * 8192
                guard let needed = table.estimatedBytes, size > 10_000_000, size > 2.5 * needed else { return nil }
                return Occurrence(
                    table,
                    "\(table.qualifiedName) takes \(table.pages / 128) MB where about \(Int(needed) >> 20) MB are needed"
                )
            }
        },
    ]
}
