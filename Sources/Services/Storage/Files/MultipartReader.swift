// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Takes a `multipart/form-data` body apart as its bytes come (RFC 7578, RFC 2046 section 5.1). No I/O: bytes go in, events
/// come out; what it holds back is at most a part's head or the length of a boundary.
struct MultipartReader: Sendable {
    enum Event: Sendable, Hashable {
        /// A part begins.
        case part(Part)
        /// Bytes of the part.
        case data([UInt8])
        case endOfPart
        /// The closing boundary; what follows is ignored.
        case end
    }

    struct Part: Sendable, Hashable {
        var name: String
        /// Nil for a plain field.
        var fileName: String?
        var contentType: String?
    }

    private enum State {
        case preamble, head, body, done
    }

    /// The most bytes of a part's head.
    static let maxHeadBytes = 16 << 10
    private let delimiter: [UInt8]
    private var buffer: [UInt8]
    private var state = State.preamble

    /// - Parameter contentType: the request's field.
    /// - Returns: nil when it is no form with a boundary.
    init?(contentType: String) {
        guard contentType.prefix(while: { $0 != ";" }).trimmed.lowercased() == "multipart/form-data",
            let boundary = HeaderParameters(contentType)["boundary"], (1...70).contains(boundary.utf8.count)
        else { return nil }
        delimiter = Array("\r\n--\(boundary)".utf8)
        // The first boundary has no line break in front of it when nothing else has.
        buffer = [13, 10]
    }

    var isDone: Bool { state == .done }

    /// - Throws: ``StorageError`` when the form is malformed.
    mutating func feed(_ bytes: [UInt8]) throws(StorageError) -> [Event] {
        guard state != .done else { return [] }
        buffer.append(contentsOf: bytes)
        var events: [Event] = []
        var start = 0
        loop: while true {
            switch state {
            case .preamble, .body:
                let found = find(from: start)
                // Behind a boundary comes a line break or two dashes; until they are here nothing is decided.
                guard let found, found + delimiter.count + 2 <= buffer.count else {
                    let kept = found ?? max(start, buffer.count - delimiter.count + 1)
                    if state == .body, kept > start { events.append(.data(Array(buffer[start..<kept]))) }
                    start = max(start, kept)
                    break loop
                }
                if state == .body {
                    if found > start { events.append(.data(Array(buffer[start..<found]))) }
                    events.append(.endOfPart)
                }
                var next = found + delimiter.count
                if buffer[next] == UInt8(ascii: "-"), buffer[next + 1] == UInt8(ascii: "-") {
                    events.append(.end)
                    state = .done
                    buffer = []
                    return events
                }
                while next < buffer.count, buffer[next] == UInt8(ascii: " ") || buffer[next] == 9 { next += 1 }
                guard next + 1 < buffer.count, buffer[next] == 13, buffer[next + 1] == 10 else {
                    throw .invalid("The form's boundary is malformed")
                }
                start = next
                state = .head
            case .head:
                guard let end = findHeadEnd(from: start) else {
                    guard buffer.count - start <= Self.maxHeadBytes else {
                        throw .invalid("The head of a form's part is too long")
                    }
                    break loop
                }
                guard end - start <= Self.maxHeadBytes else { throw .invalid("The head of a form's part is too long") }
                events.append(.part(try Self.part(buffer[start..<end])))
                start = end + 4
                state = .body
            case .done: break loop
            }
        }
        if start > 0 { buffer.removeFirst(start) }
        return events
    }

    private func find(from start: Int) -> Int? {
        buffer.withUnsafeBufferPointer { bytes in
            guard bytes.count >= delimiter.count else { return nil }
            var position = start
            let last = bytes.count - delimiter.count
            while position <= last, let base = bytes.baseAddress,
                let found = memchr(base + position, 13, last - position + 1)
            {
                position = UnsafeRawPointer(found) - UnsafeRawPointer(base)
                var length = 1
                while length < delimiter.count, bytes[position + length] == delimiter[length] { length += 1 }
                if length == delimiter.count { return position }
                position += 1
            }
            return nil
        }
    }

    /// The empty line that ends a head; the head begins with the line break of its boundary.
    private func findHeadEnd(from start: Int) -> Int? {
        guard buffer.count >= start + 4 else { return nil }
        for position in start...(buffer.count - 4)
        where buffer[position] == 13 && buffer[position + 1] == 10 && buffer[position + 2] == 13
            && buffer[position + 3] == 10
        {
            return position
        }
        return nil
    }

    private static func part(_ head: ArraySlice<UInt8>) throws(StorageError) -> Part {
        var part: Part?
        var contentType: String?
        for line in String(decoding: head, as: UTF8.self).split(separator: "\r\n") {
            guard let colon = line.firstIndex(of: ":") else { throw .invalid("A form's part has a malformed head") }
            let value = line[line.index(after: colon)...].trimmed
            switch line[..<colon].lowercased() {
            case "content-disposition":
                let parameters = HeaderParameters(String(value))
                part = Part(name: parameters["name"] ?? "", fileName: parameters["filename"])
            case "content-type": contentType = String(value)
            default: break
            }
        }
        guard var part else { throw .invalid("A form's part has no Content-Disposition") }
        part.contentType = contentType
        return part
    }
}

/// The parameters behind a header field's value: `form-data; name="a"`.
struct HeaderParameters: Sendable {
    private var values: [(name: String, value: String)] = []

    init(_ field: String) {
        var rest = field.drop { $0 != ";" }
        while rest.first == ";" {
            rest = rest.dropFirst().drop { $0 == " " || $0 == "\t" }
            let name = rest.prefix { $0 != "=" && $0 != ";" }
            rest = rest.dropFirst(name.count)
            guard rest.first == "=" else { continue }
            rest = rest.dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let character = rest.first, character != "\"" {
                    rest = rest.dropFirst()
                    if character == "\\", let escaped = rest.first, escaped == "\"" || escaped == "\\" {
                        value.append(escaped)
                        rest = rest.dropFirst()
                    } else {
                        value.append(character)
                    }
                }
                rest = rest.dropFirst().drop { $0 != ";" }
            } else {
                value = String(rest.prefix { $0 != ";" }.trimmed)
                rest = rest.drop { $0 != ";" }
            }
            values.append((name.trimmed.lowercased(), value))
        }
    }

    subscript(name: String) -> String? { values.first { $0.name == name }?.value }
}

extension StringProtocol {
    /// Without spaces and tabs at both ends.
    var trimmed: SubSequence {
        var start = startIndex
        var end = endIndex
        while start < end, self[start] == " " || self[start] == "\t" { start = index(after: start) }
        while start < end, self[index(before: end)] == " " || self[index(before: end)] == "\t" {
            end = index(before: end)
        }
        return self[start..<end]
    }
}
