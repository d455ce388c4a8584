// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// An object that was just written; its row is committed.
struct StoredObject: Sendable {
    var id: String
    var version: String
    /// Without quotes.
    var entityTag: String
    var byteCount: Int
    var modifiedAt: Timestamp
}

/// A request that writes: who, as what, in which request.
struct Caller {
    var principal: Principal
    var operation: StorageOperation
    var request: HTTPRequest
}

/// An upload the database has agreed to.
struct AgreedUpload: Sendable {
    let version: String
    /// The most bytes it may have.
    let maxBytes: Int
    /// Types its bucket takes; empty takes all.
    let allowedTypes: [String]
}

/// The way of every new file: rights, limits and quota; then the bytes into a temporary file; then the file to its place; then
/// the row. A file without a row is never served, and a row never names a file that is not there.
extension StorageService {
    /// Writes an object from bytes as they come.
    ///
    /// - Parameters:
    ///   - next: the next bytes; nil at the end.
    ///   - check: sees the sums once all bytes are there, and may refuse.
    func receive(
        _ intent: UploadIntent, for caller: Caller, next: () async throws -> [UInt8]?,
        amend: (UploadIntent) throws -> UploadIntent = { $0 },
        check: (IncomingFile) throws -> Void = { _ in }
    ) async throws -> StoredObject {
        let upload = try await begin(intent, kind: "plain", lifetime: configuration.uploadLifetime, for: caller)
        do {
            let file = IncomingFile(
                path: folder.incomingPath(upload.version), folder: folder, writeBytes: configuration.writeBytes,
                digests: try ContentDigests(extra: intent.digests))
            try await fill(file, upload, intent, next)
            try await file.finish()
            try check(file)
            return try await finish(amend(intent), upload.version, file, for: caller)
        } catch {
            // Whoever cannot tell whether the row is committed leaves the file to the next start.
            if (error as? PostgresError)?.isOutcomeUnknown != true { await maintenance.abandon(upload.version) }
            throw error
        }
    }

    /// Asks for an upload before any of its bytes is taken.
    func begin(
        _ intent: UploadIntent, kind: String, lifetime: Duration, for caller: Caller
    ) async throws -> AgreedUpload {
        if let bytes = intent.byteCount, bytes > configuration.maxObjectBytes { throw StorageError.tooLarge }
        let version = maintenance.beginUpload()
        do {
            let results = try await run(
                [
                    """
                    select * from storage.begin_upload(
                        \(version), \(kind), \(folder.node), \(intent.object.bucket), \(intent.object.key),
                        \(intent.ownerID), \(intent.byteCount)::bigint, \(intent.replaces)::boolean,
                        \(intent.contentType), \(intent.cacheControl), \(intent.announcedMetadata)::jsonb,
                        \(intent.userMetadata)::jsonb, \(configuration.maxObjectBytes)::bigint,
                        make_interval(secs => \(Int(lifetime.components.seconds))::integer),
                        \(!intent.object.isFolderPlaceholder)::boolean)
                    """
                ], as: caller.principal, caller.operation, caller.request)
            let row = results[0].onlyRow
            return AgreedUpload(
                version: version, maxBytes: row?["max_bytes"].int ?? 0,
                allowedTypes: (row?["allowed_mime_types"].array ?? []).compactMap { $0 })
        } catch {
            maintenance.noteCommit(of: version)
            throw error
        }
    }

    /// Takes the bytes, within the limits that were agreed.
    private func fill(
        _ file: IncomingFile, _ upload: AgreedUpload, _ intent: UploadIntent, _ next: () async throws -> [UInt8]?
    ) async throws {
        var reserved = intent.byteCount ?? 0
        var start: [UInt8] = []
        while let bytes = try await next() {
            if start.count < 64 {
                start.append(contentsOf: bytes.prefix(64 - start.count))
                if start.count >= 64 { try checkContent(start, intent, upload) }
            }
            let total = file.byteCount + bytes.count
            guard total <= upload.maxBytes else { throw StorageError.tooLarge }
            if intent.object.isFolderPlaceholder, total > 0 { throw StorageError.tooLarge }
            if intent.byteCount == nil, total > reserved {
                // Twice as much each time, so that a large file costs few round trips.
                let more = min(max(total - reserved, reserved, 1 << 20), upload.maxBytes - reserved)
                try await reserve(more, atLeast: total - reserved, for: upload.version)
                reserved += more
            }
            try await file.write(bytes)
        }
        if !start.isEmpty, start.count < 64 { try checkContent(start, intent, upload) }
        if let expected = intent.byteCount, file.byteCount != expected {
            throw StorageError(.incompleteBody, "The body has another length than was announced")
        }
    }

    private func reserve(_ bytes: Int, atLeast needed: Int, for version: String) async throws {
        do { try await owner.query("select storage.extend_upload(\(version), \(bytes)::bigint)") } catch {
            guard bytes > needed, error.sqlState == "ATQ01" else { throw error }
            try await owner.query("select storage.extend_upload(\(version), \(needed)::bigint)")
        }
    }

    /// A bucket that takes certain types is not talked into another by a false label.
    private func checkContent(_ start: [UInt8], _ intent: UploadIntent, _ upload: AgreedUpload) throws {
        guard configuration.sniffsTypes, !upload.allowedTypes.isEmpty, let sniffed = MIMEType.sniffed(start) else {
            return
        }
        guard
            MIMEType.agrees(intent.contentType, withSniffed: sniffed)
                || MIMEType.isAllowed(sniffed, by: upload.allowedTypes)
        else { throw StorageError.invalidMIMEType(sniffed) }
    }

    /// Puts a received file into its place and commits its row.
    func finish(
        _ intent: UploadIntent, _ version: String, _ file: IncomingFile, for caller: Caller, entityTag: String? = nil
    ) async throws -> StoredObject {
        try await file.finish()
        try await store.adopt(file.path, as: version, byteCount: file.byteCount)
        return try await commit(
            intent, version, byteCount: file.byteCount, entityTag: entityTag ?? file.digests.entityTag, for: caller)
    }

    /// Commits the row of a version whose content is stored.
    func commit(
        _ intent: UploadIntent, _ version: String, byteCount: Int, entityTag: String, for caller: Caller
    ) async throws -> StoredObject {
        let now = Timestamp.now()
        let results = try await run(
            [
                """
                select * from storage.finish_upload(
                    \(version), \(intent.object.bucket), \(intent.object.key), \(intent.ownerID),
                    \(intent.metadata(byteCount: byteCount, entityTag: entityTag, at: now))::jsonb,
                    \(intent.userMetadata)::jsonb, \(intent.replaces)::boolean, \(intent.expectedTag))
                """
            ], as: caller.principal, caller.operation, caller.request)
        maintenance.noteCommit(of: version)
        let row = results[0].onlyRow
        if let replaced = row?["replaced_version"].string { await maintenance.removeFiles(of: [replaced]) }
        return StoredObject(
            id: row?["object_id"].string ?? "", version: version, entityTag: entityTag, byteCount: byteCount,
            modifiedAt: now)
    }
}
