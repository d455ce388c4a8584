// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Which points a change is for: `points` or `filter`.
enum PointSelection: Sendable {
    case ids([PointID])
    case filter(Filter)

    /// - Throws: ``VectorsError`` when neither is given.
    init(_ members: JSONObject, _ configuration: VectorsConfiguration) throws {
        if let points = members["points"], points != .null {
            guard let list = points.arrayValue else { throw VectorsError(.format, "points: expected a list of ids") }
            guard list.count <= configuration.maxBatch else {
                throw VectorsError(.badRequest, "a request may have at most \(configuration.maxBatch) points")
            }
            self = .ids(try list.map { try PointID.parse($0, at: "points") })
            return
        }
        var parser = FilterParser(maxConditions: configuration.maxConditions)
        guard let filter = try parser.filter(members["filter"]) else {
            throw VectorsError(.badRequest, "either `points` or `filter` is needed")
        }
        self = .filter(filter)
    }

    /// The condition on rows of `vectors.points as p`.
    func condition(in collection: VectorCollection) throws -> PostgresQuery {
        switch self {
        case .ids(let ids): return "\(collection.isPoint) and p.id = any (\(PostgresParameter(ids: ids))::bytea[])"
        case .filter(let filter):
            var writer = FilterWriter(collection)
            return "\(collection.isPoint) and \(try writer.condition(filter))"
        }
    }

    /// Refuses the unit when an explicit id is not there.
    func requirement(in collection: VectorCollection) -> PostgresQuery? {
        guard case .ids(let ids) = self, !ids.isEmpty else { return nil }
        return """
            select from vectors.require_points(
                \(collection.bucketLiteral), \(collection.id)::bigint, \(collection.tenantID)::uuid,
                \(PostgresParameter(ids: ids))::bytea[])
            """
    }
}
