// SPDX-License-Identifier: Apache-2.0

/// The text of a policy's condition, as PostgreSQL prints it, and what can be told from its words.
///
/// PostgreSQL prints conditions from their parsed form: names are resolved, functions are qualified when they are not on
/// the path, literals carry their types. So words are reliable where free-hand SQL would not be.
package struct SQLExpression: Sendable, Hashable, ExpressibleByStringLiteral {
    package let text: String
    let tokens: [Token]

    enum Token: Sendable, Hashable {
        /// A name or keyword; unquoted ones in lower case.
        case word(String)
        case string(String)
        case number(String)
        case symbol(Character)
    }

    package init(_ text: String) {
        self.text = text
        tokens = Self.scan(text)
    }

    package init(stringLiteral value: String) { self.init(value) }

    // MARK: Questions

    /// Whether a word stands in it as a name: not in a string, not as the alias of a column.
    package func mentions(_ name: String) -> Bool {
        for (index, token) in tokens.enumerated() where token == .word(name) {
            if index > 0, tokens[index - 1] == .word("as") { continue }
            return true
        }
        return false
    }

    package func mentions(anyOf names: some Sequence<String>) -> Bool { names.contains(where: mentions) }

    func mentions(anyOf names: Set<String>) -> Bool {
        for (index, token) in tokens.enumerated() {
            guard case .word(let word) = token, names.contains(word) else { continue }
            if index == 0 || tokens[index - 1] != .word("as") { return true }
        }
        return false
    }

    /// The names of the functions it calls, with their schemas where printed.
    package var calls: [Call] {
        var found: [Call] = []
        for (index, token) in tokens.enumerated() {
            guard case .word(let name) = token, index + 1 < tokens.count, tokens[index + 1] == .symbol("("),
                !Self.notFunctions.contains(name)
            else { continue }
            var schema: String?
            if index >= 2, tokens[index - 1] == .symbol("."), case .word(let qualifier) = tokens[index - 2] {
                schema = qualifier
            }
            found.append(Call(schema: schema, name: name, position: index))
        }
        return found
    }

    package struct Call: Sendable, Hashable {
        package var schema: String?
        package var name: String
        var position: Int
    }

    /// Whether it asks who is calling: Auth's functions, the claims, or the tenancy's.
    package var asksForIdentity: Bool {
        calls.contains(where: Self.isIdentity)
    }

    /// Whether what it asks for of the caller's decides by more than being there: `auth.uid() is null` lets everybody on who signed in.
    package var usesIdentity: Bool {
        calls.filter(Self.isIdentity).contains { call in
            var next = call.position + 1
            var depth = 0
            while next < tokens.count {
                if tokens[next] == .symbol("(") { depth += 1 }
                if tokens[next] == .symbol(")") { depth -= 1 }
                next += 1
                if depth == 0 { break }
            }
            // Of a scalar sub-select.
            while next < tokens.count, tokens[next] == .symbol(")") { next += 1 }
            return next >= tokens.count || tokens[next] != .word("is")
        }
    }

    /// Names such as `m.tenant_id` that are compared with themselves, which is how a sub-select reads that forgot whose column it
    /// meant.
    package var selfComparisons: [String] {
        tokens.indices.compactMap { index -> String? in
            guard tokens[index] == .symbol("="), let left = qualifiedName(endingAt: index - 1),
                let right = qualifiedName(startingAt: index + 1), left == right
            else { return nil }
            return left
        }
    }

    private func qualifiedName(endingAt end: Int) -> String? {
        guard end >= 2 else { return nil }
        return qualifiedName(startingAt: end - 2)
    }

    private func qualifiedName(startingAt start: Int) -> String? {
        guard start + 2 < tokens.count, case .word(let table) = tokens[start], tokens[start + 1] == .symbol("."),
            case .word(let column) = tokens[start + 2]
        else { return nil }
        return "\(table).\(column)"
    }

    /// Whether it calls a function of the project's: what that does is not seen here. PostgreSQL's own are printed without a
    /// schema, as ``CatalogReader`` has nothing else on the path.
    package var callsUnknownFunction: Bool {
        calls.contains { call in
            guard let schema = call.schema else { return false }
            return !["pg_catalog", "storage", "realtime", "auth"].contains(schema) && !Self.isIdentity(call)
        }
    }

    static func isIdentity(_ call: Call) -> Bool {
        switch (call.schema, call.name) {
        case ("auth", "uid"), ("auth", "jwt"), ("auth", "email"), ("tenancy", _), (nil, "current_setting"): true
        default: false
        }
    }

    /// Calls of functions that answer the same for every row and are asked again for each, as no scalar sub-select holds them.
    package var callsPerRow: [Call] {
        calls.filter { call in
            let isStable =
                (call.schema == "auth" && ["uid", "jwt", "role", "email"].contains(call.name))
                || (call.schema == nil && call.name == "current_setting")
                || (call.schema == "tenancy"
                    && ["current_tenant", "current_member_role", "is_current_admin"].contains(call.name))
            return isStable && !isInScalarSelect(call.position)
        }
    }

    /// Whether the nearest enclosing parentheses that begin with `select` have no `from`: those run once a query.
    private func isInScalarSelect(_ position: Int) -> Bool {
        var depth = 0
        var index = position
        while index > 0 {
            index -= 1
            switch tokens[index] {
            case .symbol(")"): depth += 1
            case .symbol("("):
                if depth > 0 {
                    depth -= 1
                } else if index + 1 < tokens.count, tokens[index + 1] == .word("select") {
                    return !selectHasFrom(openedAt: index)
                }
            default: break
            }
        }
        return false
    }

    private func selectHasFrom(openedAt start: Int) -> Bool {
        var depth = 0
        for token in tokens[start...] {
            switch token {
            case .symbol("("): depth += 1
            case .symbol(")"):
                depth -= 1
                if depth == 0 { return false }
            case .word("from") where depth == 1: return true
            default: break
            }
        }
        return false
    }

    /// Whether it is true of every row as far as can be told: no row and no caller is asked, or an alternative is.
    package var isAlwaysTrue: Bool {
        let words = tokens.filter { $0 != .symbol("(") && $0 != .symbol(")") }
        if words == [.word("true")] { return true }
        if isTautology(words[...]) { return true }
        return alternatives.count > 1 && alternatives.contains { SQLExpression.isTrue($0) }
    }

    private static func isTrue(_ tokens: ArraySlice<Token>) -> Bool {
        let words = tokens.filter { $0 != .symbol("(") && $0 != .symbol(")") }
        return words == [.word("true")] || SQLExpression(words: words).isTautology(words[...])
    }

    /// `1 = 1`, `'a'::text = 'a'::text`, `user_id = user_id`, `not false`.
    private func isTautology(_ words: ArraySlice<Token>) -> Bool {
        if Array(words) == [.word("not"), .word("false")] { return true }
        let equals = words.indices.filter { words[$0] == .symbol("=") }
        guard equals.count == 1, let equal = equals.first else { return false }
        let isComparison = !words.contains { [.word("and"), .word("or"), .word("not"), .word("select")].contains($0) }
        let left = Self.plain(words[..<equal])
        return isComparison && !left.isEmpty && left == Self.plain(words[words.index(after: equal)...])
    }

    /// Without casts.
    private static func plain(_ words: ArraySlice<Token>) -> [Token] {
        guard let cast = words.firstIndex(of: .symbol(":")) else { return Array(words) }
        return Array(words[..<cast])
    }

    private init(words: [Token]) {
        text = ""
        tokens = words
    }

    /// The parts between `or` at the outermost level.
    private var alternatives: [ArraySlice<Token>] {
        var inner = tokens[...]
        while inner.first == .symbol("("), inner.last == .symbol(")"), Self.closes(inner) {
            inner = inner.dropFirst().dropLast()
        }
        var parts: [ArraySlice<Token>] = []
        var depth = 0
        var start = inner.startIndex
        for index in inner.indices {
            switch inner[index] {
            case .symbol("("): depth += 1
            case .symbol(")"): depth -= 1
            case .word("or") where depth == 0:
                parts.append(inner[start..<index])
                start = index + 1
            default: break
            }
        }
        parts.append(inner[start...])
        return parts
    }

    /// Whether the first parenthesis is closed by the last.
    private static func closes(_ tokens: ArraySlice<Token>) -> Bool {
        var depth = 0
        for index in tokens.indices {
            if tokens[index] == .symbol("(") { depth += 1 }
            if tokens[index] == .symbol(")") { depth -= 1 }
            if depth == 0 { return index == tokens.index(before: tokens.endIndex) }
        }
        return false
    }

    /// The strings in it.
    package var strings: [String] {
        tokens.compactMap { token in
            guard case .string(let text) = token else { return nil }
            return text
        }
    }

    // MARK: Scanning

    private static let notFunctions: Set<String> = [
        "in", "and", "or", "not", "any", "all", "some", "exists", "select", "where", "from", "on", "join", "case",
        "when",
        "then", "else", "array", "row", "as", "using", "values", "is", "like", "ilike", "between", "union", "having",
        "by",
        "cast",
    ]

    private static func scan(_ text: String) -> [Token] {
        var tokens: [Token] = []
        var rest = text[...]
        while let first = rest.first {
            if first.isWhitespace {
                rest.removeFirst()
            } else if rest.hasPrefix("--") {
                // In the body of a function; conditions are printed without comments.
                rest = rest.drop { !$0.isNewline }
            } else if rest.hasPrefix("/*") {
                rest = rest.firstRange(of: "*/").map { rest[$0.upperBound...] } ?? rest[rest.endIndex...]
            } else if first == "'" {
                tokens.append(.string(quoted(&rest, by: "'")))
            } else if first == "\"" {
                tokens.append(.word(quoted(&rest, by: "\"")))
            } else if first.isLetter || first == "_" {
                let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "$" }
                rest = rest.dropFirst(word.count)
                tokens.append(.word(word.lowercased()))
            } else if first.isNumber {
                let number = rest.prefix { $0.isNumber || $0 == "." || $0 == "e" }
                rest = rest.dropFirst(number.count)
                tokens.append(.number(String(number)))
            } else {
                tokens.append(.symbol(first))
                rest.removeFirst()
            }
        }
        return tokens
    }

    /// Takes a quoted text with its quotes; a doubled quote stands for one.
    private static func quoted(_ rest: inout Substring, by quote: Character) -> String {
        rest.removeFirst()
        var text = ""
        while let next = rest.popFirst() {
            if next != quote {
                text.append(next)
            } else if rest.first == quote {
                text.append(quote)
                rest.removeFirst()
            } else {
                break
            }
        }
        return text
    }
}
