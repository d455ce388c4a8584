// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Points as a request brings them, laid out for PostgreSQL.
struct PointBatch: Sendable {
    var ids: [PointID] = []
    /// Payloads as JSON text, one after the other; a range for each point that has one.
    var payloadBytes: [UInt8] = []
    var payloads: [Range<Int>?] = []
    /// The vectors of slot 0, one after the other, in stored form.
    var rowVectors: [Float] = []
    /// For each point, which of ``rowVectors`` is its; nil for none.
    var rowVectorNumbers: [Int?] = []
    /// Vectors of other slots.
    var others: [(point: Int, slot: Int, value: VectorValue)] = []
    /// What an earlier point must be like to be replaced.
    var updateFilter: JSON?
    var mode = Mode.upsert

    enum Mode: String, Sendable { case upsert, insertOnly = "insert_only", updateOnly = "update_only" }

    var count: Int { ids.count }

    /// Whether it pays to insert the points before asking which of them are there already.
    var isLarge: Bool { count >= 64 }
}

/// Reads the body of an upsert or of a change of vectors.
struct PointReader {
    let collection: VectorCollection
    let maxPoints: Int
    /// Whether points bring payloads; changes of vectors do not.
    let takesPayloads: Bool
    private(set) var batch = PointBatch()
    private let rowField: VectorField?
    private let unnamed: VectorField?

    init(_ collection: VectorCollection, maxPoints: Int, takesPayloads: Bool) {
        self.collection = collection
        self.maxPoints = maxPoints
        self.takesPayloads = takesPayloads
        rowField = collection.settings.fields.first { $0.slot == 0 }
        unnamed = collection.field("")
    }

    /// Reads `{"points": [...]}` or `{"batch": {...}}`. Members that are not known are passed over, as Qdrant does.
    ///
    /// - Throws: ``VectorsError``: one bad point refuses the whole body.
    static func read(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>? = nil, for collection: VectorCollection, maxPoints: Int,
        takesPayloads: Bool = true
    ) throws -> PointBatch {
        var reader = PointReader(collection, maxPoints: maxPoints, takesPayloads: takesPayloads)
        var scanner = BodyScanner(bytes, range: range)
        try reader.body(&scanner, bytes)
        try scanner.expectEnd()
        return reader.batch
    }

    private mutating func body(_ scanner: inout BodyScanner, _ bytes: UnsafeRawBufferPointer) throws {
        var isFound = false
        try scanner.members { scanner, name in
            switch name {
            case "points":
                guard !isFound else { throw scanner.error("duplicate field `points`") }
                isFound = true
                try scanner.elements { scanner, index in
                    guard index < maxPoints else {
                        throw VectorsError(.badRequest, "a request may have at most \(maxPoints) points")
                    }
                    try point(&scanner, bytes)
                }
            case "batch" where takesPayloads:
                guard !isFound else { throw scanner.error("`points` and `batch` exclude each other") }
                isFound = true
                try columns(&scanner, bytes)
            case "update_filter": batch.updateFilter = try scanner.value()
            case "update_mode":
                guard !(try scanner.takeNull()) else { return }
                guard let mode = PointBatch.Mode(rawValue: try scanner.string()) else {
                    throw scanner.error("update_mode: expected upsert, insert_only or update_only")
                }
                batch.mode = mode
            // Such as `shard_key`, and what a record brings that was read elsewhere: its score, its version.
            default: _ = try scanner.skipValue()
            }
        }
        guard isFound else { throw scanner.error("missing field `points`") }
    }

    // MARK: Points one by one

    private mutating func point(_ scanner: inout BodyScanner, _ bytes: UnsafeRawBufferPointer) throws {
        let number = batch.ids.count
        batch.rowVectorNumbers.append(nil)
        batch.payloads.append(nil)
        var id: PointID?
        var hasVector = false
        try scanner.members { scanner, name in
            switch name {
            case "id": id = try self.id(&scanner)
            case "vector", "vectors":
                guard !hasVector else { throw scanner.error("duplicate field `vector`") }
                hasVector = true
                try vectors(&scanner, of: number)
            case "payload" where takesPayloads:
                if try scanner.takeNull() { return }
                guard try scanner.peek() == UInt8(ascii: "{") else {
                    throw scanner.error("payload: expected an object")
                }
                keepPayload(try scanner.skipValue(boundsNumbers: true), bytes, of: number)
            default: _ = try scanner.skipValue()
            }
        }
        guard let id else { throw scanner.error("missing field `id`") }
        guard hasVector else { throw scanner.error("missing field `vector`") }
        batch.ids.append(id)
    }

    private func id(_ scanner: inout BodyScanner) throws -> PointID {
        if let number = try scanner.takeUnsigned() { return .number(number) }
        return try PointID.parse(try scanner.value(), at: "points[\(batch.ids.count)].id")
    }

    private mutating func keepPayload(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer, of number: Int) {
        let start = batch.payloadBytes.count
        batch.payloadBytes.append(contentsOf: bytes[range])
        batch.payloads[number] = start..<batch.payloadBytes.count
    }

    /// The unnamed vector, or an object of named ones.
    private mutating func vectors(_ scanner: inout BodyScanner, of number: Int) throws {
        if try scanner.peek() == UInt8(ascii: "{") {
            var seen: [String] = []
            try scanner.members { scanner, name in
                guard !seen.contains(name) else { throw scanner.error("duplicate field `\(name.prefix(64))`") }
                seen.append(name)
                guard let field = collection.field(name) else { throw VectorsError.unknownVector(name) }
                try vector(&scanner, field, of: number)
            }
            return
        }
        guard let unnamed else { throw VectorsError.unknownVector("") }
        try vector(&scanner, unnamed, of: number)
    }

    private mutating func vector(_ scanner: inout BodyScanner, _ field: VectorField, of number: Int) throws {
        if field.slot == 0, let size = field.size, try scanner.peek() == UInt8(ascii: "[") {
            // The usual case, without a value in between.
            let start = batch.rowVectors.count
            if start == 0 { batch.rowVectors.reserveCapacity(size * min(maxPoints, 512)) }
            batch.rowVectors.append(contentsOf: repeatElement(0, count: size))
            try batch.rowVectors.withUnsafeMutableBufferPointer { floats in
                let row = UnsafeMutableBufferPointer(rebasing: floats[start...])
                let count = try scanner.floats(into: row)
                guard count == size else { throw VectorsError.dimension(expected: size, got: count) }
                field.bring(toStoredForm: row)
            }
            batch.rowVectorNumbers[number] = start / size
            return
        }
        let value = try scanner.value()
        guard let parsed = try VectorValue(value, at: "points[\(number)].vector") else {
            throw VectorsError(
                .format, "points[\(number)].vector: expected numbers, rows of numbers, or indices and values")
        }
        try keep(try field.accept(parsed), field, of: number)
    }

    private mutating func keep(_ value: VectorValue, _ field: VectorField, of number: Int) throws {
        if field.slot == 0, case .dense(let floats) = value {
            batch.rowVectorNumbers[number] = batch.rowVectors.count / max(floats.count, 1)
            batch.rowVectors.append(contentsOf: floats)
        } else {
            batch.others.append((number, field.slot, value))
        }
    }

    // MARK: Points by columns

    private mutating func columns(_ scanner: inout BodyScanner, _ bytes: UnsafeRawBufferPointer) throws {
        var payloadCount = 0
        var payloadRanges: [Range<Int>?] = []
        var vectorsRange: Range<Int>?
        try scanner.members { scanner, name in
            switch name {
            case "ids":
                try scanner.elements { scanner, index in
                    guard index < maxPoints else {
                        throw VectorsError(.badRequest, "a request may have at most \(maxPoints) points")
                    }
                    batch.ids.append(try id(&scanner))
                }
            case "vectors": vectorsRange = try scanner.skipValue()
            case "payloads":
                if try scanner.takeNull() { return }
                try scanner.elements { scanner, _ in
                    payloadCount += 1
                    if try scanner.takeNull() {
                        payloadRanges.append(nil)
                    } else {
                        guard try scanner.peek() == UInt8(ascii: "{") else {
                            throw scanner.error("payloads: expected objects")
                        }
                        payloadRanges.append(try scanner.skipValue(boundsNumbers: true))
                    }
                }
            default: _ = try scanner.skipValue()
            }
        }
        let count = batch.ids.count
        guard let vectorsRange else { throw scanner.error("missing field `vectors`") }
        guard payloadCount == 0 || payloadCount == count else {
            throw VectorsError.outOfBounds(
                "batch.payloads", "number of ids and payloads must be equal (\(count) != \(payloadCount))")
        }
        batch.rowVectorNumbers = Array(repeating: nil, count: count)
        batch.payloads = Array(repeating: nil, count: count)
        for (number, range) in payloadRanges.enumerated() {
            if let range { keepPayload(range, bytes, of: number) }
        }
        var inner = BodyScanner(bytes, range: vectorsRange)
        if try inner.peek() == UInt8(ascii: "{") {
            try inner.members { scanner, name in
                guard let field = collection.field(name) else { throw VectorsError.unknownVector(name) }
                try column(&scanner, field, count)
            }
        } else {
            guard let unnamed else { throw VectorsError.unknownVector("") }
            try column(&inner, unnamed, count)
        }
    }

    private mutating func column(_ scanner: inout BodyScanner, _ field: VectorField, _ count: Int) throws {
        var read = 0
        try scanner.elements { scanner, number in
            read += 1
            guard number < count else { return _ = try scanner.skipValue() }
            try vector(&scanner, field, of: number)
        }
        guard read == count else {
            throw VectorsError.outOfBounds(
                "batch.vectors", "number of ids and vectors must be equal (\(count) != \(read))")
        }
    }
}

extension PointBatch {
    /// Whether a payload may have a member `user_id`, however it is written. A yes may be wrong.
    var mayNameOwners: Bool {
        payloadBytes.withUnsafeBytes { bytes in
            let name = "user_id".utf8
            for place in bytes.indices {
                // An escape may spell any name.
                if bytes[place] == UInt8(ascii: "\\") { return true }
                if bytes[place] == UInt8(ascii: "_"), place >= 4, bytes[(place - 4)...].starts(with: name) {
                    return true
                }
            }
            return false
        }
    }

    /// The points' numbers in the order of their ids; of several with one id the last, as it replaces the others.
    var order: [Int] {
        var isRising = true
        for index in ids.indices.dropFirst() where !(ids[index - 1] < ids[index]) {
            isRising = false
            break
        }
        if isRising { return Array(ids.indices) }
        var last: [PointID: Int] = [:]
        last.reserveCapacity(ids.count)
        for (number, id) in ids.enumerated() { last[id] = number }
        return last.values.sorted { ids[$0] < ids[$1] }
    }

    /// The ids as a `bytea[]`.
    func idsParameter(_ order: [Int]) -> PostgresParameter {
        var array = BinaryArray(of: PostgresType.bytea, reserving: order.count * 22)
        for number in order { array.append(ids[number]) }
        return array.parameter(type: PostgresType.byteaArray)
    }

    /// The vectors of slot 0 as a `vector[]`.
    func vectorsParameter(_ order: [Int], size: Int, _ types: VectorTypes) -> PostgresParameter {
        var array = BinaryArray(of: types.vector, reserving: order.count * (8 + 4 * size))
        rowVectors.withUnsafeBufferPointer { floats in
            for number in order {
                if let row = rowVectorNumbers[number] {
                    array.append(vector: UnsafeBufferPointer(rebasing: floats[(row * size)..<((row + 1) * size)]))
                } else {
                    array.appendNull()
                }
            }
        }
        return array.parameter(type: types.vectorArray)
    }

    /// The payloads as a `jsonb[]`.
    func payloadsParameter(_ order: [Int]) -> PostgresParameter {
        var array = BinaryArray(of: PostgresType.jsonb, reserving: payloadBytes.count + order.count * 5)
        payloadBytes.withUnsafeBytes { bytes in
            for number in order {
                if let range = payloads[number] {
                    // The binary form of jsonb is its version, then the text.
                    array.append(prefix: 1, UnsafeRawBufferPointer(rebasing: bytes[range]))
                } else {
                    array.appendNull()
                }
            }
        }
        return array.parameter(type: PostgresType.jsonbArray)
    }
}
