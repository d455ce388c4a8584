// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Primitives

/// What a request says about a bucket. An outer nil is a member that is not there, an inner one a null.
struct BucketSettings: Sendable {
    var isPublic: Bool?
    var maxBytes: Int??
    var allowedTypes: [String]??

    init() {}

    /// - Throws: ``StorageError`` for members of the wrong kind.
    init(_ body: JSONObject) throws(StorageError) {
        if let value = body["public"], !value.isNull {
            guard let flag = value.boolValue else { throw .invalid("public must be true or false") }
            isPublic = flag
        }
        if let value = body["type"], !value.isNull {
            guard let text = value.stringValue, ["STANDARD", "ANALYTICS"].contains(text) else {
                throw .invalid("type must be STANDARD or ANALYTICS")
            }
            guard text == "STANDARD" else {
                throw StorageError(
                    .featureNotEnabled, "The feature analytics buckets is not enabled for this resource")
            }
        }
        if let value = body["file_size_limit"] { maxBytes = .some(try Self.size(value)) }
        if let value = body["allowed_mime_types"] { allowedTypes = .some(try Self.types(value)) }
    }

    var changesSomething: Bool { isPublic != nil || maxBytes != nil || allowedTypes != nil }

    /// A number of bytes, or a text such as `20MB`.
    private static func size(_ value: JSON) throws(StorageError) -> Int? {
        if value.isNull { return nil }
        let bytes = value.stringValue.map { ByteSize.parse($0) } ?? value.intValue
        guard let bytes, bytes >= 0 else {
            throw .invalid("Invalid file size format, hint: use 20GB / 20MB / 30KB / 3B")
        }
        return bytes
    }

    private static func types(_ value: JSON) throws(StorageError) -> [String]? {
        if value.isNull { return nil }
        let types = value.arrayValue?.compactMap(\.stringValue)
        guard let types, types.count == value.arrayValue?.count, types.count <= 1000 else {
            throw .invalid("allowed_mime_types must be an array of texts")
        }
        for type in types where !MIMEType.isPattern(type) { throw .invalidMIMEType(type) }
        return types.map { $0.lowercased() }
    }
}
