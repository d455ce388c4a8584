// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import HTTPClient
internal import Platform
internal import Postgres
internal import Primitives

/// `DELETE /cdn`, `/cdn/{bucket}` and `/cdn/{bucket}/{key}`: forgets what was rendered and kept here, and tells the content delivery
/// network in front of this server, where there is one.
extension StorageService {
    func registerPurging(on router: inout Router) {
        let path = "\(Self.prefix)/cdn"
        for each in [path, path + "/"] { router.on(.delete, each) { try await purge($0, nil, nil) } }
        router.on(.delete, "\(path)/:bucket") { try await purge($0, try bucketName($0), nil) }
        router.on(.delete, "\(path)/:bucket/*key") { request in
            let object = try object(request)
            return try await purge(request, object.bucket, object.key)
        }
    }

    private func purge(_ request: HTTPRequest, _ bucket: String?, _ key: String?) async throws -> HTTPResponse {
        let principal = try principal(for: request)
        guard principal.role == .serviceRole else {
            throw StorageError(.accessDenied, "Access denied", status: .forbidden)
        }
        let kept = try await folder.renderedVersions()
        if !kept.isEmpty {
            let results = try await run(
                [
                    """
                    select o.version from storage.objects as o
                    where o.version = any (\(kept)::text[])
                        and (\(bucket)::text is null or o.bucket_id = \(bucket))
                        and (\(key)::text is null or o.name = \(key))
                    """
                ], as: principal, .purgeCache, request)
            try await folder.removeRendered(of: results[0].rows.compactMap { $0[0].string })
        }
        let onlyTransformed = FormFields(query: request.query ?? "").first("transformations") == "true"
        try await tellNetwork(bucket, key, onlyTransformed: onlyTransformed)
        return .json(["message": "success"])
    }

    private func tellNetwork(_ bucket: String?, _ key: String?, onlyTransformed: Bool) async throws {
        guard let purging = configuration.purging else { return }
        var body: JSONObject = ["tenant": ["ref": .string(purging.projectName)]]
        if let bucket { body["bucketId"] = .string(bucket) }
        if let key { body["objectName"] = .string(key) }
        if onlyTransformed { body["transformations"] = true }
        var headers: HTTPHeaders = ["Content-Type": "application/json"]
        if let key = purging.key { headers.append("Authorization", "Bearer \(key.reveal())") }
        var call = HTTPClientRequest(.post, purging.url, headers: headers, body: JSON.object(body).encoded())
        call.timeout = purging.timeout
        call.refusesPrivateAddresses = false
        let status: HTTPStatus
        do { status = try await client.send(call).status } catch {
            throw StorageError(.internalError, "The content delivery network could not be told", cause: error)
        }
        guard (200..<300).contains(status.code) else {
            throw StorageError(
                .internalError, "The content delivery network could not be told",
                cause: ObjectStoreError.failed("purging answered \(status.code)"))
        }
    }
}
