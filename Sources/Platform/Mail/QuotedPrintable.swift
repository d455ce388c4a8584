// SPDX-License-Identifier: Apache-2.0

/// The quoted-printable encoding (RFC 2045 section 6.7).
package enum QuotedPrintable {
    private static let hex = Array("0123456789ABCDEF".utf8)

    /// Encodes text: lines of at most 76 characters, ends as CR LF.
    static func encode(_ text: String) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.utf8.count + text.utf8.count / 20)
        let lines = text.utf8.split(omittingEmptySubsequences: false, whereSeparator: { $0 == UInt8(ascii: "\n") })
        for (number, line) in lines.enumerated() {
            if number > 0 { output += [0x0d, 0x0a] }
            let bytes = line.last == 0x0d ? line.dropLast() : line
            encode(line: Array(bytes), into: &output)
        }
        return output
    }

    private static func encode(line: [UInt8], into output: inout [UInt8]) {
        var length = 0
        for (index, byte) in line.enumerated() {
            let isLast = index == line.count - 1
            let isBlank = byte == 0x20 || byte == 0x09
            // A blank at a line's end would be lost on the way; a dot at its beginning is left to SMTP.
            let isLiteral = (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "=") || isBlank && !isLast
            let width = isLiteral ? 1 : 3
            if length + width > 75 {
                output += [UInt8(ascii: "="), 0x0d, 0x0a]
                length = 0
            }
            if isLiteral {
                output.append(byte)
            } else {
                output += [UInt8(ascii: "="), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
            length += width
        }
    }

    /// Decodes leniently, as mail readers do: what is no escape stands for itself.
    package static func decode(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let input = Array(bytes)
        var output: [UInt8] = []
        output.reserveCapacity(input.count)
        var index = 0
        while index < input.count {
            let byte = input[index]
            guard byte == UInt8(ascii: "=") else {
                output.append(byte)
                index += 1
                continue
            }
            if index + 1 < input.count, input[index + 1] == 0x0a {
                index += 2
            } else if index + 2 < input.count, input[index + 1] == 0x0d, input[index + 2] == 0x0a {
                index += 3
            } else if index + 2 < input.count, let high = value(input[index + 1]), let low = value(input[index + 2]) {
                output.append(high << 4 | low)
                index += 3
            } else {
                output.append(byte)
                index += 1
            }
        }
        return output
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
