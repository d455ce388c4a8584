// SPDX-License-Identifier: Apache-2.0
internal import HTTP

/// What can be asked of a collection that the external Qdrant keeps.
enum ExternalEndpoint: Sendable, Equatable {
    /// Rows of PostgreSQL alone answer it, wherever the points are.
    case catalog
    case info, update
    case addVector, removeVector, createIndex, deleteIndex
    /// A change of points, by its name in a batch.
    case change(String)
    case batch
    case retrieve, retrieveOne, scroll, count, facet
    case query(Form), queryBatch(Form), groups(Form)
    case matrix(asPairs: Bool)
    /// A route without a counterpart here.
    case unknown

    /// `query`, or one of the forms that came before it and answer with a bare list.
    enum Form: String, Sendable { case query, search, recommend, discover }

    /// - Parameter path: as it is registered. Nil for one that names no collection.
    init?(_ method: HTTPMethod, _ path: String) {
        let segments = path.split(separator: "/")
        guard let place = segments.firstIndex(of: ":collection") else { return nil }
        let rest = segments[(place + 1)...].joined(separator: "/")
        self = Self.table["\(method.rawValue) \(rest)"] ?? .unknown
    }

    private static let table: [String: ExternalEndpoint] = [
        "PUT ": .catalog, "DELETE ": .catalog, "GET exists": .catalog, "GET aliases": .catalog,
        // They refuse every collection.
        "GET cluster": .catalog, "POST cluster": .catalog, "GET snapshots": .catalog, "POST snapshots": .catalog,
        "PUT shards": .catalog, "POST shards/delete": .catalog,
        "GET ": .info, "PATCH ": .update,
        "PUT vectors/:vector": .addVector, "DELETE vectors/:vector": .removeVector,
        "PUT index": .createIndex, "DELETE index/:field": .deleteIndex,
        "PUT points": .change("upsert"), "POST points/delete": .change("delete"),
        "POST points/payload": .change("set_payload"), "PUT points/payload": .change("overwrite_payload"),
        "POST points/payload/delete": .change("delete_payload"),
        "POST points/payload/clear": .change("clear_payload"),
        "PUT points/vectors": .change("update_vectors"), "POST points/vectors/delete": .change("delete_vectors"),
        "POST points/batch": .batch,
        "POST points": .retrieve, "GET points/:id": .retrieveOne, "POST points/scroll": .scroll,
        "POST points/count": .count, "POST facet": .facet,
        "POST points/query": .query(.query), "POST points/query/batch": .queryBatch(.query),
        "POST points/query/groups": .groups(.query),
        "POST points/search": .query(.search), "POST points/search/batch": .queryBatch(.search),
        "POST points/search/groups": .groups(.search),
        "POST points/recommend": .query(.recommend), "POST points/recommend/batch": .queryBatch(.recommend),
        "POST points/recommend/groups": .groups(.recommend),
        "POST points/discover": .query(.discover), "POST points/discover/batch": .queryBatch(.discover),
        "POST points/search/matrix/pairs": .matrix(asPairs: true),
        "POST points/search/matrix/offsets": .matrix(asPairs: false),
    ]
}
