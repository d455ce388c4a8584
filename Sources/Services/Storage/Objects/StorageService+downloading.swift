// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// An object's row, as far as serving it goes.
struct ObjectFacts: Sendable {
    var id: String
    var version: String
    var byteCount: Int
    var contentType: String
    var cacheControl: String
    /// With quotes.
    var entityTag: String?
    var createdAt: Timestamp?
    var modifiedAt: Timestamp?
    var userMetadata: JSON?
    var robotsTag: String
    var contentHeaders: [ContentHeader: String]

    /// The columns that ``init(_:)`` reads, of a row called `o`.
    static var columns: PostgresQuery {
        """
        o.id, o.version, storage.byte_count(o.metadata) as byte_count, o.metadata ->> 'mimetype' as type,
        o.metadata ->> 'cacheControl' as caching, o.metadata ->> 'eTag' as etag, o.metadata ->> 'xRobotsTag' as robots, o.created_at, o.updated_at, o.user_metadata,
        case
            when o.metadata ?| array['contentEncoding', 'contentDisposition', 'contentLanguage', 'expires']
                then o.metadata
        end as headers
        """
    }

    /// - Returns: nil for an object without content, as a row inserted by hand.
    init?(_ row: PostgresRow) {
        guard let version = row["version"].string else { return nil }
        id = row["id"].string ?? ""
        self.version = version
        byteCount = row["byte_count"].int ?? 0
        contentType = row["type"].string ?? MIMEType.unknown
        cacheControl = row["caching"].string ?? "no-cache"
        entityTag = row["etag"].string
        robotsTag = row["robots"].string ?? "none"
        contentHeaders = ContentHeader.read(row["headers"].string.flatMap { try? JSON(parsing: $0) })
        createdAt = row["created_at"].timestamp
        modifiedAt = row["updated_at"].timestamp
        userMetadata = row["user_metadata"].string.flatMap { try? JSON(parsing: $0) }
    }

    var representation: FileResponse.Representation {
        .init(
            byteCount: byteCount, entityTag: entityTag, modifiedAt: modifiedAt.map { Int($0.unixSeconds) },
            contentType: contentType)
    }
}

/// How an object is reached, which decides who is asked.
enum ReadingRight {
    /// As the principal, under row level security; public buckets are open to all.
    case principal(Principal)
    /// Only if its bucket is public.
    case everybody
    /// A signed address names this very object.
    case address(SignedAddress)
}

extension StorageService {
    func registerDownloads(on router: inout Router) {
        let object = "\(Self.prefix)/object"
        router.on(.get, "\(object)/:bucket/*key") { request in
            // Browsers follow addresses of public objects without any credential.
            if !hasCredential(request) { return try await download(request, .everybody, .getPublicObject) }
            return try await download(request, .principal(try principal(for: request)), .getObject)
        }
        router.on(.get, "\(object)/authenticated/:bucket/*key") { request in
            try await download(request, .principal(try principal(for: request)), .getObject)
        }
        router.on(.get, "\(object)/public/:bucket/*key") { request in
            try await download(request, .everybody, .getPublicObject)
        }
        router.on(.get, "\(object)/sign/:bucket/*key") { request in
            let address = try address(of: request)
            // Whoever was given a small picture was not given the large one.
            guard address.transform == nil else {
                throw StorageError(.invalidSignature, "The address is that of a rendered image")
            }
            return try await download(request, .address(address), .getSignedObject)
        }
        router.on(.get, "\(object)/info/:bucket/*key") { request in
            try await info(request, .principal(try principal(for: request)), .objectInfo)
        }
        router.on(.get, "\(object)/info/authenticated/:bucket/*key") { request in
            try await info(request, .principal(try principal(for: request)), .objectInfo)
        }
        router.on(.get, "\(object)/info/public/:bucket/*key") { request in
            try await info(request, .everybody, .publicObjectInfo)
        }
        router.on(.get, "\(object)/info/sign/:bucket/*key") { request in
            try await info(request, .address(try address(of: request)), .getSignedObject)
        }
    }

    private func hasCredential(_ request: HTTPRequest) -> Bool {
        request.headers.contains("authorization") || request.headers.contains("apikey")
            || FormFields(query: request.query ?? "").first("apikey") != nil
    }

    /// The signed address a request came by; its path must be the request's.
    func address(of request: HTTPRequest) throws -> SignedAddress {
        guard let token = FormFields(query: request.query ?? "").first("token") else {
            throw StorageError.missing("token")
        }
        let address = try SignedAddress(verifying: token, with: addresses, for: .download)
        guard address.path == (try object(request)).path else {
            throw StorageError(.invalidSignature, "The url do not match the signature")
        }
        return address
    }

    // MARK: Rows

    /// The object's row, if the caller may read it.
    ///
    /// - Throws: ``StorageError`` with `noSuchBucket` or `noSuchKey`, which also stand for what the caller may not see.
    func facts(
        _ object: ObjectName, _ right: ReadingRight, _ operation: StorageOperation, _ request: HTTPRequest
    ) async throws -> ObjectFacts {
        let visitor: Principal
        let query: PostgresQuery
        switch right {
        case .principal(let principal):
            visitor = principal
            query = """
                select \(ObjectFacts.columns) from storage.objects as o
                where o.bucket_id = \(object.bucket) and o.name = \(object.key)
                union all
                select \(ObjectFacts.columns) from storage.public_object(\(object.bucket), \(object.key)) as o
                limit 1
                """
        case .everybody:
            visitor = Principal(role: .anon)
            query = "select \(ObjectFacts.columns) from storage.public_object(\(object.bucket), \(object.key)) as o"
        case .address:
            visitor = Principal(holderOfAddressSignedBy: nil, tenant: nil)
            query = """
                select \(ObjectFacts.columns) from storage.objects as o
                where o.bucket_id = \(object.bucket) and o.name = \(object.key)
                """
        }
        let results = try await run(
            [query, "select public from storage.bucket_facts(\(object.bucket))"], as: visitor, operation, request)
        guard let isPublic = results[1].onlyRow?[0].bool else { throw StorageError.noSuchBucket }
        if case .everybody = right, !isPublic { throw StorageError.noSuchBucket }
        guard let row = results[0].onlyRow, let facts = ObjectFacts(row) else { throw StorageError.noSuchKey }
        return facts
    }

    // MARK: Bytes

    private func download(
        _ request: HTTPRequest, _ right: ReadingRight, _ operation: StorageOperation
    ) async throws -> HTTPResponse {
        let object = try object(request)
        var response = try await content(object, right, operation, request)
        Self.finishDownload(&response, request)
        if case .address(let address) = right {
            response.headers.set("Expires", HTTPDate.format(Int(address.expiresAt)))
        }
        return response
    }

    /// The answer with an object's bytes, whole or in part.
    func content(
        _ object: ObjectName, _ right: ReadingRight, _ operation: StorageOperation, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        var attempts = 0
        while true {
            let facts = try await facts(object, right, operation, request)
            do { return try await content(facts, request.method, request.headers) } catch let error as ObjectStoreError
            {
                // The object was replaced between its row and its file: the next row has the next file.
                attempts += 1
                guard case .missing = error, attempts < 3 else { throw error }
            }
        }
    }

    func content(
        _ facts: ObjectFacts, _ method: HTTPMethod, _ headers: HTTPHeaders
    ) async throws -> HTTPResponse {
        let representation = facts.representation
        let decision = FileResponse.decide(method, headers, representation)
        let range = decision.range(of: representation)
        let body: HTTPResponse.Body
        switch decision {
        case .rangeNotSatisfiable: throw StorageError(.invalidRange, "invalid range provided")
        case .preconditionFailed: throw StorageError(.preconditionFailed, "A condition of the request does not hold")
        case .notModified: body = .empty
        case .whole, .part:
            body =
                method == .head
                ? .stream(byteCount: range.count) { _ in } : try await store.body(of: facts.version, range)
        }
        var response = FileResponse.make(decision, representation, body: body)
        response.headers.append("Cache-Control", facts.cacheControl)
        response.headers.append("X-Robots-Tag", facts.robotsTag)
        for (header, value) in facts.contentHeaders { response.headers.append(header.name, value) }
        return response
    }

    /// What every download says besides: how to save it, and that a page out of a bucket is no page of this origin.
    static func finishDownload(_ response: inout HTTPResponse, _ request: HTTPRequest) {
        response.headers.append("X-Content-Type-Options", "nosniff")
        response.headers.append("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        guard let name = FormFields(query: request.query ?? "").first("download") else { return }
        response.headers.set(
            "Content-Disposition",
            name.isEmpty
                ? "attachment" : "attachment; filename=\(quoted(name)); filename*=UTF-8''\(percentEncoded(name))")
    }

    /// The name for clients that know ASCII alone.
    private static func quoted(_ name: String) -> String {
        "\""
            + name.utf8.prefix(255).reduce(into: "") { text, byte in
                let isPlain = (0x20...0x7E).contains(byte) && byte != 0x22 && byte != 0x5C
                text.unicodeScalars.append(isPlain ? Unicode.Scalar(byte) : "_")
            } + "\""
    }

    /// RFC 8187.
    private static func percentEncoded(_ name: String) -> String {
        name.utf8.prefix(1024).reduce(into: "") { text, byte in
            let character = Character(Unicode.Scalar(byte))
            if byte < 0x80, character.isLetter || character.isNumber || "-._~".contains(character) {
                text.append(character)
            } else {
                text += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }

    // MARK: Facts

    private func info(
        _ request: HTTPRequest, _ right: ReadingRight, _ operation: StorageOperation
    ) async throws -> HTTPResponse {
        let object = try object(request)
        let facts = try await facts(object, right, operation, request)
        let modified = JSON(facts.modifiedAt?.description)
        return .json([
            "id": .string(facts.id), "name": .string(object.key), "version": .string(facts.version),
            "bucket_id": .string(object.bucket), "size": JSON(facts.byteCount),
            "content_type": .string(facts.contentType), "cache_control": .string(facts.cacheControl),
            "etag": JSON(facts.entityTag), "metadata": facts.userMetadata ?? [:], "last_modified": modified,
            "created_at": JSON(facts.createdAt?.description),
        ])
    }
}
