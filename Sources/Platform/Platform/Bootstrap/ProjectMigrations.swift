// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// The migrations in `supabase/migrations`.
struct ProjectMigrations: Sendable, Equatable {
    var migrations: [Migration] = []
    /// Names that are no migrations' names, for a warning each.
    var skipped: [String] = []

    /// Reads the folder; none when it is not there.
    ///
    /// - Throws: ``BootstrapError`` with `unreadableFile`.
    init(folder: String) throws {
        for name in try SQLFile.names(in: folder) where !name.hasPrefix(".") {
            guard Migration(fileName: name, sql: "") != nil else {
                skipped.append(name)
                continue
            }
            let text = try SQLFile(path: name, in: folder).text
            if let migration = Migration(fileName: name, sql: Self.tolerant(text)) { migrations.append(migration) }
        }
    }

    /// The text with `create extension NAME` turned into `create extension if not exists NAME` for the extensions that the
    /// platform has installed already. A migration for a new Supabase project may well say the first.
    static func tolerant(_ sql: String) -> String {
        let bytes = Array(sql.utf8)
        var result: [UInt8] = []
        var copied = 0
        var words = WordScanner(bytes)
        var before: [Substring] = []
        while let word = words.next() {
            if before == ["create", "extension"], Bootstrap.extensions.contains(String(word.text)) {
                result += bytes[copied..<word.start]
                result += Array("if not exists ".utf8)
                copied = word.start
            }
            before = before.suffix(1) + [word.text]
        }
        guard copied > 0 else { return sql }
        result += bytes[copied...]
        return String(decoding: result, as: UTF8.self)
    }
}

/// Finds the words of a text, in lower case; a quoted name is one word. Words of comments and constants are found too, where
/// what is done with them changes nothing.
private struct WordScanner {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> (text: Substring, start: Int)? {
        while position < bytes.count, !Self.isWordByte(bytes[position]), bytes[position] != UInt8(ascii: "\"") {
            position += 1
        }
        guard position < bytes.count else { return nil }
        let start = position
        let isQuoted = bytes[start] == UInt8(ascii: "\"")
        if isQuoted { position += 1 }
        let first = position
        while position < bytes.count, Self.isWordByte(bytes[position]) || (isQuoted && bytes[position] == 0x2D) {
            position += 1
        }
        let text = String(decoding: bytes[first..<position], as: UTF8.self).lowercased()
        if isQuoted, position < bytes.count, bytes[position] == UInt8(ascii: "\"") { position += 1 }
        return (Substring(text), start)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...0xFF:
            true
        default: false
        }
    }
}
