// SPDX-License-Identifier: Apache-2.0

/// A value of CBOR (RFC 8949), read from the form that authenticators write (CTAP2's canonical one): definite lengths, no tags, no
/// floating-point numbers.
package enum CBOR: Sendable, Hashable {
    case integer(Int64)
    case bytes([UInt8])
    case text(String)
    case array([CBOR])
    case map([CBOR: CBOR])
    case bool(Bool)
    case null

    /// Why bytes are no such value.
    package enum ParsingError: Error, Sendable, Hashable {
        case endedEarly
        /// Too deep, too large a number, a tag, a float, an indefinite length, a key twice, text that is not UTF-8.
        case notSupported
        /// Something follows the value.
        case trailingBytes
    }

    /// Reads the one value that the bytes hold.
    package init(parsing bytes: [UInt8], maxDepth: Int = 8) throws(ParsingError) {
        var rest = bytes[...]
        self = try CBOR(readingFrom: &rest, maxDepth: maxDepth)
        guard rest.isEmpty else { throw .trailingBytes }
    }

    /// Reads the value that the bytes begin with, and leaves what follows.
    package init(readingFrom bytes: inout ArraySlice<UInt8>, maxDepth: Int = 8) throws(ParsingError) {
        guard maxDepth > 0 else { throw .notSupported }
        let first = try Self.take(1, &bytes)[0]
        let kind = first >> 5
        if kind == 7 {
            switch first & 0x1f {
            case 20: self = .bool(false)
            case 21: self = .bool(true)
            case 22: self = .null
            default: throw .notSupported
            }
            return
        }
        let argument = try Self.argument(first & 0x1f, &bytes)
        switch kind {
        case 0:
            guard let value = Int64(exactly: argument) else { throw .notSupported }
            self = .integer(value)
        case 1:
            guard let value = Int64(exactly: argument) else { throw .notSupported }
            self = .integer(-1 - value)
        case 2: self = .bytes(try Self.take(argument, &bytes))
        case 3:
            guard let text = String(validating: try Self.take(argument, &bytes), as: UTF8.self) else {
                throw .notSupported
            }
            self = .text(text)
        case 4:
            // Each element takes a byte at least, so that a count cannot ask for more memory than was sent.
            guard argument <= bytes.count else { throw .endedEarly }
            var elements: [CBOR] = []
            for _ in 0..<argument { elements.append(try CBOR(readingFrom: &bytes, maxDepth: maxDepth - 1)) }
            self = .array(elements)
        case 5:
            guard argument <= bytes.count / 2 else { throw .endedEarly }
            var members: [CBOR: CBOR] = [:]
            for _ in 0..<argument {
                let key = try CBOR(readingFrom: &bytes, maxDepth: maxDepth - 1)
                let value = try CBOR(readingFrom: &bytes, maxDepth: maxDepth - 1)
                guard members.updateValue(value, forKey: key) == nil else { throw .notSupported }
            }
            self = .map(members)
        default: throw .notSupported
        }
    }

    private static func take(_ count: UInt64, _ bytes: inout ArraySlice<UInt8>) throws(ParsingError) -> [UInt8] {
        guard count <= bytes.count else { throw .endedEarly }
        let taken = Array(bytes.prefix(Int(count)))
        bytes = bytes.dropFirst(Int(count))
        return taken
    }

    private static func argument(_ information: UInt8, _ bytes: inout ArraySlice<UInt8>) throws(ParsingError) -> UInt64
    {
        switch information {
        case 0..<24: UInt64(information)
        case 24...27: try take(1 << UInt64(information - 24), &bytes).reduce(0) { $0 << 8 | UInt64($1) }
        default: throw .notSupported
        }
    }

    // MARK: Reading

    package subscript(key: CBOR) -> CBOR? {
        if case .map(let members) = self { members[key] } else { nil }
    }
    package subscript(name: String) -> CBOR? { self[.text(name)] }
    package subscript(number: Int64) -> CBOR? { self[.integer(number)] }

    package var bytesValue: [UInt8]? { if case .bytes(let bytes) = self { bytes } else { nil } }
    package var integerValue: Int64? { if case .integer(let value) = self { value } else { nil } }
    package var textValue: String? { if case .text(let text) = self { text } else { nil } }
}
