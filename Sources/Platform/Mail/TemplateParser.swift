// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Reads a template into its nodes.
struct TemplateParser {
    private enum Piece {
        case text(String)
        case action([TemplateToken], line: Int)
    }

    private let source: String
    private var pieces: [Piece] = []
    private var position = 0
    /// Variables that the place being read may use.
    private var scopes: [Set<String>] = [[""]]
    private var loopDepth = 0
    private var depth = 0

    private static let maxDepth = 50
    private static let functions: Set<String> = [
        "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "len", "index", "print", "printf", "println", "html",
        "js", "urlquery",
    ]

    init(_ source: String) { self.source = source }

    mutating func parse() throws(MailError) -> [TemplateNode] {
        try split()
        let (nodes, end) = try nodes()
        if let end { throw fail(end.line, "unexpected {{ \(end.word) }}") }
        return nodes
    }

    private func fail(_ line: Int, _ reason: String) -> MailError { .invalidTemplate(line: line, reason: reason) }

    // MARK: Text and actions

    private mutating func split() throws(MailError) {
        var rest = source[...]
        var line = 1
        var trimsNext = false
        while true {
            let start = rest.firstRange(of: "{{")
            var text = start.map { rest[..<$0.lowerBound] } ?? rest
            line += text.count { $0.isNewline }
            if trimsNext { text = text.drop(while: \.isWhitespace) }
            guard let start else {
                pieces.append(.text(String(text)))
                return
            }
            rest = rest[start.upperBound...]
            if let first = rest.first, first == "-", rest.dropFirst().first?.isWhitespace == true {
                while text.last?.isWhitespace == true { text.removeLast() }
                rest = rest.dropFirst()
            }
            if !text.isEmpty { pieces.append(.text(String(text))) }
            let action = try action(&rest, line: line)
            trimsNext = action.last == "-" && action.dropLast().last?.isWhitespace == true
            let content = (trimsNext ? action.dropLast() : action).trimmed
            if !(content.hasPrefix("/*") && content.hasSuffix("*/")) {
                var lexer = TemplateLexer(content, line: line)
                pieces.append(.action(try lexer.tokens(), line: line))
            }
            line += action.count { $0.isNewline }
        }
    }

    /// Takes what stands before the `}}` that ends the action: not one in a text or comment.
    private func action(_ rest: inout Substring, line: Int) throws(MailError) -> Substring {
        let start = rest.startIndex
        var index = start
        var quote: Character?
        if rest.drop(while: \.isWhitespace).hasPrefix("/*") {
            guard let end = rest.firstRange(of: "*/") else { throw fail(line, "a comment without end") }
            index = end.upperBound
        }
        while index < rest.endIndex {
            let character = rest[index]
            if let open = quote {
                if character == "\\", open == "\"" {
                    index = rest.index(after: index)
                    if index == rest.endIndex { break }
                } else if character == open {
                    quote = nil
                }
            } else if character == "\"" || character == "`" {
                quote = character
            } else if rest[index...].hasPrefix("}}") {
                let taken = rest[start..<index]
                rest = rest[rest.index(index, offsetBy: 2)...]
                return taken
            }
            index = rest.index(after: index)
        }
        throw fail(line, "{{ without }}")
    }

    // MARK: Nodes

    private struct End {
        var word: String
        var line: Int
        /// What follows `else`.
        var tokens: [TemplateToken]
    }

    /// Reads up to an `end` or `else`, which is returned, or to the template's end.
    private mutating func nodes() throws(MailError) -> ([TemplateNode], End?) {
        depth += 1
        defer { depth -= 1 }
        var nodes: [TemplateNode] = []
        while position < pieces.count {
            let piece = pieces[position]
            position += 1
            guard case .action(let tokens, let line) = piece else {
                if case .text(let text) = piece { nodes.append(.text(text)) }
                continue
            }
            guard depth <= Self.maxDepth else { throw fail(line, "too deeply nested") }
            guard case .word(let word) = tokens.first else {
                nodes.append(try statement(tokens, line: line))
                continue
            }
            let rest = Array(tokens.dropFirst())
            switch word {
            case "end", "else": return (nodes, End(word: word, line: line, tokens: rest))
            case "if": nodes.append(try conditional(rest, line: line))
            case "with": nodes.append(try with(rest, line: line))
            case "range": nodes.append(try range(rest, line: line))
            case "break", "continue":
                guard loopDepth > 0, rest.isEmpty else { throw fail(line, "{{ \(word) }} outside of a range") }
                nodes.append(word == "break" ? .breakLoop : .continueLoop)
            case "define", "block", "template": throw fail(line, "{{ \(word) }} is not supported")
            default: nodes.append(try statement(tokens, line: line))
            }
        }
        return (nodes, nil)
    }

    private mutating func body(from line: Int) throws(MailError) -> ([TemplateNode], End) {
        let (nodes, end) = try nodes()
        guard let end else { throw fail(line, "{{ end }} is missing") }
        return (nodes, end)
    }

    /// The rest of a block behind its body: what follows a plain `else`, or nothing.
    private mutating func otherwise(_ end: End) throws(MailError) -> [TemplateNode] {
        if end.word == "end" { return [] }
        guard end.tokens.isEmpty else { throw fail(end.line, "only {{ else }} may stand here") }
        let (nodes, last) = try body(from: end.line)
        guard last.word == "end" else { throw fail(last.line, "a second {{ else }}") }
        return nodes
    }

    private mutating func conditional(_ tokens: [TemplateToken], line: Int) throws(MailError) -> TemplateNode {
        var branches: [TemplateBranch] = []
        var tokens = tokens
        var line = line
        scopes.append([])
        defer { scopes.removeLast() }
        while true {
            let (variable, condition) = try declared(tokens, line: line)
            let (nodes, end) = try body(from: line)
            branches.append(TemplateBranch(variable: variable, condition: condition, body: nodes))
            if end.word == "else", case .word("if") = end.tokens.first {
                tokens = Array(end.tokens.dropFirst())
                line = end.line
                continue
            }
            if end.word == "else" {
                branches.append(TemplateBranch(variable: nil, condition: nil, body: try otherwise(end)))
            }
            return .conditional(branches)
        }
    }

    private mutating func with(_ tokens: [TemplateToken], line: Int) throws(MailError) -> TemplateNode {
        scopes.append([])
        defer { scopes.removeLast() }
        let (variable, pipeline) = try declared(tokens, line: line)
        let (nodes, end) = try body(from: line)
        return .with(variable: variable, pipeline, body: nodes, otherwise: try otherwise(end))
    }

    private mutating func range(_ tokens: [TemplateToken], line: Int) throws(MailError) -> TemplateNode {
        scopes.append([])
        loopDepth += 1
        defer {
            scopes.removeLast()
            loopDepth -= 1
        }
        var names: [String] = []
        var rest = tokens
        if let mark = tokens.firstIndex(of: .declare) {
            for token in tokens[..<mark] where token != .comma {
                guard case .variable(let name) = token else { throw fail(line, "expected variables before :=") }
                names.append(name)
            }
            guard (1...2).contains(names.count) else { throw fail(line, "range takes one or two variables") }
            rest = Array(tokens[(mark + 1)...])
        }
        let pipeline = try pipeline(rest, line: line)
        scopes[scopes.count - 1].formUnion(names)
        let (nodes, end) = try body(from: line)
        return .range(
            key: names.count == 2 ? names[0] : nil, element: names.last, pipeline, body: nodes,
            otherwise: try otherwise(end))
    }

    /// `$name := pipeline`, or a pipeline.
    private mutating func declared(
        _ tokens: [TemplateToken], line: Int
    ) throws(MailError) -> (String?, TemplatePipeline) {
        guard tokens.count > 2, case .variable(let name) = tokens[0], tokens[1] == .declare else {
            return (nil, try pipeline(tokens, line: line))
        }
        let value = try pipeline(Array(tokens[2...]), line: line)
        scopes[scopes.count - 1].insert(name)
        return (name, value)
    }

    private mutating func statement(_ tokens: [TemplateToken], line: Int) throws(MailError) -> TemplateNode {
        guard tokens.count > 2, case .variable(let name) = tokens[0] else {
            return .output(try pipeline(tokens, line: line))
        }
        switch tokens[1] {
        case .declare:
            let value = try pipeline(Array(tokens[2...]), line: line)
            scopes[scopes.count - 1].insert(name)
            return .assign(name: name, isNew: true, value)
        case .assign:
            try checkVariable(name, line)
            return .assign(name: name, isNew: false, try pipeline(Array(tokens[2...]), line: line))
        default: return .output(try pipeline(tokens, line: line))
        }
    }

    private func checkVariable(_ name: String, _ line: Int) throws(MailError) {
        guard scopes.contains(where: { $0.contains(name) }) else { throw fail(line, "unknown variable $\(name)") }
    }

    // MARK: Pipelines

    private func pipeline(_ tokens: [TemplateToken], line: Int) throws(MailError) -> TemplatePipeline {
        var rest = tokens[...]
        let pipeline = try pipeline(&rest, line: line, depth: 0)
        guard rest.isEmpty else { throw fail(line, "unexpected )") }
        return pipeline
    }

    private func pipeline(
        _ tokens: inout ArraySlice<TemplateToken>, line: Int, depth: Int
    ) throws(MailError) -> TemplatePipeline {
        guard depth < Self.maxDepth else { throw fail(line, "too deeply nested") }
        var commands: [[TemplateOperand]] = [[]]
        while let token = tokens.first, token != .close {
            tokens.removeFirst()
            switch token {
            case .pipe: commands.append([])
            case .literal(let value): commands[commands.count - 1].append(.literal(value))
            case .field(let names): commands[commands.count - 1].append(.field(names))
            case .variable(let name):
                try checkVariable(name, line)
                let path = path(&tokens)
                commands[commands.count - 1].append(.variable(name, path))
            case .open:
                let inner = try self.pipeline(&tokens, line: line, depth: depth + 1)
                guard tokens.popFirst() == .close else { throw fail(line, ") is missing") }
                let path = path(&tokens)
                commands[commands.count - 1].append(.pipeline(inner, path))
            case .word(let name): commands[commands.count - 1].append(try operand(name, line))
            case .declare, .assign, .comma, .close: throw fail(line, "unexpected :=, = or comma")
            }
        }
        for (index, command) in commands.enumerated() {
            guard let first = command.first else { throw fail(line, "an empty command") }
            if case .function = first { continue }
            guard command.count == 1, index == 0 else { throw fail(line, "only a function takes arguments") }
        }
        return TemplatePipeline(commands: commands, line: line)
    }

    /// A field that follows a variable or bracket. `$x .Field` with a space between is read as one, too; Go would take it as an
    /// argument of something that takes none.
    private func path(_ tokens: inout ArraySlice<TemplateToken>) -> [String] {
        guard case .field(let names) = tokens.first, !names.isEmpty else { return [] }
        tokens.removeFirst()
        return names
    }

    private func operand(_ name: String, _ line: Int) throws(MailError) -> TemplateOperand {
        switch name {
        case "true": return .literal(true)
        case "false": return .literal(false)
        case "nil": return .literal(.null)
        default:
            guard Self.functions.contains(name) else { throw fail(line, "unknown function \(name)") }
            return .function(name)
        }
    }
}

extension Substring {
    /// Without white space at both ends.
    fileprivate var trimmed: Substring {
        var result = drop(while: \.isWhitespace)
        while let last = result.last, last.isWhitespace { result.removeLast() }
        return result
    }
}
