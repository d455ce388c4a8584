// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What of a collection's settings is passed on: members that are known, and of those that cost the other server memory or threads
/// for everybody only what a tenant may choose, unless the service key asks.
enum ExternalSettings {
    /// The body that makes a collection, out of settings that were read already.
    static func creation(_ config: JSONObject, isService: Bool) throws -> JSONObject {
        var body = JSONObject()
        for (name, value) in config where value != .null {
            switch name {
            case "vectors": body[name] = try vectors(value)
            case "sparse_vectors": body[name] = try sparseVectors(value)
            case "hnsw_config", "optimizers_config", "quantization_config", "strict_mode_config", "metadata",
                "on_disk_payload":
                if let written = try common(name, value, isService: isService) { body[name] = written }
            case "shard_number", "replication_factor", "write_consistency_factor":
                if isService { body[name] = try scalar(value, at: name) }
            case "wal_config":
                if isService { body[name] = try object(value, ["wal_capacity_mb", "wal_segments_ahead"], at: name) }
            // Taken and shown by the server alone.
            default: break
            }
        }
        return body
    }

    /// The body of a `PATCH`.
    static func change(_ change: JSONObject, isService: Bool) throws -> JSONObject {
        var body = JSONObject()
        for (given, value) in change where value != .null {
            let name = given == "optimizer_config" ? "optimizers_config" : given
            switch name {
            case "vectors":
                body[name] = try named(value, at: name) { params in
                    try kept(params, at: name) { member, value in
                        switch member {
                        case "hnsw_config": try graph(value)
                        case "quantization_config": try quantization(value)
                        case "on_disk": try scalar(value, at: member)
                        default: nil
                        }
                    }
                }
            case "sparse_vectors": body[name] = try sparseVectors(value)
            case "params":
                let known: Set<String> =
                    isService
                    ? [
                        "on_disk_payload", "replication_factor", "write_consistency_factor", "read_fan_out_factor",
                    ] : ["on_disk_payload"]
                body[name] = try object(value, known, at: name)
            default:
                if let written = try common(name, value, isService: isService) { body[name] = written }
            }
        }
        return body
    }

    /// The body that adds a vector.
    static func vector(_ params: JSONObject) throws -> JSONObject {
        try ExternalShape.check(params, ["dense", "sparse"])
        var body = JSONObject()
        if let dense = params["dense"], dense != .null { body["dense"] = try self.dense(dense, at: "dense") }
        if let sparse = params["sparse"], sparse != .null { body["sparse"] = try self.sparse(sparse, at: "sparse") }
        return body
    }

    /// `field_schema` of a payload's index.
    static func index(_ index: PayloadIndex) throws -> JSON {
        guard let params = index.params else { return .string(index.type.rawValue) }
        return try object(
            params,
            [
                "type", "is_tenant", "is_principal", "on_disk", "lookup", "range", "tokenizer", "lowercase",
                "min_token_len", "max_token_len", "phrase_matching", "ascii_folding", "stopwords", "stemmer",
                "enable_hnsw", "memory",
            ], at: "field_schema", mayNest: true)
    }

    private static func common(_ name: String, _ value: JSON, isService: Bool) throws -> JSON? {
        switch name {
        case "hnsw_config": return try graph(value)
        case "quantization_config": return try quantization(value)
        case "metadata": return value
        case "on_disk_payload": return try scalar(value, at: name)
        case "strict_mode_config":
            guard isService else { return nil }
            return try object(
                value,
                [
                    "enabled", "max_query_limit", "max_timeout", "unindexed_filtering_retrieve",
                    "unindexed_filtering_update", "search_max_hnsw_ef", "search_allow_exact", "search_max_oversampling",
                    "upsert_max_batchsize", "max_collection_vector_size_bytes", "read_rate_limit", "write_rate_limit",
                    "max_collection_payload_size_bytes", "max_points_count", "filter_max_conditions",
                    "condition_max_size",
                ], at: name)
        case "optimizers_config":
            let tenants: Set<String> = ["indexing_threshold", "memmap_threshold"]
            let all = tenants.union([
                "deleted_threshold", "vacuum_min_vector_number", "default_segment_number", "max_segment_size",
                "flush_interval_sec", "max_optimization_threads",
            ])
            let checked = try object(value, all, at: name)
            guard !isService, let members = checked.objectValue else { return checked }
            return .object(JSONObject(members.filter { tenants.contains($0.name) }.map { ($0.name, $0.value) }))
        default: throw VectorsError(.format, "unknown field `\(name.prefix(64))`")
        }
    }

    // MARK: Vectors

    private static func vectors(_ value: JSON) throws -> JSON {
        if CollectionSettings.isSingle(value) { return try dense(value, at: "vectors") }
        return try named(value, at: "vectors") { try dense($0, at: "vectors") }
    }

    private static func sparseVectors(_ value: JSON) throws -> JSON {
        try named(value, at: "sparse_vectors") { $0 == .null ? [:] : try sparse($0, at: "sparse_vectors") }
    }

    private static func dense(_ value: JSON, at path: String) throws -> JSON {
        try kept(value, at: path) { member, value in
            switch member {
            case "size", "distance", "datatype", "on_disk", "memory": try scalar(value, at: member)
            case "hnsw_config": try graph(value)
            case "quantization_config": try quantization(value)
            case "multivector_config": try object(value, ["comparator"], at: member)
            default: nil
            }
        }
    }

    private static func sparse(_ value: JSON, at path: String) throws -> JSON {
        try kept(value, at: path) { member, value in
            switch member {
            case "modifier": try scalar(value, at: member)
            case "index": try object(value, ["full_scan_threshold", "on_disk", "datatype", "memory"], at: member)
            default: nil
            }
        }
    }

    /// The most links and the widest walk of a graph.
    private static let maxLinks = 256
    private static let maxBreadth = 4096

    private static func graph(_ value: JSON) throws -> JSON {
        let members: Set<String> = [
            "m", "ef_construct", "full_scan_threshold", "max_indexing_threads", "on_disk", "payload_m",
            "inline_storage", "memory",
        ]
        for (name, bound) in [("m", maxLinks), ("payload_m", maxLinks), ("ef_construct", maxBreadth)] {
            if let number = value[name]?.intValue, !(0...bound).contains(number) {
                throw VectorsError.outOfBounds("hnsw_config.\(name)", "must be at most \(bound)")
            }
        }
        return try object(value, members, at: "hnsw_config")
    }

    private static func quantization(_ value: JSON) throws -> JSON {
        if value.stringValue != nil { return value }
        return try kept(value, at: "quantization_config") { name, value in
            switch name {
            case "scalar", "product", "binary":
                try object(
                    value, ["type", "quantile", "always_ram", "compression", "encoding", "query_encoding", "memory"],
                    at: name)
            default: nil
            }
        }
    }

    // MARK: Members

    private static func named(_ value: JSON, at path: String, _ read: (JSON) throws -> JSON) throws -> JSON {
        guard let members = value.objectValue else { throw VectorsError(.format, "\(path): expected an object") }
        var written = JSONObject()
        for (name, params) in members { written[name] = try read(params) }
        return .object(written)
    }

    private static func kept(
        _ value: JSON, at path: String, _ read: (String, JSON) throws -> JSON?
    ) throws -> JSON {
        try ExternalShape.object(value, at: path, read)
    }

    private static func object(
        _ value: JSON, _ known: Set<String>, at path: String, mayNest: Bool = false
    ) throws -> JSON {
        try kept(value, at: path) { name, value in
            guard known.contains(name) else { return nil }
            return mayNest ? value : try scalar(value, at: name)
        }
    }

    private static func scalar(_ value: JSON, at path: String) throws -> JSON {
        guard value.objectValue == nil, value.arrayValue == nil else {
            throw VectorsError(.format, "\(path): expected a plain value")
        }
        return value
    }
}
