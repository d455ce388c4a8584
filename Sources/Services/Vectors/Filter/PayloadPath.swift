// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Where in a payload a value stands: `a.b`, `a[]` (each element), `a[0]`, `"a.b".c`.
struct PayloadPath: Sendable, Hashable {
    enum Step: Sendable, Hashable {
        case name(String)
        case position(Int)
        case everyElement
    }

    let text: String
    let steps: [Step]

    /// - Throws: ``VectorsError`` with `format`.
    init(_ text: String) throws {
        self.text = text
        steps = try Self.parse(text)
    }

    /// The longest path, in steps.
    private static let maxSteps = 32

    private static func parse(_ text: String) throws -> [Step] {
        func invalid() -> VectorsError { VectorsError(.format, "Invalid json path: '\(text.prefix(128))'") }
        let bytes = Array(text.utf8)
        var steps: [Step] = []
        var position = 0
        while true {
            // A name, quoted or not.
            guard position < bytes.count else { throw invalid() }
            if bytes[position] == UInt8(ascii: "\"") {
                guard let end = bytes[(position + 1)...].firstIndex(of: UInt8(ascii: "\"")) else { throw invalid() }
                steps.append(.name(String(decoding: bytes[(position + 1)..<end], as: UTF8.self)))
                position = end + 1
            } else {
                let end =
                    bytes[position...].firstIndex { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "[") } ?? bytes.count
                guard end > position, !bytes[position..<end].contains(where: { "\"]".utf8.contains($0) }) else {
                    throw invalid()
                }
                steps.append(.name(String(decoding: bytes[position..<end], as: UTF8.self)))
                position = end
            }
            while position < bytes.count, bytes[position] == UInt8(ascii: "[") {
                guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "]")) else { throw invalid() }
                let inside = String(decoding: bytes[(position + 1)..<end], as: UTF8.self)
                if inside.isEmpty {
                    steps.append(.everyElement)
                } else {
                    guard let index = Int32(inside), index >= 0 else { throw invalid() }
                    steps.append(.position(Int(index)))
                }
                position = end + 1
            }
            guard steps.count <= maxSteps else { throw invalid() }
            if position == bytes.count { return steps }
            guard bytes[position] == UInt8(ascii: ".") else { throw invalid() }
            position += 1
        }
    }

    /// The path as the functions `vectors.set_payload` and `delete_payload` take it.
    var json: JSON {
        .array(
            steps.map { step in
                switch step {
                case .name(let name): .string(name)
                case .position(let index): JSON(index)
                case .everyElement: .null
                }
            })
    }
}

extension PayloadPath {
    /// Writes a condition on the values the path names.
    ///
    /// - Parameters:
    ///   - document: an expression of type `jsonb`.
    ///   - aliases: makes names for the elements of arrays the path crosses.
    ///   - condition: what must hold for one of them; its second argument says whether the value is an element already, so
    ///     that an array in it is not looked into.
    func condition(
        on document: PostgresQuery, _ aliases: inout AliasCounter,
        _ condition: (PostgresQuery, _ isElement: Bool, inout AliasCounter) throws -> PostgresQuery
    ) rethrows -> PostgresQuery {
        try Self.condition(steps[...], document, &aliases, condition)
    }

    private static func condition(
        _ steps: ArraySlice<Step>, _ document: PostgresQuery, _ aliases: inout AliasCounter,
        _ body: (PostgresQuery, Bool, inout AliasCounter) throws -> PostgresQuery
    ) rethrows -> PostgresQuery {
        var value = document
        for (offset, step) in zip(steps.indices, steps) {
            switch step {
            case .name(let name): value = "(\(value) -> \(name)::text)"
            case .position(let index):
                value = "(case when jsonb_typeof(\(value)) = 'array' then \(value) -> \(index)::integer end)"
            case .everyElement:
                let rest = steps[(offset + 1)...]
                let element = aliases.next()
                let inner =
                    try rest.isEmpty
                    ? body(element.value, true, &aliases) : condition(rest, element.value, &aliases, body)
                return """
                    exists (select from jsonb_array_elements(\(arrayOrNothing(value))) as \(element.definition) where \(inner))
                    """
            }
        }
        return try body(value, false, &aliases)
    }

    private static func arrayOrNothing(_ value: PostgresQuery) -> PostgresQuery {
        "case when jsonb_typeof(\(value)) = 'array' then \(value) end"
    }

    /// A lateral item of a FROM clause that yields each value the path names, arrays taken apart: `value` of `alias`.
    func values(of document: PostgresQuery, alias: String, _ aliases: inout AliasCounter) -> PostgresQuery {
        var value = document
        var from: PostgresQuery = ""
        for step in steps {
            switch step {
            case .name(let name): value = "(\(value) -> \(name)::text)"
            case .position(let index):
                value = "(case when jsonb_typeof(\(value)) = 'array' then \(value) -> \(index)::integer end)"
            case .everyElement:
                let element = aliases.next()
                from +=
                    "cross join lateral jsonb_array_elements(\(Self.arrayOrNothing(value))) as \(element.definition) "
                value = element.value
            }
        }
        let last: PostgresQuery = """
            cross join lateral jsonb_array_elements(
                case jsonb_typeof(\(value)) when 'array' then \(value) else jsonb_build_array(\(value)) end
            ) as \(identifier: alias) (value)
            """
        return from + last
    }
}

/// Names the elements of arrays in nested conditions.
struct AliasCounter: Sendable {
    private var count = 0

    struct Alias {
        /// `e1 (value)`.
        let definition: PostgresQuery
        /// `e1.value`.
        let value: PostgresQuery
    }

    mutating func next() -> Alias {
        count += 1
        return Alias(
            definition: PostgresQuery(sql: "e\(count) (value)"), value: PostgresQuery(sql: "e\(count).value"))
    }
}
