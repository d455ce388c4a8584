// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import REST

/// `atoll rest --ready`: asks the admin server that a configuration names, for health checks of containers.
struct ReadinessProbe {
    private let host: String
    private let port: UInt16

    private static let timeoutSeconds = 5

    /// - Throws: `CommandFailure` where the configuration names no admin server that can be asked.
    init(_ configuration: StandaloneConfiguration) throws {
        guard let port = configuration.adminPort else {
            throw CommandFailure("Admin server is not running. Please check admin-server-port config.")
        }
        let host = configuration.adminHost ?? configuration.host
        if ["*", "*4", "!4", "*6", "!6"].contains(host), configuration.adminHost != nil || host != "!4" {
            throw CommandFailure(
                "The `--ready` flag cannot be used when server-host is configured as \"\(host)\".",
                next: "set admin-server-host to localhost")
        }
        self.host = host == "!4" ? "localhost" : host
        self.port = port
    }

    private var address: String { "http://\(host.contains(":") ? "[\(host)]" : host):\(port)/ready" }

    /// Prints what was answered.
    ///
    /// - Returns: 0 when it is ready, else 1.
    func run() throws -> Int32 {
        guard let status = statusLine() else {
            throw CommandFailure("connection refused to \(address)")
        }
        guard status.split(separator: " ").dropFirst().first == "200" else {
            throw CommandFailure("\(address): \(status)")
        }
        Output.print("OK: \(address)")
        return 0
    }

    private func statusLine() -> String? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else { return nil }
        defer { freeaddrinfo(list) }
        var next = list
        while let entry = next {
            if let line = statusLine(from: entry.pointee) { return line }
            next = entry.pointee.ai_next
        }
        return nil
    }

    private func statusLine(from place: addrinfo) -> String? {
        let descriptor = socket(place.ai_family, place.ai_socktype, place.ai_protocol)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
        }
        guard connect(descriptor, place.ai_addr, place.ai_addrlen) == 0 else { return nil }
        let request = Array("GET /ready HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            return nil
        }
        var answer = [UInt8](repeating: 0, count: 512)
        let count = recv(descriptor, &answer, answer.count, 0)
        guard count > 0 else { return nil }
        return String(decoding: answer[..<count].prefix { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
    }
}
