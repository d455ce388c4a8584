// SPDX-License-Identifier: Apache-2.0
import Mail
import Primitives

/// What a message says: its headers and the parts people read. Read leniently, as mail readers do.
package struct MailContent: Sendable {
    /// A name and address of a header.
    package struct Correspondent: Sendable, Hashable {
        package var name: String
        package var address: String

        var text: String { name.isEmpty ? address : "\(name) <\(address)>" }
        var json: JSON { ["Name": .string(name), "Address": .string(address)] }
    }

    /// All headers in order, decoded.
    package private(set) var headers: [(name: String, value: String)] = []
    /// As they came: a decoded name may hold a comma.
    private let source: [(name: String, value: String)]
    package private(set) var text = ""
    package private(set) var html = ""
    /// Names and sizes of parts that are neither.
    package private(set) var attachments: [(name: String, type: String, byteCount: Int)] = []

    private static let maxDepth = 8
    private static let maxParts = 100

    package init(_ raw: String) {
        let (headers, body) = Self.split(Array(raw.utf8))
        source = headers
        self.headers = headers.map { ($0.name, EncodedWords.decode($0.value)) }
        var left = Self.maxParts
        read(headers, body, depth: 0, &left)
    }

    /// The first header of that name; empty when there is none.
    package func header(_ name: String) -> String {
        headers.first { $0.name.lowercased() == name }?.value ?? ""
    }

    package var subject: String { header("subject") }
    package var messageID: String {
        header("message-id").filter { $0 != "<" && $0 != ">" && !$0.isWhitespace }
    }
    package var from: [Correspondent] { correspondents("from") }
    package var to: [Correspondent] { correspondents("to") }
    package var cc: [Correspondent] { correspondents("cc") }
    package var replyTo: [Correspondent] { correspondents("reply-to") }

    /// The beginning of the text, on one line.
    package var snippet: String {
        let words = (text.isEmpty ? html : text).split(whereSeparator: \.isWhitespace)
        return String(words.joined(separator: " ").prefix(250))
    }

    // MARK: Parts

    private typealias Headers = [(name: String, value: String)]

    private mutating func read(_ headers: Headers, _ body: ArraySlice<UInt8>, depth: Int, _ left: inout Int) {
        left -= 1
        guard left >= 0, depth < Self.maxDepth else { return }
        func value(_ name: String) -> String { headers.first { $0.name.lowercased() == name }?.value ?? "" }
        let (type, parameters) = Self.parameters(value("content-type"))
        if type.hasPrefix("multipart/"), let boundary = parameters["boundary"], !boundary.isEmpty {
            for part in Self.parts(body, boundary: boundary) {
                let (inner, content) = Self.split(Array(part))
                read(inner, content, depth: depth + 1, &left)
            }
            return
        }
        let bytes: [UInt8]
        switch value("content-transfer-encoding").lowercased().filter({ !$0.isWhitespace }) {
        case "quoted-printable": bytes = QuotedPrintable.decode(body)
        case "base64":
            let characters = body.filter { $0 > 0x20 }
            bytes = Base64.decode(String(decoding: characters, as: UTF8.self)) ?? Array(body)
        default: bytes = Array(body)
        }
        let (disposition, dispositionParameters) = Self.parameters(value("content-disposition"))
        if disposition != "attachment", type.isEmpty || type == "text/plain" || type.hasPrefix("multipart/"),
            text.isEmpty
        {
            text = Self.string(bytes, parameters["charset"])
        } else if disposition != "attachment", type == "text/html", html.isEmpty {
            html = Self.string(bytes, parameters["charset"])
        } else {
            let name = dispositionParameters["filename"] ?? parameters["name"] ?? ""
            attachments.append((EncodedWords.decode(name), type, bytes.count))
        }
    }

    static func string(_ bytes: [UInt8], _ charset: String?) -> String {
        let isLatin = ["iso-8859-1", "latin1", "windows-1252"].contains(charset?.lowercased() ?? "")
        guard isLatin else { return String(decoding: bytes, as: UTF8.self) }
        var scalars = String.UnicodeScalarView()
        for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
        return String(scalars)
    }

    /// Headers, unfolded, and what follows the empty line.
    private static func split(_ bytes: [UInt8]) -> (Headers, ArraySlice<UInt8>) {
        var headers: Headers = []
        var position = 0
        while position < bytes.count {
            let end = bytes[position...].firstIndex(of: 0x0a) ?? bytes.count
            var line = bytes[position..<end]
            if line.last == 0x0d { line.removeLast() }
            position = min(end + 1, bytes.count)
            if line.isEmpty { break }
            let text = String(decoding: line, as: UTF8.self)
            if text.first == " " || text.first == "\t", !headers.isEmpty {
                headers[headers.count - 1].value += " " + text.trimmingPrefix { $0.isWhitespace }
            } else if let colon = text.firstIndex(of: ":") {
                let value = text[text.index(after: colon)...].trimmingPrefix { $0.isWhitespace }
                headers.append((String(text[..<colon]), String(value)))
            }
        }
        return (headers, bytes[position...])
    }

    private static func parts(_ body: ArraySlice<UInt8>, boundary: String) -> [ArraySlice<UInt8>] {
        let mark = Array("--\(boundary)".utf8)
        var parts: [ArraySlice<UInt8>] = []
        var start: Int?
        var position = body.startIndex
        while position < body.endIndex {
            let end = body[position...].firstIndex(of: 0x0a) ?? body.endIndex
            let line = body[position..<end]
            if line.starts(with: mark) {
                if let start {
                    var stop = position
                    if stop > start, body[stop - 1] == 0x0a { stop -= 1 }
                    if stop > start, body[stop - 1] == 0x0d { stop -= 1 }
                    parts.append(body[start..<stop])
                }
                if line.dropFirst(mark.count).starts(with: "--".utf8) { return parts }
                start = min(end + 1, body.endIndex)
            }
            position = min(end + 1, body.endIndex)
        }
        if let start { parts.append(body[start...]) }
        return parts
    }

    /// `text/plain; charset=utf-8`
    private static func parameters(_ value: String) -> (String, [String: String]) {
        var pieces: [String] = [""]
        var isQuoted = false
        for character in value {
            if character == "\"" { isQuoted.toggle() }
            if character == ";", !isQuoted { pieces.append("") } else { pieces[pieces.count - 1].append(character) }
        }
        var parameters: [String: String] = [:]
        for piece in pieces.dropFirst() {
            let pair = piece.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            let name = pair[0].filter { !$0.isWhitespace }.lowercased()
            let text = pair[1].trimmingPrefix { $0.isWhitespace }
            let end = text.lastIndex { !$0.isWhitespace }.map { text.index(after: $0) } ?? text.endIndex
            parameters[name] = String(text[..<end].filter { $0 != "\"" })
        }
        return (pieces[0].filter { !$0.isWhitespace }.lowercased(), parameters)
    }

    private func correspondents(_ header: String) -> [Correspondent] {
        let value = source.first { $0.name.lowercased() == header }?.value ?? ""
        var entries: [String] = [""]
        var isQuoted = false
        for character in value {
            if character == "\"" { isQuoted.toggle() }
            if character == ",", !isQuoted { entries.append("") } else { entries[entries.count - 1].append(character) }
        }
        return entries.compactMap { entry in
            let trimmed = entry.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            guard !trimmed.isEmpty else { return nil }
            guard let open = trimmed.lastIndex(of: "<"), let close = trimmed.lastIndex(of: ">"), open < close else {
                return Correspondent(name: "", address: trimmed)
            }
            let name = trimmed[..<open].filter { $0 != "\"" }
            return Correspondent(
                name: EncodedWords.decode(name.split(separator: " ").joined(separator: " ")),
                address: String(trimmed[trimmed.index(after: open)..<close]))
        }
    }
}

/// Encoded words in headers (RFC 2047).
enum EncodedWords {
    static func decode(_ text: String) -> String {
        guard text.contains("=?") else { return text }
        var result = ""
        var lastWasEncoded = false
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if let decoded = decode(word: word) {
                // Space between encoded words belongs to the encoding.
                if !result.isEmpty, !lastWasEncoded { result += " " }
                result += decoded
                lastWasEncoded = true
            } else {
                if !result.isEmpty { result += " " }
                result += word
                lastWasEncoded = false
            }
        }
        return result
    }

    private static func decode(word: Substring) -> String? {
        guard word.hasPrefix("=?"), word.hasSuffix("?=") else { return nil }
        let parts = word.dropFirst(2).dropLast(2).split(separator: "?", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        let bytes: [UInt8]?
        switch parts[1].lowercased() {
        case "b": bytes = Base64.decode(parts[2])
        case "q": bytes = QuotedPrintable.decode(parts[2].utf8.map { $0 == UInt8(ascii: "_") ? 0x20 : $0 })
        default: bytes = nil
        }
        return bytes.map { MailContent.string($0, String(parts[0])) }
    }
}
