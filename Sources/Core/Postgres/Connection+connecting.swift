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
        let lookup =
            address.parameters == nil ? HostLookup(hosts: address.host, ports: "\(address.port)") : address.lookup
        guard let lookup, lookup.isNeeded else {
            start(resolved: [])
            return
        }
        // Looking a name up blocks, and libpq would do it on the loop.
        loop.spawn { [weak self, workers = services.workers] in
            let found: Result<[(name: String, value: String)], any Error>
            do { found = .success(try await workers.run { try lookup.resolved() }) } catch {
                found = .failure(error)
            }
            guard let self, self.phase == .connecting else { return }
            switch found {
            case .success(let parameters): self.start(resolved: parameters)
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

    private func start(resolved: [(name: String, value: String)]) {
        let options = ConnectionOptions(configuration, resolved: resolved)
        guard let handle = options.withCStrings({ PQconnectStartParams($0, $1, 0) }) else {
            lose(PostgresError(.connectionFailed, "out of memory"))
            return
        }
        self.handle = handle
        // While connecting libpq has text alone, but for this, which puts the SQLSTATE into it.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
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
        guard PQsetnonblocking(handle, 1) == 0 else {
            lose(libpqError(.connectionFailed))
            return
        }
        if isShared, PQsslInUse(handle) == 0, PQgssEncInUse(handle) == 0 {
            wire = Wire(descriptor: PQsocket(handle))
        } else if PQenterPipelineMode(handle) != 1 {
            lose(libpqError(.connectionFailed))
            return
        }
        watchConnecting([.readable])
        guard phase == .connecting else { return }
        if let connectTimer { loop.cancel(connectTimer) }
        connectTimer = nil
        PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
        openedAt = loop.monotonicNanoseconds
        phase = .open
        owner?.connectionOpened(self)
    }

    /// Why connecting failed.
    private func connectError(_ handle: OpaquePointer) -> PostgresError {
        var error = libpqError(.connectionFailed)
        if let refusal = ConnectRefusal(error.message) {
            error.message = refusal.message
            error.server = PostgresError.ServerFields(
                severity: "FATAL", sqlState: refusal.sqlState, message: refusal.message)
        }
        if PQconnectionNeedsPassword(handle) == 1 {
            error.message += " (no password is configured)"
        }
        return error
    }
}

/// What a server said when it refused a connection, out of libpq's verbose text, which is all there is of it: for each attempt a line
/// `...: FATAL:  28P01: what is wrong`, in the server's language but for the five characters, and one that begins with `LOCATION:`.
struct ConnectRefusal {
    let sqlState: String
    let message: String

    init?(_ text: String) {
        var states: [String] = []
        var lines: [String] = []
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("LOCATION:") {
            let parts = line.split(separator: ":  ", maxSplits: 1)
            guard parts.count == 2, let state = Self.state(parts[1]) else {
                lines.append(String(line))
                continue
            }
            states.append(state)
            lines.append("\(parts[0]): \(parts[1].dropFirst(state.count + 2))")
        }
        // Of several addresses the first is the one that was meant.
        guard let state = states.first else { return nil }
        sqlState = state
        message = lines.joined(separator: "\n")
    }

    /// The five characters before a colon.
    private static func state(_ text: Substring) -> String? {
        let state = text.prefix(5)
        guard state.utf8.count == 5, text.dropFirst(5).hasPrefix(": "),
            state.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) })
        else { return nil }
        return String(state)
    }
}

/// libpq's connection parameters.
struct ConnectionOptions {
    private(set) var values: [(name: String, value: String)] = []

    /// - Parameter resolved: hosts and addresses found by looking names up; empty where there was none to look up.
    init(_ configuration: DatabaseConfiguration, resolved: [(name: String, value: String)]) {
        let address = configuration.address
        // A peer that vanishes without a word is noticed within a minute, idle or not.
        values = [
            ("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ("tcp_user_timeout", "30000"),
        ]
        if let parameters = address.parameters {
            // A name of the program that the connection string or the environment gives goes before ours.
            values.append(("fallback_application_name", configuration.applicationName))
            for parameter in parameters where parameter.name != "options" { set(parameter.name, parameter.value) }
        } else {
            values.append(("host", address.host))
            values.append(("port", String(address.port)))
            values.append(("user", address.user))
            if let password = address.password { values.append(("password", password.reveal())) }
            values.append(("dbname", address.database))
            values.append(("sslmode", address.tlsMode.rawValue))
            if let file = address.rootCertificateFile { values.append(("sslrootcert", file)) }
            values.append(("application_name", configuration.applicationName))
        }
        set("client_encoding", "UTF8")
        for parameter in resolved { set(parameter.name, parameter.value) }
        let options = Self.options(configuration)
        // Without any, libpq looks for PGOPTIONS; a pooler before PostgreSQL may refuse them.
        if !options.isEmpty { set("options", options) }
    }

    private mutating func set(_ name: String, _ value: String) {
        values.removeAll { $0.name == name }
        values.append((name, value))
    }

    private static func options(_ configuration: DatabaseConfiguration) -> String {
        var settings: [(name: String, value: String)] = []
        if let timeout = configuration.statementTimeout {
            settings.append((name: "statement_timeout", value: String(timeout.wholeMilliseconds)))
        }
        if let timeout = configuration.idleTransactionTimeout {
            settings.append((name: "idle_in_transaction_session_timeout", value: String(timeout.wholeMilliseconds)))
        }
        settings += configuration.sessionSettings
        let given = configuration.address.parameters?.last { $0.name == "options" }?.value
        return ([given].compactMap(\.self) + settings.map { "-c \(escape($0.name))=\(escape($0.value))" })
            .joined(separator: " ")
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

    /// The addresses of a host, at least one. Blocks.
    static func resolve(_ host: String) throws -> [String] {
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
        return addresses
    }
}
