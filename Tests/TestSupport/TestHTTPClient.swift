// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
package import Primitives

/// An answer as it came.
package struct TestHTTPResponse: Sendable {
    package var status: Int
    /// Names in lower case; repeated fields joined by ", ".
    package var headers: [String: String]
    package var body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }
    /// The body as JSON, `.null` when it is none.
    package var json: JSON { (try? JSON(parsing: body)) ?? .null }
}

/// Why there is no answer.
package struct TestHTTPError: Error, Sendable, CustomStringConvertible {
    package var description: String
}

/// A plain HTTP/1.1 client for tests: one connection a request, no retries, no redirects.
///
/// It shares no code with the server's own parser, so that a mistake there is not made twice.
package struct TestHTTPClient: Sendable {
    package let port: Int
    /// Sent with every request.
    package var headers: [String: String]

    package init(port: Int, headers: [String: String] = [:]) {
        self.port = port
        self.headers = headers
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// - Parameter body: sent with its length; `content-type: application/json` unless the headers say otherwise.
    /// - Throws: ``TestHTTPError`` when the connection fails or ends before the answer.
    package func request(
        _ method: String, _ target: String, headers: [String: String] = [:], body: String? = nil,
        timeout: Duration = .seconds(30)
    ) async throws -> TestHTTPResponse {
        var fields = ["host": "127.0.0.1:\(port)", "connection": "close"]
        if let body {
            fields["content-type"] = "application/json"
            fields["content-length"] = "\(body.utf8.count)"
        }
        for (name, value) in self.headers.merging(headers, uniquingKeysWith: { $1 }) {
            fields[name.lowercased()] = value
        }
        let head = fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
        let message = "\(method) \(target) HTTP/1.1\r\n\(head)\r\n\(body ?? "")"
        return try await onThread { [port] in
            let bytes = try exchange(Array(message.utf8), port: port, timeout: timeout)
            return try parse(bytes, isHead: method == "HEAD")
        }
    }
}

/// Sends everything, then reads until the server closes.
private func exchange(_ message: [UInt8], port: Int, timeout: Duration) throws -> [UInt8] {
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard connection >= 0 else { throw TestHTTPError(description: "socket: errno \(errno)") }
    defer { close(connection) }
    var limit = timeval(tv_sec: Int(timeout.components.seconds), tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(UInt16(port)).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard connected == 0 else { throw TestHTTPError(description: "connect to port \(port): errno \(errno)") }
    var sent = 0
    while sent < message.count {
        let count = message.withUnsafeBytes {
            clinux_send(connection, $0.baseAddress?.advanced(by: sent), message.count - sent)
        }
        // A server may answer and close before it has read all; what it said still counts.
        guard count > 0 else { break }
        sent += count
    }
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = recv(connection, &chunk, chunk.count, 0)
        if count == 0 { return answer }
        guard count > 0 else {
            if errno == EINTR { continue }
            throw TestHTTPError(description: "no end of the answer within \(timeout) or a reset: errno \(errno)")
        }
        answer.append(contentsOf: chunk.prefix(count))
    }
}

private func parse(_ bytes: [UInt8], isHead: Bool) throws -> TestHTTPResponse {
    var rest = ArraySlice(bytes)
    func line() throws -> String {
        guard let end = rest.firstIndex(of: 10), end > rest.startIndex, rest[end - 1] == 13 else {
            throw TestHTTPError(
                description: "the answer ends in its head: \(String(decoding: bytes.prefix(200), as: UTF8.self))")
        }
        defer { rest = rest[(end + 1)...] }
        return String(decoding: rest[..<(end - 1)], as: UTF8.self)
    }
    let words = try line().split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
        throw TestHTTPError(description: "not an HTTP/1.1 answer: \(words)")
    }
    var headers: [String: String] = [:]
    while true {
        let field = try line()
        if field.isEmpty { break }
        guard let colon = field.firstIndex(of: ":") else {
            throw TestHTTPError(description: "a header without colon: \(field)")
        }
        let name = field[..<colon].lowercased()
        let value = field[field.index(after: colon)...].drop { $0 == " " }
        headers[name] = headers[name].map { "\($0), \(value)" } ?? String(value)
    }
    var body: [UInt8] = []
    if headers["transfer-encoding"] == "chunked" {
        while true {
            guard let size = Int(try line().prefix { $0 != ";" }, radix: 16) else {
                throw TestHTTPError(description: "a chunk without size")
            }
            if size == 0 { break }
            guard rest.count >= size + 2 else { throw TestHTTPError(description: "the answer ends in a chunk") }
            body.append(contentsOf: rest.prefix(size))
            rest = rest.dropFirst(size + 2)
        }
    } else {
        body = Array(rest)
        if let length = headers["content-length"].flatMap(Int.init), !isHead, length != body.count {
            throw TestHTTPError(description: "\(body.count) bytes of a body of \(length)")
        }
    }
    return TestHTTPResponse(status: status, headers: headers, body: body)
}
