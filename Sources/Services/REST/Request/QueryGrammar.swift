// SPDX-License-Identifier: Apache-2.0

/// The grammar of query parameters, one function for each kind of parameter.
///
/// A rule returns nil when it does not match, with the scanner where it was before, and throws where the input can no longer become anything
/// else. Nesting is bounded, since a rule calls itself.
enum QueryGrammar {
    /// Deepest nesting of embedded relations or of logic groups.
    static let maxDepth = 32
    /// Most items in one parameter: selected items, list elements, members of a logic group.
    static let maxItems = 10_000

    private typealias Scanner = QueryScanner
    private static let fieldLabel = "field name (* or [a..z0..9_$])"
    private static let delimiterLabel = "delimiter (.)"

    // MARK: Parameters

    /// `select=`. A parenthesis too many ends it, and what follows is ignored, as clients that build such texts by hand have come to
    /// rely on.
    static func select(_ text: String) throws(QuerySyntaxError) -> [SelectItem] {
        var scanner = Scanner(text)
        let items = try selectItems(&scanner, depth: 0)
        if scanner.isNext(UInt8(ascii: ")")) { return items }
        try end(&scanner)
        return items
    }

    /// `columns=` and `on_conflict=`
    static func columns(_ text: String) throws(QuerySyntaxError) -> [String] {
        var scanner = Scanner(text)
        var names: [String] = []
        repeat {
            scanner.skipSpaces()
            guard let name = fieldName(&scanner) else { throw scanner.refusal() }
            scanner.skipSpaces()
            names.append(name)
        } while scanner.take(UInt8(ascii: ","))
        try end(&scanner)
        return names
    }

    /// The name of a filter parameter: the path of embedded relations, and the field.
    static func filterKey(_ text: String) throws(QuerySyntaxError) -> AtPath<FieldPath> {
        var scanner = Scanner(text)
        var names = try dottedNames(&scanner)
        let steps = try jsonSteps(&scanner)
        try end(&scanner)
        let name = names.removeLast()
        return AtPath(path: names, value: FieldPath(name: name, steps: steps))
    }

    /// The value of a filter parameter: `not.` and an operation.
    static func filterValue(_ text: String) throws(QuerySyntaxError) -> (isNegated: Bool, operation: Operation) {
        var scanner = Scanner(text)
        let parsed = try operationExpression(&scanner, inLogic: false)
        try end(&scanner)
        return parsed
    }

    /// `order=`
    static func order(_ text: String) throws(QuerySyntaxError) -> [OrderTerm] {
        var scanner = Scanner(text)
        var terms: [OrderTerm] = []
        repeat {
            scanner.skipSpaces()
            terms.append(try orderTerm(&scanner))
            scanner.skipSpaces()
        } while scanner.take(UInt8(ascii: ","))
        try end(&scanner)
        return terms
    }

    /// The name of a logic parameter: `and`, `not.or`, `relation.or`.
    static func logicKey(_ text: String) throws(QuerySyntaxError) -> AtPath<String> {
        var scanner = Scanner(text)
        var names = try dottedNames(&scanner)
        try end(&scanner)
        let connective = names.removeLast()
        let isNegated = names.last == "not"
        if isNegated { names.removeLast() }
        return AtPath(path: names, value: isNegated ? "not.\(connective)" : connective)
    }

    /// `and=(...)`, given with its name before it: `and(...)`. What follows the closing parenthesis is ignored, as clients that
    /// build such texts by hand have come to rely on.
    static func logicTree(_ text: String) throws(QuerySyntaxError) -> LogicTree {
        var scanner = Scanner(text)
        return try logic(&scanner, depth: 0)
    }

    // MARK: Names

    private static func dottedNames(_ scanner: inout Scanner) throws(QuerySyntaxError) -> [String] {
        var names: [String] = []
        repeat {
            guard let name = fieldName(&scanner) else { throw scanner.refusal() }
            names.append(name)
            guard names.count <= maxDepth else { throw tooDeep(scanner) }
        } while scanner.take(UInt8(ascii: "."), label: delimiterLabel)
        return names
    }

    private static func isIdentifier(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: " "):
            true
        default: byte >= 0x80
        }
    }

    /// A quoted name, or words joined by single dashes; a dash before `>` begins a JSON step.
    private static func fieldName(_ scanner: inout Scanner) -> String? {
        if let quoted = quotedValue(&scanner) { return quoted }
        return dashedName(&scanner, label: fieldLabel, isIdentifier)
    }

    private static func dashedName(
        _ scanner: inout Scanner, label: String, _ isPart: (UInt8) -> Bool
    ) -> String? {
        let start = scanner.offset
        var name = trimmed(scanner.takeWhile(isPart))
        if name.isEmpty {
            scanner.rewind(to: start)
            scanner.want(label)
            return nil
        }
        while scanner.isNext(UInt8(ascii: "-")), let after = scanner.byte(ahead: 1), isPart(after) {
            _ = scanner.take(UInt8(ascii: "-"))
            name += "-" + trimmed(scanner.takeWhile(isPart))
        }
        return name
    }

    /// `"..."` with backslash escapes; nil with the scanner unmoved where there is none or it does not end.
    private static func quotedValue(_ scanner: inout Scanner) -> String? {
        guard scanner.isNext(UInt8(ascii: "\"")) else { return nil }
        let start = scanner.offset
        _ = scanner.take(UInt8(ascii: "\""))
        var text = ""
        while true {
            text += scanner.takeWhile { $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
            if scanner.isNext(UInt8(ascii: "\\")) {
                _ = scanner.take(UInt8(ascii: "\\"))
                // Only these two need the escape; any other scalar is taken whole by the next round.
                if scanner.isNext(UInt8(ascii: "\"")) {
                    _ = scanner.take(UInt8(ascii: "\""))
                    text += "\""
                } else if scanner.isNext(UInt8(ascii: "\\")) {
                    _ = scanner.take(UInt8(ascii: "\\"))
                    text += "\\"
                }
            } else if scanner.take(UInt8(ascii: "\"")) {
                return text
            } else {
                scanner.rewind(to: start)
                return nil
            }
        }
    }

    private static func trimmed(_ text: String) -> String {
        guard text.utf8.first == UInt8(ascii: " ") || text.utf8.last == UInt8(ascii: " ") else { return text }
        let start = text.utf8.drop(while: { $0 == UInt8(ascii: " ") })
        guard let last = start.lastIndex(where: { $0 != UInt8(ascii: " ") }) else { return "" }
        return String(Substring(start[...last]))
    }

    // MARK: JSON paths

    private static func jsonSteps(_ scanner: inout Scanner) throws(QuerySyntaxError) -> [JSONStep] {
        var steps: [JSONStep] = []
        while scanner.isNext(UInt8(ascii: "-")), scanner.byte(ahead: 1) == UInt8(ascii: ">") {
            let asText = scanner.take(word: "->>")
            if !asText { _ = scanner.take(word: "->") }
            if let index = try jsonIndex(&scanner) {
                steps.append(JSONStep(asText: asText, operand: .index(index)))
            } else if let key = quotedValue(&scanner)
                ?? dashedName(&scanner, label: "any non reserved character different from: .,>()", isJSONKey)
            {
                steps.append(JSONStep(asText: asText, operand: .key(key)))
            } else {
                throw scanner.refusal()
            }
            guard steps.count <= maxDepth else { throw tooDeep(scanner) }
        }
        return steps
    }

    private static func isJSONKey(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "("), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "."), UInt8(ascii: ","),
            UInt8(ascii: ">"), UInt8(ascii: ")"):
            false
        default: true
        }
    }

    /// Digits, perhaps negative, that end the step; `1a` is a key.
    private static func jsonIndex(_ scanner: inout Scanner) throws(QuerySyntaxError) -> Int32? {
        let start = scanner.offset
        let isNegative = scanner.isNext(UInt8(ascii: "-")) && scanner.take(UInt8(ascii: "-"))
        let digits = scanner.takeWhile { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
        if digits.isEmpty {
            scanner.want("digit")
            if isNegative { throw scanner.refusal() }
            scanner.rewind(to: start)
            return nil
        }
        let ends: Bool =
            switch scanner.next {
            case nil, UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: ")"): true
            case UInt8(ascii: "-"): scanner.byte(ahead: 1) == UInt8(ascii: ">")
            case UInt8(ascii: ":"): scanner.byte(ahead: 1) == UInt8(ascii: ":")
            default: false
            }
        guard ends, let index = Int32((isNegative ? "-" : "") + digits) else {
            scanner.rewind(to: start)
            return nil
        }
        return index
    }

    private static func field(_ scanner: inout Scanner) throws(QuerySyntaxError) -> FieldPath? {
        guard let name = fieldName(&scanner) else { return nil }
        return FieldPath(name: name, steps: try jsonSteps(&scanner))
    }

    // MARK: Select

    private static func selectItems(
        _ scanner: inout Scanner, depth: Int
    ) throws(QuerySyntaxError) -> [SelectItem] {
        guard depth <= maxDepth else { throw tooDeep(scanner) }
        scanner.skipSpaces()
        if scanner.isAtEnd || scanner.isNext(UInt8(ascii: ")")) { return [] }
        var items: [SelectItem] = []
        repeat {
            scanner.skipSpaces()
            if let relation = try selectRelation(&scanner, depth: depth) {
                items.append(.relation(relation))
            } else {
                items.append(.field(try selectField(&scanner)))
            }
            guard items.count <= maxItems else { throw tooDeep(scanner) }
            scanner.skipSpaces()
        } while scanner.take(UInt8(ascii: ","))
        return items
    }

    /// `alias:` where a single colon follows; `a::text` is a cast.
    private static func alias(_ scanner: inout Scanner) -> String? {
        let start = scanner.offset
        if let name = fieldName(&scanner), scanner.isNext(UInt8(ascii: ":")),
            scanner.byte(ahead: 1) != UInt8(ascii: ":")
        {
            _ = scanner.take(UInt8(ascii: ":"))
            return name
        }
        scanner.rewind(to: start)
        return nil
    }

    /// `...alias:name!hint!inner(items)`; nil, unmoved, where no parenthesis follows the name.
    private static func selectRelation(
        _ scanner: inout Scanner, depth: Int
    ) throws(QuerySyntaxError) -> SelectRelation? {
        let start = scanner.offset
        let isSpread = scanner.isNext(UInt8(ascii: ".")) && scanner.take(word: "...")
        let alias = isSpread ? nil : alias(&scanner)
        guard let name = fieldName(&scanner) else {
            if isSpread { throw scanner.refusal() }
            scanner.rewind(to: start)
            return nil
        }
        var hint: String?
        var join: SelectRelation.Join?
        for _ in 0..<2 where scanner.isNext(UInt8(ascii: "!")) {
            _ = scanner.take(UInt8(ascii: "!"))
            guard let parameter = fieldName(&scanner) else { throw scanner.refusal() }
            if let kind = SelectRelation.Join(rawValue: parameter) { join = kind } else { hint = parameter }
        }
        // `count()` is the aggregate, never a relation of that name.
        let isCount = name == "count" && hint == nil && join == nil && scanner.byte(ahead: 1) == UInt8(ascii: ")")
        guard scanner.isNext(UInt8(ascii: "(")), !isCount else {
            if isSpread || hint != nil || join != nil {
                _ = scanner.take(UInt8(ascii: "("))
                throw scanner.refusal()
            }
            scanner.rewind(to: start)
            return nil
        }
        _ = scanner.take(UInt8(ascii: "("))
        let items = try selectItems(&scanner, depth: depth + 1)
        guard scanner.take(UInt8(ascii: ")")) else { throw scanner.refusal() }
        return SelectRelation(name: name, alias: alias, hint: hint, join: join, isSpread: isSpread, items: items)
    }

    private static func selectField(_ scanner: inout Scanner) throws(QuerySyntaxError) -> SelectField {
        if scanner.isNext(UInt8(ascii: "*")) {
            _ = scanner.take(UInt8(ascii: "*"))
            try itemEnd(&scanner)
            return SelectField(field: FieldPath(name: "*"))
        }
        var item = SelectField(alias: alias(&scanner))
        let start = scanner.offset
        if scanner.take(word: "count()", label: fieldLabel) {
            item.aggregate = .count
            item.aggregateCast = try cast(&scanner)
            try itemEnd(&scanner)
            return item
        }
        scanner.rewind(to: start)
        guard let field = try field(&scanner) else { throw scanner.refusal() }
        item.field = field
        item.cast = try cast(&scanner)
        if scanner.isNext(UInt8(ascii: ".")) {
            _ = scanner.take(UInt8(ascii: "."))
            let word = scanner.takeWhile { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }
            guard let aggregate = Aggregate(rawValue: word) else {
                scanner.rewind(to: scanner.offset - word.utf8.count)
                scanner.want("aggregate (sum, avg, count, max, min)")
                throw scanner.refusal()
            }
            guard scanner.take(word: "()") else { throw scanner.refusal() }
            item.aggregate = aggregate
            item.aggregateCast = try cast(&scanner)
        }
        try itemEnd(&scanner)
        return item
    }

    /// `::type`, where a type is words of letters, digits, underscore and dollar sign.
    private static func cast(_ scanner: inout Scanner) throws(QuerySyntaxError) -> String? {
        guard scanner.isNext(UInt8(ascii: ":")) else { return nil }
        guard scanner.take(word: "::") else { throw scanner.refusal() }
        let type = trimmed(scanner.takeWhile(isIdentifier))
        guard !type.isEmpty else {
            scanner.want("type name ([a..z0..9_$])")
            throw scanner.refusal()
        }
        return type
    }

    private static func itemEnd(_ scanner: inout Scanner) throws(QuerySyntaxError) {
        scanner.skipSpaces()
        if scanner.isAtEnd || scanner.isNext(UInt8(ascii: ",")) || scanner.isNext(UInt8(ascii: ")")) { return }
        scanner.want("\")\"")
        scanner.want("\",\"")
        scanner.wantEnd()
        throw scanner.refusal()
    }

    // MARK: Order

    private static func orderTerm(_ scanner: inout Scanner) throws(QuerySyntaxError) -> OrderTerm {
        let start = scanner.offset
        var term: OrderTerm
        if let relation = fieldName(&scanner), scanner.isNext(UInt8(ascii: "(")) {
            _ = scanner.take(UInt8(ascii: "("))
            guard let field = try field(&scanner), scanner.take(UInt8(ascii: ")")) else { throw scanner.refusal() }
            term = OrderTerm(relation: relation, field: field)
        } else {
            scanner.rewind(to: start)
            guard let field = try field(&scanner) else { throw scanner.refusal() }
            term = OrderTerm(relation: nil, field: field)
        }
        term.direction = orderOption(&scanner, [("asc", .asc), ("desc", .desc)])
        term.nulls = orderOption(&scanner, [("nullsfirst", .first), ("nullslast", .last)])
        scanner.skipSpaces()
        guard scanner.isAtEnd || scanner.isNext(UInt8(ascii: ",")) else {
            scanner.want("\",\"")
            scanner.wantEnd()
            throw scanner.refusal()
        }
        return term
    }

    private static func orderOption<Value>(
        _ scanner: inout Scanner, _ options: [(StaticString, Value)]
    ) -> Value? {
        let start = scanner.offset
        guard scanner.take(UInt8(ascii: "."), label: delimiterLabel) else { return nil }
        for (word, value) in options where scanner.take(word: word) { return value }
        scanner.rewind(to: start)
        return nil
    }

    // MARK: Operations

    private static func operationExpression(
        _ scanner: inout Scanner, inLogic: Bool
    ) throws(QuerySyntaxError) -> (isNegated: Bool, operation: Operation) {
        let isNegated = scanner.take(word: "not.", label: "\"not\"")
        return (isNegated, try operation(&scanner, inLogic: inLogic))
    }

    private static func operation(
        _ scanner: inout Scanner, inLogic: Bool
    ) throws(QuerySyntaxError) -> Operation {
        let start = scanner.offset
        let word = scanner.takeWhile { UInt8(ascii: "a")...UInt8(ascii: "z") ~= $0 }
        if let simple = SimpleOperator(rawValue: word) {
            try delimiter(&scanner)
            return .simple(simple, singleValue(&scanner, inLogic: inLogic))
        }
        if let quantified = QuantifiedOperator(rawValue: word) {
            let quantifier = try quantifier(&scanner)
            try delimiter(&scanner)
            return .quantified(quantified, quantifier, singleValue(&scanner, inLogic: inLogic))
        }
        if let fullText = FullTextOperator(rawValue: word) {
            let language = try language(&scanner)
            try delimiter(&scanner)
            return .fullText(fullText, language: language, singleValue(&scanner, inLogic: inLogic))
        }
        switch word {
        case "in":
            try delimiter(&scanner)
            return .isIn(try list(&scanner))
        case "is":
            try delimiter(&scanner)
            return .is(try isValue(&scanner))
        case "isdistinct":
            try delimiter(&scanner)
            return .isDistinct(singleValue(&scanner, inLogic: inLogic))
        default:
            scanner.rewind(to: start)
            scanner.want("operator (eq, gt, ...)")
            throw scanner.refusal()
        }
    }

    private static func delimiter(_ scanner: inout Scanner) throws(QuerySyntaxError) {
        guard scanner.take(UInt8(ascii: "."), label: delimiterLabel) else { throw scanner.refusal() }
    }

    private static func quantifier(_ scanner: inout Scanner) throws(QuerySyntaxError) -> Quantifier? {
        guard scanner.isNext(UInt8(ascii: "(")) else { return nil }
        if scanner.take(word: "(any)") { return .any }
        if scanner.take(word: "(all)") { return .all }
        throw scanner.refusal()
    }

    private static func language(_ scanner: inout Scanner) throws(QuerySyntaxError) -> String? {
        guard scanner.isNext(UInt8(ascii: "(")) else { return nil }
        _ = scanner.take(UInt8(ascii: "("))
        let name = trimmed(scanner.takeWhile(isIdentifier))
        guard !name.isEmpty else {
            scanner.want("text search configuration")
            throw scanner.refusal()
        }
        guard scanner.take(UInt8(ascii: ")")) else { throw scanner.refusal() }
        return name
    }

    private static func isValue(_ scanner: inout Scanner) throws(QuerySyntaxError) -> IsValue {
        let start = scanner.offset
        let word = scanner.takeWhile { isIdentifier($0) && $0 != UInt8(ascii: " ") }
        guard let value = IsValue(rawValue: word.lowercased()) else {
            scanner.rewind(to: start)
            scanner.want("isVal: (null, not_null, true, false, unknown)")
            throw scanner.refusal()
        }
        return value
    }

    /// The rest of the parameter; inside a logic tree, what ends at a comma or parenthesis, quoted, or an array literal.
    private static func singleValue(_ scanner: inout Scanner, inLogic: Bool) -> String {
        guard inLogic else { return scanner.takeRest() }
        let start = scanner.offset
        if let element = quotedElement(&scanner) { return element }
        if scanner.isNext(UInt8(ascii: "{")) {
            _ = scanner.take(UInt8(ascii: "{"))
            let inner = scanner.takeWhile { $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: "}") }
            if scanner.take(UInt8(ascii: "}")) { return "{\(inner)}" }
            scanner.rewind(to: start)
        }
        return scanner.takeWhile(isListByte)
    }

    private static func isListByte(_ byte: UInt8) -> Bool { byte != UInt8(ascii: ",") && byte != UInt8(ascii: ")") }

    /// A quoted value that is the whole element: only a comma, a parenthesis or the end may follow it.
    private static func quotedElement(_ scanner: inout Scanner) -> String? {
        let start = scanner.offset
        guard let quoted = quotedValue(&scanner) else { return nil }
        if scanner.next.map(isListByte) ?? false {
            scanner.rewind(to: start)
            return nil
        }
        return quoted
    }

    private static func list(_ scanner: inout Scanner) throws(QuerySyntaxError) -> [String] {
        scanner.skipSpaces()
        guard scanner.take(UInt8(ascii: "(")) else { throw scanner.refusal() }
        scanner.skipSpaces()
        var elements: [String] = []
        repeat {
            elements.append(quotedElement(&scanner) ?? scanner.takeWhile(isListByte))
            guard elements.count <= maxItems else { throw tooDeep(scanner) }
        } while scanner.take(UInt8(ascii: ","))
        guard scanner.take(UInt8(ascii: ")")) else { throw scanner.refusal() }
        scanner.skipSpaces()
        return elements
    }

    // MARK: Logic

    private static func logic(_ scanner: inout Scanner, depth: Int) throws(QuerySyntaxError) -> LogicTree {
        guard depth <= maxDepth else { throw tooDeep(scanner) }
        if let group = try logicGroup(&scanner, depth: depth) { return group }
        guard let field = try field(&scanner) else {
            scanner.want("negation operator (not)")
            scanner.want("logic operator (and, or)")
            throw scanner.refusal()
        }
        try delimiter(&scanner)
        let parsed = try operationExpression(&scanner, inLogic: true)
        return .filter(Filter(field: field, isNegated: parsed.isNegated, operation: parsed.operation))
    }

    private static func logicGroup(_ scanner: inout Scanner, depth: Int) throws(QuerySyntaxError) -> LogicTree? {
        let start = scanner.offset
        let isNegated = scanner.take(word: "not.", label: fieldLabel)
        let connective: LogicTree.Connective
        if scanner.take(word: "and", label: fieldLabel) {
            connective = .and
        } else if scanner.take(word: "or", label: fieldLabel) {
            connective = .or
        } else {
            scanner.rewind(to: start)
            return nil
        }
        scanner.skipSpaces()
        guard scanner.isNext(UInt8(ascii: "(")) else {
            scanner.rewind(to: start)
            return nil
        }
        _ = scanner.take(UInt8(ascii: "("))
        var members: [LogicTree] = []
        repeat {
            scanner.skipSpaces()
            members.append(try logic(&scanner, depth: depth + 1))
            guard members.count <= maxItems else { throw tooDeep(scanner) }
            scanner.skipSpaces()
        } while scanner.take(UInt8(ascii: ","))
        guard scanner.take(UInt8(ascii: ")")) else { throw scanner.refusal() }
        scanner.skipSpaces()
        return .group(isNegated: isNegated, connective, members)
    }

    // MARK: Ends

    private static func end(_ scanner: inout Scanner) throws(QuerySyntaxError) {
        guard scanner.isAtEnd else {
            scanner.wantEnd()
            throw scanner.refusal()
        }
    }

    private static func tooDeep(_ scanner: Scanner) -> QuerySyntaxError {
        QuerySyntaxError(column: scanner.offset + 1, details: "nested too deep or too many items")
    }
}
