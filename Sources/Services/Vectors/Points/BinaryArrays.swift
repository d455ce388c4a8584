// SPDX-License-Identifier: Apache-2.0
internal import Postgres

/// Builds an array in PostgreSQL's binary form (`array_recv`), element by element.
struct BinaryArray {
    private var bytes: [UInt8] = []
    private var count = 0
    private var hasNulls = false
    private let elementType: UInt32

    /// - Parameters:
    ///   - elementType: its OID.
    ///   - byteCount: what will be needed, about.
    init(of elementType: UInt32, reserving byteCount: Int = 0) {
        self.elementType = elementType
        bytes.reserveCapacity(byteCount + 32)
        bytes.append(contentsOf: repeatElement(0, count: 20))
    }

    mutating func appendNull() {
        Self.append(UInt32.max, to: &bytes)
        hasNulls = true
        count += 1
    }

    mutating func append(_ element: some Collection<UInt8>) {
        Self.append(UInt32(element.count), to: &bytes)
        bytes.append(contentsOf: element)
        count += 1
    }

    /// Appends a point's id in the column's form.
    mutating func append(_ id: PointID) {
        guard case .number(let value) = id else { return append(id.key) }
        Self.append(9, to: &bytes)
        bytes.append(0)
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        count += 1
    }

    /// Appends `prefix` and then the bytes as one element.
    mutating func append(prefix: UInt8, _ element: UnsafeRawBufferPointer) {
        Self.append(UInt32(element.count + 1), to: &bytes)
        bytes.append(prefix)
        bytes.append(contentsOf: element)
        count += 1
    }

    /// Appends a `vector`: its dimensions and floats in network order.
    mutating func append(vector floats: UnsafeBufferPointer<Float>) {
        Self.append(UInt32(4 + 4 * floats.count), to: &bytes)
        Self.append(vector: floats, to: &bytes)
        count += 1
    }

    /// The binary form of a `vector`.
    static func append(vector floats: UnsafeBufferPointer<Float>, to bytes: inout [UInt8]) {
        append(UInt32(floats.count) << 16, to: &bytes)
        let start = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 4 * floats.count))
        bytes.withUnsafeMutableBytes { buffer in
            for index in 0..<floats.count {
                buffer.storeBytes(
                    of: floats[index].bitPattern.bigEndian, toByteOffset: start + 4 * index, as: UInt32.self)
            }
        }
    }

    static func append(_ value: UInt32, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }

    /// The array as a parameter.
    ///
    /// - Parameter type: the OID of the array's type.
    consuming func parameter(type: UInt32) -> PostgresParameter {
        // An empty array has no dimensions.
        let header: [UInt32] =
            count == 0 ? [0, 0, elementType] : [1, hasNulls ? 1 : 0, elementType, UInt32(count), 1]
        if count == 0 { bytes.removeLast(8) }
        for (index, word) in header.enumerated() {
            withUnsafeBytes(of: word.bigEndian) { source in
                for offset in 0..<4 { bytes[4 * index + offset] = source[offset] }
            }
        }
        return PostgresParameter(binary: bytes, type: type)
    }
}

extension PostgresParameter {
    /// A `vector`.
    init(vector floats: [Float], _ types: VectorTypes) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + 4 * floats.count)
        floats.withUnsafeBufferPointer { BinaryArray.append(vector: $0, to: &bytes) }
        self.init(binary: bytes, type: types.vector)
    }

    /// A `vector[]`.
    init(vectors rows: [[Float]], _ types: VectorTypes) {
        var array = BinaryArray(of: types.vector)
        for row in rows { row.withUnsafeBufferPointer { array.append(vector: $0) } }
        self = array.parameter(type: types.vectorArray)
    }
}
