// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Postgres
internal import Primitives

extension QueryRun {
    /// Turns a query's examples into vectors.
    ///
    /// - Returns: also the ids that were mentioned and so are no answers; none when they came from another collection.
    func resolved(_ request: QueryRequest, _ field: VectorField) async throws -> (ResolvedQuery, [PointID]) {
        let inputs = request.kind.inputs
        var ids: [PointID] = []
        for case .id(let id) in inputs where !ids.contains(id) { ids.append(id) }
        var found: [PointID: VectorValue] = [:]
        var mentioned = ids
        if !ids.isEmpty {
            if let lookup = request.lookup {
                mentioned = []
                found = try await service.withCollection(lookup.collection, caller, isLookup: true) { other in
                    let name = lookup.vector ?? request.using
                    return try await vectors(of: ids, try other.requireField(name), in: other)
                }
            } else {
                found = try await vectors(of: ids, field, in: collection)
            }
            for id in ids where found[id] == nil { throw VectorsError.pointNotFound(id) }
        }
        func example(_ input: VectorInput) throws -> VectorValue {
            switch input {
            case .vector(let value):
                _ = try field.queryForm(value)
                return value
            case .id(let id):
                guard let value = found[id] else { throw VectorsError.pointNotFound(id) }
                return value
            }
        }
        func vector(_ input: VectorInput) throws -> VectorValue { try field.queryForm(try example(input)) }
        let query: ResolvedQuery
        switch request.kind {
        case .nearest(let input): query = .nearest(try vector(input))
        case .recommend(let positive, let negative, let strategy):
            switch strategy {
            case .averageVector:
                // The mean is of the examples as they are; only it is brought to length one.
                let mean = try Self.average(try positive.map(example), try negative.map(example))
                query = .nearest(try field.queryForm(mean))
            case .bestScore:
                query = .bestScore(positive: try positive.map(vector), negative: try negative.map(vector))
            case .sumScores:
                query = .sumScores(positive: try positive.map(vector), negative: try negative.map(vector))
            }
        case .discover(let target, let pairs):
            query = .discover(
                target: try vector(target), try pairs.map { (try vector($0.positive), try vector($0.negative)) })
        case .context(let pairs):
            query = .context(try pairs.map { (try vector($0.positive), try vector($0.negative)) })
        case .byID, .diverse, .orderBy, .sample, .fusion, .formula:
            throw VectorsError(.badRequest, "the query has no vector")
        }
        return (try await weighed(query, field), mentioned)
    }

    /// Vectors of points by id; points without the vector are left out.
    func vectors(
        of ids: [PointID], _ field: VectorField, in other: VectorCollection
    ) async throws -> [PointID: VectorValue] {
        let columns: PostgresQuery
        let from: PostgresQuery
        let list = PostgresParameter(ids: ids)
        if field.slot == 0 {
            columns = "p.id, p.embedding::text, null, null"
            from = "\(other.points) and p.id = any (\(list)::bytea[]) and p.embedding is not null"
        } else {
            columns = """
                v.id, v.embedding::text, array_to_json(v.parts::text[])::text,
                case when v.indices is not null then json_build_array(v.indices, v.weights)::text end
                """
            from = "\(other.vectors(field.slot)) and v.id = any (\(list)::bytea[])"
        }
        let result = try await service.read(["select \(columns) from \(from)"], of: other, caller, timeout: timeout)[0]
        var found: [PointID: VectorValue] = [:]
        for row in 0..<result.rowCount {
            guard let id = result.pointID(row, 0) else { continue }
            if let text = result.string(row, 1) {
                found[id] = .dense(Self.floats(text))
            } else if let text = result.string(row, 2), let rows = (try? JSON(parsing: text))?.arrayValue {
                found[id] = .multi(rows.map { Self.floats($0.stringValue ?? "") })
            } else if let text = result.string(row, 3), let parts = (try? JSON(parsing: text))?.arrayValue {
                found[id] = .sparse(
                    try SparseVector(
                        indices: parts[0].arrayValue?.compactMap(\.intValue) ?? [],
                        values: parts[1].arrayValue?.compactMap { $0.doubleValue.map { Float($0) } } ?? [], at: "vector"
                    ))
            }
        }
        return found
    }

    /// pgvector's text form: `[1,2,3]`.
    private static func floats(_ text: String) -> [Float] {
        text.dropFirst().dropLast().split(separator: ",").compactMap { Float($0) }
    }

    /// The mean of the positive examples, moved away from that of the negative ones.
    private static func average(_ positive: [VectorValue], _ negative: [VectorValue]) throws -> VectorValue {
        switch positive.first {
        case .dense:
            let mean = { (list: [VectorValue]) -> [Float] in
                var sum: [Double] = []
                for case .dense(let floats) in list {
                    sum = sum.isEmpty ? floats.map(Double.init) : zip(sum, floats).map { $0 + Double($1) }
                }
                return sum.map { Float($0 / Double(list.count)) }
            }
            let toward = mean(positive)
            guard !negative.isEmpty else { return .dense(toward) }
            return .dense(zip(toward, mean(negative)).map { $0 + $0 - $1 })
        case .multi:
            var rows: [[Float]] = []
            for case .multi(let part) in positive { rows += part }
            for case .multi(let part) in negative { rows += part.map { $0.map { -$0 } } }
            return .multi(rows)
        case .sparse:
            let mean = { (list: [VectorValue]) -> [Int: Float] in
                var sum: [Int: Float] = [:]
                for case .sparse(let sparse) in list {
                    for (index, value) in zip(sparse.indices, sparse.values) { sum[index, default: 0] += value }
                }
                return sum.mapValues { $0 / Float(list.count) }
            }
            let toward = mean(positive)
            let away = mean(negative)
            let indices = negative.isEmpty ? Array(toward.keys) : Array(Set(toward.keys).union(away.keys))
            return .sparse(
                try SparseVector(
                    indices: indices,
                    values: indices.map { index in
                        let near = toward[index] ?? 0
                        return negative.isEmpty ? near : near + near - (away[index] ?? 0)
                    }, at: "recommend"))
        case nil: throw VectorsError(.badRequest, "At least one positive vector ID required with this strategy")
        }
    }

    // MARK: Rarity

    /// Multiplies a sparse query's values by how rare their indices are among the points the caller sees.
    private func weighed(_ query: ResolvedQuery, _ field: VectorField) async throws -> ResolvedQuery {
        guard case .sparse(weighsByRarity: true) = field.kind else { return query }
        var indices: Set<Int> = []
        for case .sparse(let sparse) in query.vectors { indices.formUnion(sparse.indices) }
        let results = try await service.read(
            [
                "select count(*) from \(collection.points)",
                """
                select i.index, count(*)
                from vectors.named_vectors as v
                cross join lateral unnest(v.indices) as i (index)
                where \(collection.isVector(field.slot)) and v.indices && \(PostgresParameter(integers: indices))::bigint[]
                    and i.index = any (\(PostgresParameter(integers: indices))::bigint[])
                group by i.index
                """,
            ], of: collection, caller, timeout: timeout)
        let total = Double(results[0].onlyRow?[0].int ?? 0)
        var frequency: [Int: Double] = [:]
        for row in results[1].rows { if let index = row[0].int { frequency[index] = Double(row[1].int ?? 0) } }
        return query.mapVectors { value in
            guard case .sparse(var sparse) = value else { return value }
            for (place, index) in sparse.indices.enumerated() {
                let count = frequency[index] ?? 0
                sparse.values[place] *= Float(log((total - count + 0.5) / (count + 0.5) + 1))
            }
            return .sparse(sparse)
        }
    }
}

extension QueryRequest.Kind {
    /// All examples.
    var inputs: [VectorInput] {
        switch self {
        case .nearest(let input), .diverse(let input, _, _): [input]
        case .recommend(let positive, let negative, _): positive + negative
        case .discover(let target, let pairs): [target] + pairs.flatMap { [$0.positive, $0.negative] }
        case .context(let pairs): pairs.flatMap { [$0.positive, $0.negative] }
        case .byID, .orderBy, .sample, .fusion, .formula: []
        }
    }
}

extension ResolvedQuery {
    var vectors: [VectorValue] {
        switch self {
        case .nearest(let vector): [vector]
        case .bestScore(let positive, let negative), .sumScores(let positive, let negative): positive + negative
        case .discover(let target, let pairs): [target] + pairs.flatMap { [$0.positive, $0.negative] }
        case .context(let pairs): pairs.flatMap { [$0.positive, $0.negative] }
        }
    }

    func mapVectors(_ change: (VectorValue) -> VectorValue) -> ResolvedQuery {
        switch self {
        case .nearest(let vector): .nearest(change(vector))
        case .bestScore(let positive, let negative):
            .bestScore(positive: positive.map(change), negative: negative.map(change))
        case .sumScores(let positive, let negative):
            .sumScores(positive: positive.map(change), negative: negative.map(change))
        case .discover(let target, let pairs):
            .discover(target: change(target), pairs.map { (change($0.positive), change($0.negative)) })
        case .context(let pairs): .context(pairs.map { (change($0.positive), change($0.negative)) })
        }
    }
}
