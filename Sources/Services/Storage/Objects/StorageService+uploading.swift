// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Primitives

extension StorageService {
    func registerUploads(on router: inout Router) {
        let path = "\(Self.prefix)/object/:bucket/*key"
        // The bucket's limit decides, and the database knows it; a form is a little longer than its file.
        let maxBytes = configuration.maxObjectBytes + (4 << 20)
        router.on(.post, path, maxBodyBytes: maxBytes) { request in
            let replaces = request.headers["x-upsert"]?.lowercased() == "true"
            return try await upload(request, replaces: replaces, .uploadObject)
        }
        router.on(.put, path, maxBodyBytes: maxBytes) { request in
            try await upload(request, replaces: true, .updateObject)
        }
        router.on(.put, "\(Self.prefix)/object/upload/sign/:bucket/*key", maxBodyBytes: maxBytes, uploadToAddress)
    }

    private func upload(
        _ request: HTTPRequest, replaces: Bool, _ operation: StorageOperation
    ) async throws -> HTTPResponse {
        let caller = Caller(principal: try principal(for: request), operation: operation, request: request)
        let object = try object(request)
        let stored = try await receive(
            object, ownerID: caller.principal.subject, replaces: replaces, for: caller, try await UploadBody(request))
        return .json(["Id": .string(stored.id), "Key": .string(object.path)])
    }

    private func uploadToAddress(_ request: HTTPRequest) async throws -> HTTPResponse {
        let object = try object(request)
        guard let token = FormFields(query: request.query ?? "").first("token") else {
            throw StorageError.missing("token")
        }
        let address = try SignedAddress(verifying: token, with: addresses, for: .upload)
        guard address.path == object.path else {
            throw StorageError(.invalidSignature, "The url do not match the signature")
        }
        let caller = Caller(
            principal: Principal(holderOfAddressSignedBy: address.owner, tenant: address.tenant),
            operation: .uploadSigned, request: request)
        _ = try await receive(
            object, ownerID: address.owner, replaces: address.replaces, for: caller, try await UploadBody(request))
        return .json(["Key": .string(object.path)])
    }

    /// Writes what a request's body holds.
    private func receive(
        _ object: ObjectName, ownerID: String?, replaces: Bool, for caller: Caller, _ body: UploadBody
    ) async throws -> StoredObject {
        var body = body
        var intent = UploadIntent(
            object: object, ownerID: ownerID, replaces: replaces, contentType: MIMEType.unknown,
            cacheControl: UploadIntent.cacheControl(nil), byteCount: body.announcedByteCount)
        try describe(&intent, body, caller.request)
        let type = intent.contentType
        return try await receive(intent, for: caller) {
            try await body.next()
        } amend: { intent in
            // A form may say more behind its file; the type was checked and stays.
            var amended = intent
            try describe(&amended, body, caller.request)
            amended.contentType = type
            return amended
        }
    }

    /// What the request's fields and its form say about the object.
    private func describe(_ intent: inout UploadIntent, _ body: UploadBody, _ request: HTTPRequest) throws {
        let type = body.fields["contentType"].flatMap { $0.isEmpty ? nil : $0 } ?? body.contentType ?? MIMEType.unknown
        guard MIMEType.isValid(type) else { throw StorageError.invalidMIMEType(type) }
        intent.contentType = type
        intent.cacheControl = UploadIntent.cacheControl(body.fields["cacheControl"] ?? request.headers["cache-control"])
        if let tag = request.headers["x-robots-tag"], tag.utf8.count <= 1024 { intent.robotsTag = tag }
        if let text = body.fields["metadata"] ?? body.fields["userMetadata"], !text.isEmpty {
            intent.userMetadata = try userMetadata(Array(text.utf8))
        } else {
            intent.userMetadata = try userMetadata(request)
        }
    }

    /// The header `x-metadata`: JSON in base 64.
    func userMetadata(_ request: HTTPRequest) throws -> JSON? {
        guard let header = request.headers["x-metadata"] else { return nil }
        guard let bytes = Base64.decode(header) else { throw StorageError.invalid("x-metadata is not base 64") }
        return try userMetadata(bytes)
    }

    func userMetadata(_ bytes: [UInt8]) throws(StorageError) -> JSON {
        guard bytes.count <= configuration.maxUserMetadataBytes else {
            throw StorageError(.entityTooLarge, "The metadata exceeded the maximum allowed size")
        }
        guard let value = try? JSON(parsing: bytes, maxDepth: 64), value.objectValue != nil else {
            throw .invalid("The metadata is not a JSON object")
        }
        return value
    }
}
