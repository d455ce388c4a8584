// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Walks over JSON text without making values of it: vectors become numbers, payloads stay the bytes they are.
///
/// A body of points is megabytes of numbers; as `JSON` values they would take most of an upsert's time. Bytes that are passed
/// on unread are checked by PostgreSQL.
struct BodyScanner {
    let bytes: UnsafeRawBufferPointer
    var position: Int
    let end: Int

    /// - Parameter range: the part to walk over; all when nil.
    init(_ bytes: UnsafeRawBufferPointer, range: Range<Int>? = nil) {
        self.bytes = bytes
        position = range?.lowerBound ?? 0
        end = range?.upperBound ?? bytes.count
    }

    func error(_ reason: String) -> VectorsError { VectorsError(.format, "\(reason) at byte \(position)") }

    mutating func skipWhitespace() {
        while position < end {
            switch bytes[position] {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): position += 1
            default: return
            }
        }
    }

    /// The next byte that is no white space.
    mutating func peek() throws -> UInt8 {
        skipWhitespace()
        guard position < end else { throw error("unexpected end of JSON") }
        return bytes[position]
    }

    /// Moves past `byte` if it is next.
    mutating func take(_ byte: UInt8) throws -> Bool {
        guard try peek() == byte else { return false }
        position += 1
        return true
    }

    mutating func expect(_ byte: UInt8) throws {
        guard try take(byte) else { throw error("expected `\(Character(UnicodeScalar(byte)))`") }
    }

    /// Nothing but white space may follow.
    mutating func expectEnd() throws {
        skipWhitespace()
        guard position == end else { throw error("unexpected text behind the JSON value") }
    }

    // MARK: Structures

    /// Calls `body` with each member's name; it must read the value.
    mutating func members(_ body: (inout BodyScanner, String) throws -> Void) throws {
        try expect(UInt8(ascii: "{"))
        if try take(UInt8(ascii: "}")) { return }
        repeat {
            let name = try string()
            try expect(UInt8(ascii: ":"))
            try body(&self, name)
        } while try take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Calls `body` at each element with its number; it must read it.
    mutating func elements(_ body: (inout BodyScanner, Int) throws -> Void) throws {
        try expect(UInt8(ascii: "["))
        if try take(UInt8(ascii: "]")) { return }
        var index = 0
        repeat {
            try body(&self, index)
            index += 1
        } while try take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
    }

    /// Moves past a null if one is next.
    mutating func takeNull() throws -> Bool {
        guard try peek() == UInt8(ascii: "n") else { return false }
        guard position + 4 <= end, bytes[position..<(position + 4)].elementsEqual("null".utf8) else {
            throw error("expected a value")
        }
        position += 4
        return true
    }

    // MARK: Values

    mutating func string() throws -> String {
        guard try peek() == UInt8(ascii: "\"") else { throw error("expected a string") }
        let start = position
        position += 1
        var isPlain = true
        var union: UInt8 = 0
        while position < end, bytes[position] != UInt8(ascii: "\"") {
            if bytes[position] == UInt8(ascii: "\\") {
                isPlain = false
                position += 1
            } else if bytes[position] < 0x20 {
                throw error("unescaped control character in a string")
            } else {
                union |= bytes[position]
            }
            position += 1
        }
        guard position < end else { throw error("unexpected end of JSON") }
        position += 1
        if isPlain {
            let text = UnsafeRawBufferPointer(rebasing: bytes[(start + 1)..<(position - 1)])
            // ASCII, as most names are, needs no check.
            if union < 0x80 { return String(decoding: text, as: UTF8.self) }
            guard let text = String(validating: text, as: UTF8.self) else { throw error("invalid UTF-8 in a string") }
            return text
        }
        guard case .string(let text) = try json(start..<position) else { throw error("expected a string") }
        return text
    }

    /// The value as JSON, read in full.
    mutating func value() throws -> JSON { try json(try skipValue()) }

    func json(_ range: Range<Int>) throws -> JSON {
        do { return try JSON(parsing: UnsafeRawBufferPointer(rebasing: bytes[range])) } catch {
            throw VectorsError(.format, "\(error)")
        }
    }

    /// Moves past a value and returns where it stands. Brackets and strings are matched; what is between them is not read.
    ///
    /// - Parameter boundsNumbers: whether numbers that no double holds are refused, as a value has to be that is kept as it was
    ///   written: PostgreSQL keeps `1e100000`, and writes all of its digits whenever it is read.
    mutating func skipValue(boundsNumbers: Bool = false) throws -> Range<Int> {
        let first = try peek()
        let start = position
        switch first {
        case UInt8(ascii: "\""):
            try skipString()
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            var depth = 0
            repeat {
                guard position < end else { throw error("unexpected end of JSON") }
                switch bytes[position] {
                case UInt8(ascii: "\""):
                    try skipString()
                    continue
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
                case UInt8(ascii: "e") where boundsNumbers, UInt8(ascii: "E") where boundsNumbers:
                    try checkExponent(from: start)
                default: break
                }
                position += 1
            } while depth > 0
        default:
            while position < end {
                switch bytes[position] {
                case UInt8(ascii: ","), UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: " "), UInt8(ascii: "\n"),
                    UInt8(ascii: "\r"), UInt8(ascii: "\t"):
                    guard position > start else { throw error("expected a value") }
                    return start..<position
                default: position += 1
                }
            }
        }
        guard position > start else { throw error("expected a value") }
        return start..<position
    }

    /// Refuses the number whose exponent begins here when it is beyond a double, or so small that its zeros are long.
    private func checkExponent(from start: Int) throws {
        func isDigit(_ place: Int) -> Bool { bytes[place] &- UInt8(ascii: "0") < 10 }
        // The letter may be one of `true` and `false`.
        guard position > start, isDigit(position - 1) else { return }
        var first = position
        while first > start, isDigit(first - 1) || [0x2B, 0x2D, 0x2E].contains(bytes[first - 1]) { first -= 1 }
        var last = position + 1
        while last < end, isDigit(last) || [0x2B, 0x2D].contains(bytes[last]) { last += 1 }
        let exponent = Int(String(decoding: bytes[(position + 1)..<last], as: UTF8.self)) ?? -.max
        guard exponent >= -400,
            Double(String(decoding: bytes[first..<last], as: UTF8.self))?.isFinite == true
        else { throw error("number out of range") }
    }

    private mutating func skipString() throws {
        position += 1
        while position < end, bytes[position] != UInt8(ascii: "\"") {
            if bytes[position] == UInt8(ascii: "\\") { position += 1 }
            position += 1
        }
        guard position < end else { throw error("unexpected end of JSON") }
        position += 1
    }
}
