// SPDX-License-Identifier: Apache-2.0

/// An e-mail address in the one form it is stored and looked up in: lower case.
struct EmailAddress: Sendable, Hashable {
    let text: String

    /// Takes what the HTML standard calls a valid e-mail address, within the lengths of RFC 5321 (64 bytes before the
    /// `@`, 254 in all); anything else is nil. Nothing is trimmed.
    init?(_ text: String) {
        // ASCII alone is lowered: other letters, such as the Kelvin sign, would turn into ASCII ones, and one person's
        // address into another's.
        let lower = String(decoding: text.utf8.map { ($0 &- 65) < 26 ? $0 | 0x20 : $0 }, as: UTF8.self)
        let parts = lower.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2, lower.utf8.count <= 254, (1...64).contains(parts[0].count),
            parts[0].allSatisfy(Self.isLocalByte),
            parts[1].split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(Self.isLabel)
        else { return nil }
        self.text = lower
    }

    private static func isLocalByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || ".!#$%&'*+/=?^_`{|}~-".utf8.contains(byte)
    }

    private static func isLabel(_ label: Substring.UTF8View) -> Bool {
        guard let first = label.first, let last = label.last(), label.count <= 63 else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension Substring.UTF8View {
    fileprivate func last() -> UInt8? { isEmpty ? nil : self[index(before: endIndex)] }
}
