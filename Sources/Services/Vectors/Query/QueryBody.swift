// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// The body of a search, in which the dense vector that is searched with has become numbers already.
///
/// As `JSON` values those numbers would cost the server more than all else it does for a search.
struct QueryBody {
    /// All members but the vector.
    var members: JSONObject
    /// The vector that is searched with; nil where it is something else, which then stands among the members.
    var vector: [Float]?

    /// A body that was read already.
    init(members: JSONObject) { self.members = members }

    /// - Parameter key: the member that may be a vector, or an object whose only member `nearest` is one.
    /// - Throws: ``VectorsError`` with `format`.
    init(parsing bytes: [UInt8], vectorAt key: String) throws {
        if let usual = bytes.withUnsafeBytes({ try? QueryBody(scanning: $0, key) }) {
            self = usual
        } else {
            // Whatever is unusual or wrong is read, or refused, as any JSON is.
            members = bytes.isEmpty ? [:] : try VectorsService.object(parsing: bytes)
        }
    }

    private init(scanning bytes: UnsafeRawBufferPointer, _ key: String) throws {
        var scanner = BodyScanner(bytes)
        var members = JSONObject()
        var vector: [Float]?
        try scanner.members { scanner, name in
            guard name == key else {
                members[name] = try scanner.value()
                return
            }
            guard vector == nil, members[key] == nil else { throw scanner.error("the query is there twice") }
            let start = try scanner.peek()
            let range = try scanner.skipValue()
            switch start {
            case UInt8(ascii: "["): vector = try Self.floats(bytes, range)
            case UInt8(ascii: "{"): vector = Self.nearest(bytes, range)
            default: break
            }
            if vector == nil { members[name] = try scanner.json(range) }
        }
        try scanner.expectEnd()
        self.members = members
        self.vector = vector
    }

    /// The vector of `{"nearest": [...]}`, as qdrant-client writes a plain search; nil for any other query.
    private static func nearest(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> [Float]? {
        var scanner = BodyScanner(bytes, range: range)
        var vector: [Float]?
        do {
            try scanner.members { scanner, name in
                guard name == "nearest", vector == nil, try scanner.peek() == UInt8(ascii: "[") else {
                    throw scanner.error("not a plain search")
                }
                vector = try Self.floats(bytes, try scanner.skipValue())
            }
            try scanner.expectEnd()
        } catch { return nil }
        return vector
    }

    /// - Throws: ``VectorsError`` for what is no list of numbers.
    private static func floats(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) throws -> [Float] {
        // The scanner may look a little past the list, never past the body.
        var scanner = BodyScanner(bytes, range: range.lowerBound..<bytes.count)
        // A number takes two bytes with what parts it from the next.
        return try Array(unsafeUninitializedCapacity: range.count / 2 + 1) { floats, count in
            count = try scanner.floats(into: floats)
            guard count > 0, scanner.position == range.upperBound else { throw scanner.error("expected numbers") }
        }
    }
}
