// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import Platform
internal import Primitives

/// A request of the S3 protocol whose signature holds.
struct S3Call {
    let caller: Caller
    let query: FormFields
    let payload: S3Payload
    /// Of chunks that are signed one by one.
    let chain: S3ChunkedReader.Chain?

    var request: HTTPRequest { caller.request }
    func has(_ name: String) -> Bool { query.all.contains { $0.name == name } }

    /// The same call under the name of what it turned out to be.
    func named(_ operation: StorageOperation) -> S3Call {
        var caller = caller
        caller.operation = operation
        return S3Call(caller: caller, query: query, payload: payload, chain: chain)
    }
}

/// The S3 protocol at `/s3`, path style.
///
/// The project's key pair has full rights, as the service key has. With the project's name as access key, the `anon` key as
/// secret and a user's token as session token, row level security applies as everywhere else.
extension StorageService {
    func registerS3(on router: inout Router) {
        guard let settings = configuration.s3 else { return }
        let path = "\(Self.prefix)/s3"
        let maxBytes = configuration.maxObjectBytes + (4 << 20)
        router.group(path, errors: answerS3) { router in
            func on(
                _ method: HTTPMethod, _ patterns: [String], parts: Set<String> = [], maxBodyBytes: Int? = nil,
                _ handler: @escaping @Sendable (S3Call) async throws -> HTTPResponse
            ) {
                for pattern in patterns {
                    router.on(method, pattern, maxBodyBytes: maxBodyBytes) { request in
                        let call = try authorised(request, settings)
                        try Self.refuseUnservedParts(call, serving: parts)
                        return try await handler(call)
                    }
                }
            }
            let bucket = ["\(path)/:bucket", "\(path)/:bucket/"]
            let object = ["\(path)/:bucket/*key"]
            on(.get, [path, path + "/"], s3ListBuckets)
            on(.put, bucket, maxBodyBytes: configuration.maxBodyBytes, s3CreateBucket)
            on(.head, bucket, s3HeadBucket)
            on(.delete, bucket, s3DeleteBucket)
            on(.get, bucket, parts: ["versioning"], s3GetBucket)
            for pattern in bucket {
                router.on(.post, pattern, maxBodyBytes: maxBytes) { request in
                    if request.headers["content-type"]?.lowercased().hasPrefix("multipart/form-data") == true {
                        return try await s3PostForm(request, settings)
                    }
                    let call = try authorised(request, settings)
                    try Self.refuseUnservedParts(call, serving: [])
                    return try await s3DeleteObjects(call)
                }
            }
            on(.get, object, parts: ["tagging"], s3GetObject)
            on(.head, object, s3HeadObject)
            on(.put, object, maxBodyBytes: maxBytes, s3Put)
            on(.post, object, maxBodyBytes: configuration.maxBodyBytes, s3PostObject)
            on(.delete, object, s3DeleteObject)
        }
    }

    /// Names in a query that make another call of a path and a method. Whoever does not know them would list a bucket for its policy,
    /// or delete it.
    private static let unservedParts: Set<String> = [
        "abac", "accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering",
        "inventory",
        "legal-hold", "lifecycle", "logging", "metadataConfiguration", "metadataTable", "metrics", "notification",
        "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject",
        "replication",
        "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "versioning", "versions",
        "website",
    ]

    private static func refuseUnservedParts(_ call: S3Call, serving served: Set<String>) throws(StorageError) {
        for (name, value) in call.query.all {
            // There is one version of an object, which has no name.
            let isVersion = name == "versionId" && !value.isEmpty && value != "null"
            guard isVersion || (unservedParts.contains(name) && !served.contains(name)) else { continue }
            throw StorageError(.notImplemented, "This part of the S3 protocol is not served")
        }
    }

    // MARK: Who calls

    /// Checks the signature of a request. That of a body's hash is checked when the body is read.
    private func authorised(_ request: HTTPRequest, _ settings: StorageConfiguration.S3) throws -> S3Call {
        let signature = try S3Signature(request)
        let payload = try S3Payload(request)
        try signature.checkTime(now: .now(), skew: settings.clockSkew)
        let (secret, principal) = try credential(signature, settings, request)
        let key = signature.signingKey(secret)
        guard signature.isValid(for: request, payloadHash: payload.canonicalText, key: key) else {
            throw StorageError(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided")
        }
        try signature.checkFields(of: request)
        var chain: S3ChunkedReader.Chain?
        if case .chunked(isSigned: true, _) = payload {
            chain = .init(key: key, date: signature.date, scope: signature.scope, previous: signature.signature)
        }
        return S3Call(
            caller: Caller(principal: principal(), operation: .s3GetObject, request: request),
            query: FormFields(query: request.query ?? ""), payload: payload, chain: chain)
    }

    /// The secret of an access key, and who bears it once the signature holds.
    func credential(
        _ signature: S3Signature, _ settings: StorageConfiguration.S3, _ request: HTTPRequest
    ) throws -> (secret: SecretString, principal: () -> Principal) {
        if let token = signature.sessionToken {
            guard constantTimeEquals(Array(signature.accessKeyID.utf8), Array(settings.projectName.utf8)) else {
                throw StorageError(
                    .invalidAccessKeyID, "The Access Key Id you provided does not exist in our records.")
            }
            let bearer = HTTPRequest(
                .get, "/", headers: ["Authorization": "Bearer \(token)"], id: request.id, loop: request.loop)
            let principal: Principal
            do throws(AccessError) { principal = try access.principal(for: bearer) } catch {
                guard case .invalidToken(.expired) = error else {
                    throw StorageError(.accessDenied, error.message, cause: error)
                }
                throw StorageError(.expiredToken, "The provided token has expired.", cause: error)
            }
            return (settings.anonKey, { principal })
        }
        guard constantTimeEquals(Array(signature.accessKeyID.utf8), Array(settings.accessKeyID.utf8)) else {
            throw StorageError(.invalidAccessKeyID, "The Access Key Id you provided does not exist in our records.")
        }
        return (settings.secretAccessKey, { Principal(role: .serviceRole) })
    }

    // MARK: Answers

    private func answerS3(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let error = StorageError(error)
        report(error, request)
        return error.s3Response(resource: request.path, requestID: request.id)
    }

    /// A whole body that is not an object: XML.
    func s3Document(_ call: S3Call) async throws -> S3Element {
        let bytes = try await call.request.body.collect()
        switch call.payload {
        case .hashed(let hash):
            guard Hex.encode(digest(bytes)) == hash else { throw Self.contentMismatch }
        case .unsigned: break
        case .chunked: throw StorageError(.notImplemented, "A document cannot be sent in chunks")
        }
        return try S3Element(parsing: bytes)
    }

    static var contentMismatch: StorageError {
        StorageError(
            .contentMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed")
    }
}

extension StorageError {
    /// The code by which S3 clients know it.
    private var s3Code: String {
        switch code {
        case .keyAlreadyExists: "PreconditionFailed"
        case .bucketAlreadyExists: "BucketAlreadyExists"
        case .resourceNotEmpty: "BucketNotEmpty"
        case .invalidKey: "KeyTooLongError"
        case .invalidMIMEType: "InvalidRequest"
        case .invalidParameter, .missingParameter: "InvalidArgument"
        case .malformedXML: "MalformedXML"
        case .notFound: "NoSuchKey"
        case .databaseTimeout, .lockTimeout, .databaseReadOnly, .databaseSchemaMismatch: "ServiceUnavailable"
        case .databaseError, .transactionAborted: "InternalError"
        case .invalidJWT, .invalidSignature: "AccessDenied"
        default: code.rawValue
        }
    }

    private var s3Status: HTTPStatus {
        switch code {
        case .invalidRange: .rangeNotSatisfiable
        case .keyAlreadyExists: .preconditionFailed
        case .databaseTimeout: .serviceUnavailable
        case .entityTooLarge: .badRequest
        default: status ?? code.trueStatus
        }
    }

    /// The error as an S3 client expects it.
    func s3Response(resource: String, requestID: String) -> HTTPResponse {
        var response = s3Element(resource: resource, requestID: requestID).response(s3Status)
        if s3Status == .serviceUnavailable { response.headers.append("Retry-After", "1") }
        return response
    }

    func s3Element(resource: String, requestID: String) -> S3Element {
        let code = self.code == .invalidKey && !message.contains("long") ? "InvalidArgument" : s3Code
        return S3Element(
            "Error",
            [
                S3Element("Code", code), S3Element("Message", message), S3Element("Resource", resource),
                S3Element("RequestId", requestID),
            ])
    }

    var s3Name: String { s3Code }
}
