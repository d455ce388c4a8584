// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    func registerReads(on router: inout Router, prefix: String) {
        let path = "\(prefix)/collections/:collection"
        route(.post, "\(path)/points", on: &router, retrieve)
        route(.get, "\(path)/points/:id", on: &router, retrieveOne)
        route(.post, "\(path)/points/scroll", on: &router, scroll)
        route(.post, "\(path)/points/count", on: &router, count)
        route(.post, "\(path)/facet", on: &router, facet)
    }

    // MARK: By id

    private func retrieve(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        guard let list = members["ids"]?.arrayValue else { throw VectorsError(.format, "missing field `ids`") }
        guard list.count <= configuration.maxBatch else {
            throw VectorsError(.badRequest, "a request may have at most \(configuration.maxBatch) ids")
        }
        let ids = try list.map { try PointID.parse($0, at: "ids") }
        let selection = try RecordSelection(members, payloadByDefault: true)
        return try await withCollection(try collectionName(request), caller) { collection in
            envelope.response(bytes: try await records(ids, selection, collection, caller, statementTimeout(request)))
        }
    }

    /// Records in the order of their ids' first mention, as a JSON list; unknown ids are left out.
    func records(
        _ ids: [PointID], _ selection: RecordSelection, _ collection: VectorCollection, _ caller: Caller,
        _ timeout: Duration
    ) async throws -> [UInt8] {
        let results = try await read(
            [
                """
                select \(collection.columns(selection)) from \(collection.points)
                and p.id = any (\(PostgresParameter(ids: ids))::bytea[])
                """
            ], of: collection, caller, timeout: timeout)
        var rows: [PointID: [Int]] = [:]
        let columns = RecordColumns()
        for row in 0..<results[0].rowCount {
            guard let id = results[0].pointID(row, columns.id) else { continue }
            rows[id, default: []].append(row)
        }
        var body: [UInt8] = [UInt8(ascii: "[")]
        for id in ids {
            for row in rows.removeValue(forKey: id) ?? [] {
                if body.count > 1 { body.append(UInt8(ascii: ",")) }
                body.append(contentsOf: "{\"id\":".utf8)
                id.json.encode(into: &body)
                body.append(UInt8(ascii: ","))
                collection.appendRecord(results[0], row, selection, columns, to: &body)
                body.append(UInt8(ascii: "}"))
            }
        }
        body.append(UInt8(ascii: "]"))
        return body
    }

    private func retrieveOne(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let text = request.parameters["id"] ?? ""
        guard let id = PointID(pathSegment: text) else {
            throw VectorsError(.badRequest, "Can not recognize \"\(text.prefix(64))\" as point id")
        }
        return try await withCollection(try collectionName(request), caller) { collection in
            let list = try await records(
                [id], RecordSelection(payload: .whole, vectors: .all), collection, caller, statementTimeout(request))
            guard list.count > 2 else { throw VectorsError(.notFound, "Point with id \(id) does not exists!") }
            return envelope.response(bytes: Array(list.dropFirst().dropLast()))
        }
    }

    // MARK: Counting

    private func count(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        _ = try members.flag("exact")
        var parser = FilterParser(maxConditions: configuration.maxConditions)
        let filter = try parser.filter(members["filter"])
        return try await withCollection(try collectionName(request), caller) { collection in
            let results = try await read(
                ["select count(*) from \(collection.points) \(try collection.and(filter))"], of: collection, caller,
                timeout: statementTimeout(request))
            return envelope.response(["count": JSON(results[0].onlyRow?[0].int ?? 0)])
        }
    }

    private func facet(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        guard let key = members["key"]?.stringValue else { throw VectorsError(.format, "missing field `key`") }
        let path = try PayloadPath(key)
        let limit = try bounded(members["limit"], "limit", byDefault: 10)
        _ = try members.flag("exact")
        var parser = FilterParser(maxConditions: configuration.maxConditions)
        let filter = try parser.filter(members["filter"])
        return try await withCollection(try collectionName(request), caller) { collection in
            guard let index = collection.payloadIndex(key), index.isFaceted else {
                throw VectorsError(
                    .badRequest,
                    "No appropriate index for faceting: `\(key)`. Please create one of type keyword, integer, uuid or bool"
                )
            }
            var aliases = AliasCounter()
            let kinds: PostgresQuery =
                switch index.type {
                case .integer: "jsonb_typeof(f.value) = 'number' and f.value #>> '{}' ~ '^-?[0-9]+$'"
                case .bool: "jsonb_typeof(f.value) = 'boolean'"
                case .keyword, .uuid, .float, .geo, .datetime, .text: "jsonb_typeof(f.value) = 'string'"
                }
            let results = try await read(
                [
                    """
                    select json_build_object(
                        'hits',
                        coalesce(json_agg(json_build_object('value', h.value, 'count', h.count) order by h.place), '[]'))
                    from (
                        select f.value, count(*) as count, row_number() over (order by count(*) desc, f.value) as place
                        from (
                            select distinct p.tenant_id, p.id, f.value
                            from vectors.points as p
                            \(path.values(of: "p.payload", alias: "f", &aliases))
                            where \(collection.isPoint) \(try collection.and(filter)) and \(kinds)
                        ) as f
                        group by f.value
                        order by place
                        limit \(limit)::bigint
                    ) as h
                    """
                ], of: collection, caller, timeout: statementTimeout(request))
            return envelope.response(bytes: results[0].copyBytes(0, 0))
        }
    }

    /// A `limit` or `offset` within the server's bounds.
    func bounded(_ value: JSON?, _ name: String, byDefault: Int, minimum: Int = 1) throws -> Int {
        guard let value, value != .null else { return byDefault }
        guard case .number = value, let number = value.intValue else {
            throw VectorsError(.format, "\(name): expected an unsigned integer")
        }
        guard number >= 0 else { throw VectorsError(.format, "\(name): expected an unsigned integer") }
        guard number >= minimum else {
            throw VectorsError.outOfBounds(name, "value \(number) invalid, must be \(minimum) or larger")
        }
        guard number <= configuration.maxLimit else {
            throw VectorsError.outOfBounds(name, "value \(number) invalid, must be at most \(configuration.maxLimit)")
        }
        return number
    }

    // MARK: Scrolling

    private func scroll(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await body(of: request)
        let limit = try bounded(members["limit"], "limit", byDefault: 10)
        let offset = try members["offset"].flatMap { $0 == .null ? nil : try PointID.parse($0, at: "offset") }
        let selection = try RecordSelection(members, payloadByDefault: true)
        let order = try members["order_by"].flatMap { $0 == .null ? nil : try OrderBy($0) }
        var parser = FilterParser(maxConditions: configuration.maxConditions)
        let filter = try parser.filter(members["filter"])
        guard order == nil || offset == nil else {
            throw VectorsError(
                .badRequest,
                "Cannot use an `offset` when using `order_by`. The alternative for paging is to use `order_by.start_from` and a filter to exclude the IDs that you've already seen for the `order_by.start_from` value"
            )
        }
        return try await withCollection(try collectionName(request), caller) { collection in
            let columns = RecordColumns()
            let query: PostgresQuery
            if let order {
                query = try order.query(in: collection, filter, selection, limit: limit, offset: 0)
            } else {
                let start: PostgresQuery = if let offset { "and p.id >= \(offset.key)::bytea" } else { "" }
                query = """
                    select \(collection.columns(selection)) from \(collection.points) \(start) \(try collection.and(filter))
                    order by p.id limit \(limit + 1)::bigint
                    """
            }
            let result = try await read([query], of: collection, caller, timeout: statementTimeout(request))[0]
            var body = Array("{\"points\":[".utf8)
            for row in 0..<min(limit, result.rowCount) {
                if row > 0 { body.append(UInt8(ascii: ",")) }
                body.append(contentsOf: "{\"id\":".utf8)
                (result.pointID(row, columns.id)?.json ?? .null).encode(into: &body)
                body.append(UInt8(ascii: ","))
                collection.appendRecord(result, row, selection, columns, to: &body)
                if order != nil {
                    body.append(contentsOf: ",\"order_value\":".utf8)
                    result.withBytes(row, columns.others + 1) { body.append(contentsOf: $0) }
                }
                body.append(UInt8(ascii: "}"))
            }
            body.append(contentsOf: "],\"next_page_offset\":".utf8)
            let next = order == nil && result.rowCount > limit ? result.pointID(limit, columns.id)?.json : nil
            (next ?? .null).encode(into: &body)
            body.append(UInt8(ascii: "}"))
            return envelope.response(bytes: body)
        }
    }
}

/// `order_by`: a key with an index of ranges.
struct OrderBy: Sendable {
    let path: PayloadPath
    let isDescending: Bool
    let start: JSON?

    init(_ value: JSON) throws {
        guard let key = value.stringValue ?? value["key"]?.stringValue else {
            throw VectorsError(.format, "order_by: expected a key")
        }
        path = try PayloadPath(key)
        switch try value.objectValue?.text("direction", at: "order_by.") {
        case nil, "asc": isDescending = false
        case "desc": isDescending = true
        default: throw VectorsError(.format, "order_by.direction: expected asc or desc")
        }
        start = if let given = value["start_from"], given != .null { given } else { nil }
        if let start, start.doubleValue == nil, start.stringValue.flatMap(InstantText.init) == nil {
            throw VectorsError(.format, "order_by.start_from: expected a number or a date-time")
        }
    }

    /// Points once for each value they have, with the value as the last column.
    func query(
        in collection: VectorCollection, _ filter: Filter?, _ selection: RecordSelection, limit: Int, offset: Int
    ) throws -> PostgresQuery {
        guard let index = collection.payloadIndex(path.text), index.isOrdered else {
            throw VectorsError(
                .badRequest,
                "No range index for `order_by` key: `\(path.text)`. Please create one to use `order_by`. Check https://qdrant.tech/documentation/concepts/indexing/#payload-index to see which payload schemas support Range conditions"
            )
        }
        var aliases = AliasCounter()
        let values = path.values(of: "p.payload", alias: "o", &aliases)
        let isInstant = index.type == .datetime
        // What is sorted by is a number; date-times are microseconds.
        let number: PostgresQuery =
            isInstant
            ? """
            (extract(epoch from vectors.instant(case when jsonb_typeof(o.value) = 'string' then o.value #>> '{}' end)) * 1e6)::bigint
            """
            : "(case when jsonb_typeof(o.value) = 'number' then o.value end)::numeric"
        var from: PostgresQuery = ""
        if let start {
            let bound: PostgresQuery =
                if let instant = start.stringValue.flatMap(InstantText.init) {
                    "(extract(epoch from \(instant.text)::timestamptz) * 1e6)::bigint"
                } else { "\(start.doubleValue ?? 0)::numeric" }
            from = isDescending ? "and n.number <= \(bound)" : "and n.number >= \(bound)"
        }
        let direction: PostgresQuery = isDescending ? "desc" : "asc"
        return """
            select \(collection.columns(selection)), trim_scale(n.number::numeric) as order_value
            from vectors.points as p
            \(values)
            cross join lateral (select \(number)) as n (number)
            where \(collection.isPoint) \(try collection.and(filter)) and n.number is not null \(from)
            order by n.number \(direction), p.id limit \(limit)::bigint offset \(offset)::bigint
            """
    }
}

extension VectorCollection {
    /// `and` with the filter's condition; nothing without a filter.
    func and(_ filter: Filter?) throws -> PostgresQuery {
        guard let filter else { return "" }
        var writer = FilterWriter(self)
        return "and \(try writer.condition(filter))"
    }
}

extension PostgresResult {
    /// A point's id in a cell of type `bytea`.
    func pointID(_ row: Int, _ column: Int) -> PointID? { withBytes(row, column) { PointID(hex: $0) } }
}
