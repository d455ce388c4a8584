// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension StorageService {
    func registerBuckets(on router: inout Router) {
        let maxBytes = configuration.maxBodyBytes
        for path in ["\(Self.prefix)/bucket", "\(Self.prefix)/bucket/"] {
            router.on(.get, path, listBuckets)
            router.on(.post, path, maxBodyBytes: maxBytes, createBucket)
        }
        let path = "\(Self.prefix)/bucket/:bucket"
        router.on(.get, path, getBucket)
        router.on(.put, path, maxBodyBytes: maxBytes, updateBucket)
        router.on(.delete, path, maxBodyBytes: maxBytes, deleteBucket)
        router.on(.post, "\(path)/empty", maxBodyBytes: maxBytes, emptyBucket)
    }

    /// The wire form of a bucket.
    private static var bucketColumns: PostgresQuery {
        """
        b.id, b.name, coalesce(b.owner_id, b.owner::text, '') as owner, coalesce(b.public, false) as public,
        b.type, b.file_size_limit, b.allowed_mime_types, storage.moment(b.created_at) as created_at,
        storage.moment(b.updated_at) as updated_at
        """
    }

    private static var notAllowed: StorageError {
        StorageError(.accessDenied, "new row violates row-level security policy")
    }

    private func listBuckets(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let fields = FormFields(query: request.query ?? "")
        let limit = try Self.number(fields.first("limit"), "limit") ?? 100_000
        let offset = try Self.number(fields.first("offset"), "offset") ?? 0
        let column = fields.first("sortColumn") ?? "name"
        guard ["id", "name", "created_at", "updated_at"].contains(column) else {
            throw StorageError(.invalidParameter, "Invalid Parameter sortColumn")
        }
        var order: PostgresQuery = "b.\(identifier: column)"
        if try Self.isDescending(fields.first("sortOrder")) { order += " desc" }
        var condition: PostgresQuery = "true"
        if let search = fields.first("search"), !search.isEmpty {
            condition = "b.name ilike \("%" + Self.escapedPattern(search) + "%")"
        }
        // Old Python clients refuse members they do not know.
        let entry: PostgresQuery =
            Self.isOldPythonClient(request) ? "to_jsonb(x) - 'position' - 'type'" : "to_jsonb(x) - 'position'"
        let results = try await run(
            [
                """
                select coalesce(jsonb_agg(\(entry) order by x.position), '[]')
                from (
                    select \(Self.bucketColumns), row_number() over (order by \(order), b.id) as position
                    from storage.buckets as b
                    where \(condition)
                    order by position
                    limit \(limit)::bigint offset \(offset)::bigint
                ) as x
                """
            ], as: principal, .listBuckets, request)
        return json(results[0].value(0, 0))
    }

    private func getBucket(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let name = try bucketName(request)
        let results = try await run(
            [
                """
                select to_jsonb(x) from (
                    select \(Self.bucketColumns) from storage.buckets as b where b.id = \(name)
                ) as x
                """
            ], as: principal, .getBucket, request)
        guard results[0].rowCount == 1 else { throw StorageError.noSuchBucket }
        return json(results[0].value(0, 0))
    }

    private func createBucket(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let body = try await body(request)
        guard let name = body["name"]?.stringValue ?? body["id"]?.stringValue else {
            throw StorageError.missing("name")
        }
        let id = body["id"]?.stringValue ?? name
        try await makeBucket(id, name: name, BucketSettings(body), as: principal, .createBucket, request)
        return .json(["name": .string(name)])
    }

    /// Makes a bucket as the caller.
    func makeBucket(
        _ id: String, name: String, _ settings: BucketSettings, as principal: Principal,
        _ operation: StorageOperation, _ request: HTTPRequest
    ) async throws {
        guard BucketName.isValidForNew(id), BucketName.isValidForNew(name) else {
            throw StorageError(.invalidBucketName, "Bucket name invalid")
        }
        let subject = principal.subject
        _ = try await run(
            [
                """
                insert into storage.buckets (id, name, owner, owner_id, public, file_size_limit, allowed_mime_types)
                values (
                    \(id), \(name), storage.uuid_or_null(\(subject)), \(subject), \(settings.isPublic ?? false)::boolean,
                    \(settings.maxBytes ?? nil)::bigint, \(settings.allowedTypes ?? nil)::text[])
                """
            ], as: principal, operation, request)
    }

    private func updateBucket(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let name = try bucketName(request)
        let settings = try BucketSettings(try await body(request))
        guard settings.changesSomething else {
            throw StorageError.invalid("At least one of public, file_size_limit and allowed_mime_types is needed")
        }
        var changes: [PostgresQuery] = []
        if let isPublic = settings.isPublic { changes.append("public = \(isPublic)::boolean") }
        if let limit = settings.maxBytes { changes.append("file_size_limit = \(limit)::bigint") }
        if let types = settings.allowedTypes { changes.append("allowed_mime_types = \(types)::text[]") }
        var query: PostgresQuery = "update storage.buckets set "
        for (position, change) in changes.enumerated() { query += position == 0 ? change : ", " + change }
        query += " where id = \(name)"
        let results = try await run(
            [query, "select from storage.buckets where id = \(name)"], as: principal, .updateBucket, request)
        // What the caller sees and may not change is not missing.
        guard results[0].affectedRows == 1 else {
            throw results[1].rowCount == 1 ? Self.notAllowed : StorageError.noSuchBucket
        }
        return .json(["message": "Successfully updated"])
    }

    private func deleteBucket(_ request: HTTPRequest) async throws -> HTTPResponse {
        try await removeBucket(try bucketName(request), as: try principal(for: request), .deleteBucket, request)
        return .json(["message": "Successfully deleted"])
    }

    /// Deletes an empty bucket as the caller.
    func removeBucket(
        _ name: String, as principal: Principal, _ operation: StorageOperation, _ request: HTTPRequest
    ) async throws {
        let results: [PostgresResult]
        do {
            results = try await run(
                ["delete from storage.buckets where id = \(name)", "select from storage.buckets where id = \(name)"],
                as: principal, operation, request, allowsDeletes: true)
        } catch {
            guard (error as? PostgresError)?.sqlState == "23503" else { throw error }
            throw StorageError(.resourceNotEmpty, "The bucket you tried to delete is not empty", cause: error)
        }
        guard results[0].affectedRows == 1 else {
            throw results[1].rowCount == 1 ? Self.notAllowed : StorageError.noSuchBucket
        }
    }

    private func emptyBucket(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        guard principal.role == .serviceRole else {
            throw StorageError(.accessDenied, "Access denied", status: .forbidden)
        }
        let name = try bucketName(request)
        let found = try await run(
            ["select from storage.bucket_facts(\(name))"], as: principal, .emptyBucket, request)
        guard found[0].rowCount == 1 else { throw StorageError.noSuchBucket }
        let batch = configuration.maxNamesPerRequest
        while true {
            let results = try await run(
                [
                    """
                    delete from storage.objects
                    where id in (select id from storage.objects where bucket_id = \(name) limit \(batch)::bigint)
                    returning version
                    """
                ], as: principal, .emptyBucket, request, allowsDeletes: true)
            await maintenance.removeFiles(of: results[0].rows.compactMap { $0[0].string })
            if results[0].rowCount < batch { break }
        }
        return .json(["message": "Successfully emptied"])
    }

    // MARK: Parameters

    static func number(_ text: String?, _ name: String) throws(StorageError) -> Int? {
        guard let text, !text.isEmpty else { return nil }
        guard let number = Int(text), number >= 0 else {
            throw StorageError(.invalidParameter, "Invalid Parameter \(name)")
        }
        return number
    }

    static func isDescending(_ order: String?) throws(StorageError) -> Bool {
        switch order?.lowercased() {
        case nil, "asc": return false
        case "desc": return true
        default: throw StorageError(.invalidParameter, "Invalid Parameter order")
        }
    }

    /// A text that a pattern of LIKE takes literally.
    static func escapedPattern(_ text: String) -> String {
        text.reduce(into: "") { pattern, character in
            if "\\%_".contains(character) { pattern.append("\\") }
            pattern.append(character)
        }
    }

    private static func isOldPythonClient(_ request: HTTPRequest) -> Bool {
        let info = request.headers["x-client-info"] ?? request.headers["user-agent"] ?? ""
        for (name, first) in [("supabase-py/", [2, 18]), ("storage3/", [0, 12, 1])] {
            guard let start = info.firstRange(of: name)?.upperBound else { continue }
            let parts = info[start...].prefix { $0.isNumber || $0 == "." }.split(separator: ".").compactMap { Int($0) }
            return parts.lexicographicallyPrecedes(first)
        }
        return false
    }
}
