// SPDX-License-Identifier: Apache-2.0
package import EventLoop

/// One request as a handler sees it.
///
/// Copies share what never changes, so that handing a request on costs little.
package struct HTTPRequest: Sendable {
    /// What is fixed once the head was parsed.
    private final class Facts: Sendable {
        let method: HTTPMethod
        let head: RequestHead
        let headers: HTTPHeaders
        let id: String
        let loop: Loop
        let isSecure: Bool

        init(_ method: HTTPMethod, _ head: RequestHead, _ headers: HTTPHeaders, id: String, loop: Loop, isSecure: Bool)
        {
            self.method = method
            self.head = head
            self.headers = headers
            self.id = id
            self.loop = loop
            self.isSecure = isSecure
        }
    }
    private let facts: Facts

    /// The body, read at the handler's pace.
    package let body: RequestBody
    /// What the route's pattern captured.
    package var parameters = PathParameters()
    /// The client's numeric address: the peer's, or what a trusted proxy says.
    package var remoteAddress: String

    /// The method as sent.
    package var method: HTTPMethod { facts.method }
    /// All header fields.
    package var headers: HTTPHeaders { facts.headers }
    /// Names the request in logs and in `X-Request-Id`.
    package var id: String { facts.id }
    /// The loop the request is handled on.
    package var loop: Loop { facts.loop }
    /// Whether the request came over TLS.
    package var isSecure: Bool { facts.isSecure }
    /// The path as sent: percent-encoded, before the `?`.
    package var path: String { facts.head.string(facts.head.path) }
    /// What follows the `?` as sent; nil without one.
    package var query: String? { facts.head.query.map(facts.head.string) }

    /// Lends the path's bytes.
    func withPathBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try facts.head.bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[facts.head.path.range])) }
    }

    init(
        method: HTTPMethod, head: RequestHead, body: RequestBody, remoteAddress: String, id: String, loop: Loop,
        isSecure: Bool
    ) {
        facts = Facts(method, head, HTTPHeaders(received: head), id: id, loop: loop, isSecure: isSecure)
        self.body = body
        self.remoteAddress = remoteAddress
    }

    /// Makes a request that came from no connection: for tests, and for calls within the process.
    package init(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [],
        remoteAddress: String = "127.0.0.1", id: String = "test", loop: Loop
    ) {
        let bytes = Array(target.utf8.prefix(Int(UInt16.max)))
        let mark = bytes.firstIndex(of: UInt8(ascii: "?"))
        let head = RequestHead(
            bytes: bytes,
            path: .init(start: 0, count: UInt16(mark ?? bytes.count)),
            query: mark.map { .init(start: UInt16($0 + 1), count: UInt16(bytes.count - $0 - 1)) },
            fields: [])
        facts = Facts(method, head, headers, id: id, loop: loop, isSecure: false)
        self.body = RequestBody(bytes: body)
        self.remoteAddress = remoteAddress
    }
}

/// What a route's pattern captured, by name.
package struct PathParameters: Sendable {
    private var captured: [(name: String, value: String)] = []

    init() {}

    /// The percent-decoded value; nil when the pattern has no such name or the value is not UTF-8 once decoded.
    package subscript(_ name: String) -> String? {
        guard let entry = captured.first(where: { $0.name == name }) else { return nil }
        return percentDecode(entry.value)
    }

    /// The value as sent.
    package func raw(_ name: String) -> String? { captured.first { $0.name == name }?.value }

    mutating func append(_ name: String, _ value: String) { captured.append((name, value)) }
}
