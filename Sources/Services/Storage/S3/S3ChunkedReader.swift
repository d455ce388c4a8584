// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// Takes a body in `aws-chunked` form apart as its bytes come: chunks with or without a signature each, and the fields behind
/// the last one. No I/O.
struct S3ChunkedReader: ~Copyable {
    /// How signatures of chunks follow from each other.
    struct Chain: Sendable {
        var key: [UInt8]
        var date: String
        var scope: String
        /// Of what came before.
        var previous: String
    }

    private enum State {
        case head, data(remaining: Int), dataEnd, trailer, done
    }

    private var state = State.head
    private var buffer: [UInt8] = []
    private var chain: Chain?
    private var claimed = ""
    private var sum: IncrementalDigest
    private let hasTrailer: Bool
    /// The fields behind the last chunk, names in lower case.
    private(set) var trailer: [String: String] = [:]

    private static let maxLineBytes = 4096
    private static let emptyHash = Hex.encode(digest([]))

    /// - Parameter chain: nil when chunks are not signed.
    init(_ chain: Chain?, hasTrailer: Bool) throws(CryptographyError) {
        self.chain = chain
        self.hasTrailer = hasTrailer
        sum = try IncrementalDigest()
    }

    var isDone: Bool {
        switch state {
        case .done: true
        default: false
        }
    }

    /// - Returns: the content in these bytes.
    /// - Throws: ``StorageError`` when the form is broken or a signature does not match.
    mutating func feed(_ bytes: [UInt8]) throws -> [UInt8] {
        buffer.append(contentsOf: bytes)
        var content: [UInt8] = []
        var position = 0
        loop: while true {
            switch state {
            case .head:
                guard let line = line(at: &position) else { break loop }
                try readHead(line)
            case .data(let remaining):
                let count = min(remaining, buffer.count - position)
                guard count > 0 else { break loop }
                let piece = buffer[position..<(position + count)]
                if chain != nil { piece.withUnsafeBytes { sum.update($0) } }
                content.append(contentsOf: piece)
                position += count
                state = remaining == count ? .dataEnd : .data(remaining: remaining - count)
            case .dataEnd:
                guard buffer.count - position >= 2 else { break loop }
                guard buffer[position] == 13, buffer[position + 1] == 10 else { throw Self.malformed }
                position += 2
                try endChunk()
                state = .head
            case .trailer:
                guard let line = line(at: &position) else { break loop }
                try readTrailer(line)
            case .done: break loop
            }
        }
        buffer.removeFirst(position)
        guard buffer.count <= Self.maxLineBytes else { throw Self.malformed }
        return content
    }

    private static var malformed: StorageError { StorageError(.incompleteBody, "The chunked body is malformed") }

    private func line(at position: inout Int) -> String? {
        guard let end = buffer[position...].firstIndex(of: 10), end > position, buffer[end - 1] == 13 else {
            return nil
        }
        defer { position = end + 1 }
        return String(decoding: buffer[position..<(end - 1)], as: UTF8.self)
    }

    private mutating func readHead(_ line: String) throws {
        let parts = line.split(separator: ";", maxSplits: 1)
        guard let digits = parts.first, digits.utf8.count <= 12, let size = Int(digits, radix: 16), size >= 0 else {
            throw Self.malformed
        }
        if chain != nil {
            guard parts.count == 2, parts[1].hasPrefix("chunk-signature=") else { throw Self.malformed }
            claimed = String(parts[1].dropFirst("chunk-signature=".count))
        }
        if size > 0 {
            state = .data(remaining: size)
        } else {
            try endChunk()
            state = .trailer
        }
    }

    private mutating func endChunk() throws {
        guard chain != nil else { return }
        var finished = try IncrementalDigest()
        swap(&finished, &sum)
        try check(claimed, "AWS4-HMAC-SHA256-PAYLOAD", "\(Self.emptyHash)\n\(Hex.encode(finished.finish()))")
    }

    private mutating func check(_ claim: String, _ kind: String, _ hashes: String) throws {
        guard var chain else { return }
        let text = "\(kind)\n\(chain.date)\n\(chain.scope)\n\(chain.previous)\n\(hashes)"
        let expected = Hex.encode(HMAC.code(for: Array(text.utf8), key: chain.key))
        guard constantTimeEquals(Array(expected.utf8), Array(claim.utf8)) else {
            throw StorageError(.signatureDoesNotMatch, "The signature of a chunk does not match")
        }
        chain.previous = expected
        self.chain = chain
    }

    /// The fields end with an empty line; without any, the last chunk's own empty line is all that comes.
    private mutating func readTrailer(_ line: String) throws {
        guard line.isEmpty else {
            guard hasTrailer, trailer.count < 16, let colon = line.firstIndex(of: ":") else { throw Self.malformed }
            let name = line[..<colon].lowercased()
            trailer[name] = String(line[line.index(after: colon)...].trimmed)
            return
        }
        state = .done
        guard chain != nil, hasTrailer else { return }
        guard let claim = trailer.removeValue(forKey: "x-amz-trailer-signature") else {
            throw StorageError(.signatureDoesNotMatch, "The trailer is not signed")
        }
        let fields = trailer.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)\n" }.joined()
        try check(claim, "AWS4-HMAC-SHA256-TRAILER", Hex.encode(digest(Array(fields.utf8))))
    }
}
