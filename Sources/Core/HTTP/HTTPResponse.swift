// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// One response. The server adds `Date`, `Content-Length` or `Transfer-Encoding`, `Connection` and `X-Request-Id`.
package struct HTTPResponse: Sendable {
    /// The status line's code.
    package var status: HTTPStatus
    /// What stands beside the code in place of the registry's phrase; control characters are sent as spaces.
    package var reason: String?
    /// The fields to send.
    package var headers: HTTPHeaders
    /// What follows the head.
    package var body: Body

    /// A response's body.
    package enum Body: Sendable {
        /// No bytes; `Content-Length: 0` where a body would be allowed.
        case empty
        /// Bytes made for this response.
        case bytes([UInt8])
        /// Bytes that somebody else keeps, such as a cell of a query's result: sent without a copy where they are many.
        case lent(any BytesOwner)
        /// A stretch of an open file, sent by `sendfile`.
        case file(FileSlice)
        /// Bytes written as they come. With a count, exactly as many must follow; without, the body is chunked.
        case stream(byteCount: Int?, @Sendable (ResponseWriter) async throws -> Void)
    }

    package init(_ status: HTTPStatus, headers: HTTPHeaders = HTTPHeaders(), body: Body = .empty) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON document.
    package static func json(_ value: JSON, status: HTTPStatus = .ok) -> HTTPResponse {
        json(bytes: value.encoded(), status: status)
    }

    /// A JSON document that is encoded already.
    package static func json(bytes: [UInt8], status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, headers: ["Content-Type": "application/json; charset=utf-8"], body: .bytes(bytes))
    }

    /// Plain text in UTF-8.
    package static func text(_ text: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: .bytes(Array(text.utf8)))
    }

    /// A web page in UTF-8.
    package static func html(_ page: String, status: HTTPStatus = .ok) -> HTTPResponse {
        HTTPResponse(status, headers: ["Content-Type": "text/html; charset=utf-8"], body: .bytes(Array(page.utf8)))
    }

    /// A status alone.
    package static func empty(_ status: HTTPStatus = .noContent) -> HTTPResponse { HTTPResponse(status) }
}

/// Writes a streamed response. Each write returns when the bytes are on their way or few enough to wait in memory.
package struct ResponseWriter: Sendable {
    let sink: any ResponseSink

    /// Sends bytes; suspends while the client is slow to take what was written before.
    ///
    /// - Throws: `CancellationError` when the client is gone.
    package func write(_ bytes: [UInt8]) async throws { try await sink.write(bytes) }
}

/// Where a streamed response goes.
protocol ResponseSink: AnyObject, Sendable {
    func write(_ bytes: [UInt8]) async throws
}
