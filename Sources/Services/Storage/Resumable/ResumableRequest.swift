// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// What TUS 1.0 says in header fields.
enum ResumableProtocol {
    static let version = "1.0.0"
    static let extensions = "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration"
    static let checksums = "md5,sha1,sha256,crc32"
    static let contentType = "application/offset+octet-stream"

    /// The pairs of `Upload-Metadata`: a key, and a value in base 64 that may be missing.
    ///
    /// - Throws: ``StorageError`` with `invalidRequest`.
    static func metadata(_ field: String?) throws(StorageError) -> [String: String] {
        var pairs: [String: String] = [:]
        for part in (field ?? "").split(separator: ",") {
            let words = part.trimmed.split(separator: " ", omittingEmptySubsequences: true)
            guard let key = words.first, words.count <= 2, pairs[String(key)] == nil else {
                throw .invalid("Upload-Metadata is malformed")
            }
            guard words.count == 2 else {
                pairs[String(key)] = ""
                continue
            }
            // Some clients leave the padding out.
            let text = String(words[1])
            let padded = text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
            guard let bytes = Base64.decode(padded), let value = String(validating: bytes, as: UTF8.self) else {
                throw .invalid("Upload-Metadata holds a value that is not base 64 of UTF-8")
            }
            pairs[String(key)] = value
        }
        return pairs
    }

    /// `Upload-Checksum: sha1 <base 64>`.
    static func checksum(_ field: String?) throws(StorageError) -> (ContentDigests.Algorithm, [UInt8])? {
        guard let field else { return nil }
        let words = field.split(separator: " ")
        guard words.count == 2, let algorithm = ContentDigests.Algorithm(rawValue: words[0].lowercased()),
            checksums.split(separator: ",").contains(Substring(algorithm.rawValue)),
            let sum = Base64.decode(words[1])
        else { throw .invalid("Upload-Checksum is malformed or names an algorithm that is not supported") }
        return (algorithm, sum)
    }
}

/// The name of a resumable upload in its address: base64url of bucket, key and version.
struct ResumableID: Sendable {
    let object: ObjectName
    let version: String

    init(_ object: ObjectName, version: String) {
        self.object = object
        self.version = version
    }

    /// - Throws: ``StorageError`` with `invalidUploadID`.
    init(_ text: String) throws(StorageError) {
        guard let bytes = Base64URL.decode(text), let path = String(validating: bytes, as: UTF8.self) else {
            throw StorageError(.invalidUploadID, "Invalid upload id")
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 3, let last = parts.last, UUID(last) != nil else {
            throw StorageError(.invalidUploadID, "Invalid upload id")
        }
        object = try ObjectName(bucket: String(parts[0]), key: parts[1..<(parts.count - 1)].joined(separator: "/"))
        version = String(last)
    }

    var text: String { Base64URL.encode(Array("\(object.path)/\(version)".utf8)) }
}
