// SPDX-License-Identifier: Apache-2.0

/// A text that a pattern of a condition matches, as far as the usual forms of patterns go.
package enum PatternSample {
    /// A text for `like`: nil where the text has no wildcard.
    package static func like(_ pattern: String, filledWith filling: String) -> String? {
        guard pattern.contains(where: { $0 == "%" || $0 == "_" }) else { return nil }
        return pattern.reduce(into: "") { text, character in
            switch character {
            case "%": text += filling
            case "_": text += "x"
            case "\\": break
            default: text.append(character)
            }
        }
    }

    /// A text for a regular expression: literals, classes, groups, alternatives and repetitions; nil for what is none, or has more in it.
    ///
    /// - Parameter seed: other texts come of other seeds, where the expression leaves a choice.
    package static func regularExpression(_ pattern: String, seed: Int) -> String? {
        guard pattern.contains(where: { "^$[(\\*+?{.".contains($0) }) else { return nil }
        var reader = Reader(rest: pattern[...], seed: seed)
        guard let text = reader.alternatives(), reader.rest.isEmpty else { return nil }
        return text
    }

    private struct Reader {
        var rest: Substring
        var seed: Int
        private static let mostRepeats = 256

        init(rest: Substring, seed: Int) {
            self.rest = rest
            self.seed = seed
        }

        /// The next of a row of numbers that depends on the seed.
        private mutating func next(below count: Int) -> Int {
            seed = (seed &* 6_364_136_223_846_793_005) &+ 1_442_695_040_888_963_407
            return Int((UInt(bitPattern: seed) >> 33) % UInt(max(count, 1)))
        }

        /// The first of the alternatives; the others are read and dropped.
        mutating func alternatives() -> String? {
            guard let first = sequence() else { return nil }
            while rest.first == "|" {
                rest.removeFirst()
                guard sequence() != nil else { return nil }
            }
            return first
        }

        private mutating func sequence() -> String? {
            var text = ""
            while let character = rest.first, character != "|", character != ")" {
                guard let part = repeated() else { return nil }
                text += part
            }
            return text
        }

        private mutating func repeated() -> String? {
            let start = rest
            guard let first = atom(), let count = count() else { return nil }
            if count == 0 { return "" }
            guard count > 1 else { return first }
            // Each time anew, so that classes give different characters.
            let end = rest
            var text = ""
            for _ in 0..<count {
                rest = start
                guard let part = atom() else { return nil }
                text += part
            }
            rest = end
            return text
        }

        /// How often what was read is repeated.
        private mutating func count() -> Int? {
            var count = 1
            switch rest.first {
            case "*", "+": count = 6
            case "?": count = 1
            case "{":
                let inner = rest.dropFirst().prefix { $0 != "}" }
                let bounds = inner.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
                guard let least = bounds.first ?? nil, least <= Self.mostRepeats else { return nil }
                rest = rest.dropFirst(inner.count + 1)
                count = bounds.count == 1 ? least : max(least, min(6, bounds[1] ?? 6))
            default: return 1
            }
            guard !rest.isEmpty else { return nil }
            rest.removeFirst()
            // Not greedy.
            if rest.first == "?" { rest.removeFirst() }
            return count
        }

        private mutating func atom() -> String? {
            guard let character = rest.popFirst() else { return nil }
            switch character {
            case "^", "$": return ""
            case ".": return pick(Self.letters + Self.digits)
            case "[": return characterClass()
            case "(":
                if rest.first == "?" {
                    guard rest.dropFirst().first == ":" else { return nil }
                    rest = rest.dropFirst(2)
                }
                let inner = alternatives()
                guard rest.popFirst() == ")" else { return nil }
                return inner
            case "\\": return escape()
            case "*", "+", "?", "{": return nil
            default: return String(character)
            }
        }

        private mutating func escape() -> String? {
            switch rest.popFirst() {
            case "d": pick(Self.digits)
            case "w": pick(Self.letters + Self.digits)
            case "s": " "
            case "m", "M", "y", "A", "Z": ""
            case let other?: other.isLetter || other.isNumber ? nil : String(other)
            case nil: nil
            }
        }

        private mutating func characterClass() -> String? {
            var isNegated = false
            if rest.first == "^" {
                isNegated = true
                rest.removeFirst()
            }
            var members: [Character] = []
            var isFirst = true
            while let character = rest.popFirst(), character != "]" || isFirst {
                isFirst = false
                if character == "[", rest.first == ":" {
                    let name = rest.dropFirst().prefix { $0 != ":" }
                    rest = rest.dropFirst(name.count + 3)
                    members += Self.named(String(name))
                } else if character == "\\" {
                    guard let escaped = rest.popFirst() else { return nil }
                    members += escaped == "d" ? Self.digits : escaped == "w" ? Self.letters + Self.digits : [escaped]
                } else if rest.first == "-", let end = rest.dropFirst().first, end != "]",
                    let from = character.asciiValue, let to = end.asciiValue, from <= to
                {
                    rest = rest.dropFirst(2)
                    members += (from...to).map { Character(Unicode.Scalar($0)) }
                } else {
                    members.append(character)
                }
            }
            if isNegated { members = (Self.letters + Self.digits).filter { !members.contains($0) } }
            return pick(members)
        }

        private mutating func pick(_ members: [Character]) -> String? {
            // Letters and digits before signs, which may not follow each other everywhere.
            let plain = members.filter { $0.isLetter || $0.isNumber }
            let usable = plain.isEmpty ? members : plain
            return usable.isEmpty ? nil : String(usable[next(below: usable.count)])
        }

        private static let letters: [Character] = Array("abcdefghijklmnopqrstuvwxyz")
        private static let digits: [Character] = Array("0123456789")

        private static func named(_ name: String) -> [Character] {
            switch name {
            case "digit": digits
            case "alpha", "lower": letters
            case "upper": Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
            case "xdigit": Array("0123456789abcdef")
            case "space": [" "]
            default: letters + digits
            }
        }
    }
}
