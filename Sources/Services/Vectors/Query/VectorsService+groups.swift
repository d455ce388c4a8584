// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// What a grouped query asks beside the query.
struct Grouping {
    let path: PayloadPath
    let size: Int
    let limit: Int
    let lookup: Lookup?

    /// Another collection, whose record with the group's id is added.
    struct Lookup {
        let collection: String
        let selection: RecordSelection
    }
}

extension VectorsService {
    func registerGroups(on router: inout Router, prefix: String) {
        let path = "\(prefix)/collections/:collection/points"
        let forms: [(String, @Sendable (inout QueryParser, QueryBody) throws -> QueryRequest)] = [
            ("query", { try $0.query($1, takesOffset: false) }), ("search", { try $0.search($1) }),
            ("recommend", { try $0.recommendation($1.members) }),
        ]
        for (name, parse) in forms {
            route(.post, "\(path)/\(name)/groups", on: &router) { [self] request, caller, envelope in
                let body = try QueryBody(
                    parsing: try await request.body.collect(), vectorAt: name == "query" ? "query" : "vector")
                var parser = QueryParser(configuration)
                let query = try parse(&parser, body)
                let grouping = try grouping(body.members, limit: query.limit)
                return try await groups(query, grouping, request, caller, envelope)
            }
        }
        route(.post, "\(path)/search/matrix/pairs", on: &router) { [self] request, caller, envelope in
            try await matrix(request, caller, envelope, asPairs: true)
        }
        route(.post, "\(path)/search/matrix/offsets", on: &router) { [self] request, caller, envelope in
            try await matrix(request, caller, envelope, asPairs: false)
        }
    }

    func grouping(_ members: JSONObject, limit: Int) throws -> Grouping {
        guard let key = members["group_by"]?.stringValue else {
            throw VectorsError(.format, "missing field `group_by`")
        }
        let size = try bounded(members["group_size"], "group_size", byDefault: 3)
        guard size * limit <= configuration.maxLimit else {
            throw VectorsError.outOfBounds("limit", "limit times group_size must be at most \(configuration.maxLimit)")
        }
        var lookup: Grouping.Lookup?
        if let value = members["with_lookup"], value != .null {
            guard let name = value.stringValue ?? value["collection"]?.stringValue else {
                throw VectorsError(.format, "with_lookup: expected a collection")
            }
            lookup = Grouping.Lookup(
                collection: name, selection: try RecordSelection(value.objectValue ?? [:], payloadByDefault: true))
        }
        return Grouping(path: try PayloadPath(key), size: size, limit: limit, lookup: lookup)
    }

    private func groups(
        _ query: QueryRequest, _ grouping: Grouping, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        try await withCollection(try collectionName(request), caller) { collection in
            let run = QueryRun(
                service: self, collection: collection, caller: caller, timeout: statementTimeout(request))
            let groups = try await run.groups(query, by: grouping.path, size: grouping.size, limit: grouping.limit)
            var records: [PointID: [UInt8]] = [:]
            if let lookup = grouping.lookup {
                let ids = groups.compactMap { PointID($0.value) }
                records = try await withCollection(lookup.collection, caller, isLookup: true) { other in
                    try await self.recordsByID(ids, lookup.selection, other, caller, statementTimeout(request))
                }
            }
            var body = Array("{\"groups\":[".utf8)
            for (index, group) in groups.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body.append(contentsOf: "{\"id\":".utf8)
                group.value.encode(into: &body)
                body.append(contentsOf: ",\"hits\":".utf8)
                body.append(contentsOf: Self.hits(group.hits))
                if let record = PointID(group.value).flatMap({ records[$0] }) {
                    body.append(contentsOf: ",\"lookup\":".utf8)
                    body.append(contentsOf: record)
                }
                body.append(UInt8(ascii: "}"))
            }
            body.append(contentsOf: "]}".utf8)
            return envelope.response(bytes: body)
        }
    }

    /// Records as JSON text, by id.
    private func recordsByID(
        _ ids: [PointID], _ selection: RecordSelection, _ collection: VectorCollection, _ caller: Caller,
        _ timeout: Duration
    ) async throws -> [PointID: [UInt8]] {
        var records: [PointID: [UInt8]] = [:]
        for id in ids {
            let list = try await self.records([id], selection, collection, caller, timeout)
            if list.count > 2 { records[id] = Array(list.dropFirst().dropLast()) }
        }
        return records
    }

    // MARK: Matrix

    /// The nearest neighbours of each of some points among those points.
    private func matrix(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope, asPairs: Bool
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        let sample = try bounded(members["sample"], "sample", byDefault: 10, minimum: 2)
        let limit = try bounded(members["limit"], "limit", byDefault: 3)
        guard sample <= Self.maxMatrixSample else {
            throw VectorsError.outOfBounds("sample", "value \(sample) invalid, must be at most \(Self.maxMatrixSample)")
        }
        var parser = FilterParser(maxConditions: configuration.maxConditions)
        let filter = try parser.filter(members["filter"])
        let using = try members.text("using")
        return try await withCollection(try collectionName(request), caller) { collection in
            let field = try collection.requireField(using)
            let run = QueryRun(
                service: self, collection: collection, caller: caller, timeout: statementTimeout(request))
            let scoring = Scoring(collection: collection, field: field)
            let result = try await read(
                [
                    """
                    select p.id from \(scoring.source)
                    where \(scoring.scope) \(try collection.and(filter))
                    order by random() limit \(sample)::bigint
                    """
                ], of: collection, caller, timeout: statementTimeout(request))[0]
            let ids = (0..<result.rowCount).compactMap { result.pointID($0, 0) }.sorted()
            guard ids.count >= 2 else {
                return envelope.response(
                    asPairs ? ["pairs": []] : ["offsets_row": [], "offsets_col": [], "scores": [], "ids": []])
            }
            let neighbours = Self.neighbours(
                ids, try await run.vectors(of: ids, field, in: collection), field.distance, limit: limit)
            return envelope.response(
                asPairs ? Self.pairs(ids, neighbours) : Self.offsets(ids, neighbours))
        }
    }

    /// The most points of a matrix: their pairs are all compared.
    static let maxMatrixSample = 1000

    /// For each id the places of its nearest among the others, best first.
    private static func neighbours(
        _ ids: [PointID], _ vectors: [PointID: VectorValue], _ distance: Distance, limit: Int
    ) -> [[(place: Int, score: Double)]] {
        ids.map { id in
            guard let vector = vectors[id] else { return [] }
            var scores: [(place: Int, score: Double)] = []
            for (place, other) in ids.enumerated() where other != id {
                guard let otherVector = vectors[other] else { continue }
                scores.append((place, Likeness.of(otherVector, vector, distance)))
            }
            return scores.sorted { $0.score != $1.score ? $0.score > $1.score : $0.place < $1.place }.prefix(limit)
                .map { ($0.place, Likeness.shown($0.score, distance)) }
        }
    }

    private static func pairs(_ ids: [PointID], _ neighbours: [[(place: Int, score: Double)]]) -> JSON {
        var pairs: [JSON] = []
        for (row, list) in neighbours.enumerated() {
            for entry in list {
                pairs.append(["a": ids[row].json, "b": ids[entry.place].json, "score": JSON(entry.score)])
            }
        }
        return ["pairs": .array(pairs)]
    }

    private static func offsets(_ ids: [PointID], _ neighbours: [[(place: Int, score: Double)]]) -> JSON {
        var rows: [JSON] = []
        var columns: [JSON] = []
        var scores: [JSON] = []
        for (row, list) in neighbours.enumerated() {
            for entry in list {
                rows.append(JSON(row))
                columns.append(JSON(entry.place))
                scores.append(JSON(entry.score))
            }
        }
        return [
            "offsets_row": .array(rows), "offsets_col": .array(columns), "scores": .array(scores),
            "ids": .array(ids.map(\.json)),
        ]
    }
}

extension Likeness {
    /// An internal score as a search would show it.
    static func shown(_ score: Double, _ distance: Distance) -> Double {
        switch distance {
        case .cosine, .dot: score
        case .euclid: abs(score).squareRoot()
        case .manhattan: abs(score)
        }
    }
}

/// Hits with one value.
struct HitGroup: Sendable {
    let value: JSON
    var hits: [Hit]
}

extension QueryRun {
    /// The best groups, by their best hit, each with its best hits.
    func groups(_ request: QueryRequest, by path: PayloadPath, size: Int, limit: Int) async throws -> [HitGroup] {
        var wide = request
        wide.selection = .ids
        wide.offset = 0
        wide.limit = service.configuration.maxLimit
        wide.prefetches = wide.prefetches.map(widened)
        wide.parameters.isExact = true
        // Only points with a value count, so that those without do not use up the bound.
        let hasValue = Filter(mustNot: [.field(path, .isEmpty)])
        wide.filter = request.filter.map { Filter(must: [.filter($0), .filter(hasValue)]) } ?? hasValue
        let hits = try await self.hits(wide)
        let values = try await groupValues(of: hits.map(\.id), path)
        var groups: [HitGroup] = []
        var places: [JSON: Int] = [:]
        for hit in hits {
            for value in values[hit.id] ?? [] {
                if let place = places[value] {
                    if groups[place].hits.count < size { groups[place].hits.append(hit) }
                } else {
                    places[value] = groups.count
                    groups.append(HitGroup(value: value, hits: [hit]))
                }
            }
        }
        groups = Array(groups.prefix(limit))
        let shown = try await withRecords(groups.flatMap(\.hits), request.selection)
        let byID = Dictionary(shown.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for index in groups.indices { groups[index].hits = groups[index].hits.compactMap { byID[$0.id] } }
        return groups
    }

    private func widened(_ prefetch: QueryRequest) -> QueryRequest {
        var wide = prefetch
        wide.limit = service.configuration.maxLimit
        wide.prefetches = wide.prefetches.map(widened)
        return wide
    }

    /// Numbers with a fraction, though it be zero, make no groups: clients read an id as an integer or a string.
    private static func isGroup(_ value: JSON) -> Bool {
        switch value {
        case .string: true
        case .number(let text): Int64(text) != nil || UInt64(text) != nil
        case .null, .bool, .array, .object: false
        }
    }

    /// The strings and integers under a path, by point.
    private func groupValues(of ids: [PointID], _ path: PayloadPath) async throws -> [PointID: [JSON]] {
        guard !ids.isEmpty else { return [:] }
        var aliases = AliasCounter()
        let result = try await service.read(
            [
                """
                select p.id, g.value
                from vectors.points as p
                \(path.values(of: "p.payload", alias: "g", &aliases))
                where \(collection.isPoint) and p.id = any (\(PostgresParameter(ids: ids))::bytea[])
                    and jsonb_typeof(g.value) in ('string', 'number')
                """
            ], of: collection, caller, timeout: timeout)[0]
        var values: [PointID: [JSON]] = [:]
        for row in 0..<result.rowCount {
            guard let id = result.pointID(row, 0), let value = result[row][1].json, Self.isGroup(value) else {
                continue
            }
            if values[id]?.contains(value) != true { values[id, default: []].append(value) }
        }
        return values
    }
}
