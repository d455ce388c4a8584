// SPDX-License-Identifier: Apache-2.0

/// Where in an HTML document a template stands, which decides how a value is written there.
///
/// A simple reading of HTML as the template's literal text goes by; values never change it, since they are written so that
/// they cannot.
struct HTMLContext {
    private enum Place: Equatable {
        case text
        /// Behind `<`, in a tag's name.
        case tagName(String)
        /// Between attributes.
        case tag
        case attributeName(String)
        /// Behind an attribute's name and `=`.
        case beforeValue(Attribute)
        case value(Attribute, quote: Unicode.Scalar?)
        case comment
        /// In an element whose content is no markup.
        case raw(element: String)
    }

    private enum Attribute: Equatable {
        case plain
        case url
        case style
        case script
    }

    /// In which part of an address a value stands.
    private enum URLPart {
        case start
        case path
        case query
    }

    private var place = Place.text
    private var part = URLPart.start
    private var element = ""
    /// The end of what was read, for marks of several characters.
    private var tail = ""

    private static let urlAttributes: Set<String> = [
        "href", "src", "action", "formaction", "background", "cite", "data", "icon", "longdesc", "manifest", "poster",
        "profile", "srcset", "usemap", "xlink:href",
    ]
    /// What stands where a value would not be safe, as in Go.
    private static let refused = "ZgotmplZ"

    // MARK: Following the template's text

    mutating func follow(_ text: String) {
        for scalar in text.unicodeScalars {
            tail.unicodeScalars.append(scalar)
            if tail.unicodeScalars.count > 12 { tail.unicodeScalars.removeFirst() }
            step(scalar)
        }
    }

    private mutating func step(_ scalar: Unicode.Scalar) {
        switch place {
        case .text:
            if scalar == "<" { place = .tagName("") }
        case .tagName(let name): step(scalar, inTagName: name)
        case .tag:
            if scalar == ">" {
                endTag()
            } else if !scalar.properties.isWhitespace, scalar != "/" {
                place = .attributeName(String(scalar))
            }
        case .attributeName(let name):
            if scalar == ">" {
                endTag()
            } else if scalar == "=" {
                place = .beforeValue(Self.kind(of: name.lowercased()))
            } else if scalar.properties.isWhitespace || scalar == "/" {
                place = .tag
            } else {
                place = .attributeName(name + String(scalar))
            }
        case .beforeValue(let attribute): step(scalar, beforeValueOf: attribute)
        case .value(_, let quote):
            if let quote {
                if scalar == quote { place = .tag } else { follow(inAddress: scalar) }
            } else if scalar == ">" {
                endTag()
            } else if scalar.properties.isWhitespace {
                place = .tag
            } else {
                follow(inAddress: scalar)
            }
        case .comment:
            if tail.hasSuffix("-->") { place = .text }
        case .raw(let name):
            if tail.lowercased().hasSuffix("</" + name) { place = .tagName("/" + name) }
        }
    }

    private mutating func step(_ scalar: Unicode.Scalar, inTagName name: String) {
        if tail.hasSuffix("<!--") {
            place = .comment
        } else if scalar == ">" {
            element = name.lowercased()
            endTag()
        } else if scalar.properties.isWhitespace {
            element = name.lowercased()
            place = name.isEmpty ? .text : .tag
        } else {
            place = .tagName(name + String(scalar))
        }
    }

    private mutating func step(_ scalar: Unicode.Scalar, beforeValueOf attribute: Attribute) {
        part = .start
        if scalar == "\"" || scalar == "'" {
            place = .value(attribute, quote: scalar)
        } else if scalar == ">" {
            endTag()
        } else if !scalar.properties.isWhitespace {
            place = .value(attribute, quote: nil)
            follow(inAddress: scalar)
        }
    }

    private mutating func follow(inAddress scalar: Unicode.Scalar) {
        if scalar == "?" || scalar == "#" {
            part = .query
        } else if part == .start {
            part = .path
        }
    }

    private mutating func endTag() {
        place = ["script", "style", "textarea", "title"].contains(element) ? .raw(element: element) : .text
        element = ""
    }

    private static func kind(of name: String) -> Attribute {
        if urlAttributes.contains(name) { return .url }
        if name == "style" { return .style }
        return name.hasPrefix("on") ? .script : .plain
    }

    // MARK: Writing values

    /// A value as it may stand here.
    mutating func escape(_ value: String) -> String {
        switch place {
        case .text: return Self.escapeText(value)
        case .comment: return ""
        case .tagName, .tag, .attributeName: return Self.filterName(value)
        case .raw(let element):
            return element == "script" || element == "style" ? Self.filterStyle(value) : Self.escapeText(value)
        case .beforeValue(let attribute):
            part = .start
            // An unquoted value that begins with this one.
            place = .value(attribute, quote: nil)
            return escape(value)
        case .value(let attribute, let quote):
            let written: String
            switch attribute {
            case .plain: written = value
            case .style, .script: written = Self.filterStyle(value)
            case .url: written = address(value)
            }
            return quote == nil ? Self.escapeUnquoted(written) : Self.escapeText(written)
        }
    }

    private mutating func address(_ value: String) -> String {
        switch part {
        case .start:
            part = .path
            return Self.isSafeAddress(value) ? Self.normalizeAddress(value) : "#" + Self.refused
        case .path: return Self.normalizeAddress(value)
        case .query: return Self.escapeQuery(value)
        }
    }

    /// Addresses that run something are refused. Go refuses all but `http`, `https` and `mailto`; applications on phones are
    /// opened by schemes of their own.
    private static func isSafeAddress(_ value: String) -> Bool {
        let scheme = value.prefix { $0 != ":" && $0 != "/" && $0 != "?" && $0 != "#" }
        guard scheme.endIndex < value.endIndex, value[scheme.endIndex] == ":" else { return true }
        guard let first = scheme.utf8.first, isLetter(first),
            scheme.utf8.allSatisfy({ isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) })
        else { return false }
        return !["javascript", "vbscript", "data", "file", "blob", "about"].contains(scheme.lowercased())
    }

    /// For text and quoted attributes.
    static func escapeText(_ text: String) -> String {
        var result = ""
        result.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&#34;"
            case "'": result += "&#39;"
            case "\0": result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func escapeUnquoted(_ text: String) -> String {
        let escaped = escapeText(text).unicodeScalars.reduce(into: "") { result, scalar in
            if scalar.properties.isWhitespace || scalar == "=" || scalar == "`" {
                result += "&#\(scalar.value);"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return escaped.isEmpty ? refused : escaped
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 97 < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 48 < 10 }
    private static func isUnreserved(_ byte: UInt8) -> Bool {
        isLetter(byte) || isDigit(byte) || "-._~".utf8.contains(byte)
    }

    private static let hex = Array("0123456789abcdef".utf8)

    private static func percentEncoded(_ text: String, keeping isKept: (UInt8) -> Bool) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if isKept(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// For a value within a query or fragment.
    static func escapeQuery(_ text: String) -> String { percentEncoded(text, keeping: isUnreserved) }

    /// For an address or the beginning of one: what is reserved keeps its meaning, and what is encoded stays so.
    static func normalizeAddress(_ text: String) -> String {
        percentEncoded(text) { isUnreserved($0) || "!#$&*+,/:;=?@[]%".utf8.contains($0) }
    }

    private static func filterName(_ text: String) -> String {
        !text.isEmpty && text.utf8.allSatisfy { isLetter($0) || isDigit($0) } ? text : refused
    }

    private static func filterStyle(_ text: String) -> String {
        let isSafe = text.utf8.allSatisfy { isLetter($0) || isDigit($0) || " #%.,-".utf8.contains($0) }
        return isSafe && !text.contains("--") ? text : refused
    }
}
