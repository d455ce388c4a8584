// SPDX-License-Identifier: Apache-2.0

/// An absolute address a browser may be sent to, taken apart strictly (RFC 3986), so that no part of it can be read in two
/// ways.
///
/// Browsers repair what they are given: they turn backslashes into slashes, drop tabs and line feeds, fold full-width letters
/// and read `0x7f.1` as an IP address. An address that would need any of it is none here.
package struct WebAddress: Sendable, Hashable {
    /// Longer ones are refused.
    package static let maxBytes = 4096

    /// Lower case.
    package let scheme: String
    /// Lower case; an IPv6 address in brackets. Empty for `app:/path`, which names no host.
    package let host: String
    /// As written, or that of the scheme; nil for schemes that have none.
    package let port: Int?
    /// Beginning with `/`, or empty.
    package let path: String
    /// Without `?`; nil when there is none.
    package let query: String?
    /// Without `#`; nil when there is none.
    package let fragment: String?
    /// The address up to the fragment, with scheme and host in lower case: what patterns are matched against.
    let matched: [UInt8]
    /// Where scheme, authority and the rest stand in `matched`; empty when the address names no host.
    let authority: Range<Int>

    /// Schemes that run or show what the address itself holds, or that stay within the browser.
    private static let refusedSchemes: Set<String> = [
        "javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ws", "wss",
    ]

    /// Nil for everything that is not one absolute address: with user information, an unclear host or port, spaces, control
    /// characters, backslashes, or a scheme that runs code.
    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maxBytes, bytes.allSatisfy(Self.isAllowed),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")), Self.isScheme(bytes[..<colon])
        else { return nil }
        let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        guard !Self.refusedSchemes.contains(scheme) else { return nil }
        self.scheme = scheme

        let hash = bytes.firstIndex(of: UInt8(ascii: "#")) ?? bytes.endIndex
        fragment = hash == bytes.endIndex ? nil : String(decoding: bytes[(hash + 1)...], as: UTF8.self)
        var start = colon + 1
        var authority = start..<start
        if bytes[start..<hash].starts(with: "//".utf8) {
            start += 2
            let end = bytes[start..<hash].firstIndex { "/?".utf8.contains($0) } ?? hash
            authority = start..<end
            start = end
        } else {
            // `https:example.com` is a host to a browser.
            guard !Self.hasHost(scheme) else { return nil }
        }
        guard let (host, written) = Self.hostAndPort(bytes[authority], isRequired: Self.hasHost(scheme)) else {
            return nil
        }
        self.host = host
        port = written ?? Self.defaultPort(scheme)
        let mark = bytes[start..<hash].firstIndex(of: UInt8(ascii: "?")) ?? hash
        path = String(decoding: bytes[start..<mark], as: UTF8.self)
        query = mark == hash ? nil : String(decoding: bytes[(mark + 1)..<hash], as: UTF8.self)
        self.authority = authority
        matched = bytes[..<hash].enumerated().map {
            $0.offset < authority.upperBound ? Self.lower($0.element) : $0.element
        }
    }

    /// `scheme://host`, with the port unless it is the scheme's own.
    package var origin: String {
        let suffix = port == Self.defaultPort(scheme) ? "" : port.map { ":\($0)" } ?? ""
        return "\(scheme)://\(host)\(suffix)"
    }

    /// Whether the host is this machine by name or number.
    package var isLoopback: Bool {
        host == "localhost" || host == "[::1]" || (isIPAddress && host.hasPrefix("127."))
    }

    /// Whether the host is a number instead of a name.
    package var isIPAddress: Bool {
        host.hasPrefix("[") || Self.isDottedQuad(host[...])
    }

    // MARK: Parts

    private static func hasHost(_ scheme: String) -> Bool { scheme == "http" || scheme == "https" }

    private static func defaultPort(_ scheme: String) -> Int? {
        switch scheme {
        case "http": 80
        case "https": 443
        default: nil
        }
    }

    /// Visible characters; those outside ASCII may stand in paths and queries, where a browser encodes them.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte != 0x7f && !#"\"<>^`{|}"#.utf8.contains(byte)
    }

    private static func isScheme(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, isLetter(first) else { return false }
        return bytes.allSatisfy { isLetter($0) || isDigit($0) || "+-.".utf8.contains($0) }
    }

    private static func hostAndPort(_ bytes: ArraySlice<UInt8>, isRequired: Bool) -> (host: String, port: Int?)? {
        if bytes.isEmpty { return isRequired ? nil : ("", nil) }
        var end = bytes.endIndex
        if let bracket = bytes.lastIndex(of: UInt8(ascii: "]")) {
            end = bracket + 1
        } else if let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
            end = colon
        }
        let host = String(decoding: bytes[..<end].map(lower), as: UTF8.self)
        guard isHost(host[...]) else { return nil }
        let rest = bytes[end...]
        if rest.isEmpty { return (host, nil) }
        let digits = rest.dropFirst()
        guard rest.first == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.allSatisfy(isDigit),
            let port = Int(String(decoding: digits, as: UTF8.self)), (1...65535).contains(port)
        else { return nil }
        return (host, port)
    }

    private static func isHost(_ host: Substring) -> Bool {
        if host.hasPrefix("[") { return isIPv6(host) }
        let bytes = host.utf8
        guard bytes.allSatisfy({ isLetter($0) || isDigit($0) || "-._".utf8.contains($0) }), bytes.count <= 253 else {
            return false
        }
        var labels = host.split(separator: ".", omittingEmptySubsequences: false)
        if labels.count > 1, labels.last?.isEmpty == true { labels.removeLast() }
        guard let last = labels.last, labels.allSatisfy({ (1...63).contains($0.utf8.count) }) else { return false }
        // What ends in a number is an IPv4 address to a browser, in whatever notation: only the common one is taken.
        return !isNumber(last) || isDottedQuad(host)
    }

    private static func isNumber(_ label: Substring) -> Bool {
        if label.utf8.allSatisfy(isDigit) { return true }
        return label.lowercased().hasPrefix("0x") && label.dropFirst(2).allSatisfy(\.isHexDigit)
    }

    private static func isDottedQuad(_ host: Substring) -> Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard part.utf8.allSatisfy(isDigit), let value = Int(part) else { return false }
                return value <= 255 && String(value) == part
            }
    }

    private static func isIPv6(_ host: Substring) -> Bool {
        guard host.hasSuffix("]") else { return false }
        let address = String(host.dropFirst().dropLast())
        return address.contains(":") && ClientAddress(address) != nil
    }

    private static func lower(_ byte: UInt8) -> UInt8 { (byte &- 65) < 26 ? byte | 0x20 : byte }
    private static func isLetter(_ byte: UInt8) -> Bool { ((byte | 0x20) &- 97) < 26 }
    private static func isDigit(_ byte: UInt8) -> Bool { (byte &- 48) < 10 }
}
