// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// A collection as the server remembers it between requests; whether it still is so, PostgreSQL says with each of them.
struct VectorCollection: Sendable {
    let id: Int
    let revision: Int
    /// The partition of its points.
    let bucket: Int
    /// Nil for a collection of the project.
    let tenantID: UUID?
    let name: String
    /// Whether the external Qdrant keeps its points.
    let isExternal: Bool
    /// What its name there is made of.
    let externalID: UUID
    let settings: CollectionSettings
    let payloadSchema: [(key: String, index: PayloadIndex)]
    /// Those that searches may use, by slot, oldest first.
    let indexes: [BuiltIndex]
    let types: VectorTypes

    /// The number written out, so that PostgreSQL prunes partitions when it plans and a statement is prepared once for all
    /// collections of a bucket.
    var bucketLiteral: PostgresQuery { PostgresQuery(sql: String(bucket)) }

    /// Whether its partition holds no other collection.
    var isSeparate: Bool { bucket >= 1000 }

    /// The collection's number in a statement: written out where the partition is its own, so that the conditions of its
    /// indexes are seen to hold, and bound elsewhere.
    var idExpression: PostgresQuery { isSeparate ? PostgresQuery(sql: String(id)) : "\(id)::bigint" }

    /// The condition that keeps to its rows of `vectors.points as p`.
    ///
    /// It names the tenant of a tenant's own collection for the index's sake: whose rows they are, row level security decides.
    var isPoint: PostgresQuery { "p.bucket = \(bucketLiteral) and p.collection_id = \(idExpression) and \(space("p"))" }

    private func space(_ alias: String) -> PostgresQuery {
        if let tenantID { return PostgresQuery(sql: alias) + ".tenant_id = \(tenantID)::uuid" }
        return PostgresQuery(sql: alias + ".is_shared")
    }

    /// The rows themselves, for a FROM clause to which conditions are added with `and`.
    var points: PostgresQuery { "vectors.points as p where \(isPoint)" }

    /// The condition that keeps to the rows of one of its vectors in `vectors.named_vectors as v`.
    func isVector(_ slot: Int) -> PostgresQuery {
        """
        v.bucket = \(bucketLiteral) and v.collection_id = \(idExpression) and v.slot = \(PostgresQuery(sql: String(slot)))
            and \(space("v"))
        """
    }

    func vectors(_ slot: Int) -> PostgresQuery { "vectors.named_vectors as v where \(isVector(slot))" }

    func field(_ name: String) -> VectorField? { settings.fields.first { $0.name == name } }

    /// The vector a request names; the unnamed one when it names none.
    func requireField(_ name: String?) throws -> VectorField {
        let name = name ?? ""
        guard let field = field(name) else { throw VectorsError.unknownVector(name) }
        return field
    }

    /// Whether points have vectors beside the one in their row.
    var hasNamedVectors: Bool { settings.fields.contains { $0.slot != 0 } }

    func payloadIndex(_ key: String) -> PayloadIndex? { payloadSchema.first { $0.key == key }?.index }

    /// Guards a read: put after it in one unit, where it has to find a row.
    var check: PostgresQuery {
        "select from vectors.collections as c where c.id = \(id)::bigint and c.revision = \(revision)::bigint"
    }

    /// Guards a write: put before it in one unit.
    var enter: PostgresQuery { "select from vectors.enter_collection(\(id)::bigint, \(revision)::bigint)" }

    /// The youngest version that the indexes of a slot cover; 0 without any.
    func indexedUpTo(_ slot: Int) -> Int { indexes.filter { $0.slot == slot }.map(\.upTo).max() ?? 0 }
}

/// An index in the background's making that is finished.
struct BuiltIndex: Sendable, Hashable {
    enum Kind: String, Sendable { case vector, halfvec, bit, gin }

    let slot: Int
    /// It covers points last written after this version ...
    let after: Int
    /// ... and no later than this one.
    let upTo: Int
    let kind: Kind
}

/// OIDs of pgvector's types, which differ between databases.
struct VectorTypes: Sendable, Hashable {
    let vector: UInt32
    let vectorArray: UInt32
}

extension VectorCollection {
    /// A row of ``columns``.
    init?(_ row: PostgresRow) {
        guard let id = row["id"].int, let revision = row["revision"].int, let bucket = row["bucket"].int,
            let name = row["name"].string, let isExternal = row["is_external"].bool,
            let externalID = row["external_id"].uuid,
            let settings = row["settings"].json.flatMap({ CollectionSettings(stored: $0) }),
            let vector = row["vector_type"].int, let vectorArray = row["vector_array_type"].int
        else { return nil }
        self.id = id
        self.revision = revision
        self.bucket = bucket
        tenantID = row["tenant_id"].uuid
        self.name = name
        self.isExternal = isExternal
        self.externalID = externalID
        self.settings = settings
        payloadSchema = (row["payload_schema"].json?.objectValue ?? [:]).compactMap { key, value in
            PayloadIndex(stored: value).map { (key, $0) }
        }
        indexes = (row["indexes"].json?.arrayValue ?? []).compactMap { value in
            guard let slot = value["slot"]?.intValue, let upTo = value["up_to"]?.intValue,
                let after = value["after"]?.intValue,
                let kind = value["kind"]?.stringValue.flatMap(BuiltIndex.Kind.init)
            else { return nil }
            return BuiltIndex(slot: slot, after: after, upTo: upTo, kind: kind)
        }
        types = VectorTypes(vector: UInt32(vector), vectorArray: UInt32(vectorArray))
    }

    /// What ``init(_:)`` reads, of `c`.
    static var columns: PostgresQuery {
        """
        c.id, c.revision, c.bucket, c.tenant_id, c.name, c.is_external, c.external_id, c.settings, c.payload_schema,
        (
            select json_agg(json_build_object('slot', i.slot, 'after', i.after, 'up_to', i.up_to, 'kind', i.kind) order by i.up_to)
            from vectors.indexes as i
            where i.collection_id = c.id and i.ready
        ) as indexes,
        'extensions.vector'::regtype::oid as vector_type, 'extensions.vector[]'::regtype::oid as vector_array_type
        """
    }
}
