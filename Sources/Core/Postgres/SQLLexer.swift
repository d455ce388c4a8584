// SPDX-License-Identifier: Apache-2.0

/// Cuts SQL into tokens by the lexical rules of PostgreSQL (section 4.1 of its manual) with standard-conforming strings on.
///
/// It never fails: what is not closed reaches to the end, and the server says what is wrong with it.
struct SQLLexer {
    /// What a token is; its bytes are `SQLLexer.Token.range` of the text.
    enum Kind: Equatable {
        case space
        case comment
        /// A string constant of any form: quoted, escaped (`E''`), or between dollar tags.
        case string
        case quotedIdentifier
        /// A key word or a plain identifier.
        case word
        case number
        /// `$n`, a bind of the extended protocol.
        case bind(Int)
        /// Any other single byte.
        case symbol(UInt8)
    }

    struct Token {
        var kind: Kind
        var range: Range<Int>
    }

    let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    init(_ text: String) { self.init(Array(text.utf8)) }

    /// The next token, or nil at the end.
    mutating func next() -> Token? {
        guard position < bytes.count else { return nil }
        let start = position
        let kind = scan()
        return Token(kind: kind, range: start..<position)
    }

    /// The next token that is neither space nor a comment.
    mutating func nextMeaningful() -> Token? {
        while let token = next() {
            if token.kind != .space, token.kind != .comment { return token }
        }
        return nil
    }

    /// Whether the word at `token` is `word`, which is given in lower case.
    func isWord(_ token: Token, _ word: StaticString) -> Bool {
        guard token.kind == .word, token.range.count == word.utf8CodeUnitCount else { return false }
        for (offset, index) in token.range.enumerated() where bytes[index].lowercasedASCII != word.utf8Start[offset] {
            return false
        }
        return true
    }

    /// The text of a token in lower case.
    func lowercased(_ token: Token) -> String {
        String(decoding: bytes[token.range].map(\.lowercasedASCII), as: UTF8.self)
    }

    private mutating func scan() -> Kind {
        let byte = bytes[position]
        switch byte {
        case _ where byte.isSQLSpace:
            advance { $0.isSQLSpace }
            return .space
        case UInt8(ascii: "-") where peek(1) == UInt8(ascii: "-"):
            advance { $0 != UInt8(ascii: "\n") }
            return .comment
        case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"):
            scanBlockComment()
            return .comment
        case UInt8(ascii: "'"):
            scanQuoted(UInt8(ascii: "'"))
            return .string
        case UInt8(ascii: "\""):
            scanQuoted(UInt8(ascii: "\""))
            return .quotedIdentifier
        case UInt8(ascii: "$"):
            return scanDollar()
        case _ where byte.isSQLWordStart:
            return scanWord()
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            // Also takes 1.5e3, 0xFF and 1_000; what follows a number never changes where a statement ends.
            advance { $0.isSQLWordPart && $0 != UInt8(ascii: "$") || $0 == UInt8(ascii: ".") }
            return .number
        default:
            position += 1
            return .symbol(byte)
        }
    }

    private func peek(_ offset: Int) -> UInt8? {
        position + offset < bytes.count ? bytes[position + offset] : nil
    }

    private mutating func advance(while condition: (UInt8) -> Bool) {
        while position < bytes.count, condition(bytes[position]) { position += 1 }
    }

    /// Comments nest, as the SQL standard has it and C has not.
    private mutating func scanBlockComment() {
        var depth = 0
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                position += 2
            } else if bytes[position] == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
    }

    /// A doubled quote needs no care: it reads as two neighbouring constants, which end at the same place.
    private mutating func scanQuoted(_ quote: UInt8) {
        position += 1
        advance { $0 != quote }
        position = min(position + 1, bytes.count)
    }

    private mutating func scanWord() -> Kind {
        let start = position
        advance(while: \.isSQLWordPart)
        guard position - start == 1, bytes[start].lowercasedASCII == UInt8(ascii: "e"), peek(0) == UInt8(ascii: "'")
        else { return .word }
        scanEscaped()
        return .string
    }

    /// `E'...'`, where a backslash takes the next byte with it. The constant goes on after white space with a line break and
    /// another quote, still under the rules of escapes.
    private mutating func scanEscaped() {
        repeat {
            position += 1
            while position < bytes.count, bytes[position] != UInt8(ascii: "'") {
                position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
            }
            position = min(position + 1, bytes.count)
        } while continuesConstant()
    }

    private mutating func continuesConstant() -> Bool {
        if peek(0) == UInt8(ascii: "'") { return true }
        var ahead = position
        var sawLineBreak = false
        while ahead < bytes.count, bytes[ahead].isSQLSpace {
            sawLineBreak = sawLineBreak || bytes[ahead] == UInt8(ascii: "\n") || bytes[ahead] == UInt8(ascii: "\r")
            ahead += 1
        }
        guard sawLineBreak, ahead < bytes.count, bytes[ahead] == UInt8(ascii: "'") else { return false }
        position = ahead
        return true
    }

    private mutating func scanDollar() -> Kind {
        let start = position
        position += 1
        if let digit = peek(0), digit.isDigit {
            advance(while: \.isDigit)
            return .bind(Int(String(decoding: bytes[(start + 1)..<position], as: UTF8.self)) ?? 0)
        }
        if let first = peek(0), first.isSQLWordStart {
            advance { $0.isSQLWordPart && $0 != UInt8(ascii: "$") }
        }
        guard peek(0) == UInt8(ascii: "$") else {
            position = start + 1
            return .symbol(UInt8(ascii: "$"))
        }
        position += 1
        let tag = bytes[start..<position]
        while position < bytes.count {
            if bytes[position] == UInt8(ascii: "$"), bytes[position...].starts(with: tag) {
                position += tag.count
                return .string
            }
            position += 1
        }
        return .string
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }

    var isSQLSpace: Bool { self == 0x20 || (self >= 0x09 && self <= 0x0D) }

    /// Letters, the underscore, and every byte of a character beyond ASCII.
    fileprivate var isSQLWordStart: Bool {
        let lower = lowercasedASCII
        return (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")) || self == UInt8(ascii: "_") || self >= 0x80
    }

    fileprivate var isSQLWordPart: Bool { isSQLWordStart || isDigit || self == UInt8(ascii: "$") }

    var lowercasedASCII: UInt8 { self >= UInt8(ascii: "A") && self <= UInt8(ascii: "Z") ? self | 0x20 : self }
}
