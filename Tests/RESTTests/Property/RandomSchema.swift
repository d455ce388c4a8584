// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// Tables with rows and views over them, made by chance: names that need quotes, keys of one or two columns, foreign keys to earlier
/// tables, to one's own table and unique ones, junctions, nulls in all that may be null.
struct RandomSchema: Sendable {
    enum Kind: CaseIterable {
        case integer, text, flag, amount, moment, identifier, document, words, span, mood

        var type: String {
            switch self {
            case .integer: "int"
            case .text: "text"
            case .flag: "boolean"
            case .amount: "numeric(12,3)"
            case .moment: "timestamptz"
            case .identifier: "uuid"
            case .document: "jsonb"
            case .words: "text[]"
            case .span: "int4range"
            case .mood: "mood"
            }
        }

        /// Whether it can be grouped and ordered by, and compared as a whole.
        var isScalar: Bool {
            switch self {
            case .integer, .text, .flag, .amount, .moment, .identifier, .mood: true
            case .document, .words, .span: false
            }
        }
    }

    struct Column {
        var name: String
        var kind: Kind
    }

    /// From columns of one table to the primary key of another, or of the same.
    struct ForeignKey {
        var name: String
        var source: Int
        var target: Int
        /// Places in the source's columns, in the order of the target's key.
        var columns: [Int]
        var isUnique: Bool
    }

    /// A table, or a view of a whole one under other names.
    struct Relation {
        var name: String
        var table: Int
        var columns: [Column]
        /// The key's columns are the first.
        var keyCount: Int
        var isView: Bool
    }

    /// What `select` can embed, seen from one relation.
    struct Relationship {
        var target: Int
        /// How the embedded relation and the hint are named.
        var name: String
        var hint: String?
        var isToOne: Bool
        /// The condition between the relation around (`%1`) and the embedded one (`%2`), as SQL.
        var condition: String
    }

    private(set) var relations: [Relation] = []
    private(set) var foreignKeys: [ForeignKey] = []
    /// Junctions: the table and its two foreign keys.
    private(set) var junctions: [(table: Int, first: ForeignKey, second: ForeignKey)] = []
    private(set) var statements: [String] = []
    private var rowCounts: [Int] = []

    static let words = [
        "a", "B c", "x,y", "(z)", "q\"uote", "back\\slash", "it's", "ümlaut", "50%", "un_der", "*star", "{brace}",
        "null", "",
    ]
    static let moods = ["calm", "Wild one", "so-so"]

    init(_ random: inout SeededGenerator) {
        statements.append("create type mood as enum (\(Self.moods.map(literal).joined(separator: ", ")))")
        let tableCount = Int.random(in: 2...4, using: &random)
        for index in 0..<tableCount { addTable(index, &random) }
        if tableCount >= 2 { addJunction(0, tableCount - 1, &random) }
        for table in 0..<relations.count where Bool.random(using: &random) { addView(of: table, &random) }
    }

    private mutating func addTable(_ index: Int, _ random: inout SeededGenerator) {
        let suffix = ["", " of things", "\"quoted", "_ß", "UPPER", "-dash"].randomElement(using: &random) ?? ""
        var columns: [Column] = [Column(name: "id", kind: .integer)]
        let keyCount = Int.random(in: 1...2, using: &random)
        if keyCount == 2 { columns.append(Column(name: "Key 2", kind: .text)) }
        let used = Kind.allCases.shuffled(using: &random).prefix(Int.random(in: 3...8, using: &random))
        for (number, kind) in used.enumerated() {
            let style = ["c\(number)", "C \(number)", "c-\(number)", "ç\(number)", "c\"\(number)"]
            columns.append(Column(name: style.randomElement(using: &random) ?? "c\(number)", kind: kind))
        }
        var keys: [ForeignKey] = []
        for number in 0..<Int.random(in: 0...2, using: &random) {
            let target = Int.random(in: 0...index, using: &random)
            let targetKey =
                target == index
                ? Array(columns.prefix(keyCount)) : Array(relations[target].columns.prefix(relations[target].keyCount))
            // Of a table's relationships with itself a column names which.
            guard target != index || keyCount == 1 && !keys.contains(where: { $0.target == index }) else { continue }
            let places = targetKey.indices.map { columns.count + $0 }
            columns += targetKey.enumerated().map { Column(name: "ref\(number)_\($0)", kind: $1.kind) }
            keys.append(
                ForeignKey(
                    name: "t\(index)_key \(number)", source: index, target: target, columns: places,
                    isUnique: target != index && Int.random(in: 0..<4, using: &random) == 0))
        }
        let relation = Relation(
            name: "t\(index)\(suffix)", table: index, columns: columns, keyCount: keyCount, isView: false)
        relations.append(relation)
        foreignKeys += keys
        create(relation, keys, rowCount: Int.random(in: 0...12, using: &random), &random)
    }

    private mutating func create(
        _ relation: Relation, _ keys: [ForeignKey], rowCount: Int, _ random: inout SeededGenerator
    ) {
        let name = quoted(relation.name)
        let key = relation.columns.prefix(relation.keyCount).map { quoted($0.name) }.joined(separator: ", ")
        let columns = relation.columns.map { "\(quoted($0.name)) \($0.kind.type)" }.joined(separator: ", ")
        statements.append("create table \(name) (\(columns), primary key (\(key)))")
        var rows: [String] = []
        for number in 0..<rowCount {
            var values = relation.columns.map { value(of: $0.kind, &random) ?? "null" }
            for (place, column) in relation.columns.prefix(relation.keyCount).enumerated() {
                values[place] = column.kind == .integer ? "\(number)" : literal("k\(number)")
            }
            for key in keys {
                let rowsOfTarget = key.target == relation.table ? number : rowCounts[key.target]
                // A unique one refers to each row once at most.
                let referred: Int? =
                    key.isUnique
                    ? (number < rowsOfTarget ? number : nil)
                    : (rowsOfTarget > 0 && Int.random(in: 0..<5, using: &random) > 0
                        ? Int.random(in: 0..<rowsOfTarget, using: &random) : nil)
                for place in key.columns {
                    values[place] =
                        referred.map { relation.columns[place].kind == .integer ? "\($0)" : literal("k\($0)") }
                        ?? "null"
                }
            }
            rows.append("(\(values.joined(separator: ", ")))")
        }
        if !rows.isEmpty { statements.append("insert into \(name) values \(rows.joined(separator: ", "))") }
        rowCounts.append(rowCount)
        for key in keys { addConstraint(key, relation) }
    }

    private mutating func addConstraint(_ key: ForeignKey, _ relation: Relation) {
        let columns = key.columns.map { quoted(relation.columns[$0].name) }.joined(separator: ", ")
        let table = quoted(relation.name)
        statements.append(
            "alter table \(table) add constraint \(quoted(key.name)) foreign key (\(columns)) references \(quoted(relations[key.target].name))"
        )
        if key.isUnique { statements.append("alter table \(table) add unique (\(columns))") }
    }

    private mutating func addJunction(_ first: Int, _ second: Int, _ random: inout SeededGenerator) {
        let index = relations.count
        var columns: [Column] = []
        var keys: [ForeignKey] = []
        for (number, target) in [first, second].enumerated() {
            let targetKey = relations[target].columns.prefix(relations[target].keyCount)
            let places = targetKey.indices.map { columns.count + $0 }
            columns += targetKey.enumerated().map { Column(name: "j\(number)_\($0)", kind: $1.kind) }
            keys.append(
                ForeignKey(
                    name: "junction_key\(number)", source: index, target: target, columns: places, isUnique: false))
        }
        let relation = Relation(
            name: "Junction", table: index, columns: columns, keyCount: columns.count, isView: false)
        relations.append(relation)
        foreignKeys += keys
        create(relation, [], rowCount: 0, &random)
        var rows: [String] = []
        for left in 0..<rowCounts[first] {
            for right in 0..<rowCounts[second] where Int.random(in: 0..<3, using: &random) == 0 {
                let values = columns.enumerated().map { place, column in
                    let number = place < keys[0].columns.count ? left : right
                    return column.kind == .integer ? "\(number)" : literal("k\(number)")
                }
                rows.append("(\(values.joined(separator: ", ")))")
            }
        }
        if !rows.isEmpty { statements.append("insert into \"Junction\" values \(rows.joined(separator: ", "))") }
        for key in keys { addConstraint(key, relation) }
        junctions.append((table: index, first: keys[0], second: keys[1]))
    }

    private mutating func addView(of table: Int, _ random: inout SeededGenerator) {
        var view = relations[table]
        view.name = "v of \(table)"
        view.isView = true
        for index in view.columns.indices where Bool.random(using: &random) {
            view.columns[index].name = "v \(view.columns[index].name)"
        }
        let columns = zip(relations[table].columns, view.columns).map { "\(quoted($0.name)) as \(quoted($1.name))" }
        statements.append(
            "create view \(quoted(view.name)) as select \(columns.joined(separator: ", ")) from \(quoted(relations[table].name))"
        )
        relations.append(view)
    }

    /// A literal of the kind, nil for null.
    func value(of kind: Kind, _ random: inout SeededGenerator) -> String? {
        guard Int.random(in: 0..<5, using: &random) > 0 else { return nil }
        return literal(text(of: kind, &random))
    }

    /// A value as text, as a query may say it.
    func text(of kind: Kind, _ random: inout SeededGenerator) -> String {
        let number = Int.random(in: -3...12, using: &random)
        switch kind {
        case .integer: return "\(number)"
        case .text: return Self.words.randomElement(using: &random) ?? ""
        case .flag: return number % 2 == 0 ? "true" : "false"
        case .amount: return "\(number).\(Int.random(in: 0...9, using: &random))"
        case .moment: return "2024-02-\(String(format2: abs(number) + 1)) 03:04:0\(abs(number) % 10)+00"
        case .identifier: return "00000000-0000-4000-8000-0000000000\(String(format2: abs(number)))"
        case .document:
            return [
                "{\"a\": \(number), \"b\": {\"c\": \"x\"}}", "{\"a\": \"\(number)\", \"list\": [1, \(number)]}",
                "[1, \(number)]", "null", "\"text\"", "{}",
            ].randomElement(using: &random) ?? "{}"
        case .words: return number % 4 == 0 ? "{}" : "{\"a\",\"x,y\",\"w\(abs(number) % 3)\"}"
        case .span: return number % 5 == 0 ? "empty" : "[\(number),\(number + 4))"
        case .mood: return Self.moods.randomElement(using: &random) ?? ""
        }
    }

    /// What can be embedded in a relation.
    func relationships(of relation: Int) -> [Relationship] {
        let around = relations[relation]
        var found: [Relationship] = []
        for (index, other) in relations.enumerated() {
            for key in foreignKeys
            where !(other.isView && key.source == key.target) && !(around.isView && key.source == key.target) {
                if key.source == around.table, key.target == other.table {
                    let condition = zip(key.columns, other.columns.prefix(other.keyCount)).map {
                        "%1.\(quoted(around.columns[$0].name)) = %2.\(quoted($1.name))"
                    }
                    let isOwn = key.source == key.target
                    found.append(
                        Relationship(
                            target: index, name: isOwn ? around.columns[key.columns[0]].name : other.name,
                            hint: isOwn ? nil : key.name, isToOne: true,
                            condition: condition.joined(separator: " and ")))
                }
                if key.target == around.table, key.source == other.table {
                    let condition = zip(around.columns.prefix(around.keyCount), key.columns).map {
                        "%1.\(quoted($0.name)) = %2.\(quoted(other.columns[$1].name))"
                    }
                    let isOwn = key.source == key.target
                    found.append(
                        Relationship(
                            target: index, name: other.name,
                            hint: isOwn ? other.columns[key.columns[0]].name : key.name, isToOne: key.isUnique,
                            condition: condition.joined(separator: " and ")))
                }
            }
            for junction in junctions {
                for (near, far) in [(junction.first, junction.second), (junction.second, junction.first)]
                where near.target == around.table && far.target == other.table && near.target != far.target {
                    let table = relations[junction.table]
                    func pairs(_ key: ForeignKey, _ end: Relation, _ alias: String) -> [String] {
                        zip(key.columns, end.columns).map {
                            "j.\(quoted(table.columns[$0].name)) = \(alias).\(quoted($1.name))"
                        }
                    }
                    let conditions = pairs(near, around, "%1") + pairs(far, other, "%2")
                    found.append(
                        Relationship(
                            target: index, name: other.name, hint: table.name, isToOne: false,
                            condition:
                                "exists (select from \(quoted(table.name)) j where \(conditions.joined(separator: " and ")))"
                        ))
                }
            }
        }
        return found
    }
}

/// An identifier in SQL. Of the tests' own, so that the product's quoting is not measured by itself.
func quoted(_ name: String) -> String {
    "\"" + String(name.flatMap { $0 == "\"" ? "\"\"" : String($0) }) + "\""
}

/// A text in SQL.
func literal(_ text: String) -> String {
    "'" + String(text.flatMap { $0 == "'" ? "''" : String($0) }) + "'"
}

extension String {
    fileprivate init(format2 number: Int) { self = number < 10 ? "0\(number)" : "\(number)" }
}
