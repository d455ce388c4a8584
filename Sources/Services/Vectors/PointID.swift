// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// The id of a point: an unsigned number of 64 bits, or a UUID. Numbers come before UUIDs.
enum PointID: Sendable, Hashable, Comparable, CustomStringConvertible {
    case number(UInt64)
    case uuid(UUID)

    /// The column's form: a byte for the kind, then the value in network order.
    var key: [UInt8] {
        switch self {
        case .number(let value):
            [0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) }
        case .uuid(let value): [1] + value.bytes
        }
    }

    /// From the column's form.
    init?(key: some Collection<UInt8>) {
        guard let kind = key.first else { return nil }
        let rest = key.dropFirst()
        if kind == 0, rest.count == 8 {
            self = .number(rest.reduce(0) { $0 << 8 | UInt64($1) })
        } else if kind == 1, let uuid = UUID(bytes: rest) {
            self = .uuid(uuid)
        } else {
            return nil
        }
    }

    /// From the text form of a `bytea`: `\x` and hexadecimal digits.
    init?(hex text: UnsafeRawBufferPointer) {
        guard text.count == 20 || text.count == 36 else { return nil }
        var key: [UInt8] = []
        key.reserveCapacity(17)
        for position in stride(from: 2, to: text.count, by: 2) {
            guard let high = Hex.value(of: text[position]), let low = Hex.value(of: text[position + 1]) else {
                return nil
            }
            key.append(high << 4 | low)
        }
        self.init(key: key)
    }

    /// As a request gives it: an unsigned integer, or a UUID with or without hyphens or as `urn:uuid:`.
    init?(_ value: JSON) {
        switch value {
        case .number(let text):
            guard let number = UInt64(text) else { return nil }
            self = .number(number)
        case .string(let text): self.init(uuidText: text)
        default: return nil
        }
    }

    /// A UUID in one of the forms Qdrant takes.
    init?(uuidText text: String) {
        let plain = text.hasPrefix("urn:uuid:") ? String(text.dropFirst(9)) : text
        if let uuid = UUID(plain) {
            self = .uuid(uuid)
        } else if plain.utf8.count == 32, let bytes = Hex.decode(plain), let uuid = UUID(bytes: bytes) {
            self = .uuid(uuid)
        } else {
            return nil
        }
    }

    /// As the path of a request gives it.
    init?(pathSegment text: String) {
        if let number = UInt64(text) { self = .number(number) } else { self.init(uuidText: text) }
    }

    /// As a response gives it.
    var json: JSON {
        switch self {
        case .number(let value): JSON(value)
        case .uuid(let value): .string(value.description)
        }
    }

    var description: String {
        switch self {
        case .number(let value): String(value)
        case .uuid(let value): value.description
        }
    }

    static func < (first: PointID, second: PointID) -> Bool {
        switch (first, second) {
        case (.number(let first), .number(let second)): first < second
        case (.uuid(let first), .uuid(let second)): first < second
        case (.number, .uuid): true
        case (.uuid, .number): false
        }
    }
}

extension PointID {
    /// - Parameter path: where the value stands in the body.
    static func parse(_ value: JSON, at path: String) throws -> PointID {
        guard let id = PointID(value) else {
            throw VectorsError(
                .format,
                "value \(value.text.prefix(64)) is not a valid point ID, valid values are either an unsigned integer or a UUID (\(path))"
            )
        }
        return id
    }
}
