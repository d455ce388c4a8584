// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// What of a point a request wants to see.
struct RecordSelection: Sendable {
    enum Payload: Sendable {
        case none
        case whole
        case including([PayloadPattern])
        case excluding([PayloadPattern])
    }

    enum Vectors: Sendable, Hashable {
        case none
        case all
        case named([String])
    }

    var payload: Payload
    var vectors: Vectors

    static let ids = RecordSelection(payload: .none, vectors: .none)

    /// Whether records are no more than an id, a version and a score, so that their number bounds their size.
    var isSmall: Bool {
        if case .none = payload, case .none = vectors { true } else { false }
    }

    /// - Parameter payloadByDefault: what an absent `with_payload` means.
    init(_ members: JSONObject, payloadByDefault: Bool) throws {
        payload = try Self.payload(members["with_payload"], byDefault: payloadByDefault)
        vectors = try Self.vectors(members["with_vector"] ?? members["with_vectors"])
    }

    init(payload: Payload, vectors: Vectors) {
        self.payload = payload
        self.vectors = vectors
    }

    private static func payload(_ value: JSON?, byDefault: Bool) throws -> Payload {
        guard let value, value != .null else { return byDefault ? .whole : .none }
        if let flag = value.boolValue { return flag ? .whole : .none }
        if let list = value.arrayValue { return .including(try patterns(list)) }
        if let list = value["include"]?.arrayValue { return .including(try patterns(list)) }
        if let list = value["exclude"]?.arrayValue { return .excluding(try patterns(list)) }
        throw VectorsError(.format, "with_payload: expected a boolean, a list of paths, include or exclude")
    }

    private static func patterns(_ list: [JSON]) throws -> [PayloadPattern] {
        try list.map { item in
            guard let text = item.stringValue else { throw VectorsError(.format, "with_payload: expected paths") }
            return PayloadPattern(try PayloadPath(text))
        }
    }

    private static func vectors(_ value: JSON?) throws -> Vectors {
        guard let value, value != .null else { return .none }
        if let flag = value.boolValue { return flag ? .all : .none }
        guard let list = value.arrayValue else {
            throw VectorsError(.format, "with_vector: expected a boolean or a list of names")
        }
        return .named(
            try list.map { item in
                guard let text = item.stringValue else { throw VectorsError(.format, "with_vector: expected names") }
                return text
            })
    }
}

/// A path by which members of a payload are chosen. Array positions do not count: `a[0].b` chooses as `a[].b`.
struct PayloadPattern: Sendable {
    private let parts: [String]

    init(_ path: PayloadPath) {
        parts = path.steps.map { step in
            switch step {
            case .name(let name): name
            case .position, .everyElement: "[]"
            }
        }
    }

    /// Whether a member at this path is on the way to what is included, or below it.
    func includes(_ path: [String]) -> Bool { zip(parts, path).allSatisfy { $0 == $1 } }

    /// Whether a member at this path is excluded.
    func excludes(_ path: [String]) -> Bool { parts.count <= path.count && includes(path) }
}

extension RecordSelection.Payload {
    /// The chosen part of a payload given as JSON text.
    func apply(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        switch self {
        case .none: return Array("null".utf8)
        case .whole: return text.isEmpty ? Array("{}".utf8) : Array(text)
        case .including(let patterns):
            return reduced(text) { path in patterns.contains { $0.includes(path) } }
        case .excluding(let patterns):
            return reduced(text) { path in !patterns.contains { $0.excludes(path) } }
        }
    }

    /// The chosen part of a payload.
    func apply(_ payload: JSON) -> JSON {
        switch self {
        case .none: .null
        case .whole: payload
        case .including(let patterns):
            Self.reduced(payload, []) { path in patterns.contains { $0.includes(path) } }
        case .excluding(let patterns):
            Self.reduced(payload, []) { path in !patterns.contains { $0.excludes(path) } }
        }
    }

    private func reduced(_ text: UnsafeRawBufferPointer, _ keeps: ([String]) -> Bool) -> [UInt8] {
        guard let value = try? JSON(parsing: text, maxDepth: 1000) else { return Array("{}".utf8) }
        return Self.reduced(value, [], keeps).encoded()
    }

    private static func reduced(_ value: JSON, _ path: [String], _ keeps: ([String]) -> Bool) -> JSON {
        switch value {
        case .object(let members):
            var kept = JSONObject()
            for (name, member) in members where keeps(path + [name]) {
                kept[name] = reduced(member, path + [name], keeps)
            }
            return .object(kept)
        case .array(let elements):
            let inner = path + ["[]"]
            return .array(elements.filter { _ in keeps(inner) }.map { reduced($0, inner, keeps) })
        case .null, .bool, .number, .string: return value
        }
    }
}

extension VectorCollection {
    /// Columns `payload` and `vectors` of `vectors.points as p`, as far as they are wanted.
    func columns(_ selection: RecordSelection) -> PostgresQuery {
        var columns: PostgresQuery = "p.id, p.version"
        if case .none = selection.payload { columns += ", null as payload" } else { columns += ", p.payload" }
        let wanted = wantedFields(selection.vectors)
        columns += wanted.contains { $0.slot == 0 } ? ", p.embedding" : ", null as embedding"
        let others = wanted.filter { $0.slot != 0 }
        guard !others.isEmpty else { return columns + ", null as others" }
        let names =
            PostgresQuery(sql: "(array[")
            + others.enumerated().reduce("") { list, entry in
                list + (entry.offset == 0 ? "" : ", ") + "\(entry.element.name)::text"
            }
            + PostgresQuery(
                sql: "])[array_position(array[\(others.map { "\($0.slot)" }.joined(separator: ","))], v.slot::integer)]"
            )
        columns += """
            , (
                select json_object_agg(
                    \(names),
                    case
                        when v.embedding is not null then v.embedding::text::json
                        when v.parts is not null
                            then (select '[' || string_agg(r.row::text, ',' order by r.place) || ']'
                                from unnest(v.parts) with ordinality as r (row, place))::json
                        else json_build_object('indices', to_json(v.indices), 'values', to_json(v.weights))
                    end)
                from vectors.named_vectors as v
                where v.bucket = \(bucketLiteral) and v.tenant_id = p.tenant_id
                    and v.collection_id = p.collection_id and v.id = p.id
                    and v.slot = any (\(PostgresParameter(integers: others.map(\.slot)))::smallint[])
            ) as others
            """
        return columns
    }

    private func wantedFields(_ vectors: RecordSelection.Vectors) -> [VectorField] {
        switch vectors {
        case .none: []
        case .all: settings.fields
        case .named(let names): settings.fields.filter { names.contains($0.name) }
        }
    }

    /// Appends `"payload": ..., "vector": ...` of a row with ``columns(_:)``.
    func appendRecord(
        _ result: PostgresResult, _ row: Int, _ selection: RecordSelection, _ places: RecordColumns,
        to body: inout [UInt8]
    ) {
        body.append(contentsOf: "\"payload\":".utf8)
        result.withBytes(row, places.payload) { body.append(contentsOf: selection.payload.apply($0)) }
        body.append(contentsOf: ",\"vector\":".utf8)
        if selection.vectors == .none {
            body.append(contentsOf: "null".utf8)
            return
        }
        let rowField = settings.fields.first { $0.slot == 0 }
        let hasRowVector = !result.isNull(row, places.embedding)
        let hasOthers = !result.isNull(row, places.others)
        if hasRowVector, !hasOthers, rowField?.name == "" {
            result.withBytes(row, places.embedding) { body.append(contentsOf: $0) }
            return
        }
        // The only vector that is shown may be the unnamed one, though it lies beside the row.
        if hasOthers, !hasRowVector, rowField?.name != "", field("") != nil,
            let others = result.string(row, places.others), let shown = (try? JSON(parsing: others))?.objectValue,
            shown.count == 1, let value = shown[""]
        {
            value.encode(into: &body)
            return
        }
        body.append(UInt8(ascii: "{"))
        if hasRowVector, let rowField {
            JSON.encodeString(rowField.name, into: &body)
            body.append(UInt8(ascii: ":"))
            result.withBytes(row, places.embedding) { body.append(contentsOf: $0) }
            if hasOthers { body.append(UInt8(ascii: ",")) }
        }
        if hasOthers {
            // An object: its members go into this one.
            result.withBytes(row, places.others) { bytes in
                let text = bytes.drop { $0 != UInt8(ascii: "{") }.dropFirst()
                body.append(contentsOf: text.prefix(upTo: text.lastIndex(of: UInt8(ascii: "}")) ?? text.endIndex))
            }
        }
        body.append(UInt8(ascii: "}"))
    }
}

/// Where ``VectorCollection/columns(_:)`` stand in a result.
struct RecordColumns {
    let id: Int
    let version: Int
    let payload: Int
    let embedding: Int
    let others: Int

    /// - Parameter first: the column of `p.id`.
    init(from first: Int = 0) {
        id = first
        version = first + 1
        payload = first + 2
        embedding = first + 3
        others = first + 4
    }
}
