// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// Header fields that a client of the S3 protocol may give an object and that its downloads carry. The raw value is the member of the
/// object's metadata.
enum ContentHeader: String, Sendable, CaseIterable {
    case encoding = "contentEncoding"
    case disposition = "contentDisposition"
    case language = "contentLanguage"
    case expires

    /// The field's name.
    var name: String {
        switch self {
        case .encoding: "Content-Encoding"
        case .disposition: "Content-Disposition"
        case .language: "Content-Language"
        case .expires: "Expires"
        }
    }

    private static let maxBytes = 1024

    /// Those of a request that writes. `aws-chunked` is how a body travels, and no part of what it is.
    ///
    /// - Throws: ``StorageError`` with `invalidRequest` for one that is too long.
    static func read(_ headers: HTTPHeaders) throws(StorageError) -> [ContentHeader: String] {
        var found: [ContentHeader: String] = [:]
        for header in allCases {
            guard var value = headers[header.name] else { continue }
            guard value.utf8.count <= maxBytes else { throw .invalid("\(header.name) is too long") }
            if header == .encoding {
                value = value.split(separator: ",").map { String($0.trimmed) }
                    .filter { $0.lowercased() != "aws-chunked" }.joined(separator: ",")
            }
            if !value.isEmpty { found[header] = value }
        }
        return found
    }

    /// Those of an object's metadata, or of the journal of uploads.
    static func read(_ metadata: JSON?) -> [ContentHeader: String] {
        var found: [ContentHeader: String] = [:]
        for header in allCases {
            if let value = metadata?[header.rawValue]?.stringValue, !value.isEmpty { found[header] = value }
        }
        return found
    }
}
