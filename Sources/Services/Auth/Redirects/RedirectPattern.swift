// SPDX-License-Identifier: Apache-2.0

/// A pattern of `additional_redirect_urls`.
///
/// `*` stands for any characters but `.` and `/`, `**` for any, `?` for one that is neither `.` nor `/`; `[abc]`, `[a-z]` and
/// `[!abc]` for one of a set; `{a,b}` for one of several patterns; `\` takes the next character as it is.
///
/// Wildcards stay in the part of the address they begin in, so that `https://**.example.com/**` does not take
/// `https://evil.test/.example.com/`: only a `**` at the end of a pattern goes on past the host. They never stand for an IP
/// address, which nobody means by them.
package struct RedirectPattern: Sendable {
    private enum Token: Sendable {
        case byte(UInt8)
        /// `?` or a set: one byte for which the answer is `true`.
        case one(ByteSet)
        case star
        case doubleStar
        case alternatives([[Token]])
    }

    private let tokens: [Token]
    /// The host as the pattern writes it, when it does so without wildcards.
    private let literalHost: String?

    /// Patterns are the operator's own; what is malformed, such as `[` without an end, matches itself.
    package init(_ text: String) {
        var bytes = Array(text.utf8)[...]
        tokens = Self.parse(&bytes, isNested: false)
        literalHost = WebAddress(Self.withoutWildcards(text))?.host
    }

    package func matches(_ address: WebAddress) -> Bool {
        if address.isIPAddress, literalHost != address.host { return false }
        var steps = 0
        return Self.matches(tokens[...], address, at: 0, &steps)
    }

    /// The pattern up to the first wildcard behind the host, for its host.
    private static func withoutWildcards(_ text: String) -> String {
        guard let slashes = text.firstRange(of: "://") else { return "" }
        var authority = text[slashes.upperBound...].prefix { !"/?#*{\\".contains($0) }
        if authority.last == ":" { authority.removeLast() }
        return String(text[..<slashes.upperBound] + authority)
    }

    // MARK: Parsing

    private static func parse(_ bytes: inout ArraySlice<UInt8>, isNested: Bool) -> [Token] {
        var tokens: [Token] = []
        while let byte = bytes.first {
            if isNested, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") { break }
            bytes.removeFirst()
            switch byte {
            case UInt8(ascii: "\\"): tokens.append(.byte(bytes.popFirst() ?? byte))
            case UInt8(ascii: "?"): tokens.append(.one(ByteSet(members: [], isInverted: true)))
            case UInt8(ascii: "*"):
                if bytes.first == byte {
                    while bytes.first == byte { bytes.removeFirst() }
                    tokens.append(.doubleStar)
                } else {
                    tokens.append(.star)
                }
            case UInt8(ascii: "["): tokens.append(set(&bytes).map(Token.one) ?? .byte(byte))
            case UInt8(ascii: "{"): tokens.append(alternatives(&bytes).map(Token.alternatives) ?? .byte(byte))
            default: tokens.append(.byte(byte))
            }
        }
        return tokens
    }

    private static func set(_ bytes: inout ArraySlice<UInt8>) -> ByteSet? {
        guard let end = bytes.dropFirst().firstIndex(of: UInt8(ascii: "]")) else { return nil }
        var inside = bytes[..<end]
        // `http://[::1]` is an address, not a set.
        guard !inside.starts(with: "::".utf8) else { return nil }
        bytes = bytes[(end + 1)...]
        let isInverted = inside.first == UInt8(ascii: "!")
        if isInverted { inside.removeFirst() }
        var members: Set<UInt8> = []
        while let first = inside.popFirst() {
            if inside.first == UInt8(ascii: "-"), let last = inside.dropFirst().first, first <= last {
                members.formUnion(first...last)
                inside = inside.dropFirst(2)
            } else {
                members.insert(first)
            }
        }
        return ByteSet(members: members, isInverted: isInverted)
    }

    private static func alternatives(_ bytes: inout ArraySlice<UInt8>) -> [[Token]]? {
        var rest = bytes
        var branches: [[Token]] = []
        while true {
            branches.append(parse(&rest, isNested: true))
            guard let mark = rest.popFirst() else { return nil }
            if mark == UInt8(ascii: "}") { break }
        }
        bytes = rest
        return branches
    }

    private struct ByteSet: Sendable {
        var members: Set<UInt8>
        var isInverted: Bool

        func contains(_ byte: UInt8) -> Bool { members.contains(byte) != isInverted }
    }

    // MARK: Matching

    /// Several `**` in a pattern make the work grow with a power of the address's length; no honest address comes near.
    private static let maxSteps = 200_000

    private static func matches(
        _ tokens: ArraySlice<Token>, _ address: WebAddress, at start: Int, _ steps: inout Int
    ) -> Bool {
        let bytes = address.matched
        var tokens = tokens
        var position = start
        while let token = tokens.popFirst() {
            steps += 1
            guard steps < maxSteps else { return false }
            switch token {
            case .byte(let byte):
                guard position < bytes.count, bytes[position] == lowered(byte, in: address, at: position) else {
                    return false
                }
                position += 1
            case .one(let set):
                guard position < bytes.count, isOrdinary(address, position), set.contains(bytes[position]) else {
                    return false
                }
                position += 1
            case .star:
                return spans(from: position, while: { isOrdinary(address, $0) }, tokens, address, &steps)
            case .doubleStar:
                if tokens.isEmpty { return true }
                let end = limit(address, position)
                return spans(from: position, while: { $0 < end }, tokens, address, &steps)
            case .alternatives(let branches):
                for branch in branches where matches(branch + tokens, address, at: position, &steps) { return true }
                return false
            }
        }
        return position == bytes.count
    }

    private static func spans(
        from start: Int, while mayTake: (Int) -> Bool, _ rest: ArraySlice<Token>, _ address: WebAddress,
        _ steps: inout Int
    ) -> Bool {
        var position = start
        while true {
            if matches(rest, address, at: position, &steps) { return true }
            guard steps < maxSteps, position < address.matched.count, mayTake(position) else { return false }
            position += 1
        }
    }

    /// Whether a narrow wildcard may stand for the byte: no separator, and in front of the path none of the characters that
    /// part scheme, host and port from each other and from what follows.
    private static func isOrdinary(_ address: WebAddress, _ position: Int) -> Bool {
        let byte = address.matched[position]
        if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "/") { return false }
        return position > address.authority.upperBound || byte != UInt8(ascii: ":") && byte != UInt8(ascii: "?")
    }

    /// Where the part of the address that `position` is in ends.
    private static func limit(_ address: WebAddress, _ position: Int) -> Int {
        if position < address.authority.lowerBound { return address.authority.lowerBound }
        if position < address.authority.upperBound { return address.authority.upperBound }
        return address.matched.count
    }

    private static func lowered(_ byte: UInt8, in address: WebAddress, at position: Int) -> UInt8 {
        position < address.authority.upperBound && (byte &- 65) < 26 ? byte | 0x20 : byte
    }
}
