// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Multipart uploads of the S3 protocol. Parts are files of their own until the upload is completed; the journal knows them.
extension StorageService {
    /// A multipart upload that may be continued.
    private struct MultipartUpload {
        let version: String
        let maxBytes: Int
        let intent: UploadIntent
    }

    /// A part as the journal has it.
    private struct Part {
        let number: Int
        let file: String
        let byteCount: Int
        let entityTag: String
        let madeAt: String
    }

    func s3PostObject(_ call: S3Call) async throws -> HTTPResponse {
        let object = try object(call.request)
        if call.has("uploads") { return try await s3CreateUpload(object, call.named(.s3CreateMultipart)) }
        if call.has("uploadId") { return try await s3CompleteUpload(object, call.named(.s3CompleteMultipart)) }
        throw StorageError(.methodNotAllowed, "Method Not Allowed")
    }

    private func s3CreateUpload(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        _ = try await call.request.body.collect()
        let intent = try s3Intent(object, call, byteCount: nil)
        guard intent.expectedTag == nil else {
            throw StorageError(.notImplemented, "This condition belongs to CompleteMultipartUpload")
        }
        let upload = try await begin(
            intent, kind: "multipart", lifetime: configuration.multipartLifetime, for: call.caller)
        defer { maintenance.noteCommit(of: upload.version) }
        if !intent.contentHeaders.isEmpty {
            var members = JSONObject()
            for (header, value) in intent.contentHeaders { members[header.rawValue] = .string(value) }
            let headers = JSON.object(members)
            try await owner.query(
                "update storage.uploads set content_headers = \(headers)::jsonb where version = \(upload.version)")
        }
        return S3Element(
            "InitiateMultipartUploadResult",
            [
                S3Element("Bucket", object.bucket), S3Element("Key", object.key),
                S3Element("UploadId", upload.version),
            ]
        ).response()
    }

    /// The upload a call names; those of others are not there.
    private func multipart(_ object: ObjectName, _ call: S3Call) async throws -> MultipartUpload {
        guard let id = call.query.first("uploadId"), UUID(id) != nil else { throw StorageError.noSuchUpload }
        let subject = call.caller.principal.role == .serviceRole ? nil : call.caller.principal.subject ?? ""
        let result = try await owner.query(
            """
            select u.owner_id, u.upsert, u.mime_type, u.cache_control, u.user_metadata, u.content_headers,
                b.file_size_limit
            from storage.uploads as u
            inner join storage.buckets as b on b.id = u.bucket_id
            where u.version = \(id) and u.kind = 'multipart' and u.bucket_id = \(object.bucket)
                and u.name = \(object.key) and u.expires_at > now() and u.node = \(folder.node)
                and (\(subject)::text is null or u.owner_id = \(subject))
            """)
        guard let row = result.onlyRow else { throw StorageError.noSuchUpload }
        var intent = UploadIntent(
            object: object, ownerID: row["owner_id"].string, replaces: row["upsert"].bool ?? true,
            contentType: row["mime_type"].string ?? MIMEType.unknown,
            cacheControl: row["cache_control"].string ?? UploadIntent.cacheControl(nil),
            userMetadata: row["user_metadata"].string.flatMap { try? JSON(parsing: $0) })
        intent.contentHeaders = ContentHeader.read(row["content_headers"].string.flatMap { try? JSON(parsing: $0) })
        return MultipartUpload(
            version: id,
            maxBytes: object.isFolderPlaceholder
                ? 0 : min(row["file_size_limit"].int ?? .max, configuration.maxObjectBytes),
            intent: intent)
    }

    private func parts(of version: String) async throws -> [Part] {
        let result = try await owner.query(
            """
            select part_number, file, byte_count, etag, storage.moment(created_at) as made
            from storage.upload_parts
            where version = \(version)
            order by part_number
            """)
        return result.rows.map { row in
            Part(
                number: row["part_number"].int ?? 0, file: row["file"].string ?? "",
                byteCount: row["byte_count"].int ?? 0, entityTag: row["etag"].string ?? "",
                madeAt: row["made"].string ?? "")
        }
    }

    private func partNumber(_ call: S3Call) throws -> Int {
        guard let number = call.query.first("partNumber").flatMap({ Int($0) }), (1...10_000).contains(number) else {
            throw StorageError(.invalidParameter, "Part number must be an integer between 1 and 10000, inclusive")
        }
        return number
    }

    /// Rights are asked for with every part.
    private func checkRight(to upload: MultipartUpload, _ call: S3Call) async throws {
        let intent = upload.intent
        _ = try await run(
            [
                """
                select storage.try_object(
                    \(intent.object.bucket), \(intent.object.key), \(call.caller.principal.subject),
                    \(intent.announcedMetadata)::jsonb, \(intent.userMetadata)::jsonb, \(intent.replaces)::boolean)
                """
            ], as: call.caller.principal, call.caller.operation, call.request)
    }

    // MARK: Parts

    func s3UploadPart(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let number = try partNumber(call)
        let body = try S3Body(call)
        guard let byteCount = body.byteCount else {
            throw StorageError(.missingContentLength, "You must provide the Content-Length HTTP header.")
        }
        let upload = try await multipart(object, call)
        let tag = try await addPart(number, of: byteCount, to: upload, body.digests, call) { file in
            while let bytes = try await body.next() {
                guard file.byteCount + bytes.count <= byteCount else {
                    throw StorageError(.incompleteBody, "The body is longer than was announced")
                }
                try await file.write(bytes)
            }
        } check: { digests in
            try body.check(digests)
        }
        var response = HTTPResponse(.ok, headers: ["ETag": "\"\(tag)\""])
        if let checksum = body.checksum { response.headers.append(checksum.name, checksum.value) }
        return response
    }

    func s3UploadPartCopy(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let number = try partNumber(call)
        let source = try s3CopySource(call)
        let upload = try await multipart(object, call)
        let facts = try await facts(source, .principal(call.caller.principal), .s3UploadPartCopy, call.request)
        try S3Condition.checkSource(call.request.headers, facts.representation)
        var range = 0..<facts.byteCount
        if let text = call.request.headers["x-amz-copy-source-range"] {
            let bounds = text.dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
            guard text.hasPrefix("bytes="), bounds.count == 2, bounds[0] <= bounds[1], bounds[1] < facts.byteCount
            else { throw StorageError(.invalidRange, "The copy source's range is not satisfiable") }
            range = bounds[0]..<(bounds[1] + 1)
        }
        let copied = range
        let tag = try await addPart(number, of: copied.count, to: upload, [], call) { file in
            try await store.read(facts.version, copied) { try await file.write($0) }
        } check: { _ in
        }
        return S3Element(
            "CopyPartResult",
            [S3Element("ETag", "\"\(tag)\""), S3Element("LastModified", Timestamp.now().description)]
        ).response()
    }

    /// Receives a part: space first, then bytes, then the journal's row. A part sent again replaces the earlier one.
    ///
    /// - Returns: the part's entity tag, without quotes.
    private func addPart(
        _ number: Int, of byteCount: Int, to upload: MultipartUpload, _ extra: Set<ContentDigests.Algorithm>,
        _ call: S3Call, fill: (IncomingFile) async throws -> Void, check: (ContentDigests) throws -> Void
    ) async throws -> String {
        guard byteCount <= upload.maxBytes else { throw StorageError.tooLarge }
        try await checkRight(to: upload, call)
        try await owner.query("select storage.extend_upload(\(upload.version), \(byteCount)::bigint)")
        let name = "\(number)-\(Hex.encode(randomBytes(8)))"
        let path = folder.incomingPath(upload.version, part: name)
        do {
            let digests = try ContentDigests(extra: extra)
            let file = IncomingFile(path: path, folder: folder, writeBytes: configuration.writeBytes, digests: digests)
            try await fill(file)
            guard file.byteCount == byteCount else {
                throw StorageError(.incompleteBody, "The request body terminated unexpectedly")
            }
            try await file.finish(durably: true)
            try check(digests)
            let replaced = try await owner.query(
                """
                with earlier as (
                    select file, byte_count from storage.upload_parts
                    where version = \(upload.version) and part_number = \(number)::integer
                    for update
                ), written as (
                    insert into storage.upload_parts as p (version, part_number, file, byte_count, etag)
                    values (
                        \(upload.version), \(number)::integer, \(name), \(byteCount)::bigint, \(digests.entityTag))
                    on conflict (version, part_number) do update
                        set file = excluded.file, byte_count = excluded.byte_count, etag = excluded.etag,
                            created_at = now()
                )
                select file, byte_count from earlier
                """)
            if let row = replaced.onlyRow, let old = row["file"].string {
                try await owner.query(
                    "select storage.extend_upload(\(upload.version), \(-(row["byte_count"].int ?? 0))::bigint)")
                try await folder.remove([folder.incomingPath(upload.version, part: old)])
            }
            return digests.entityTag
        } catch {
            // A cancelled request cannot ask the database; what it reserved and wrote goes with the upload.
            if !Task.isCancelled {
                try await folder.remove([path])
                try await owner.query("select storage.extend_upload(\(upload.version), \(-byteCount)::bigint)")
            }
            throw error
        }
    }

    func s3ListParts(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let upload = try await multipart(object, call)
        let limit = min(try Self.number(call.query.first("max-parts"), "max-parts") ?? 1000, 1000)
        let marker = try Self.number(call.query.first("part-number-marker"), "part-number-marker") ?? 0
        let found = try await parts(of: upload.version).filter { $0.number > marker }
        let page = found.prefix(limit)
        return S3Element(
            "ListPartsResult",
            [
                S3Element("Bucket", object.bucket), S3Element("Key", object.key),
                S3Element("UploadId", upload.version), S3Element("PartNumberMarker", String(marker)),
                S3Element("NextPartNumberMarker", String(page.last?.number ?? marker)),
                S3Element("MaxParts", String(limit)),
                S3Element("IsTruncated", found.count > limit ? "true" : "false"),
                S3Element("StorageClass", "STANDARD"),
            ]
                + page.map { part in
                    S3Element(
                        "Part",
                        [
                            S3Element("PartNumber", String(part.number)), S3Element("LastModified", part.madeAt),
                            S3Element("ETag", "\"\(part.entityTag)\""), S3Element("Size", String(part.byteCount)),
                        ])
                }
        ).response()
    }

    // MARK: End

    func s3AbortUpload(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let upload = try await multipart(object, call)
        try await locks.withLock(upload.version) { await maintenance.abandon(upload.version) }
        return .empty()
    }

    private func s3CompleteUpload(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let wanted = try await s3Document(call)
        let condition = try S3Condition(call.request.headers)
        let upload = try await multipart(object, call)
        return try await locks.withLock(upload.version) {
            let chosen = try choose(wanted, from: try await parts(of: upload.version))
            let byteCount = chosen.reduce(0) { $0 + $1.byteCount }
            guard byteCount <= upload.maxBytes else { throw StorageError.tooLarge }
            try await s3Check(condition, object, call)
            var intent = upload.intent
            if !condition.mayReplace { intent.replaces = false }
            intent.expectedTag = condition.expectedTag
            // The entity tag of an object of parts: the digest of theirs, and how many there are.
            let sums = chosen.flatMap { Hex.decode($0.entityTag) ?? [] }
            let tag = "\(Hex.encode(digest(sums, using: .md5)))-\(chosen.count)"
            maintenance.noteWork(on: upload.version)
            defer { maintenance.noteCommit(of: upload.version) }
            let file = IncomingFile(
                path: folder.incomingPath(upload.version), folder: folder, writeBytes: configuration.writeBytes,
                digests: try ContentDigests())
            for part in chosen {
                try await file.append(
                    contentsOf: folder.incomingPath(upload.version, part: part.file), digesting: false)
            }
            let leftovers = try await folder.incomingPaths(of: upload.version).filter { $0 != file.path }
            do {
                _ = try await finish(intent, upload.version, file, for: call.caller, entityTag: tag)
            } catch {
                if !condition.isNone, Self.brokenConditions.contains(StorageError(error).code) {
                    // The upload stays, so that its client may ask again, or for something else.
                    try await store.remove([upload.version])
                } else if (error as? PostgresError)?.isOutcomeUnknown != true {
                    await maintenance.abandon(upload.version)
                }
                throw error
            }
            try await folder.remove(leftovers)
            return S3Element(
                "CompleteMultipartUploadResult",
                [
                    S3Element("Location", "\(configuration.publicURL)/s3/\(object.path)"),
                    S3Element("Bucket", object.bucket), S3Element("Key", object.key), S3Element("ETag", "\"\(tag)\""),
                ]
            ).response()
        }
    }

    /// What a commit is refused with when a condition held before it and no longer does.
    private static let brokenConditions: Set<StorageError.Code> = [.preconditionFailed, .keyAlreadyExists, .noSuchKey]

    /// The parts a client lists, in its order, which must be theirs.
    private func choose(_ document: S3Element, from parts: [Part]) throws(StorageError) -> [Part] {
        let listed = document.all("Part")
        guard document.name == "CompleteMultipartUpload", !listed.isEmpty else {
            throw StorageError(.malformedXML, "The XML you provided was not well-formed or did not validate")
        }
        let known = Dictionary(parts.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
        var chosen: [Part] = []
        for entry in listed {
            guard let number = entry["PartNumber"].flatMap({ Int($0) }) else {
                throw StorageError(.malformedXML, "The XML you provided was not well-formed or did not validate")
            }
            if let last = chosen.last, number <= last.number {
                throw StorageError(.invalidPartOrder, "The list of parts was not in ascending order.")
            }
            let tag = entry["ETag"].map { $0.filter { $0 != "\"" } }
            guard let part = known[number], tag == nil || tag == part.entityTag else {
                throw StorageError(.invalidPart, "One or more of the specified parts could not be found.")
            }
            chosen.append(part)
        }
        for part in chosen.dropLast() where part.byteCount < configuration.s3?.minPartBytes ?? 0 {
            throw StorageError(
                .entityTooSmall, "Your proposed upload is smaller than the minimum allowed object size.")
        }
        return chosen
    }
}
