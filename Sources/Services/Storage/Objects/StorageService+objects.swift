// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// What is done to objects without their bytes passing through the request.
extension StorageService {
    func registerObjects(on router: inout Router) {
        let maxBytes = configuration.maxBodyBytes
        let object = "\(Self.prefix)/object"
        router.on(.post, "\(object)/list/:bucket", maxBodyBytes: maxBytes, listObjects)
        router.on(.post, "\(object)/list-v2/:bucket", maxBodyBytes: maxBytes, listObjectsV2)
        router.on(.post, "\(object)/move", maxBodyBytes: maxBytes, moveObject)
        router.on(.post, "\(object)/copy", maxBodyBytes: maxBytes, copyObject)
        router.on(.delete, "\(object)/:bucket/*key", maxBodyBytes: maxBytes, deleteObject)
        router.on(.delete, "\(object)/:bucket", maxBodyBytes: maxBytes, deleteObjects)
    }

    // MARK: Move and copy

    /// The two objects that a move or a copy names.
    private struct Transfer {
        let source: ObjectName
        let destination: ObjectName

        init(_ body: JSONObject) throws(StorageError) {
            guard let bucket = body["bucketId"]?.stringValue else { throw .missing("bucketId") }
            guard let sourceKey = body["sourceKey"]?.stringValue else { throw .missing("sourceKey") }
            guard let key = body["destinationKey"]?.stringValue else { throw .missing("destinationKey") }
            source = try ObjectName(bucket: bucket, key: sourceKey)
            destination = try ObjectName(bucket: body["destinationBucket"]?.stringValue ?? bucket, key: key)
        }
    }

    private func moveObject(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let transfer = try Transfer(try await body(request))
        let results = try await run(
            [
                """
                select storage.move_object(
                    \(transfer.source.bucket), \(transfer.source.key), \(transfer.destination.bucket),
                    \(transfer.destination.key))
                """
            ], as: principal, .moveObject, request)
        return .json([
            "message": "Successfully moved", "Id": JSON(results[0].onlyRow?[0].string),
            "Key": .string(transfer.destination.path),
        ])
    }

    private func copyObject(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let body = try await body(request)
        let transfer = try Transfer(body)
        let change = CopyChange(
            replaces: request.headers["x-upsert"]?.lowercased() == "true",
            contentType: body["metadata"]?["mimetype"]?.stringValue,
            cacheControl: body["metadata"]?["cacheControl"]?.stringValue.map { UploadIntent.cacheControl($0) },
            copiesUserMetadata: body["copyMetadata"]?.boolValue ?? true, userMetadata: try userMetadata(request))
        let caller = Caller(principal: principal, operation: .copyObject, request: request)
        let stored = try await copy(transfer.source, to: transfer.destination, change, for: caller)
        let results = try await run(
            [
                """
                select to_jsonb(x) || jsonb_build_object('Id', x.id, 'Key', x.bucket_id || '/' || x.name) from (
                    select o.id, o.bucket_id, o.name, coalesce(o.owner::text, '') as owner, o.owner_id, o.version,
                        o.metadata, o.user_metadata, storage.moment(o.created_at) as created_at,
                        storage.moment(o.updated_at) as updated_at,
                        storage.moment(o.last_accessed_at) as last_accessed_at
                    from storage.objects as o
                    where o.id = \(stored.id)::uuid
                ) as x
                """
            ], as: principal, .copyObject, request)
        guard results[0].rowCount == 1 else {
            // Written, and not for its writer to read.
            return .json(["Id": .string(stored.id), "Key": .string(transfer.destination.path)])
        }
        return json(results[0].value(0, 0))
    }

    /// What a copy has otherwise than its source.
    struct CopyChange: Sendable {
        var replaces: Bool
        var contentType: String?
        var cacheControl: String?
        var copiesUserMetadata = true
        var userMetadata: JSON?
        /// In place of the source's; nil keeps those.
        var contentHeaders: [ContentHeader: String]?
        /// As of ``UploadIntent/expectedTag``.
        var expectedTag: String?
        /// The version the source must still have; nil for any.
        var sourceVersion: String?
    }

    /// Copies an object as the caller.
    func copy(
        _ source: ObjectName, to destination: ObjectName, _ change: CopyChange, for caller: Caller
    ) async throws -> StoredObject {
        if let type = change.contentType, !MIMEType.isValid(type) { throw StorageError.invalidMIMEType(type) }
        let version = maintenance.beginUpload()
        let row: PostgresRow?
        do {
            let results = try await run(
                [
                    """
                    select * from storage.begin_copy(
                        \(version), \(folder.node), \(source.bucket), \(source.key), \(destination.bucket),
                        \(destination.key), \(caller.principal.subject), \(change.replaces)::boolean,
                        \(change.contentType), \(change.cacheControl), \(change.copiesUserMetadata)::boolean,
                        \(change.userMetadata)::jsonb, \(configuration.maxObjectBytes)::bigint,
                        make_interval(secs => \(Int(configuration.uploadLifetime.components.seconds))::integer))
                    """
                ], as: caller.principal, caller.operation, caller.request)
            row = results[0].onlyRow
        } catch {
            maintenance.noteCommit(of: version)
            throw error
        }
        do {
            guard let row, let original = row["source_version"].string,
                let metadata = row["object_metadata"].string.flatMap({ try? JSON(parsing: $0) })
            else { throw StorageError.noSuchKey }
            if let expected = change.sourceVersion, expected != original {
                throw StorageError(.transactionError, "The source was replaced meanwhile. Please try again.")
            }
            do { try await store.copy(original, to: version) } catch let error as ObjectStoreError {
                // Deleted or replaced since its row was read.
                if case .missing = error { throw StorageError.noSuchKey }
                throw error
            }
            var intent = UploadIntent(
                object: destination, ownerID: caller.principal.subject, replaces: change.replaces,
                contentType: metadata["mimetype"]?.stringValue ?? MIMEType.unknown,
                cacheControl: metadata["cacheControl"]?.stringValue ?? UploadIntent.cacheControl(nil),
                userMetadata: row["object_user_meta"].string.flatMap { try? JSON(parsing: $0) })
            intent.robotsTag = metadata["xRobotsTag"]?.stringValue
            intent.contentHeaders = change.contentHeaders ?? ContentHeader.read(metadata)
            intent.expectedTag = change.expectedTag
            let tag = (metadata["eTag"]?.stringValue ?? "").filter { $0 != "\"" }
            return try await commit(
                intent, version, byteCount: metadata["size"]?.intValue ?? 0, entityTag: tag, for: caller)
        } catch {
            if (error as? PostgresError)?.isOutcomeUnknown != true { await maintenance.abandon(version) }
            throw error
        }
    }

    // MARK: Delete

    private func deleteObject(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let object = try object(request)
        let results = try await run(
            [
                """
                delete from storage.objects where bucket_id = \(object.bucket) and name = \(object.key)
                returning version
                """,
                "select from storage.objects where bucket_id = \(object.bucket) and name = \(object.key)",
            ], as: principal, .deleteObject, request, allowsDeletes: true)
        guard results[0].rowCount == 1 else {
            throw results[1].rowCount == 1 ? StorageError(.accessDenied, "Access denied") : .noSuchKey
        }
        await maintenance.removeFiles(of: results[0].rows.compactMap { $0[0].string })
        return .json(["message": "Successfully deleted"])
    }

    private func deleteObjects(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let bucket = try bucketName(request)
        let body = try await body(request)
        guard let names = body["prefixes"]?.arrayValue?.compactMap(\.stringValue),
            names.count == body["prefixes"]?.arrayValue?.count,
            (1...configuration.maxNamesPerRequest).contains(names.count)
        else {
            throw StorageError.invalid(
                "prefixes must be an array of 1 to \(configuration.maxNamesPerRequest) texts")
        }
        let deleted = try await delete(names, in: bucket, as: principal, .deleteObjects, request)
        return .json(.array(deleted.map(\.row)))
    }

    /// Deletes those of the named objects that the caller may delete.
    ///
    /// - Returns: each deleted row as clients see it.
    func delete(
        _ names: [String], in bucket: String, as principal: Principal, _ operation: StorageOperation,
        _ request: HTTPRequest
    ) async throws -> [(name: String, row: JSON)] {
        let results = try await run(
            [
                """
                with deleted as (
                    delete from storage.objects
                    where bucket_id = \(bucket) and name = any (\(names.filter { !$0.utf8.contains(0) })::text[])
                    returning *
                )
                select o.name, o.version, jsonb_build_object(
                    'bucket_id', o.bucket_id, 'name', o.name, 'owner', o.owner, 'owner_id', o.owner_id,
                    'version', o.version, 'id', o.id, 'created_at', storage.moment(o.created_at),
                    'updated_at', storage.moment(o.updated_at),
                    'last_accessed_at', storage.moment(o.last_accessed_at), 'metadata', o.metadata,
                    'user_metadata', o.user_metadata) as row
                from deleted as o
                order by o.name
                """
            ], as: principal, operation, request, allowsDeletes: true)
        await maintenance.removeFiles(of: results[0].rows.compactMap { $0["version"].string })
        return try results[0].rows.map { row in
            (row["name"].string ?? "", try JSON(parsing: row["row"].string ?? "null"))
        }
    }

    // MARK: Lists

    private func listObjects(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let bucket = try bucketName(request)
        let body = try await body(request)
        guard let prefix = body["prefix"]?.stringValue else { throw StorageError.missing("prefix") }
        let limit = min(try Self.count(body["limit"], "limit") ?? 100, configuration.maxListEntries)
        let offset = try Self.count(body["offset"], "offset") ?? 0
        let column = body["sortBy"]?["column"]?.stringValue ?? "name"
        guard ["name", "updated_at", "created_at", "last_accessed_at"].contains(column) else {
            throw StorageError(.invalidParameter, "Invalid Parameter sortBy")
        }
        let isDescending = try Self.isDescending(body["sortBy"]?["order"]?.stringValue)
        // A search may name folders too: the last part is what is searched for.
        let folderText = prefix.isEmpty || prefix.hasSuffix("/") ? prefix : prefix + "/"
        let wanted = folderText + (body["search"]?.stringValue ?? "")
        let cut = wanted.lastIndex(of: "/").map { wanted.index(after: $0) } ?? wanted.startIndex
        let folder = String(wanted[..<cut])
        let search = String(wanted[cut...])
        let pattern: String? = search.isEmpty ? nil : Self.escapedPattern(search) + "%"
        let entry: PostgresQuery = """
            jsonb_build_object(
                'name', x.token, 'id', o.id, 'updated_at', storage.moment(o.updated_at),
                'created_at', storage.moment(o.created_at),
                'last_accessed_at', storage.moment(o.last_accessed_at), 'metadata', o.metadata)
            """
        let length = folder.unicodeScalars.count
        let isWalk = column == "name" && !isDescending
        var order: PostgresQuery = isWalk ? "" : "x.is_folder desc, o.\(identifier: column)"
        if !isWalk, isDescending { order += " desc" }
        let walked: PostgresQuery = """
            select w.entry, w.is_folder, w.object_id, w.position,
                rtrim(substr(w.entry, \(length + 1)::integer), '/') as token
            from storage.walk(
                \(bucket), \(folder), '/', null, \(isWalk ? offset + limit : Int(Int32.max))::integer, \(pattern)
            ) with ordinality as w (entry, is_folder, object_id, position)
            """
        let ordering: PostgresQuery = isWalk ? "x.position" : order + ", x.entry"
        let results = try await run(
            [
                """
                select coalesce(jsonb_agg(y.entry order by y.place), '[]') from (
                    select \(entry) as entry, row_number() over (order by \(ordering)) as place
                    from (\(walked)) as x
                    left join storage.objects as o on o.id = x.object_id
                    order by place
                    limit \(limit)::bigint offset \(offset)::bigint
                ) as y
                """
            ], as: principal, .listObjects, request)
        return json(results[0].value(0, 0))
    }

    /// One page of ``listObjectsV2(_:)``, with what the next one begins behind.
    private func listObjectsV2(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let bucket = try bucketName(request)
        let body = try await body(request)
        let prefix = body["prefix"]?.stringValue ?? ""
        let limit = max(1, min(try Self.count(body["limit"], "limit") ?? 1000, 1000))
        let column = body["sortBy"]?["column"]?.stringValue ?? "name"
        guard ["name", "created_at", "updated_at"].contains(column) else {
            throw StorageError(.invalidParameter, "Invalid Parameter sortBy")
        }
        let order = ListOrder(
            column: column, isDescending: try Self.isDescending(body["sortBy"]?["order"]?.stringValue))
        let delimiter = body["with_delimiter"]?.boolValue == true ? "/" : ""
        let cursor = try body["cursor"]?.stringValue.map { try ListCursor($0, order) }
        let query = listQuery(bucket, prefix, delimiter, order, behind: cursor, limit: limit + 1)
        let results = try await run([query], as: principal, .listObjectsV2, request)

        var folders: [JSON] = []
        var objects: [JSON] = []
        for row in results[0].rows.prefix(limit) {
            let entry = try JSON(parsing: row["entry"].string ?? "null")
            if row["is_folder"].bool == true { folders.append(entry) } else { objects.append(entry) }
        }
        let hasNext = results[0].rowCount > limit
        var answer: JSONObject = [
            "hasNext": .bool(hasNext), "folders": .array(folders), "objects": .array(objects),
        ]
        if hasNext {
            let last = results[0][limit - 1]
            let key = last["name"].string ?? ""
            answer["nextCursor"] = .string(ListCursor(order, key: key, moment: last["moment"].string).text)
            answer["nextCursorKey"] = .string(key)
        }
        return .json(.object(answer))
    }

    private func listQuery(
        _ bucket: String, _ prefix: String, _ delimiter: String, _ order: ListOrder, behind cursor: ListCursor?,
        limit: Int
    ) -> PostgresQuery {
        let entry: PostgresQuery = """
            case
                when x.is_folder then jsonb_build_object('name', x.name, 'key', x.name)
                else jsonb_build_object(
                    'id', o.id, 'name', o.name, 'key', o.name, 'updated_at', storage.moment(o.updated_at),
                    'created_at', storage.moment(o.created_at),
                    'last_accessed_at', storage.moment(o.last_accessed_at), 'metadata', o.metadata)
            end
            """
        if order.isWalk {
            return """
                select \(entry) as entry, x.is_folder, x.name, null as moment
                from storage.walk(
                    \(bucket), \(prefix), \(delimiter), \(cursor?.key), \(limit)::integer
                ) with ordinality as x (name, is_folder, object_id, position)
                left join storage.objects as o on o.id = x.object_id
                order by x.position
                """
        }
        // Folders have no moment: they stand at the end of an ascending list and at the start of a descending one.
        let moment: PostgresQuery = order.column == "name" ? "null::timestamptz" : "o.\(identifier: order.column)"
        let comparison: PostgresQuery = order.isDescending ? "<" : ">"
        let direction: PostgresQuery = order.isDescending ? " desc" : ""
        let infinite: PostgresQuery = "coalesce(m.moment, 'infinity')"
        let condition: PostgresQuery =
            cursor.map { cursor in
                """
                (\(infinite), m.name collate "C")
                \(comparison) (coalesce(\(cursor.moment)::timestamptz, 'infinity'), \(cursor.key))
                """
            } ?? "true"
        return """
            select m.entry, m.is_folder, m.name, m.moment::text as moment from (
                select \(entry) as entry, x.is_folder, x.name, \(moment) as moment
                from storage.walk(\(bucket), \(prefix), \(delimiter), null, \(Int(Int32.max))::integer)
                    as x (name, is_folder, object_id)
                left join storage.objects as o on o.id = x.object_id
            ) as m
            where \(condition)
            order by \(infinite)\(direction), m.name collate "C"\(direction)
            limit \(limit)::bigint
            """
    }

    private static func count(_ value: JSON?, _ name: String) throws(StorageError) -> Int? {
        guard let value, !value.isNull else { return nil }
        guard let number = value.intValue, (0...Int(Int32.max) / 2).contains(number) else {
            throw StorageError(.invalidParameter, "Invalid Parameter \(name)")
        }
        return number
    }
}

/// How a listing is sorted.
struct ListOrder: Sendable, Hashable {
    var column: String
    var isDescending: Bool

    /// Whether the index gives the order, so that a page costs what it shows.
    var isWalk: Bool { column == "name" && !isDescending }
}

/// Where a page of a listing ended: what a client gives back to get the next.
struct ListCursor: Sendable {
    let key: String
    let moment: String?
    private let order: ListOrder

    init(_ order: ListOrder, key: String, moment: String?) {
        self.order = order
        self.key = key
        self.moment = moment
    }

    var text: String {
        let members: JSON = [
            "c": .string(order.column), "d": .bool(order.isDescending), "k": .string(key), "m": JSON(moment),
        ]
        return Base64URL.encode(members.encoded())
    }

    /// - Throws: ``StorageError`` for what is no cursor, or one of a list in another order.
    init(_ text: String, _ order: ListOrder) throws(StorageError) {
        guard let bytes = Base64URL.decode(text), let members = try? JSON(parsing: bytes),
            let key = members["k"]?.stringValue, !key.utf8.contains(0),
            members["c"]?.stringValue == order.column, members["d"]?.boolValue == order.isDescending
        else { throw StorageError(.invalidParameter, "Invalid Parameter cursor") }
        let moment = members["m"]?.stringValue
        if let moment, Timestamp(moment) == nil { throw StorageError(.invalidParameter, "Invalid Parameter cursor") }
        self.init(order, key: key, moment: moment)
    }
}
