// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import Glibc

/// What a statement returns: a RowDescription, shared by all its results.
final class WireColumns: Sendable {
    let names: [String]
    /// OIDs.
    let types: [UInt32]

    /// Of a statement without rows.
    static let none = WireColumns(names: [], types: [])

    private init(names: [String], types: [UInt32]) {
        self.names = names
        self.types = types
    }

    /// What libpq says of a result.
    init(of result: OpaquePointer) {
        let columns = 0..<PQnfields(result)
        names = columns.map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
        types = columns.map { PQftype(result, $0) }
    }

    /// Reads a RowDescription; nil when it does not add up.
    init?(_ payload: UnsafeRawBufferPointer) {
        var reader = WireReader(payload)
        guard let count = reader.int16(), count >= 0 else { return nil }
        var names: [String] = []
        var types: [UInt32] = []
        for _ in 0..<count {
            // Name; table and number there; type, its size and modifier; format.
            guard let name = reader.text(), reader.skip(6), let type = reader.int32(), reader.skip(8) else {
                return nil
            }
            names.append(name)
            types.append(UInt32(bitPattern: type))
        }
        guard reader.isAtEnd else { return nil }
        self.names = names
        self.types = types
    }
}

/// The rows of one result: the bytes of their cells behind one another, and where each lies. Filled first, then only read.
final class WireRows {
    private struct Cell {
        /// From the beginning of the bytes; below zero for SQL NULL.
        let offset: Int
        let count: Int
    }

    let columns: WireColumns
    private(set) var count = 0
    private var cells: [Cell] = []
    private var bytes: UnsafeMutableRawPointer?
    private var capacity = 0
    private var used = 0

    init(_ columns: WireColumns) {
        self.columns = columns
    }

    deinit { bytes?.deallocate() }

    /// The bytes of all cells together.
    var byteCount: Int { cells.reduce(0) { $0 + $1.count } }

    /// Adds a DataRow; false when it does not add up.
    func add(_ payload: UnsafeRawBufferPointer) -> Bool {
        var reader = WireReader(payload)
        guard let fields = reader.int16(), Int(fields) == columns.names.count else { return false }
        if count == 0 { cells.reserveCapacity(Int(fields)) }
        let first = cells.count
        let start = copy(payload)
        for _ in 0..<fields {
            guard let length = reader.int32() else { return undo(first) }
            if length < 0 {
                cells.append(Cell(offset: -1, count: 0))
                continue
            }
            cells.append(Cell(offset: start + reader.position, count: Int(length)))
            guard reader.skip(Int(length)) else { return undo(first) }
        }
        guard reader.isAtEnd else { return undo(first) }
        count += 1
        return true
    }

    /// Adds the only row of a libpq result.
    func add(_ result: OpaquePointer) {
        for column in 0..<Int32(columns.names.count) {
            guard PQgetisnull(result, 0, column) == 0, let value = PQgetvalue(result, 0, column) else {
                cells.append(Cell(offset: -1, count: 0))
                continue
            }
            let length = Int(PQgetlength(result, 0, column))
            cells.append(Cell(offset: copy(UnsafeRawBufferPointer(start: value, count: length)), count: length))
        }
        count += 1
    }

    func isNull(_ row: Int, _ column: Int) -> Bool { cells[row * columns.names.count + column].offset < 0 }

    /// The bytes of a cell, none for SQL NULL; valid as long as this lives.
    func cell(_ row: Int, _ column: Int) -> UnsafeRawBufferPointer {
        let cell = cells[row * columns.names.count + column]
        guard cell.offset >= 0, let bytes else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: bytes + cell.offset, count: cell.count)
    }

    private func undo(_ cellCount: Int) -> Bool {
        cells.removeLast(cells.count - cellCount)
        return false
    }

    /// Where the copy begins.
    private func copy(_ payload: UnsafeRawBufferPointer) -> Int {
        if capacity - used < payload.count {
            // One row is the usual; more come with room for as many again.
            capacity = max(used == 0 ? 0 : capacity * 2, used + payload.count)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 1), alignment: 16)
            if let bytes {
                memcpy(larger, bytes, used)
                bytes.deallocate()
            }
            bytes = larger
        }
        let start = used
        if let source = payload.baseAddress, let bytes { memcpy(bytes + used, source, payload.count) }
        used += payload.count
        return start
    }
}

/// Reads a message from its beginning; nil and false where it is too short.
struct WireReader {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8? {
        guard position < bytes.count else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func int16() -> Int16? { integer() }
    mutating func int32() -> Int32? { integer() }

    /// A text that a NUL byte ends.
    mutating func text() -> String? {
        guard let end = bytes[position...].firstIndex(of: 0) else { return nil }
        defer { position = end + 1 }
        return String(decoding: bytes[position..<end], as: UTF8.self)
    }

    mutating func skip(_ count: Int) -> Bool {
        guard count >= 0, bytes.count - position >= count else { return false }
        position += count
        return true
    }

    private mutating func integer<Number: FixedWidthInteger & BitwiseCopyable>() -> Number? {
        let size = MemoryLayout<Number>.size
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: Number.self))
    }
}

extension PostgresError {
    /// Reads an ErrorResponse (section 54.8 of PostgreSQL's manual); nil when it has no SQLSTATE.
    init?(wire payload: UnsafeRawBufferPointer) {
        var reader = WireReader(payload)
        var fields: [UInt8: String] = [:]
        while let code = reader.byte(), code != 0 {
            guard let text = reader.text() else { return nil }
            fields[code] = text
        }
        self.init(field: { fields[$0] })
    }
}
