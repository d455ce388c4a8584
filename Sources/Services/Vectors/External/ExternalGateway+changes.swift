// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Primitives

extension ExternalGateway {
    /// One change of points.
    func change(
        _ name: String, _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let bytes = try await request.body.collect()
        let version = service.clock.next()
        let status = try await withOperations(request, caller) { collection in
            [
                try bytes.withUnsafeBytes { buffer in
                    try service.operation(name, buffer, 0..<buffer.count, collection)
                }
            ]
        }
        return envelope.response(Self.result(version, status.last))
    }

    /// A list of changes in order. All are read before the first is made; the other server makes them one by one.
    func batch(
        _ request: HTTPRequest, _ caller: Caller, _ envelope: Envelope
    ) async throws -> HTTPResponse {
        let bytes = try await request.body.collect()
        var count = 0
        let statuses = try await withOperations(request, caller) { collection in
            let operations = try bytes.withUnsafeBytes { try service.operations($0, collection) }
            count = operations.count
            return operations
        }
        return envelope.response(
            .array((0..<count).map { _ in Self.result(service.clock.next(), statuses.last) }))
    }

    private static func result(_ version: Int, _ status: String?) -> JSON {
        ["operation_id": JSON(version), "status": .string(status ?? "completed")]
    }

    private func withOperations(
        _ request: HTTPRequest, _ caller: Caller, _ read: (VectorCollection) throws -> [PointOperation]
    ) async throws -> [String] {
        let fields = FormFields(query: request.query ?? "")
        var wait = fields.first("wait") == "true" ? "?wait=true" : "?wait=false"
        if let ordering = fields.first("ordering") { wait += "&ordering=\(percentEncode(component: ordering))" }
        return try await service.withCollection(
            try service.collectionName(request), caller, takesExternal: true
        ) { collection in
            try await apply(
                try read(collection), collection, caller, parameters: wait, service.statementTimeout(request))
        }
    }

    /// Makes changes, and returns the other server's word for each: `completed` or `acknowledged`.
    func apply(
        _ operations: [PointOperation], _ collection: VectorCollection, _ caller: Caller, parameters: String,
        _ timeout: Duration
    ) async throws -> [String] {
        let named = operations.reduce(into: Set<String>()) { $0.formUnion($1.namedOwners) }
        let (space, owners) = try await enter(collection, caller, naming: named)
        let maxConditions = service.configuration.maxConditions
        let (list, writer) = try await written(space, timeout) { writer in
            var list: [[UInt8]] = []
            for operation in operations {
                list += try writer.operation(operation, owners, maxConditions: maxConditions)
            }
            return list
        }
        guard !list.isEmpty else { return [] }
        var body = Array("{\"operations\":[".utf8)
        body.reserveCapacity(list.reduce(32) { $0 + $1.count + 1 })
        for (number, item) in list.enumerated() {
            if number > 0 { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: item)
        }
        body.append(contentsOf: "]}".utf8)
        let answers = try await ask(.post, "points/batch\(parameters)", bytes: body, writer, timeout)
        return (answers.arrayValue ?? []).compactMap { $0["status"]?.stringValue }
    }
}
