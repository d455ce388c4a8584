// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

/// The content of an S3 request's body, freed from its chunks, and the sums its client sent along.
final class S3Body {
    /// The content's length as the client announced it.
    let byteCount: Int?
    /// Sums to compute while the content passes.
    let digests: Set<ContentDigests.Algorithm>
    private var chunks: RequestBody.Chunks
    private var reader: S3ChunkedReader?
    private var expected: [(algorithm: ContentDigests.Algorithm, sum: [UInt8])] = []
    private let trailing: ContentDigests.Algorithm?
    private var payloadHash: [UInt8]?
    /// The sum in a field of the response.
    private(set) var checksum: (name: String, value: String)?

    private static let prefix = "x-amz-checksum-"

    init(_ call: S3Call) throws {
        let request = call.request
        chunks = request.body.chunks()
        var digests: Set<ContentDigests.Algorithm> = []
        var trailing: ContentDigests.Algorithm?
        switch call.payload {
        case .hashed(let hash):
            digests.insert(.sha256)
            payloadHash = Hex.decode(hash)
            byteCount = request.body.announcedByteCount
        case .unsigned:
            byteCount = request.body.announcedByteCount
        case .chunked(_, let hasTrailer):
            reader = try S3ChunkedReader(call.chain, hasTrailer: hasTrailer)
            guard let length = request.headers["x-amz-decoded-content-length"].flatMap({ Int($0) }), length >= 0 else {
                throw StorageError(.missingContentLength, "You must provide the Content-Length HTTP header.")
            }
            byteCount = length
            if let name = request.headers["x-amz-trailer"]?.lowercased(), name.hasPrefix(Self.prefix) {
                trailing = ContentDigests.Algorithm(rawValue: String(name.dropFirst(Self.prefix.count)))
            }
        }
        if let text = request.headers["content-md5"] {
            guard let sum = Base64.decode(text), sum.count == 16 else {
                throw StorageError(.invalidParameter, "The Content-MD5 you specified is not valid")
            }
            expected.append((.md5, sum))
        }
        for algorithm in ContentDigests.Algorithm.allCases {
            guard let text = request.headers[Self.prefix + algorithm.rawValue] else { continue }
            guard let sum = Base64.decode(text) else {
                throw StorageError(.invalidRequest, "Value for \(Self.prefix)\(algorithm.rawValue) header is invalid.")
            }
            digests.insert(algorithm)
            expected.append((algorithm, sum))
            checksum = (Self.prefix + algorithm.rawValue, text)
        }
        if let trailing { digests.insert(trailing) }
        self.trailing = trailing
        self.digests = digests
    }

    /// The content's next bytes; nil at its end.
    func next() async throws -> [UInt8]? {
        guard reader != nil else { return try await chunks.next() }
        while true {
            guard let bytes = try await chunks.next() else {
                guard reader?.isDone == true else {
                    throw StorageError(.incompleteBody, "The request body terminated unexpectedly")
                }
                return nil
            }
            if let content = try reader?.feed(bytes), !content.isEmpty { return content }
        }
    }

    /// Compares the sums once all is there.
    ///
    /// - Throws: ``StorageError`` when one does not match.
    func check(_ digests: ContentDigests) throws(StorageError) {
        for (algorithm, sum) in expected where digests.sum(algorithm) != sum {
            throw StorageError(.badDigest, "The \(algorithm.rawValue) you specified did not match what we received")
        }
        if let payloadHash, digests.sum(.sha256) != payloadHash { throw StorageService.contentMismatch }
        guard let trailing else { return }
        let name = Self.prefix + trailing.rawValue
        let sum = Base64.encode(digests.sum(trailing))
        guard reader?.trailer[name] == sum else {
            throw StorageError(.badDigest, "The \(trailing.rawValue) you specified did not match what we received")
        }
        checksum = (name, sum)
    }
}
