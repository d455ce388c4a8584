// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Primitives

extension ExternalGateway {
    func query(
        _ form: ExternalEndpoint.Form, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        var parser = QueryParser(service.configuration)
        let query = try Self.parse(form, members, &parser)
        let answers = try await answers([(query, members)], request, caller)
        return envelope.response(Self.shown(answers[0], form))
    }

    func queryBatch(
        _ form: ExternalEndpoint.Form, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["searches"])
        guard let list = members["searches"]?.arrayValue else {
            throw VectorsError(.format, "missing field `searches`")
        }
        var parser = QueryParser(service.configuration)
        let queries = try list.map { item in
            guard let members = item.objectValue else { throw VectorsError(.format, "searches: expected objects") }
            return (try Self.parse(form, members, &parser), members)
        }
        let answers = try await answers(queries, request, caller)
        return envelope.response(.array(answers.map { Self.shown($0, form) }))
    }

    /// The older forms are asked in the new one, and answered with the bare list.
    private static func shown(_ hits: [JSON], _ form: ExternalEndpoint.Form) -> JSON {
        form == .query ? ["points": .array(hits)] : .array(hits)
    }

    private static func parse(
        _ form: ExternalEndpoint.Form, _ members: JSONObject, _ parser: inout QueryParser, isGrouped: Bool = false
    ) throws -> QueryRequest {
        let more: Set<String> = isGrouped ? ExternalShape.grouping : []
        switch form {
        case .query:
            try ExternalShape.check(query: members, more)
            return try parser.query(QueryBody(members: members), takesOffset: !isGrouped)
        case .search:
            try ExternalShape.check(members, ExternalShape.query.union(more).union(["vector"]))
            return try parser.search(QueryBody(members: members))
        case .recommend:
            try ExternalShape.check(
                members, ExternalShape.query.union(more).union(["positive", "negative", "strategy"]))
            return try parser.recommendation(members)
        case .discover:
            try ExternalShape.check(members, ExternalShape.query.union(more).union(["target", "context"]))
            return try parser.discovery(members)
        }
    }

    private func answers(
        _ queries: [(QueryRequest, JSONObject)], _ request: HTTPRequest, _ caller: Caller
    ) async throws -> [[JSON]] {
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            guard !queries.isEmpty else { return [] }
            let lookups = try await lookups(of: queries.map(\.0), caller)
            let (bodies, writer) = try await written(space, lookups: lookups, timeout) { writer in
                var bodies: [JSON] = []
                for (query, members) in queries { bodies.append(.object(try writer.query(query, members))) }
                return bodies
            }
            let found: [JSON]
            if bodies.count == 1 {
                found = [try await ask(.post, "points/query", bodies[0], writer, timeout)]
            } else {
                let all = try await ask(
                    .post, "points/query/batch", ["searches": .array(bodies)], writer, timeout)
                found = all.arrayValue ?? []
            }
            guard found.count == queries.count else {
                throw VectorsError(.unavailable, "the external Qdrant left an answer out")
            }
            return zip(queries, found).map { query, answer in
                (answer["points"]?.arrayValue ?? []).compactMap { space.record($0, query.0.selection) }
            }
        }
    }

    /// The collections that examples are taken from, each as far as the caller reaches it.
    private func lookups(of queries: [QueryRequest], _ caller: Caller) async throws -> [String: ExternalSpace] {
        var lookups: [String: ExternalSpace] = [:]
        for name in queries.reduce(into: Set<String>(), { $0.formUnion($1.lookupNames) }) {
            lookups[name] = try await withSpace(name, caller, isLookup: true) { $0 }
        }
        return lookups
    }

    // MARK: Groups

    func groups(
        _ form: ExternalEndpoint.Form, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        var parser = QueryParser(service.configuration)
        let query = try Self.parse(form, members, &parser, isGrouped: true)
        let grouping = try service.grouping(members, limit: query.limit)
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            let lookups = try await lookups(of: [query], caller)
            let (body, writer) = try await written(space, lookups: lookups, timeout) { writer in
                var body = try writer.query(query, members)
                body["offset"] = nil
                body["group_by"] = writer.key(grouping.path)
                body["group_size"] = JSON(grouping.size)
                return body
            }
            let found = try await ask(.post, "points/query/groups", .object(body), writer, timeout)
            let groups = found["groups"]?.arrayValue ?? []
            // Looked up here, so that the other collection is reached as the caller reaches it.
            var records: [PointID: JSON] = [:]
            if let lookup = grouping.lookup {
                let ids = groups.compactMap { $0["id"].flatMap { PointID($0) } }
                records = try await withSpace(lookup.collection, caller, isLookup: true) { other in
                    Dictionary(
                        try await self.records(ids, lookup.selection, other, timeout).compactMap { id, records in
                            records.first.map { (id, $0) }
                        }, uniquingKeysWith: { first, _ in first })
                }
            }
            return envelope.response([
                "groups": .array(
                    groups.map { group in
                        let hits = (group["hits"]?.arrayValue ?? []).compactMap { space.record($0, query.selection) }
                        var shown: JSONObject = ["id": group["id"] ?? .null, "hits": .array(hits)]
                        if let id = group["id"].flatMap({ PointID($0) }), let record = records[id] {
                            shown["lookup"] = record
                        }
                        return .object(shown)
                    })
            ])
        }
    }
}
