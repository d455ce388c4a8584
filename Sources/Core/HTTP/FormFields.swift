// SPDX-License-Identifier: Apache-2.0

/// The name and value pairs of a query or of an `application/x-www-form-urlencoded` body, decoded, in order.
package struct FormFields: Sendable {
    /// The pairs in the order they were sent.
    package let all: [(name: String, value: String)]

    /// Decodes `a=1&b=2`; `+` is a space. Pairs that are not UTF-8 once decoded are left out, as browsers never send them.
    package init(query: String) {
        var pairs: [(name: String, value: String)] = []
        for part in query.utf8.split(separator: UInt8(ascii: "&")) {
            let mark = part.firstIndex(of: UInt8(ascii: "="))
            let name = percentDecode(part[..<(mark ?? part.endIndex)], plusIsSpace: true)
            let value = mark.map { percentDecode(part[part.index(after: $0)...], plusIsSpace: true) } ?? ""
            if let name, let value { pairs.append((name, value)) }
        }
        all = pairs
    }

    /// The first value under a name.
    package func first(_ name: String) -> String? { all.first { $0.name == name }?.value }
}

/// The text behind percent-encoding (RFC 3986 section 2.1); nil when a `%` is not followed by two hexadecimal digits or the
/// result is not UTF-8.
package func percentDecode(_ text: String) -> String? { percentDecode(text.utf8[...], plusIsSpace: false) }

func percentDecode(_ bytes: Substring.UTF8View.SubSequence, plusIsSpace: Bool) -> String? {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var position = bytes.startIndex
    while position < bytes.endIndex {
        var byte = bytes[position]
        position = bytes.index(after: position)
        if byte == UInt8(ascii: "%") {
            guard let high = hexDigit(in: bytes, at: &position), let low = hexDigit(in: bytes, at: &position) else {
                return nil
            }
            byte = high << 4 | low
        } else if plusIsSpace, byte == UInt8(ascii: "+") {
            byte = UInt8(ascii: " ")
        }
        decoded.append(byte)
    }
    return String(validating: decoded, as: UTF8.self)
}

private func hexDigit(in bytes: Substring.UTF8View.SubSequence, at position: inout Substring.Index) -> UInt8? {
    guard position < bytes.endIndex else { return nil }
    defer { position = bytes.index(after: position) }
    return hexValue(bytes[position])
}

/// The value of one hexadecimal digit.
@inline(__always)
func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- 48
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte &- 87
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte &- 55
    default: nil
    }
}
