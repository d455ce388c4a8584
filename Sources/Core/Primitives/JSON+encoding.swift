// SPDX-License-Identifier: Apache-2.0

extension JSON {
    /// The shortest JSON text of the value in UTF-8: no white space, only the escapes RFC 8259 demands.
    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return bytes
    }

    /// ``encoded()`` as a string.
    package var text: String { String(decoding: encoded(), as: UTF8.self) }

    /// Appends the JSON text of the value.
    package func encode(into bytes: inout [UInt8]) {
        switch self {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let text): bytes.append(contentsOf: text.utf8)
        case .string(let text): Self.encodeString(text, into: &bytes)
        case .array(let values): Self.encodeArray(values, into: &bytes)
        case .object(let members): Self.encodeObject(members, into: &bytes)
        }
    }

    private static func encodeArray(_ values: [JSON], into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "["))
        var first = true
        for value in values {
            if !first { bytes.append(UInt8(ascii: ",")) }
            first = false
            value.encode(into: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private static func encodeObject(_ members: JSONObject, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        var first = true
        for (name, value) in members {
            if !first { bytes.append(UInt8(ascii: ",")) }
            first = false
            encodeString(name, into: &bytes)
            bytes.append(UInt8(ascii: ":"))
            value.encode(into: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    /// Appends `text` as a quoted JSON string.
    package static func encodeString(_ text: String, into bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { encodeString(UnsafeRawBufferPointer($0), into: &bytes) }
    }

    /// Appends UTF-8 as a quoted JSON string. What needs no escape goes over in stretches, as it mostly is all of it.
    package static func encodeString(_ text: UnsafeRawBufferPointer, into bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        for position in 0..<text.count {
            let byte = text[position]
            guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
            bytes.append(contentsOf: text[start..<position])
            start = position + 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
            case UInt8(ascii: "\r"): bytes.append(contentsOf: "\\r".utf8)
            case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
            default:
                bytes.append(contentsOf: "\\u00".utf8)
                bytes.append(Hex.digit(byte >> 4))
                bytes.append(Hex.digit(byte & 0xf))
            }
        }
        bytes.append(contentsOf: text[start...])
        bytes.append(UInt8(ascii: "\""))
    }
}
