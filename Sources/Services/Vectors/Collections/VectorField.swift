// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// How two vectors are compared.
enum Distance: String, Sendable, CaseIterable {
    case cosine = "Cosine"
    case dot = "Dot"
    case euclid = "Euclid"
    case manhattan = "Manhattan"

    /// Whether a higher score is a better one.
    var isSimilarity: Bool { self == .cosine || self == .dot }
}

/// One vector that the points of a collection may have.
struct VectorField: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        case dense(size: Int, Distance)
        /// A matrix per point, compared by the best match of each row of the query.
        case multi(size: Int, Distance)
        case sparse(weighsByRarity: Bool)
    }

    /// Empty for the unnamed vector.
    let name: String
    /// Where it is stored: 0 in the point's row, others in `vectors.named_vectors`.
    let slot: Int
    let kind: Kind
    /// `uint8` drops fractions when a vector is stored, `float16` rounds.
    let precision: Precision
    /// What the graph index holds.
    let quantization: Quantization

    enum Precision: String, Sendable { case float32, float16, uint8 }

    /// `scalar` becomes a graph over half precision, `binary` one over bits; both are followed by exact scores.
    enum Quantization: String, Sendable { case none, scalar, product, binary }

    var distance: Distance {
        switch kind {
        case .dense(_, let distance), .multi(_, let distance): distance
        case .sparse: .dot
        }
    }

    /// Whether a graph index can be built over it.
    var isGraphable: Bool { if case .dense = kind { true } else { false } }

    /// Dimensions; nil for sparse vectors.
    var size: Int? {
        switch kind {
        case .dense(let size, _), .multi(let size, _): size
        case .sparse: nil
        }
    }
}

/// An index on a member of the payloads, as the client asked for it.
struct PayloadIndex: Sendable, Hashable {
    enum DataType: String, Sendable, CaseIterable {
        case keyword, integer, float, bool, geo, datetime, uuid, text
    }

    let type: DataType
    /// What the client gave beside the type.
    let params: JSON?

    /// The tokenizer of a full-text index; nil for other types.
    var tokenizer: TextTokenizer? { type == .text ? TextTokenizer(params ?? [:]) : nil }

    /// Whether `order_by` may sort by it.
    var isOrdered: Bool {
        switch type {
        case .integer: params?["range"]?.boolValue ?? true
        case .float, .datetime: true
        case .keyword, .bool, .geo, .uuid, .text: false
        }
    }

    /// Whether its values may be counted.
    var isFaceted: Bool {
        switch type {
        case .keyword, .bool, .uuid: true
        case .integer: params?["lookup"]?.boolValue ?? true
        case .float, .geo, .datetime, .text: false
        }
    }

    /// As `payload_schema` shows it and the table keeps it.
    var json: JSON {
        var members: JSONObject = ["data_type": .string(type.rawValue)]
        if let params { members["params"] = params }
        return .object(members)
    }
}

extension PayloadIndex {
    init?(stored value: JSON) {
        guard let type = value["data_type"]?.stringValue.flatMap(DataType.init) else { return nil }
        self.init(type: type, params: value["params"])
    }

    /// - Parameter schema: `field_schema` of a request: a type's name, or an object with `type`.
    init(request schema: JSON?) throws {
        guard let schema, schema != .null else {
            throw VectorsError(.badRequest, "field_schema is needed: the type of an index is not guessed")
        }
        let name = schema.stringValue ?? schema["type"]?.stringValue
        guard let name, let type = DataType(rawValue: name) else {
            throw VectorsError(
                .format,
                "unknown field_schema, expected one of \(DataType.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard schema.objectValue != nil else {
            self.init(type: type, params: nil)
            return
        }
        self.init(type: type, params: try Self.shape(of: type).read(schema, at: "field_schema"))
        if let shortest = params?["min_token_len"]?.intValue, let longest = params?["max_token_len"]?.intValue,
            shortest > longest
        {
            throw VectorsError.outOfBounds("field_schema.max_token_len", "must not be less than min_token_len")
        }
    }

    private static func shape(of type: DataType) -> SettingsShape {
        var members: [String: SettingsShape] = [
            "type": .text, "on_disk": .flag, "enable_hnsw": .flag, "memory": .text,
        ]
        switch type {
        case .keyword, .uuid: members["is_tenant"] = .flag
        case .integer:
            for name in ["lookup", "range", "is_principal"] { members[name] = .flag }
        case .float, .datetime: members["is_principal"] = .flag
        case .bool, .geo: break
        case .text:
            members["tokenizer"] = .oneOf(TextTokenizer.names)
            for name in ["lowercase", "phrase_matching", "ascii_folding"] { members[name] = .flag }
            for name in ["min_token_len", "max_token_len"] { members[name] = .integer(0) }
            // Shown alone.
            members["stopwords"] = .either([.text, .anyMembers])
            members["stemmer"] = .anyMembers
        }
        return .members(members)
    }
}
