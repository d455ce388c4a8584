// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    /// Calls a function for the other tenant, and looks for the other tenant in its answer and at what became of its rows.
    mutating func call(
        _ function: Catalog.Function, _ mine: ProbeTenant, _ other: ProbeTenant, _ foreign: RowMaker
    ) async throws {
        var statement = "select to_jsonb(r)::text from \(function.call(naming: other)) as r"
        var others: [String] = []
        // A function of a row is asked about one's own, whose column it is to the API.
        if let table = tables.first(where: { [$0.rowType] == function.argumentTypes }) {
            let name = "\(quoteIdentifier(function.schema)).\(quoteIdentifier(function.name))"
            statement = "select to_jsonb(\(name)(t))::text from \(table.quotedName) as t"
        } else {
            others = keys(of: function, foreign).map {
                "select to_jsonb(r)::text from \(function.call(naming: other, with: $0)) as r"
            }
        }
        var isQuiet = true
        let attempted = [Crossing.Caller.member, .visitor].filter { function.callers.contains(Self.role(of: $0)) }
            .flatMap { caller in ([statement] + others).map { (caller, $0) } }
        for (caller, statement) in attempted {
            let tenant = caller == .member ? mine : nil
            let tried = try await attempts(
                statement, as: tenant, visitor: caller == .visitor, first: [Self.writes], then: [Self.writes])
            var outcome = Crossing.Outcome.held
            switch tried {
            case .success(let results):
                guard results.count == 3 else { continue }
                let showed = results[1].rows.contains { row in
                    // What it was called with may come back: only what was not sent counts.
                    (row[0].string ?? "").contains(other.marker)
                }
                if showed { outcome = .leaked }
                if results[0].onlyRow?[0].string != results[2].onlyRow?[0].string {
                    isQuiet = false
                    // All rows are looked at only now: most functions write nothing.
                    if try await changes(statement, tenant, caller, foreign) { outcome = .leaked }
                }
            case .failure(let error):
                outcome = self.outcome(of: error, statement)
                // What it would have done is not known.
                if Self.untriedReason(error) != nil { isQuiet = false }
            }
            crossings.append(crossing("sql", function.signature, .call, caller, outcome, statement, tenant))
        }
        if isQuiet { quietFunctions.insert(function.id) }
    }

    /// Arguments that may be a row's key, each with the keys of the other's rows in the tables that the function names.
    private func keys(of function: Catalog.Function, _ foreign: RowMaker) -> [[Int: String]] {
        let source = SQLExpression(function.source)
        let named = tables.filter { catalog.isScoped($0) && $0.primaryKey.count == 1 && source.mentions($0.name) }
        let asked = function.argumentNames.enumerated().filter { _, name in
            let words = name.lowercased().split(separator: "_")
            return words.contains("id") || words.contains("key") || name.isEmpty
        }
        return asked.flatMap { place, _ in
            named.compactMap { table -> [Int: String]? in
                guard let column = table.column(table.primaryKey[0]), column.type == function.argumentTypes[place],
                    let key = foreign.rows[table.id]?[column.name].flatMap(RowMaker.text)
                else { return nil }
                return [place: key]
            }
        }.prefix(Self.maxKeys).map { $0 }
    }

    /// The most keys that one function is called with.
    private static let maxKeys = 6

    /// Whether a call leaves the other tenant's rows as something else.
    private func changes(
        _ statement: String, _ tenant: ProbeTenant?, _ caller: Crossing.Caller, _ foreign: RowMaker
    ) async throws -> Bool {
        let fingerprint = fingerprintQuery(foreign)
        let tried = try await attempts(
            statement, as: tenant, visitor: caller == .visitor, first: [fingerprint], then: [fingerprint])
        guard case .success(let results) = tried, results.count == 3 else { return false }
        return results[0].onlyRow?[0].string != results[2].onlyRow?[0].string
    }

    /// How many rows this transaction has written so far.
    private static let writes =
        "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text from pg_stat_xact_all_tables"

    /// All rows of a tenant's, as one text.
    func fingerprintQuery(_ maker: RowMaker) -> String {
        let parts = tables.compactMap { table -> String? in
            guard let row = maker.rows[table.id], let key = table.identity(of: row) else { return nil }
            return
                "(select string_agg(to_jsonb(t)::text, '' order by to_jsonb(t)::text) from \(table.quotedName) as t where \(key))"
        }
        // A function takes a hundred arguments.
        let groups = stride(from: 0, to: parts.count, by: 90).map { start in
            "concat_ws('|', \(parts[start..<min(start + 90, parts.count)].joined(separator: ", ")))"
        }
        return groups.isEmpty ? "select ''" : "select md5(\(groups.joined(separator: " || ")))"
    }
}
