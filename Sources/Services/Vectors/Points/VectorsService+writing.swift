// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension VectorsService {
    func registerPoints(on router: inout Router, prefix: String) {
        let path = "\(prefix)/collections/:collection/points"
        let change: (HTTPMethod, String, String, inout Router) -> Void = { method, suffix, name, router in
            route(method, path + suffix, on: &router) { [self] request, caller, envelope in
                try await perform(name, request, caller, envelope)
            }
        }
        change(.put, "", "upsert", &router)
        change(.post, "/delete", "delete", &router)
        change(.post, "/payload", "set_payload", &router)
        change(.put, "/payload", "overwrite_payload", &router)
        change(.post, "/payload/delete", "delete_payload", &router)
        change(.post, "/payload/clear", "clear_payload", &router)
        change(.put, "/vectors", "update_vectors", &router)
        change(.post, "/vectors/delete", "delete_vectors", &router)
        route(.post, "\(path)/batch", on: &router, performBatch)
        registerReads(on: &router, prefix: prefix)
    }

    /// Carries out one operation.
    private func perform(
        _ name: String, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let bytes = try await request.body.collect()
        let version = clock.next()
        try await withCollection(try collectionName(request), caller) { collection in
            let operation = try bytes.withUnsafeBytes { buffer in
                try self.operation(name, buffer, 0..<buffer.count, collection)
            }
            try await carryOut([(operation, version)], collection, caller, request)
        }
        return envelope.response(UpdateResult(request, version: version).json)
    }

    /// Carries out a list of operations in order, all or none.
    private func performBatch(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let bytes = try await request.body.collect()
        var versions: [Int] = []
        try await withCollection(try collectionName(request), caller) { collection in
            let operations = try bytes.withUnsafeBytes { try self.operations($0, collection) }
            versions = operations.map { _ in clock.next() }
            try await carryOut(Array(zip(operations, versions)), collection, caller, request)
        }
        return envelope.response(.array(versions.map { UpdateResult(request, version: $0).json }))
    }

    private func carryOut(
        _ operations: [(PointOperation, Int)], _ collection: VectorCollection, _ caller: Caller, _ request: HTTPRequest
    ) async throws {
        do {
            let expectsNew = operations.contains { $0.0.mayInsertPlainly } && collisions.expectsNone(in: collection.id)
            do {
                try await run(operations, collection, caller, request, expectsNewPoints: expectsNew)
            } catch let error as PostgresError where expectsNew && error.sqlState == "23505" {
                collisions.note(in: collection.id)
                try await run(operations, collection, caller, request, expectsNewPoints: false)
            }
        } catch let error as PostgresError where error.sqlState == "42501" {
            // The database's refusal of a row: the only thing in it that a token may not choose is the owner.
            throw VectorsError(
                .forbidden, "payload.user_id may only be a member of the token's tenant in a collection of the project",
                cause: error)
        }
        builder?.wrote(operations.reduce(0) { $0 + $1.0.weight }, to: collection)
    }

    private func run(
        _ operations: [(PointOperation, Int)], _ collection: VectorCollection, _ caller: Caller, _ request: HTTPRequest,
        expectsNewPoints: Bool
    ) async throws {
        let writer = OperationWriter(
            collection: collection, caller: caller, configuration: configuration, expectsNewPoints: expectsNewPoints)
        let queries = try operations.flatMap { try writer.queries($0.0, version: $0.1) }
        _ = try await write(queries, to: collection, caller, timeout: statementTimeout(request))
    }

    // MARK: Reading operations

    func operations(
        _ bytes: UnsafeRawBufferPointer, _ collection: VectorCollection
    ) throws -> [PointOperation] {
        var operations: [PointOperation] = []
        var isFound = false
        var scanner = BodyScanner(bytes)
        try scanner.members { scanner, name in
            guard name == "operations" else {
                _ = try scanner.skipValue()
                return
            }
            guard !isFound else { throw scanner.error("duplicate field `operations`") }
            isFound = true
            try scanner.elements { scanner, index in
                guard index < configuration.maxQueries else {
                    throw VectorsError(.badRequest, "a batch may have at most \(configuration.maxQueries) operations")
                }
                try scanner.members { scanner, name in
                    let range = try scanner.skipValue()
                    operations.append(try operation(name, bytes, range, collection))
                }
                guard operations.count == index + 1 else {
                    throw scanner.error("an operation is an object with one member")
                }
            }
        }
        try scanner.expectEnd()
        guard isFound else { throw scanner.error("missing field `operations`") }
        return operations
    }

    /// - Parameters:
    ///   - name: as a batch names it.
    ///   - range: where its body stands.
    func operation(
        _ name: String, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ collection: VectorCollection
    ) throws -> PointOperation {
        switch name {
        case "upsert":
            return .upsert(try PointReader.read(bytes, range, for: collection, maxPoints: configuration.maxBatch))
        case "update_vectors":
            let batch = try PointReader.read(
                bytes, range, for: collection, maxPoints: configuration.maxBatch, takesPayloads: false)
            guard batch.count > 0 else {
                throw VectorsError.outOfBounds("points", "must specify points to update")
            }
            let named = Set(batch.others.map(\.point))
            for number in 0..<batch.count where batch.rowVectorNumbers[number] == nil && !named.contains(number) {
                throw VectorsError.outOfBounds("points[\(number)].vector", "must specify vectors to update for point")
            }
            return .updateVectors(batch)
        default: break
        }
        let members = try Self.object(parsing: bytes[range])
        let selection = { try PointSelection(members, configuration) }
        switch name {
        case "delete": return .delete(try selection())
        case "set_payload", "overwrite_payload":
            guard let payload = members["payload"], payload.objectValue != nil else {
                throw VectorsError(.format, "payload: expected an object")
            }
            // The body is an object, so that its numbers are looked at; members beside the payload have none that are kept.
            var scanner = BodyScanner(bytes, range: range)
            _ = try scanner.skipValue(boundsNumbers: true)
            let path = try members.text("key").map { try PayloadPath($0) }
            return name == "set_payload"
                ? .setPayload(payload, under: path, try selection())
                : .overwritePayload(payload, under: path, try selection())
        case "delete_payload":
            guard let keys = members["keys"]?.arrayValue else { throw VectorsError(.format, "keys: expected a list") }
            guard keys.count <= configuration.maxQueries else { throw VectorsError(.badRequest, "too many keys") }
            return .deletePayload(
                try keys.map { key in
                    guard let text = key.stringValue else { throw VectorsError(.format, "keys: expected strings") }
                    return try PayloadPath(text)
                }, try selection())
        case "clear_payload": return .clearPayload(try selection())
        case "delete_vectors":
            guard let names = members["vector"]?.arrayValue, !names.isEmpty else {
                throw VectorsError.outOfBounds("vector", "must specify vector names to delete")
            }
            return .deleteVectors(
                try names.map { name in
                    guard let text = name.stringValue else { throw VectorsError(.format, "vector: expected strings") }
                    return text
                }, try selection())
        default: throw VectorsError(.format, "unknown operation `\(name.prefix(64))`")
        }
    }
}
