// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import EventLoop
package import HTTP
package import HTTPClient
package import Primitives

/// Content in a bucket of any service that speaks the S3 protocol. Large content goes and comes in pieces, so that a server's
/// memory holds a few of them and never a file.
package struct S3Store: ObjectStore {
    /// Where and as whom.
    package struct Settings: Sendable {
        /// `https://s3.example.com`, without a slash at its end.
        package var endpoint: String
        package var region: String
        package var bucket: String
        /// In front of every version, such as `production/`.
        package var prefix: String
        package var accessKeyID: String
        package var secretAccessKey: SecretString
        /// How long one call may take.
        package var timeout: Duration = .seconds(60)
        /// How often a call is made that failed for now.
        package var attempts = 3

        package init(
            endpoint: String, region: String, bucket: String, prefix: String, accessKeyID: String,
            secretAccessKey: SecretString
        ) {
            self.endpoint = endpoint
            self.region = region
            self.bucket = bucket
            self.prefix = prefix
            self.accessKeyID = accessKeyID
            self.secretAccessKey = secretAccessKey
        }
    }

    /// The size of what is sent or fetched in one call; S3 takes parts of at least 5 MiB.
    static let pieceBytes = 8 << 20
    /// Of one multipart upload.
    private static let maxParts = 10_000
    /// What one call copies, at most, by the protocol.
    private static let maxCopyBytes = 5 << 30

    private let settings: Settings
    private let client: HTTPClient
    private let folder: LocalFolder

    /// - Parameter folder: where files stand until they are adopted.
    package init(_ settings: Settings, client: HTTPClient, folder: LocalFolder) {
        self.settings = settings
        self.client = client
        self.folder = folder
    }

    // MARK: Store

    package func adopt(_ path: String, as version: String, byteCount: Int) async throws {
        let file = try await folder.workers.run { try OpenFile(path: path) }
        func piece(_ range: Range<Int>) async throws -> [UInt8] {
            let bytes = try await folder.workers.run { try file.contents(range) }
            guard bytes.count == range.count else { throw ObjectStoreError.failed("the file is shorter than it was") }
            return bytes
        }
        if byteCount <= Self.pieceBytes {
            _ = try await call(.put, version, body: try await piece(0..<byteCount))
        } else {
            let size = max(Self.pieceBytes, (byteCount + Self.maxParts - 1) / Self.maxParts)
            try await upload(version, byteCount, pieces: size) { number, range, id in
                let answer = try await call(
                    .put, version, query: "partNumber=\(number)&uploadId=\(id)", body: try await piece(range))
                return answer.headers["etag"] ?? ""
            }
        }
        try await folder.remove([path])
    }

    package func body(of version: String, _ range: Range<Int>) async throws -> HTTPResponse.Body {
        guard !range.isEmpty else { return .empty }
        // The first piece now, so that what is missing is told before the answer begins.
        let first = try await fetch(version, range.prefix(Self.pieceBytes))
        if first.count == range.count { return .bytes(first) }
        return .stream(byteCount: range.count) { writer in
            var piece = first
            var position = range.lowerBound
            while true {
                try await writer.write(piece)
                position += piece.count
                if position >= range.upperBound { return }
                piece = try await fetch(version, (position..<range.upperBound).prefix(Self.pieceBytes))
            }
        }
    }

    package func read(
        _ version: String, _ range: Range<Int>, _ take: ([UInt8]) async throws -> Void
    ) async throws {
        var position = range.lowerBound
        while position < range.upperBound {
            let piece = try await fetch(version, (position..<range.upperBound).prefix(Self.pieceBytes))
            try await take(piece)
            position += piece.count
        }
    }

    private func fetch(_ version: String, _ range: Range<Int>) async throws -> [UInt8] {
        guard let first = range.first, let last = range.last else { return [] }
        let answer = try await call(.get, version, headers: ["range": "bytes=\(first)-\(last)"])
        guard answer.body.count == range.count else {
            throw ObjectStoreError.failed("the content is shorter than its row says")
        }
        return answer.body
    }

    package func copy(_ version: String, to newVersion: String) async throws {
        let source =
            "/\(settings.bucket)/\(S3Signature.encode(Array((settings.prefix + version).utf8), keepsSlash: true))"
        let head = try await call(.head, version)
        let byteCount = head.headers["content-length"].flatMap { Int($0) } ?? 0
        guard byteCount > Self.maxCopyBytes else {
            let answer = try await call(.put, newVersion, headers: ["x-amz-copy-source": source])
            // A copy that fails on its way is told with status 200.
            if (try? S3Element(parsing: answer.body))?.name == "Error" {
                throw ObjectStoreError.failed("the copy was broken off")
            }
            return
        }
        try await upload(newVersion, byteCount, pieces: 1 << 30) { number, range, id in
            let answer = try await call(
                .put, newVersion, query: "partNumber=\(number)&uploadId=\(id)",
                headers: [
                    "x-amz-copy-source": source,
                    "x-amz-copy-source-range": "bytes=\(range.lowerBound)-\(range.upperBound - 1)",
                ])
            return (try? S3Element(parsing: answer.body))?["ETag"] ?? ""
        }
    }

    package func remove(_ versions: [String]) async throws {
        for version in versions {
            do { _ = try await call(.delete, version) } catch ObjectStoreError.missing {}
        }
    }

    package func byteCount(of version: String) async throws -> Int? {
        do {
            return try await call(.head, version).headers["content-length"].flatMap { Int($0) }
        } catch ObjectStoreError.missing { return nil }
    }

    package func list(after: String?, limit: Int) async throws -> [StoredFile] {
        var query = "list-type=2&max-keys=\(min(limit, 1000))&prefix=\(encoded(settings.prefix))"
        if let after { query += "&start-after=\(encoded(settings.prefix + after))" }
        let answer = try await call(.get, nil, query: query)
        return try S3Element(parsing: answer.body).all("Contents").compactMap { entry in
            guard let key = entry["Key"], key.hasPrefix(settings.prefix) else { return nil }
            return StoredFile(
                version: String(key.dropFirst(settings.prefix.count)),
                byteCount: entry["Size"].flatMap { Int($0) } ?? 0,
                modifiedAt: entry["LastModified"].flatMap { Timestamp($0) }.map { Int($0.unixSeconds) } ?? 0)
        }
    }

    // MARK: Calls

    /// A multipart upload, given up when a part fails.
    ///
    /// - Parameter send: sends one part and returns its entity tag.
    private func upload(
        _ version: String, _ byteCount: Int, pieces size: Int,
        _ send: (_ number: Int, _ range: Range<Int>, _ id: String) async throws -> String
    ) async throws {
        let begun = try await call(.post, version, query: "uploads=")
        guard let id = try S3Element(parsing: begun.body)["UploadId"].map(encoded) else {
            throw ObjectStoreError.failed("no upload id")
        }
        do {
            var parts: [S3Element] = []
            var position = 0
            while position < byteCount {
                let range = position..<min(position + size, byteCount)
                let tag = try await send(parts.count + 1, range, id)
                parts.append(
                    S3Element("Part", [S3Element("PartNumber", String(parts.count + 1)), S3Element("ETag", tag)]))
                position = range.upperBound
            }
            let document = S3Element("CompleteMultipartUpload", parts).encoded
            let answer = try await call(.post, version, query: "uploadId=\(id)", body: document)
            if (try? S3Element(parsing: answer.body))?.name == "Error" {
                throw ObjectStoreError.failed("the upload was not completed")
            }
        } catch {
            _ = try? await call(.delete, version, query: "uploadId=\(id)")
            throw error
        }
    }

    private func encoded(_ text: String) -> String { S3Signature.encode(Array(text.utf8), keepsSlash: false) }

    /// Makes a call, again when it failed for now: every call here may be made twice.
    private func call(
        _ method: HTTPMethod, _ version: String?, query: String = "", headers: [String: String] = [:],
        body: [UInt8]? = nil
    ) async throws -> HTTPClientResponse {
        var attempt = 1
        while true {
            do {
                let answer = try await client.send(request(method, version, query, headers, body))
                switch answer.status.code {
                case 200..<300: return answer
                case 404 where version != nil: throw ObjectStoreError.missing
                case 500..<600 where attempt < settings.attempts: break
                case 503, 429: throw ObjectStoreError.overloaded
                default:
                    let code = (try? S3Element(parsing: answer.body))?["Code"] ?? ""
                    throw ObjectStoreError.failed("\(method) answered \(answer.status.code) \(code)")
                }
            } catch let error as HTTPClientError {
                guard attempt < settings.attempts, error.code != .cancelled, error.code != .misuse else {
                    throw ObjectStoreError.failed(error.description)
                }
            }
            attempt += 1
        }
    }

    private func request(
        _ method: HTTPMethod, _ version: String?, _ query: String, _ more: [String: String], _ body: [UInt8]?
    ) -> HTTPClientRequest {
        var path = "/\(encoded(settings.bucket))"
        if let version { path += "/" + S3Signature.encode(Array((settings.prefix + version).utf8), keepsSlash: true) }
        let base = settings.endpoint
        let authority = base.firstRange(of: "://").map { String(base[$0.upperBound...]) } ?? base
        let host = String(authority.prefix { $0 != "/" })
        let basePath = String(authority.dropFirst(host.count))
        var headers = more
        headers["host"] = host
        headers["x-amz-content-sha256"] = Hex.encode(digest(body ?? []))
        S3Signature.sign(
            method, basePath + path, query, &headers, accessKeyID: settings.accessKeyID,
            secret: settings.secretAccessKey, region: settings.region, at: .now())
        var fields = HTTPHeaders()
        for (name, value) in headers where name != "host" { fields.append(name, value) }
        let needsBody = body == nil && (method == .put || method == .post)
        var request = HTTPClientRequest(
            method, base + path + (query.isEmpty ? "" : "?\(query)"), headers: fields, body: needsBody ? [] : body)
        request.timeout = settings.timeout
        request.maxResponseBytes = Self.pieceBytes + (1 << 20)
        return request
    }
}
