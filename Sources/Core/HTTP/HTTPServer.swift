// SPDX-License-Identifier: Apache-2.0
internal import CLinux
package import EventLoop
internal import Glibc
internal import Synchronization

/// An HTTP/1.1 server (RFC 9112) over one or more loops that share a listening socket.
package final class HTTPServer: Sendable {
    /// The port in use: the one asked for, or the free one taken; 0 for a Unix-domain socket.
    package let port: UInt16
    private let configuration: HTTPServerConfiguration
    private let loops: [Loop]
    private let parts: [LoopServer]
    private let state: Mutex<State>

    private struct State {
        var running = 0
        var isStopping = false
        var finished: UnsafeContinuation<Void, Never>?
    }

    /// Binds the address; connections wait until ``run()``.
    ///
    /// - Parameters:
    ///   - observe: told of each answered request, on the loop that answered it; must not block.
    ///   - observeRefusal: told of each connection or request head that was refused before it became a request, likewise.
    /// - Throws: ``SystemError`` (`bind` when the port is in use) or ``TLSError``.
    package init(
        _ configuration: HTTPServerConfiguration, router: Router, loops: [Loop],
        observe: @escaping @Sendable (HTTPExchange) -> Void = { _ in },
        observeRefusal: @escaping @Sendable (HTTPRefusal) -> Void = { _ in }
    ) throws {
        // A client that goes away while it is written to is an errno, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        let tls = try configuration.tls.map { try TLSContext($0) }
        let listener = Self.listen(configuration)
        guard listener >= 0 else { throw SystemError("bind", code: -listener) }
        if configuration.unixSocket == nil {
            let bound = clinux_bound_port(listener)
            guard bound > 0 else {
                close(listener)
                throw SystemError("getsockname", code: -bound)
            }
            port = UInt16(bound)
        } else {
            port = 0
        }
        self.configuration = configuration
        self.loops = loops
        let shared = SharedListener(listener)
        let limit = max(1, configuration.maxConnections / max(loops.count, 1))
        parts = loops.map {
            LoopServer(
                configuration, router: router, loop: $0, listener: shared, tls: tls, maxConnections: limit,
                observe: observe, observeRefusal: observeRefusal)
        }
        state = Mutex(State())
    }

    private static func listen(_ configuration: HTTPServerConfiguration) -> Int32 {
        let backlog = Int32(configuration.backlog)
        if let socket = configuration.unixSocket { return clinux_listen_at_path(socket.path, socket.mode, backlog) }
        return clinux_listen(configuration.host, configuration.port, backlog, configuration.sharesPort ? 1 : 0)
    }

    /// Serves until ``stop()`` is called or the task is cancelled, and every request in hand is answered or the drain time is over.
    package func run() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let isStopping = state.withLock { state in
                    state.running = parts.count
                    state.finished = continuation
                    return state.isStopping
                }
                for part in parts {
                    part.loop.execute { part.start { [self] in partFinished() } }
                }
                if isStopping { drainAll() }
            }
        } onCancel: {
            stop()
        }
    }

    /// Accepts no more, lets requests in hand finish, then makes ``run()`` return. Callable from any thread, more than once.
    package func stop() {
        let isFirst = state.withLock { state in
            defer { state.isStopping = true }
            return !state.isStopping && state.running > 0
        }
        if isFirst { drainAll() }
    }

    private func drainAll() {
        for part in parts { part.loop.execute { part.drain() } }
    }

    private func partFinished() {
        let waiting = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            state.running -= 1
            guard state.running == 0 else { return nil }
            defer { state.finished = nil }
            return state.finished
        }
        waiting?.resume()
    }
}

/// The listening socket, closed when the last loop has stopped accepting.
final class SharedListener: Sendable {
    let descriptor: Int32
    init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }
}
