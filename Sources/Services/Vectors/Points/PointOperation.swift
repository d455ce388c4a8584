// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// One change of points.
enum PointOperation: Sendable {
    case upsert(PointBatch)
    case delete(PointSelection)
    case setPayload(JSON, under: PayloadPath?, PointSelection)
    case overwritePayload(JSON, under: PayloadPath?, PointSelection)
    case deletePayload([PayloadPath], PointSelection)
    case clearPayload(PointSelection)
    case updateVectors(PointBatch)
    case deleteVectors([String], PointSelection)

    /// Whether it may be tried as a plain insert.
    var mayInsertPlainly: Bool {
        if case .upsert(let batch) = self { batch.mode == .upsert && batch.isLarge } else { false }
    }

    /// How many rows it may write, for the index builder.
    var weight: Int {
        switch self {
        case .upsert(let batch), .updateVectors(let batch): batch.count
        case .setPayload, .overwritePayload, .deletePayload, .clearPayload, .delete, .deleteVectors: 1
        }
    }
}

/// Writes operations as statements of one unit.
struct OperationWriter {
    let collection: VectorCollection
    let caller: Caller
    let configuration: VectorsConfiguration
    /// Whether large upserts are plain inserts, which fail (23505) where a point is there already.
    let expectsNewPoints: Bool

    /// - Parameter version: the operation's number, which the points it writes get.
    func queries(_ operation: PointOperation, version: Int) throws -> [PostgresQuery] {
        switch operation {
        case .upsert(let batch): return try upsert(batch, version)
        case .delete(let selection): return try delete(selection)
        case .setPayload(let payload, let path, let selection):
            let value: PostgresQuery =
                if let path {
                    "vectors.set_payload(coalesce(p.payload, '{}'), \(path.json)::jsonb, \(payload)::jsonb)"
                } else { "coalesce(p.payload, '{}') || \(payload)::jsonb" }
            return try changePayload(value, selection, version)
        case .overwritePayload(let payload, let path, let selection):
            let value: PostgresQuery =
                if let path {
                    "vectors.set_payload(coalesce(p.payload, '{}'), \(path.json)::jsonb, \(payload)::jsonb)"
                } else { "\(payload)::jsonb" }
            return try changePayload(value, selection, version)
        case .deletePayload(let paths, let selection):
            var value: PostgresQuery = "coalesce(p.payload, '{}')"
            for path in paths { value = "vectors.delete_payload(\(value), \(path.json)::jsonb)" }
            return try changePayload(value, selection, version)
        case .clearPayload(let selection): return try changePayload("null", selection, version)
        case .updateVectors(let batch): return try updateVectors(batch, version)
        case .deleteVectors(let names, let selection): return try deleteVectors(names, selection, version)
        }
    }

    // MARK: Upserting

    /// Whose the rows will be, and what has to be joined to know. Only the service key may write to a shared collection in
    /// somebody's name: the payload's `user_id` says in whose. Each name is looked up once a batch.
    private func tenantOfRow(_ batch: PointBatch) -> (expression: PostgresQuery, join: PostgresQuery) {
        if let own = collection.tenantID { return ("\(own)::uuid", "") }
        if !caller.isService || caller.tenant != nil { return ("\(caller.tenant)::uuid", "") }
        guard batch.mayNameOwners else { return ("\(UUID.zero)::uuid", "") }
        return (
            "coalesce(t.tenant_id, \(UUID.zero)::uuid)",
            """
            left join (
                select o.owner, vectors.tenant_of_user(o.owner) as tenant_id
                from (select distinct i.payload ->> 'user_id' as owner from i) as o
            ) as t on t.owner = i.payload ->> 'user_id'
            """
        )
    }

    private func upsert(_ batch: PointBatch, _ version: Int) throws -> [PostgresQuery] {
        guard batch.count > 0 else { return [] }
        let order = batch.order
        let ids = batch.idsParameter(order)
        let size = collection.settings.fields.first { $0.slot == 0 }?.size
        let vectors: PostgresQuery =
            if let size {
                "\(batch.vectorsParameter(order, size: size, collection.types))::extensions.vector[]"
            } else { "null::extensions.vector[]" }
        let filter = try batch.updateFilter.flatMap { value -> Filter? in
            var parser = FilterParser(maxConditions: configuration.maxConditions)
            return try parser.filter(value, at: "update_filter")
        }
        var writer = FilterWriter(collection)
        let replaced: PostgresQuery = try filter.map { "where \(try writer.condition($0))" } ?? ""
        let tenant = tenantOfRow(batch)
        let rows: PostgresQuery = """
            with i as (
                select i.id, i.embedding, i.payload
                from unnest(\(ids)::bytea[], \(vectors), \(batch.payloadsParameter(order))::jsonb[])
                    as i (id, embedding, payload)
            )
            select
                \(collection.idExpression) as collection_id, \(version)::bigint as version,
                \(collection.bucketLiteral) as bucket, \(tenant.expression) as tenant_id,
                \(collection.tenantID == nil)::boolean as is_shared, i.id, i.embedding, i.payload
            from i \(tenant.join)
            """
        var queries: [PostgresQuery]
        switch batch.mode {
        case .upsert, .insertOnly:
            let conflict: PostgresQuery =
                if batch.mode == .insertOnly {
                    "on conflict (tenant_id, collection_id, id, bucket) do nothing"
                } else if expectsNewPoints, batch.isLarge {
                    ""
                } else {
                    """
                    on conflict (tenant_id, collection_id, id, bucket) do update
                    set version = excluded.version, embedding = excluded.embedding, payload = excluded.payload \(replaced)
                    """
                }
            queries = [
                """
                insert into vectors.points as p (
                    collection_id, version, bucket, tenant_id, is_shared, id, embedding, payload)
                \(rows)
                \(conflict)
                """
            ]
        case .updateOnly:
            let isMeant: PostgresQuery = try filter.map { "and \(try writer.condition($0))" } ?? ""
            queries = [
                """
                update vectors.points as p
                set version = i.version, embedding = i.embedding, payload = i.payload
                from (\(rows)) as i
                where p.bucket = \(collection.bucketLiteral) and p.tenant_id = i.tenant_id
                    and p.collection_id = i.collection_id and p.id = i.id \(isMeant)
                """
            ]
        }
        guard collection.hasNamedVectors else { return queries }
        // Vectors that the point does not name any more are gone; a point that was left as it is keeps its own.
        queries.append(
            """
            delete from vectors.named_vectors as v
            using vectors.points as p
            where \(collection.isPoint) and p.id = any (\(ids)::bytea[]) and p.version = \(version)::bigint
                and v.bucket = p.bucket and v.tenant_id = p.tenant_id and v.collection_id = p.collection_id and v.id = p.id
            """)
        queries += namedVectors(batch, order, version, onlyOfVersion: true)
        return queries
    }

    /// Puts vectors of other slots beside their points.
    private func namedVectors(
        _ batch: PointBatch, _ order: [Int], _ version: Int, onlyOfVersion: Bool
    ) -> [PostgresQuery] {
        let kept = Set(order)
        var queries: [PostgresQuery] = []
        let bySlot = Dictionary(grouping: batch.others.filter { kept.contains($0.point) }, by: \.slot)
        for (slot, entries) in bySlot.sorted(by: { $0.key < $1.key }) {
            var ids = BinaryArray(of: PostgresType.bytea)
            for entry in entries { ids.append(batch.ids[entry.point].key) }
            let columns = Self.columns(of: entries.map(\.value), collection.types)
            let isWritten: PostgresQuery = onlyOfVersion ? "and p.version = \(version)::bigint" : ""
            queries.append(
                """
                insert into vectors.named_vectors (
                    collection_id, version, bucket, slot, tenant_id, is_shared, id, \(columns.names))
                select p.collection_id, \(version)::bigint, p.bucket, \(slot)::smallint, p.tenant_id, p.is_shared, p.id,
                    \(columns.values)
                from unnest(\(ids.parameter(type: PostgresType.byteaArray))::bytea[], \(columns.arrays)) as i (id, a, b)
                inner join vectors.points as p on p.id = i.id
                where \(collection.isPoint) \(isWritten)
                on conflict (tenant_id, collection_id, slot, id, bucket) do update
                set version = excluded.version, embedding = excluded.embedding, parts = excluded.parts,
                    indices = excluded.indices, weights = excluded.weights
                """)
        }
        return queries
    }

    /// How values of one kind are handed over: two arrays, of which a text stands for an array within an array.
    private static func columns(
        of values: [VectorValue], _ types: VectorTypes
    ) -> (names: PostgresQuery, values: PostgresQuery, arrays: PostgresQuery) {
        switch values.first {
        case .multi:
            let texts = values.map(\.text)
            return ("parts", "i.a::extensions.vector[]", "\(texts)::text[], null::text[]")
        case .sparse:
            var indices: [String] = []
            var weights: [String] = []
            for case .sparse(let sparse) in values {
                indices.append("{" + sparse.indices.map(\.description).joined(separator: ",") + "}")
                weights.append("{" + sparse.values.map(\.description).joined(separator: ",") + "}")
            }
            return ("indices, weights", "i.a::bigint[], i.b::real[]", "\(indices)::text[], \(weights)::text[]")
        case .dense, nil:
            var array = BinaryArray(of: types.vector)
            for case .dense(let floats) in values { floats.withUnsafeBufferPointer { array.append(vector: $0) } }
            let parameter = array.parameter(type: types.vectorArray)
            return ("embedding", "i.a", "\(parameter)::extensions.vector[], null::text[]")
        }
    }

    // MARK: Changing and removing

    private func delete(_ selection: PointSelection) throws -> [PostgresQuery] {
        let condition = try selection.condition(in: collection)
        guard collection.hasNamedVectors else { return ["delete from vectors.points as p where \(condition)"] }
        return [
            """
            with gone as (
                delete from vectors.points as p where \(condition)
                returning p.tenant_id, p.id
            )
            delete from vectors.named_vectors as v
            using gone
            where v.bucket = \(collection.bucketLiteral) and v.tenant_id = gone.tenant_id
                and v.collection_id = \(collection.idExpression) and v.id = gone.id
            """
        ]
    }

    private func changePayload(
        _ value: PostgresQuery, _ selection: PointSelection, _ version: Int
    ) throws -> [PostgresQuery] {
        // Only a vector's change concerns an index, so the version that indexes go by stays as it is with the vector. Points
        // change their version with every operation, and with it leave the index until the next is built.
        let change: PostgresQuery = """
            update vectors.points as p
            set payload = \(value), version = \(version)::bigint
            where \(try selection.condition(in: collection))
            """
        return (selection.requirement(in: collection).map { [$0] } ?? []) + [change]
    }

    private func updateVectors(_ batch: PointBatch, _ version: Int) throws -> [PostgresQuery] {
        guard batch.count > 0 else { return [] }
        let order = batch.order
        let ids = batch.idsParameter(order)
        let all = PointSelection.ids(order.map { batch.ids[$0] })
        var queries: [PostgresQuery] = all.requirement(in: collection).map { [$0] } ?? []
        let filter = try batch.updateFilter.flatMap { value -> Filter? in
            var parser = FilterParser(maxConditions: configuration.maxConditions)
            return try parser.filter(value, at: "update_filter")
        }
        var writer = FilterWriter(collection)
        let isMeant: PostgresQuery = try filter.map { "and \(try writer.condition($0))" } ?? ""
        let size = collection.settings.fields.first { $0.slot == 0 }?.size
        let vectors: PostgresQuery =
            if let size {
                "\(batch.vectorsParameter(order, size: size, collection.types))::extensions.vector[]"
            } else { "null::extensions.vector[]" }
        queries.append(
            """
            update vectors.points as p
            set version = \(version)::bigint, embedding = coalesce(i.embedding, p.embedding)
            from unnest(\(ids)::bytea[], \(vectors)) as i (id, embedding)
            where \(collection.isPoint) and p.id = i.id \(isMeant)
            """)
        return queries + namedVectors(batch, order, version, onlyOfVersion: true)
    }

    private func deleteVectors(
        _ names: [String], _ selection: PointSelection, _ version: Int
    ) throws -> [PostgresQuery] {
        let fields = try names.map { try collection.requireField($0) }
        var queries: [PostgresQuery] = selection.requirement(in: collection).map { [$0] } ?? []
        let condition = try selection.condition(in: collection)
        let slots = fields.map(\.slot).filter { $0 != 0 }
        if !slots.isEmpty {
            queries.append(
                """
                delete from vectors.named_vectors as v
                using vectors.points as p
                where \(condition) and v.bucket = p.bucket and v.tenant_id = p.tenant_id
                    and v.collection_id = p.collection_id and v.id = p.id
                    and v.slot = any (\(PostgresParameter(integers: slots))::smallint[])
                """)
        }
        let row: PostgresQuery = fields.contains { $0.slot == 0 } ? ", embedding = null" : ""
        queries.append(
            "update vectors.points as p set version = \(version)::bigint\(row) where \(condition)")
        return queries
    }
}
