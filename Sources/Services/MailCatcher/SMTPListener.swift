// SPDX-License-Identifier: Apache-2.0
import CLinux
package import EventLoop
import Glibc
import Primitives

/// Takes mail of other programs by SMTP into a store, on one loop.
// @unchecked Sendable: everything but the constants is touched on the loop alone.
package final class SMTPListener: ReadinessHandler, @unchecked Sendable {
    /// The port in use.
    package let port: UInt16
    private let descriptor: Int32
    private let loop: Loop
    private let store: MailStore
    private let maxMessageBytes: Int
    private var registration: Registration?
    private var connections: [ObjectIdentifier: SMTPConnection] = [:]

    private static let maxConnections = 100

    /// Binds the address; connections wait until ``run()``.
    ///
    /// - Throws: `SystemError`, `bind` when the port is in use.
    package init(host: String, port: UInt16, store: MailStore, maxMessageBytes: Int, loop: Loop) throws {
        let listener = clinux_listen(host, port, 128, 0)
        guard listener >= 0 else { throw SystemError("bind", code: -listener) }
        descriptor = listener
        self.port = UInt16(max(0, clinux_bound_port(listener)))
        self.loop = loop
        self.store = store
        self.maxMessageBytes = maxMessageBytes
    }

    deinit { close(descriptor) }

    /// Listens until the task is cancelled.
    package func run() async throws {
        loop.assertOnLoop()
        registration = try loop.register(descriptor, .readable, self)
        let gate = Gate()
        await gate.wait()
        if let registration { loop.deregister(registration) }
        for connection in Array(connections.values) { connection.end() }
    }

    package func ready(_ readiness: Readiness) {
        while true {
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let accepted = clinux_accept(descriptor, &address, &length)
            guard accepted >= 0 else { return }
            guard connections.count < Self.maxConnections else {
                close(accepted)
                continue
            }
            let connection = SMTPConnection(
                accepted, SMTPSession(maxMessageBytes: maxMessageBytes), loop: loop, store: store)
            connections[ObjectIdentifier(connection)] = connection
            connection.begin { [weak self] ended in self?.connections[ObjectIdentifier(ended)] = nil }
        }
    }
}

/// One connection: moves bytes between the socket and its session. Loop-confined.
private final class SMTPConnection: ReadinessHandler {
    private let descriptor: Int32
    private var session: SMTPSession
    private let loop: Loop
    private let store: MailStore
    private var registration: Registration?
    private var timer: LoopTimer?
    private var unsent: [UInt8] = []
    private var isClosing = false
    private var ended: ((SMTPConnection) -> Void)?

    private static let idleTimeout: Duration = .seconds(60)
    private static let maxUnsentBytes = 256 << 10

    init(_ descriptor: Int32, _ session: SMTPSession, loop: Loop, store: MailStore) {
        self.descriptor = descriptor
        self.session = session
        self.loop = loop
        self.store = store
    }

    func begin(ended: @escaping (SMTPConnection) -> Void) {
        self.ended = ended
        do { registration = try loop.register(descriptor, .readable, self) } catch {
            end()
            return
        }
        unsent = Array(SMTPSession.greeting.utf8)
        flush()
        restartTimer()
    }

    func end() {
        guard let ended else { return }
        self.ended = nil
        if let timer { loop.cancel(timer) }
        if let registration { loop.deregister(registration) }
        registration = nil
        close(descriptor)
        ended(self)
    }

    private func restartTimer() {
        if let timer { loop.cancel(timer) }
        timer = loop.schedule(after: Self.idleTimeout) { [weak self] in self?.end() }
    }

    func ready(_ readiness: Readiness) {
        if readiness.contains(.writable) { flush() }
        guard readiness.contains(.readable) || readiness.contains(.hangup), !isClosing else { return }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else {
            if count == 0 || (errno != EAGAIN && errno != EINTR) { end() }
            return
        }
        restartTimer()
        for action in session.receive(chunk.prefix(count)) {
            switch action {
            case .reply(let text): unsent += text.utf8
            case .take(let sender, let recipients, let message):
                store.add(CaughtMail(sender: sender, recipients: recipients, raw: message))
            case .close: isClosing = true
            }
        }
        // Commands without end from somebody who reads no reply.
        if unsent.count > Self.maxUnsentBytes { isClosing = true }
        flush()
    }

    private func flush() {
        while !unsent.isEmpty {
            let count = unsent.withUnsafeBytes { clinux_send(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                if errno == EINTR { continue }
                guard errno == EAGAIN, let registration else {
                    end()
                    return
                }
                loop.modify(registration, [.readable, .writable])
                return
            }
            unsent.removeFirst(count)
        }
        if isClosing {
            end()
        } else if let registration {
            loop.modify(registration, .readable)
        }
    }
}
