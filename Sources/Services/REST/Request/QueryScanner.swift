// SPDX-License-Identifier: Apache-2.0

/// Where and why a query parameter is not in the grammar.
struct QuerySyntaxError: Error, Sendable, Equatable {
    /// One-based, in Unicode scalars, as clients count.
    var column: Int
    /// For the client, for example `unexpected ")" expecting digit`.
    var details: String
}

/// Reads one query parameter byte by byte and remembers the furthest point where nothing matched.
///
/// A grammar rule either takes input and succeeds, or leaves the offset where it was; every refusal is noted with what was wanted there.
/// The error then names the furthest refusal, which is what a person would call the mistake, even where rules were tried and given up.
struct QueryScanner {
    private let bytes: [UInt8]
    private(set) var offset = 0
    private var furthest = 0
    private var wanted: [String] = []
    private var wantedEnd = false

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    var isAtEnd: Bool { offset == bytes.count }
    var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    /// Goes back to where an abandoned alternative began; what it noted stays.
    mutating func rewind(to offset: Int) {
        self.offset = offset
    }

    /// Notes that `label` was wanted here and not found.
    mutating func want(_ label: String) {
        note()
        if furthest == offset, !wanted.contains(label) { wanted.append(label) }
    }

    /// Notes that the end was wanted here.
    mutating func wantEnd() {
        note()
        if furthest == offset { wantedEnd = true }
    }

    private mutating func note() {
        if offset > furthest {
            furthest = offset
            wanted = []
            wantedEnd = false
        }
    }

    /// Takes one byte if it is `byte`; otherwise notes `label` (by default the byte in quotes).
    mutating func take(_ byte: UInt8, label: String? = nil) -> Bool {
        if next == byte {
            offset += 1
            return true
        }
        want(label ?? (byte == UInt8(ascii: "\"") ? #""\"""# : "\"\(Character(Unicode.Scalar(byte)))\""))
        return false
    }

    /// Takes the word if the input continues with it.
    mutating func take(word: StaticString, label: String? = nil) -> Bool {
        let count = word.utf8CodeUnitCount
        var matches = bytes.count - offset >= count
        if matches {
            word.withUTF8Buffer { buffer in
                for index in 0..<count where bytes[offset + index] != buffer[index] {
                    matches = false
                    return
                }
            }
        }
        if matches {
            offset += count
            return true
        }
        want(label ?? "\"\(word)\"")
        return false
    }

    /// Whether the input continues with the byte; takes and notes nothing.
    func isNext(_ byte: UInt8) -> Bool { next == byte }

    func byte(ahead distance: Int) -> UInt8? {
        offset + distance < bytes.count ? bytes[offset + distance] : nil
    }

    /// Takes bytes while the condition holds and returns them; may be empty.
    mutating func takeWhile(_ condition: (UInt8) -> Bool) -> String {
        let start = offset
        while offset < bytes.count, condition(bytes[offset]) { offset += 1 }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    /// Takes what is left.
    mutating func takeRest() -> String {
        defer { offset = bytes.count }
        return String(decoding: bytes[offset...], as: UTF8.self)
    }

    mutating func skipSpaces() {
        while let byte = next, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { offset += 1 }
    }

    /// The refusal at the furthest point reached.
    func refusal() -> QuerySyntaxError {
        // A continuation byte begins no scalar, so counting the others counts scalars.
        let column = bytes[..<furthest].count(where: { $0 & 0xC0 != 0x80 }) + 1
        let labels = wanted + (wantedEnd ? ["end of input"] : [])
        let found: String
        if furthest == bytes.count {
            found = "end of input"
        } else {
            let scalar = String(decoding: bytes[furthest...].prefix(4), as: UTF8.self).unicodeScalars.first
            let character = scalar.map { String(Character($0)) } ?? "?"
            let escaped = character == "\"" ? "\\\"" : character
            found = wantedEnd ? "'\(character)'" : "\"\(escaped)\""
        }
        let expecting: String
        switch labels.count {
        case 0: expecting = ""
        case 1: expecting = " expecting \(labels[0])"
        default: expecting = " expecting \(labels.dropLast().joined(separator: ", ")) or \(labels[labels.count - 1])"
        }
        return QuerySyntaxError(column: column, details: "unexpected \(found)\(expecting)")
    }
}
