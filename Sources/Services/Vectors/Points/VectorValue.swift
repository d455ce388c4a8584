// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Primitives

/// A vector as a request gives it.
enum VectorValue: Sendable, Hashable {
    case dense([Float])
    case multi([[Float]])
    case sparse(SparseVector)
}

/// Indices with their values, in the order of the indices.
struct SparseVector: Sendable, Hashable {
    var indices: [Int]
    var values: [Float]

    /// - Throws: ``VectorsError`` with `validation` when the indices repeat or the counts differ.
    init(indices: [Int], values: [Float], at path: String) throws {
        guard indices.count == values.count else {
            throw VectorsError.outOfBounds("\(path).values", "must be the same length as indices")
        }
        guard indices.allSatisfy({ (0...Int(UInt32.max)).contains($0) }) else {
            throw VectorsError(.format, "\(path).indices: expected unsigned integers of 32 bits")
        }
        let order = indices.indices.sorted { indices[$0] < indices[$1] }
        self.indices = order.map { indices[$0] }
        self.values = order.map { values[$0] }
        for (first, second) in zip(self.indices, self.indices.dropFirst()) where first == second {
            throw VectorsError.outOfBounds("\(path).indices", "must be unique")
        }
    }
}

extension VectorField {
    /// Checks a value against the field and brings it into the form that is stored.
    ///
    /// - Throws: ``VectorsError`` for a wrong dimension or kind.
    func accept(_ value: VectorValue) throws -> VectorValue {
        switch (kind, value) {
        case (.dense(let size, _), .dense(let floats)):
            guard floats.count == size else { throw VectorsError.dimension(expected: size, got: floats.count) }
            return .dense(stored(floats))
        case (.multi, .dense(let floats)): return try accept(.multi([floats]))
        case (.dense, .multi(let rows)) where rows.count == 1: return try accept(.dense(rows[0]))
        case (.multi(let size, _), .multi(let rows)):
            guard !rows.isEmpty else { throw VectorsError.outOfBounds("vector", "must not be empty") }
            for row in rows where row.count != size {
                throw VectorsError.dimension(expected: size, got: row.count)
            }
            return .multi(rows.map(stored))
        case (.sparse, .sparse): return value
        case (.sparse, _): throw VectorsError(.wrongInput, "Conversion between sparse and regular vectors failed")
        case (_, .sparse), (.dense, .multi):
            throw VectorsError(.wrongInput, "Conversion between sparse and regular vectors failed")
        }
    }

    /// A dense vector as it is stored: of length one under Cosine, in the field's precision.
    func stored(_ floats: [Float]) -> [Float] {
        var floats = floats
        floats.withUnsafeMutableBufferPointer { bring(toStoredForm: $0) }
        return floats
    }

    /// ``stored(_:)`` in place.
    func bring(toStoredForm floats: UnsafeMutableBufferPointer<Float>) {
        switch precision {
        case .float32: break
        case .float16: for index in floats.indices { floats[index] = Self.roundedToHalf(floats[index]) }
        case .uint8:
            for index in floats.indices { floats[index] = min(max(floats[index], 0), 255).rounded(.towardZero) }
        }
        if distance == .cosine { Self.normalize(floats) }
    }

    /// A zero vector stays as it is.
    static func normalize(_ floats: UnsafeMutableBufferPointer<Float>) {
        // Four sums beside each other: one alone would wait for itself at every step.
        var sums = SIMD4<Double>.zero
        var index = 0
        while index + 4 <= floats.count {
            let four = SIMD4<Double>(SIMD4(floats[index], floats[index + 1], floats[index + 2], floats[index + 3]))
            sums += four * four
            index += 4
        }
        var sum = sums.sum()
        for value in floats[index...] { sum += Double(value) * Double(value) }
        guard sum > 0 else { return }
        let length = sum.squareRoot()
        // What was normalised before stays bit for bit, so that writing back what was read changes nothing.
        guard abs(length - 1) > 1e-6 else { return }
        for index in floats.indices { floats[index] = Float(Double(floats[index]) / length) }
    }

    /// Ten bits of fraction, the largest half for what is beyond it.
    private static func roundedToHalf(_ value: Float) -> Float {
        let bounded = min(max(value, -65504), 65504)
        guard bounded != 0 else { return bounded }
        // Halves are spaced 2^(e-10), and below 2^-14 evenly by 2^-24.
        let exponent = max(Int(bounded.exponent), -14)
        let spacing = Float(sign: .plus, exponent: exponent - 10, significand: 1)
        return (bounded / spacing).rounded(.toNearestOrEven) * spacing
    }
}

extension VectorValue {
    /// A vector in a request's body that is JSON already: a list of numbers, of lists, or indices and values.
    ///
    /// - Returns: nil when it is none of them.
    init?(_ value: JSON, at path: String) throws {
        if let list = value.arrayValue {
            if list.first?.arrayValue != nil {
                self = .multi(try list.map { try Self.floats($0, at: path) })
            } else {
                self = .dense(try Self.floats(value, at: path))
            }
        } else if let indices = value["indices"]?.arrayValue, let values = value["values"] {
            self = .sparse(
                try SparseVector(
                    indices: try indices.map { index in
                        guard let number = index.intValue else {
                            throw VectorsError(.format, "\(path).indices: expected unsigned integers")
                        }
                        return number
                    }, values: try Self.floats(values, at: path), at: path))
        } else {
            return nil
        }
    }

    private static func floats(_ value: JSON, at path: String) throws -> [Float] {
        guard let list = value.arrayValue else { throw VectorsError(.format, "\(path): expected numbers") }
        return try list.map { item in
            guard case .number(let text) = item, let number = Float(text), number.isFinite else {
                throw VectorsError(.format, "\(path): expected finite numbers")
            }
            return number
        }
    }

    /// As a parameter; the type is that of the column it is compared with.
    var text: String {
        switch self {
        case .dense(let floats): Self.text(floats)
        case .multi(let rows): "{" + rows.map { "\"\(Self.text($0))\"" }.joined(separator: ",") + "}"
        case .sparse: ""
        }
    }

    private static func text(_ floats: [Float]) -> String {
        "[" + floats.map(\.description).joined(separator: ",") + "]"
    }
}
