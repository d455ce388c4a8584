// SPDX-License-Identifier: Apache-2.0

/// Why a text is not JSON, and where.
package struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Reason: Sendable, Hashable {
        case unexpectedEnd
        case unexpectedByte(UInt8)
        case trailingBytes
        case tooDeep(maxDepth: Int)
        case controlCharacterInString
        case invalidEscape
        case loneSurrogate
        case invalidUTF8
        case invalidNumber
    }

    package var reason: Reason
    /// Bytes from the start of the text to what is wrong.
    package var offset: Int

    package init(reason: Reason, offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    package var description: String {
        "\(message) at byte \(offset)"
    }

    private var message: String {
        switch reason {
        case .unexpectedEnd: "unexpected end of JSON"
        case .unexpectedByte(let byte):
            byte > 0x20 && byte < 0x7f
                ? "unexpected character '\(Character(UnicodeScalar(byte)))'"
                : "unexpected byte 0x\(Hex.encode([byte]))"
        case .trailingBytes: "unexpected text behind the JSON value"
        case .tooDeep(let maxDepth): "nesting deeper than \(maxDepth) levels"
        case .controlCharacterInString: "unescaped control character in a string"
        case .invalidEscape: "invalid escape in a string"
        case .loneSurrogate: "half of a surrogate pair in a string"
        case .invalidUTF8: "invalid UTF-8 in a string"
        case .invalidNumber: "invalid number"
        }
    }
}
