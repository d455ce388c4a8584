// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Examples whose ids have become vectors, in the form the field is searched with.
enum ResolvedQuery: Sendable {
    case nearest(VectorValue)
    case bestScore(positive: [VectorValue], negative: [VectorValue])
    case sumScores(positive: [VectorValue], negative: [VectorValue])
    case discover(target: VectorValue, [(positive: VectorValue, negative: VectorValue)])
    case context([(positive: VectorValue, negative: VectorValue)])
}

/// Writes how a query scores the rows of one vector.
struct Scoring {
    let collection: VectorCollection
    let field: VectorField

    /// Where the rows come from: `vectors.points as p`, and `vectors.named_vectors as v` for slots of their own.
    var source: PostgresQuery {
        guard field.slot != 0 else { return "vectors.points as p" }
        return """
            vectors.named_vectors as v
            inner join vectors.points as p
                on p.bucket = v.bucket and p.tenant_id = v.tenant_id and p.collection_id = v.collection_id and p.id = v.id
            """
    }

    /// What the rows have to be: of this collection, with this vector.
    var scope: PostgresQuery {
        guard field.slot != 0 else { return "\(collection.isPoint) and p.embedding is not null" }
        return "\(collection.isVector(field.slot)) and p.bucket = \(collection.bucketLiteral)"
    }

    /// The dense vector of a row.
    var embedding: PostgresQuery { field.slot == 0 ? "p.embedding" : "v.embedding" }

    /// Whether a lower score is a better one.
    func isAscending(_ query: ResolvedQuery) -> Bool {
        if case .nearest = query { return !field.distance.isSimilarity }
        return false
    }

    /// The score of a row; null for a sparse vector that has no index in common with the query.
    func score(_ query: ResolvedQuery) -> PostgresQuery {
        switch query {
        case .nearest(let vector): return nearest(vector)
        case .bestScore(let positive, let negative):
            let best = { (list: [VectorValue]) -> PostgresQuery in
                list.isEmpty
                    ? "'-infinity'::float8"
                    : "greatest(\(FilterWriter.joined(list.map { similarity($0) }, ", ")))"
            }
            return """
                (
                    select case when b.p > b.n then \(Self.sigmoid("b.p")) else -\(Self.sigmoid("b.n")) end
                    from (select \(best(positive)) as p, \(best(negative)) as n) as b
                )
                """
        case .sumScores(let positive, let negative):
            let sum = { (list: [VectorValue]) -> PostgresQuery in
                list.isEmpty ? "0::float8" : FilterWriter.joined(list.map { similarity($0) }, " + ")
            }
            return "((\(sum(positive))) - (\(sum(negative))))"
        case .discover(let target, let pairs):
            var rank: PostgresQuery = "0"
            for pair in pairs { rank += " + sign(\(similarity(pair.positive)) - \(similarity(pair.negative)))" }
            return """
                (\(rank) + (select \(Self.sigmoid("t.s")) from (select \(similarity(target)) as s) as t))
                """
        case .context(let pairs):
            let scores = pairs.map { pair -> PostgresQuery in
                """
                (
                    select d.x / (1 + abs(d.x))
                    from (
                        select least(
                            \(similarity(pair.positive)) - \(similarity(pair.negative)) - 1.1920929e-7::float8, 0) as x
                    ) as d
                )
                """
            }
            return "(\(FilterWriter.joined(scores, " + ")))"
        }
    }

    /// `(x / (1 + |x|) + 1) / 2`, which is at its end for an infinite x.
    private static func sigmoid(_ x: PostgresQuery) -> PostgresQuery {
        """
        case when \(x) = '-infinity' then 0 when \(x) = 'infinity' then 1
            else 0.5::float8 * (\(x) / (1 + abs(\(x))) + 1) end
        """
    }

    /// The score of a plain search, as Qdrant shows it.
    private func nearest(_ vector: VectorValue) -> PostgresQuery {
        switch vector {
        case .dense(let floats): return Self.shown(embedding, parameter(floats), field.distance)
        case .multi:
            let sum = similarity(vector)
            switch field.distance {
            case .cosine, .dot: return sum
            case .euclid: return "sqrt(abs(\(sum)))"
            case .manhattan: return "abs(\(sum))"
            }
        case .sparse(let sparse): return product(sparse)
        }
    }

    static func shown(_ row: PostgresQuery, _ query: PostgresQuery, _ distance: Distance) -> PostgresQuery {
        switch distance {
        case .cosine, .dot: "(-(\(row) operator(extensions.<#>) \(query)))"
        case .euclid: "(\(row) operator(extensions.<->) \(query))"
        case .manhattan: "(\(row) operator(extensions.<+>) \(query))"
        }
    }

    /// What recommendations compare: higher is nearer under every distance.
    func similarity(_ vector: VectorValue) -> PostgresQuery {
        switch vector {
        case .dense(let floats): return Self.internalScore(embedding, parameter(floats), field.distance)
        case .multi(let rows):
            let parameter: PostgresQuery =
                "\(PostgresParameter(vectors: rows, collection.types))::extensions.vector[]"
            return """
                (
                    select sum(
                        (select max(\(Self.internalScore("r.row", "q.row", field.distance)))
                        from unnest(v.parts) as r (row)))
                    from unnest(\(parameter)) as q (row)
                )
                """
        case .sparse(let sparse): return "coalesce(\(product(sparse)), 0)"
        }
    }

    private static func internalScore(
        _ row: PostgresQuery, _ query: PostgresQuery, _ distance: Distance
    ) -> PostgresQuery {
        switch distance {
        case .cosine, .dot: "(-(\(row) operator(extensions.<#>) \(query)))"
        case .euclid: "(-power(\(row) operator(extensions.<->) \(query), 2))"
        case .manhattan: "(-(\(row) operator(extensions.<+>) \(query)))"
        }
    }

    private func product(_ sparse: SparseVector) -> PostgresQuery {
        """
        (
            select sum(s.weight::float8 * q.weight)
            from unnest(v.indices, v.weights) as s (index, weight)
            inner join unnest(
                \(PostgresParameter(integers: sparse.indices))::bigint[], \(PostgresParameter(floats: sparse.values))::real[]
            ) as q (index, weight) on q.index = s.index
        )
        """
    }

    /// The rows a sparse query can find.
    func overlap(_ query: ResolvedQuery) -> PostgresQuery {
        guard case .nearest(.sparse(let sparse)) = query else { return "" }
        return "and v.indices && \(PostgresParameter(integers: sparse.indices))::bigint[]"
    }

    func parameter(_ floats: [Float]) -> PostgresQuery {
        "\(PostgresParameter(vector: floats, collection.types))::extensions.vector"
    }
}

extension VectorField {
    /// A query's vector in the form it is compared with: of length one under Cosine.
    func queryForm(_ value: VectorValue) throws -> VectorValue {
        let exact = VectorField(name: name, slot: slot, kind: kind, precision: .float32, quantization: .none)
        return try exact.accept(value)
    }
}
