// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Where in a token's claims the role stands: `.name`, `."quoted name"`, `[0]`, at the end a filter that takes the first text of an array
/// that fits, `[?(@ == "editor")]` (also `!=`, `^==` begins with, `==^` ends with, `*==` contains), and a slice of the text, `[7:]`.
///
/// A path may begin with `$` and name keys in brackets, as RFC 9535 has it.
package struct ClaimPath: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case key(String)
        case index(Int)
        case first(Comparison, String)
        /// Characters of a text; counted from its end where negative.
        case slice(from: Int?, to: Int?)
    }

    enum Comparison: String, Sendable, CaseIterable {
        // The longer before those they begin with.
        case endsWith = "==^"
        case equals = "=="
        case differs = "!="
        case startsWith = "^=="
        case contains = "*=="

        func holds(_ text: String, _ operand: String) -> Bool {
            switch self {
            case .equals: text == operand
            case .differs: text != operand
            case .startsWith: text.hasPrefix(operand)
            case .endsWith: text.hasSuffix(operand)
            case .contains: operand.isEmpty || text.contains(operand)
            }
        }
    }

    let steps: [Step]

    /// The claim `role`.
    package static let role = ClaimPath(steps: [.key("role")])

    private init(steps: [Step]) { self.steps = steps }

    /// Nil where the text is no path.
    package init?(_ text: String) {
        var parser = Parser(text)
        guard let steps = parser.steps() else { return nil }
        self.steps = steps
    }

    /// The text found; nil where the path leads nowhere or to nothing. What is no text counts as its JSON.
    func value(in claims: JSONObject) -> String? {
        var current = JSON.object(claims)
        for step in steps {
            guard let next = Self.follow(step, from: current) else { return nil }
            current = next
        }
        return current.stringValue ?? current.text
    }

    private static func follow(_ step: Step, from value: JSON) -> JSON? {
        switch step {
        case .key(let name): return value[name]
        case .index(let index):
            guard let items = value.arrayValue, items.indices.contains(index) else { return nil }
            return items[index]
        case .first(let comparison, let operand):
            return value.arrayValue?.first { $0.stringValue.map { comparison.holds($0, operand) } ?? false }
        case .slice(let from, let to):
            guard let characters = value.stringValue.map(Array.init) else { return nil }
            func place(_ index: Int) -> Int {
                min(max(index < 0 ? characters.count + index : index, 0), characters.count)
            }
            let (start, end) = (place(from ?? 0), place(to ?? characters.count))
            return .string(start < end ? String(characters[start..<end]) : "")
        }
    }

    private struct Parser {
        private var rest: Substring

        init(_ text: String) { rest = text[...] }

        mutating func steps() -> [Step]? {
            if rest.first == "$", rest.dropFirst().first == "." || rest.dropFirst().first == "[" { rest.removeFirst() }
            var steps: [Step] = []
            var isFiltered = false
            while !rest.isEmpty {
                guard let step = step() else { return nil }
                switch step {
                case .key, .index:
                    // A filter and a slice stand last.
                    if isFiltered { return nil }
                case .first:
                    if isFiltered { return nil }
                    isFiltered = true
                case .slice:
                    steps.append(step)
                    return rest.isEmpty ? steps : nil
                }
                steps.append(step)
            }
            return steps.isEmpty ? nil : steps
        }

        private mutating func step() -> Step? {
            switch rest.first {
            case ".":
                rest.removeFirst()
                if rest.first == "\"" { return quoted().map(Step.key) }
                let name = rest.prefix { $0.isLetter || $0.isNumber || "_$@".contains($0) }
                rest.removeFirst(name.count)
                return name.isEmpty ? nil : .key(String(name))
            case "[":
                rest.removeFirst()
                let step = bracketed()
                guard rest.first == "]" else { return nil }
                rest.removeFirst()
                return step
            default: return nil
            }
        }

        private mutating func bracketed() -> Step? {
            if rest.hasPrefix("?(") { return filter() }
            if rest.first == "\"" || rest.first == "'" { return quoted().map(Step.key) }
            let from = number()
            guard rest.first == ":" else { return from.flatMap { $0 < 0 ? nil : .index($0) } }
            rest.removeFirst()
            return .slice(from: from, to: number())
        }

        private mutating func filter() -> Step? {
            rest.removeFirst(2)
            skipSpaces()
            guard rest.first == "@" else { return nil }
            rest.removeFirst()
            skipSpaces()
            guard let comparison = Comparison.allCases.first(where: { rest.hasPrefix($0.rawValue) }) else { return nil }
            rest.removeFirst(comparison.rawValue.count)
            skipSpaces()
            guard let operand = quoted() else { return nil }
            skipSpaces()
            guard rest.first == ")" else { return nil }
            rest.removeFirst()
            return .first(comparison, operand)
        }

        private mutating func quoted() -> String? {
            guard let mark = rest.first, mark == "\"" || mark == "'" else { return nil }
            rest.removeFirst()
            let text = rest.prefix { $0 != mark }
            guard text.endIndex < rest.endIndex else { return nil }
            rest = rest[rest.index(after: text.endIndex)...]
            return String(text)
        }

        private mutating func number() -> Int? {
            var digits = rest.first == "-" ? "-" : ""
            digits += rest.dropFirst(digits.count).prefix { $0.isASCII && $0.isNumber }
            guard let number = Int(digits) else { return nil }
            rest.removeFirst(digits.count)
            return number
        }

        private mutating func skipSpaces() { rest = rest.drop { $0 == " " } }
    }
}

extension ClaimPath: CustomStringConvertible {
    /// The path with every name in quotes.
    package var description: String {
        steps.map { step in
            switch step {
            case .key(let name): ".\"\(name)\""
            case .index(let index): "[\(index)]"
            case .first(let comparison, let operand): "[?(@ \(comparison.rawValue) \"\(operand)\")]"
            case .slice(let from, let to): "[\(from.map(String.init) ?? ""):\(to.map(String.init) ?? "")]"
            }
        }.joined()
    }
}
