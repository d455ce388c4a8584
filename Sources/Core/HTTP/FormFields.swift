// SPDX-License-Identifier: Apache-2.0

/// The name and value pairs of a query or of an `application/x-www-form-urlencoded` body, decoded, in order.
package struct FormFields: Sendable {
    /// The pairs in the order they were sent.
    package let all: [(name: String, value: String)]

    /// Whether every pair could be decoded. Where a pair narrows what the rest does, such as a filter of rows to delete, one
    /// that was left out must refuse the request.
    package let isComplete: Bool

    /// Decodes `a=1&b=2`; `+` is a space. Pairs that are not UTF-8 once decoded are left out, as browsers never send them.
    package init(query: String) {
        var query = query
        (all, isComplete) = query.withUTF8 { bytes in
            var pairs: [(name: String, value: String)] = []
            var isComplete = true
            for part in UnsafeRawBufferPointer(bytes).split(separator: UInt8(ascii: "&")) {
                let mark = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
                let name = percentDecode(UnsafeRawBufferPointer(rebasing: part[..<mark]), plusIsSpace: true)
                let value =
                    mark == part.endIndex
                    ? "" : percentDecode(UnsafeRawBufferPointer(rebasing: part[(mark + 1)...]), plusIsSpace: true)
                if let name, let value { pairs.append((name, value)) } else { isComplete = false }
            }
            return (pairs, isComplete)
        }
    }

    /// The first value under a name.
    package func first(_ name: String) -> String? { all.first { $0.name == name }?.value }

    /// Pairs as `a=1&b=2`, with everything but unreserved characters encoded.
    package static func encode(_ pairs: [(name: String, value: String)]) -> String {
        pairs.map { encode($0.name) + "=" + encode($0.value) }.joined(separator: "&")
    }

    private static func encode(_ text: String) -> String {
        percentEncode(component: text).replacing("%20", with: "+")
    }
}

/// A text with everything but unreserved characters as `%XX` (RFC 3986 section 2.3).
package func percentEncode(component text: String) -> String {
    text.utf8.reduce(into: "") { encoded, byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        default: encoded += percentEncode(byte)
        }
    }
}

/// A byte as `%XX` (RFC 3986 section 2.1).
package func percentEncode(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.utf8.count == 1 ? "%0" + digits : "%" + digits
}

/// The text behind percent-encoding (RFC 3986 section 2.1); nil when a `%` is not followed by two hexadecimal digits or the
/// result is not UTF-8.
package func percentDecode(_ text: String) -> String? {
    var text = text
    return text.withUTF8 { percentDecode(UnsafeRawBufferPointer($0), plusIsSpace: false) }
}

func percentDecode(_ bytes: UnsafeRawBufferPointer, plusIsSpace: Bool) -> String? {
    let isPlain = bytes.allSatisfy { $0 != UInt8(ascii: "%") && !(plusIsSpace && $0 == UInt8(ascii: "+")) }
    if isPlain { return String(validating: bytes, as: UTF8.self) }
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var position = 0
    while position < bytes.count {
        var byte = bytes[position]
        position += 1
        if byte == UInt8(ascii: "%") {
            guard position + 1 < bytes.count, let high = hexValue(bytes[position]),
                let low = hexValue(bytes[position + 1])
            else { return nil }
            position += 2
            byte = high << 4 | low
        } else if plusIsSpace, byte == UInt8(ascii: "+") {
            byte = UInt8(ascii: " ")
        }
        decoded.append(byte)
    }
    return String(validating: decoded, as: UTF8.self)
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
