// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// Writes filters as conditions on rows of `vectors.points` under the name `p`. Values are always bound.
struct FilterWriter: Sendable {
    let collection: VectorCollection
    private var aliases = AliasCounter()

    init(_ collection: VectorCollection) { self.collection = collection }

    /// The whole filter on a point; also what lets PostgreSQL find the rows by an index.
    mutating func condition(_ filter: Filter) throws -> PostgresQuery {
        var condition = try clauses(filter, document: "p.payload")
        if let owner = filter.owner {
            condition += " and p.owner = left(\(owner)::text, 64)"
        }
        return condition
    }

    /// A condition alone, as formulas have them.
    mutating func condition(_ condition: Filter.Condition) throws -> PostgresQuery {
        try self.condition(condition, document: "p.payload")
    }

    private mutating func clauses(_ filter: Filter, document: PostgresQuery) throws -> PostgresQuery {
        var parts: [PostgresQuery] = []
        for condition in filter.must { parts.append(try self.condition(condition, document: document)) }
        for condition in filter.mustNot { parts.append("not \(try self.condition(condition, document: document))") }
        if !filter.should.isEmpty {
            let options = try filter.should.map { try self.condition($0, document: document) }
            parts.append("(\(Self.joined(options, " or ")))")
        }
        if let (conditions, count) = filter.minShould {
            let counted: [PostgresQuery] = try conditions.map {
                "(\(try self.condition($0, document: document)))::integer"
            }
            let sum: PostgresQuery = counted.isEmpty ? "0" : Self.joined(counted, " + ")
            parts.append("\(sum) >= \(count)::bigint")
        }
        return parts.isEmpty ? "true" : "(\(Self.joined(parts, " and ")))"
    }

    private mutating func condition(_ condition: Filter.Condition, document: PostgresQuery) throws -> PostgresQuery {
        switch condition {
        case .filter(let filter): return try clauses(filter, document: document)
        case .hasID(let ids): return "p.id = any (\(PostgresParameter(ids: ids))::bytea[])"
        case .hasVector(let name): return hasVector(name)
        case .nested(let path, let filter):
            return try path.condition(on: document, &aliases) { [self] value, isElement, aliases in
                var inner = self
                inner.aliases = aliases
                let element = inner.aliases.next()
                let condition = try inner.clauses(filter, document: isElement ? value : element.value)
                aliases = inner.aliases
                if isElement { return "coalesce(\(condition), false)" }
                return Self.anyElement(of: value, element, condition)
            }
        case .field(let path, let test): return try field(path, test, document)
        }
    }

    private func hasVector(_ name: String) -> PostgresQuery {
        guard let field = collection.field(name) else { return "false" }
        if field.slot == 0 { return "p.embedding is not null" }
        return """
            exists (
                select from vectors.named_vectors as h
                where h.bucket = \(collection.bucketLiteral) and h.tenant_id = p.tenant_id
                    and h.collection_id = p.collection_id and h.slot = \(field.slot)::smallint and h.id = p.id)
            """
    }

    private mutating func field(
        _ path: PayloadPath, _ test: Filter.FieldTest, _ document: PostgresQuery
    ) throws -> PostgresQuery {
        let schema = collection.payloadIndex(path.text)
        switch test {
        case .isEmpty:
            // Nothing under the path that is more than null or an empty list.
            let some = path.condition(on: document, &aliases) { value, _, _ in
                "coalesce(\(value) <> 'null' and \(value) <> '[]', false)"
            }
            return "not \(some)"
        default: break
        }
        return path.condition(on: document, &aliases) { value, isElement, aliases in
            let condition = Self.test(test, value, isElement: isElement, schema, &aliases)
            return "coalesce(\(condition), false)"
        }
    }

    // MARK: Tests of one value

    private static func test(
        _ test: Filter.FieldTest, _ value: PostgresQuery, isElement: Bool, _ schema: PayloadIndex?,
        _ aliases: inout AliasCounter
    ) -> PostgresQuery {
        switch test {
        case .equals(let wanted):
            // An array contains a primitive that is one of its elements, and a primitive itself.
            return isElement ? "\(value) = \(wanted)::jsonb" : "\(value) @> \(wanted)::jsonb"
        case .any(let wanted): return elements(value, "'$[*] ? (@.type() == $t && @ == $a[*])'", wanted)
        case .except(let unwanted):
            return elements(
                value, "'$[*] ? (@.type() != \"null\" && !(@.type() == $t && @ == $a[*]))'", unwanted)
        case .range(let bounds):
            guard let path = numberPath(bounds) else {
                return "jsonb_path_exists(\(value), '$[*] ? (@.type() == \"number\")')"
            }
            return "jsonb_path_exists(\(value), \(path.text)::jsonpath, \(JSON.object(path.variables))::jsonb)"
        case .valuesCount(let bounds):
            let count: PostgresQuery = """
                case jsonb_typeof(\(value))
                    when 'array' then jsonb_array_length(\(value)) when 'null' then 0 else (\(value) is not null)::integer
                end
                """
            return Self.within(count, bounds) { "\($0)::bigint" }
        case .isNull: return "\(value) @> 'null'"
        case .isEmpty: return "false"
        case .text, .textAny, .phrase, .prefix, .instants, .geoBox, .geoRadius, .geoPolygon:
            let element = aliases.next()
            let condition = elementTest(test, isElement ? value : element.value, schema)
            return isElement ? condition : anyElement(of: value, element, condition)
        }
    }

    /// Whether an element is found by a path with the list as `$a` and its type as `$t`. That a value of another type is none of the list has
    /// to be said: compared with it, PostgreSQL would find the answer unknown.
    private static func elements(_ value: PostgresQuery, _ path: PostgresQuery, _ list: [JSON]) -> PostgresQuery {
        let type: JSON = if case .string? = list.first { "string" } else { "number" }
        let variables = JSON.object(["a": .array(list), "t": type])
        return "jsonb_path_exists(\(value), \(path), \(variables)::jsonb)"
    }

    private static func elementTest(
        _ test: Filter.FieldTest, _ value: PostgresQuery, _ schema: PayloadIndex?
    ) -> PostgresQuery {
        let text: PostgresQuery = "(\(value) #>> '{}')"
        let isText: PostgresQuery = "jsonb_typeof(\(value)) = 'string'"
        switch test {
        case .text(let wanted):
            guard let tokenizer = schema?.tokenizer else { return "\(isText) and strpos(\(text), \(wanted)) > 0" }
            if tokenizer.matchesPrefixes {
                return "\(isText) and \(tokenizer.prefixCondition(text, "\(wanted)::text"))"
            }
            return
                "\(isText) and \(tokenizer.tokensExpression(text)) @> \(tokenizer.tokensExpression("\(wanted)::text"))"
        case .textAny(let wanted):
            let tokenizer = schema?.tokenizer ?? TextTokenizer()
            return
                "\(isText) and \(tokenizer.tokensExpression(text)) && \(tokenizer.tokensExpression("\(wanted)::text"))"
        case .phrase(let wanted):
            let tokenizer = schema?.tokenizer ?? TextTokenizer()
            return """
                \(isText) and strpos(
                    ' ' || array_to_string(\(tokenizer.tokensExpression(text)), ' ') || ' ',
                    ' ' || array_to_string(\(tokenizer.tokensExpression("\(wanted)::text")), ' ') || ' ') > 0
                """
        case .prefix(let wanted): return "\(isText) and starts_with(\(text), \(wanted))"
        case .instants(let bounds):
            return "\(isText) and \(within("vectors.instant(\(text))", bounds) { "\($0)::timestamptz" })"
        case .geoBox(let west, let north, let east, let south):
            let lon: PostgresQuery =
                west > east
                ? "(\(Self.lon(value)) >= \(west)::float8 or \(Self.lon(value)) <= \(east)::float8)"
                : "\(Self.lon(value)) between \(west)::float8 and \(east)::float8"
            return "\(lon) and \(Self.lat(value)) between \(south)::float8 and \(north)::float8"
        case .geoRadius(let lon, let lat, let metres):
            return """
                vectors.geo_distance(\(Self.lon(value)), \(Self.lat(value)), \(lon)::float8, \(lat)::float8) < \(metres)::float8
                """
        case .geoPolygon(let exterior, let interiors):
            let inside = ([exterior] + interiors).enumerated().map { index, ring -> PostgresQuery in
                let test: PostgresQuery = """
                    vectors.in_ring(
                        \(Self.lon(value)), \(Self.lat(value)), \(PostgresParameter(doubles: ring.lons))::float8[],
                        \(PostgresParameter(doubles: ring.lats))::float8[])
                    """
                return index == 0 ? test : "not \(test)"
            }
            return "jsonb_typeof(\(value) -> 'lon') = 'number' and \(joined(inside, " and "))"
        case .equals, .any, .except, .range, .valuesCount, .isEmpty, .isNull: return "false"
        }
    }

    private static func lon(_ value: PostgresQuery) -> PostgresQuery { coordinate(value, "lon") }
    private static func lat(_ value: PostgresQuery) -> PostgresQuery { coordinate(value, "lat") }

    /// A member of an object as a number; null for anything else.
    private static func coordinate(_ value: PostgresQuery, _ name: String) -> PostgresQuery {
        let member: PostgresQuery = value + PostgresQuery(sql: " -> '\(name)'")
        return "(case when jsonb_typeof(\(member)) = 'number' then (\(member))::float8 end)"
    }

    static func anyElement(
        of value: PostgresQuery, _ element: AliasCounter.Alias, _ condition: PostgresQuery
    ) -> PostgresQuery {
        """
        exists (
            select
            from jsonb_array_elements(
                case jsonb_typeof(\(value)) when 'array' then \(value) else jsonb_build_array(\(value)) end
            ) as \(element.definition)
            where \(value) is not null and \(condition))
        """
    }

    private static func within<Value>(
        _ value: PostgresQuery, _ bounds: Filter.Bounds<Value>, _ bind: (Value) -> PostgresQuery
    ) -> PostgresQuery {
        var parts: [PostgresQuery] = []
        if let bound = bounds.above { parts.append("\(value) > \(bind(bound))") }
        if let bound = bounds.from { parts.append("\(value) >= \(bind(bound))") }
        if let bound = bounds.below { parts.append("\(value) < \(bind(bound))") }
        if let bound = bounds.upTo { parts.append("\(value) <= \(bind(bound))") }
        return parts.isEmpty ? "\(value) is not null" : joined(parts, " and ")
    }

    private static func numberPath(_ bounds: Filter.Bounds<Double>) -> (text: String, variables: JSONObject)? {
        var tests: [String] = []
        var variables = JSONObject()
        for (name, sign, bound) in [
            ("gt", ">", bounds.above), ("gte", ">=", bounds.from), ("lt", "<", bounds.below),
            ("lte", "<=", bounds.upTo),
        ] {
            guard let bound else { continue }
            tests.append("@ \(sign) $\(name)")
            variables[name] = JSON(bound)
        }
        guard !tests.isEmpty else { return nil }
        return ("$[*] ? (\(tests.joined(separator: " && ")))", variables)
    }

    static func joined(_ parts: [PostgresQuery], _ separator: PostgresQuery) -> PostgresQuery {
        var joined: PostgresQuery = ""
        for (index, part) in parts.enumerated() {
            if index > 0 { joined += separator }
            joined += part
        }
        return joined
    }
}

extension PostgresParameter {
    /// Ids as a `bytea[]`.
    init(ids: some Collection<PointID>) {
        var text: [UInt8] = [UInt8(ascii: "{")]
        text.reserveCapacity(ids.count * 24 + 2)
        for id in ids {
            if text.count > 1 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: "\"\\\\x".utf8)
            text.append(contentsOf: Hex.encode(id.key).utf8)
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: "}"))
        self.init(bytes: text)
    }

    /// Numbers as an array in PostgreSQL's text form.
    init(doubles: [Double]) {
        self.init(text: "{" + doubles.map(\.description).joined(separator: ",") + "}")
    }

    init(floats: [Float]) {
        self.init(text: "{" + floats.map(\.description).joined(separator: ",") + "}")
    }

    init(integers: some Collection<Int>) {
        self.init(text: "{" + integers.map(\.description).joined(separator: ",") + "}")
    }
}
