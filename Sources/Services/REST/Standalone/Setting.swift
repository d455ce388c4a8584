// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A value found for a key, read as the key wants it.
struct Setting: Sendable {
    /// The key's name, whichever of its names it was found by.
    let name: String
    let value: ConfigurationFile.Value

    func refusal(_ reason: String) -> StandaloneConfigurationError {
        StandaloneConfigurationError("\(name): \(reason)")
    }

    /// As text, whatever it was written as.
    var text: String {
        switch value {
        case .string(let text), .number(let text): text
        case .boolean(let flag): flag ? "true" : "false"
        case .list(let items): items.map { Setting(name: name, value: $0).text }.joined(separator: ",")
        }
    }

    /// Nil where it is empty, which is to say: not set.
    var nonEmpty: String? { text.isEmpty ? nil : text }

    /// What stands between commas, without spaces around it.
    var items: [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { String($0.trimmingSpaces) }
    }

    /// A whole number; nil where it is empty.
    func integer(in range: ClosedRange<Int>) throws(StandaloneConfigurationError) -> Int? {
        guard let text = nonEmpty else { return nil }
        guard let number = Int(text) else { throw refusal("\"\(text)\" is no whole number") }
        guard range.contains(number) else {
            throw refusal("\(number) is not between \(range.lowerBound) and \(range.upperBound)")
        }
        return number
    }

    /// `true`, `false`, `on`, `off`, or a number, of which those above zero mean true; nil where it is empty.
    func boolean() throws(StandaloneConfigurationError) -> Bool? {
        switch text.lowercased() {
        case "": return nil
        case "true", "on": return true
        case "false", "off": return false
        default:
            guard let number = Int(text) else { throw refusal("\"\(text)\" is neither true nor false") }
            return number > 0
        }
    }

    /// One of some words; nil where it is empty.
    func choice<Choice>(
        _ choices: [(String, Choice)], _ message: String
    ) throws(StandaloneConfigurationError) -> Choice? {
        guard let text = nonEmpty else { return nil }
        guard let found = choices.first(where: { $0.0 == text }) else {
            throw refusal("\(message) \"\(text)\" is none of \(choices.map(\.0).joined(separator: ", "))")
        }
        return found.1
    }

    /// Permissions in octal, for the owner at least to read and write; nil where it is empty.
    func fileMode() throws(StandaloneConfigurationError) -> UInt32? {
        guard let text = nonEmpty else { return nil }
        guard let mode = UInt32(text, radix: 8) else { throw refusal("Invalid \(name): not an octal") }
        guard (0o600...0o777).contains(mode) else { throw refusal("Invalid \(name): needs to be between 600 and 777") }
        return mode
    }
}

/// The forms of addresses and names that keys take.
enum URIForm {
    /// A scheme and what follows it, in the characters of RFC 3986.
    static func isURI(_ text: String) -> Bool {
        let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
        guard let first = scheme.first, isLetter(first), scheme.count < text.utf8.count,
            scheme.allSatisfy({ isAlphanumeric($0) || "+-.".utf8.contains($0) })
        else { return false }
        let rest = Array(text.utf8.dropFirst(scheme.count + 1))
        for (index, byte) in rest.enumerated() {
            if byte == UInt8(ascii: "%") {
                guard index + 2 < rest.count,
                    Hex.decode(String(decoding: rest[index + 1...index + 2], as: UTF8.self)) != nil
                else { return false }
            } else if !isAlphanumeric(byte), !"-._~:/?#[]@!$&'()*+,;=".utf8.contains(byte) {
                return false
            }
        }
        return true
    }

    /// `http://` or `https://`, and a host.
    static func isWebAddress(_ text: String) -> Bool {
        guard isURI(text), let mark = text.firstRange(of: "://"), ["http", "https"].contains(text[..<mark.lowerBound])
        else { return false }
        let authority = text[mark.upperBound...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).last ?? ""
        return !host.isEmpty && !host.hasPrefix(":")
    }

    /// A field's name (RFC 9110 section 5.6.2).
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { isAlphanumeric($0) || "!#$%&'*+-.^_`|~".utf8.contains($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLetter(byte) || (0x30...0x39).contains(byte) }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmingSpaces: SubSequence {
        var text = self[...]
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
