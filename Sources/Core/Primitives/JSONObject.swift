// SPDX-License-Identifier: Apache-2.0

/// The members of a JSON object in their order; of two members with one name the last wins, at the first one's place.
///
/// Names are compared by their bytes, not by Unicode equivalence as `String` does: two names that a database or another
/// parser tells apart must not be one here.
package struct JSONObject: Sendable {
    private var members: [(name: String, value: JSON)] = []
    /// Built once the object is large, so that hostile bodies with many members stay linear.
    private var positions: [MemberName: Int]?

    private static let indexedFrom = 12

    package init() {}

    package init(_ members: some Sequence<(String, JSON)>) {
        for (name, value) in members { self[name] = value }
    }

    package var count: Int { members.count }
    package var isEmpty: Bool { members.isEmpty }
    package var names: [String] { members.map(\.name) }

    /// Reads, replaces, appends, or (with `nil`) removes a member.
    package subscript(name: String) -> JSON? {
        get { position(of: name).map { members[$0].value } }
        set {
            if let value = newValue {
                set(name, to: value)
            } else if let position = position(of: name) {
                members.remove(at: position)
                positions = nil
                buildPositionsWhenLarge()
            }
        }
    }

    private mutating func set(_ name: String, to value: JSON) {
        if let position = position(of: name) {
            members[position].value = value
            return
        }
        members.append((name, value))
        if positions != nil {
            positions?[MemberName(name)] = members.count - 1
        } else {
            buildPositionsWhenLarge()
        }
    }

    private mutating func buildPositionsWhenLarge() {
        guard members.count >= Self.indexedFrom else { return }
        positions = Dictionary(
            members.enumerated().map { (MemberName($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    }

    private func position(of name: String) -> Int? {
        if let positions { return positions[MemberName(name)] }
        return members.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }
}

extension JSONObject: Sequence {
    package func makeIterator() -> some IteratorProtocol<(name: String, value: JSON)> {
        members.makeIterator()
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(elements)
    }
}

extension JSONObject: Hashable {
    /// Whether both have the same members, in whatever order.
    package static func == (first: JSONObject, second: JSONObject) -> Bool {
        first.count == second.count && first.members.allSatisfy { second[$0.name] == $0.value }
    }

    package func hash(into hasher: inout Hasher) {
        // Order must not matter, so member hashes are combined by a commutative operation.
        var combined = 0
        for member in members {
            var memberHasher = Hasher()
            memberHasher.combine(MemberName(member.name))
            memberHasher.combine(member.value)
            combined ^= memberHasher.finalize()
        }
        hasher.combine(combined)
    }
}

/// A member's name with equality by bytes.
private struct MemberName: Hashable {
    let name: String

    init(_ name: String) { self.name = name }

    static func == (first: MemberName, second: MemberName) -> Bool {
        first.name.utf8.elementsEqual(second.name.utf8)
    }

    func hash(into hasher: inout Hasher) {
        var name = name
        name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
