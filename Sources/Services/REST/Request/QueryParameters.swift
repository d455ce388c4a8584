// SPDX-License-Identifier: Apache-2.0

/// The query string, parsed.
struct QueryParameters: Sendable {
    /// Nil where there is no `select`: all columns.
    var select: [SelectItem]?
    var filters: [AtPath<Filter>] = []
    var logic: [AtPath<LogicTree>] = []
    var order: [AtPath<[OrderTerm]>] = []
    /// `limit` and `offset` of the target and of embedded relations.
    var limits: [AtPath<Int>] = []
    var offsets: [AtPath<Int>] = []
    var columns: [String]?
    var conflictColumns: [String]?
    /// What a function called by GET is given.
    var arguments: [Argument] = []

    /// Whether nothing but all columns is selected, said or not.
    var selectsEverything: Bool {
        select.map { $0 == [.field(SelectField(field: FieldPath(name: "*")))] } ?? true
    }

    struct Argument: Sendable, Hashable {
        var name: String
        var value: String
    }

    init() {}

    /// Sorts the decoded pairs into what they mean and parses each.
    ///
    /// - Parameter maxTerms: how many parameters there may be, and how many filters, embedded relations and sort terms together.
    /// - Parameter takesArguments: whether the target is a function called by GET or HEAD: then a pair whose value is no operation is an
    ///   argument.
    /// - Throws: ``RESTError`` `syntax`, with the position.
    init(pairs: [(name: String, value: String)], takesArguments: Bool, maxTerms: Int) throws(RESTError) {
        guard pairs.count <= maxTerms else {
            throw .syntax(
                message: "\"failed to parse query string\" (line 1, column 1)",
                details: "more than \(maxTerms) parameters")
        }
        for (name, value) in pairs { try read(name, value, takesArguments: takesArguments) }
        guard termCount <= maxTerms else {
            throw .syntax(
                message: "\"failed to parse query string\" (line 1, column 1)",
                details: "more than \(maxTerms) filters, relations and sort terms")
        }
    }

    /// Filters, embedded relations and sort terms, at any depth.
    private var termCount: Int {
        func leaves(_ tree: LogicTree) -> Int {
            switch tree {
            case .filter: 1
            case .group(_, _, let members): members.reduce(1) { $0 + leaves($1) }
            }
        }
        func relations(_ items: [SelectItem]) -> Int {
            items.reduce(0) { sum, item in
                guard case .relation(let relation) = item else { return sum }
                return sum + 1 + relations(relation.items)
            }
        }
        return filters.count + logic.reduce(0) { $0 + leaves($1.value) } + order.reduce(0) { $0 + $1.value.count }
            + relations(select ?? [])
    }

    private mutating func read(_ name: String, _ value: String, takesArguments: Bool) throws(RESTError) {
        switch name {
        // Of several of one of these the first counts.
        case "select":
            // An empty one is none: all columns.
            guard !value.isEmpty, select == nil else { return }
            select = try Self.parse("select parameter", value) { text throws(QuerySyntaxError) in
                try QueryGrammar.select(text)
            }
        case "columns":
            guard columns == nil else { return }
            columns = try Self.parse("columns parameter", value) { text throws(QuerySyntaxError) in
                try QueryGrammar.columns(text)
            }
        case "on_conflict":
            guard conflictColumns == nil else { return }
            conflictColumns = try Self.parse("on_conflict parameter", value) { text throws(QuerySyntaxError) in
                try QueryGrammar.columns(text)
            }
        default:
            switch name.split(separator: ".", omittingEmptySubsequences: false).last {
            case "order":
                let path = try Self.path(name)
                let terms = try Self.parse("order", value) { text throws(QuerySyntaxError) in
                    try QueryGrammar.order(text)
                }
                order.append(AtPath(path: path, value: terms))
            case "limit": try Self.readNumber(name, value, into: &limits)
            case "offset": try Self.readNumber(name, value, into: &offsets)
            case "and", "or": try readLogic(name, value)
            default: try readFilter(name, value, takesArguments: takesArguments)
            }
        }
    }

    /// A limit that is no number is no limit, as clients send `limit=` for none.
    private static func readNumber(_ name: String, _ value: String, into numbers: inout [AtPath<Int>]) throws(RESTError)
    {
        let path = try path(name)
        guard let number = Int(value) else { return }
        numbers.append(AtPath(path: path, value: number))
    }

    private mutating func readLogic(_ name: String, _ value: String) throws(RESTError) {
        let key = try Self.parse("logic path", name) { text throws(QuerySyntaxError) in
            try QueryGrammar.logicKey(text)
        }
        // Parsed with its connective before it, so that this level reads like the nested ones.
        let tree = try Self.parse("logic tree", value) { text throws(QuerySyntaxError) in
            try QueryGrammar.logicTree(key.value + text)
        }
        logic.append(AtPath(path: key.path, value: tree))
    }

    private mutating func readFilter(_ name: String, _ value: String, takesArguments: Bool) throws(RESTError) {
        let parsed: (isNegated: Bool, operation: Operation)
        do throws(QuerySyntaxError) {
            parsed = try QueryGrammar.filterValue(value)
        } catch {
            guard takesArguments else { throw Self.refusal("filter", value, error) }
            arguments.append(Argument(name: name, value: value))
            return
        }
        let key = try Self.parse("tree path", name) { text throws(QuerySyntaxError) in
            try QueryGrammar.filterKey(text)
        }
        filters.append(
            AtPath(
                path: key.path,
                value: Filter(field: key.value, isNegated: parsed.isNegated, operation: parsed.operation)))
    }

    /// The embedded path of `a.b.order`: all but the last name.
    private static func path(_ name: String) throws(RESTError) -> [String] {
        if !name.utf8.contains(UInt8(ascii: ".")) { return [] }
        let key = try parse("tree path", name) { text throws(QuerySyntaxError) in try QueryGrammar.filterKey(text) }
        return key.path
    }

    private static func parse<Value>(
        _ what: String, _ text: String, _ rule: (String) throws(QuerySyntaxError) -> Value
    ) throws(RESTError) -> Value {
        do throws(QuerySyntaxError) {
            return try rule(text)
        } catch {
            throw refusal(what, text, error)
        }
    }

    private static func refusal(_ what: String, _ text: String, _ error: QuerySyntaxError) -> RESTError {
        .syntax(
            message: "\"failed to parse \(what) (\(text))\" (line 1, column \(error.column))", details: error.details)
    }

    /// The rows wanted of the relation at `path`. An offset below zero is none.
    ///
    /// - Throws: ``RESTError`` `rangeNotSatisfiable` for a limit below zero.
    func range(at path: [String]) throws(RESTError) -> RowRange {
        var range = RowRange()
        if let limit = limits.last(where: { $0.path == path })?.value {
            guard limit >= 0 else {
                throw .rangeNotSatisfiable(details: "Limit should be greater than or equal to zero.", total: nil)
            }
            range.limit = limit
        }
        if let offset = offsets.last(where: { $0.path == path })?.value { range.offset = max(0, offset) }
        return range
    }
}
