// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import EventLoop
internal import Glibc
internal import Primitives

extension Connection {
    /// Begins to connect; the owner is told how it ended.
    func connect() {
        loop.assertOnLoop()
        connectTimer = loop.schedule(after: configuration.connectTimeout) { [weak self] in
            guard let self, self.phase == .connecting else { return }
            self.lose(PostgresError(.connectionFailed, "connecting to \(self.place) took too long"))
        }
        let address = configuration.address
        if address.isSocket || HostAddress.isNumeric(address.host) {
            start(hostAddresses: nil)
            return
        }
        // Looking a name up blocks, and libpq would do it on the loop.
        loop.spawn { [weak self, workers = services.workers] in
            let found: Result<String, any Error>
            do { found = .success(try await workers.run { try HostAddress.resolve(address.host) }) } catch {
                found = .failure(error)
            }
            guard let self, self.phase == .connecting else { return }
            switch found {
            case .success(let addresses): self.start(hostAddresses: addresses)
            case .failure(let error):
                self.lose(PostgresError(.connectionFailed, "cannot look up the host of \(self.place): \(error)"))
            }
        }
    }

    /// Where it connects to, for messages.
    private var place: String {
        let address = configuration.address
        return address.isSocket ? "\(address.host), port \(address.port)" : "\(address.host):\(address.port)"
    }

    private func start(hostAddresses: String?) {
        let options = ConnectionOptions(configuration, hostAddresses: hostAddresses)
        guard let handle = options.withCStrings({ PQconnectStartParams($0, $1, 0) }) else {
            lose(PostgresError(.connectionFailed, "out of memory"))
            return
        }
        self.handle = handle
        // Without this libpq writes notices to standard error.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        guard PQstatus(handle) != CONNECTION_BAD else {
            lose(libpqError(.connectionFailed))
            return
        }
        watchConnecting([.writable])
    }

    func advanceConnecting() {
        guard let handle else { return }
        // libpq may close its socket and open another, even under the same number; so none is watched meanwhile.
        if let registration { loop.deregister(registration) }
        registration = nil
        switch PQconnectPoll(handle) {
        case PGRES_POLLING_READING: watchConnecting([.readable])
        case PGRES_POLLING_WRITING: watchConnecting([.writable])
        case PGRES_POLLING_OK: opened(handle)
        default: lose(connectError(handle))
        }
    }

    private func watchConnecting(_ wanted: Readiness) {
        guard let handle else { return }
        do {
            registration = try loop.register(PQsocket(handle), wanted, self)
            interest = wanted
        } catch {
            lose(PostgresError(.connectionFailed, "cannot watch the socket: \(error)"))
        }
    }

    private func opened(_ handle: OpaquePointer) {
        guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else {
            lose(libpqError(.connectionFailed))
            return
        }
        watchConnecting([.readable])
        guard phase == .connecting else { return }
        if let connectTimer { loop.cancel(connectTimer) }
        connectTimer = nil
        phase = .open
        owner?.connectionOpened(self)
    }

    /// Why connecting failed. libpq gives text alone here; whether the server refused the login is told by asking what
    /// it wanted, never by reading the text.
    private func connectError(_ handle: OpaquePointer) -> PostgresError {
        var error = libpqError(.connectionFailed)
        if PQconnectionNeedsPassword(handle) == 1 {
            error.message += " (no password is configured)"
        }
        return error
    }
}

/// libpq's connection parameters.
struct ConnectionOptions {
    private(set) var values: [(name: String, value: String)] = []

    init(_ configuration: DatabaseConfiguration, hostAddresses: String?) {
        let address = configuration.address
        if let hostAddresses {
            let count = hostAddresses.split(separator: ",").count
            values.append(("host", Array(repeating: address.host, count: count).joined(separator: ",")))
            values.append(("hostaddr", hostAddresses))
        } else {
            values.append(("host", address.host))
        }
        values.append(("port", String(address.port)))
        values.append(("user", address.user))
        if let password = address.password { values.append(("password", password.reveal())) }
        values.append(("dbname", address.database))
        values.append(("sslmode", address.tlsMode.rawValue))
        if let file = address.rootCertificateFile { values.append(("sslrootcert", file)) }
        values.append(("application_name", configuration.applicationName))
        values.append(("client_encoding", "UTF8"))
        // A peer that vanishes without a word is noticed within a minute, idle or not.
        values.append(("keepalives_idle", "30"))
        values.append(("keepalives_interval", "10"))
        values.append(("keepalives_count", "3"))
        values.append(("tcp_user_timeout", "30000"))
        var settings = [
            (name: "statement_timeout", value: String(configuration.statementTimeout.wholeMilliseconds)),
            (
                name: "idle_in_transaction_session_timeout",
                value: String(configuration.idleTransactionTimeout.wholeMilliseconds)
            ),
        ]
        settings += configuration.sessionSettings
        values.append(
            ("options", settings.map { "-c \(Self.escape($0.name))=\(Self.escape($0.value))" }.joined(separator: " ")))
    }

    /// In `options`, a backslash takes the next character literally, spaces included.
    private static func escape(_ text: String) -> String {
        var escaped = ""
        for character in text {
            if character == "\\" || character.isWhitespace { escaped.append("\\") }
            escaped.append(character)
        }
        return escaped
    }

    /// Lends the parameters as libpq wants them: two arrays that end in NULL.
    func withCStrings<Result>(
        _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> Result?
    ) -> Result? {
        let names = values.map { strdup($0.name) }
        let texts = values.map { strdup($0.value) }
        defer {
            for pointer in names + texts { free(pointer) }
        }
        let namePointers = names.map { UnsafePointer($0) } + [nil]
        let textPointers = texts.map { UnsafePointer($0) } + [nil]
        return namePointers.withUnsafeBufferPointer { nameBuffer in
            textPointers.withUnsafeBufferPointer { textBuffer -> Result? in
                guard let name = nameBuffer.baseAddress, let text = textBuffer.baseAddress else { return nil }
                return body(name, text)
            }
        }
    }
}

/// Names and addresses of hosts.
enum HostAddress {
    struct LookupError: Error, CustomStringConvertible {
        let description: String
    }

    private static let maxAddresses = 8

    static func isNumeric(_ host: String) -> Bool {
        var buffer = in6_addr()
        return inet_pton(AF_INET, host, &buffer) == 1 || inet_pton(AF_INET6, host, &buffer) == 1
    }

    /// The addresses of a host, separated by commas as libpq's `hostaddr` wants them. Blocks.
    static func resolve(_ host: String) throws -> String {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw LookupError(description: String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var next = list
        while let entry = next, addresses.count < maxAddresses {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(
                entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                == 0
            {
                let length = text.firstIndex(of: 0) ?? text.count
                addresses.append(String(decoding: text[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            next = entry.pointee.ai_next
        }
        guard !addresses.isEmpty else { throw LookupError(description: "no address") }
        return addresses.joined(separator: ",")
    }
}
