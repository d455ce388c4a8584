// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// Calls of the S3 protocol on single objects.
extension StorageService {
    // MARK: Reading

    func s3GetObject(_ call: S3Call) async throws -> HTTPResponse {
        let object = try object(call.request)
        if call.has("tagging") { return try await s3GetTagging(object, call) }
        if call.has("uploadId") { return try await s3ListParts(object, call.named(.s3ListParts)) }
        return try await s3Content(object, call, .s3GetObject)
    }

    func s3HeadObject(_ call: S3Call) async throws -> HTTPResponse {
        try await s3Content(try object(call.request), call, .s3HeadObject)
    }

    private func s3Content(
        _ object: ObjectName, _ call: S3Call, _ operation: StorageOperation
    ) async throws -> HTTPResponse {
        var attempts = 0
        while true {
            let facts = try await s3Facts(object, call, operation)
            var response: HTTPResponse
            do {
                response = try await content(facts, call.request.method, S3Condition.normalised(call.request.headers))
            } catch let error
                as ObjectStoreError
            {
                attempts += 1
                guard case .missing = error, attempts < 3 else { throw error }
                continue
            }
            for (name, value) in facts.userMetadata?.objectValue ?? [:] {
                guard let text = value.stringValue, text.utf8.count <= 2048,
                    name.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: ":") })
                else { continue }
                response.headers.append("x-amz-meta-\(name)", text)
            }
            for (parameter, name) in [
                ("response-content-type", "Content-Type"), ("response-content-disposition", "Content-Disposition"),
                ("response-cache-control", "Cache-Control"), ("response-content-language", "Content-Language"),
                ("response-content-encoding", "Content-Encoding"), ("response-expires", "Expires"),
            ] {
                if let value = call.query.first(parameter) { response.headers.set(name, value) }
            }
            response.headers.append("X-Content-Type-Options", "nosniff")
            response.headers.append("Content-Security-Policy", "default-src 'none'; sandbox")
            return response
        }
    }

    /// As the caller; a public bucket is no exception here, as every call is signed.
    private func s3Facts(
        _ object: ObjectName, _ call: S3Call, _ operation: StorageOperation
    ) async throws -> ObjectFacts {
        try await facts(object, .principal(call.caller.principal), operation, call.request)
    }

    private func s3GetTagging(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        _ = try await s3Facts(object, call, .s3GetTagging)
        return S3Element("Tagging", [S3Element("TagSet", "")]).response()
    }

    // MARK: Writing

    func s3Put(_ call: S3Call) async throws -> HTTPResponse {
        let object = try object(call.request)
        if call.has("uploadId") {
            return call.request.headers.contains("x-amz-copy-source")
                ? try await s3UploadPartCopy(object, call.named(.s3UploadPartCopy))
                : try await s3UploadPart(object, call.named(.s3UploadPart))
        }
        if call.request.headers.contains("x-amz-copy-source") {
            return try await s3CopyObject(object, call.named(.s3CopyObject))
        }
        return try await s3PutObject(object, call.named(.s3Upload))
    }

    /// What the fields of a call say about the object it writes.
    func s3Intent(_ object: ObjectName, _ call: S3Call, byteCount: Int?) throws -> UploadIntent {
        let request = call.request
        let type = request.headers["content-type"].flatMap { $0.isEmpty ? nil : $0 } ?? MIMEType.unknown
        guard MIMEType.isValid(type) else { throw StorageError.invalidMIMEType(type) }
        try refuseUnservedFields(request)
        let condition = try S3Condition(request.headers)
        var intent = UploadIntent(
            object: object, ownerID: call.caller.principal.subject, replaces: condition.mayReplace, contentType: type,
            cacheControl: UploadIntent.cacheControl(request.headers["cache-control"]),
            userMetadata: try s3UserMetadata(request), byteCount: byteCount)
        intent.contentHeaders = try ContentHeader.read(request.headers)
        intent.expectedTag = condition.expectedTag
        return intent
    }

    /// What would be a promise that is not kept: encryption with the client's own key, locks, tags.
    private func refuseUnservedFields(_ request: HTTPRequest) throws {
        for field in request.headers.fields {
            let name = field.name.lowercased()
            guard
                name == "x-amz-tagging" || name.hasPrefix("x-amz-object-lock-")
                    || name.hasPrefix("x-amz-server-side-encryption-customer-")
            else { continue }
            throw StorageError(.notImplemented, "\(name) is not served")
        }
    }

    /// Asks before anything is taken, so that a condition that does not hold costs no body. The commit asks once more.
    func s3Check(_ condition: S3Condition, _ object: ObjectName, _ call: S3Call) async throws {
        guard !condition.isNone else { return }
        var tag: String??
        do { tag = .some(try await s3Facts(object, call, call.caller.operation).entityTag) } catch {
            guard (error as? StorageError)?.code == .noSuchKey else { throw error }
        }
        try condition.check(tag)
    }

    private func s3UserMetadata(_ request: HTTPRequest) throws -> JSON? {
        var members = JSONObject()
        var byteCount = 0
        for field in request.headers.fields {
            let name = field.name.lowercased()
            guard name.hasPrefix("x-amz-meta-") else { continue }
            byteCount += name.utf8.count + field.value.utf8.count
            members[String(name.dropFirst("x-amz-meta-".count))] = .string(field.value)
        }
        guard byteCount <= configuration.maxUserMetadataBytes else {
            throw StorageError(.entityTooLarge, "Your metadata headers exceed the maximum allowed metadata size")
        }
        return members.isEmpty ? nil : .object(members)
    }

    private func s3PutObject(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let body = try S3Body(call)
        guard body.byteCount != nil else {
            throw StorageError(.missingContentLength, "You must provide the Content-Length HTTP header.")
        }
        var intent = try s3Intent(object, call, byteCount: body.byteCount)
        intent.digests = body.digests
        try await s3Check(S3Condition(call.request.headers), object, call)
        let stored = try await receive(
            intent, for: call.caller, next: { try await body.next() }, check: { try body.check($0.digests) })
        var response = HTTPResponse(.ok, headers: ["ETag": "\"\(stored.entityTag)\""])
        if let checksum = body.checksum { response.headers.append(checksum.name, checksum.value) }
        return response
    }

    /// `bucket/key`, with or without a slash in front.
    func s3CopySource(_ call: S3Call) throws -> ObjectName {
        guard let field = call.request.headers["x-amz-copy-source"],
            let text = percentDecode(String(field.prefix { $0 != "?" })), !text.isEmpty
        else { throw StorageError(.invalidParameter, "Copy Source must mention the source bucket and key") }
        let path = text.hasPrefix("/") ? text.dropFirst() : text[...]
        let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        return try ObjectName(bucket: parts.first.map(String.init), key: parts.count == 2 ? String(parts[1]) : nil)
    }

    private func s3CopyObject(_ object: ObjectName, _ call: S3Call) async throws -> HTTPResponse {
        let source = try s3CopySource(call)
        let request = call.request
        let replacesMetadata = request.headers["x-amz-metadata-directive"]?.uppercased() == "REPLACE"
        guard source != object || replacesMetadata else {
            throw StorageError(.invalidRequest, "This copy request changes nothing")
        }
        try refuseUnservedFields(request)
        let condition = try S3Condition(request.headers)
        try await s3Check(condition, object, call)
        var change = CopyChange(replaces: condition.mayReplace)
        change.expectedTag = condition.expectedTag
        if replacesMetadata {
            change.contentHeaders = try ContentHeader.read(request.headers)
            change.contentType = request.headers["content-type"]
            change.cacheControl = request.headers["cache-control"].map { UploadIntent.cacheControl($0) }
            change.copiesUserMetadata = false
            change.userMetadata = try s3UserMetadata(request)
        }
        let stored = try await s3Copy(source, to: object, change, call)
        return S3Element(
            "CopyObjectResult",
            [
                S3Element("ETag", "\"\(stored.entityTag)\""),
                S3Element("LastModified", stored.modifiedAt.description),
            ]
        ).response()
    }

    /// Copies the very version of the source that the call's conditions were checked against.
    private func s3Copy(
        _ source: ObjectName, to object: ObjectName, _ change: CopyChange, _ call: S3Call
    ) async throws -> StoredObject {
        guard S3Condition.hasSourceCondition(call.request.headers) else {
            return try await copy(source, to: object, change, for: call.caller)
        }
        var attempts = 0
        while true {
            let facts = try await s3Facts(source, call, .s3CopyObject)
            try S3Condition.checkSource(call.request.headers, facts.representation)
            var change = change
            change.sourceVersion = facts.version
            do { return try await copy(source, to: object, change, for: call.caller) } catch {
                // Replaced in between: the conditions are for the new one.
                attempts += 1
                guard (error as? StorageError)?.code == .transactionError, attempts < 4 else { throw error }
            }
        }
    }

    // MARK: Deleting

    func s3DeleteObject(_ call: S3Call) async throws -> HTTPResponse {
        let object = try object(call.request)
        if call.has("uploadId") { return try await s3AbortUpload(object, call.named(.s3AbortMultipart)) }
        let condition = try S3Condition(call.request.headers)
        let results = try await run(
            [
                "select from storage.bucket_facts(\(object.bucket))",
                """
                delete from storage.objects
                where bucket_id = \(object.bucket) and name = \(object.key)
                    and (\(condition.expectedTag)::text is null
                        or \(condition.expectedTag) in ('*', trim(both '"' from metadata ->> 'eTag')))
                returning version
                """,
                """
                select metadata ->> 'eTag' as etag from storage.objects
                where bucket_id = \(object.bucket) and name = \(object.key)
                """,
            ], as: call.caller.principal, .s3DeleteObject, call.request, allowsDeletes: true)
        guard results[0].rowCount == 1 else { throw StorageError.noSuchBucket }
        if condition.expectedTag != nil, results[1].rowCount == 0 {
            guard let row = results[2].onlyRow else { throw S3Condition.failed }
            try condition.check(.some(row["etag"].string))
        }
        guard results[2].rowCount == 0 else { throw StorageError(.accessDenied, "Access Denied") }
        await maintenance.removeFiles(of: results[1].rows.compactMap { $0[0].string })
        return .empty()
    }

    // MARK: A form

    /// An upload by a web page's form, whose policy somebody with a key has signed.
    func s3PostForm(_ request: HTTPRequest, _ settings: StorageConfiguration.S3) async throws -> HTTPResponse {
        let bucket = try bucketName(request)
        var body = try await UploadBody(request)
        let fields = Dictionary(
            body.fields.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { first, _ in first })
        guard let encoded = fields["policy"], let bytes = Base64.decode(encoded),
            let document = try? JSON(parsing: bytes)
        else { throw StorageError(.accessDenied, "The form has no policy") }
        let signature = try S3Signature(form: fields)
        let (secret, principal) = try credential(signature, settings, request)
        guard signature.isValid(Array(encoded.utf8), key: signature.signingKey(secret)) else {
            throw StorageError(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided")
        }
        let policy = try S3Policy(document, now: .now())
        try policy.check(fields, bucket: bucket)
        let key = (fields["key"] ?? "").replacing("${filename}", with: body.fileName ?? "")
        let object = try ObjectName(bucket: bucket, key: key)
        let type = fields["content-type"] ?? body.contentType ?? MIMEType.unknown
        guard MIMEType.isValid(type) else { throw StorageError.invalidMIMEType(type) }
        let caller = Caller(principal: principal(), operation: .s3Upload, request: request)
        let intent = UploadIntent(
            object: object, ownerID: caller.principal.subject, replaces: true, contentType: type,
            cacheControl: UploadIntent.cacheControl(fields["cache-control"]))
        let stored = try await receive(
            intent, for: caller, next: { try await body.next() },
            check: { file in
                guard file.byteCount <= policy.sizes.upperBound else { throw StorageError.tooLarge }
                guard file.byteCount >= policy.sizes.lowerBound else {
                    throw StorageError(
                        .entityTooSmall, "Your proposed upload is smaller than the minimum allowed size")
                }
            })
        let tag = "\"\(stored.entityTag)\""
        if fields["success_action_status"] == "201" {
            return S3Element(
                "PostResponse",
                [
                    S3Element("Location", "\(configuration.publicURL)/s3/\(object.path)"),
                    S3Element("Bucket", bucket), S3Element("Key", key), S3Element("ETag", tag),
                ]
            ).response(.created)
        }
        return HTTPResponse(fields["success_action_status"] == "200" ? .ok : .noContent, headers: ["ETag": tag])
    }
}

/// What a signed policy allows a form to upload.
struct S3Policy: Sendable {
    private(set) var sizes: ClosedRange<Int> = 0...Int.max
    private var conditions: [(match: String, name: String, value: String)] = []

    /// - Throws: ``StorageError`` when it is malformed or has ended.
    init(_ document: JSON, now: Timestamp) throws(StorageError) {
        guard let end = document["expiration"]?.stringValue.flatMap({ Timestamp($0) }),
            let list = document["conditions"]?.arrayValue
        else { throw StorageError(.accessDenied, "The policy is malformed") }
        guard now <= end else { throw StorageError(.accessDenied, "Invalid according to Policy: Policy expired.") }
        for condition in list {
            if let members = condition.objectValue {
                for (name, value) in members { conditions.append(("eq", name, value.stringValue ?? "")) }
            } else if let parts = condition.arrayValue, parts.count == 3 {
                if parts[0].stringValue?.lowercased() == "content-length-range" {
                    guard let low = parts[1].intValue, let high = parts[2].intValue, low <= high else {
                        throw StorageError(.accessDenied, "The policy is malformed")
                    }
                    sizes = low...high
                } else if let match = parts[0].stringValue?.lowercased(), ["eq", "starts-with"].contains(match),
                    let name = parts[1].stringValue, name.hasPrefix("$"), let value = parts[2].stringValue
                {
                    conditions.append((match, String(name.dropFirst()), value))
                } else {
                    throw StorageError(.accessDenied, "The policy is malformed")
                }
            } else {
                throw StorageError(.accessDenied, "The policy is malformed")
            }
        }
    }

    /// Every condition must hold, and every field must have one.
    func check(_ fields: [String: String], bucket: String) throws(StorageError) {
        for condition in conditions {
            let name = condition.name.lowercased()
            let value = name == "bucket" ? bucket : fields[name] ?? ""
            let holds = condition.match == "eq" ? value == condition.value : value.hasPrefix(condition.value)
            guard holds else {
                throw StorageError(.accessDenied, "Invalid according to Policy: Policy Condition failed: \(name)")
            }
        }
        let named = Set(conditions.map { $0.name.lowercased() })
        for name in fields.keys
        where !named.contains(name) && !["policy", "x-amz-signature", "file"].contains(name)
            && !name.hasPrefix("x-ignore-")
        {
            throw StorageError(
                .accessDenied, "Invalid according to Policy: Extra input fields: \(name.prefix(100))")
        }
    }
}
