// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// One way of asking a table for the other's row by REST.
struct ReadForm {
    var query: String
    var headers: [(name: String, value: String)] = []

    /// Every form of filter that fits the table's columns.
    ///
    /// - Parameters:
    ///   - theirs: the row that is looked for.
    ///   - mine: a row of the caller's; may be empty.
    static func all(
        of table: Catalog.Relation, _ theirs: JSONObject, _ mine: JSONObject, by role: String
    ) -> [ReadForm] {
        var forms = [ReadForm(query: "select=*&limit=100")]
        func add(_ column: String, _ filter: String) { forms.append(ReadForm(query: "\(encoded(column))=\(filter)")) }
        if let key = table.primaryKey.first, table.column(key)?.readers.contains(role) ?? false,
            let value = theirs[key].flatMap(RowMaker.text)
        {
            let name = encoded(key)
            let own = mine[key].flatMap(RowMaker.text)
            let text = encoded(value)
            for filter in [
                "eq.\(text)", "in.(\(encoded("\"\(value)\"")))", "gte.\(text)", "lte.\(text)", "not.is.null",
                "eq(any).{\(text)}", "not.isdistinct.\(text)", "not.not.eq.\(text)",
            ] { add(key, filter) }
            if let own = own.map(encoded) {
                for filter in [
                    "neq.\(own)", "gt.\(own)", "lt.\(own)", "isdistinct.\(own)", "not.eq.\(own)", "not.in.(\(own))",
                ] {
                    add(key, filter)
                }
            }
            for logic in [
                "or=(\(name).eq.\(text),\(name).is.null)", "and=(\(name).eq.\(text),\(name).not.is.null)",
                "not.and=(\(name).neq.\(text))", "or=(and(\(name).eq.\(text)),not.or(\(name).neq.\(text)))",
            ] { forms.append(ReadForm(query: logic)) }
            forms.append(ReadForm(query: "order=\(name).desc&limit=100"))
            forms.append(ReadForm(query: "\(name)=eq.\(text)", headers: [("range", "0-9"), ("range-unit", "items")]))
            forms.append(
                ReadForm(query: "\(name)=eq.\(text)", headers: [("accept", "application/vnd.pgrst.object+json")]))
            forms.append(ReadForm(query: "\(name)=eq.\(text)&select=*", headers: [("accept", "text/csv")]))
            forms.append(
                ReadForm(query: "\(name)=eq.\(text)", headers: [("accept", "application/vnd.pgrst.plan+json")]))
            forms.append(ReadForm(query: "\(name)=eq.\(text)&select=\(name),stolen:\(name)::text"))
        }
        // One column of a type stands for the others: policies do not know which was asked for.
        var types: Set<String> = []
        for column in table.columns where column.readers.contains(role) && !table.primaryKey.contains(column.name) {
            guard let value = theirs[column.name], types.insert(column.baseType ?? column.type).inserted else {
                continue
            }
            for filter in filters(for: column, value) { add(column.name, filter) }
        }
        return forms
    }

    private static func filters(for column: Catalog.Column, _ value: JSON) -> [String] {
        let type = column.baseType ?? column.type
        if type.hasSuffix("[]") { return ["cs.{}", "not.is.null"] }
        switch type {
        case "text", "character varying", "citext", "extensions.citext":
            guard let text = value.stringValue, let word = text.split(separator: " ").first.map(String.init) else {
                return []
            }
            let start = encoded(String(word.prefix(8)))
            return [
                "eq.\(encoded("\"\(text)\""))", "like.*\(start)*", "ilike.*\(start)*", "match.\(start)",
                "imatch.\(start)",
                "like(any).{*\(start)*}", "fts.\(encoded(word))", "plfts.\(encoded(word))", "phfts.\(encoded(word))",
                "wfts.\(encoded(word))",
            ]
        case "json", "jsonb": return type == "jsonb" ? ["cs.{}", "not.is.null"] : ["not.is.null"]
        case "int4range", "int8range", "numrange", "tstzrange", "tsrange", "daterange":
            guard let range = value.stringValue else { return [] }
            return ["cs", "cd", "ov", "nxl", "nxr"].map { "\($0).\(encoded(range))" }
        case "boolean": return ["is.true", "is.false"]
        case "uuid": return value.stringValue.map { ["eq.\($0)"] } ?? []
        default: return []
        }
    }
}
