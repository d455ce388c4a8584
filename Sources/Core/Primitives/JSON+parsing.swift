// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// Parses one JSON text strictly after RFC 8259: no comments, no trailing commas, no byte order mark, valid UTF-8,
    /// no half surrogate pairs, nothing but white space around the value.
    ///
    /// - Parameters:
    ///   - bytes: the text in UTF-8.
    ///   - maxDepth: how deep arrays and objects may nest; a bound on the stack a hostile text can use.
    package init(parsing bytes: some Collection<UInt8>, maxDepth: Int = 64) throws(JSONError) {
        let parsed = bytes.withContiguousStorageIfAvailable { buffer in
            Result { () throws(JSONError) in try JSON(parsing: UnsafeRawBufferPointer(buffer), maxDepth: maxDepth) }
        }
        if let parsed {
            self = try parsed.get()
        } else {
            self = try JSON(parsing: Array(bytes), maxDepth: maxDepth)
        }
    }

    /// Parses the UTF-8 of a text; see ``init(parsing:maxDepth:)``.
    package init(parsing text: String, maxDepth: Int = 64) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), maxDepth: maxDepth)
    }

    /// Parses bytes that are only lent; see ``init(parsing:maxDepth:)``.
    package init(parsing bytes: UnsafeRawBufferPointer, maxDepth: Int = 64) throws(JSONError) {
        var parser = JSONParser(bytes: bytes, maxDepth: maxDepth)
        self = try parser.parseDocument()
    }
}

/// A recursive-descent parser over lent bytes; its depth is bounded by `maxDepth`.
private struct JSONParser {
    private let bytes: UnsafeRawBufferPointer
    private let maxDepth: Int
    private var position = 0

    init(bytes: UnsafeRawBufferPointer, maxDepth: Int) {
        self.bytes = bytes
        self.maxDepth = maxDepth
    }

    mutating func parseDocument() throws(JSONError) -> JSON {
        let value = try parseValue(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw error(.trailingBytes) }
        return value
    }

    private mutating func parseValue(depth: Int) throws(JSONError) -> JSON {
        skipWhitespace()
        switch try peek() {
        case UInt8(ascii: "{"): return try parseObject(depth: depth + 1)
        case UInt8(ascii: "["): return try parseArray(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
        case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
        case UInt8(ascii: "n"): return try parseWord("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
        case let byte: throw error(.unexpectedByte(byte))
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONError) -> JSON {
        try enter(depth)
        var members = JSONObject()
        skipWhitespace()
        if try take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipWhitespace()
            guard try peek() == UInt8(ascii: "\"") else { throw error(.unexpectedByte(bytes[position])) }
            let name = try parseString()
            skipWhitespace()
            guard try take(UInt8(ascii: ":")) else { throw error(.unexpectedByte(bytes[position])) }
            members[name] = try parseValue(depth: depth)
            skipWhitespace()
            if try take(UInt8(ascii: "}")) { return .object(members) }
            guard try take(UInt8(ascii: ",")) else { throw error(.unexpectedByte(bytes[position])) }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONError) -> JSON {
        try enter(depth)
        var values: [JSON] = []
        skipWhitespace()
        if try take(UInt8(ascii: "]")) { return .array(values) }
        while true {
            values.append(try parseValue(depth: depth))
            skipWhitespace()
            if try take(UInt8(ascii: "]")) { return .array(values) }
            guard try take(UInt8(ascii: ",")) else { throw error(.unexpectedByte(bytes[position])) }
        }
    }

    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth <= maxDepth else { throw error(.tooDeep(maxDepth: maxDepth)) }
        position += 1
    }

    private mutating func parseWord(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        for offset in 0..<word.utf8CodeUnitCount {
            let byte = try peek()
            guard byte == word.utf8Start[offset] else { throw error(.unexpectedByte(byte)) }
            position += 1
        }
        return value
    }

    // MARK: Numbers

    private mutating func parseNumber() throws(JSONError) -> JSON {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        if isAt(UInt8(ascii: "0")) {
            position += 1
        } else {
            try takeDigits()
        }
        if isAt(UInt8(ascii: ".")) {
            position += 1
            try takeDigits()
        }
        if isAt(UInt8(ascii: "e")) || isAt(UInt8(ascii: "E")) {
            position += 1
            if isAt(UInt8(ascii: "+")) || isAt(UInt8(ascii: "-")) { position += 1 }
            try takeDigits()
        }
        // A digit here can only follow a leading zero.
        if position < bytes.count, isDigit(bytes[position]) { throw error(.invalidNumber) }
        return .number(String(decoding: bytes[start..<position], as: UTF8.self))
    }

    private mutating func takeDigits() throws(JSONError) {
        guard position < bytes.count else { throw error(.unexpectedEnd) }
        guard isDigit(bytes[position]) else { throw error(.invalidNumber) }
        while position < bytes.count, isDigit(bytes[position]) { position += 1 }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    // MARK: Strings

    private mutating func parseString() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                let text = try decode(start..<position)
                position += 1
                return text
            case UInt8(ascii: "\\"):
                return try parseEscapedString(from: start)
            case 0..<0x20:
                throw error(.controlCharacterInString)
            default:
                position += 1
            }
        }
        throw error(.unexpectedEnd)
    }

    /// The slow path: `position` is at the first backslash.
    private mutating func parseEscapedString(from start: Int) throws(JSONError) -> String {
        var text = try decode(start..<position)
        var plain = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                text += try decode(plain..<position)
                position += 1
                return text
            case UInt8(ascii: "\\"):
                text += try decode(plain..<position)
                text.unicodeScalars.append(try parseEscape())
                plain = position
            case 0..<0x20:
                throw error(.controlCharacterInString)
            default:
                position += 1
            }
        }
        throw error(.unexpectedEnd)
    }

    private mutating func parseEscape() throws(JSONError) -> UnicodeScalar {
        let start = position
        position += 1
        let letter = try peek()
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return UnicodeScalar(letter)
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try parseUnicodeEscape(startingAt: start)
        default: throw JSONError(reason: .invalidEscape, offset: start)
        }
    }

    private mutating func parseUnicodeEscape(startingAt start: Int) throws(JSONError) -> UnicodeScalar {
        let unit = try parseCodeUnit()
        if let scalar = UnicodeScalar(unit) { return scalar }
        guard unit < 0xdc00, isAt(UInt8(ascii: "\\")), position + 1 < bytes.count,
            bytes[position + 1] == UInt8(ascii: "u")
        else { throw JSONError(reason: .loneSurrogate, offset: start) }
        position += 2
        let second = try parseCodeUnit()
        guard (0xdc00...0xdfff).contains(second),
            let scalar = UnicodeScalar(0x10000 + (UInt32(unit) - 0xd800) << 10 + (UInt32(second) - 0xdc00))
        else { throw JSONError(reason: .loneSurrogate, offset: start) }
        return scalar
    }

    private mutating func parseCodeUnit() throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let digit = Hex.value(of: try peek()) else { throw error(.invalidEscape) }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }

    private func decode(_ range: Range<Int>) throws(JSONError) -> String {
        guard let text = String(validating: bytes[range], as: UTF8.self) else {
            throw JSONError(reason: .invalidUTF8, offset: range.lowerBound)
        }
        return text
    }

    // MARK: Bytes

    private mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }

    private func peek() throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw error(.unexpectedEnd) }
        return bytes[position]
    }

    private func isAt(_ byte: UInt8) -> Bool {
        position < bytes.count && bytes[position] == byte
    }

    /// Moves past `byte` if it is next; the end of the text is an error.
    private mutating func take(_ byte: UInt8) throws(JSONError) -> Bool {
        guard try peek() == byte else { return false }
        position += 1
        return true
    }

    private func error(_ reason: JSONError.Reason) -> JSONError {
        JSONError(reason: reason, offset: position)
    }
}
