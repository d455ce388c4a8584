// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import HTTP
import Testing

/// A blocking TCP client that sends exactly the bytes it is given; every wait ends after ten seconds.
final class RawClient {
    private(set) var descriptor: Int32
    private var received: [UInt8] = []

    /// - Parameter lastByte: of the address 127.0.0.x to connect to.
    init(port: UInt16, lastByte: UInt32 = 1) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = (0x7F00_0000 | lastByte).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try SystemError.check(code, "connect")
    }

    deinit { disconnect() }

    func disconnect() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Closes with a reset instead of an orderly end.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        disconnect()
    }

    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { clinux_send(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { throw SystemError("send") }
            sent += count
        }
    }

    /// Sends without waiting: how many bytes the kernel took.
    func sendWhatFits(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT)) }
    }

    /// One more read; false at the end of the connection.
    private func receive() throws -> Bool {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw SystemError("recv") }
        received += buffer[..<count]
        return count > 0
    }

    /// Everything until the server closes.
    func readToEnd() throws -> String {
        while try receive() {}
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    /// Whether the server closed the connection, orderly or not.
    func isClosedByServer() -> Bool {
        do {
            while try receive() {}
            return true
        } catch {
            return (error as? SystemError)?.code == ECONNRESET
        }
    }

    struct Response {
        var status: Int
        var headers: [(name: String, value: String)]
        var body: String

        subscript(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
    }

    /// One response, framed by its length or chunks. `hasBody` is false for an answer to HEAD.
    func readResponse(hasBody: Bool = true) throws -> Response {
        let head = try readHead()
        var lines = head.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
        let statusLine = lines.removeFirst()
        let headers = lines.filter { !$0.isEmpty }.map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            return (name: String(line[..<colon]), value: String(line[colon...].dropFirst(2)))
        }
        var response = Response(
            status: Int(statusLine.split(separator: " ")[1]) ?? 0, headers: headers, body: "")
        guard hasBody, response.status >= 200, response.status != 204, response.status != 304 else { return response }
        if response["Transfer-Encoding"] == "chunked" {
            response.body = try readChunks()
        } else if let length = response["Content-Length"].flatMap({ Int($0) }) {
            response.body = String(decoding: try read(length), as: UTF8.self)
        } else {
            response.body = try readToEnd()
        }
        return response
    }

    private func readHead() throws -> String {
        while true {
            if let end = received.firstRange(of: Array("\r\n\r\n".utf8)) {
                let head = String(decoding: received[..<end.lowerBound], as: UTF8.self)
                received.removeSubrange(..<end.upperBound)
                return head
            }
            guard try receive() else { throw SystemError("recv: closed before a response", code: ECONNRESET) }
        }
    }

    func read(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try receive() else { throw SystemError("recv: closed within a body", code: ECONNRESET) }
        }
        defer { received.removeSubrange(..<count) }
        return Array(received[..<count])
    }

    private func readChunks() throws -> String {
        var body: [UInt8] = []
        while true {
            var line: [UInt8] = []
            while line.suffix(2) != [13, 10] { line += try read(1) }
            let size = Int(String(decoding: line.dropLast(2), as: UTF8.self), radix: 16) ?? -1
            guard size >= 0 else { throw SystemError("chunk", code: EINVAL) }
            body += try read(size)
            _ = try read(2)
            if size == 0 { return String(decoding: body, as: UTF8.self) }
        }
    }
}

/// Runs a server on a loop of its own, and `body` on a thread that may block.
func withServer<T: Sendable>(
    _ configuration: HTTPServerConfiguration = HTTPServerConfiguration(), _ router: Router,
    observe: @escaping @Sendable (HTTPExchange) -> Void = { _ in },
    observeRefusal: @escaping @Sendable (HTTPRefusal) -> Void = { _ in },
    _ body: @escaping @Sendable (UInt16, HTTPServer) throws -> T
) async throws -> T {
    try await Loop.withLoop { loop in
        let server = try HTTPServer(
            configuration, router: router, loops: [loop], observe: observe, observeRefusal: observeRefusal)
        let running = loop.spawn { await server.run() }
        let pool = try WorkerPool(threads: 1, maxQueued: 1)
        defer { pool.shutdown() }
        do {
            let result = try await pool.run { try body(server.port, server) }
            server.stop()
            await running.value
            return result
        } catch {
            server.stop()
            await running.value
            throw error
        }
    }
}
