// SPDX-License-Identifier: Apache-2.0

/// The variables of an `.env` file, in the dialect that Node's and Go's dotenv libraries share.
///
/// `NAME=value`, optionally after `export`; comments after `#`; single quotes keep the text as it is, double quotes know
/// `\n`, `\r`, `\t`, `\"`, `\\` and `\$`, and both may run over several lines. `$NAME` and `${NAME}` are replaced outside
/// single quotes by earlier variables of the file, then by the environment's.
struct DotEnv: Sendable {
    private(set) var variables: [String: String] = [:]
    /// Lines that are none of this, from 1.
    private(set) var malformedLines: [Int] = []

    /// Longer files are cut off.
    static let maxBytes = 1 << 20

    init(_ text: String, environment: (String) -> String? = { _ in nil }) {
        var scanner = Scanner(text)
        while scanner.skipToName() {
            let line = scanner.line
            guard let name = scanner.name(), let parts = scanner.value() else {
                malformedLines.append(line)
                scanner.skipLine()
                continue
            }
            variables[name] = parts.reduce(into: "") { value, part in
                switch part {
                case .text(let text): value += text
                case .variable(let name): value += variables[name] ?? environment(name) ?? ""
                }
            }
        }
    }

    private enum Part {
        case text(String)
        case variable(String)
    }

    private struct Scanner {
        private let characters: [Character]
        private var position = 0
        private(set) var line = 1

        init(_ text: String) {
            // "\r\n" is one Character in Swift; lines are told apart by "\n" alone here.
            characters = Array(text.split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n"))
        }

        private var current: Character? { position < characters.count ? characters[position] : nil }

        private mutating func advance() {
            if current == "\n" { line += 1 }
            position += 1
        }

        private mutating func skipBlanks() {
            while current == " " || current == "\t" { advance() }
        }

        mutating func skipLine() {
            while let character = current, character != "\n" {
                _ = character
                advance()
            }
        }

        /// Stops at the next line that is neither empty nor a comment; false at the end.
        mutating func skipToName() -> Bool {
            while let character = current {
                switch character {
                case "#": skipLine()
                case " ", "\t", "\n", "\u{FEFF}": advance()
                default: return true
                }
            }
            return false
        }

        /// The name and the equals sign (or YAML's colon) after it.
        mutating func name() -> String? {
            var name = word()
            skipBlanks()
            if name == "export", current != "=" {
                name = word()
                skipBlanks()
            }
            guard !name.isEmpty, current == "=" || current == ":" else { return nil }
            advance()
            return name
        }

        private mutating func word() -> String {
            var word = ""
            while let character = current, isNameCharacter(character) || character == "." {
                word.append(character)
                advance()
            }
            return word
        }

        private func isNameCharacter(_ character: Character) -> Bool {
            character.isASCII && (character.isLetter || character.isNumber || character == "_")
        }

        mutating func value() -> [Part]? {
            skipBlanks()
            switch current {
            case "'", "\"":
                guard let parts = quoted(), endsLine() else { return nil }
                return parts
            default:
                return bare()
            }
        }

        private mutating func endsLine() -> Bool {
            skipBlanks()
            if current == "#" { skipLine() }
            return current == nil || current == "\n"
        }

        private mutating func quoted() -> [Part]? {
            let quote = current
            let start = (position, line)
            advance()
            var parts: [Part] = []
            var text = ""
            while let character = current {
                if character == quote {
                    advance()
                    return parts + [.text(text)]
                }
                if quote == "\"", character == "\\" {
                    advance()
                    text += escaped()
                } else if quote == "\"", character == "$", let name = variable() {
                    parts += [.text(text), .variable(name)]
                    text = ""
                    continue
                } else {
                    text.append(character)
                }
                advance()
            }
            // Never closed: only this line is lost, not the rest of the file.
            (position, line) = start
            return nil
        }

        private func escaped() -> String {
            switch current {
            case "n": "\n"
            case "r": "\r"
            case "t": "\t"
            case "\"", "\\", "$", "'": current.map(String.init) ?? ""
            case let other: "\\" + (other.map(String.init) ?? "")
            }
        }

        private mutating func bare() -> [Part]? {
            var parts: [Part] = []
            var text = ""
            while let character = current, character != "\n" {
                if character == "#", text.isEmpty && parts.isEmpty || text.last == " " || text.last == "\t" {
                    skipLine()
                    break
                }
                if character == "$", let name = variable() {
                    parts += [.text(text), .variable(name)]
                    text = ""
                    continue
                }
                text.append(character)
                advance()
            }
            while text.last == " " || text.last == "\t" { text.removeLast() }
            return parts + [.text(text)]
        }

        /// The name after a dollar sign, which is passed over; nil, and nothing passed, when it is a plain dollar sign.
        private mutating func variable() -> String? {
            let start = position
            advance()
            let isBraced = current == "{"
            if isBraced { advance() }
            var name = ""
            while let character = current, isNameCharacter(character) {
                name.append(character)
                advance()
            }
            if isBraced, current == "}" {
                advance()
                if !name.isEmpty { return name }
            } else if !isBraced, let first = name.first, !first.isNumber {
                return name
            }
            position = start
            return nil
        }
    }
}
