// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Resumable uploads by TUS 1.0 at `/upload/resumable`, and at `/upload/resumable/sign` for who holds the token of a signed upload.
///
/// The file on the disk is the truth about how much has arrived, so that an upload outlives the server; the journal's row knows
/// everything else. One request at a time writes to an upload.
extension StorageService {
    func registerResumable(on router: inout Router) {
        for (path, isSigned) in [
            ("\(Self.prefix)/upload/resumable", false), ("\(Self.prefix)/upload/resumable/sign", true),
        ] {
            router.group(path, errors: answerResumable) { router in
                let maxBytes = configuration.maxObjectBytes
                for base in [path, path + "/"] {
                    router.on(.options, base, capabilities)
                    router.on(.post, base, maxBodyBytes: maxBytes) { try await create($0, isSigned: isSigned) }
                }
                router.on(.options, "\(path)/:id", capabilities)
                router.on(.head, "\(path)/:id") { try await progress($0, isSigned: isSigned) }
                router.on(.patch, "\(path)/:id", maxBodyBytes: maxBytes) { try await append($0, isSigned: isSigned) }
                router.on(.delete, "\(path)/:id") { try await terminate($0, isSigned: isSigned) }
                // A client behind a proxy that knows no PATCH says so in a field.
                router.on(.post, "\(path)/:id", maxBodyBytes: maxBytes) { request in
                    switch request.headers["x-http-method-override"]?.uppercased() {
                    case "PATCH": return try await append(request, isSigned: isSigned)
                    case "DELETE": return try await terminate(request, isSigned: isSigned)
                    default: throw HTTPError(.methodNotAllowed)
                    }
                }
            }
        }
    }

    private func answerResumable(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let error = StorageError(error)
        report(error, request)
        var response = error.trueResponse
        if error.code == .invalidChecksum { response.status = 460 }
        response.headers.append("Tus-Resumable", ResumableProtocol.version)
        return response
    }

    private func respond(_ status: HTTPStatus) -> HTTPResponse {
        HTTPResponse(
            status, headers: ["Tus-Resumable": ResumableProtocol.version, "Cache-Control": "no-store"])
    }

    private func capabilities(_ request: HTTPRequest) -> HTTPResponse {
        var response = respond(.noContent)
        response.headers.append("Tus-Version", ResumableProtocol.version)
        response.headers.append("Tus-Extension", ResumableProtocol.extensions)
        response.headers.append("Tus-Max-Size", String(configuration.maxObjectBytes))
        response.headers.append("Tus-Checksum-Algorithm", ResumableProtocol.checksums)
        return response
    }

    /// Who may write: the bearer of a token of Auth, or of a signed upload's, which names one object.
    private func caller(
        _ request: HTTPRequest, _ operation: StorageOperation, _ object: ObjectName, isSigned: Bool
    ) throws -> (caller: Caller, owner: String?, replaces: Bool) {
        guard isSigned else {
            let principal = try principal(for: request)
            let replaces = request.headers["x-upsert"]?.lowercased() == "true"
            return (Caller(principal: principal, operation: operation, request: request), principal.subject, replaces)
        }
        guard let token = request.headers["x-signature"] else {
            throw StorageError(.invalidUploadSignature, "Invalid upload Signature")
        }
        let address = try SignedAddress(verifying: token, with: addresses, for: .upload)
        guard address.path == object.path else {
            throw StorageError(.invalidUploadSignature, "Invalid upload Signature")
        }
        let principal = Principal(holderOfAddressSignedBy: address.owner, tenant: address.tenant)
        return (
            Caller(principal: principal, operation: operation, request: request), address.owner, address.replaces
        )
    }

    private func checkVersion(_ request: HTTPRequest) throws {
        guard request.headers["tus-resumable"] == ResumableProtocol.version else {
            var error = StorageError(.preconditionFailed, "Tus-Resumable must be \(ResumableProtocol.version)")
            error.cause = HTTPError(.preconditionFailed, headers: ["Tus-Version": ResumableProtocol.version])
            throw error
        }
    }

    private static func length(_ request: HTTPRequest, _ name: String) throws -> Int? {
        guard let text = request.headers[name] else { return nil }
        guard !text.isEmpty, text.utf8.count <= 18, text.utf8.allSatisfy({ $0 &- 48 < 10 }), let length = Int(text)
        else { throw StorageError.invalid("\(name) must be a number of bytes") }
        return length
    }

    // MARK: Creation

    private func create(_ request: HTTPRequest, isSigned: Bool) async throws -> HTTPResponse {
        try checkVersion(request)
        let metadata = try ResumableProtocol.metadata(request.headers["upload-metadata"])
        let object = try ObjectName(bucket: metadata["bucketName"], key: metadata["objectName"])
        let (caller, owner, replaces) = try caller(request, .resumableCreate, object, isSigned: isSigned)
        let length = try Self.length(request, "Upload-Length")
        let deferral = request.headers["upload-defer-length"]
        guard (length != nil) != (deferral != nil), deferral == nil || deferral == "1" else {
            throw StorageError.invalid("Upload-Length or Upload-Defer-Length: 1 is needed")
        }
        guard request.headers["upload-concat"] == nil else {
            throw StorageError(.notSupported, "The feature concatenation is not enabled for this resource")
        }
        let type = metadata["contentType"].flatMap { $0.isEmpty ? nil : $0 } ?? MIMEType.unknown
        guard MIMEType.isValid(type) else { throw StorageError.invalidMIMEType(type) }
        var intent = UploadIntent(
            object: object, ownerID: owner, replaces: replaces, contentType: type,
            cacheControl: UploadIntent.cacheControl(metadata["cacheControl"]), byteCount: length)
        if let text = metadata["metadata"], !text.isEmpty { intent.userMetadata = try userMetadata(Array(text.utf8)) }

        let upload = try await begin(
            intent, kind: "resumable", lifetime: configuration.resumableLifetime, for: caller)
        let id = ResumableID(object, version: upload.version)
        var offset = 0
        do {
            // The empty file says that the upload is there.
            let file = IncomingFile(
                path: folder.incomingPath(upload.version), folder: folder, writeBytes: configuration.writeBytes,
                digests: try ContentDigests())
            try await file.finish()
            maintenance.noteCommit(of: upload.version)
            if request.headers["content-type"] == ResumableProtocol.contentType || length == 0 {
                guard let row = try await resumable(id) else { throw StorageError.noSuchUpload }
                offset = try await locks.withLock(upload.version) {
                    try await write(request, to: row, at: 0, for: caller)
                }
            }
        } catch {
            if !(error is CancellationError), (error as? PostgresError)?.isOutcomeUnknown != true {
                await maintenance.abandon(upload.version)
            }
            throw error
        }
        var response = respond(.created)
        let path = isSigned ? "upload/resumable/sign" : "upload/resumable"
        response.headers.append("Location", "\(configuration.publicURL)/\(path)/\(id.text)")
        response.headers.append("Upload-Offset", String(offset))
        response.headers.append("Upload-Expires", expiry(of: Timestamp.now() + configuration.resumableLifetime))
        return response
    }

    private func expiry(of time: Timestamp) -> String { HTTPDate.format(Int(time.unixSeconds)) }

    // MARK: The journal's row

    /// An upload that may be continued.
    private struct ResumableUpload {
        let id: ResumableID
        let byteCount: Int?
        let maxBytes: Int
        let allowedTypes: [String]
        let expiresAt: Timestamp
        let intent: UploadIntent
    }

    private func resumable(_ id: ResumableID) async throws -> ResumableUpload? {
        let result = try await owner.query(
            """
            select u.owner_id, u.byte_count, u.upsert, u.mime_type, u.cache_control, u.user_metadata, u.expires_at,
                b.file_size_limit, b.allowed_mime_types
            from storage.uploads as u
            inner join storage.buckets as b on b.id = u.bucket_id
            where u.version = \(id.version) and u.kind = 'resumable' and u.bucket_id = \(id.object.bucket)
                and u.name = \(id.object.key) and u.expires_at > now() and u.node = \(folder.node)
            """)
        guard let row = result.onlyRow, let expiresAt = row["expires_at"].timestamp else { return nil }
        let byteCount = row["byte_count"].int
        return ResumableUpload(
            id: id, byteCount: byteCount,
            maxBytes: id.object.isFolderPlaceholder
                ? 0 : min(row["file_size_limit"].int ?? .max, configuration.maxObjectBytes),
            allowedTypes: (row["allowed_mime_types"].array ?? []).compactMap { $0 }, expiresAt: expiresAt,
            intent: UploadIntent(
                object: id.object, ownerID: row["owner_id"].string, replaces: row["upsert"].bool ?? false,
                contentType: row["mime_type"].string ?? MIMEType.unknown,
                cacheControl: row["cache_control"].string ?? UploadIntent.cacheControl(nil),
                userMetadata: row["user_metadata"].string.flatMap { try? JSON(parsing: $0) }, byteCount: byteCount))
    }

    private func existing(_ request: HTTPRequest) async throws -> ResumableUpload {
        let id = try ResumableID(request.parameters["id"] ?? "")
        guard let upload = try await resumable(id) else { throw StorageError.noSuchUpload }
        return upload
    }

    private func offset(of upload: ResumableUpload) async throws -> Int {
        guard let offset = try await folder.byteCount(of: folder.incomingPath(upload.id.version)) else {
            throw StorageError.noSuchUpload
        }
        return offset
    }

    // MARK: Progress

    /// How far an upload is, for whoever may continue it.
    private func progress(_ request: HTTPRequest, isSigned: Bool) async throws -> HTTPResponse {
        try checkVersion(request)
        let id = try ResumableID(request.parameters["id"] ?? "")
        let (caller, _, _) = try caller(request, .resumablePart, id.object, isSigned: isSigned)
        let upload = try await existing(request)
        try await checkRight(of: caller, to: upload)
        var response = respond(.ok)
        response.headers.append("Upload-Offset", String(try await offset(of: upload)))
        if let length = upload.byteCount {
            response.headers.append("Upload-Length", String(length))
        } else {
            response.headers.append("Upload-Defer-Length", "1")
        }
        response.headers.append("Upload-Expires", expiry(of: upload.expiresAt))
        return response
    }

    private func append(_ request: HTTPRequest, isSigned: Bool) async throws -> HTTPResponse {
        try checkVersion(request)
        let id = try ResumableID(request.parameters["id"] ?? "")
        let (caller, _, _) = try caller(request, .resumablePart, id.object, isSigned: isSigned)
        guard request.headers["content-type"] == ResumableProtocol.contentType else {
            throw StorageError(.invalidMIMEType, "Content-Type must be \(ResumableProtocol.contentType)", status: 415)
        }
        guard let claimed = try Self.length(request, "Upload-Offset") else {
            throw StorageError.missing("Upload-Offset")
        }
        return try await locks.withLock(id.version) {
            var upload = try await existing(request)
            try await checkRight(of: caller, to: upload)
            let offset = try await offset(of: upload)
            if let length = try Self.length(request, "Upload-Length"), upload.byteCount != length {
                guard upload.byteCount == nil, length >= offset else {
                    throw StorageError.invalid("Upload-Length cannot be changed, nor be less than what is there")
                }
                upload = try await fixLength(of: upload, to: length)
            }
            guard offset == claimed else {
                throw StorageError(.resourceReferenced, "The upload's offset is \(offset)", status: .conflict)
            }
            let end = try await write(request, to: upload, at: offset, for: caller)
            var response = respond(.noContent)
            response.headers.append("Upload-Offset", String(end))
            response.headers.append("Upload-Expires", expiry(of: upload.expiresAt))
            return response
        }
    }

    /// A length told later is bound by the same limits.
    private func fixLength(of upload: ResumableUpload, to length: Int) async throws -> ResumableUpload {
        guard length <= upload.maxBytes else { throw StorageError.tooLarge }
        try await owner.query(
            "select storage.fix_upload_length(\(upload.id.version), \(length)::bigint)")
        guard let fixed = try await resumable(upload.id) else { throw StorageError.noSuchUpload }
        return fixed
    }

    /// Rights are asked for with every part: they may have been taken away since the upload began.
    private func checkRight(of caller: Caller, to upload: ResumableUpload) async throws {
        let intent = upload.intent
        _ = try await run(
            [
                """
                select storage.try_object(
                    \(intent.object.bucket), \(intent.object.key), \(caller.principal.subject),
                    \(intent.announcedMetadata)::jsonb, \(intent.userMetadata)::jsonb, \(intent.replaces)::boolean)
                """
            ], as: caller.principal, caller.operation, caller.request)
    }

    /// Adds the request's body to the file, and commits the object when it is whole.
    ///
    /// - Returns: the new offset.
    private func write(
        _ request: HTTPRequest, to upload: ResumableUpload, at offset: Int, for caller: Caller
    ) async throws -> Int {
        let version = upload.id.version
        let limit = upload.byteCount ?? upload.maxBytes
        if let announced = request.body.announcedByteCount, announced > limit - offset { throw StorageError.tooLarge }
        let checksum = try ResumableProtocol.checksum(request.headers["upload-checksum"])
        let file = IncomingFile(
            path: folder.incomingPath(version), folder: folder, writeBytes: configuration.writeBytes,
            digests: try ContentDigests(extra: checksum.map { [$0.0] } ?? []), offset: offset)
        var chunks = request.body.chunks()
        var reserved = 0
        do {
            while let bytes = try await chunks.next() {
                guard bytes.count <= limit - file.byteCount else { throw StorageError.tooLarge }
                if upload.byteCount == nil, file.byteCount + bytes.count > reserved {
                    reserved = min(limit, file.byteCount + bytes.count + (1 << 20))
                    try await owner.query("select storage.reserve_at_least(\(version), \(reserved)::bigint)")
                }
                try await file.write(bytes)
            }
        } catch {
            // What came before the connection broke is kept, unless only the end could have proved it.
            try await file.finish()
            if checksum != nil { try await truncate(file, to: offset) }
            throw error
        }
        try await file.finish()
        if let (algorithm, sum) = checksum, file.digests.sum(algorithm) != sum {
            try await truncate(file, to: offset)
            throw StorageError(.invalidChecksum, "The checksum does not match")
        }
        if file.byteCount == upload.byteCount { try await complete(upload, for: caller) }
        return file.byteCount
    }

    private func truncate(_ file: IncomingFile, to offset: Int) async throws {
        let kept = IncomingFile(
            path: file.path, folder: folder, writeBytes: 1, digests: try ContentDigests(), offset: offset)
        try await kept.finish()
    }

    private func complete(_ upload: ResumableUpload, for caller: Caller) async throws {
        let version = upload.id.version
        let path = folder.incomingPath(version)
        let (entityTag, start) = try await folder.digest(path)
        if configuration.sniffsTypes, !upload.allowedTypes.isEmpty, let sniffed = MIMEType.sniffed(start),
            !MIMEType.agrees(upload.intent.contentType, withSniffed: sniffed),
            !MIMEType.isAllowed(sniffed, by: upload.allowedTypes)
        {
            await maintenance.abandon(version)
            throw StorageError.invalidMIMEType(sniffed)
        }
        let byteCount = upload.byteCount ?? 0
        maintenance.noteWork(on: version)
        defer { maintenance.noteCommit(of: version) }
        try await store.adopt(path, as: version, byteCount: byteCount)
        do {
            _ = try await commit(upload.intent, version, byteCount: byteCount, entityTag: entityTag, for: caller)
        } catch {
            if (error as? PostgresError)?.isOutcomeUnknown != true { await maintenance.abandon(version) }
            throw error
        }
    }

    // MARK: Termination

    private func terminate(_ request: HTTPRequest, isSigned: Bool) async throws -> HTTPResponse {
        try checkVersion(request)
        let id = try ResumableID(request.parameters["id"] ?? "")
        let (caller, _, _) = try caller(request, .resumableDelete, id.object, isSigned: isSigned)
        return try await locks.withLock(id.version) {
            let upload = try await existing(request)
            try await checkRight(of: caller, to: upload)
            await maintenance.abandon(id.version)
            return respond(.noContent)
        }
    }
}
