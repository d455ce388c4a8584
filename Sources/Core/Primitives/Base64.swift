// SPDX-License-Identifier: Apache-2.0

/// Base 64 with padding (RFC 4648 section 4).
package enum Base64 {
    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        Base64Alphabet.standard.encode(bytes, padded: true)
    }

    /// The bytes, or `nil` for whatever is not the one canonical encoding of them: white space, missing padding, bits
    /// set behind the last byte.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard characters.count % 4 == 0 else { return nil }
        let padding = characters.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        return Base64Alphabet.standard.decode(characters.dropLast(padding))
    }
}

/// Base 64 for URLs and file names without padding (RFC 4648 section 5), as JOSE requires it (RFC 7515 section 2).
package enum Base64URL {
    package static func encode(_ bytes: some Collection<UInt8>) -> String {
        Base64Alphabet.url.encode(bytes, padded: false)
    }

    /// The bytes, or `nil` for whatever is not their canonical encoding; padding is refused.
    ///
    /// Being canonical matters: a token must not have two spellings that both verify.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        Base64Alphabet.url.decode(text.utf8)
    }
}

/// The 64 characters of one variant and the way back from them.
private struct Base64Alphabet: Sendable {
    static let standard = Base64Alphabet("+/")
    static let url = Base64Alphabet("-_")

    private static let invalid: UInt8 = 0xff
    private let characters: [UInt8]
    private let values: [UInt8]

    /// - Parameter last: the two characters behind letters and digits.
    private init(_ last: String) {
        characters = Array(("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + last).utf8)
        var values = [UInt8](repeating: Self.invalid, count: 256)
        for (value, character) in characters.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        self.values = values
    }

    func encode(_ bytes: some Collection<UInt8>, padded: Bool) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var group: UInt32 = 0
        var held = 0
        for byte in bytes {
            group = group << 8 | UInt32(byte)
            held += 1
            if held == 3 {
                for shift in [18, 12, 6, 0] as [UInt32] { text.append(characters[Int(group >> shift & 0x3f)]) }
                group = 0
                held = 0
            }
        }
        if held > 0 {
            group <<= UInt32(8 * (3 - held))
            for index in 0...held { text.append(characters[Int(group >> UInt32(18 - 6 * index) & 0x3f)]) }
            if padded { text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - held)) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count * 3 / 4)
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        for character in text {
            let value = values[Int(character)]
            guard value != Self.invalid else { return nil }
            bits = bits << 6 | UInt32(value)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
                bits &= (1 << bitCount) - 1
            }
        }
        // Six left-over bits are a lone character; set left-over bits are a second spelling of the same bytes.
        return bitCount < 6 && bits == 0 ? bytes : nil
    }
}
