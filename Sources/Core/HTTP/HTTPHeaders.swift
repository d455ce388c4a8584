// SPDX-License-Identifier: Apache-2.0

/// Header fields in order; names compare without case (RFC 9110 section 5.1).
///
/// The fields of a received request stay in the bytes they came in and become strings when asked for.
package struct HTTPHeaders: Sendable, ExpressibleByDictionaryLiteral {
    private(set) var received: RequestHead?
    private var added: [(name: String, value: String)] = []

    /// No fields.
    package init() {}

    package init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { append(name, value) }
    }

    init(received: RequestHead) { self.received = received }

    /// The field's value, repeated fields joined by ", "; nil when absent.
    package subscript(_ name: String) -> String? {
        if added.isEmpty, let received, !received.repeats(name) { return received.value(named: name) }
        let all = values(name)
        guard let first = all.first else { return nil }
        return all.count == 1 ? first : all.joined(separator: ", ")
    }

    /// Each value of a field, in order.
    package func values(_ name: String) -> [String] {
        var found = received?.values(named: name) ?? []
        for field in added where Self.equalNames(field.name, name) { found.append(field.value) }
        return found
    }

    /// Whether the field is there.
    package func contains(_ name: String) -> Bool {
        received?.hasField(named: name) == true || added.contains { Self.equalNames($0.name, name) }
    }

    /// Adds a field behind the others. Control characters in the value become spaces, so that no value can end the
    /// field and begin another.
    package mutating func append(_ name: String, _ value: String) {
        added.append((name, Self.cleaned(value)))
    }

    /// Replaces all fields of that name by one.
    package mutating func set(_ name: String, _ value: String) {
        remove(name)
        append(name, value)
    }

    /// Drops the fields of that name that were added.
    package mutating func remove(_ name: String) {
        added.removeAll { Self.equalNames($0.name, name) }
    }

    /// All fields as names and values, in order.
    package var fields: [(name: String, value: String)] { (received?.allFields() ?? []) + added }

    /// The fields added, without making strings of received ones: what a response writes.
    var addedFields: [(name: String, value: String)] { added }

    private static func cleaned(_ value: String) -> String {
        let isClean = value.utf8.allSatisfy { ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7F }
        guard !isClean else { return value }
        return String(
            decoding: value.utf8.map { ($0 >= 0x20 || $0 == 0x09) && $0 != 0x7F ? $0 : 0x20 }, as: UTF8.self)
    }

    /// Whether a field of a response is written. A name that is no token could end the head and begin another response,
    /// and the fields that say where the message ends, or speak of the connection, are the server's own: two answers to
    /// either question are how responses are split. A protocol that is switched to names itself.
    static func mayBeWritten(_ name: String, _ status: HTTPStatus) -> Bool {
        var name = name
        return name.withUTF8 { bytes in
            guard !bytes.isEmpty else { return false }
            for byte in bytes where !ASCII.isTokenByte(byte) { return false }
            return switch bytes.count {
            case 4: !isName(bytes, "date")
            case 7: !isName(bytes, "trailer") && (status.code == 101 || !isName(bytes, "upgrade"))
            case 10: !isName(bytes, "keep-alive") && (status.code == 101 || !isName(bytes, "connection"))
            case 12: !isName(bytes, "x-request-id")
            case 14: !isName(bytes, "content-length")
            case 17: !isName(bytes, "transfer-encoding")
            default: true
            }
        }
    }

    /// - Parameter name: in lower case and as long as `bytes`.
    private static func isName(_ bytes: UnsafeBufferPointer<UInt8>, _ name: StaticString) -> Bool {
        for position in 0..<bytes.count where ASCII.lowercased(bytes[position]) != name.utf8Start[position] {
            return false
        }
        return true
    }

    static func equalNames(_ left: String, _ right: String) -> Bool {
        guard left.utf8.count == right.utf8.count else { return false }
        return zip(left.utf8, right.utf8).allSatisfy { $0 == $1 || ASCII.lowercased($0) == ASCII.lowercased($1) }
    }
}

/// Byte tests of the HTTP grammar.
enum ASCII {
    @inline(__always)
    static func lowercased(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }

    /// `tchar` of RFC 9110 section 5.6.2.
    @inline(__always)
    static func isTokenByte(_ byte: UInt8) -> Bool {
        let low: UInt64 = 0x03FF_6CFA_0000_0000
        let high: UInt64 = 0x57FF_FFFF_C7FF_FFFE
        if byte < 64 { return (low >> UInt64(byte)) & 1 != 0 }
        if byte < 128 { return (high >> UInt64(byte &- 64)) & 1 != 0 }
        return false
    }

    /// What may stand in a field value: visible characters, space, tab and bytes above ASCII.
    @inline(__always)
    static func isFieldByte(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }
}
