// SPDX-License-Identifier: Apache-2.0

/// A request's body, which a handler reads at its own pace: what it does not read stays with the client (TCP's window is
/// the back-pressure).
package struct RequestBody: Sendable {
    private enum Source: Sendable {
        case bytes([UInt8])
        case stream(any RequestBodyStream)
    }
    private let source: Source
    /// The most bytes ``collect(upTo:)`` takes when it is not told: the route's limit.
    package let maxBytes: Int

    /// A body that is here already.
    package init(bytes: [UInt8], maxBytes: Int = .max) {
        source = .bytes(bytes)
        self.maxBytes = maxBytes
    }

    init(stream: any RequestBodyStream, maxBytes: Int) {
        source = .stream(stream)
        self.maxBytes = maxBytes
    }

    /// The length the client announced, in bytes; nil for a chunked body.
    package var announcedByteCount: Int? {
        switch source {
        case .bytes(let bytes): bytes.count
        case .stream(let stream): stream.announcedByteCount
        }
    }

    /// The whole body.
    ///
    /// - Parameter maxBytes: the most to take; the route's limit when nil.
    /// - Throws: ``HTTPError`` 413 when the body is larger, 400 when its framing is broken or it ends early, 408 when it stalls.
    package func collect(upTo maxBytes: Int? = nil) async throws -> [UInt8] {
        let limit = min(maxBytes ?? self.maxBytes, self.maxBytes)
        switch source {
        case .bytes(let bytes):
            guard bytes.count <= limit else { throw HTTPError(.contentTooLarge) }
            return bytes
        case .stream(let stream):
            if let announced = stream.announcedByteCount, announced > limit { throw HTTPError(.contentTooLarge) }
            var whole: [UInt8] = []
            whole.reserveCapacity(min(stream.announcedByteCount ?? 0, 1 << 20))
            while let chunk = try await stream.next() {
                guard whole.count + chunk.count <= limit else { throw HTTPError(.contentTooLarge) }
                whole.append(contentsOf: chunk)
            }
            return whole
        }
    }

    /// The body piece by piece, for handlers that stream. Iterate once.
    package func chunks() -> Chunks {
        switch source {
        case .bytes(let bytes): Chunks(remaining: bytes.isEmpty ? nil : bytes, stream: nil, budget: maxBytes)
        case .stream(let stream): Chunks(remaining: nil, stream: stream, budget: maxBytes)
        }
    }

    /// Hands out the pieces of a body.
    package struct Chunks {
        fileprivate var remaining: [UInt8]?
        fileprivate let stream: (any RequestBodyStream)?
        fileprivate var budget: Int

        /// The next piece, of at most 64 KiB when streamed; nil at the end.
        ///
        /// - Throws: as ``RequestBody/collect(upTo:)``.
        package mutating func next() async throws -> [UInt8]? {
            var piece = remaining
            remaining = nil
            if piece == nil, let stream { piece = try await stream.next() }
            guard let piece else { return nil }
            guard piece.count <= budget else { throw HTTPError(.contentTooLarge) }
            budget -= piece.count
            return piece
        }
    }
}

/// Where the bytes of a streamed body come from.
protocol RequestBodyStream: AnyObject, Sendable {
    var announcedByteCount: Int? { get }
    /// The next bytes, never empty; nil at the end.
    func next() async throws -> [UInt8]?
}
