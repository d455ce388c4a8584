// SPDX-License-Identifier: Apache-2.0

/// A configuration file in PostgREST's format: `key = value` lines, values being strings, numbers, booleans or lists, with comments from
/// `#` on, groups (`app { settings { name = "x" } }` means `app.settings.name`) and `$(NAME)` in strings for the environment's variables.
package struct ConfigurationFile: Sendable {
    /// A value as it was written.
    package enum Value: Sendable, Hashable {
        case string(String)
        case number(String)
        case boolean(Bool)
        case list([Value])
    }

    /// What the file says, by the whole name; of a name that comes twice the last counts.
    package private(set) var values: [String: Value] = [:]

    package init() {}

    /// - Parameters:
    ///   - variable: a variable of the environment.
    ///   - load: reads a file that this one imports.
    /// - Throws: ``StandaloneConfigurationError``, with line and column.
    package init(
        text: String, variable: (String) -> String?, load: (String) throws -> String = { throw NoImports(path: $0) }
    ) throws {
        try read(text, prefix: "", depth: 0, variable, load)
    }

    private struct NoImports: Error {
        let path: String
    }

    private static let maxDepth = 16

    private mutating func read(
        _ text: String, prefix: String, depth: Int, _ variable: (String) -> String?, _ load: (String) throws -> String
    ) throws {
        guard depth < Self.maxDepth else {
            throw StandaloneConfigurationError("the configuration file imports itself")
        }
        var scanner = Scanner(text)
        var groups = [prefix]
        while true {
            scanner.skipBlank()
            guard let character = scanner.peek else { break }
            if character == "}" {
                guard groups.count > 1 else { throw scanner.error("a closing brace without its group") }
                scanner.advance()
                groups.removeLast()
                continue
            }
            let key = try scanner.key()
            scanner.skipBlank()
            if key == "import", scanner.peek == "\"" {
                let path = try scanner.string(variable)
                try read(load(path), prefix: groups[groups.count - 1], depth: depth + 1, variable, load)
                continue
            }
            let name = groups[groups.count - 1] + key
            switch scanner.peek {
            case "{":
                scanner.advance()
                guard groups.count < Self.maxDepth else { throw scanner.error("groups are nested too deep") }
                groups.append(name + ".")
            case "=":
                scanner.advance()
                scanner.skipBlank()
                values[name] = try scanner.value(variable, depth: 0)
            default: throw scanner.error("\"\(key)\" is not followed by = and a value")
            }
        }
        guard groups.count == 1 else { throw scanner.error("a group is not closed") }
    }

    private struct Scanner {
        private let characters: [Character]
        private var position = 0

        init(_ text: String) { characters = Array(text) }

        var peek: Character? { position < characters.count ? characters[position] : nil }

        mutating func advance() { position += 1 }

        func error(_ reason: String) -> StandaloneConfigurationError {
            let before = characters.prefix(position)
            let line = before.count { $0.isNewline } + 1
            let column = position - (before.lastIndex { $0.isNewline } ?? -1)
            return StandaloneConfigurationError("configuration file, line \(line), column \(column): \(reason)")
        }

        /// Skips white space, line ends and comments.
        mutating func skipBlank() {
            while let character = peek {
                if character == "#" {
                    while let next = peek, !next.isNewline { advance() }
                } else if character.isWhitespace {
                    advance()
                } else {
                    return
                }
            }
        }

        mutating func key() throws -> String {
            var key = ""
            while let character = peek, character.isLetter || character.isNumber || "-_.".contains(character) {
                key.append(character)
                advance()
            }
            guard let first = key.first, first.isLetter else { throw error("here the name of a setting should stand") }
            return key
        }

        mutating func value(_ variable: (String) -> String?, depth: Int) throws -> Value {
            switch peek {
            case "\"": return .string(try string(variable))
            case "[":
                guard depth < ConfigurationFile.maxDepth else { throw error("lists are nested too deep") }
                return try list(variable, depth: depth)
            default: break
            }
            var word = ""
            while let character = peek, character.isLetter || character.isNumber || "+-._".contains(character) {
                word.append(character)
                advance()
            }
            switch word {
            case "true", "on": return .boolean(true)
            case "false", "off": return .boolean(false)
            default:
                guard Double(word) != nil, word.first?.isLetter == false else {
                    throw error("a value is a text in double quotes, a number, true or false")
                }
                return .number(word)
            }
        }

        private mutating func list(_ variable: (String) -> String?, depth: Int) throws -> Value {
            advance()
            var items: [Value] = []
            skipBlank()
            while peek != "]" {
                items.append(try value(variable, depth: depth + 1))
                skipBlank()
                if peek == "," {
                    advance()
                    skipBlank()
                } else if peek != "]" {
                    throw error("the list is not closed")
                }
            }
            advance()
            return .list(items)
        }

        mutating func string(_ variable: (String) -> String?) throws -> String {
            advance()
            var text = ""
            while let character = peek {
                advance()
                switch character {
                case "\"": return text
                case "\\": text.append(try escaped())
                case "$": text += try interpolated(variable)
                case _ where character.isNewline:
                    position -= 1
                    throw error("the text is not closed")
                default: text.append(character)
                }
            }
            throw error("the text is not closed")
        }

        private mutating func escaped() throws -> Character {
            guard let character = peek else { throw error("the text is not closed") }
            advance()
            switch character {
            case "n": return "\n"
            case "t": return "\t"
            case "r": return "\r"
            case "b": return "\u{8}"
            case "\"", "\\": return character
            case "u":
                var digits = ""
                while digits.count < 4, let digit = peek, digit.isHexDigit {
                    digits.append(digit)
                    advance()
                }
                guard digits.count == 4, let code = UInt32(digits, radix: 16), code != 0,
                    let scalar = Unicode.Scalar(code)
                else { throw error("\\u is not followed by the four digits of a character") }
                return Character(scalar)
            default: throw error("there is no \\\(character)")
            }
        }

        /// After a dollar sign: another one for the sign itself, or a variable's name in parentheses.
        private mutating func interpolated(_ variable: (String) -> String?) throws -> String {
            if peek == "$" {
                advance()
                return "$"
            }
            guard peek == "(" else { throw error("a dollar sign is written $$, and $(NAME) means a variable") }
            advance()
            var name = ""
            while let character = peek, character != ")", character != "\"", !character.isNewline {
                name.append(character)
                advance()
            }
            guard peek == ")", !name.isEmpty else { throw error("$( is not closed") }
            advance()
            guard let value = variable(name) else { throw error("the environment has no variable \(name)") }
            return value
        }
    }
}

/// What is wrong with a configuration, fit for the operator.
package struct StandaloneConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
