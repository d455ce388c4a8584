// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A strict, incremental parser of HTTP/1.1 request heads (RFC 9112), without I/O.
///
/// It is given all bytes received so far from the start of the head and remembers how far it came, so that a head which
/// arrives byte by byte costs no more than one that arrives whole. Where the RFC lets a recipient be lenient, it refuses:
/// each leniency is a way to make two servers see two different requests.
struct RequestParser {
    /// Bounds of a head.
    struct Limits: Sendable {
        /// Bytes of the request line without its line end.
        var maxRequestLineBytes = 8 << 10
        /// Bytes of all header lines together.
        var maxHeaderBytes = 32 << 10
        /// Header fields.
        var maxFieldCount = 100

        /// Bytes a head can have at most.
        var maxHeadBytes: Int { maxRequestLineBytes + maxHeaderBytes + 8 }
    }

    /// Why a head was refused; the connection is closed with it, because where the next request begins is unknown.
    struct Refusal: Error, Equatable {
        var status: HTTPStatus
        /// For the log and the body; names the rule.
        var reason: String

        static func bad(_ reason: String) -> Refusal { Refusal(status: .badRequest, reason: reason) }
    }

    enum Outcome {
        case needMore
        case refused(Refusal)
        /// The head is `byteCount` bytes long; what it says stands in ``RequestParser/parsed``.
        case complete(byteCount: Int)
    }

    /// What a head says about the message and the connection.
    struct Parsed {
        var method = RequestHead.Slice()
        var path = RequestHead.Slice()
        var query: RequestHead.Slice?
        var fields: [RequestHead.Field] = []
        var contentLength: Int?
        var isChunked = false
        var isVersion10 = false
        var keepsAlive = true
        var expectsContinue = false
        var wantsUpgrade = false
        var hasHost = false
    }

    private(set) var parsed = Parsed()
    private let limits: Limits
    private var lineStart = 0
    private var scanned = 0
    private var headerStart = 0
    private var phase = Phase.start

    private enum Phase { case start, requestLine, fields }

    init(limits: Limits = Limits()) {
        self.limits = limits
        parsed.fields.reserveCapacity(16)
    }

    /// Forgets the head parsed last; the next call begins at the first byte it is given.
    mutating func reset() {
        var fields = parsed.fields
        fields.removeAll(keepingCapacity: true)
        parsed = Parsed(fields: fields)
        lineStart = 0
        scanned = 0
        headerStart = 0
        phase = .start
    }

    /// Goes on where the last call stopped. `bytes` begins with the head's first byte and has grown since.
    mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        do throws(Refusal) {
            while let lineFeed = findLineFeed(in: bytes) {
                let start = lineStart
                // Length first, so that the outcome does not depend on how much of the line was here before.
                try checkLength(upTo: lineFeed)
                guard lineFeed > start, bytes[lineFeed - 1] == 0x0D else {
                    throw .bad("line feed without carriage return")
                }
                let line = start..<lineFeed - 1
                lineStart = lineFeed + 1
                scanned = lineStart
                if try take(line, of: bytes) { return .complete(byteCount: lineStart) }
            }
            scanned = bytes.count
            try checkLength(upTo: bytes.count)
            return .needMore
        } catch {
            return .refused(error)
        }
    }

    private func findLineFeed(in bytes: UnsafeRawBufferPointer) -> Int? {
        guard scanned < bytes.count, let base = bytes.baseAddress,
            let found = memchr(base + scanned, 0x0A, bytes.count - scanned)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    /// Returns whether the line ended the head.
    private mutating func take(_ line: Range<Int>, of bytes: UnsafeRawBufferPointer) throws(Refusal) -> Bool {
        switch phase {
        case .start where line.isEmpty:
            // RFC 9112 section 2.2: one empty line before the request line is ignored; robust clients sent it after a body.
            phase = .requestLine
            return false
        case .start, .requestLine:
            try parseRequestLine(bytes, line)
            headerStart = lineStart
            phase = .fields
            return false
        case .fields:
            if line.isEmpty {
                try finish()
                return true
            }
            try parseField(bytes, line)
            return false
        }
    }

    /// Refuses a line that is too long, whether or not its end was seen. The carriage return does not count.
    private func checkLength(upTo end: Int) throws(Refusal) {
        switch phase {
        case .start, .requestLine:
            if end - lineStart > limits.maxRequestLineBytes + 1 {
                throw Refusal(status: 414, reason: "request line too long")
            }
        case .fields:
            if end - headerStart > limits.maxHeaderBytes + 1 { throw Refusal(status: 431, reason: "header too large") }
        }
    }

    // MARK: Request line

    private mutating func parseRequestLine(
        _ bytes: UnsafeRawBufferPointer, _ line: Range<Int>
    ) throws(Refusal) {
        var position = line.lowerBound
        let end = line.upperBound
        while position < end, ASCII.isTokenByte(bytes[position]) { position += 1 }
        guard position > line.lowerBound, position < end, bytes[position] == 0x20 else {
            throw .bad("malformed method")
        }
        parsed.method = slice(line.lowerBound..<position)
        let targetStart = position + 1
        position = targetStart
        while position < end, bytes[position] > 0x20, bytes[position] != 0x7F { position += 1 }
        guard position > targetStart, position < end, bytes[position] == 0x20 else { throw .bad("malformed target") }
        try parseVersion(bytes, position + 1..<end)
        try parseTarget(bytes, targetStart..<position)
    }

    private mutating func parseVersion(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Refusal) {
        let prefix: StaticString = "HTTP/"
        guard range.count == 8, Self.equal(bytes, range.lowerBound..<range.lowerBound + 5, prefix),
            bytes[range.lowerBound + 6] == UInt8(ascii: "."),
            case let major = bytes[range.lowerBound + 5], case let minor = bytes[range.lowerBound + 7],
            major &- 48 < 10, minor &- 48 < 10
        else { throw .bad("malformed version") }
        guard major == UInt8(ascii: "1"), minor <= UInt8(ascii: "1") else {
            throw Refusal(status: 505, reason: "HTTP version not supported")
        }
        parsed.isVersion10 = minor == UInt8(ascii: "0")
        parsed.keepsAlive = !parsed.isVersion10
    }

    private mutating func parseTarget(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Refusal) {
        var start = range.lowerBound
        let first = bytes[start]
        if first == UInt8(ascii: "*") {
            // Asterisk-form belongs to OPTIONS alone (RFC 9112 section 3.2.4).
            guard range.count == 1, Self.equal(bytes, parsed.method.range, "OPTIONS") else {
                throw .bad("malformed target")
            }
        } else if first != UInt8(ascii: "/") {
            start = try authorityEnd(bytes, range)
        }
        var mark: Int?
        for position in start..<range.upperBound {
            if bytes[position] == UInt8(ascii: "#") { throw .bad("fragment in target") }
            if mark == nil, bytes[position] == UInt8(ascii: "?") { mark = position }
        }
        parsed.path = slice(start..<(mark ?? range.upperBound))
        parsed.query = mark.map { slice($0 + 1..<range.upperBound) }
    }

    /// Where the path begins in an absolute-form target, which every server must accept (RFC 9112 section 3.2.2). The Host
    /// field decides nothing here, so the target's authority need not replace it.
    private func authorityEnd(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Refusal) -> Int {
        for scheme in ["http://", "https://"] as [StaticString] {
            let length = scheme.utf8CodeUnitCount
            guard range.count > length,
                Self.equalIgnoringCase(bytes, range.lowerBound..<range.lowerBound + length, scheme)
            else { continue }
            var position = range.lowerBound + length
            while position < range.upperBound, bytes[position] != UInt8(ascii: "/") { position += 1 }
            guard position > range.lowerBound + length, position < range.upperBound else { break }
            return position
        }
        throw .bad("malformed target")
    }

    // MARK: Fields

    private mutating func parseField(_ bytes: UnsafeRawBufferPointer, _ line: Range<Int>) throws(Refusal) {
        var position = line.lowerBound
        while position < line.upperBound, ASCII.isTokenByte(bytes[position]) { position += 1 }
        // A space before the colon, and a line that goes on the one before (obs-fold), both end here.
        guard position > line.lowerBound, position < line.upperBound, bytes[position] == UInt8(ascii: ":") else {
            throw .bad("malformed header field")
        }
        let name = line.lowerBound..<position
        var start = position + 1
        var end = line.upperBound
        while start < end, Self.isBlank(bytes[start]) { start += 1 }
        while end > start, Self.isBlank(bytes[end - 1]) { end -= 1 }
        for index in start..<end where !ASCII.isFieldByte(bytes[index]) {
            throw .bad("control character in header field")
        }
        guard parsed.fields.count < limits.maxFieldCount else {
            throw Refusal(status: 431, reason: "too many header fields")
        }
        parsed.fields.append(RequestHead.Field(name: slice(name), value: slice(start..<end)))
        try interpret(bytes, name, start..<end)
    }

    private mutating func interpret(
        _ bytes: UnsafeRawBufferPointer, _ name: Range<Int>, _ value: Range<Int>
    ) throws(Refusal) {
        switch name.count {
        case 4 where Self.equalIgnoringCase(bytes, name, "host"):
            guard !parsed.hasHost else { throw .bad("two Host fields") }
            for index in value where !Self.isHostByte(bytes[index]) { throw .bad("malformed Host") }
            parsed.hasHost = true
        case 14 where Self.equalIgnoringCase(bytes, name, "content-length"):
            guard parsed.contentLength == nil else { throw .bad("two Content-Length fields") }
            parsed.contentLength = try Self.decimal(bytes, value)
        case 17 where Self.equalIgnoringCase(bytes, name, "transfer-encoding"):
            guard !parsed.isChunked, Self.equalIgnoringCase(bytes, value, "chunked") else {
                throw .bad("unsupported transfer coding")
            }
            parsed.isChunked = true
        case 10 where Self.equalIgnoringCase(bytes, name, "connection"):
            interpretConnection(bytes, value)
        case 6 where Self.equalIgnoringCase(bytes, name, "expect"):
            guard Self.equalIgnoringCase(bytes, value, "100-continue") else {
                throw Refusal(status: 417, reason: "expectation not supported")
            }
            parsed.expectsContinue = true
        default: break
        }
    }

    private mutating func interpretConnection(_ bytes: UnsafeRawBufferPointer, _ value: Range<Int>) {
        var position = value.lowerBound
        while position < value.upperBound {
            let start = position
            while position < value.upperBound, bytes[position] != UInt8(ascii: ",") { position += 1 }
            var token = start..<position
            while let first = token.first, Self.isBlank(bytes[first]) { token = first + 1..<token.upperBound }
            while let last = token.last, Self.isBlank(bytes[last]) { token = token.lowerBound..<last }
            if Self.equalIgnoringCase(bytes, token, "close") {
                parsed.keepsAlive = false
            } else if Self.equalIgnoringCase(bytes, token, "upgrade") {
                parsed.wantsUpgrade = true
            } else if parsed.isVersion10, Self.equalIgnoringCase(bytes, token, "keep-alive") {
                parsed.keepsAlive = true
            }
            position += 1
        }
    }

    private func finish() throws(Refusal) {
        if parsed.isChunked {
            // Each of the two is a way to smuggle: a proxy in front may have used the other framing.
            guard parsed.contentLength == nil else { throw .bad("Content-Length beside Transfer-Encoding") }
            guard !parsed.isVersion10 else { throw .bad("Transfer-Encoding in HTTP/1.0") }
        }
        guard parsed.hasHost || parsed.isVersion10 else { throw .bad("no Host field") }
    }

    // MARK: Bytes

    private func slice(_ range: Range<Int>) -> RequestHead.Slice {
        RequestHead.Slice(start: UInt16(range.lowerBound), count: UInt16(range.count))
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    /// Bytes of `uri-host [ ":" port ]`: enough to refuse lists, user names and paths.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            true
        default:
            ".-_~:[]%!$&'()*+;=".utf8.contains(byte)
        }
    }

    private static func decimal(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws(Refusal) -> Int {
        guard !range.isEmpty, range.count <= 18 else { throw .bad("malformed Content-Length") }
        var value = 0
        for index in range {
            let digit = bytes[index] &- 48
            guard digit < 10 else { throw .bad("malformed Content-Length") }
            value = value * 10 + Int(digit)
        }
        return value
    }

    private static func equal(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count where bytes[range.lowerBound + offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// `text` is lower-case.
    private static func equalIgnoringCase(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ text: StaticString
    ) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count
        where ASCII.lowercased(bytes[range.lowerBound + offset]) != text.utf8Start[offset] {
            return false
        }
        return true
    }
}
