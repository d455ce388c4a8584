// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Primitives

extension HTTPProbeRun {
    /// The same files by the S3 protocol, signed in as a user.
    mutating func crossS3(_ file: ProbeFile) async throws {
        let path = file.path("s3")
        let bucket = "/storage/v1/s3/\(encoded(file.bucket.id))"
        let folder = encoded(file.folder)
        // A bucket may be listed by everybody signed in, who sees what policies show them; anything else is no attempt.
        let check = try await send(signed(.get, bucket, "list-type=2&prefix=\(folder)%2F"))
        guard check.isSuccess else {
            if check.status == 404 {
                isUnserved("S3")
                return
            }
            let code = check.text.split(separator: "<Code>").dropFirst().first?.prefix { $0 != "<" } ?? ""
            untried(
                "s3", file.title, .list,
                "the server answered \(check.status) \(code)")
            return
        }
        try await attempt("s3", file.title, .list, signed(.get, bucket, "list-type=2&prefix=\(folder)%2F")) { _ in false
        }
        if !file.bucket.isPublic {
            try await attempt("s3", file.title, .read, signed(.get, path)) { $0.isSuccess }
            try await attempt("s3", file.title, .count, signed(.head, path)) { $0.isSuccess }
        }
        let forged = file.path("s3", "\(file.folder)/forged-\(mine.tenant.marker).txt")
        let type = [("content-type", file.type)]
        try await attempt("s3", file.title, .insert, signed(.put, forged, headers: type, body: Array("forged".utf8))) {
            $0.isSuccess
        }
        try await attempt("s3", file.title, .insert, signed(.post, forged, "uploads=", headers: type)) { $0.isSuccess }
        let before = await version(of: file)
        let run = self
        for (action, request) in [
            (Crossing.Action.upsert, signed(.put, path, headers: type, body: Array("overwritten".utf8))),
            (.delete, signed(.delete, path)),
        ] {
            try await attempt("s3", file.title, action, request) { _ in await run.version(of: file) != before }
        }
        if !file.bucket.isPublic {
            let stolen = file.path("s3", "\(mine.tenant.userID)/stolen-\(mine.tenant.marker).txt")
            let source = [("x-amz-copy-source", String(path.dropFirst("/storage/v1/s3".count)))]
            try await attempt("s3", file.title, .copy, signed(.put, stolen, headers: source)) { $0.isSuccess }
        }
        try await crossParts(file)
    }

    /// An upload in parts that the other has begun.
    private mutating func crossParts(_ file: ProbeFile) async throws {
        let key = file.path("s3", "\(file.folder)/parts-\(other.tenant.marker).bin")
        let begun = try await send(
            signed(.post, key, "uploads=", headers: [("content-type", file.type)], as: other))
        guard begun.isSuccess, let start = begun.text.firstRange(of: "<UploadId>") else { return }
        let id = encoded(String(begun.text[start.upperBound...].prefix { $0 != "<" }))
        let bucket = "/storage/v1/s3/\(encoded(file.bucket.id))"
        try await attempt("s3", file.title, .list, signed(.get, bucket, "uploads=")) { _ in false }
        let attempts: [(Crossing.Action, ProbeRequest)] = [
            (.read, signed(.get, key, "uploadId=\(id)")),
            (.update, signed(.put, key, "partNumber=1&uploadId=\(id)", body: Array("forged".utf8))),
            (.delete, signed(.delete, key, "uploadId=\(id)")),
        ]
        for (action, request) in attempts {
            try await attempt("s3", file.title, action, request) { $0.isSuccess }
        }
        _ = try await send(signed(.delete, key, "uploadId=\(id)", as: other))
    }

    private func version(of file: ProbeFile) async -> String? {
        await value(
            "select version from storage.objects where bucket_id = \(quoted(file.bucket.id)) and name = \(quoted(file.key))"
        )
    }

    private func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

    /// A request under Signature Version 4 with a user's token. Written apart from the server's own, so that a mistake there is not
    /// made twice.
    private func signed(
        _ method: HTTPMethod, _ path: String, _ query: String = "", headers: [(String, String)] = [],
        body: [UInt8] = [],
        as session: ProbeSession? = nil
    ) -> ProbeRequest {
        // "2026-01-01T12:00:00..." as "20260101T120000Z"
        let date = Timestamp.now().description.prefix(19).filter { $0 != "-" && $0 != ":" } + "Z"
        let day = String(date.prefix(8))
        let hash = Hex.encode(digest(body))
        let fields =
            (headers + [
                ("host", server.authority), ("x-amz-content-sha256", hash), ("x-amz-date", String(date)),
                ("x-amz-security-token", (session ?? mine).token.reveal()),
            ]).sorted { $0.0 < $1.0 }
        let names = fields.map(\.0).joined(separator: ";")
        let canonical = """
            \(method.rawValue)
            \(path)
            \(query)
            \(fields.map { "\($0.0):\($0.1)\n" }.joined())
            \(names)
            \(hash)
            """
        let scope = "\(day)/\(server.region)/s3/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(date)\n\(scope)\n\(Hex.encode(digest(Array(canonical.utf8))))"
        var key = Array("AWS4\(server.anonKey.reveal())".utf8)
        for part in [day, server.region, "s3", "aws4_request"] { key = HMAC.code(for: Array(part.utf8), key: key) }
        let signature = Hex.encode(HMAC.code(for: Array(text.utf8), key: key))
        var request = ProbeRequest(method, query.isEmpty ? path : "\(path)?\(query)", as: .nobody)
        for (name, value) in fields where name != "host" { request = request.with(name, value) }
        request = request.with(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=\(server.projectID)/\(scope), SignedHeaders=\(names), Signature=\(signature)")
        if method == .put || method == .post { request = request.bytes(body) }
        return request
    }
}
