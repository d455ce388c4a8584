// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A word of what stands between `{{` and `}}`.
enum TemplateToken: Sendable, Hashable {
    case word(String)
    /// `.`, `.A` or `.A.B`; follows a `)` or a variable without space as well.
    case field([String])
    case variable(String)
    case literal(JSON)
    case open
    case close
    case pipe
    case declare
    case assign
    case comma
}

/// Splits an action into words.
struct TemplateLexer {
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private let line: Int

    init(_ text: Substring, line: Int) {
        scalars = Array(text.unicodeScalars)
        self.line = line
    }

    mutating func tokens() throws(MailError) -> [TemplateToken] {
        var tokens: [TemplateToken] = []
        while position < scalars.count {
            let scalar = scalars[position]
            switch scalar {
            case " ", "\t", "\n", "\r": position += 1
            case "(":
                position += 1
                tokens.append(.open)
            case ")":
                position += 1
                tokens.append(.close)
            case "|":
                position += 1
                tokens.append(.pipe)
            case ",":
                position += 1
                tokens.append(.comma)
            case "=":
                position += 1
                tokens.append(.assign)
            case ":":
                position += 1
                guard position < scalars.count, scalars[position] == "=" else { throw fail("expected :=") }
                position += 1
                tokens.append(.declare)
            case ".": tokens.append(.field(path()))
            case "$":
                position += 1
                tokens.append(.variable(name()))
            case "\"": tokens.append(.literal(.string(try quoted())))
            case "`": tokens.append(.literal(.string(try raw())))
            case "0"..."9", "-", "+": tokens.append(.literal(try number()))
            default:
                let word = name()
                guard !word.isEmpty else { throw fail("unexpected \(scalar)") }
                tokens.append(.word(word))
            }
        }
        return tokens
    }

    private func fail(_ reason: String) -> MailError { .invalidTemplate(line: line, reason: reason) }

    private mutating func name() -> String {
        var name = ""
        while position < scalars.count, Self.isNameScalar(scalars[position]) {
            name.unicodeScalars.append(scalars[position])
            position += 1
        }
        return name
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private mutating func path() -> [String] {
        var names: [String] = []
        while position < scalars.count, scalars[position] == "." {
            position += 1
            let name = name()
            if name.isEmpty { break }
            names.append(name)
        }
        return names
    }

    private mutating func raw() throws(MailError) -> String {
        var text = ""
        position += 1
        while position < scalars.count, scalars[position] != "`" {
            text.unicodeScalars.append(scalars[position])
            position += 1
        }
        guard position < scalars.count else { throw fail("a text without end") }
        position += 1
        return text
    }

    private mutating func quoted() throws(MailError) -> String {
        var text = ""
        position += 1
        while position < scalars.count, scalars[position] != "\"" {
            var scalar = scalars[position]
            position += 1
            if scalar == "\\" {
                guard position < scalars.count else { break }
                switch scalars[position] {
                case "n": scalar = "\n"
                case "t": scalar = "\t"
                case "r": scalar = "\r"
                case "\"", "\\", "'": scalar = scalars[position]
                default: throw fail("unknown escape in a text")
                }
                position += 1
            }
            text.unicodeScalars.append(scalar)
        }
        guard position < scalars.count else { throw fail("a text without end") }
        position += 1
        return text
    }

    private mutating func number() throws(MailError) -> JSON {
        var text = ""
        while position < scalars.count,
            Self.isNameScalar(scalars[position]) || [".", "-", "+"].contains(scalars[position])
        {
            text.unicodeScalars.append(scalars[position])
            position += 1
        }
        if let whole = Int(text) { return JSON(whole) }
        guard let value = Double(text), value.isFinite else { throw fail("\(text) is no number") }
        return JSON(value)
    }
}
