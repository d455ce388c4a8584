// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// Qdrant's filter: all given clauses must hold.
struct Filter: Sendable {
    var must: [Condition] = []
    /// One of these; an empty list does not restrict.
    var should: [Condition] = []
    var mustNot: [Condition] = []
    var minShould: (conditions: [Condition], count: Int)?

    /// One condition on a point.
    indirect enum Condition: Sendable {
        case field(PayloadPath, FieldTest)
        case hasID([PointID])
        case hasVector(String)
        case nested(PayloadPath, Filter)
        case filter(Filter)
    }

    /// What is asked of the values under a path.
    enum FieldTest: Sendable {
        case equals(JSON)
        case any([JSON])
        case except([JSON])
        case text(String)
        case textAny(String)
        case phrase(String)
        case prefix(String)
        case range(Bounds<Double>)
        case instants(Bounds<String>)
        case geoBox(west: Double, north: Double, east: Double, south: Double)
        case geoRadius(lon: Double, lat: Double, metres: Double)
        case geoPolygon(exterior: Ring, interiors: [Ring])
        case valuesCount(Bounds<Int>)
        case isEmpty
        case isNull
    }

    /// A closed ring of places.
    struct Ring: Sendable {
        var lons: [Double]
        var lats: [Double]
    }

    /// `gt`, `gte`, `lt`, `lte`.
    struct Bounds<Value: Sendable>: Sendable {
        var above: Value?
        var from: Value?
        var below: Value?
        var upTo: Value?
    }
}

/// Reads filters, counting conditions against a bound.
struct FilterParser {
    private var budget: Int

    /// - Parameter maxConditions: of all filters read.
    init(maxConditions: Int) { budget = maxConditions }

    /// - Returns: nil for no filter and for null.
    /// - Throws: ``VectorsError``.
    mutating func filter(_ value: JSON?, at path: String = "filter") throws -> Filter? {
        guard let value, value != .null else { return nil }
        return try filter(of: value, at: path)
    }

    private mutating func filter(of value: JSON, at path: String) throws -> Filter {
        guard let members = value.objectValue else { throw Self.shape(path, "expected a filter object") }
        var filter = Filter()
        for (name, clause) in members where clause != .null {
            switch name {
            case "must": filter.must = try conditions(clause, at: "\(path).must")
            case "should": filter.should = try conditions(clause, at: "\(path).should")
            case "must_not": filter.mustNot = try conditions(clause, at: "\(path).must_not")
            case "min_should":
                guard let count = clause["min_count"]?.intValue, count >= 0, let list = clause["conditions"] else {
                    throw Self.shape(path, "min_should needs `conditions` and `min_count`")
                }
                filter.minShould = (try conditions(list, at: "\(path).min_should"), count)
            default: throw Self.shape(path, "unknown field `\(name.prefix(64))`")
            }
        }
        return filter
    }

    private mutating func conditions(_ value: JSON, at path: String) throws -> [Filter.Condition] {
        guard let list = value.arrayValue else { return [try condition(value, at: path)] }
        var conditions: [Filter.Condition] = []
        conditions.reserveCapacity(list.count)
        for (index, item) in list.enumerated() {
            conditions.append(try condition(item, at: "\(path)[\(index)]"))
        }
        return conditions
    }

    private mutating func condition(_ value: JSON, at path: String) throws -> Filter.Condition {
        budget -= 1
        guard budget >= 0 else { throw VectorsError(.badRequest, "the filters have too many conditions") }
        guard let members = value.objectValue else { throw Self.shape(path, "expected a condition object") }
        if let list = members["has_id"], list != .null {
            guard let ids = list.arrayValue else { throw Self.shape(path, "has_id needs a list of ids") }
            return .hasID(try ids.map { try PointID.parse($0, at: "\(path).has_id") })
        }
        if let name = members["has_vector"], name != .null {
            guard let name = name.stringValue else { throw Self.shape(path, "has_vector needs a vector's name") }
            return .hasVector(name)
        }
        if let nested = members["nested"], nested != .null {
            guard let key = nested["key"]?.stringValue, let inner = nested["filter"] else {
                throw Self.shape(path, "nested needs `key` and `filter`")
            }
            let filter = try filter(of: inner, at: "\(path).nested.filter")
            guard !filter.namesPoints else {
                throw VectorsError(.badRequest, "has_id and has_vector do not stand in a nested filter")
            }
            return .nested(try PayloadPath(key), filter)
        }
        for (name, test) in [("is_empty", Filter.FieldTest.isEmpty), ("is_null", .isNull)] {
            if let key = members[name]?["key"]?.stringValue { return .field(try PayloadPath(key), test) }
        }
        if let key = members["key"]?.stringValue {
            return try fieldCondition(try PayloadPath(key), members, at: path)
        }
        if members.names.contains(where: { ["must", "should", "must_not", "min_should"].contains($0) })
            || members.isEmpty
        {
            return .filter(try filter(of: value, at: path))
        }
        throw Self.shape(path, "unknown condition")
    }

    private func fieldCondition(_ key: PayloadPath, _ members: JSONObject, at path: String) throws -> Filter.Condition {
        if let match = members["match"], match != .null { return .field(key, try Self.match(match, at: path)) }
        if let range = members["range"], range != .null { return .field(key, try Self.range(range, at: path)) }
        if let box = members["geo_bounding_box"], box != .null {
            guard let topLeft = try Self.place(box["top_left"]), let bottomRight = try Self.place(box["bottom_right"])
            else { throw Self.shape(path, "geo_bounding_box needs `top_left` and `bottom_right`") }
            return .field(
                key,
                .geoBox(west: topLeft.lon, north: topLeft.lat, east: bottomRight.lon, south: bottomRight.lat))
        }
        if let circle = members["geo_radius"], circle != .null {
            guard let center = try Self.place(circle["center"]), let radius = circle["radius"]?.doubleValue else {
                throw Self.shape(path, "geo_radius needs `center` and `radius`")
            }
            guard radius >= 0 else {
                throw VectorsError.outOfBounds("\(path).geo_radius.radius", "must not be negative")
            }
            return .field(key, .geoRadius(lon: center.lon, lat: center.lat, metres: radius))
        }
        if let polygon = members["geo_polygon"], polygon != .null {
            guard let exterior = polygon["exterior"] else { throw Self.shape(path, "geo_polygon needs `exterior`") }
            return .field(
                key,
                .geoPolygon(
                    exterior: try Self.ring(exterior, at: path),
                    interiors: try (polygon["interiors"]?.arrayValue ?? []).map { try Self.ring($0, at: path) }))
        }
        if let count = members["values_count"], count != .null {
            return .field(
                key,
                .valuesCount(
                    try Self.bounds(count, at: path) { value in
                        guard let number = value.intValue, number >= 0 else {
                            throw Self.shape(path, "values_count needs unsigned integers")
                        }
                        return number
                    }))
        }
        if let flag = members["is_empty"]?.boolValue {
            return flag ? .field(key, .isEmpty) : .filter(Filter(mustNot: [.field(key, .isEmpty)]))
        }
        if let flag = members["is_null"]?.boolValue {
            return flag ? .field(key, .isNull) : .filter(Filter(mustNot: [.field(key, .isNull)]))
        }
        throw VectorsError.outOfBounds(path, "At least one field condition must be specified")
    }

    private static func match(_ match: JSON, at path: String) throws -> Filter.FieldTest {
        // What is null or not known says nothing.
        let given = (match.objectValue ?? [:]).filter { $0.value != .null && kindsOfMatch.contains($0.name) }
        guard let (name, value) = given.first, given.count == 1 else {
            throw shape(path, "match needs one of \(kindsOfMatch.joined(separator: ", "))")
        }
        switch name {
        case "value":
            switch value {
            case .string, .bool: return .equals(value)
            case .number(let text) where Int64(text) != nil || UInt64(text) != nil: return .equals(value)
            default: throw shape(path, "match value needs a string, an integer or a boolean")
            }
        case "any": return .any(try variants(value, at: path))
        case "except": return .except(try variants(value, at: path))
        case "text": return .text(try text(value, at: path))
        case "text_any": return .textAny(try text(value, at: path))
        case "phrase": return .phrase(try text(value, at: path))
        default: return .prefix(try text(value, at: path))
        }
    }

    private static let kindsOfMatch = ["value", "any", "except", "text", "text_any", "phrase", "prefix"]

    private static func text(_ value: JSON, at path: String) throws -> String {
        guard let text = value.stringValue else { throw shape(path, "match needs a string") }
        return text
    }

    private static func variants(_ value: JSON, at path: String) throws -> [JSON] {
        guard let list = value.arrayValue else { throw shape(path, "match needs a list") }
        let areTexts = list.allSatisfy { $0.stringValue != nil }
        let areIntegers = list.allSatisfy { if case .number(let text) = $0 { Int64(text) != nil } else { false } }
        guard areTexts || areIntegers else { throw shape(path, "match needs a list of strings or of integers") }
        return list
    }

    private static func range(_ range: JSON, at path: String) throws -> Filter.FieldTest {
        guard let members = range.objectValue else { throw shape(path, "range needs an object") }
        if members.contains(where: { ["gt", "gte", "lt", "lte"].contains($0.name) && $0.value.stringValue != nil }) {
            return .instants(
                try bounds(range, at: path) { value in
                    guard let text = value.stringValue, let instant = InstantText(text) else {
                        throw shape(path, "range needs numbers, or RFC 3339 date-times")
                    }
                    return instant.text
                })
        }
        return .range(
            try bounds(range, at: path) { value in
                guard let number = value.doubleValue else {
                    throw shape(path, "range needs numbers, or RFC 3339 date-times")
                }
                return number
            })
    }

    private static func bounds<Value>(
        _ value: JSON, at path: String, _ read: (JSON) throws -> Value
    ) throws -> Filter.Bounds<Value> {
        guard let members = value.objectValue else { throw shape(path, "expected gt, gte, lt, lte") }
        var bounds = Filter.Bounds<Value>()
        for (name, bound) in members where bound != .null {
            switch name {
            case "gt": bounds.above = try read(bound)
            case "gte": bounds.from = try read(bound)
            case "lt": bounds.below = try read(bound)
            case "lte": bounds.upTo = try read(bound)
            default: break
            }
        }
        return bounds
    }

    static func place(_ value: JSON?) throws -> (lon: Double, lat: Double)? {
        guard let value, let lon = value["lon"]?.doubleValue, let lat = value["lat"]?.doubleValue else { return nil }
        guard (-180...180).contains(lon), (-90...90).contains(lat) else {
            throw VectorsError(
                .format,
                "Wrong format of GeoPoint payload: expected `lat` = \(lat) within [-90;90] and `lon` = \(lon) within [-180;180]"
            )
        }
        return (lon, lat)
    }

    private static func ring(_ value: JSON, at path: String) throws -> Filter.Ring {
        let places = try (value["points"]?.arrayValue ?? []).map { point in
            guard let place = try place(point) else { throw shape(path, "a ring needs points with `lon` and `lat`") }
            return place
        }
        guard places.count >= 4 else {
            throw VectorsError.outOfBounds("\(path).geo_polygon", "polygon must have at least 4 points")
        }
        guard places[0] == places[places.count - 1] else {
            throw VectorsError.outOfBounds(
                "\(path).geo_polygon", "the first and the last points should be the same to form a closed line")
        }
        return Filter.Ring(lons: places.map(\.lon), lats: places.map(\.lat))
    }

    private static func shape(_ path: String, _ reason: String) -> VectorsError {
        VectorsError(.format, "\(path): \(reason)")
    }
}

extension Filter {
    /// Whether it asks for something that an element of a payload does not have.
    var namesPoints: Bool {
        let all = must + should + mustNot + (minShould?.conditions ?? [])
        return all.contains { condition in
            switch condition {
            case .hasID, .hasVector: true
            case .filter(let inner): inner.namesPoints
            case .field, .nested: false
            }
        }
    }

    /// The member of a shared collection whose points alone it takes; nil when it does not say.
    var owner: String? {
        for case .field(let path, .equals(.string(let text))) in must where path.text == "user_id" { return text }
        return nil
    }

    /// The ids one of which a point must have; nil when the filter does not say.
    var requiredIDs: [PointID]? {
        for case .hasID(let ids) in must { return ids }
        return nil
    }
}

/// A date-time as Qdrant's filters take it, in a form PostgreSQL reads alike everywhere.
struct InstantText: Sendable, Hashable {
    let text: String

    /// A date, or date and time with `T` or a space, fractions, and a zone; none is UTC.
    init?(_ given: String) {
        let bytes = Array(given.utf8)
        func digits(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= bytes.count else { return nil }
            var value = 0
            for byte in bytes[range] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int(byte - UInt8(ascii: "0"))
            }
            return value
        }
        func has(_ character: Character, at position: Int) -> Bool {
            position < bytes.count && bytes[position] == character.asciiValue
        }
        guard let year = digits(0..<4), year > 0, has("-", at: 4), let month = digits(5..<7), has("-", at: 7),
            let day = digits(8..<10), (1...12).contains(month), day >= 1, day <= Self.days(year, month)
        else { return nil }
        if bytes.count == 10 {
            text = given + "T00:00:00Z"
            return
        }
        guard has("T", at: 10) || has("t", at: 10) || has(" ", at: 10), let hour = digits(11..<13), hour < 24,
            has(":", at: 13), let minute = digits(14..<16), minute < 60
        else { return nil }
        var position = 16
        if has(":", at: 16) {
            guard let second = digits(17..<19), second < 60 else { return nil }
            position = 19
            if has(".", at: 19) {
                position = 20
                while digits(position..<(position + 1)) != nil { position += 1 }
                guard (21...29).contains(position) else { return nil }
            }
        }
        let zone = bytes[position...]
        if zone.isEmpty {
            text = given + "Z"
        } else if zone.count == 1, has("Z", at: position) || has("z", at: position) {
            text = given
        } else if has("+", at: position) || has("-", at: position), let hours = digits((position + 1)..<(position + 3)),
            hours < 16,
            zone.count == 3
                || zone.count == 6 && has(":", at: position + 3)
                    && digits((position + 4)..<(position + 6)).map({ $0 < 60 }) == true
        {
            text = given
        } else {
            return nil
        }
    }

    private static func days(_ year: Int, _ month: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }
}
