// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What of a GET decides its plan, and beside it the values its filters compare with, which do not.
///
/// `id=eq.7&select=a` and `id=eq.8&select=a` have one form: a value behind a plain comparison becomes a bind and nothing else. Whether that
/// holds for a form is not taken for granted, see ``PlannedRead``.
struct ReadForm: Sendable {
    /// Everything but the values, as bytes.
    let key: Key
    /// The values left out, decoded, in order.
    let values: [String]
    /// Where in the query they stand, in bytes.
    fileprivate let places: [Range<Int>]

    struct Key: Hashable, Sendable {
        let bytes: [UInt8]
        private let quickHash: Int

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            quickHash = bytes.withUnsafeBytes { QuickHash.of($0) }
        }

        static func == (left: Key, right: Key) -> Bool {
            left.quickHash == right.quickHash && left.bytes == right.bytes
        }

        func hash(into hasher: inout Hasher) { hasher.combine(quickHash) }
    }

    /// The longest key kept.
    private static let maxKeyBytes = 4096
    /// The header fields that a read's plan depends on.
    private static let fields = ["accept", "accept-profile", "prefer", "range"]

    /// - Returns: nil for what is not planned by form: another method, a longer query, or one that does not decode.
    /// - Parameter hasSchema: whether what is asked for is looked for in the tenant's own schema first.
    init?(_ request: HTTPRequest, path: String, configuration: RESTConfiguration, hasSchema: Bool = false) {
        guard request.method == .get else { return nil }
        var query = request.query ?? ""
        guard query.utf8.count <= configuration.maxQueryBytes else { return nil }
        var key: [UInt8] = []
        key.reserveCapacity(512)
        if hasSchema { key.append(3) }
        key.append(contentsOf: path.utf8)
        key.append(0)
        guard
            let (places, values) = query.withUTF8({ bytes in
                Self.split(UnsafeRawBufferPointer(bytes), into: &key)
            })
        else { return nil }
        for field in Self.fields {
            key.append(0)
            // A field that is there and empty is not one that is absent.
            if let value = request.headers[field] {
                key.append(1)
                key.append(contentsOf: value.utf8)
            }
        }
        // Beside this header a parameter of the same name is a filter.
        if let name = configuration.keyParameter { key.append(request.headers.contains(name) ? 1 : 0) }
        guard key.count <= Self.maxKeyBytes else { return nil }
        self.key = Key(key)
        self.places = places
        self.values = values
    }

    private static func split(
        _ query: UnsafeRawBufferPointer, into key: inout [UInt8]
    ) -> (places: [Range<Int>], values: [String])? {
        var places: [Range<Int>] = []
        var values: [String] = []
        var start = 0
        while start < query.count {
            var end = start
            var mark: Int?
            while end < query.count, query[end] != UInt8(ascii: "&") {
                // Below space nothing may stand in a query; it would make keys ambiguous.
                guard query[end] > 0x20 else { return nil }
                if mark == nil, query[end] == UInt8(ascii: "=") { mark = end }
                end += 1
            }
            if let mark, let value = comparedValue(query, mark + 1..<end) {
                guard let text = formValue(UnsafeRawBufferPointer(rebasing: query[value])) else { return nil }
                key.append(contentsOf: query[start..<value.lowerBound])
                key.append(2)
                places.append(value)
                values.append(text)
            } else {
                key.append(contentsOf: query[start..<end])
            }
            key.append(UInt8(ascii: "&"))
            start = end + 1
        }
        return (places, values)
    }

    /// Where the value begins in `eq.value` and its like; nil for anything else.
    private static func comparedValue(_ query: UnsafeRawBufferPointer, _ range: Range<Int>) -> Range<Int>? {
        func isPrefix(_ text: StaticString) -> Bool {
            let count = text.utf8CodeUnitCount
            guard range.count >= count else { return false }
            for index in 0..<count where query[range.lowerBound + index] != text.utf8Start[index] { return false }
            return true
        }
        for name: StaticString in ["eq.", "gt.", "lt.", "gte.", "lte.", "neq."] where isPrefix(name) {
            return range.lowerBound + name.utf8CodeUnitCount..<range.upperBound
        }
        return nil
    }

    /// A value in the query string, decoded; nil when it is not UTF-8 percent-encoded.
    private static func formValue(_ bytes: UnsafeRawBufferPointer) -> String? {
        let isPlain = bytes.allSatisfy {
            $0 != UInt8(ascii: "%") && $0 != UInt8(ascii: "+") && $0 < 0x80
        }
        if isPlain { return String(decoding: bytes, as: UTF8.self) }
        let fields = FormFields(query: "v=" + String(decoding: bytes, as: UTF8.self))
        return fields.isComplete ? fields.first("v") : nil
    }

    /// The query with each value replaced by a text that stands nowhere else.
    func marked(_ query: String) -> (query: String, marks: [String]) {
        var bytes = Array(query.utf8)
        let marks = places.indices.map { "value-\($0)-of-a-form" }
        for (place, mark) in zip(places, marks).reversed() { bytes.replaceSubrange(place, with: mark.utf8) }
        return (String(decoding: bytes, as: UTF8.self), marks)
    }
}
