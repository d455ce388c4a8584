// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Puts a row of a tenant into tables, or finds the one that a trigger has made.
struct RowFiller {
    /// Runs a statement with all rights; a statement that fails leaves nothing behind.
    typealias Run = (String) async throws -> Result<PostgresResult, PostgresError>

    let run: Run
    /// How often a row is thought up anew.
    private static let maxTries = 24

    /// - Returns: why there is no row, or nil.
    func fill(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> String? {
        // The platform makes its own with the account.
        if Catalog.platformSchemas.contains(table.schema), try await find(table, &maker) { return nil }
        var choices: [String: Int] = [:]
        var reason = "no row could be thought up"
        for _ in 0..<Self.maxTries {
            let insert = maker.insertion(into: table, choices: choices)
            switch try await run(insert) {
            case .success(let result):
                guard let row = result.onlyRow?[0].json?.objectValue else { return "its rows are not kept" }
                maker.rows[table.id] = row
                maker.choices[table.id] = choices
                return nil
            case .failure(let error):
                reason = error.message
                switch error.sqlState {
                case "23514" where error.constraint == nil && table.kind == .partitioned:
                    // No partition takes it: numbers and dates take their next candidates together.
                    choices = Self.elsewhere(choices, in: table)
                case "23514":
                    // The columns of the failed check take their next candidates.
                    guard let condition = error.constraint.flatMap({ table.checks[$0] }) else { return reason }
                    let columns = table.columns.map(\.name).filter(condition.mentions)
                    guard let next = Self.advanced(choices, columns, of: table, maker) else { return reason }
                    choices = next
                default:
                    return try await find(table, &maker) ? nil : reason
                }
            }
        }
        return reason
    }

    private static func elsewhere(_ choices: [String: Int], in table: Catalog.Relation) -> [String: Int] {
        let kinds: Set<String> = ["smallint", "integer", "bigint", "date", "timestamp with time zone"]
        var choices = choices
        for column in table.columns where kinds.contains(column.baseType ?? column.type) {
            choices[column.name, default: 0] += 1
        }
        return choices
    }

    /// The next combination of candidates, like the digits of a number; nil after the last.
    private static func advanced(
        _ choices: [String: Int], _ columns: [String], of table: Catalog.Relation, _ maker: RowMaker
    ) -> [String: Int]? {
        var choices = choices
        for column in table.columns where columns.contains(column.name) {
            let next = (choices[column.name] ?? 0) + 1
            if next < maker.options(for: column, in: table).count {
                choices[column.name] = next
                return choices
            }
            choices[column.name] = 0
        }
        return nil
    }

    /// Takes the row that is there already for the tenant, if any.
    private func find(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> Bool {
        let scope = maker.scopeValues(of: table)
        guard !scope.isEmpty else { return false }
        let query = "select to_jsonb(t) from \(table.quotedName) as t where \(table.condition(scope)) limit 1"
        guard case .success(let result) = try await run(query), let row = result.onlyRow?[0].json?.objectValue else {
            return false
        }
        maker.rows[table.id] = row
        return true
    }
}
