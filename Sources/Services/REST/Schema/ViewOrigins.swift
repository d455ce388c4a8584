// SPDX-License-Identifier: Apache-2.0

/// Where the columns of views come from, so that keys of tables hold for the views that show them.
struct ViewOrigins {
    /// A column of a relation, by the numbers of the catalog.
    struct Origin: Hashable {
        var relation: UInt32
        var column: Int
    }

    /// A view as the catalog has it.
    struct View {
        var identifier: UInt32
        var name: QualifiedName
        var columns: [String]
        /// Where each column comes from, by its number; those that are computed are missing.
        var origins: [Int: Origin]
    }

    /// How one view shows some columns of a table.
    struct Appearance: Hashable {
        var view: QualifiedName
        /// The names of the columns of the table asked for, in that order.
        var columns: [String]
    }

    /// Views that show columns of a table: by the table, then by the column, the view's columns.
    private var views: [UInt32: [QualifiedName: [Int: [String]]]] = [:]
    /// Views upon views are followed so deep; PostgreSQL lets no view refer to itself.
    private static let maxDepth = 64
    /// A view may show one column many times; keys of several columns then appear in as many ways, of which so many are kept.
    private static let maxAppearances = 16

    /// - Parameter isExposed: whether a view can be asked for; others only lead to their tables.
    init(_ all: [View], isExposed: (QualifiedName) -> Bool) {
        let byIdentifier = Dictionary(all.map { ($0.identifier, $0) }) { first, _ in first }
        for view in all where isExposed(view.name) {
            for (number, name) in view.columns.enumerated() {
                guard var origin = view.origins[number + 1] else { continue }
                var depth = 0
                while depth < Self.maxDepth, let inner = byIdentifier[origin.relation],
                    let further = inner.origins[origin.column]
                {
                    origin = further
                    depth += 1
                }
                views[origin.relation, default: [:]][view.name, default: [:]][origin.column, default: []].append(name)
            }
        }
    }

    /// The views that show all the columns of a table's key, and by what names.
    func appearances(of columns: [Int], in relation: UInt32) -> [Appearance] {
        var found: [Appearance] = []
        let shown = (views[relation] ?? [:]).sorted {
            ($0.key.schema, $0.key.name) < ($1.key.schema, $1.key.name)
        }
        for (view, names) in shown {
            var combinations: [[String]] = [[]]
            for column in columns {
                let names = names[column] ?? []
                combinations = Array(
                    combinations.lazy.flatMap { start in names.lazy.map { start + [$0] } }
                        .prefix(Self.maxAppearances))
            }
            found += combinations.map { Appearance(view: view, columns: $0) }
        }
        return found
    }
}

extension ViewOrigins {
    /// Reads the origins of a view's columns from its rewrite rule (`pg_rewrite.ev_action`).
    ///
    /// The text is PostgreSQL's dump of the query tree: `{NAME :field value ...}` nested, lists in parentheses. The target list of the
    /// outermost query has an entry for each column with the relation and column it was taken from, zero where it was computed.
    static func origins(ofRule text: String) -> [Int: Origin] {
        var origins: [Int: Origin] = [:]
        var scanner = NodeScanner(text)
        var depth = 0
        var isInTargets = false
        var number = 0
        var relation: UInt32 = 0
        var column = 0
        while let token = scanner.next() {
            switch token {
            case "{":
                depth += 1
                if depth == 2, isInTargets { (number, relation, column) = (0, 0, 0) }
            case "}":
                if depth == 2, isInTargets, relation != 0, column > 0 {
                    origins[number] = Origin(relation: relation, column: column)
                }
                depth -= 1
            default:
                // The next field of the query ends the target list.
                if depth == 1, token.hasPrefix(":") { isInTargets = token == ":targetList" }
                guard depth == 2, isInTargets else { continue }
                switch token {
                case ":resno": number = scanner.next().flatMap { Int($0) } ?? 0
                case ":resorigtbl": relation = scanner.next().flatMap { UInt32($0) } ?? 0
                case ":resorigcol": column = scanner.next().flatMap { Int($0) } ?? 0
                default: break
                }
            }
        }
        return origins
    }

    /// Splits a node tree into braces and words; a backslash takes the next character as it is.
    private struct NodeScanner {
        private var bytes: Substring.UTF8View

        init(_ text: String) {
            bytes = Substring(text).utf8
        }

        mutating func next() -> String? {
            while let byte = bytes.first, Self.isBlank(byte) { bytes.removeFirst() }
            guard let first = bytes.first else { return nil }
            if Self.isBrace(first) {
                bytes.removeFirst()
                return first == UInt8(ascii: "{") ? "{" : "}"
            }
            var end = bytes.startIndex
            while end < bytes.endIndex, !Self.isBlank(bytes[end]), !Self.isBrace(bytes[end]) {
                if bytes[end] == UInt8(ascii: "\\"), bytes.index(after: end) < bytes.endIndex {
                    end = bytes.index(after: end)
                }
                end = bytes.index(after: end)
            }
            defer { bytes = bytes[end...] }
            return String(Substring(bytes[..<end]))
        }

        private static func isBrace(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: "{") || byte == UInt8(ascii: "}")
        }

        private static func isBlank(_ byte: UInt8) -> Bool {
            byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "(")
                || byte == UInt8(ascii: ")")
        }
    }
}
