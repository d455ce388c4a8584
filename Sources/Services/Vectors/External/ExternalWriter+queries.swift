// SPDX-License-Identifier: Apache-2.0
internal import Primitives

extension QueryRequest {
    /// The collections that its examples are taken from, those of its prefetches included.
    var lookupNames: Set<String> {
        prefetches.reduce(into: Set([lookup?.collection].compactMap { $0 })) { $0.formUnion($1.lookupNames) }
    }
}

extension ExternalWriter {
    /// The body of `points/query`.
    ///
    /// - Parameter members: the request as it came, for how to search.
    mutating func query(_ request: QueryRequest, _ members: JSONObject) throws -> JSONObject {
        var body = try node(request, members)
        if request.offset > 0 { body["offset"] = JSON(request.offset) }
        body["with_payload"] = space.payloadRequest(request.selection.payload)
        body["with_vector"] = request.selection.vectors.json
        return body
    }

    private mutating func node(_ request: QueryRequest, _ members: JSONObject) throws -> JSONObject {
        var body = JSONObject()
        let inner = members["prefetch"].map { $0.arrayValue ?? [$0] } ?? []
        if !request.prefetches.isEmpty {
            var list: [JSON] = []
            for (number, prefetch) in request.prefetches.enumerated() {
                let given = inner.indices.contains(number) ? inner[number].objectValue : nil
                list.append(.object(try node(prefetch, given ?? [:])))
            }
            body["prefetch"] = .array(list)
        }
        let source = try source(of: request)
        if let query = try kind(request.kind, source) { body["query"] = query }
        if let using = request.using { body["using"] = .string(using) }
        if let filter = scoped(request.filter) { body["filter"] = filter }
        if let params = members["params"], params != .null { body["params"] = try Self.params(params) }
        if let threshold = request.scoreThreshold { body["score_threshold"] = JSON(threshold) }
        body["limit"] = JSON(request.limit)
        if let lookup = request.lookup {
            var from: JSONObject = ["collection": .string(source.physicalName)]
            if let vector = lookup.vector { from["vector"] = .string(vector) }
            body["lookup_from"] = .object(from)
        }
        return body
    }

    /// The collection that ids among the examples belong to.
    private func source(of request: QueryRequest) throws -> ExternalSpace {
        guard let name = request.lookup?.collection else { return space }
        guard let source = lookups[name] else { throw VectorsError.lookupNotFound(name) }
        return source
    }

    private mutating func kind(_ kind: QueryRequest.Kind, _ source: ExternalSpace) throws -> JSON? {
        switch kind {
        case .byID: return nil
        case .nearest(let target): return ["nearest": try input(target, in: source)]
        case .diverse(let target, let diversity, let candidates):
            var mmr: JSONObject = ["diversity": JSON(diversity)]
            if let candidates { mmr["candidates_limit"] = JSON(candidates) }
            return ["nearest": try input(target, in: source), "mmr": .object(mmr)]
        case .recommend(let positive, let negative, let strategy):
            return [
                "recommend": [
                    "positive": try inputs(positive, source), "negative": try inputs(negative, source),
                    "strategy": .string(strategy.rawValue),
                ]
            ]
        case .discover(let target, let pairs):
            return ["discover": ["target": try input(target, in: source), "context": try self.pairs(pairs, source)]]
        case .context(let pairs): return ["context": try self.pairs(pairs, source)]
        case .orderBy(let order): return ["order_by": self.order(order)]
        case .sample: return ["sample": "random"]
        case .fusion(.distribution): return ["fusion": "dbsf"]
        case .fusion(.reciprocalRank(let constant, let weights)):
            if constant == 2, weights.isEmpty { return ["fusion": "rrf"] }
            var rrf: JSONObject = ["k": JSON(constant)]
            if !weights.isEmpty { rrf["weights"] = .array(weights.map { JSON($0) }) }
            return ["rrf": .object(rrf)]
        case .formula(let formula):
            var defaults = JSONObject()
            let expression = expression(formula.expression, &defaults)
            return ["formula": expression, "defaults": .object(defaults)]
        }
    }

    private mutating func inputs(_ list: [VectorInput], _ source: ExternalSpace) throws -> JSON {
        var written: [JSON] = []
        for item in list { written.append(try input(item, in: source)) }
        return .array(written)
    }

    private mutating func pairs(_ pairs: [QueryRequest.ContextPair], _ source: ExternalSpace) throws -> JSON {
        var written: [JSON] = []
        for pair in pairs {
            written.append([
                "positive": try input(pair.positive, in: source), "negative": try input(pair.negative, in: source),
            ])
        }
        return .array(written)
    }

    mutating func order(_ order: OrderBy) -> JSON {
        var members: JSONObject = ["key": key(order.path), "direction": order.isDescending ? "desc" : "asc"]
        if let start = order.start { members["start_from"] = start }
        return .object(members)
    }

    // MARK: Formulas

    private mutating func expression(_ expression: FormulaExpression, _ defaults: inout JSONObject) -> JSON {
        func list(_ items: [FormulaExpression], _ writer: inout ExternalWriter, _ defaults: inout JSONObject) -> JSON {
            var written: [JSON] = []
            for item in items { written.append(writer.expression(item, &defaults)) }
            return .array(written)
        }
        switch expression {
        case .constant(let value): return JSON(value)
        case .score(let index, let value):
            let name = index == 0 ? "$score" : "$score[\(index)]"
            if value != 0 { defaults[name] = JSON(value) }
            return .string(name)
        case .payload(let path, let value):
            let name = keyText(path)
            if let value { defaults[name] = JSON(value) }
            return .string(name)
        case .condition(let condition): return self.condition(condition)
        case .sum(let terms): return ["sum": list(terms, &self, &defaults)]
        case .product(let factors): return ["mult": list(factors, &self, &defaults)]
        case .negative(let value): return ["neg": self.expression(value, &defaults)]
        case .absolute(let value): return ["abs": self.expression(value, &defaults)]
        case .squareRoot(let value): return ["sqrt": self.expression(value, &defaults)]
        case .exponential(let value): return ["exp": self.expression(value, &defaults)]
        case .logarithm(let value): return ["ln": self.expression(value, &defaults)]
        case .decimalLogarithm(let value): return ["log10": self.expression(value, &defaults)]
        case .quotient(let left, let right, let byZero):
            var members: JSONObject = [
                "left": self.expression(left, &defaults), "right": self.expression(right, &defaults),
            ]
            if let byZero { members["by_zero_default"] = JSON(byZero) }
            return ["div": .object(members)]
        case .power(let base, let exponent):
            return [
                "pow": ["base": self.expression(base, &defaults), "exponent": self.expression(exponent, &defaults)]
            ]
        case .geoDistance(let lon, let lat, let path, let place):
            let name = keyText(path)
            if let place { defaults[name] = Self.place(place.lon, place.lat) }
            return ["geo_distance": ["origin": Self.place(lon, lat), "to": .string(name)]]
        case .instant(let text): return ["datetime": .string(text)]
        case .payloadInstant(let path, let text):
            let name = keyText(path)
            if let text { defaults[name] = .string(text) }
            return ["datetime_key": .string(name)]
        case .decay(let decay, let x, let target, let scale, let midpoint):
            return .object([
                decay.rawValue: [
                    "x": self.expression(x, &defaults), "target": self.expression(target, &defaults),
                    "scale": JSON(scale), "midpoint": JSON(midpoint),
                ]
            ])
        }
    }

    // MARK: How to search

    /// The largest breadth of a search that is passed on: it is work for a server that all tenants share.
    private static let maxBreadth = 10_000

    private static func params(_ given: JSON) throws -> JSON {
        try ExternalShape.object(given, at: "params") { name, value in
            switch name {
            case "hnsw_ef":
                guard let number = value.intValue, number >= 1 else { return nil }
                return JSON(min(number, maxBreadth))
            case "exact", "indexed_only": return value.boolValue.map { .bool($0) }
            case "quantization":
                return try ExternalShape.object(value, at: "params.quantization") { name, value in
                    switch name {
                    case "ignore", "rescore": value.boolValue.map { .bool($0) }
                    case "oversampling": Self.number(value, 1...100)
                    default: nil
                    }
                }
            case "acorn":
                return try ExternalShape.object(value, at: "params.acorn") { name, value in
                    switch name {
                    case "enable": value.boolValue.map { .bool($0) }
                    case "max_selectivity": Self.number(value, 0...1)
                    default: nil
                    }
                }
            default: return nil
            }
        }
    }

    private static func number(_ value: JSON, _ bounds: ClosedRange<Double>) -> JSON? {
        guard let number = value.doubleValue, bounds.contains(number) else { return nil }
        return JSON(number)
    }
}

/// Which members a body may have. What is not known here is refused, not passed on.
enum ExternalShape {
    /// Members of a search in all its forms.
    static let query: Set<String> = [
        "prefetch", "query", "using", "filter", "params", "score_threshold", "limit", "offset", "with_payload",
        "with_vector", "with_vectors", "lookup_from",
    ]
    static let grouping: Set<String> = ["group_by", "group_size", "with_lookup"]

    /// Refuses members that are not in `known`; those that are null say nothing.
    static func check(_ members: JSONObject, _ known: Set<String>, at path: String = "") throws {
        for (name, value) in members where value != .null && !known.contains(name) {
            throw VectorsError(.format, "\(path)unknown field `\(name.prefix(64))`")
        }
    }

    /// The same for a search and its prefetches.
    static func check(query members: JSONObject, _ more: Set<String> = []) throws {
        try check(members, query.union(more))
        for inner in members["prefetch"].map({ $0.arrayValue ?? [$0] }) ?? [] {
            guard let inner = inner.objectValue else { continue }
            try check(query: inner)
        }
        if let lookup = members["lookup_from"]?.objectValue {
            try check(lookup, ["collection", "vector"], at: "lookup_from: ")
        }
    }

    /// An object with the members that `read` gives back; one that it does not is refused.
    static func object(
        _ value: JSON, at path: String, _ read: (String, JSON) throws -> JSON?
    ) throws -> JSON {
        guard let members = value.objectValue else { throw VectorsError(.format, "\(path): expected an object") }
        var kept = JSONObject()
        for (name, value) in members where value != .null {
            guard let written = try read(name, value) else {
                throw VectorsError(.format, "\(path): unknown or unusable field `\(name.prefix(64))`")
            }
            kept[name] = written
        }
        return .object(kept)
    }
}
