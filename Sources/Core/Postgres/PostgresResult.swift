// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
package import Primitives

/// What one query returned. Owns libpq's result, or the rows that a ``Wire`` has read; cells are lent from it without a copy.
// @unchecked Sendable: what it holds is only read after it was made, and freed once, when the last reference is gone.
package final class PostgresResult: @unchecked Sendable {
    private enum Storage {
        case libpq(OpaquePointer)
        case wire(WireRows, tag: String)
    }

    private let storage: Storage
    /// How many rows it holds; 0 for statements that return none.
    package let rowCount: Int
    package let columnCount: Int

    init(takingOwnershipOf handle: OpaquePointer) {
        storage = .libpq(handle)
        rowCount = Int(PQntuples(handle))
        columnCount = Int(PQnfields(handle))
    }

    /// - Parameter tag: what was done, as CommandComplete says it.
    init(_ rows: WireRows, tag: String) {
        storage = .wire(rows, tag: tag)
        rowCount = rows.count
        columnCount = rows.columns.names.count
    }

    /// The bytes of all cells together.
    package var byteCount: Int {
        switch storage {
        case .libpq(let handle): (0..<Int32(rowCount)).reduce(0) { $0 + Self.byteCount(of: handle, row: $1) }
        case .wire(let rows, _): rows.byteCount
        }
    }

    static func byteCount(of handle: OpaquePointer, row: Int32) -> Int {
        (0..<PQnfields(handle)).reduce(0) { $0 + Int(PQgetlength(handle, row, $1)) }
    }

    deinit {
        if case .libpq(let handle) = storage { PQclear(handle) }
    }

    /// The name of each column, as the query gave it; names may repeat.
    package var columnNames: [String] {
        switch storage {
        case .libpq(let handle):
            (0..<columnCount).map { PQfname(handle, Int32($0)).map { String(cString: $0) } ?? "" }
        case .wire(let rows, _): rows.columns.names
        }
    }

    /// The type of each column, as an OID (``PostgresType``).
    package var columnTypes: [UInt32] {
        switch storage {
        case .libpq(let handle): (0..<columnCount).map { PQftype(handle, Int32($0)) }
        case .wire(let rows, _): rows.columns.types
        }
    }

    /// The number of the first column with this name.
    package func column(_ name: String) -> Int? {
        switch storage {
        case .libpq(let handle):
            (0..<columnCount).first { PQfname(handle, Int32($0)).map { name == String(cString: $0) } ?? false }
        case .wire(let rows, _): rows.columns.names.firstIndex(of: name)
        }
    }

    /// What was done, such as `INSERT 0 1`.
    package var commandTag: String {
        switch storage {
        case .libpq(let handle): PQcmdStatus(handle).map { String(cString: $0) } ?? ""
        case .wire(_, let tag): tag
        }
    }

    /// The number of rows selected, inserted, updated, deleted, merged or copied; 0 for other statements.
    package var affectedRows: Int { commandTag.split(separator: " ").last.flatMap { Int($0) } ?? 0 }

    /// Whether the cell is SQL NULL.
    package func isNull(_ row: Int, _ column: Int) -> Bool {
        checkBounds(row, column)
        switch storage {
        case .libpq(let handle): return PQgetisnull(handle, Int32(row), Int32(column)) == 1
        case .wire(let rows, _): return rows.isNull(row, column)
        }
    }

    /// The cell's text form, or nil for SQL NULL.
    package func string(_ row: Int, _ column: Int) -> String? {
        isNull(row, column) ? nil : String(decoding: cell(row, column), as: UTF8.self)
    }

    /// Lends the cell's text form; SQL NULL is no bytes. The pointer is valid only inside `body`.
    package func withBytes<Result>(
        _ row: Int, _ column: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        checkBounds(row, column)
        return try body(cell(row, column))
    }

    /// The cell as something that can be sent on without a copy; it keeps the whole result alive. SQL NULL is no bytes.
    package func value(_ row: Int, _ column: Int) -> any BytesOwner {
        checkBounds(row, column)
        return PostgresCell(result: self, bytes: cell(row, column))
    }

    /// A row, for access by column name.
    package subscript(row: Int) -> PostgresRow {
        precondition(row >= 0 && row < rowCount, "row out of range")
        return PostgresRow(result: self, row: row)
    }

    /// The only row, or nil when there is none or more than one.
    package var onlyRow: PostgresRow? { rowCount == 1 ? self[0] : nil }

    /// All rows in order.
    package var rows: some Sequence<PostgresRow> { (0..<rowCount).lazy.map { PostgresRow(result: self, row: $0) } }

    // libpq returns an empty string out of range and complains on standard error; here it is a fault of the program.
    private func checkBounds(_ row: Int, _ column: Int) {
        precondition(row >= 0 && row < rowCount, "row out of range")
        precondition(column >= 0 && column < columnCount, "column out of range")
    }

    private func cell(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        switch storage {
        case .libpq(let handle):
            UnsafeRawBufferPointer(
                start: PQgetvalue(handle, Int32(row), Int32(column)),
                count: Int(PQgetlength(handle, Int32(row), Int32(column))))
        case .wire(let rows, _): rows.cell(row, column)
        }
    }
}

/// One cell, lent as long as this lives.
// @unchecked Sendable: points into the result it retains, which is never changed.
private struct PostgresCell: BytesOwner, @unchecked Sendable {
    let result: PostgresResult
    let bytes: UnsafeRawBufferPointer

    var byteCount: Int { bytes.count }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(result) { try body(bytes) }
    }
}

/// One row of a result. `row["name"].uuid` reads a cell; a column that is not there reads as NULL.
package struct PostgresRow: Sendable {
    let result: PostgresResult
    let row: Int

    package subscript(name: String) -> PostgresValue {
        PostgresValue(text: result.column(name).flatMap { result.string(row, $0) })
    }

    package subscript(column: Int) -> PostgresValue {
        PostgresValue(text: result.string(row, column))
    }
}

/// A cell's text form and the Swift values it can be read as; each is nil for SQL NULL and for text of another form.
package struct PostgresValue: Sendable, Hashable {
    /// The text form; nil for SQL NULL.
    package let text: String?

    package var isNull: Bool { text == nil }
    package var string: String? { text }
    package var int: Int? { text.flatMap { Int($0) } }
    package var double: Double? { text.flatMap { Double($0) } }
    package var uuid: UUID? { text.flatMap { UUID($0) } }
    package var json: JSON? { text.flatMap { try? JSON(parsing: $0) } }
    package var timestamp: Timestamp? { text.flatMap { Timestamp($0) } }

    package var bool: Bool? {
        switch text {
        case "t", "true": true
        case "f", "false": false
        default: nil
        }
    }

    /// A `bytea` in its hex form, which is the server's default.
    package var bytes: [UInt8]? {
        guard let text, text.hasPrefix("\\x") else { return nil }
        return Hex.decode(String(text.dropFirst(2)))
    }

    /// A one-dimensional array's elements, NULL as nil.
    package var array: [String?]? { text.flatMap { PostgresArrayText.parse($0) } }
}

/// Reads the text form of one-dimensional arrays (section 8.15.6 of PostgreSQL's manual).
enum PostgresArrayText {
    static func parse(_ text: String) -> [String?]? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}") else { return nil }
        var elements: [String?] = []
        var position = 1
        let end = bytes.count - 1
        while position < end {
            var element: [UInt8] = []
            var wasQuoted = false
            if bytes[position] == UInt8(ascii: "\"") {
                wasQuoted = true
                position += 1
                while position < end, bytes[position] != UInt8(ascii: "\"") {
                    if bytes[position] == UInt8(ascii: "\\") { position += 1 }
                    element.append(bytes[position])
                    position += 1
                }
                position += 1
            } else {
                while position < end, bytes[position] != UInt8(ascii: ",") {
                    if bytes[position] == UInt8(ascii: "{") { return nil }
                    if bytes[position] == UInt8(ascii: "\\") { position += 1 }
                    element.append(bytes[position])
                    position += 1
                }
            }
            let decoded = String(decoding: element, as: UTF8.self)
            elements.append(!wasQuoted && decoded.lowercased() == "null" ? nil : decoded)
            guard position >= end || bytes[position] == UInt8(ascii: ",") else { return nil }
            position += 1
        }
        return elements
    }
}
