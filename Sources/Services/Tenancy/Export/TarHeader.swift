// SPDX-License-Identifier: Apache-2.0

/// The headers of a tar archive's files (POSIX.1-2024 pax, section "pax Interchange Format").
enum TarHeader {
    /// The unit everything in an archive is padded to, in bytes.
    static let blockBytes = 512

    /// What stands before a file's content.
    ///
    /// - Parameters:
    ///   - path: relative, `/` between its parts.
    ///   - modifiedAt: seconds since 1970.
    static func bytes(path: String, byteCount: Int, modifiedAt: Int64) -> [UInt8] {
        // Older readers know names of 100 ASCII characters and sizes of 11 octal digits; a record of attributes says the rest.
        let isPlain = path.utf8.count <= 100 && path.utf8.allSatisfy { $0 < 0x80 }
        if isPlain, byteCount < 1 << 33 {
            return block(name: Array(path.utf8), byteCount: byteCount, modifiedAt: modifiedAt, type: "0")
        }
        let records = record("path", path) + record("size", "\(byteCount)")
        let name = Array(path.utf8.filter { $0 < 0x80 }.suffix(80))
        return block(name: Array("attributes".utf8), byteCount: records.count, modifiedAt: modifiedAt, type: "x")
            + records + padding(after: records.count)
            + block(name: name, byteCount: min(byteCount, (1 << 33) - 1), modifiedAt: modifiedAt, type: "0")
    }

    /// What fills the last block of a content up.
    static func padding(after byteCount: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: (blockBytes - byteCount % blockBytes) % blockBytes)
    }

    /// What an archive ends with.
    static var end: [UInt8] { [UInt8](repeating: 0, count: 2 * blockBytes) }

    /// `length key=value\n`, whose length counts its own digits.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count
        while "\(length)".utf8.count + rest.utf8.count != length { length = "\(length)".utf8.count + rest.utf8.count }
        return Array("\(length)\(rest)".utf8)
    }

    private static func block(name: [UInt8], byteCount: Int, modifiedAt: Int64, type: Unicode.Scalar) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: blockBytes)
        func put(_ bytes: [UInt8], at offset: Int) {
            header.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        func octal(_ number: Int64, digits: Int) -> [UInt8] {
            let text = String(max(0, number), radix: 8)
            return Array((String(repeating: "0", count: max(0, digits - text.utf8.count)) + text).utf8)
        }
        put(name, at: 0)
        put(octal(0o644, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(Int64(byteCount), digits: 11), at: 124)
        put(octal(modifiedAt, digits: 11), at: 136)
        // The checksum is made with spaces in its own place.
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148)
        header[156] = UInt8(ascii: type)
        put(Array("ustar\u{0}00".utf8), at: 257)
        let sum = header.reduce(Int64(0)) { $0 + Int64($1) }
        put(octal(sum, digits: 6) + [0, UInt8(ascii: " ")], at: 148)
        return header
    }
}
