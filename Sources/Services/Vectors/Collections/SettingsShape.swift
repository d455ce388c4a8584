// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a setting may be. Reading keeps what is known: members that are null or that nobody knows are left out, since clients
/// refuse a description of a collection with members that they do not expect.
indirect enum SettingsShape: Sendable {
    case flag
    /// An integer, of at least so much.
    case integer(Int)
    case number(ClosedRange<Double>)
    case text
    case oneOf([String])
    /// One of several; the first that fits.
    case either([SettingsShape])
    /// An object with these members, of which those in `required` have to be there.
    case members([String: SettingsShape], required: [String] = [])
    /// An object with exactly one of these members.
    case variant([String: SettingsShape])
    /// An object that is kept as it is.
    case anyMembers

    /// - Throws: ``VectorsError``: `format` for another type, `validation` for a value out of its bounds.
    func read(_ value: JSON, at path: String) throws -> JSON {
        func refused(_ expected: String) -> VectorsError { VectorsError(.format, "\(path): expected \(expected)") }
        switch self {
        case .flag:
            guard value.boolValue != nil else { throw refused("a boolean") }
        case .integer(let minimum):
            guard case .number = value, let number = value.intValue, number >= 0 else {
                throw refused("an unsigned integer")
            }
            guard number >= minimum else {
                throw VectorsError.outOfBounds(path, "value \(number) invalid, must be \(minimum) or larger")
            }
            return JSON(number)
        case .number(let range):
            guard let number = value.doubleValue else { throw refused("a number") }
            guard range.contains(number) else {
                throw VectorsError.outOfBounds(
                    path, "value \(number) invalid, must be from \(range.lowerBound) to \(range.upperBound)")
            }
        case .text:
            guard value.stringValue != nil else { throw refused("a string") }
        case .oneOf(let names):
            guard let name = value.stringValue, names.contains(name) else {
                throw refused("one of \(names.joined(separator: ", "))")
            }
        case .either(let shapes):
            for shape in shapes.dropLast() {
                if let read = try? shape.read(value, at: path) { return read }
            }
            return try shapes.last?.read(value, at: path) ?? value
        case .anyMembers:
            guard value.objectValue != nil else { throw refused("an object") }
        case .members(let shapes, let required):
            guard let members = value.objectValue else { throw refused("an object") }
            var kept = JSONObject()
            for (name, value) in members where value != .null {
                if let shape = shapes[name] { kept[name] = try shape.read(value, at: "\(path).\(name)") }
            }
            for name in required where kept[name] == nil { throw refused("`\(name)`") }
            return .object(kept)
        case .variant(let shapes):
            let given = (value.objectValue ?? [:]).filter { $0.value != .null }
            guard let (name, value) = given.first, given.count == 1, let shape = shapes[name] else {
                throw refused("one of \(shapes.keys.sorted().joined(separator: ", "))")
            }
            return .object([name: try shape.read(value, at: "\(path).\(name)")])
        }
        return value
    }
}

extension SettingsShape {
    private static let anyInteger = SettingsShape.integer(0)

    static let graph = SettingsShape.members([
        "m": anyInteger, "ef_construct": .integer(4), "full_scan_threshold": anyInteger,
        "max_indexing_threads": anyInteger, "on_disk": .flag, "payload_m": anyInteger, "inline_storage": .flag,
        "memory": .text,
    ])

    static let optimizers = SettingsShape.members([
        "deleted_threshold": .number(0...1), "vacuum_min_vector_number": .integer(100),
        "default_segment_number": anyInteger, "max_segment_size": anyInteger, "memmap_threshold": anyInteger,
        "indexing_threshold": anyInteger, "flush_interval_sec": anyInteger,
        "max_optimization_threads": .either([.oneOf(["auto"]), anyInteger]), "prevent_unoptimized": .flag,
    ])

    static let log = SettingsShape.members([
        "wal_capacity_mb": .integer(1), "wal_segments_ahead": anyInteger, "wal_retain_closed": .integer(1),
    ])

    static let quantization = SettingsShape.variant([
        "scalar": .members(
            ["type": .oneOf(["int8"]), "quantile": .number(0.5...1), "always_ram": .flag, "memory": .text],
            required: ["type"]),
        "product": .members(
            ["compression": .oneOf(["x4", "x8", "x16", "x32", "x64"]), "always_ram": .flag, "memory": .text],
            required: ["compression"]),
        "binary": .members([
            "always_ram": .flag, "encoding": .oneOf(["one_bit", "two_bits", "one_and_half_bits"]),
            "query_encoding": .oneOf(["default", "binary", "scalar4bits", "scalar8bits"]), "memory": .text,
        ]),
    ])

    /// `params` of a change.
    static let parameters = SettingsShape.members([
        "replication_factor": .integer(1), "write_consistency_factor": .integer(1), "read_fan_out_factor": anyInteger,
        "read_fan_out_delay_ms": anyInteger, "on_disk_payload": .flag,
    ])

    /// What may be changed of a dense vector.
    static let vectorChange = SettingsShape.members([
        "hnsw_config": graph, "quantization_config": quantization, "on_disk": .flag, "memory": .text,
    ])

    /// A dense vector, but for its size, of which the text of a refusal says more.
    static let dense = SettingsShape.members(
        [
            "size": .number(-.greatestFiniteMagnitude ... .greatestFiniteMagnitude),
            "distance": .oneOf(Distance.allCases.map(\.rawValue)),
            "multivector_config": .members(["comparator": .oneOf(["max_sim"])], required: ["comparator"]),
            "datatype": datatype, "hnsw_config": graph, "quantization_config": quantization, "on_disk": .flag,
            "memory": .text,
        ], required: ["size", "distance"])

    static let sparse = SettingsShape.members([
        "modifier": .oneOf(["none", "idf"]),
        "index": .members([
            "full_scan_threshold": anyInteger, "on_disk": .flag, "datatype": datatype, "memory": .text,
        ]),
    ])

    private static let datatype = SettingsShape.oneOf(["float32", "float16", "uint8"])
}

extension CollectionSettings {
    /// Whether `vectors` describes one vector without a name. One that is called `size` is described by an object.
    static func isSingle(_ vectors: JSON) -> Bool {
        guard let size = vectors["size"] else { return false }
        return size.objectValue == nil
    }

    static func read(vectors value: JSON) throws -> JSON {
        if isSingle(value) { return try read(dense: value, at: "vectors") }
        return try read(named: value, at: "vectors") { try read(dense: $0, at: $1) }
    }

    static func read(dense value: JSON, at path: String) throws -> JSON {
        try SettingsShape.dense.read(value, at: path)
    }

    /// Null stands for a sparse vector without settings.
    static func read(sparse value: JSON, at path: String) throws -> JSON {
        value == .null ? [:] : try SettingsShape.sparse.read(value, at: path)
    }

    static func read(
        named value: JSON, at path: String, _ read: (JSON, String) throws -> JSON
    ) throws -> JSON {
        var all = JSONObject()
        for (name, params) in try SettingsShape.anyMembers.read(value, at: path).objectValue ?? [:] {
            all[name] = try read(params, "\(path).\(name)")
        }
        return .object(all)
    }

    /// Threads that the server is to choose are shown as none, as clients expect a number.
    static func read(optimizers value: JSON, at path: String) throws -> JSON {
        var members = try SettingsShape.optimizers.read(value, at: path).objectValue ?? [:]
        if members["max_optimization_threads"] == "auto" { members["max_optimization_threads"] = .null }
        return .object(members)
    }
}
