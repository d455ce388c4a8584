// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Finds which options of a table's columns satisfy its conditions together, by asking PostgreSQL: the options become lists of
/// values, and the checks the condition of a query over them.
///
/// Columns that no condition ties together are solved apart, so that their options do not multiply.
struct RowSolver {
    /// Columns that conditions tie together, and those conditions.
    private struct Part {
        var columns: [(column: Catalog.Column, options: [RowMaker.Option])] = []
        var conditions: [String] = []
        /// Generated columns that the conditions speak of, and their expressions.
        var computed: [(name: String, expression: String)] = []
    }

    private let parts: [Part]

    /// The combinations that are put in the order of likelihood; of more the first that is found is taken.
    private static let mostOrdered = 30_000

    /// - Parameter values: what columns must hold.
    init(_ table: Catalog.Relation, _ maker: RowMaker, values: [String: String] = [:]) {
        var maker = maker
        maker.advance()
        let fixed = maker.fixedValues(of: table)
        let generated = table.columns.filter(\.isGenerated).map { column in
            (name: column.name, expression: SQLExpression(column.defaultValue ?? "null"))
        }
        let names = table.columns.map(\.name)
        var conditions = (table.checks.values.map { $0 } + [table.partitionCondition].compactMap { $0 }).map {
            condition in
            let sources = generated.filter { condition.mentions($0.name) }.map(\.expression)
            return (
                columns: Set(names.filter { name in ([condition] + sources).contains { $0.mentions(name) } }),
                text: condition.text
            )
        }
        for column in table.columns where !column.isGenerated {
            conditions += column.domainConditions.map {
                (columns: [column.name], text: $0.replacingValue(with: quoteIdentifier(column.name)))
            }
        }
        conditions = conditions.filter { !$0.columns.isEmpty }.sorted { $0.text < $1.text }
        var groups: [(columns: Set<String>, texts: [String])] = []
        for condition in conditions {
            var joined = (columns: condition.columns, texts: [condition.text])
            for group in groups where !group.columns.isDisjoint(with: joined.columns) {
                joined.columns.formUnion(group.columns)
                joined.texts += group.texts
            }
            groups.removeAll { !$0.columns.isDisjoint(with: joined.columns) }
            groups.append(joined)
        }
        let solved = maker
        parts = groups.map { group in
            Part(
                columns: table.columns.filter { group.columns.contains($0.name) && !$0.isGenerated }.map { column in
                    let options = values[column.name].map { [RowMaker.Option.text($0)] }
                    return (column, options ?? solved.options(for: column, in: table, fixed: fixed[column.name]))
                }, conditions: group.texts,
                computed: generated.filter { group.columns.contains($0.name) }.map { ($0.name, $0.expression.text) })
        }.filter { !$0.columns.isEmpty }
    }

    /// The options that satisfy everything that can be satisfied, by columns and their places in the lists.
    func choices(by run: RowFiller.Run) async throws -> [String: Int] {
        guard !parts.isEmpty else { return [:] }
        var choices: [String: Int] = [:]
        let queries = parts.map(Self.query)
        // All at once; where one of them is no query by itself, each on its own.
        let all = "select " + queries.map { "(\($0))" }.joined(separator: ", ")
        if parts.count > 1, case .success(let result) = try await run(all), let row = result.onlyRow {
            for (index, part) in parts.enumerated() { Self.note(row[index].array, of: part, in: &choices) }
            return choices
        }
        for (part, query) in zip(parts, queries) {
            guard case .success(let result) = try await run(query), let row = result.onlyRow else { continue }
            Self.note(row[0].array, of: part, in: &choices)
        }
        return choices
    }

    private static func note(_ places: [String?]?, of part: Part, in choices: inout [String: Int]) {
        guard let places, places.count == part.columns.count else { return }
        for (entry, place) in zip(part.columns, places) { choices[entry.column.name] = place.flatMap { Int($0) } }
    }

    private static func query(_ part: Part) -> String {
        var lists: [String] = []
        var places: [String] = []
        var combinations = 1
        for (index, entry) in part.columns.enumerated() {
            let type = entry.column.baseType ?? entry.column.type
            let values = entry.options.enumerated().map { place, option -> String in
                let value =
                    switch option {
                    case .omitted: entry.column.defaultValue.map { "(\($0))" } ?? "null"
                    case .null: "null"
                    case .text(let text): quoteLiteral(text)
                    }
                return "(\(place), \(value)::\(type))"
            }
            combinations = combinations.multipliedReportingOverflow(by: max(values.count, 1)).partialValue
            if combinations <= 0 { combinations = .max }
            lists.append(
                "(values \(values.joined(separator: ", "))) as l\(index) (\"place \(index)\", \(quoteIdentifier(entry.column.name)))"
            )
            places.append("\"place \(index)\"")
        }
        lists += part.computed.enumerated().map { index, column in
            "lateral (select \(column.expression)) as g\(index) (\(quoteIdentifier(column.name)))"
        }
        // Null satisfies a check.
        let condition = part.conditions.map { "(\($0)) is not false" }.joined(separator: " and ")
        let order = combinations <= mostOrdered ? " order by \(places.joined(separator: " + "))" : ""
        return
            "select array[\(places.joined(separator: ", "))] from \(lists.joined(separator: " cross join ")) where \(condition)\(order) limit 1"
    }
}

extension SQLExpression {
    /// Its text with another word for the `VALUE` of a domain's condition.
    fileprivate func replacingValue(with word: String) -> String {
        var text = ""
        var rest = self.text[...]
        var isQuoted = false
        var last: Character = " "
        while let character = rest.first {
            if character == "'" { isQuoted.toggle() }
            if !isQuoted, !Self.isOfWord(last), rest.hasPrefix("VALUE"),
                !(rest.dropFirst(5).first.map(Self.isOfWord) ?? false)
            {
                text += word
                rest = rest.dropFirst(5)
                last = "E"
            } else {
                text.append(character)
                last = character
                rest.removeFirst()
            }
        }
        return text
    }

    private static func isOfWord(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_" || character == "\""
    }
}
