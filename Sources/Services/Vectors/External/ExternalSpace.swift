// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// The part of a collection in the external Qdrant that one caller reaches, and how its points are written there.
///
/// A tenant's own collection is one of the other server, with ids and payloads as they are. In a project's collection the points
/// of many tenants lie side by side: a point is stored as `{"tenant": ..., "id": ..., "payload": {...}}` under an id made of both. What
/// a client sends only ever goes below `payload`, keys of filters included, so that nothing it can write names the other two.
struct ExternalSpace: Sendable {
    enum Reach: Sendable, Hashable {
        /// A collection that is one tenant's.
        case whole
        /// The rows of one tenant in a project's collection.
        case tenant(UUID)
        /// All rows of a project's collection, for the service key.
        case everyTenant
    }

    let collection: VectorCollection
    let reach: Reach
    /// For `everyTenant`: the ids of the other server that stand behind an id, as far as they were asked for.
    var known: [PointID: [PointID]] = [:]

    static let tenantKey = "tenant"
    static let idKey = "id"
    static let payloadKey = "payload"

    var isShared: Bool { reach != .whole }

    /// The name of the collection there: from a random number that PostgreSQL gave the row, so that it neither collides nor is
    /// guessed, and nobody chooses it.
    var physicalName: String { Self.physicalName(of: collection.externalID) }

    static func physicalName(of id: UUID) -> String { "atoll_\(id)" }

    /// The id of a tenant's point in a project's collection: a UUID of version 8 (RFC 9562) made of a digest, so that nobody
    /// can find an id of their own that is another tenant's.
    static func id(of id: PointID, in tenant: UUID) -> PointID {
        var bytes = Array(digest(tenant.bytes + id.key).prefix(16))
        bytes[6] = bytes[6] & 0x0f | 0x80
        bytes[8] = bytes[8] & 0x3f | 0x80
        return .uuid(UUID(bytes: bytes) ?? .zero)
    }

    /// The path of a client's payload there.
    func key(_ path: PayloadPath) -> String {
        isShared ? "\(Self.payloadKey).\(Self.text(of: path))" : Self.text(of: path)
    }

    /// A path in the one form that all parsers read alike: names quoted where they are more than letters, digits, `_` and `-`.
    static func text(of path: PayloadPath) -> String {
        var text = ""
        for step in path.steps {
            switch step {
            case .name(let name):
                if !text.isEmpty { text += "." }
                let isPlain =
                    !name.isEmpty
                    && name.utf8.allSatisfy {
                        switch $0 {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                            true
                        default: false
                        }
                    }
                text += isPlain ? name : "\"\(name)\""
            case .position(let index): text += "[\(index)]"
            case .everyElement: text += "[]"
            }
        }
        return text
    }

    /// The condition that keeps to the caller's rows; nil where all are.
    var condition: JSON? {
        guard case .tenant(let tenant) = reach else { return nil }
        return Self.condition(of: tenant)
    }

    static func condition(of tenant: UUID) -> JSON {
        ["key": .string(tenantKey), "match": ["value": .string("\(tenant)")]]
    }

    // MARK: What comes back

    /// The `with_payload` to ask for: the id is always needed, and the client's own choice is made here.
    func payloadRequest(_ payload: RecordSelection.Payload) -> JSON {
        if case .none = payload { return isShared ? [.string(Self.idKey)] : false }
        return true
    }

    /// The client's id of a record.
    func id(of record: JSON) -> JSON? {
        guard isShared else { return record["id"] }
        return record["payload"]?[Self.idKey]?.stringValue.flatMap { PointID(pathSegment: $0) }?.json
    }

    /// A record or scored point as the client sees it; nil for one that does not look like one.
    ///
    /// Members are taken one by one: what the other server adds stays here.
    func record(_ record: JSON, _ selection: RecordSelection) -> JSON? {
        guard let id = id(of: record) else { return nil }
        var shown: JSONObject = ["id": id]
        if let score = record["score"] {
            // Versions count operations: in a project's collection they would tell how much the others write.
            shown["version"] = isShared ? 0 : record["version"] ?? 0
            shown["score"] = score
        }
        if case .none = selection.payload {
            shown["payload"] = .null
        } else {
            let payload = (isShared ? record["payload"]?[Self.payloadKey] : record["payload"]) ?? .null
            shown["payload"] = selection.payload.apply(payload == .null ? [:] : payload)
        }
        shown["vector"] = record["vector"] ?? .null
        if let value = record["order_value"], value != .null { shown["order_value"] = value }
        return .object(shown)
    }
}
