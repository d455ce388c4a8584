// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Which indexes a collection should have, and from how many unindexed vectors on.
struct IndexPlan: Sendable {
    /// One vector that is worth an index.
    struct Target: Sendable {
        let field: VectorField
        let kind: BuiltIndex.Kind
        /// Unindexed vectors from which one is built.
        let threshold: Int
        let links: Int
        let breadth: Int
    }

    let targets: [Target]

    init(_ collection: VectorCollection, defaultThreshold kilobytes: Int) {
        guard let threshold = collection.settings.indexingThreshold(default: kilobytes) else {
            targets = []
            return
        }
        targets = collection.settings.fields.compactMap { field in
            guard let size = field.size, let kind = Self.kind(of: field), let graph = collection.settings.graph(field)
            else {
                return nil
            }
            return Target(
                field: field, kind: kind, threshold: Self.points(kilobytes: threshold, size: size), links: graph.links,
                breadth: graph.breadth)
        }
    }

    /// How many vectors of four bytes a dimension take that many kilobytes.
    static func points(kilobytes: Int, size: Int) -> Int { max(1, kilobytes * 1024 / (4 * max(size, 1))) }

    /// Whether so much is unindexed that an index is due.
    func isBehind(unindexed: Int) -> Bool { targets.contains { unindexed >= $0.threshold } }

    /// What an index of the field holds; nil where pgvector has none for so many dimensions.
    private static func kind(of field: VectorField) -> BuiltIndex.Kind? {
        guard case .dense(let size, let distance) = field.kind else { return nil }
        if field.quantization == .binary, distance != .manhattan, size <= 64_000 { return .bit }
        if field.quantization == .scalar || field.precision != .float32, size <= 4000 { return .halfvec }
        return size <= 2000 ? .vector : size <= 4000 ? .halfvec : nil
    }

    /// What is indexed of a column, which has no dimensions of its own.
    static func expression(_ kind: BuiltIndex.Kind, _ field: VectorField, column: PostgresQuery) -> PostgresQuery {
        let size = PostgresQuery(sql: String(field.size ?? 0))
        switch kind {
        case .vector, .gin: return "(\(column)::extensions.vector(\(size)))"
        case .halfvec: return "(\(column)::extensions.halfvec(\(size)))"
        case .bit: return "(extensions.binary_quantize(\(column))::bit(\(size)))"
        }
    }

    /// Cosine's vectors have length one, so that the inner product sorts them alike and costs less.
    static func operatorName(_ kind: BuiltIndex.Kind, _ distance: Distance) -> String {
        if kind == .bit { return "<~>" }
        switch distance {
        case .cosine, .dot: return "<#>"
        case .euclid: return "<->"
        case .manhattan: return "<+>"
        }
    }

    static func operatorClass(_ kind: BuiltIndex.Kind, _ distance: Distance) -> String {
        if kind == .bit { return "extensions.bit_hamming_ops" }
        let type = kind == .halfvec ? "halfvec" : "vector"
        switch distance {
        case .cosine, .dot: return "extensions.\(type)_ip_ops"
        case .euclid: return "extensions.\(type)_l2_ops"
        case .manhattan: return "extensions.\(type)_l1_ops"
        }
    }
}
