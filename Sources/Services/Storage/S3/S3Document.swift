// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// One element of the small XML documents of the S3 protocol, read and written. No attributes but the root's namespace, no
/// document types, no entities but the five of XML itself.
struct S3Element: Sendable, Hashable {
    var name: String
    var text: String
    var children: [S3Element]

    init(_ name: String, _ text: String) {
        self.name = name
        self.text = text
        children = []
    }

    init(_ name: String, _ children: [S3Element]) {
        self.name = name
        text = ""
        self.children = children
    }

    subscript(name: String) -> String? { children.first { $0.name == name }?.text }
    func all(_ name: String) -> [S3Element] { children.filter { $0.name == name } }

    // MARK: Writing

    static let namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

    /// The document with this element as its root.
    func response(_ status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, headers: ["Content-Type": "application/xml"], body: .bytes(encoded))
    }

    /// The document's text.
    var encoded: [UInt8] {
        var bytes = Array("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".utf8)
        write(into: &bytes, isRoot: true)
        return bytes
    }

    private func write(into bytes: inout [UInt8], isRoot: Bool = false) {
        bytes += Array("<\(name)".utf8)
        if isRoot, name != "Error" { bytes += Array(" xmlns=\"\(Self.namespace)\"".utf8) }
        bytes.append(UInt8(ascii: ">"))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "<"): bytes += Array("&lt;".utf8)
            case UInt8(ascii: ">"): bytes += Array("&gt;".utf8)
            case UInt8(ascii: "&"): bytes += Array("&amp;".utf8)
            case UInt8(ascii: "\""): bytes += Array("&quot;".utf8)
            case 0..<0x20 where byte != 9 && byte != 10 && byte != 13: bytes.append(UInt8(ascii: "?"))
            default: bytes.append(byte)
            }
        }
        for child in children { child.write(into: &bytes) }
        bytes += Array("</\(name)>".utf8)
    }

    // MARK: Reading

    /// - Throws: ``StorageError`` with `malformedXML`.
    init(parsing bytes: [UInt8]) throws(StorageError) {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Self.malformed }
        var reader = Reader(rest: Array(text.utf8)[...])
        try reader.skipProlog()
        self = try reader.element(depth: 0)
        reader.skipSpace()
        guard reader.rest.isEmpty else { throw Self.malformed }
    }

    fileprivate static var malformed: StorageError {
        StorageError(.malformedXML, "The XML you provided was not well-formed or did not validate")
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>
        static let maxDepth = 8

        mutating func skipSpace() {
            rest = rest.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        }

        mutating func skipProlog() throws(StorageError) {
            if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
            skipSpace()
            guard rest.starts(with: "<?".utf8) else { return }
            while !rest.isEmpty, !rest.starts(with: "?>".utf8) { rest = rest.dropFirst() }
            rest = rest.dropFirst(2)
            skipSpace()
        }

        mutating func element(depth: Int) throws(StorageError) -> S3Element {
            guard depth < Self.maxDepth, rest.popFirst() == UInt8(ascii: "<") else { throw malformed }
            let name = take { Self.isNameByte($0) }
            guard !name.isEmpty else { throw malformed }
            // Attributes say nothing here; a quoted value may hold a `>`.
            var quote: UInt8?
            var last: UInt8 = 0
            while let byte = rest.first, quote != nil || byte != UInt8(ascii: ">") {
                if let open = quote {
                    if byte == open { quote = nil }
                } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                    quote = byte
                } else if byte == UInt8(ascii: "<") {
                    throw malformed
                }
                last = byte
                rest = rest.dropFirst()
            }
            guard rest.popFirst() != nil else { throw malformed }
            var element = S3Element(name, "")
            if last == UInt8(ascii: "/") { return element }
            var text: [UInt8] = []
            while true {
                guard let byte = rest.first else { throw malformed }
                if byte != UInt8(ascii: "<") {
                    text.append(byte)
                    rest = rest.dropFirst()
                } else if rest.starts(with: "</".utf8) {
                    rest = rest.dropFirst(2)
                    guard take({ Self.isNameByte($0) }) == name else { throw malformed }
                    skipSpace()
                    guard rest.popFirst() == UInt8(ascii: ">") else { throw malformed }
                    element.text = element.children.isEmpty ? try Self.unescaped(text) : ""
                    return element
                } else {
                    element.children.append(try self.element(depth: depth + 1))
                }
            }
        }

        private mutating func take(_ isWanted: (UInt8) -> Bool) -> String {
            let part = rest.prefix(while: isWanted)
            rest = rest.dropFirst(part.count)
            return String(decoding: part, as: UTF8.self)
        }

        private static func isNameByte(_ byte: UInt8) -> Bool {
            (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || (0x30...0x39).contains(byte) || "-_.:".utf8.contains(byte)
        }

        private static func unescaped(_ bytes: [UInt8]) throws(StorageError) -> String {
            guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
            var text: [UInt8] = []
            var rest = bytes[...]
            while let byte = rest.popFirst() {
                guard byte == UInt8(ascii: "&") else {
                    text.append(byte)
                    continue
                }
                let name = String(decoding: rest.prefix { $0 != UInt8(ascii: ";") }, as: UTF8.self)
                guard name.utf8.count <= 8, rest.count > name.utf8.count else { throw S3Element.malformed }
                rest = rest.dropFirst(name.utf8.count + 1)
                switch name {
                case "lt": text.append(UInt8(ascii: "<"))
                case "gt": text.append(UInt8(ascii: ">"))
                case "amp": text.append(UInt8(ascii: "&"))
                case "quot": text.append(UInt8(ascii: "\""))
                case "apos": text.append(UInt8(ascii: "'"))
                default:
                    let digits = name.dropFirst(name.hasPrefix("#x") ? 2 : 1)
                    guard name.hasPrefix("#"), let number = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10),
                        let scalar = Unicode.Scalar(number)
                    else { throw S3Element.malformed }
                    text.append(contentsOf: String(Character(scalar)).utf8)
                }
            }
            return String(decoding: text, as: UTF8.self)
        }

        private var malformed: StorageError { S3Element.malformed }
    }
}
