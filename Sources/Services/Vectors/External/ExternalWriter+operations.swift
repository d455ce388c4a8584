// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Whose rows a write to a project's collection makes, as PostgreSQL says it.
struct ExternalOwners: Sendable {
    /// For a token: the users that its payloads may name. Nil for the service key, which may name anybody.
    var members: Set<String>?
    /// For the service key: the tenant that upserts are for, where the request names one.
    var tenant: UUID?
    /// For the service key: the tenants of the users that payloads name.
    var tenants: [String: UUID] = [:]
}

extension PointOperation {
    /// The users that its payloads name as owners.
    var namedOwners: Set<String> {
        switch self {
        case .upsert(let batch):
            guard batch.mayNameOwners else { return [] }
            return Set(
                batch.payloads.compactMap { range in
                    range.flatMap { try? JSON(parsing: batch.payloadBytes[$0]) }?["user_id"]?.stringValue
                })
        case .setPayload(let payload, nil, _), .overwritePayload(let payload, nil, _):
            return Set([payload["user_id"]?.stringValue].compactMap { $0 })
        case .setPayload, .overwritePayload, .delete, .deletePayload, .clearPayload, .updateVectors, .deleteVectors:
            return []
        }
    }
}

extension ExternalWriter {
    /// Operations of `points/batch`, as JSON text; nothing for one that concerns no point.
    mutating func operation(
        _ operation: PointOperation, _ owners: ExternalOwners, maxConditions: Int
    ) throws -> [[UInt8]] {
        switch operation {
        case .upsert(let batch):
            return batch.count == 0 ? [] : [try upsert(batch, owners, maxConditions: maxConditions)]
        case .updateVectors(let batch):
            return batch.count == 0 ? [] : [try updateVectors(batch, maxConditions: maxConditions)]
        case .delete(let selection):
            var body = JSONObject()
            switch selection {
            case .ids(let ids):
                // Deleting what is not there is no error.
                var stored: [JSON] = []
                for id in ids { stored += self.ids(id).map(\.json) }
                guard !stored.isEmpty || !unknown.isEmpty else { return [] }
                body["points"] = .array(stored)
            case .filter(let filter): body["filter"] = scoped(filter)
            }
            return [Self.bytes("delete", body)]
        case .setPayload(let payload, let path, let selection):
            try checkOwner(payload, path, owners)
            return try change("set_payload", try setting(payload, path), selection)
        case .overwritePayload(let payload, let path, let selection):
            try checkOwner(payload, path, owners)
            if path != nil { return try change("set_payload", try setting(payload, path), selection) }
            // In a project's collection the member that holds the client's payload is replaced, and nothing else.
            return space.isShared
                ? try change("set_payload", ["payload": .object([ExternalSpace.payloadKey: payload])], selection)
                : try change("overwrite_payload", ["payload": payload], selection)
        case .clearPayload(let selection):
            return space.isShared
                ? try change("set_payload", ["payload": .object([ExternalSpace.payloadKey: [:]])], selection)
                : try change("clear_payload", [:], selection)
        case .deletePayload(let paths, let selection):
            var keys: [JSON] = []
            for path in paths { keys.append(key(path)) }
            return try change("delete_payload", ["keys": .array(keys)], selection)
        case .deleteVectors(let names, let selection):
            for name in names { _ = try space.collection.requireField(name) }
            return try change("delete_vectors", ["vector": .array(names.map { .string($0) })], selection)
        }
    }

    private mutating func change(
        _ name: String, _ members: JSONObject, _ selection: PointSelection
    ) throws -> [[UInt8]] {
        var body = members
        switch selection {
        case .ids(let ids):
            let stored = try requiredIDs(ids)
            guard !stored.isEmpty || !unknown.isEmpty else { return [] }
            body["points"] = .array(stored)
        case .filter(let filter): body["filter"] = scoped(filter)
        }
        return [Self.bytes(name, body)]
    }

    /// The other server makes an array as long as the path asks for.
    private static let maxPosition = 10_000

    private mutating func setting(_ payload: JSON, _ path: PayloadPath?) throws -> JSONObject {
        var body: JSONObject = ["payload": payload]
        if let path {
            for case .position(let index) in path.steps where index > Self.maxPosition {
                throw VectorsError(.badRequest, "key: a position may be at most \(Self.maxPosition)")
            }
            body["key"] = key(path)
        } else if space.isShared {
            body["key"] = .string(ExternalSpace.payloadKey)
        }
        return body
    }

    private static func bytes(_ name: String, _ body: JSONObject) -> [UInt8] {
        JSON.object([name: .object(body)]).encoded()
    }

    // MARK: Owners

    /// What the policies of `vectors.points` say of the same row: a payload's `user_id` is a member of the token's tenant.
    private func checkOwner(_ payload: JSON, _ path: PayloadPath?, _ owners: ExternalOwners) throws {
        guard space.isShared, let members = owners.members else { return }
        let isRefused: Bool
        if let first = path?.steps.first {
            // Below the member it would be no user's id any more.
            isRefused = first == .name("user_id")
        } else {
            switch payload["user_id"] {
            case nil, .null?: isRefused = false
            case .string(let user)?: isRefused = !members.contains(user)
            default: isRefused = true
            }
        }
        guard !isRefused else {
            throw VectorsError(
                .forbidden, "payload.user_id may only be a member of the token's tenant in a collection of the project")
        }
    }

    /// Whose a row of an upsert will be.
    private func tenant(of payload: JSON, _ owners: ExternalOwners) -> UUID {
        if case .tenant(let tenant) = space.reach { return tenant }
        if let tenant = owners.tenant { return tenant }
        return payload["user_id"]?.stringValue.flatMap { owners.tenants[$0] } ?? .zero
    }

    // MARK: Points

    private mutating func upsert(
        _ batch: PointBatch, _ owners: ExternalOwners, maxConditions: Int
    ) throws -> [UInt8] {
        let vectors = try self.vectors(batch)
        var bytes = Array("{\"upsert\":{\"points\":[".utf8)
        bytes.reserveCapacity(batch.payloadBytes.count + batch.rowVectors.count * 12 + batch.count * 160)
        for number in 0..<batch.count {
            if number > 0 { bytes.append(UInt8(ascii: ",")) }
            var payload: JSON = .null
            if let range = batch.payloads[number] {
                // Written anew from what was understood: what is passed on is JSON, and each member is there once.
                do { payload = try JSON(parsing: batch.payloadBytes[range]) } catch {
                    throw VectorsError(.format, "points[\(number)].payload: \(error)")
                }
            }
            try checkOwner(payload, nil, owners)
            let id = batch.ids[number]
            var stored = id
            var whole = payload
            if space.isShared {
                let tenant = tenant(of: payload, owners)
                stored = ExternalSpace.id(of: id, in: tenant)
                whole = .object([
                    ExternalSpace.tenantKey: .string("\(tenant)"), ExternalSpace.idKey: .string("\(id)"),
                    ExternalSpace.payloadKey: payload == .null ? [:] : payload,
                ])
            }
            bytes.append(contentsOf: "{\"id\":".utf8)
            stored.json.encode(into: &bytes)
            bytes.append(contentsOf: ",\"vector\":".utf8)
            bytes.append(contentsOf: vectors[number])
            bytes.append(contentsOf: ",\"payload\":".utf8)
            whole.encode(into: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: "]"))
        try appendConditions(of: batch, maxConditions, to: &bytes)
        bytes.append(contentsOf: "}}".utf8)
        return bytes
    }

    private mutating func updateVectors(_ batch: PointBatch, maxConditions: Int) throws -> [UInt8] {
        let vectors = try self.vectors(batch)
        var bytes = Array("{\"update_vectors\":{\"points\":[".utf8)
        var isFirst = true
        for number in 0..<batch.count {
            for stored in try requiredIDs([batch.ids[number]]) {
                if !isFirst { bytes.append(UInt8(ascii: ",")) }
                isFirst = false
                bytes.append(contentsOf: "{\"id\":".utf8)
                stored.encode(into: &bytes)
                bytes.append(contentsOf: ",\"vector\":".utf8)
                bytes.append(contentsOf: vectors[number])
                bytes.append(UInt8(ascii: "}"))
            }
        }
        bytes.append(UInt8(ascii: "]"))
        try appendConditions(of: batch, maxConditions, to: &bytes)
        bytes.append(contentsOf: "}}".utf8)
        return bytes
    }

    private mutating func appendConditions(
        of batch: PointBatch, _ maxConditions: Int, to bytes: inout [UInt8]
    ) throws {
        var parser = FilterParser(maxConditions: maxConditions)
        if let filter = try parser.filter(batch.updateFilter, at: "update_filter") {
            bytes.append(contentsOf: ",\"update_filter\":".utf8)
            self.filter(filter).encode(into: &bytes)
        }
        if batch.mode != .upsert {
            bytes.append(contentsOf: ",\"update_mode\":\"\(batch.mode.rawValue)\"".utf8)
        }
    }

    /// Each point's vectors as JSON text: the unnamed one alone, or an object by name.
    private func vectors(_ batch: PointBatch) throws -> [[UInt8]] {
        let fields = Dictionary(
            space.collection.settings.fields.map { ($0.slot, $0) }, uniquingKeysWith: { first, _ in first })
        let size = fields[0]?.size ?? 0
        var others: [Int: [(name: String, value: JSON)]] = [:]
        for entry in batch.others {
            guard let field = fields[entry.slot] else { continue }
            others[entry.point, default: []].append((field.name, entry.value.json))
        }
        return (0..<batch.count).map { number in
            let named = others[number] ?? []
            var row: (name: String, bytes: [UInt8])?
            if let field = fields[0], let place = batch.rowVectorNumbers[number] {
                row = (field.name, Self.bytes(batch.rowVectors[(place * size)..<((place + 1) * size)]))
            }
            if let row, row.name.isEmpty, named.isEmpty { return row.bytes }
            if row == nil, named.count == 1, named[0].name.isEmpty { return named[0].value.encoded() }
            var bytes: [UInt8] = [UInt8(ascii: "{")]
            for (name, value) in [row].compactMap({ $0 }) + named.map({ ($0.name, $0.value.encoded()) }) {
                if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
                JSON.encodeString(name, into: &bytes)
                bytes.append(UInt8(ascii: ":"))
                bytes.append(contentsOf: value)
            }
            bytes.append(UInt8(ascii: "}"))
            return bytes
        }
    }

    /// The usual vector, without a value in between.
    private static func bytes(_ floats: ArraySlice<Float>) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        bytes.reserveCapacity(floats.count * 12 + 2)
        for float in floats {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: float.description.utf8)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}
