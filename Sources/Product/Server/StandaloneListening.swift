// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc
internal import HTTP
internal import Platform
internal import Processes
internal import REST

/// Where a server of `atoll rest` listens.
struct StandaloneListening: Sendable {
    let configuration: HTTPServerConfiguration
    /// The keys that say so, for messages.
    private let keys: String

    init(main: StandaloneConfiguration) throws {
        configuration = try Self.configuration(
            host: main.host, port: main.port, socket: main.unixSocket, mode: main.unixSocketMode,
            sharesPort: main.sharesPort)
        keys = main.unixSocket == nil ? "server-host and server-port" : "server-unix-socket"
    }

    /// Nil where there is to be no admin server.
    init?(admin: StandaloneConfiguration) throws {
        guard admin.adminPort != nil || admin.adminUnixSocket != nil else { return nil }
        configuration = try Self.configuration(
            host: admin.adminHost ?? admin.host, port: admin.adminPort ?? 0, socket: admin.adminUnixSocket,
            mode: admin.adminUnixSocketMode, sharesPort: false)
        keys = admin.adminUnixSocket == nil ? "admin-server-host and admin-server-port" : "admin-server-unix-socket"
    }

    private static func configuration(
        host: String, port: UInt16, socket: String?, mode: UInt32, sharesPort: Bool
    ) throws -> HTTPServerConfiguration {
        var configuration = HTTPServerConfiguration()
        configuration.port = port
        configuration.unixSocket = socket.map { UnixSocket(path: $0, mode: mode) }
        configuration.sharesPort = sharesPort
        if socket == nil { configuration.host = try numericHost(host) }
        return configuration
    }

    func server(
        _ configuration: HTTPServerConfiguration, router: Router, loops: [Loop]
    ) throws -> HTTPServer {
        do {
            return try HTTPServer(configuration, router: router, loops: loops)
        } catch let error as SystemError {
            throw ProjectError(
                "cannot listen at \(place(port: configuration.port)): \(error)", next: "set other \(keys)")
        }
    }

    /// For people: a path, or an address and a port.
    func place(port: UInt16) -> String {
        if let socket = configuration.unixSocket { return socket.path }
        return configuration.host.contains(":") ? "[\(configuration.host)]:\(port)" : "\(configuration.host):\(port)"
    }

    /// Whether clients still find the place: a socket's file may be removed while it is listened at.
    var isThere: Bool { configuration.unixSocket.map { FileSystem.exists($0.path) } ?? true }

    func removeSocket() {
        if let socket = configuration.unixSocket { unlink(socket.path) }
    }

    /// The address of a name, and of the five words that mean any address: `*`, `*4`, `!4` (IPv4), `*6`, `!6` (IPv6).
    static func numericHost(_ host: String) throws -> String {
        switch host {
        case "*", "*4", "!4": return "0.0.0.0"
        case "*6", "!6": return "::"
        default: break
        }
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress, clinux_numeric_host(host, AF_UNSPEC, base, buffer.count) == 0 else {
                throw ProjectError("there is no host \(host) to listen at", next: "set another server-host")
            }
            return String(cString: base)
        }
    }
}
