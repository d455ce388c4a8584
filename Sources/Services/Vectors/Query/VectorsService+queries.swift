// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    func registerQueries(on router: inout Router, prefix: String) {
        let path = "\(prefix)/collections/:collection/points"
        route(.post, "\(path)/query", on: &router) { [self] request, caller, envelope in
            var parser = QueryParser(configuration)
            let query = try parser.query(try QueryBody(parsing: try await request.body.collect(), vectorAt: "query"))
            return envelope.response(bytes: Self.points(try await answers([query], request, caller)[0]))
        }
        route(.post, "\(path)/query/batch", on: &router) { [self] request, caller, envelope in
            let queries = try await batch(of: request) { parser, body in try parser.query(body) }
            return envelope.response(bytes: Self.list(try await answers(queries, request, caller).map(Self.points)))
        }
        // The older forms, which answer with the bare list.
        let forms: [(String, @Sendable (inout QueryParser, QueryBody) throws -> QueryRequest)] = [
            ("search", { try $0.search($1) }), ("recommend", { try $0.recommendation($1.members) }),
            ("discover", { try $0.discovery($1.members) }),
        ]
        for (name, parse) in forms {
            route(.post, "\(path)/\(name)", on: &router) { [self] request, caller, envelope in
                var parser = QueryParser(configuration)
                let query = try parse(
                    &parser, try QueryBody(parsing: try await request.body.collect(), vectorAt: "vector"))
                return envelope.response(bytes: Self.hits(try await answers([query], request, caller)[0]))
            }
            route(.post, "\(path)/\(name)/batch", on: &router) { [self] request, caller, envelope in
                let queries = try await batch(of: request, parse)
                return envelope.response(bytes: Self.list(try await answers(queries, request, caller).map(Self.hits)))
            }
        }
        registerGroups(on: &router, prefix: prefix)
    }

    /// The hits of each query.
    func answers(_ queries: [QueryRequest], _ request: HTTPRequest, _ caller: Caller) async throws -> [[Hit]] {
        try await withCollection(try collectionName(request), caller) { collection in
            let run = QueryRun(
                service: self, collection: collection, caller: caller, timeout: statementTimeout(request))
            if queries.isEmpty { _ = try await read([], of: collection, caller) }
            var answers: [[Hit]] = []
            for query in queries { answers.append(try await run.hits(query)) }
            return answers
        }
    }

    /// The queries of a batch's `searches`.
    private func batch(
        of request: HTTPRequest, _ parse: (inout QueryParser, QueryBody) throws -> QueryRequest
    ) async throws -> [QueryRequest] {
        guard let list = try await body(of: request)["searches"]?.arrayValue else {
            throw VectorsError(.format, "missing field `searches`")
        }
        var parser = QueryParser(configuration)
        return try list.map { item in
            guard let members = item.objectValue else { throw VectorsError(.format, "searches: expected objects") }
            return try parse(&parser, QueryBody(members: members))
        }
    }

    // MARK: Writing answers

    private static func points(_ hits: [Hit]) -> [UInt8] {
        Array("{\"points\":".utf8) + self.hits(hits) + [UInt8(ascii: "}")]
    }

    private static func list(_ parts: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        for (index, part) in parts.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: part)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }

    /// A list of scored points.
    static func hits(_ hits: [Hit]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        for (index, hit) in hits.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            hit.append(to: &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}

extension Hit {
    /// The scored point as JSON text.
    func append(to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "{\"id\":".utf8)
        id.json.encode(into: &bytes)
        bytes.append(contentsOf: ",\"version\":\(version),\"score\":".utf8)
        let float = Float(score)
        bytes.append(contentsOf: (float.isFinite ? float.description : "0").utf8)
        if let orderValue {
            bytes.append(contentsOf: ",\"order_value\":".utf8)
            bytes.append(contentsOf: orderValue)
        }
        if let record {
            bytes.append(UInt8(ascii: ","))
            bytes.append(contentsOf: record)
        }
        bytes.append(UInt8(ascii: "}"))
    }
}

extension QueryParser {
    /// `points/search`: `vector` is an array, or a name with an array or a sparse vector.
    mutating func search(_ body: QueryBody) throws -> QueryRequest {
        let members = body.members
        var request = try older(members)
        if let vector = body.vector {
            request.kind = .nearest(.vector(.dense(vector)))
            return request
        }
        guard let vector = members["vector"] else { throw VectorsError(.format, "missing field `vector`") }
        if let name = vector["name"]?.stringValue, let value = vector["vector"] {
            request.using = name
            request.kind = .nearest(try input(value, at: "vector"))
        } else {
            request.kind = .nearest(try input(vector, at: "vector"))
        }
        if case .nearest(.id) = request.kind { throw VectorsError(.format, "vector: expected numbers") }
        return request
    }

    /// `points/recommend`.
    mutating func recommendation(_ members: JSONObject) throws -> QueryRequest {
        var request = try older(members)
        request.kind = try recommendation(.object(members), at: "recommend")
        return request
    }

    /// `points/discover`: without a target it is a search by context.
    mutating func discovery(_ members: JSONObject) throws -> QueryRequest {
        var request = try older(members)
        let pairs = try pairs(members["context"], at: "context")
        if let target = members["target"], target != .null {
            request.kind = .discover(target: try input(target, at: "target"), pairs)
        } else {
            guard !pairs.isEmpty else { throw VectorsError(.badRequest, "a target or a context is needed") }
            request.kind = .context(pairs)
        }
        return request
    }

    private mutating func older(_ members: JSONObject) throws -> QueryRequest {
        var request = QueryRequest()
        try common(members, into: &request)
        request.offset = try count(members["offset"], "offset", byDefault: 0, minimum: 0)
        request.selection = try RecordSelection(members, payloadByDefault: false)
        return request
    }
}
