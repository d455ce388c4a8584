// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// What a client chose for a collection, kept as it was given, and where each vector is stored.
struct CollectionSettings: Sendable {
    /// Members of the request that made the collection, later changes merged in.
    private(set) var config: JSONObject
    private(set) var fields: [VectorField]

    /// Dimensions up to which a row with its vector fits a page.
    static let maxInlineSize = 1900
    static let maxSize = 65_536

    /// Whether the partition that keeps vectors in the row has room for them.
    var isInline: Bool { fields.allSatisfy { ($0.size ?? 0) <= Self.maxInlineSize } }

    /// From the column `settings`.
    init?(stored value: JSON) {
        guard let config = value["config"]?.objectValue, let slots = value["slots"]?.objectValue else { return nil }
        self.config = config
        fields = slots.compactMap { name, slot in
            guard let slot = slot.intValue else { return nil }
            return try? Self.field(name, slot: slot, config)
        }
    }

    /// The column `settings`.
    var stored: JSON {
        [
            "config": .object(config),
            "slots": .object(JSONObject(fields.map { ($0.name, JSON($0.slot)) })),
        ]
    }

    /// A request that makes a collection.
    ///
    /// - Throws: ``VectorsError``.
    init(creating body: JSONObject, maxVectors: Int) throws {
        config = [:]
        fields = []
        for (name, value) in body where value != .null {
            switch name {
            case "vectors": config[name] = try Self.read(vectors: value)
            case "sparse_vectors":
                config[name] = try Self.read(named: value, at: name) { try Self.read(sparse: $0, at: $1) }
            case "hnsw_config": config[name] = try SettingsShape.graph.read(value, at: name)
            case "optimizers_config", "optimizer_config":
                config["optimizers_config"] = try Self.read(optimizers: value, at: name)
            case "quantization_config": config[name] = try SettingsShape.quantization.read(value, at: name)
            case "wal_config": config[name] = try SettingsShape.log.read(value, at: name)
            case "strict_mode_config", "metadata": config[name] = try SettingsShape.anyMembers.read(value, at: name)
            case "shard_number", "replication_factor", "write_consistency_factor":
                config[name] = try SettingsShape.integer(1).read(value, at: name)
            case "on_disk_payload": config[name] = try SettingsShape.flag.read(value, at: name)
            case "sharding_method": config[name] = try SettingsShape.oneOf(["auto", "custom"]).read(value, at: name)
            case "init_from":
                throw VectorsError(.badRequest, "init_from: points are not taken over from another collection")
            case "uuid", "timeout": config[name] = value
            default: throw VectorsError(.format, "unknown field `\(name.prefix(64))`")
            }
        }
        var names: [String] = []
        if let vectors = config["vectors"] {
            names = Self.isSingle(vectors) ? [""] : vectors.objectValue?.names ?? []
        }
        let sparse = config["sparse_vectors"]?.objectValue ?? [:]
        for name in sparse.names where names.contains(name) {
            throw VectorsError(.wrongInput, "Sparse vector name \(name) conflicts with a dense vector's")
        }
        names += sparse.names
        guard names.count <= maxVectors else {
            throw VectorsError(.badRequest, "a collection may have at most \(maxVectors) vectors")
        }
        for name in names { try append(name) }
    }

    /// Gives a vector of ``config`` its place.
    private mutating func append(_ name: String) throws {
        try Self.checkName(name)
        let candidate = try Self.field(name, slot: 0, config)
        let isFree = !fields.contains { $0.slot == 0 }
        if case .dense = candidate.kind, isFree {
            fields.append(candidate)
        } else {
            let slot = max(fields.map(\.slot).max() ?? 0, 0) + 1
            fields.append(try Self.field(name, slot: slot, config))
        }
    }

    // MARK: Changes

    /// A change of settings (`PATCH`).
    mutating func update(_ body: JSONObject) throws {
        for (name, value) in body where value != .null {
            switch name {
            case "hnsw_config": merge(try SettingsShape.graph.read(value, at: name), into: name)
            case "optimizers_config", "optimizer_config":
                merge(try Self.read(optimizers: value, at: name), into: "optimizers_config")
            case "strict_mode_config", "metadata":
                merge(try SettingsShape.anyMembers.read(value, at: name), into: name)
            case "quantization_config":
                config[name] =
                    value == "Disabled" ? JSON?.none : try SettingsShape.quantization.read(value, at: name)
            case "params":
                for (parameter, value) in try SettingsShape.parameters.read(value, at: name).objectValue ?? [:] {
                    config[parameter] = value
                }
            case "vectors":
                for (vector, change) in try SettingsShape.anyMembers.read(value, at: name).objectValue ?? [:] {
                    guard let field = fields.first(where: { $0.name == vector }), field.size != nil else {
                        throw VectorsError.unknownVector(vector)
                    }
                    try changeVector(vector, change, at: vector.isEmpty ? name : "\(name).\(vector)")
                }
            case "sparse_vectors":
                for (vector, change) in try SettingsShape.anyMembers.read(value, at: name).objectValue ?? [:] {
                    guard let field = fields.first(where: { $0.name == vector }), field.size == nil else {
                        throw VectorsError.unknownVector(vector)
                    }
                    var all = config["sparse_vectors"]?.objectValue ?? [:]
                    let read = try Self.read(sparse: change, at: "\(name).\(vector)")
                    all[vector] = Self.merged(all[vector] ?? [:], read, "index")
                    config["sparse_vectors"] = .object(all)
                }
            default: throw VectorsError(.format, "unknown field `\(name.prefix(64))`")
            }
        }
        fields = try fields.map { try Self.field($0.name, slot: $0.slot, config) }
    }

    private mutating func changeVector(_ name: String, _ change: JSON, at path: String) throws {
        guard var change = change.objectValue else { throw VectorsError(.format, "\(path): expected an object") }
        let isDisabled = change["quantization_config"] == "Disabled"
        if isDisabled { change["quantization_config"] = .null }
        let read = try SettingsShape.vectorChange.read(.object(change), at: path)
        var all = config["vectors"]?.objectValue ?? [:]
        let isSingle = config["vectors"].map(Self.isSingle) ?? false
        let old: JSON = isSingle ? .object(all) : all[name] ?? [:]
        var params = Self.merged(old, read, "hnsw_config").objectValue ?? [:]
        if isDisabled { params["quantization_config"] = JSON?.none }
        if isSingle {
            config["vectors"] = .object(params)
        } else {
            all[name] = .object(params)
            config["vectors"] = .object(all)
        }
    }

    /// Adds a vector (`PUT .../vectors/NAME`).
    ///
    /// - Returns: whether anything changed; adding it with the same settings again does not.
    mutating func addVector(_ name: String, _ body: JSONObject) throws -> Bool {
        try Self.checkName(name)
        let member: String
        let params: JSON
        if let dense = body["dense"], dense != .null {
            (member, params) = ("vectors", try Self.read(dense: dense, at: "dense"))
        } else if let sparse = body["sparse"], sparse != .null {
            (member, params) = ("sparse_vectors", try Self.read(sparse: sparse, at: "sparse"))
        } else {
            throw VectorsError(.format, "expected `dense` or `sparse`")
        }
        if let present = fields.first(where: { $0.name == name }) {
            var probe = config
            Self.setVector(name, params, member, &probe)
            let wanted = try Self.field(name, slot: present.slot, probe)
            guard wanted == present, (member == "vectors") == (present.size != nil) else {
                throw VectorsError(.wrongInput, "Vector \(name) exists with other settings")
            }
            return false
        }
        if member == "vectors", let vectors = config["vectors"], Self.isSingle(vectors) {
            throw VectorsError(.wrongInput, "a collection with an unnamed vector takes no named dense ones")
        }
        Self.setVector(name, params, member, &config)
        try append(name)
        return true
    }

    private static func setVector(_ name: String, _ params: JSON, _ member: String, _ config: inout JSONObject) {
        var all = config[member]?.objectValue ?? [:]
        all[name] = params
        config[member] = .object(all)
    }

    /// Removes a vector (`DELETE .../vectors/NAME`).
    ///
    /// - Returns: where it was stored.
    mutating func removeVector(_ name: String) throws -> Int {
        guard let field = fields.first(where: { $0.name == name }) else { throw VectorsError.unknownVector(name) }
        for member in ["vectors", "sparse_vectors"] {
            guard var all = config[member]?.objectValue else { continue }
            if name.isEmpty, Self.isSingle(.object(all)) { all = [:] } else { all[name] = nil }
            config[member] = .object(all)
        }
        fields.removeAll { $0.name == name }
        return field.slot
    }

    private mutating func merge(_ value: JSON, into name: String) {
        config[name] = Self.merged(config[name] ?? [:], value)
    }

    /// - Parameter inner: a member whose own members are merged in their turn.
    private static func merged(_ old: JSON, _ change: JSON, _ inner: String? = nil) -> JSON {
        guard var members = old.objectValue, let changes = change.objectValue else { return change }
        for (name, value) in changes {
            members[name] = name == inner ? merged(members[name] ?? [:], value) : value
        }
        return .object(members)
    }

    // MARK: Reading settings

    private static func checkName(_ name: String) throws {
        guard name.utf8.count <= 200, !name.contains(where: { "/\\<>:\"|?*\0".contains($0) }) else {
            throw VectorsError.outOfBounds(
                "vectors", "a vector's name has at most 200 bytes and none of / \\ < > : \" | ? *")
        }
    }

    private static func field(_ name: String, slot: Int, _ config: JSONObject) throws -> VectorField {
        if let sparse = config["sparse_vectors"]?.objectValue?[name] {
            guard sparse.objectValue != nil || sparse == .null else {
                throw VectorsError(.format, "sparse_vectors.\(name): expected an object")
            }
            let modifier = sparse["modifier"]?.stringValue
            guard modifier == nil || modifier == "none" || modifier == "idf" else {
                throw VectorsError(.format, "sparse_vectors.\(name).modifier: expected none or idf")
            }
            return VectorField(
                name: name, slot: slot, kind: .sparse(weighsByRarity: modifier == "idf"), precision: .float32,
                quantization: .none)
        }
        let vectors = config["vectors"]?.objectValue ?? [:]
        let params = name.isEmpty && isSingle(.object(vectors)) ? JSON.object(vectors) : vectors[name] ?? .null
        let path = name.isEmpty ? "vectors" : "vectors.\(name)"
        guard let size = params["size"]?.intValue else {
            throw VectorsError(.format, "\(path): expected `size` and `distance`")
        }
        guard (1...maxSize).contains(size) else {
            throw VectorsError.outOfBounds("\(path).size", "value \(size) invalid, must be from 1 to \(maxSize)")
        }
        guard let distance = params["distance"]?.stringValue.flatMap(Distance.init) else {
            throw VectorsError(.format, "\(path).distance: expected one of Cosine, Euclid, Dot, Manhattan")
        }
        let isMulti = (params["multivector_config"] ?? .null) != .null
        return VectorField(
            name: name, slot: slot, kind: isMulti ? .multi(size: size, distance) : .dense(size: size, distance),
            precision: params["datatype"]?.stringValue.flatMap(VectorField.Precision.init) ?? .float32,
            quantization: quantization(params["quantization_config"] ?? config["quantization_config"]))
    }

    private static func quantization(_ value: JSON?) -> VectorField.Quantization {
        guard let name = value?.objectValue?.names.first else { return .none }
        return VectorField.Quantization(rawValue: name) ?? .none
    }
}

extension CollectionSettings {
    /// The graph's links and breadth for one vector: its own settings over the collection's over Qdrant's defaults.
    ///
    /// - Returns: nil when `m` is 0, which asks for no graph.
    func graph(_ field: VectorField) -> (links: Int, breadth: Int)? {
        let own = (field.name.isEmpty ? config["vectors"] : config["vectors"]?[field.name])?["hnsw_config"]
        let shared = config["hnsw_config"]
        let links = own?["m"]?.intValue ?? shared?["m"]?.intValue ?? 16
        let breadth = own?["ef_construct"]?.intValue ?? shared?["ef_construct"]?.intValue ?? 100
        guard links > 0 else { return nil }
        let bounded = min(max(links, 2), 100)
        return (bounded, min(max(breadth, 2 * bounded), 1000))
    }

    /// Kilobytes of unindexed vectors from which an index is built; nil for never.
    func indexingThreshold(default kilobytes: Int) -> Int? {
        guard let value = config["optimizers_config"]?["indexing_threshold"]?.intValue else { return kilobytes }
        return value == 0 ? nil : value
    }
}
