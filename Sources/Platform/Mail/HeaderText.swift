// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Text in the headers of a mail: encoded words (RFC 2047) and folding (RFC 5322 section 2.2.3).
enum HeaderText {
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) || scalar.value == 0x2028 || scalar.value == 0x2029
    }

    /// Text of a header such as `Subject`.
    static func unstructured(_ text: String) -> String {
        // What looks like an encoded word would be decoded by readers, so it is encoded itself.
        let isPlain =
            text.utf8.allSatisfy { (0x20...0x7e).contains($0) } && !text.contains("=?")
            && text.split(separator: " ").allSatisfy { $0.utf8.count <= 60 }
        return isPlain ? text : encodedWords(text)
    }

    /// A name before an address.
    static func phrase(_ text: String) -> String {
        let isAtoms = text.utf8.allSatisfy { byte in
            isAlphanumeric(byte) || " !#$%&'*+-/=?^_`{|}~".utf8.contains(byte)
        }
        if isAtoms, !text.contains("=?"), text.utf8.count <= 60 { return text }
        guard text.utf8.allSatisfy({ (0x20...0x7e).contains($0) }), !text.contains("=?"), text.utf8.count <= 60 else {
            return encodedWords(text)
        }
        return "\"" + text.reduce(into: "") { $0 += $1 == "\"" || $1 == "\\" ? "\\\($1)" : "\($1)" } + "\""
    }

    /// Encoded words of at most 75 characters, none of which parts a character.
    private static func encodedWords(_ text: String) -> String {
        // 39 bytes are 52 characters of base 64 and `=?utf-8?B??=` has 12, which leaves room for the header's name.
        var words: [String] = []
        var chunk: [UInt8] = []
        for character in text.unicodeScalars {
            let bytes = Array(String(character).utf8)
            if chunk.count + bytes.count > 39 {
                words.append("=?utf-8?B?\(Base64.encode(chunk))?=")
                chunk = []
            }
            chunk += bytes
        }
        if !chunk.isEmpty { words.append("=?utf-8?B?\(Base64.encode(chunk))?=") }
        return words.joined(separator: " ")
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- 97 < 26 || byte &- 48 < 10
    }

    /// A header with its line end, folded at spaces so that lines stay below 78 characters where they can.
    static func line(_ name: String, _ value: String) -> String {
        var result = name + ":"
        var length = result.utf8.count
        for word in value.split(separator: " ", omittingEmptySubsequences: false) {
            if length + 1 + word.utf8.count > 77, !word.isEmpty, length > name.utf8.count + 1 {
                result += "\r\n"
                length = 0
            }
            result += " " + word
            length += 1 + word.utf8.count
        }
        return result + "\r\n"
    }
}
