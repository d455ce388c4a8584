// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Writes what was read of a request as a request to the external Qdrant.
///
/// It writes from parsed values alone: what the server's own parsers do not understand cannot be passed on.
struct ExternalWriter {
    let space: ExternalSpace
    /// Other collections that a request names, by the name it gives them.
    let lookups: [String: ExternalSpace]
    /// Ids that have to be looked up before the request can be written, by collection.
    private(set) var unknown: [Int: Set<PointID>] = [:]
    /// Names that a refusal may repeat, and what the client called them.
    private var givenNames: [String: String]
    /// The same for ids.
    private var givenIDs: [String: String] = [:]

    init(_ space: ExternalSpace, lookups: [String: ExternalSpace] = [:]) {
        self.space = space
        self.lookups = lookups
        givenNames = [space.physicalName: space.collection.name]
        for (name, lookup) in lookups { givenNames[lookup.physicalName] = name }
    }

    // MARK: Names

    /// A path in a payload.
    mutating func key(_ path: PayloadPath) -> JSON { .string(keyText(path)) }

    mutating func keyText(_ path: PayloadPath) -> String {
        let key = space.key(path)
        if key != path.text { givenNames[key] = path.text }
        return key
    }

    /// The ids behind one of the client's.
    mutating func ids(_ id: PointID) -> [PointID] { ids(id, in: space) }

    private mutating func ids(_ id: PointID, in space: ExternalSpace) -> [PointID] {
        switch space.reach {
        case .whole: return [id]
        case .tenant(let tenant):
            let stored = ExternalSpace.id(of: id, in: tenant)
            givenIDs["\(stored)"] = "\(id)"
            return [stored]
        case .everyTenant:
            guard let known = space.known[id] else {
                unknown[space.collection.id, default: []].insert(id)
                return []
            }
            for stored in known { givenIDs["\(stored)"] = "\(id)" }
            return known
        }
    }

    /// The ids of points that have to be there.
    mutating func requiredIDs(_ ids: [PointID]) throws -> [JSON] {
        var list: [JSON] = []
        for id in ids {
            let stored = self.ids(id)
            guard !stored.isEmpty || unknown[space.collection.id] != nil else { throw VectorsError.pointNotFound(id) }
            list += stored.map(\.json)
        }
        return list
    }

    /// An example: an id, in the collection that examples are taken from, or a vector.
    mutating func input(_ input: VectorInput, in source: ExternalSpace) throws -> JSON {
        switch input {
        case .vector(let value): return value.json
        case .id(let id):
            if let stored = ids(id, in: source).first { return stored.json }
            guard unknown[source.collection.id] != nil else { throw VectorsError.pointNotFound(id) }
            return .null
        }
    }

    /// A refusal of the other server with the client's own names in it.
    func asGiven(_ text: String) -> String {
        var shown = ""
        var word = ""
        for character in text {
            if character == "-" || character.isHexDigit {
                word.append(character)
            } else {
                shown += givenIDs[word] ?? word
                shown.append(character)
                word = ""
            }
        }
        shown += givenIDs[word] ?? word
        // Longer ones first: a key may begin with another.
        for (sent, given) in givenNames.sorted(by: { $0.key.utf8.count > $1.key.utf8.count }) {
            shown = shown.replacing(sent, with: given)
        }
        return shown
    }

    // MARK: Filters

    /// A request's filter within what the caller reaches; nil for all of a collection.
    mutating func scoped(_ filter: Filter?) -> JSON? {
        let asked = filter.map { self.filter($0) }
        guard let condition = space.condition else { return asked }
        return ["must": .array([condition] + (asked.map { [$0] } ?? []))]
    }

    /// - Parameter isNested: whether keys begin at the element of an array.
    mutating func filter(_ filter: Filter, isNested: Bool = false) -> JSON {
        var members = JSONObject()
        if !filter.must.isEmpty { members["must"] = conditions(filter.must, isNested) }
        if !filter.should.isEmpty { members["should"] = conditions(filter.should, isNested) }
        if !filter.mustNot.isEmpty { members["must_not"] = conditions(filter.mustNot, isNested) }
        if let (list, count) = filter.minShould {
            members["min_should"] = ["conditions": conditions(list, isNested), "min_count": JSON(count)]
        }
        if members.isEmpty { members["must"] = [] }
        return .object(members)
    }

    private mutating func conditions(_ list: [Filter.Condition], _ isNested: Bool) -> JSON {
        var written: [JSON] = []
        for condition in list { written.append(self.condition(condition, isNested: isNested)) }
        return .array(written)
    }

    mutating func condition(_ condition: Filter.Condition, isNested: Bool = false) -> JSON {
        switch condition {
        case .filter(let inner): return filter(inner, isNested: isNested)
        case .hasVector(let name): return ["has_vector": .string(name)]
        case .hasID(let list):
            var stored: [JSON] = []
            for id in list { stored += ids(id).map(\.json) }
            return ["has_id": .array(stored)]
        case .nested(let path, let inner):
            let key: JSON = isNested ? .string(ExternalSpace.text(of: path)) : self.key(path)
            return ["nested": ["key": key, "filter": filter(inner, isNested: true)]]
        case .field(let path, let test):
            return Self.field(isNested ? .string(ExternalSpace.text(of: path)) : key(path), test)
        }
    }

    private static func field(_ key: JSON, _ test: Filter.FieldTest) -> JSON {
        func match(_ name: String, _ value: JSON) -> JSON { ["key": key, "match": .object([name: value])] }
        switch test {
        case .equals(let value): return match("value", value)
        case .any(let values): return match("any", .array(values))
        case .except(let values): return match("except", .array(values))
        case .text(let text): return match("text", .string(text))
        case .textAny(let text): return match("text_any", .string(text))
        case .phrase(let text): return match("phrase", .string(text))
        case .prefix(let text): return match("prefix", .string(text))
        case .range(let bounds): return ["key": key, "range": Self.bounds(bounds) { JSON($0) }]
        case .instants(let bounds): return ["key": key, "range": Self.bounds(bounds) { .string($0) }]
        case .valuesCount(let bounds): return ["key": key, "values_count": Self.bounds(bounds) { JSON($0) }]
        case .isEmpty: return ["is_empty": ["key": key]]
        case .isNull: return ["is_null": ["key": key]]
        case .geoBox(let west, let north, let east, let south):
            return [
                "key": key,
                "geo_bounding_box": ["top_left": place(west, north), "bottom_right": place(east, south)],
            ]
        case .geoRadius(let lon, let lat, let metres):
            return ["key": key, "geo_radius": ["center": place(lon, lat), "radius": JSON(metres)]]
        case .geoPolygon(let exterior, let interiors):
            return [
                "key": key,
                "geo_polygon": ["exterior": ring(exterior), "interiors": .array(interiors.map(ring))],
            ]
        }
    }

    static func place(_ lon: Double, _ lat: Double) -> JSON { ["lon": JSON(lon), "lat": JSON(lat)] }

    private static func ring(_ ring: Filter.Ring) -> JSON {
        ["points": .array(zip(ring.lons, ring.lats).map { place($0, $1) })]
    }

    private static func bounds<Value>(_ bounds: Filter.Bounds<Value>, _ write: (Value) -> JSON) -> JSON {
        var members = JSONObject()
        for (name, bound) in [
            ("gt", bounds.above), ("gte", bounds.from), ("lt", bounds.below), ("lte", bounds.upTo),
        ] {
            if let bound { members[name] = write(bound) }
        }
        return .object(members)
    }
}

extension VectorValue {
    /// As requests and answers write it.
    var json: JSON {
        func numbers(_ floats: [Float]) -> JSON { .array(floats.map { .number($0.description) }) }
        switch self {
        case .dense(let floats): return numbers(floats)
        case .multi(let rows): return .array(rows.map(numbers))
        case .sparse(let sparse):
            return ["indices": .array(sparse.indices.map { JSON($0) }), "values": numbers(sparse.values)]
        }
    }
}

extension RecordSelection.Vectors {
    /// As `with_vector` writes it.
    var json: JSON {
        switch self {
        case .none: false
        case .all: true
        case .named(let names): .array(names.map { .string($0) })
        }
    }
}
