// SPDX-License-Identifier: Apache-2.0

/// The name of an object in its bucket. It is data and nothing else: files have names of the server's own.
struct ObjectName: Sendable, Hashable {
    /// As of Amazon S3.
    static let maxBytes = 1024

    let bucket: String
    let key: String

    /// - Throws: ``StorageError`` with `invalidBucketName` or `invalidKey` for whatever clients of Storage may not use.
    init(bucket: String?, key: String?) throws(StorageError) {
        guard let bucket, BucketName.isValid(bucket) else {
            throw StorageError(.invalidBucketName, "Bucket name invalid")
        }
        guard let key, !key.isEmpty, key.utf8.count <= Self.maxBytes,
            key.utf8.allSatisfy({ BucketName.isNameByte($0) || $0 == UInt8(ascii: "/") })
        else { throw .invalidKey(key ?? "") }
        self.bucket = bucket
        self.key = key
    }

    /// `bucket/key`.
    var path: String { "\(bucket)/\(key)" }

    /// Stands for a folder that has nothing in it yet.
    var isFolderPlaceholder: Bool { key.hasSuffix(".emptyFolderPlaceholder") }
}

/// What buckets may be called.
enum BucketName {
    static let maxBytes = 100

    static func isValid(_ name: String) -> Bool {
        (1...maxBytes).contains(name.utf8.count) && name.utf8.allSatisfy(isNameByte)
    }

    /// Whether a new bucket may have this name.
    static func isValidForNew(_ name: String) -> Bool {
        isValid(name) && !name.hasSuffix("--table-s3") && name.first != " " && name.last != " "
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "_!-.*'()&$@=;:+,? ".utf8.contains(byte)
        }
    }
}
