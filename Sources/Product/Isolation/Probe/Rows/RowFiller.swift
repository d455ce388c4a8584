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

    /// Which options go with values that a row must hold; nil where those of an earlier row do.
    func choices(
        for table: Catalog.Relation, _ maker: RowMaker, with values: [String: String]
    ) async throws -> [String: Int]? {
        let isChecked = table.checks.values.contains { $0.mentions(anyOf: Set(values.keys)) }
        guard isChecked else { return nil }
        return try await RowSolver(table, maker, values: values).choices(by: run)
    }

    /// - Returns: why there is no row, or nil.
    func fill(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> String? {
        // The platform makes its own with the account.
        if Catalog.platformSchemas.contains(table.schema), try await find(table, &maker) { return nil }
        var choices = try await RowSolver(table, maker).choices(by: run)
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
                reason = Self.reason(error)
                guard let columns = Self.columns(error, of: table, maker.catalog), !columns.isEmpty else {
                    return try await find(table, &maker) ? nil : reason
                }
                // Another row has other keys by itself; the same combination of columns without any needs the next one.
                guard let next = Self.advanced(choices, columns, of: table, maker) else {
                    return try await find(table, &maker) ? nil : reason
                }
                choices = next
            }
        }
        return try await find(table, &maker) ? nil : reason
    }

    /// The error with what tells whose fault it is.
    private static func reason(_ error: PostgresError) -> String {
        error.sqlState == "P0001" ? "a trigger of the project refused the row: \(error.message)" : error.message
    }

    /// The columns whose values an error is about; nil where no other values would help.
    private static func columns(
        _ error: PostgresError, of table: Catalog.Relation, _ catalog: Catalog
    ) -> [String]? {
        switch error.sqlState {
        case "23514" where error.constraint == nil && table.kind == .partitioned:
            table.columns.map(\.name).filter { table.partitionCondition?.mentions($0) ?? false }
        case "23514":
            error.constraint.flatMap { table.checks[$0] }.map { condition in
                table.columns.map(\.name).filter(condition.mentions)
            }
        case "23505", "23P01":
            catalog.indexes.first { $0.relation == table.id && $0.name == error.constraint }?.columns.compactMap { $0 }
        default: nil
        }
    }

    /// The next combination of options, like the digits of a number; nil after the last.
    private static func advanced(
        _ choices: [String: Int], _ columns: [String], of table: Catalog.Relation, _ maker: RowMaker
    ) -> [String: Int]? {
        let fixed = maker.fixedValues(of: table)
        var choices = choices
        for column in table.columns where columns.contains(column.name) {
            let next = (choices[column.name] ?? 0) + 1
            if next < maker.options(for: column, in: table, fixed: fixed[column.name]).count {
                choices[column.name] = next
                return choices
            }
            choices[column.name] = 0
        }
        return nil
    }

    /// Takes the row that is there already: the tenant's, or any one of a table whose rows are nobody's and out of reach.
    private func find(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> Bool {
        let scope = maker.scopeValues(of: table)
        guard !scope.isEmpty || (!maker.catalog.isScoped(table) && !table.isReachable) else { return false }
        let condition = scope.isEmpty ? "true" : table.condition(scope)
        let query = "select to_jsonb(t) from \(table.quotedName) as t where \(condition) limit 1"
        guard case .success(let result) = try await run(query), let row = result.onlyRow?[0].json?.objectValue else {
            return false
        }
        maker.rows[table.id] = row
        return true
    }
}
