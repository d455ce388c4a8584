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
            case "vectors", "sparse_vectors", "metadata": config[name] = value
            case "hnsw_config", "optimizers_config", "quantization_config", "wal_config", "strict_mode_config":
                guard value.objectValue != nil else { throw VectorsError(.format, "\(name): expected an object") }
                config[name] = value
            case "shard_number", "replication_factor", "write_consistency_factor":
                guard let number = value.intValue, number >= 1 else {
                    throw VectorsError.outOfBounds(name, "value \(value.text.prefix(32)) invalid, must be 1 or larger")
                }
                config[name] = value
            case "on_disk_payload", "sharding_method", "init_from", "uuid", "timeout": config[name] = value
            default: throw VectorsError(.format, "unknown field `\(name.prefix(64))`")
            }
        }
        try Self.checkGraph(config["hnsw_config"], at: "hnsw_config")
        try Self.checkQuantization(config["quantization_config"], at: "quantization_config")
        if let metadata = config["metadata"], metadata.objectValue == nil {
            throw VectorsError(.format, "metadata: expected an object")
        }
        var names: [String] = []
        if let vectors = config["vectors"] {
            guard let members = vectors.objectValue else { throw VectorsError(.format, "vectors: expected an object") }
            names = members["size"] != nil ? [""] : members.names
        }
        guard let sparse = (config["sparse_vectors"] ?? [:]).objectValue else {
            throw VectorsError(.format, "sparse_vectors: expected an object")
        }
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
            case "hnsw_config":
                try Self.checkGraph(value, at: name)
                merge(value, into: name)
            case "optimizers_config", "strict_mode_config": merge(value, into: name)
            case "metadata": merge(value, into: name)
            case "quantization_config":
                if value.stringValue == "Disabled" {
                    config[name] = nil
                } else {
                    try Self.checkQuantization(value, at: name)
                    config[name] = value
                }
            case "params":
                for (parameter, value) in value.objectValue ?? [:] where value != .null { config[parameter] = value }
            case "vectors":
                for (vector, change) in value.objectValue ?? [:] {
                    guard let field = fields.first(where: { $0.name == vector }), field.size != nil else {
                        throw VectorsError.unknownVector(vector)
                    }
                    try Self.checkGraph(change["hnsw_config"], at: "vectors.hnsw_config")
                    try Self.checkQuantization(change["quantization_config"], at: "vectors.quantization_config")
                    try changeVector(vector, change)
                }
            case "sparse_vectors":
                for (vector, change) in value.objectValue ?? [:] {
                    guard let field = fields.first(where: { $0.name == vector }), field.size == nil else {
                        throw VectorsError.unknownVector(vector)
                    }
                    var all = config["sparse_vectors"]?.objectValue ?? [:]
                    all[vector] = Self.merged(all[vector] ?? [:], change)
                    config["sparse_vectors"] = .object(all)
                }
            default: throw VectorsError(.format, "unknown field `\(name.prefix(64))`")
            }
        }
        fields = try fields.map { try Self.field($0.name, slot: $0.slot, config) }
    }

    private mutating func changeVector(_ name: String, _ change: JSON) throws {
        var allowed = JSONObject()
        for member in ["hnsw_config", "quantization_config", "on_disk"] {
            if let value = change[member], value != .null { allowed[member] = value }
        }
        var all = config["vectors"]?.objectValue ?? [:]
        if name.isEmpty {
            config["vectors"] = Self.merged(.object(all), .object(allowed))
        } else {
            all[name] = Self.merged(all[name] ?? [:], .object(allowed))
            config["vectors"] = .object(all)
        }
    }

    /// Adds a vector (`PUT .../vectors/NAME`).
    ///
    /// - Returns: whether anything changed; adding it with the same settings again does not.
    mutating func addVector(_ name: String, _ body: JSONObject) throws -> Bool {
        try Self.checkName(name)
        let member = body["dense"] != nil ? "vectors" : "sparse_vectors"
        guard let params = body["dense"] ?? body["sparse"], params.objectValue != nil else {
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
        if let vectors = config["vectors"]?.objectValue, vectors["size"] != nil, member == "vectors" {
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
            if name.isEmpty, all["size"] != nil { all = [:] } else { all[name] = nil }
            config[member] = .object(all)
        }
        fields.removeAll { $0.name == name }
        return field.slot
    }

    private mutating func merge(_ value: JSON, into name: String) {
        config[name] = Self.merged(config[name] ?? [:], value)
    }

    private static func merged(_ old: JSON, _ change: JSON) -> JSON {
        guard var members = old.objectValue, let changes = change.objectValue else { return change }
        for (name, value) in changes { members[name] = value }
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
        let params = name.isEmpty && vectors["size"] != nil ? JSON.object(vectors) : vectors[name] ?? .null
        let path = name.isEmpty ? "vectors" : "vectors.\(name)"
        guard params.objectValue != nil, let size = params["size"]?.intValue else {
            throw VectorsError(.format, "\(path): expected `size` and `distance`")
        }
        guard (1...maxSize).contains(size) else {
            throw VectorsError.outOfBounds("\(path).size", "value \(size) invalid, must be from 1 to \(maxSize)")
        }
        guard let distance = params["distance"]?.stringValue.flatMap(Distance.init) else {
            throw VectorsError(.format, "\(path).distance: expected one of Cosine, Euclid, Dot, Manhattan")
        }
        let multi = params["multivector_config"].flatMap { $0 == .null ? nil : $0 }
        if let multi, multi["comparator"]?.stringValue != "max_sim" {
            throw VectorsError(.format, "\(path).multivector_config.comparator: expected max_sim")
        }
        var precision = VectorField.Precision.float32
        if let datatype = params["datatype"], datatype != .null {
            guard let named = datatype.stringValue.flatMap(VectorField.Precision.init) else {
                throw VectorsError(.format, "\(path).datatype: expected float32, float16 or uint8")
            }
            precision = named
        }
        try checkGraph(params["hnsw_config"], at: "\(path).hnsw_config")
        try checkQuantization(params["quantization_config"], at: "\(path).quantization_config")
        return VectorField(
            name: name, slot: slot, kind: multi == nil ? .dense(size: size, distance) : .multi(size: size, distance),
            precision: precision,
            quantization: quantization(params["quantization_config"] ?? config["quantization_config"]))
    }

    private static func quantization(_ value: JSON?) -> VectorField.Quantization {
        guard let name = value?.objectValue?.names.first else { return .none }
        return VectorField.Quantization(rawValue: name) ?? .none
    }

    private static func checkQuantization(_ value: JSON?, at path: String) throws {
        guard let value, value != .null, value.stringValue != "Disabled" else { return }
        guard let members = value.objectValue, members.count == 1, let name = members.names.first,
            ["scalar", "product", "binary"].contains(name), members[name]?.objectValue != nil
        else { throw VectorsError(.format, "\(path): expected one of scalar, product, binary") }
        if name == "scalar", let quantile = members[name]?["quantile"], quantile != .null {
            guard let number = quantile.doubleValue, (0.5...1).contains(number) else {
                throw VectorsError.outOfBounds("\(path).scalar.quantile", "must be from 0.5 to 1")
            }
        }
    }

    private static func checkGraph(_ value: JSON?, at path: String) throws {
        guard let value, value != .null else { return }
        guard value.objectValue != nil else { throw VectorsError(.format, "\(path): expected an object") }
        if let links = value["m"], links != .null {
            guard let number = links.intValue, number >= 0 else {
                throw VectorsError(.format, "\(path).m: expected an unsigned integer")
            }
        }
        if let breadth = value["ef_construct"], breadth != .null {
            guard let number = breadth.intValue, number >= 4 else {
                throw VectorsError.outOfBounds(
                    "\(path).ef_construct", "value \(breadth.text) invalid, must be 4 or larger")
            }
        }
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
