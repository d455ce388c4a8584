// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Carries out one query on one collection for one caller.
struct QueryRun {
    let service: VectorsService
    let collection: VectorCollection
    let caller: Caller
    let timeout: Duration

    /// The hits in order, with what the request wants to see of them.
    func hits(_ request: QueryRequest) async throws -> [Hit] {
        if !request.prefetches.isEmpty { return try await merged(request) }
        return try await leaf(request, within: nil, selection: request.selection)
    }

    // MARK: Prefetches

    private func merged(_ request: QueryRequest) async throws -> [Hit] {
        var sources: [[Hit]] = []
        for prefetch in request.prefetches {
            var inner = prefetch
            // The outer filter reaches into what is prefetched.
            if let outer = request.filter {
                inner.filter = inner.filter.map { Filter(must: [.filter($0), .filter(outer)]) } ?? outer
            }
            inner.selection = .ids
            sources.append(try await hits(inner))
        }
        let last = request.limit + request.offset
        var ranked: [Hit]
        switch request.kind {
        case .fusion(let fusion): ranked = fusion.fuse(sources)
        case .formula(let formula): ranked = try await rescored(sources, formula, limit: last)
        case .byID, .nearest, .diverse, .recommend, .discover, .context, .orderBy, .sample:
            let ids = Array(Set(sources.joined().map(\.id)))
            guard !ids.isEmpty else { return [] }
            return try await leaf(request, within: ids, selection: request.selection)
        }
        if let threshold = request.scoreThreshold { ranked.removeAll { $0.score < threshold } }
        return try await withRecords(Array(ranked.prefix(last).dropFirst(request.offset)), request.selection)
    }

    private func rescored(_ sources: [[Hit]], _ formula: Formula, limit: Int) async throws -> [Hit] {
        var scores: [PointID: [Double?]] = [:]
        for (number, source) in sources.enumerated() {
            for hit in source {
                scores[hit.id, default: Array(repeating: nil, count: sources.count)][number] = hit.score
            }
        }
        guard !scores.isEmpty else { return [] }
        let ids = Array(scores.keys)
        let lists = ids.map { id in
            "{" + (scores[id] ?? []).map { $0.map(\.description) ?? "NULL" }.joined(separator: ",") + "}"
        }
        var writer = FormulaWriter(collection)
        let query: PostgresQuery = """
            select p.id, p.version, (\(try writer.write(formula.expression)))::real::float8 as score
            from unnest(\(PostgresParameter(ids: ids))::bytea[], \(lists)::text[]) as i (id, scores)
            cross join lateral (select i.scores::float8[] as scores) as c
            inner join vectors.points as p on p.id = i.id
            where \(collection.isPoint)
            order by score desc, p.id limit \(limit)::bigint
            """
        return Self.scored(try await service.read([query], of: collection, caller, timeout: timeout)[0])
    }

    // MARK: One search

    /// - Parameter ids: when given, the only points considered.
    private func leaf(
        _ request: QueryRequest, within ids: [PointID]?, selection: RecordSelection
    ) async throws -> [Hit] {
        let only: PostgresQuery =
            if let ids { "and p.id = any (\(PostgresParameter(ids: ids))::bytea[])" } else { "" }
        switch request.kind {
        case .byID:
            let query: PostgresQuery = """
                select \(collection.columns(selection)), 1::float8 as score
                from \(collection.points) \(only) \(try collection.and(request.filter))
                order by p.id limit \(request.limit)::bigint offset \(request.offset)::bigint
                """
            return try await recorded(query, selection)
        case .sample:
            let query: PostgresQuery = """
                select \(collection.columns(selection)), 1::float8 as score
                from \(collection.points) \(only) \(try collection.and(request.filter))
                order by random() limit \(request.limit)::bigint offset \(request.offset)::bigint
                """
            return try await recorded(query, selection)
        case .orderBy(let order):
            var filter = request.filter
            if let ids { filter = Filter(must: [.hasID(ids)] + (filter.map { [.filter($0)] } ?? [])) }
            let query = try order.query(
                in: collection, filter, selection, limit: request.limit, offset: request.offset)
            let result = try await service.read([query], of: collection, caller, timeout: timeout)[0]
            let columns = RecordColumns()
            return (0..<result.rowCount).compactMap { row in
                guard var hit = Self.hit(result, row, score: 1) else { return nil }
                hit.record = record(result, row, selection, columns)
                hit.orderValue = result.copyBytes(row, columns.others + 1)
                return hit
            }
        case .diverse(let target, let diversity, let candidates):
            return try await diverse(request, target, diversity, candidates ?? request.limit, within: ids, selection)
        case .nearest, .recommend, .discover, .context:
            let field = try collection.requireField(request.using)
            let (query, mentioned) = try await resolved(request, field)
            let search = Search(
                field: field, query: query, filter: request.filter, excluded: mentioned, within: ids,
                threshold: request.scoreThreshold, limit: request.limit, offset: request.offset,
                parameters: request.parameters, selection: selection)
            return try await hits(of: search)
        case .fusion, .formula: throw VectorsError(.badRequest, "Cannot merge results without prefetches")
        }
    }

    /// A search of one vector's rows, ready to be written.
    struct Search {
        let field: VectorField
        let query: ResolvedQuery
        let filter: Filter?
        let excluded: [PointID]
        let within: [PointID]?
        let threshold: Double?
        let limit: Int
        let offset: Int
        let parameters: QueryRequest.Parameters
        let selection: RecordSelection
    }

    private func hits(of search: Search) async throws -> [Hit] {
        if let indexed = try await indexedHits(of: search) { return indexed }
        return try await recorded(try exactQuery(search), search.selection)
    }

    /// Scores every row that qualifies.
    func exactQuery(_ search: Search) throws -> PostgresQuery {
        let scoring = Scoring(collection: collection, field: search.field)
        let direction: PostgresQuery = scoring.isAscending(search.query) ? "asc" : "desc"
        return """
            select \(collection.columns(search.selection)), s.score
            from \(scoring.source)
            cross join lateral (select \(scoring.score(search.query)) as score) as s
            where \(scoring.scope) \(try conditions(search)) \(scoring.overlap(search.query))
                \(Self.threshold(search, scoring))
            order by s.score \(direction), p.id limit \(search.limit)::bigint offset \(search.offset)::bigint
            """
    }

    /// The filter and the ids of a search.
    func conditions(_ search: Search) throws -> PostgresQuery {
        var conditions = try collection.and(search.filter)
        if !search.excluded.isEmpty {
            conditions += " and not (p.id = any (\(PostgresParameter(ids: search.excluded))::bytea[]))"
        }
        if let ids = search.within { conditions += " and p.id = any (\(PostgresParameter(ids: ids))::bytea[])" }
        return conditions
    }

    static func threshold(_ search: Search, _ scoring: Scoring) -> PostgresQuery {
        guard let threshold = search.threshold else { return "" }
        return scoring.isAscending(search.query)
            ? "and s.score <= \(threshold)::float8" : "and s.score >= \(threshold)::float8"
    }

    // MARK: Reading results

    /// Runs a query whose columns are those of a record and then the score.
    func recorded(
        _ query: PostgresQuery, _ selection: RecordSelection, settings: [(name: String, value: String)] = []
    ) async throws -> [Hit] {
        let result = try await service.read(
            [query], of: collection, caller, isSmall: selection.isSmall, settings: settings, timeout: timeout)[0]
        let columns = RecordColumns()
        return (0..<result.rowCount).compactMap { row in
            guard var hit = Self.hit(result, row, score: result.number(row, columns.others + 1)) else { return nil }
            hit.record = record(result, row, selection, columns)
            return hit
        }
    }

    private func record(
        _ result: PostgresResult, _ row: Int, _ selection: RecordSelection, _ columns: RecordColumns
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        collection.appendRecord(result, row, selection, columns, to: &bytes)
        return bytes
    }

    private static func hit(_ result: PostgresResult, _ row: Int, score: Double) -> Hit? {
        guard let id = result.pointID(row, 0) else { return nil }
        return Hit(id: id, score: score, version: result[row][1].int ?? 0)
    }

    /// Rows of id, version and score.
    private static func scored(_ result: PostgresResult) -> [Hit] {
        (0..<result.rowCount).compactMap { hit(result, $0, score: result.number($0, 2)) }
    }

    /// Reads what a request wants to see of points that were ranked without it.
    func withRecords(_ hits: [Hit], _ selection: RecordSelection) async throws -> [Hit] {
        guard !hits.isEmpty, hits.contains(where: { $0.record == nil }) || selection.wantsMore else { return hits }
        let query: PostgresQuery = """
            select \(collection.columns(selection)), 0::float8
            from \(collection.points) and p.id = any (\(PostgresParameter(ids: hits.map(\.id)))::bytea[])
            """
        let found = Dictionary(
            try await recorded(query, selection).map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        return hits.compactMap { hit in
            guard let known = found[hit.id] else { return nil }
            var hit = hit
            hit.record = known.record
            hit.version = known.version
            return hit
        }
    }

    // MARK: Diversity

    /// Picks one by one: near to the query and unlike what was picked.
    private func diverse(
        _ request: QueryRequest, _ target: VectorInput, _ diversity: Double, _ candidates: Int, within ids: [PointID]?,
        _ selection: RecordSelection
    ) async throws -> [Hit] {
        let field = try collection.requireField(request.using)
        var nearest = request
        nearest.kind = .nearest(target)
        nearest.limit = max(candidates, 1)
        nearest.offset = 0
        let found = try await leaf(nearest, within: ids, selection: .ids)
        guard !found.isEmpty else { return [] }
        let (query, _) = try await resolved(nearest, field)
        guard case .nearest(let vector) = query else { return [] }
        let scoring = Scoring(collection: collection, field: field)
        // All pairs among the candidates, and each with the query, scored as recommendations are.
        let pairs = try await likeness(of: found.map(\.id), scoring, to: vector)
        var picked: [Hit] = []
        var pending = found
        var relevance: [PointID: Double] = pairs.relevance
        picked.append(pending.removeFirst())
        while picked.count < request.limit + request.offset, !pending.isEmpty {
            var best = 0
            var bestScore = -Double.infinity
            for (index, candidate) in pending.enumerated() {
                let nearest = picked.map { pairs.likeness[Pair(candidate.id, $0.id)] ?? 0 }.max() ?? 0
                let score = (1 - diversity) * (relevance[candidate.id] ?? 0) - diversity * nearest
                if score > bestScore { (best, bestScore) = (index, score) }
            }
            picked.append(pending.remove(at: best))
        }
        relevance = [:]
        return try await withRecords(Array(picked.dropFirst(request.offset)), selection)
    }

    private struct Pair: Hashable {
        let first: PointID
        let second: PointID
        init(_ first: PointID, _ second: PointID) { (self.first, self.second) = (first, second) }
    }

    private func likeness(
        of ids: [PointID], _ scoring: Scoring, to query: VectorValue
    ) async throws -> (relevance: [PointID: Double], likeness: [Pair: Double]) {
        let vectors = try await self.vectors(of: ids, scoring.field, in: collection)
        var relevance: [PointID: Double] = [:]
        var likeness: [Pair: Double] = [:]
        for id in ids {
            guard let vector = vectors[id] else { continue }
            relevance[id] = Likeness.of(vector, query, scoring.field.distance)
            for other in ids where other != id {
                guard let otherVector = vectors[other] else { continue }
                likeness[Pair(id, other)] = Likeness.of(vector, otherVector, scoring.field.distance)
            }
        }
        return (relevance, likeness)
    }
}

extension RecordSelection {
    /// Whether anything beside the id is wanted.
    var wantsMore: Bool {
        if case .none = payload { return vectors != .none }
        return true
    }
}

extension PostgresResult {
    /// A cell of a floating-point type.
    func number(_ row: Int, _ column: Int) -> Double { string(row, column).flatMap { Double($0) } ?? 0 }
}

/// The internal score of two vectors, as ``Scoring/similarity(_:)`` writes it in SQL.
enum Likeness {
    static func of(_ first: VectorValue, _ second: VectorValue, _ distance: Distance) -> Double {
        switch (first, second) {
        case (.dense(let first), .dense(let second)): return of(first, second, distance)
        case (.multi(let rows), .multi(let queries)):
            return queries.reduce(0) { sum, query in sum + (rows.map { of($0, query, distance) }.max() ?? 0) }
        case (.sparse(let first), .sparse(let second)):
            var sum = 0.0
            var position = 0
            for (index, value) in zip(first.indices, first.values) {
                while position < second.indices.count, second.indices[position] < index { position += 1 }
                if position < second.indices.count, second.indices[position] == index {
                    sum += Double(value) * Double(second.values[position])
                }
            }
            return sum
        case (.dense, _), (.multi, _), (.sparse, _): return 0
        }
    }

    private static func of(_ first: [Float], _ second: [Float], _ distance: Distance) -> Double {
        var sum = 0.0
        switch distance {
        case .cosine, .dot: for (a, b) in zip(first, second) { sum += Double(a) * Double(b) }
        case .euclid: for (a, b) in zip(first, second) { sum -= (Double(a) - Double(b)) * (Double(a) - Double(b)) }
        case .manhattan: for (a, b) in zip(first, second) { sum -= abs(Double(a) - Double(b)) }
        }
        return sum
    }
}
