// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// A query as a client asks it, with the prefetches it works on.
struct QueryRequest: Sendable {
    /// What ranks the points.
    enum Kind: Sendable {
        /// All points, by id.
        case byID
        case nearest(VectorInput)
        case diverse(VectorInput, diversity: Double, candidates: Int?)
        case recommend(positive: [VectorInput], negative: [VectorInput], RecommendStrategy)
        case discover(target: VectorInput, [ContextPair])
        case context([ContextPair])
        case orderBy(OrderBy)
        case sample
        case fusion(Fusion)
        case formula(Formula)
    }

    enum RecommendStrategy: String, Sendable {
        case averageVector = "average_vector"
        case bestScore = "best_score"
        case sumScores = "sum_scores"
    }

    struct ContextPair: Sendable {
        var positive: VectorInput
        var negative: VectorInput
    }

    /// Another collection that example ids are taken from.
    struct Lookup: Sendable {
        var collection: String
        var vector: String?
    }

    /// How to search.
    struct Parameters: Sendable {
        /// The candidates an index's search keeps.
        var breadth: Int?
        var isExact = false
        /// Whether points that no index covers yet are left out.
        var isIndexedOnly = false
    }

    var kind = Kind.byID
    var prefetches: [QueryRequest] = []
    /// Nil for the unnamed vector.
    var using: String?
    var filter: Filter?
    var parameters = Parameters()
    var scoreThreshold: Double?
    var limit = 10
    var offset = 0
    var lookup: Lookup?
    var selection = RecordSelection.ids
}

/// An example: a point's id, or a vector.
enum VectorInput: Sendable {
    case id(PointID)
    case vector(VectorValue)
}

/// Reads queries within the server's bounds.
struct QueryParser {
    let configuration: VectorsConfiguration
    private var filters: FilterParser
    private var queryBudget: Int

    init(_ configuration: VectorsConfiguration) {
        self.configuration = configuration
        filters = FilterParser(maxConditions: configuration.maxConditions)
        queryBudget = configuration.maxQueries
    }

    /// The body of `points/query`.
    mutating func query(_ body: QueryBody, takesOffset: Bool = true) throws -> QueryRequest {
        let members = body.members
        var request = try node(members, at: "", vector: body.vector)
        if takesOffset { request.offset = try count(members["offset"], "offset", byDefault: 0, minimum: 0) }
        request.selection = try RecordSelection(members, payloadByDefault: false)
        return request
    }

    /// - Parameter vector: of a plain search, when it is not among the members.
    private mutating func node(
        _ members: JSONObject, at path: String, vector: [Float]? = nil
    ) throws -> QueryRequest {
        queryBudget -= 1
        guard queryBudget >= 0 else {
            throw VectorsError(
                .badRequest, "a request may have at most \(configuration.maxQueries) queries and prefetches")
        }
        var request = QueryRequest()
        if let prefetch = members["prefetch"], prefetch != .null {
            for item in prefetch.arrayValue ?? [prefetch] {
                guard let inner = item.objectValue else { throw Self.shape("\(path)prefetch", "expected an object") }
                request.prefetches.append(try node(inner, at: "\(path)prefetch."))
            }
        }
        try common(members, into: &request)
        if let vector {
            request.kind = .nearest(.vector(.dense(vector)))
        } else if let query = members["query"], query != .null {
            request.kind = try kind(query, at: "\(path)query")
        } else if !request.prefetches.isEmpty {
            throw VectorsError(
                .badRequest, "A query is needed to merge the prefetches. Can't have prefetches without defining a query"
            )
        }
        try check(request)
        return request
    }

    /// What all forms of a search have.
    mutating func common(_ members: JSONObject, into request: inout QueryRequest) throws {
        request.filter = try filters.filter(members["filter"])
        request.limit = try count(members["limit"], "limit", byDefault: 10, minimum: 1)
        request.using = try members.text("using")
        if let threshold = members["score_threshold"], threshold != .null {
            guard let number = threshold.doubleValue else { throw Self.shape("score_threshold", "expected a number") }
            request.scoreThreshold = number
        }
        if let lookup = members["lookup_from"], lookup != .null {
            guard let name = lookup["collection"]?.stringValue else {
                throw Self.shape("lookup_from", "expected `collection`")
            }
            request.lookup = QueryRequest.Lookup(
                collection: name, vector: try lookup.objectValue?.text("vector", at: "lookup_from."))
        }
        if let params = members["params"], params != .null {
            guard let members = params.objectValue else { throw Self.shape("params", "expected an object") }
            if let breadth = params["hnsw_ef"], breadth != .null {
                guard let number = breadth.intValue, number >= 1 else {
                    throw VectorsError.outOfBounds(
                        "params.hnsw_ef", "value \(breadth.text.prefix(16)) invalid, must be 1 or larger")
                }
                request.parameters.breadth = number
            }
            request.parameters.isExact = try members.flag("exact", at: "params.") ?? false
            request.parameters.isIndexedOnly = try members.flag("indexed_only", at: "params.") ?? false
        }
    }

    private func check(_ request: QueryRequest) throws {
        switch request.kind {
        case .fusion:
            guard !request.prefetches.isEmpty else {
                throw VectorsError(.badRequest, "Cannot perform fusion without prefetches")
            }
            guard request.using == nil else {
                throw VectorsError(.badRequest, "Fusion queries cannot be combined with the 'using' field")
            }
        case .formula:
            guard !request.prefetches.isEmpty else {
                throw VectorsError(.badRequest, "Cannot use a formula without prefetches")
            }
            guard request.using == nil else {
                throw VectorsError(.badRequest, "Formula queries cannot be combined with the 'using' field")
            }
        case .orderBy:
            guard request.scoreThreshold == nil else {
                throw VectorsError(.badRequest, "Can't use score_threshold with an order_by query")
            }
            guard request.using == nil else {
                throw VectorsError(.badRequest, "order_by queries cannot be combined with the 'using' field")
            }
        case .byID, .nearest, .diverse, .recommend, .discover, .context, .sample: break
        }
    }

    // MARK: Kinds

    private mutating func kind(_ query: JSON, at path: String) throws -> QueryRequest.Kind {
        guard let members = query.objectValue, members["indices"] == nil else {
            return .nearest(try input(query, at: path))
        }
        if let nearest = members["nearest"] {
            let target = try input(nearest, at: "\(path).nearest")
            guard let mmr = members["mmr"], mmr != .null else { return .nearest(target) }
            let diversity = mmr["diversity"]?.doubleValue ?? 0.5
            guard (0...1).contains(diversity) else {
                throw VectorsError.outOfBounds(
                    "\(path).mmr.diversity", "value \(diversity) invalid, must be from 0.0 to 1.0")
            }
            let candidates = try count(
                mmr["candidates_limit"], "\(path).mmr.candidates_limit", byDefault: 0, minimum: 0)
            return .diverse(target, diversity: diversity, candidates: candidates == 0 ? nil : candidates)
        }
        if let recommend = members["recommend"] { return try self.recommend(recommend, at: path) }
        if let discover = members["discover"] {
            guard let target = discover["target"] else { throw Self.shape(path, "discover needs `target`") }
            return .discover(target: try input(target, at: path), try pairs(discover["context"], at: path))
        }
        if let context = members["context"] {
            let pairs = try pairs(context, at: path)
            guard !pairs.isEmpty else { throw VectorsError(.badRequest, "a context query needs a pair") }
            return .context(pairs)
        }
        if let order = members["order_by"] { return .orderBy(try OrderBy(order)) }
        if let fusion = members["fusion"] {
            switch fusion.stringValue {
            case "rrf": return .fusion(.reciprocalRank(constant: 2, weights: []))
            case "dbsf": return .fusion(.distribution)
            default: throw Self.shape(path, "fusion: expected rrf or dbsf")
            }
        }
        if let rrf = members["rrf"] {
            let constant = try count(rrf["k"], "\(path).rrf.k", byDefault: 2, minimum: 1)
            let weights = try (rrf["weights"]?.arrayValue ?? []).map { weight in
                guard let number = weight.doubleValue, number > 0 else {
                    throw Self.shape(path, "rrf.weights: expected positive numbers")
                }
                return number
            }
            return .fusion(.reciprocalRank(constant: constant, weights: weights))
        }
        if let sample = members["sample"] {
            guard sample == "random" else { throw Self.shape(path, "sample: expected random") }
            return .sample
        }
        if let formula = members["formula"] {
            return .formula(try Formula(formula, defaults: members["defaults"], filters: &filters))
        }
        if members["text"] != nil || members["image"] != nil || members["relevance_feedback"] != nil {
            throw VectorsError(
                .badRequest,
                "this server does not embed text or images in a query: send a vector (see POST /api/embeddings)")
        }
        throw Self.shape(path, "unknown query")
    }

    func recommendation(_ members: JSON, at path: String) throws -> QueryRequest.Kind {
        try recommend(members, at: path)
    }

    private func recommend(_ value: JSON, at path: String) throws -> QueryRequest.Kind {
        guard let members = value.objectValue else { throw Self.shape(path, "recommend: expected an object") }
        let positive = try inputs(members["positive"], at: "\(path).positive")
        let negative = try inputs(members["negative"], at: "\(path).negative")
        var strategy = QueryRequest.RecommendStrategy.averageVector
        if let name = members["strategy"], name != .null {
            guard let named = name.stringValue.flatMap(QueryRequest.RecommendStrategy.init) else {
                throw Self.shape(path, "strategy: expected average_vector, best_score or sum_scores")
            }
            strategy = named
        }
        switch strategy {
        case .averageVector:
            guard !positive.isEmpty else {
                throw VectorsError(.badRequest, "At least one positive vector ID required with this strategy")
            }
        case .bestScore, .sumScores:
            guard !positive.isEmpty || !negative.isEmpty else {
                throw VectorsError(.badRequest, "At least one positive or negative vector ID required")
            }
        }
        return .recommend(positive: positive, negative: negative, strategy)
    }

    func pairs(_ value: JSON?, at path: String) throws -> [QueryRequest.ContextPair] {
        guard let value, value != .null else { return [] }
        return try bounded(value.arrayValue ?? [value]).map { pair in
            guard let positive = pair["positive"], let negative = pair["negative"] else {
                throw Self.shape(path, "a context pair needs `positive` and `negative`")
            }
            return QueryRequest.ContextPair(
                positive: try input(positive, at: path), negative: try input(negative, at: path))
        }
    }

    private func inputs(_ value: JSON?, at path: String) throws -> [VectorInput] {
        guard let value, value != .null else { return [] }
        guard let list = value.arrayValue else { throw Self.shape(path, "expected a list of ids or vectors") }
        return try bounded(list).map { try input($0, at: path) }
    }

    private func bounded(_ list: [JSON]) throws -> [JSON] {
        guard list.count <= configuration.maxQueries else {
            throw VectorsError(.badRequest, "a query may have at most \(configuration.maxQueries) examples")
        }
        return list
    }

    func input(_ value: JSON, at path: String) throws -> VectorInput {
        if let id = PointID(value) { return .id(id) }
        if let vector = try VectorValue(value, at: path) { return .vector(vector) }
        throw Self.shape(path, "expected a vector or a point's id")
    }

    func count(_ value: JSON?, _ name: String, byDefault: Int, minimum: Int) throws -> Int {
        guard let value, value != .null else { return byDefault }
        guard case .number = value, let number = value.intValue, number >= 0 else {
            throw Self.shape(name, "expected an unsigned integer")
        }
        guard number >= minimum else {
            throw VectorsError.outOfBounds(name, "value \(number) invalid, must be \(minimum) or larger")
        }
        guard number <= configuration.maxLimit else {
            throw VectorsError.outOfBounds(name, "value \(number) invalid, must be at most \(configuration.maxLimit)")
        }
        return number
    }

    private static func shape(_ path: String, _ reason: String) -> VectorsError {
        VectorsError(.format, "\(path): \(reason)")
    }
}
