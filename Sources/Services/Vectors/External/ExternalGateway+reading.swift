// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Primitives

extension ExternalGateway {
    func retrieve(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["ids", "with_payload", "with_vector", "with_vectors"])
        guard let list = members["ids"]?.arrayValue else { throw VectorsError(.format, "missing field `ids`") }
        guard list.count <= service.configuration.maxBatch else {
            throw VectorsError(.badRequest, "a request may have at most \(service.configuration.maxBatch) ids")
        }
        let ids = try list.map { try PointID.parse($0, at: "ids") }
        let selection = try RecordSelection(members, payloadByDefault: true)
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            envelope.response(.array(try await records(ids, selection, space, timeout).flatMap(\.1)))
        }
    }

    func retrieveOne(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let text = request.parameters["id"] ?? ""
        guard let id = PointID(pathSegment: text) else {
            throw VectorsError(.badRequest, "Can not recognize \"\(text.prefix(64))\" as point id")
        }
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            let all = try await records([id], RecordSelection(payload: .whole, vectors: .all), space, timeout)
            guard let record = all.first?.1.first else {
                throw VectorsError(.notFound, "Point with id \(id) does not exists!")
            }
            return envelope.response(record)
        }
    }

    /// Records in the order of their ids' first mention; ids that are not there are left out.
    func records(
        _ ids: [PointID], _ selection: RecordSelection, _ space: ExternalSpace, _ timeout: Duration
    ) async throws -> [(PointID, [JSON])] {
        let (stored, writer) = try await written(space, timeout) { writer in
            var stored: [JSON] = []
            for id in ids { stored += writer.ids(id).map(\.json) }
            return stored
        }
        guard !stored.isEmpty else { return [] }
        let body: JSON = [
            "ids": .array(stored), "with_payload": space.payloadRequest(selection.payload),
            "with_vector": selection.vectors.json,
        ]
        var found: [PointID: [JSON]] = [:]
        for record in try await ask(.post, "points", body, writer, timeout).arrayValue ?? [] {
            guard let shown = space.record(record, selection), let id = shown["id"].flatMap({ PointID($0) }) else {
                continue
            }
            found[id, default: []].append(shown)
        }
        return ids.compactMap { id in found.removeValue(forKey: id).map { (id, $0) } }
    }

    func scroll(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(
            members, ["filter", "limit", "offset", "order_by", "with_payload", "with_vector", "with_vectors"])
        let limit = try service.bounded(members["limit"], "limit", byDefault: 10)
        let offset = try members["offset"].flatMap { $0 == .null ? nil : try PointID.parse($0, at: "offset") }
        let selection = try RecordSelection(members, payloadByDefault: true)
        let order = try members["order_by"].flatMap { $0 == .null ? nil : try OrderBy($0) }
        let filter = try self.filter(members)
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            let (body, writer) = try await written(space, timeout) { writer in
                // One more than asked for, so that the next page's first id is known as the client's.
                var body: JSONObject = [
                    "limit": JSON(order == nil ? limit + 1 : limit),
                    "with_payload": space.payloadRequest(selection.payload),
                    "with_vector": selection.vectors.json,
                ]
                if let filter = writer.scoped(filter) { body["filter"] = filter }
                if let order { body["order_by"] = writer.order(order) }
                if let offset { body["offset"] = try writer.input(.id(offset), in: space) }
                return body
            }
            let page = try await ask(.post, "points/scroll", .object(body), writer, timeout)
            let found = page["points"]?.arrayValue ?? []
            let next = order == nil && found.count > limit ? space.id(of: found[limit]) : nil
            return envelope.response([
                "points": .array(found.prefix(limit).compactMap { space.record($0, selection) }),
                "next_page_offset": next ?? .null,
            ])
        }
    }

    func count(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["filter", "exact"])
        let filter = try self.filter(members)
        let isExact = try members.flag("exact") ?? true
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            envelope.response(["count": JSON(try await count(filter, isExact: isExact, space, timeout))])
        }
    }

    /// How many points the caller reaches that fulfil a filter.
    func count(_ filter: Filter?, isExact: Bool, _ space: ExternalSpace, _ timeout: Duration) async throws -> Int {
        let (body, writer) = try await written(space, timeout) { writer in
            var body: JSONObject = ["exact": .bool(isExact)]
            if let filter = writer.scoped(filter) { body["filter"] = filter }
            return body
        }
        return try await ask(.post, "points/count", .object(body), writer, timeout)["count"]?.intValue ?? 0
    }

    func facet(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["key", "limit", "filter", "exact"])
        guard let key = members["key"]?.stringValue else { throw VectorsError(.format, "missing field `key`") }
        let isExact = try members.flag("exact") ?? false
        let path = try PayloadPath(key)
        let limit = try service.bounded(members["limit"], "limit", byDefault: 10)
        let filter = try self.filter(members)
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            let (body, writer) = try await written(space, timeout) { writer in
                var body: JSONObject = [
                    "key": writer.key(path), "limit": JSON(limit),
                    "exact": .bool(isExact),
                ]
                if let filter = writer.scoped(filter) { body["filter"] = filter }
                return body
            }
            let found = try await ask(.post, "facet", .object(body), writer, timeout)
            return envelope.response([
                "hits": .array(
                    (found["hits"]?.arrayValue ?? []).map {
                        ["value": $0["value"] ?? .null, "count": $0["count"] ?? 0]
                    })
            ])
        }
    }

    private func filter(_ members: JSONObject) throws -> Filter? {
        var parser = FilterParser(maxConditions: service.configuration.maxConditions)
        return try parser.filter(members["filter"])
    }

    // MARK: Matrix

    func matrix(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope, asPairs: Bool
    ) async throws -> HTTPResponse {
        let members = try await service.body(of: request)
        try ExternalShape.check(members, ["sample", "limit", "filter", "using"])
        let sample = try service.bounded(members["sample"], "sample", byDefault: 10, minimum: 2)
        let limit = try service.bounded(members["limit"], "limit", byDefault: 3)
        guard sample <= VectorsService.maxMatrixSample else {
            throw VectorsError.outOfBounds(
                "sample", "value \(sample) invalid, must be at most \(VectorsService.maxMatrixSample)")
        }
        let filter = try self.filter(members)
        let using = try members.text("using")
        let timeout = service.statementTimeout(request)
        return try await withSpace(try service.collectionName(request), caller) { space in
            _ = try space.collection.requireField(using)
            let (body, writer) = try await written(space, timeout) { writer in
                var body: JSONObject = ["sample": JSON(sample), "limit": JSON(limit)]
                if let filter = writer.scoped(filter) { body["filter"] = filter }
                if let using { body["using"] = .string(using) }
                return body
            }
            let path = "points/search/matrix/\(asPairs ? "pairs" : "offsets")"
            let found = try await ask(.post, path, .object(body), writer, timeout)
            if asPairs {
                let pairs = found["pairs"]?.arrayValue ?? []
                let ids = try await clientIDs(
                    pairs.flatMap { [$0["a"], $0["b"]].compactMap { $0 } }, space, writer, timeout)
                return envelope.response([
                    "pairs": .array(
                        pairs.compactMap { pair in
                            guard let a = pair["a"].flatMap({ ids[$0] }), let b = pair["b"].flatMap({ ids[$0] }) else {
                                return nil
                            }
                            return ["a": a, "b": b, "score": pair["score"] ?? .null]
                        })
                ])
            }
            let stored = found["ids"]?.arrayValue ?? []
            let ids = try await clientIDs(stored, space, writer, timeout)
            return envelope.response([
                "offsets_row": found["offsets_row"] ?? [], "offsets_col": found["offsets_col"] ?? [],
                "scores": found["scores"] ?? [], "ids": .array(stored.map { ids[$0] ?? .null }),
            ])
        }
    }

    /// The client's ids of points that an answer names without their payloads.
    private func clientIDs(
        _ stored: [JSON], _ space: ExternalSpace, _ writer: ExternalWriter, _ timeout: Duration
    ) async throws -> [JSON: JSON] {
        var ids: [JSON: JSON] = [:]
        guard space.isShared else {
            for id in stored { ids[id] = id }
            return ids
        }
        guard !stored.isEmpty else { return [:] }
        let body: JSON = [
            "ids": .array(Array(Set(stored))), "with_payload": space.payloadRequest(.none), "with_vector": false,
        ]
        for record in try await ask(.post, "points", body, writer, timeout).arrayValue ?? [] {
            if let there = record["id"], let id = space.id(of: record) { ids[there] = id }
        }
        return ids
    }
}
