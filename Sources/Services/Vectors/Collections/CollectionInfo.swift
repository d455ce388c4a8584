// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What `GET /collections/NAME` answers: the settings with the defaults filled in, and what PostgreSQL counted.
struct CollectionInfo {
    let collection: VectorCollection
    /// Points the caller sees.
    let points: Int
    /// Dense vectors covered by an index.
    let indexedVectors: Int
    /// Whether an index is wanted that is not there yet.
    let isIndexing: Bool
    /// Points with a value, by key of the payload's indexes.
    let payloadPoints: [String: Int]

    var json: JSON {
        var schema = JSONObject()
        for (key, index) in collection.payloadSchema {
            var members = index.json.objectValue ?? [:]
            members["points"] = JSON(payloadPoints[key] ?? 0)
            schema[key] = .object(members)
        }
        return [
            "status": .string(isIndexing ? "yellow" : "green"), "optimizer_status": "ok",
            "indexed_vectors_count": JSON(indexedVectors), "points_count": JSON(points),
            "segments_count": JSON(1 + collection.indexes.count), "config": config, "payload_schema": .object(schema),
        ]
    }

    private var config: JSON {
        let given = collection.settings.config
        var params: JSONObject = [
            "vectors": given["vectors"] ?? [:],
            "shard_number": given["shard_number"] ?? 1, "replication_factor": given["replication_factor"] ?? 1,
            "write_consistency_factor": given["write_consistency_factor"] ?? 1,
            "on_disk_payload": given["on_disk_payload"] ?? true,
        ]
        if let sparse = given["sparse_vectors"] { params["sparse_vectors"] = sparse }
        var config: JSONObject = [
            "params": .object(params),
            "hnsw_config": Self.filled(
                [
                    "m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0,
                    "on_disk": false,
                ],
                given["hnsw_config"]),
            "optimizer_config": Self.filled(
                [
                    "deleted_threshold": 0.2, "vacuum_min_vector_number": 1000, "default_segment_number": 0,
                    "max_segment_size": nil, "memmap_threshold": nil, "indexing_threshold": 20_000,
                    "flush_interval_sec": 5, "max_optimization_threads": nil,
                ], given["optimizers_config"]),
            "wal_config": Self.filled(["wal_capacity_mb": 32, "wal_segments_ahead": 0], given["wal_config"]),
            "quantization_config": given["quantization_config"] ?? .null,
        ]
        if let strict = given["strict_mode_config"] { config["strict_mode_config"] = strict }
        if let metadata = given["metadata"] { config["metadata"] = metadata }
        return .object(config)
    }

    private static func filled(_ defaults: JSONObject, _ given: JSON?) -> JSON {
        var members = defaults
        for (name, value) in given?.objectValue ?? [:] where value != .null { members[name] = value }
        return .object(members)
    }
}
