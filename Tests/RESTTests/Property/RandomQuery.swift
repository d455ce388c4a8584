// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// A request made by chance, and what it means as SQL written here by hand: one object per row by `jsonb_build_object`, embedded
/// relations as subqueries in the list. Nothing of it is shared with the product's writer, which joins laterally.
struct RandomQuery: Sendable {
    private struct Item {
        /// As `select` says it, with its alias.
        var text: String
        var key: String
        /// The value, with `%` for the relation's alias.
        var sql: String
        var isAggregate = false
    }

    private struct Embed {
        var alias: String
        var relationship: RandomSchema.Relationship
        var isInner: Bool
        var isSpread: Bool
        var level: Level
    }

    private struct Level {
        var relation: Int
        var items: [Item] = []
        /// With `%` for the relation's alias.
        var conditions: [String] = []
        /// Embedded relations that must be there, or must not, by place.
        var presence: [(embed: Int, isThere: Bool)] = []
        var order: [String] = []
        var limit: Int?
        var offset = 0
        var embeds: [Embed] = []
        var isGrouped = false
    }

    private let schema: RandomSchema
    private var root: Level
    private var parameters: [(String, String)] = []
    private var keyCount = 0
    private var aliasCount = 0
    /// Whether the total is asked for.
    let counts: Bool

    init(_ schema: RandomSchema, _ random: inout SeededGenerator) {
        self.schema = schema
        counts = Int.random(in: 0..<3, using: &random) == 0
        root = Level(relation: Int.random(in: 0..<schema.relations.count, using: &random))
        var root = root
        fill(&root, path: "", depth: 0, canGroup: true, &random)
        let isWhole = root.items.map(\.key) == schema.relations[root.relation].columns.map(\.name)
        if !isWhole || !root.embeds.isEmpty || Bool.random(using: &random) {
            parameters.append(("select", text(of: root)))
        }
        self.root = root
        parameters.shuffle(using: &random)
    }

    // MARK: The request

    /// The path with its query, percent-encoded.
    var target: String {
        let query = parameters.map { "\(encoded($0.0))=\(encoded($0.1))" }.joined(separator: "&")
        return "/\(encoded(schema.relations[root.relation].name))\(query.isEmpty ? "" : "?\(query)")"
    }

    private func text(of level: Level) -> String {
        let embeds = level.embeds.map { embed in
            let start =
                embed.isSpread
                ? "...\(named(embed.relationship.name))" : "\(embed.alias):\(named(embed.relationship.name))"
            let hint = embed.relationship.hint.map { "!\(named($0))" } ?? ""
            return "\(start)\(hint)\(embed.isInner ? "!inner" : "")(\(text(of: embed.level)))"
        }
        return (level.items.map(\.text) + embeds).joined(separator: ",")
    }

    /// A name in `select` and the like: in quotes where it has to be, or by chance of its letters.
    private func named(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 >= 0x61 && $0 <= 0x7A || $0 == 0x5F }
        if isPlain { return name }
        return "\"" + String(name.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }) + "\""
    }

    private func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            let isPlain = byte >= 0x30 && byte <= 0x39 || byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A
            if isPlain {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                encoded += byte < 16 ? "%0\(String(byte, radix: 16))" : "%\(String(byte, radix: 16))"
            }
        }
        return encoded
    }

    // MARK: Chance

    private mutating func fill(
        _ level: inout Level, path: String, depth: Int, canGroup: Bool, _ random: inout SeededGenerator
    ) {
        let relation = schema.relations[level.relation]
        if canGroup, Int.random(in: 0..<8, using: &random) == 0 {
            group(&level, relation, path: path, &random)
        } else {
            select(&level, relation, depth: depth, &random)
            if depth < 2 { embed(&level, path: path, depth: depth, &random) }
            order(&level, relation, path: path, &random)
        }
        filter(&level, relation, path: path, &random)
        // What is joined by a limit would be one row whatever the rest says.
        if Int.random(in: 0..<3, using: &random) == 0 {
            level.limit = Int.random(in: 0...5, using: &random)
            parameters.append(("\(path)limit", "\(level.limit ?? 0)"))
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            level.offset = Int.random(in: 0...2, using: &random)
            parameters.append(("\(path)offset", "\(level.offset)"))
        }
    }

    private mutating func key() -> String {
        keyCount += 1
        return "k\(keyCount)"
    }

    private mutating func select(
        _ level: inout Level, _ relation: RandomSchema.Relation, depth: Int, _ random: inout SeededGenerator
    ) {
        // All columns by their own names, which an outer level's would repeat.
        if depth == 0, Int.random(in: 0..<3, using: &random) == 0 {
            level.items = relation.columns.map { Item(text: named($0.name), key: $0.name, sql: "%.\(quoted($0.name))") }
            return
        }
        for column in relation.columns.shuffled(using: &random).prefix(Int.random(in: 1...4, using: &random)) {
            let key = key()
            let name = "%.\(quoted(column.name))"
            switch (column.kind, Int.random(in: 0..<4, using: &random)) {
            case (.document, 0):
                level.items.append(Item(text: "\(key):\(named(column.name))->>a", key: key, sql: "(\(name) ->> 'a')"))
            case (.document, 1):
                level.items.append(
                    Item(text: "\(key):\(named(column.name))->b->c", key: key, sql: "(\(name) -> 'b' -> 'c')"))
            case (.document, 2):
                level.items.append(
                    Item(text: "\(key):\(named(column.name))->list->>1", key: key, sql: "(\(name) -> 'list' ->> 1)"))
                level.items.append(
                    Item(text: "\(key)_:\(named(column.name))->0", key: "\(key)_", sql: "(\(name) -> 0)"))
            case (.integer, 0), (.amount, 0), (.mood, 0):
                level.items.append(Item(text: "\(key):\(named(column.name))::text", key: key, sql: "\(name)::text"))
            default: level.items.append(Item(text: "\(key):\(named(column.name))", key: key, sql: name))
            }
        }
    }

    private mutating func embed(
        _ level: inout Level, path: String, depth: Int, _ random: inout SeededGenerator
    ) {
        let known = schema.relationships(of: level.relation)
        guard !known.isEmpty else { return }
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            guard let relationship = known.randomElement(using: &random) else { continue }
            aliasCount += 1
            let isSpread = Int.random(in: 0..<4, using: &random) == 0
            // One that is spread has no alias: it goes by its name, which has to be the only one.
            if isSpread, level.embeds.contains(where: { $0.relationship.name == relationship.name }) { continue }
            let alias = isSpread ? relationship.name : "e\(aliasCount)"
            var embed = Embed(
                alias: alias, relationship: relationship, isInner: Int.random(in: 0..<3, using: &random) == 0,
                isSpread: isSpread, level: Level(relation: relationship.target))
            fill(
                &embed.level, path: "\(path)\(named(alias)).", depth: depth + 1,
                canGroup: !isSpread && !relationship.isToOne, &random)
            level.embeds.append(embed)
            let place = level.embeds.count - 1
            if !isSpread, Int.random(in: 0..<5, using: &random) == 0 {
                let isThere = Bool.random(using: &random)
                level.presence.append((place, isThere))
                parameters.append(("\(path)\(alias)", isThere ? "not.is.null" : "is.null"))
            }
        }
    }

    private mutating func group(
        _ level: inout Level, _ relation: RandomSchema.Relation, path: String, _ random: inout SeededGenerator
    ) {
        level.isGrouped = true
        let scalars = relation.columns.filter { $0.kind == .integer || $0.kind == .text || $0.kind == .amount }
        var terms: [String] = []
        for column in scalars.shuffled(using: &random).prefix(Int.random(in: 0...2, using: &random)) {
            let key = key()
            level.items.append(Item(text: "\(key):\(named(column.name))", key: key, sql: "%.\(quoted(column.name))"))
            terms.append(named(column.name))
            level.order.append("%.\(quoted(column.name))")
        }
        if !terms.isEmpty { parameters.append(("\(path)order", terms.joined(separator: ","))) }
        let key1 = key()
        level.items.append(Item(text: "\(key1):count()", key: key1, sql: "count(*)", isAggregate: true))
        for column in relation.columns where column.kind == .integer || column.kind == .amount {
            guard let name = ["sum", "avg", "min", "max", "count"].randomElement(using: &random) else { continue }
            let key = key()
            let cast = Bool.random(using: &random) ? "::text" : ""
            level.items.append(
                Item(
                    text: "\(key):\(named(column.name)).\(name)()\(cast)", key: key,
                    sql: "\(name)(%.\(quoted(column.name)))\(cast)", isAggregate: true))
        }
    }

    private mutating func order(
        _ level: inout Level, _ relation: RandomSchema.Relation, path: String, _ random: inout SeededGenerator
    ) {
        var terms: [String] = []
        func add(_ text: String, _ sql: String) {
            let direction = ["", "asc", "desc"].randomElement(using: &random) ?? ""
            let nulls = ["", "first", "last"].randomElement(using: &random) ?? ""
            terms.append(text + (direction.isEmpty ? "" : ".\(direction)") + (nulls.isEmpty ? "" : ".nulls\(nulls)"))
            level.order.append("\(sql) \(direction)" + (nulls.isEmpty ? "" : " nulls \(nulls)"))
        }
        for column in relation.columns.filter(\.kind.isScalar).shuffled(using: &random)
            .prefix(Int.random(in: 0...2, using: &random))
        {
            add(named(column.name), "%.\(quoted(column.name))")
        }
        for (place, embed) in level.embeds.enumerated()
        where embed.relationship.isToOne && !embed.isSpread && Bool.random(using: &random) {
            let columns = schema.relations[embed.level.relation].columns.filter(\.kind.isScalar)
            guard let column = columns.randomElement(using: &random) else { continue }
            add("\(embed.alias)(\(named(column.name)))", "@\(place).\(quoted(column.name))@")
        }
        // The key makes the order whole, so that answers can be compared.
        for column in relation.columns.prefix(relation.keyCount) { add(named(column.name), "%.\(quoted(column.name))") }
        parameters.append(("\(path)order", terms.joined(separator: ",")))
    }

    private mutating func filter(
        _ level: inout Level, _ relation: RandomSchema.Relation, path: String, _ random: inout SeededGenerator
    ) {
        for _ in 0..<Int.random(in: 0...2, using: &random) {
            guard let column = relation.columns.randomElement(using: &random) else { continue }
            let made = condition(on: column, inTree: false, &random)
            parameters.append(("\(path)\(made.name)", made.text))
            level.conditions.append(made.sql)
        }
        guard Int.random(in: 0..<3, using: &random) == 0 else { return }
        let connective = Bool.random(using: &random) ? "and" : "or"
        let isNegated = Int.random(in: 0..<3, using: &random) == 0
        let tree = tree(relation, connective, depth: 0, &random)
        parameters.append(("\(path)\(isNegated ? "not." : "")\(connective)", tree.text))
        level.conditions.append("\(isNegated ? "not " : "")\(tree.sql)")
    }

    private func tree(
        _ relation: RandomSchema.Relation, _ connective: String, depth: Int, _ random: inout SeededGenerator
    ) -> (text: String, sql: String) {
        var texts: [String] = []
        var conditions: [String] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            if depth < 2, Int.random(in: 0..<4, using: &random) == 0 {
                let inner = Bool.random(using: &random) ? "and" : "or"
                let not = Bool.random(using: &random)
                let made = tree(relation, inner, depth: depth + 1, &random)
                texts.append("\(not ? "not." : "")\(inner)\(made.text)")
                conditions.append("\(not ? "not " : "")\(made.sql)")
            } else if let column = relation.columns.randomElement(using: &random) {
                let made = condition(on: column, inTree: true, &random)
                texts.append("\(made.name).\(made.text)")
                conditions.append(made.sql)
            }
        }
        return ("(\(texts.joined(separator: ",")))", "(\(conditions.joined(separator: " \(connective) ")))")
    }

    /// A filter: the name of its parameter, its text, and the condition.
    private func condition(
        on column: RandomSchema.Column, inTree: Bool, _ random: inout SeededGenerator
    ) -> (name: String, text: String, sql: String) {
        var name = named(column.name)
        var sql = "%.\(quoted(column.name))"
        let value = schema.text(of: column.kind, &random)
        /// Quotes in a tree and in a list, where commas and parentheses end a value.
        func element(_ text: String) -> String {
            "\"" + String(text.flatMap { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }) + "\""
        }
        func operand(_ text: String) -> String { inTree ? element(text) : text }
        var made: (text: String, sql: String)
        switch Int.random(in: 0..<12, using: &random) {
        case 0: made = ("is.null", "\(sql) is null")
        case 1: made = ("is.not_null", "\(sql) is not null")
        case 2 where column.kind == .flag:
            let word = ["true", "false", "unknown"].randomElement(using: &random) ?? "true"
            made = ("is.\(word)", "\(sql) is \(word)")
        case 2 where column.kind != .document:
            made = ("isdistinct.\(operand(value))", "\(sql) is distinct from \(literal(value))")
        case 3 where column.kind.isScalar, 4 where column.kind.isScalar:
            let values = (0..<Int.random(in: 2...3, using: &random)).map { _ in schema.text(of: column.kind, &random) }
            made = (
                "in.(\(values.map(element).joined(separator: ",")))",
                "(\(values.map { "\(sql) = \(literal($0))" }.joined(separator: " or ")))"
            )
        case 5 where column.kind == .integer || column.kind == .amount:
            let other = schema.text(of: column.kind, &random)
            let isAll = Bool.random(using: &random)
            made = (
                "gte(\(isAll ? "all" : "any")).{\(value),\(other)}",
                "(\(sql) >= \(literal(value)) \(isAll ? "and" : "or") \(sql) >= \(literal(other)))"
            )
        case 5 where column.kind == .text, 6 where column.kind == .text:
            let isExact = Bool.random(using: &random)
            let pattern = ["*\(value.prefix(1))*", "\(value)*", "*a*", "_*"].randomElement(using: &random) ?? "*"
            guard !pattern.contains("\\") else { return condition(on: column, inTree: inTree, &random) }
            made = (
                "\(isExact ? "like" : "ilike").\(operand(pattern))",
                "\(sql) \(isExact ? "like" : "ilike") \(literal(String(pattern.map { $0 == "*" ? "%" : $0 })))"
            )
        default:
            switch column.kind {
            case .integer, .amount, .moment, .text:
                let (word, symbol) =
                    [("eq", "="), ("neq", "<>"), ("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")]
                    .randomElement(using: &random) ?? ("eq", "=")
                made = ("\(word).\(operand(value))", "\(sql) \(symbol) \(literal(value))")
            case .flag, .identifier, .mood: made = ("eq.\(operand(value))", "\(sql) = \(literal(value))")
            case .words:
                let (word, symbol) =
                    [("cs", "@>"), ("cd", "<@"), ("ov", "&&"), ("eq", "=")].randomElement(using: &random) ?? ("eq", "=")
                made = ("\(word).\(operand(value))", "\(sql) \(symbol) \(literal(value))")
            case .span:
                let (word, symbol) =
                    [
                        ("cs", "@>"), ("cd", "<@"), ("ov", "&&"), ("sl", "<<"), ("sr", ">>"), ("nxr", "&<"),
                        ("nxl", "&>"), ("adj", "-|-"),
                    ].randomElement(using: &random) ?? ("ov", "&&")
                made = ("\(word).\(operand(value))", "\(sql) \(symbol) \(literal(value))")
            case .document:
                switch Int.random(in: 0..<3, using: &random) {
                case 0: made = ("cs.\(operand(#"{"a": 1}"#))", "\(sql) @> '{\"a\": 1}'")
                case 1:
                    name += "->>a"
                    sql = "(\(sql) ->> 'a')"
                    made = ("gt.\(operand("1"))", "\(sql) > '1'")
                default:
                    name += "->b->c"
                    sql = "(\(sql) -> 'b' -> 'c')"
                    made = ("eq.\(operand("\"x\""))", "\(sql) = '\"x\"'")
                }
            }
        }
        guard Int.random(in: 0..<4, using: &random) == 0 else { return (name, made.text, made.sql) }
        return (name, "not.\(made.text)", "not (\(made.sql))")
    }

    // MARK: What it means

    /// The rows as one `jsonb`.
    var expected: String { list(of: root, "r", join: nil) }

    /// How many rows there are without limits at the top.
    var expectedTotal: String {
        var all = root
        (all.limit, all.offset, all.order) = (nil, 0, [])
        return "select count(*) from (\(rows(of: all, "r", join: nil))) s"
    }

    /// The offset at the top, and the limit.
    var range: (offset: Int, limit: Int?) { (root.offset, root.limit) }

    private func list(of level: Level, _ alias: String, join: String?) -> String {
        "select coalesce(jsonb_agg(o order by n), '[]') from (\(rows(of: level, alias, join: join))) s"
    }

    /// A query of the rows: each as an object `o`, with its place `n`.
    private func rows(of level: Level, _ alias: String, join: String?) -> String {
        var pairs: [String] = []
        for item in level.items {
            pairs.append("\(literal(item.key)), \(item.sql.filled(alias))")
        }
        for (place, embed) in level.embeds.enumerated() {
            let inner = "\(alias)\(place)"
            let condition = embed.relationship.condition.filled(alias, inner)
            if embed.isSpread {
                for key in keys(of: embed.level) {
                    let all = rows(of: embed.level, inner, join: condition)
                    pairs.append(
                        embed.relationship.isToOne
                            ? "\(literal(key)), (select o -> \(literal(key)) from (\(all)) s)"
                            : "\(literal(key)), (select coalesce(jsonb_agg(o -> \(literal(key)) order by n), '[]') from (\(all)) s)"
                    )
                }
            } else if embed.relationship.isToOne {
                pairs.append(
                    "\(literal(embed.alias)), (select o from (\(rows(of: embed.level, inner, join: condition))) s)")
            } else {
                pairs.append("\(literal(embed.alias)), (\(list(of: embed.level, inner, join: condition)))")
            }
        }
        let order = level.order.map { term(of: $0, level, alias) }.joined(separator: ", ")
        let object = "jsonb_build_object(\(pairs.joined(separator: ", ")))"
        var sql = "select \(object) as o, row_number() over (\(order.isEmpty ? "" : "order by \(order)")) as n"
        sql += source(of: level, alias, join: join)
        let groups = level.items.filter { !$0.isAggregate }.map { $0.sql.filled(alias) }
        if level.isGrouped, !groups.isEmpty { sql += " group by \(groups.joined(separator: ", "))" }
        if !order.isEmpty { sql += " order by \(order)" }
        if let limit = level.limit { sql += " limit \(limit)" }
        if level.offset > 0 { sql += " offset \(level.offset)" }
        return sql
    }

    private func source(of level: Level, _ alias: String, join: String?) -> String {
        var conditions = (join.map { [$0] } ?? []) + level.conditions.map { $0.filled(alias) }
        func exists(_ place: Int) -> String {
            let embed = level.embeds[place]
            let inner = "\(alias)\(place)"
            return
                "exists (\(rows(of: embed.level, inner, join: embed.relationship.condition.filled(alias, inner))))"
        }
        for place in level.embeds.indices where level.embeds[place].isInner { conditions.append(exists(place)) }
        for presence in level.presence {
            conditions.append("\(presence.isThere ? "" : "not ")\(exists(presence.embed))")
        }
        let filter = conditions.isEmpty ? "" : " where \(conditions.map { "(\($0))" }.joined(separator: " and "))"
        return " from \(quoted(schema.relations[level.relation].name)) \(alias)\(filter)"
    }

    /// `%` is the level's own row; `@1.column@` a column of the relation embedded at that place.
    private func term(of order: String, _ level: Level, _ alias: String) -> String {
        guard order.hasPrefix("@"), let end = order.lastIndex(of: "@"), let mark = order.firstIndex(of: "."),
            let place = Int(order[order.index(after: order.startIndex)..<mark])
        else { return order.filled(alias) }
        let embed = level.embeds[place]
        let inner = "\(alias)\(place)"
        var from = source(of: embed.level, inner, join: embed.relationship.condition.filled(alias, inner))
        if let limit = embed.level.limit { from += " limit \(limit)" }
        if embed.level.offset > 0 { from += " offset \(embed.level.offset)" }
        return "(select \(inner)\(order[mark..<end])\(from))\(order[order.index(after: end)...])"
    }

    private func keys(of level: Level) -> [String] {
        level.items.map(\.key)
            + level.embeds.flatMap { $0.isSpread ? keys(of: $0.level) : [$0.alias] }
    }
}

extension String {
    /// Puts aliases in: `%1` or `%` before a dot for the first, `%2` for the second.
    fileprivate func filled(_ first: String, _ second: String = "") -> String {
        replacing("%1.", with: "\(first).").replacing("%2.", with: "\(second).").replacing("%.", with: "\(first).")
    }
}
