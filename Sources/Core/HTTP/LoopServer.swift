// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc

/// One loop's share of a server: accepts, keeps the connections, and watches their deadlines.
// @unchecked Sendable: everything mutable is confined to `loop`.
final class LoopServer: ReadinessHandler, @unchecked Sendable {
    let configuration: HTTPServerConfiguration
    let router: Router
    let loop: Loop
    let limits: RequestParser.Limits
    let pool = BlockPool()
    private let observer: @Sendable (HTTPExchange) -> Void
    private let refusalObserver: @Sendable (HTTPRefusal) -> Void
    private let tls: TLSContext?
    private let maxConnections: Int

    private var listener: SharedListener?
    private var registration: Registration?
    private var connections: [HTTPConnection?] = []
    private var freeSlots: [Int] = []
    private var liveCount = 0
    private(set) var isDraining = false
    private var finished: (() -> Void)?
    private var sweepTimer: LoopTimer?
    private var isAcceptPaused = false

    private var statusLines: [Int: [UInt8]] = [:]
    private var dateSecond: UInt64 = 0
    private var cachedDateField: [UInt8] = []
    private var requestCounter: UInt64
    private let requestSalt: UInt64

    /// Connections accepted before other work gets its turn.
    private static let maxAcceptsPerEvent = 64

    init(
        _ configuration: HTTPServerConfiguration, router: Router, loop: Loop, listener: SharedListener,
        tls: TLSContext?, maxConnections: Int, observe: @escaping @Sendable (HTTPExchange) -> Void,
        observeRefusal: @escaping @Sendable (HTTPRefusal) -> Void
    ) {
        self.configuration = configuration
        self.router = router
        self.loop = loop
        self.listener = listener
        self.tls = tls
        self.maxConnections = maxConnections
        observer = observe
        refusalObserver = observeRefusal
        limits = RequestParser.Limits(
            maxRequestLineBytes: min(configuration.maxRequestLineBytes, 16 << 10),
            maxHeaderBytes: min(configuration.maxHeaderBytes, 40 << 10), maxFieldCount: configuration.maxFieldCount)
        requestCounter = UInt64.random(in: .min ... .max)
        requestSalt = UInt64.random(in: .min ... .max)
    }

    // MARK: Life

    func start(_ finished: @escaping () -> Void) {
        self.finished = finished
        guard !isDraining, let listener else {
            finishIfEmpty()
            return
        }
        do {
            registration = try loop.register(listener.descriptor, .readable, self)
            scheduleSweep()
        } catch {
            drain()
        }
    }

    func drain() {
        guard !isDraining else { return }
        isDraining = true
        stopAccepting()
        // A process that is being started holds a copy of the descriptor until it runs its program; connections must not land in
        // a queue that nobody reads meanwhile.
        if let listener { shutdown(listener.descriptor, Int32(SHUT_RDWR)) }
        listener = nil
        for connection in connections { connection?.drain() }
        loop.schedule(after: configuration.drainTimeout) { [self] in
            for connection in connections { connection?.abort() }
        }
        finishIfEmpty()
    }

    func closed(_ connection: HTTPConnection) {
        connections[connection.slot] = nil
        freeSlots.append(connection.slot)
        liveCount -= 1
        finishIfEmpty()
    }

    private func finishIfEmpty() {
        guard isDraining, liveCount == 0, let finished else { return }
        self.finished = nil
        if let sweepTimer { loop.cancel(sweepTimer) }
        finished()
    }

    private func stopAccepting() {
        guard let registration else { return }
        loop.deregister(registration)
        self.registration = nil
    }

    // MARK: Accepting

    func ready(_ readiness: Readiness) {
        for _ in 0..<Self.maxAcceptsPerEvent {
            guard let listener else { return }
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let descriptor = clinux_accept(listener.descriptor, &address, &length)
            if descriptor < 0 {
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM { pauseAccepting() }
                return
            }
            guard liveCount < maxConnections else {
                refuseConnection(descriptor, address)
                continue
            }
            open(descriptor, address)
        }
    }

    private func open(_ descriptor: Int32, _ address: sockaddr_storage) {
        _ = clinux_no_delay(descriptor)
        var session: TLSSession?
        if let tls {
            session = TLSSession(tls, descriptor: descriptor)
            if session == nil {
                close(descriptor)
                return
            }
        }
        let slot = freeSlots.popLast() ?? connections.count
        if slot == connections.count { connections.append(nil) }
        let connection = HTTPConnection(
            self, socket: Socket(descriptor: descriptor, tls: session), remoteAddress: Self.text(of: address),
            slot: slot)
        connections[slot] = connection
        liveCount += 1
        do {
            connection.registration = try loop.register(
                descriptor, [.readable, .writable, .hangup, .edgeTriggered], connection)
        } catch {
            connection.abort()
        }
    }

    /// Tells a client in a line that there is no room, without keeping anything of it.
    private func refuseConnection(_ descriptor: Int32, _ address: sockaddr_storage) {
        let text: StaticString = """
            HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n
            """
        if tls == nil { _ = clinux_send(descriptor, text.utf8Start, text.utf8CodeUnitCount) }
        close(descriptor)
        observe(HTTPRefusal(status: 503, reason: "too many connections", remoteAddress: Self.text(of: address)))
    }

    /// Out of descriptors: looking again at once would spin.
    private func pauseAccepting() {
        guard !isAcceptPaused, registration != nil else { return }
        isAcceptPaused = true
        stopAccepting()
        loop.schedule(after: .milliseconds(100)) { [self] in
            isAcceptPaused = false
            guard !isDraining, let listener else { return }
            registration = try? loop.register(listener.descriptor, .readable, self)
            if registration == nil { pauseAcceptingAgain() }
        }
    }

    private func pauseAcceptingAgain() {
        loop.schedule(after: .seconds(1)) { [self] in
            guard !isDraining, let listener, registration == nil else { return }
            registration = try? loop.register(listener.descriptor, .readable, self)
            if registration == nil { pauseAcceptingAgain() }
        }
    }

    private static func text(of address: sockaddr_storage) -> String {
        var address = address
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress else { return "" }
            base.pointee = 0
            clinux_peer_address(&address, base, buffer.count)
            return String(cString: base)
        }
    }

    // MARK: Time

    func deadline(_ after: Duration) -> UInt64 { loop.monotonicNanoseconds &+ after.clampedNanoseconds }

    /// One timer for all connections: deadlines are seconds, and a timer each would be set and cancelled with every request.
    private func scheduleSweep() {
        sweepTimer = loop.schedule(after: sweepInterval) { [self] in
            let now = loop.monotonicNanoseconds
            for connection in connections { connection?.checkDeadlines(now) }
            if !(isDraining && liveCount == 0) { scheduleSweep() }
        }
    }

    private var sweepInterval: Duration {
        let shortest =
            [
                configuration.headerTimeout, configuration.bodyTimeout, configuration.idleTimeout,
                configuration.writeTimeout, configuration.halfCloseGrace, configuration.lingerTimeout,
            ].min() ?? .seconds(1)
        return max(.milliseconds(5), min(.milliseconds(500), shortest / 4))
    }

    // MARK: What responses need

    /// `Date: ...\r\n`, made once a second.
    var dateField: [UInt8] {
        let second = loop.monotonicNanoseconds / 1_000_000_000
        if second != dateSecond || cachedDateField.isEmpty {
            dateSecond = second
            cachedDateField = Array("Date: \(HTTPDate.format(time(nil)))\r\n".utf8)
        }
        return cachedDateField
    }

    func statusLine(_ status: HTTPStatus, _ reason: String? = nil) -> [UInt8] {
        if let reason {
            let printable = reason.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }
            return Array("HTTP/1.1 \(status.code) \(String(String.UnicodeScalarView(printable)))\r\n".utf8)
        }
        if let line = statusLines[status.code] { return line }
        let line = Array("HTTP/1.1 \(status.code) \(status.reason)\r\n".utf8)
        statusLines[status.code] = line
        return line
    }

    /// A new request's id: 13 characters, so that the string needs no memory of its own. Unique within the process by the
    /// counter and told apart from other processes' by where the counter began; it is a name, not a secret.
    func nextRequestID() -> String {
        requestCounter &+= 1
        var mixed = requestCounter &* 0x9E37_79B9_7F4A_7C15
        mixed ^= requestSalt
        return String(unsafeUninitializedCapacity: 13) { buffer in
            for index in 0..<13 {
                let digit = UInt8(truncatingIfNeeded: mixed & 31)
                buffer[index] = digit < 10 ? 48 + digit : 87 + digit
                mixed >>= 5
            }
            return 13
        }
    }

    func observe(_ exchange: HTTPExchange) { observer(exchange) }

    func observe(_ refusal: HTTPRefusal) { refusalObserver(refusal) }
}
