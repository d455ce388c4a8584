// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Calls of the S3 protocol on buckets, and lists of what is in them.
extension StorageService {
    private func bucket(of call: S3Call) throws -> String { try bucketName(call.request) }

    func s3ListBuckets(_ call: S3Call) async throws -> HTTPResponse {
        let limit = try Self.number(call.query.first("max-buckets"), "max-buckets") ?? 10_000
        guard (1...10_000).contains(limit) else {
            throw StorageError(.invalidParameter, "Invalid Parameter max-buckets")
        }
        let prefix = call.query.first("prefix") ?? ""
        let start = try call.query.first("continuation-token").map(Self.continuation) ?? ""
        let results = try await run(
            [
                """
                select b.name, storage.moment(b.created_at) as made
                from storage.buckets as b
                where starts_with(b.name, \(prefix)) and b.name collate "C" > \(start)
                order by b.name collate "C"
                limit \(limit + 1)::bigint
                """
            ], as: call.caller.principal, .s3ListBuckets, call.request)
        let buckets = results[0].rows.prefix(limit).map { row in
            S3Element(
                "Bucket",
                [
                    S3Element("Name", row["name"].string ?? ""), S3Element("CreationDate", row["made"].string ?? ""),
                ])
        }
        var answer = [Self.owner(named: "Owner"), S3Element("Buckets", buckets)]
        if !prefix.isEmpty { answer.append(S3Element("Prefix", prefix)) }
        if results[0].rowCount > limit {
            let last = results[0][limit - 1]["name"].string ?? ""
            answer.append(S3Element("ContinuationToken", Base64URL.encode(Array(last.utf8))))
        }
        return S3Element("ListAllMyBucketsResult", answer).response()
    }

    private static func owner(named name: String) -> S3Element {
        S3Element(name, [S3Element("ID", "atoll"), S3Element("DisplayName", "atoll")])
    }

    func s3CreateBucket(_ call: S3Call) async throws -> HTTPResponse {
        let name = try bucket(of: call)
        _ = try await call.request.body.collect()
        var settings = BucketSettings()
        settings.isPublic = call.request.headers["x-amz-acl"] == "public-read"
        try await makeBucket(name, name: name, settings, as: call.caller.principal, .s3CreateBucket, call.request)
        return HTTPResponse(.ok, headers: ["Location": "/\(name)"])
    }

    func s3HeadBucket(_ call: S3Call) async throws -> HTTPResponse {
        try await requireBucket(call.named(.s3HeadBucket))
        return HTTPResponse(.ok, headers: ["x-amz-bucket-region": configuration.s3?.region ?? ""])
    }

    /// A bucket is there for whoever can call: most projects let nobody read `storage.buckets`, and objects have their own rules.
    private func requireBucket(_ call: S3Call) async throws {
        let name = try bucket(of: call)
        let results = try await run(
            ["select from storage.bucket_facts(\(name))"], as: call.caller.principal, call.caller.operation,
            call.request)
        guard results[0].rowCount == 1 else { throw StorageError.noSuchBucket }
    }

    func s3DeleteBucket(_ call: S3Call) async throws -> HTTPResponse {
        try await removeBucket(try bucket(of: call), as: call.caller.principal, .s3DeleteBucket, call.request)
        return .empty()
    }

    func s3GetBucket(_ call: S3Call) async throws -> HTTPResponse {
        if call.has("location") {
            try await requireBucket(call.named(.s3BucketLocation))
            return S3Element("LocationConstraint", configuration.s3?.region ?? "").response()
        }
        if call.has("versioning") {
            try await requireBucket(call.named(.s3BucketVersioning))
            return S3Element("VersioningConfiguration", [S3Element("Status", "Suspended")]).response()
        }
        if call.has("uploads") { return try await s3ListUploads(call.named(.s3ListMultipart)) }
        return try await s3ListObjects(call.named(.s3ListObjects))
    }

    // MARK: Lists

    private func s3ListObjects(_ call: S3Call) async throws -> HTTPResponse {
        let bucket = try bucket(of: call)
        let query = call.query
        let isSecondForm = query.first("list-type") == "2"
        let prefix = query.first("prefix") ?? ""
        let delimiter = try Self.delimiter(query)
        let limit = min(try Self.number(query.first("max-keys"), "max-keys") ?? 1000, 1000)
        let start: String?
        if isSecondForm {
            start = try query.first("continuation-token").map(Self.continuation) ?? query.first("start-after")
        } else {
            start = query.first("marker")
        }
        let results = try await run(
            [
                "select from storage.bucket_facts(\(bucket))",
                """
                select w.entry, w.is_folder, storage.byte_count(o.metadata) as size,
                    o.metadata ->> 'eTag' as etag, storage.moment(o.updated_at) as modified
                from storage.walk(\(bucket), \(prefix), \(delimiter), \(start), \(limit + 1)::integer)
                    with ordinality as w (entry, is_folder, object_id, position)
                left join storage.objects as o on o.id = w.object_id
                order by w.position
                """,
            ], as: call.caller.principal, .s3ListObjects, call.request)
        guard results[0].rowCount == 1 else { throw StorageError.noSuchBucket }
        let isEncoded = query.first("encoding-type") == "url"
        func text(_ value: String) -> String {
            isEncoded ? S3Signature.encode(Array(value.utf8), keepsSlash: true) : value
        }
        var contents: [S3Element] = []
        var folders: [S3Element] = []
        for row in results[1].rows.prefix(limit) {
            let entry = row["entry"].string ?? ""
            if row["is_folder"].bool == true {
                folders.append(S3Element("CommonPrefixes", [S3Element("Prefix", text(entry))]))
            } else {
                var object = [
                    S3Element("Key", text(entry)), S3Element("LastModified", row["modified"].string ?? ""),
                    S3Element("ETag", row["etag"].string ?? ""), S3Element("Size", row["size"].string ?? "0"),
                    S3Element("StorageClass", "STANDARD"),
                ]
                if !isSecondForm || query.first("fetch-owner") == "true" { object.append(Self.owner(named: "Owner")) }
                contents.append(S3Element("Contents", object))
            }
        }
        let isTruncated = results[1].rowCount > limit && limit > 0
        let last = isTruncated ? results[1][limit - 1]["entry"].string ?? "" : ""
        var answer = [
            S3Element("Name", bucket), S3Element("Prefix", text(prefix)), S3Element("MaxKeys", String(limit)),
            S3Element("IsTruncated", isTruncated ? "true" : "false"),
        ]
        if !delimiter.isEmpty { answer.append(S3Element("Delimiter", text(delimiter))) }
        if isEncoded { answer.append(S3Element("EncodingType", "url")) }
        if isSecondForm {
            answer.append(S3Element("KeyCount", String(contents.count + folders.count)))
            if let token = query.first("continuation-token") { answer.append(S3Element("ContinuationToken", token)) }
            if let start = query.first("start-after") { answer.append(S3Element("StartAfter", text(start))) }
            if isTruncated {
                answer.append(S3Element("NextContinuationToken", Base64URL.encode(Array(last.utf8))))
            }
        } else {
            answer.append(S3Element("Marker", text(start ?? "")))
            if isTruncated { answer.append(S3Element("NextMarker", text(last))) }
        }
        return S3Element("ListBucketResult", answer + contents + folders).response()
    }

    private static func continuation(_ token: String) throws(StorageError) -> String {
        guard let bytes = Base64URL.decode(token), let key = String(validating: bytes, as: UTF8.self),
            !bytes.contains(0)
        else { throw StorageError(.invalidParameter, "The continuation token provided is incorrect") }
        return key
    }

    private func s3ListUploads(_ call: S3Call) async throws -> HTTPResponse {
        let bucket = try bucket(of: call)
        try await requireBucket(call)
        let query = call.query
        let prefix = query.first("prefix") ?? ""
        let delimiter = try Self.delimiter(query)
        let limit = min(try Self.number(query.first("max-uploads"), "max-uploads") ?? 1000, 1000)
        let marker = query.first("key-marker") ?? ""
        let uploadMarker = query.first("upload-id-marker") ?? ""
        // Uploads belong to who began them; the key pair sees all.
        let subject = call.caller.principal.role == .serviceRole ? nil : call.caller.principal.subject ?? ""
        // What has the delimiter behind the prefix is one entry, which stands where its last key stands.
        let result = try await owner.query(
            """
            with found as (
                select u.name, u.version, u.created_at,
                    case
                        when \(delimiter) <> '' and strpos(substr(u.name, length(\(prefix)) + 1), \(delimiter)) > 0
                            then \(prefix) || split_part(substr(u.name, length(\(prefix)) + 1), \(delimiter), 1)
                                || \(delimiter)
                    end as folder
                from storage.uploads as u
                where u.kind = 'multipart' and u.bucket_id = \(bucket) and starts_with(u.name, \(prefix))
                    and (\(subject)::text is null or u.owner_id = \(subject)) and u.expires_at > now()
                    and (u.name collate "C" > \(marker)
                        or (u.name = \(marker) and \(uploadMarker) <> '' and u.version collate "C" > \(uploadMarker)))
            ), entries as (
                select f.folder, max(f.name collate "C") as name, max(f.version collate "C") as version, null as made
                from found as f
                where f.folder is not null
                group by f.folder
                union all
                select null, f.name, f.version, storage.moment(f.created_at)
                from found as f
                where f.folder is null
            )
            select e.folder, e.name, e.version, e.made
            from entries as e
            order by e.name collate "C", e.version collate "C"
            limit \(limit + 1)::bigint
            """)
        let isEncoded = query.first("encoding-type") == "url"
        func text(_ value: String) -> String {
            isEncoded ? S3Signature.encode(Array(value.utf8), keepsSlash: true) : value
        }
        var answer = [
            S3Element("Bucket", bucket), S3Element("KeyMarker", text(marker)),
            S3Element("UploadIdMarker", uploadMarker), S3Element("Prefix", text(prefix)),
            S3Element("MaxUploads", String(limit)),
            S3Element("IsTruncated", result.rowCount > limit ? "true" : "false"),
        ]
        if !delimiter.isEmpty { answer.append(S3Element("Delimiter", text(delimiter))) }
        if isEncoded { answer.append(S3Element("EncodingType", "url")) }
        if result.rowCount > limit, limit > 0 {
            answer.append(S3Element("NextKeyMarker", text(result[limit - 1]["name"].string ?? "")))
            answer.append(S3Element("NextUploadIdMarker", result[limit - 1]["version"].string ?? ""))
        }
        for row in result.rows.prefix(limit) {
            if let folder = row["folder"].string {
                answer.append(S3Element("CommonPrefixes", [S3Element("Prefix", text(folder))]))
                continue
            }
            answer.append(
                S3Element(
                    "Upload",
                    [
                        S3Element("Key", text(row["name"].string ?? "")),
                        S3Element("UploadId", row["version"].string ?? ""),
                        Self.owner(named: "Initiator"), Self.owner(named: "Owner"),
                        S3Element("StorageClass", "STANDARD"), S3Element("Initiated", row["made"].string ?? ""),
                    ]))
        }
        return S3Element("ListMultipartUploadsResult", answer).response()
    }

    private static func delimiter(_ query: FormFields) throws(StorageError) -> String {
        let delimiter = query.first("delimiter") ?? ""
        guard delimiter.utf8.count <= 1 else {
            throw StorageError(.invalidParameter, "The delimiter must be one character")
        }
        return delimiter
    }

    // MARK: Deleting many

    func s3DeleteObjects(_ call: S3Call) async throws -> HTTPResponse {
        guard call.has("delete") else { throw StorageError(.methodNotAllowed, "Method Not Allowed") }
        let bucket = try bucket(of: call)
        let document = try await s3Document(call)
        let keys = document.all("Object").compactMap { $0["Key"] }
        guard document.name == "Delete", (1...1000).contains(keys.count) else {
            throw StorageError(.malformedXML, "The XML you provided was not well-formed or did not validate")
        }
        try await requireBucket(call.named(.s3DeleteObjects))
        let deleted = try await delete(keys, in: bucket, as: call.caller.principal, .s3DeleteObjects, call.request)
        let gone = Set(deleted.map { Array($0.name.utf8) })
        // What is not there counts as deleted; what is there and stays was not the caller's to delete.
        let left = try await run(
            [
                """
                select o.name from storage.objects as o
                where o.bucket_id = \(bucket) and o.name = any (\(keys.filter { !$0.utf8.contains(0) })::text[])
                """
            ], as: call.caller.principal, .s3DeleteObjects, call.request)
        let refused = Set(left[0].rows.compactMap { $0[0].string.map { Array($0.utf8) } })
        let isQuiet = document["Quiet"] == "true"
        var answer: [S3Element] = []
        for key in keys {
            if refused.contains(Array(key.utf8)), !gone.contains(Array(key.utf8)) {
                answer.append(
                    S3Element(
                        "Error",
                        [
                            S3Element("Key", key), S3Element("Code", "AccessDenied"),
                            S3Element("Message", "Access Denied"),
                        ]))
            } else if !isQuiet {
                answer.append(S3Element("Deleted", [S3Element("Key", key)]))
            }
        }
        return S3Element("DeleteResult", answer).response()
    }
}
