// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension StorageService {
    func registerAddresses(on router: inout Router) {
        let maxBytes = configuration.maxBodyBytes
        let object = "\(Self.prefix)/object"
        router.on(.post, "\(object)/sign/:bucket/*key", maxBodyBytes: maxBytes, signObject)
        router.on(.post, "\(object)/sign/:bucket", maxBodyBytes: maxBytes, signObjects)
        router.on(.post, "\(object)/upload/sign/:bucket/*key", maxBodyBytes: maxBytes, signUpload)
    }

    private func signObject(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let object = try object(request)
        let body = try await body(request)
        let lifetime = try lifetime(body)
        _ = try await facts(object, .principal(principal), .signObject, request)
        var address = SignedAddress(object.path, .download)
        // Where images are not rendered, the address is that of the object as it is.
        if let limits = configuration.images, let transform = body["transform"], !transform.isNull {
            guard let members = transform.objectValue else { throw StorageError.invalid("transform must be an object") }
            _ = try ImageTransform(transform, maxSide: limits.maxSide)
            if !members.isEmpty { address.transform = transform }
        }
        let token = try address.token(with: addresses, lifetime: lifetime)
        let route = address.transform == nil ? "object/sign" : "render/image/sign"
        return .json(["signedURL": .string("/\(route)/\(Self.pathText(object.path))?token=\(token)")])
    }

    private func signObjects(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let bucket = try bucketName(request)
        let body = try await body(request)
        let lifetime = try lifetime(body)
        guard let paths = body["paths"]?.arrayValue?.compactMap(\.stringValue),
            paths.count == body["paths"]?.arrayValue?.count,
            (1...configuration.maxNamesPerRequest).contains(paths.count)
        else { throw StorageError.invalid("paths must be an array of 1 to \(configuration.maxNamesPerRequest) texts") }
        let results = try await run(
            [
                """
                select o.name from storage.objects as o
                where o.bucket_id = \(bucket) and o.name = any (\(paths.filter { !$0.utf8.contains(0) })::text[])
                """
            ], as: principal, .signObjects, request)
        let visible = Set(results[0].rows.compactMap { $0[0].string.map { Array($0.utf8) } })
        let answers: [JSON] = try paths.map { path in
            guard visible.contains(Array(path.utf8)) else {
                return [
                    "error": "Either the object does not exist or you do not have access to it",
                    "path": .string(path), "signedURL": nil,
                ]
            }
            let token = try SignedAddress("\(bucket)/\(path)", .download).token(with: addresses, lifetime: lifetime)
            return [
                "error": nil, "path": .string(path),
                "signedURL": .string("/object/sign/\(Self.pathText("\(bucket)/\(path)"))?token=\(token)"),
            ]
        }
        return .json(.array(answers))
    }

    private func signUpload(_ request: HTTPRequest) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        let object = try object(request)
        let replaces = request.headers["x-upsert"]?.lowercased() == "true"
        let metadata = try userMetadata(request)
        let results = try await run(
            [
                "select from storage.bucket_facts(\(object.bucket))",
                """
                select storage.try_object(
                    \(object.bucket), \(object.key), \(principal.subject), null, \(metadata)::jsonb,
                    \(replaces)::boolean)
                """,
            ], as: principal, .signUpload, request)
        guard results[0].rowCount == 1 else { throw StorageError.noSuchBucket }
        var address = SignedAddress(object.path, .upload)
        address.owner = principal.subject
        address.tenant = principal.tenantID?.description
        address.replaces = replaces
        let token = try address.token(with: addresses, lifetime: configuration.signedUploadLifetime)
        return .json([
            "url": .string("/object/upload/sign/\(Self.pathText(object.path))?token=\(token)"),
            "token": .string(token),
        ])
    }

    /// `expiresIn`, in seconds; Python's client sends it as a text.
    private func lifetime(_ body: JSONObject) throws(StorageError) -> Duration {
        guard let value = body["expiresIn"] else { throw .missing("expiresIn") }
        let seconds = value.intValue ?? value.stringValue.flatMap { Int($0) }
        guard let seconds, seconds >= 1, .seconds(seconds) <= configuration.maxSignedLifetime else {
            throw .invalid("expiresIn must be a number of seconds, at least 1")
        }
        return .seconds(seconds)
    }

    /// Clients encode the path themselves, all but what would end it.
    private static func pathText(_ path: String) -> String {
        path.contains("?")
            ? path.split(separator: "?", omittingEmptySubsequences: false).joined(separator: "%3F") : path
    }
}
