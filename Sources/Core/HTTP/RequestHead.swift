// SPDX-License-Identifier: Apache-2.0

/// The head of one received request: its bytes, and where in them everything stands.
final class RequestHead: Sendable {
    /// A stretch of the head. The limits on heads keep both numbers far below 2^16.
    struct Slice {
        var start: UInt16 = 0
        var count: UInt16 = 0
        var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
    }
    struct Field {
        var name: Slice
        var value: Slice
    }

    let bytes: [UInt8]
    let path: Slice
    let query: Slice?
    let fields: [Field]

    init(bytes: [UInt8], path: Slice, query: Slice?, fields: [Field]) {
        self.bytes = bytes
        self.path = path
        self.query = query
        self.fields = fields
    }

    func string(_ slice: Slice) -> String {
        bytes.withUnsafeBufferPointer { String(decoding: $0[slice.range], as: UTF8.self) }
    }

    func values(named name: String) -> [String] {
        var found: [String] = []
        for field in fields where matches(field, name) { found.append(string(field.value)) }
        return found
    }

    /// The first value of a field.
    func value(named name: String) -> String? {
        for field in fields where matches(field, name) { return string(field.value) }
        return nil
    }

    /// Whether a field stands there more than once.
    func repeats(_ name: String) -> Bool {
        var count = 0
        for field in fields where matches(field, name) { count += 1 }
        return count > 1
    }

    func hasField(named name: String) -> Bool { fields.contains { matches($0, name) } }

    func allFields() -> [(name: String, value: String)] {
        fields.map { (string($0.name), string($0.value)) }
    }

    private func matches(_ field: Field, _ name: String) -> Bool {
        guard name.utf8.count == Int(field.name.count) else { return false }
        var position = Int(field.name.start)
        for byte in name.utf8 {
            if ASCII.lowercased(bytes[position]) != ASCII.lowercased(byte) { return false }
            position += 1
        }
        return true
    }
}
