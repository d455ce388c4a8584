// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// Where a PostgreSQL server is and who logs in.
package struct PostgresAddress: Sendable {
    /// How TLS is used; the names and meanings of libpq's `sslmode`.
    package enum TLSMode: String, Sendable, CaseIterable {
        case disable
        case allow
        case prefer
        case require
        case verifyCA = "verify-ca"
        case verifyFull = "verify-full"
    }

    /// A host name or IP address, or the directory of a Unix-domain socket (starting with `/`).
    package var host: String
    package var port: Int
    package var user: String
    package var password: SecretString?
    package var database: String
    package var tlsMode: TLSMode
    /// The file of trusted root certificates for `verify-ca` and `verify-full`; nil for libpq's default.
    package var rootCertificateFile: String?
    /// What libpq is told, when the address was read from a connection string: then this alone counts, and the fields above are for
    /// messages.
    var parameters: [(name: String, value: String)]?
    /// The hosts to look up, when the address was read from a connection string.
    var lookup: HostLookup?

    package init(
        host: String, port: Int = 5432, user: String, password: SecretString? = nil, database: String,
        tlsMode: TLSMode = .prefer, rootCertificateFile: String? = nil
    ) {
        self.host = host
        self.port = port
        self.user = user
        self.password = password
        self.database = database
        self.tlsMode = tlsMode
        self.rootCertificateFile = rootCertificateFile
    }

    /// Whether the server is reached by a Unix-domain socket.
    package var isSocket: Bool { host.hasPrefix("/") || host.isEmpty }

    /// Reads `postgres://user:password@host:port/database?sslmode=...`, with percent-encoding in every part; a socket's
    /// directory is a percent-encoded host or the parameter `host`.
    ///
    /// - Throws: ``PostgresError`` with `invalidQuery`, which never quotes the URL: it holds a password.
    package init(url: String) throws(PostgresError) {
        func refuse(_ reason: String) -> PostgresError { PostgresError(.invalidQuery, "database URL: \(reason)") }
        func decode(_ part: some StringProtocol, _ name: String) throws(PostgresError) -> String {
            guard let decoded = percentDecoded(part) else { throw refuse("\(name) is not valid percent-encoding") }
            return decoded
        }

        guard let scheme = ["postgresql://", "postgres://"].first(where: { url.hasPrefix($0) }) else {
            throw refuse("must start with postgres:// or postgresql://")
        }
        let rest = url.dropFirst(scheme.count)
        let beforeQuery = rest.prefix { $0 != "?" }
        let query = rest.dropFirst(beforeQuery.count).dropFirst()
        let authority = beforeQuery.prefix { $0 != "/" }
        let path = beforeQuery.dropFirst(authority.count).dropFirst()

        var hostPart = authority
        var userPart: Substring = ""
        if let at = authority.lastIndex(of: "@") {
            userPart = authority[..<at]
            hostPart = authority[authority.index(after: at)...]
        }
        let userName = userPart.prefix { $0 != ":" }
        let user = try decode(userName, "the user")
        let password = try decode(userPart.dropFirst(userName.count).dropFirst(), "the password")

        var port = 5432
        var host = ""
        if hostPart.hasPrefix("[") {
            guard let close = hostPart.firstIndex(of: "]") else {
                throw refuse("the IPv6 address has no closing bracket")
            }
            host = String(hostPart[hostPart.index(after: hostPart.startIndex)..<close])
            hostPart = hostPart[hostPart.index(after: close)...]
            guard hostPart.isEmpty || hostPart.hasPrefix(":") else { throw refuse("nothing but a port may follow ]") }
        } else {
            let name = hostPart.prefix { $0 != ":" }
            host = try decode(name, "the host")
            hostPart = hostPart.dropFirst(name.count)
        }
        if hostPart.count > 1 {
            guard let number = Int(hostPart.dropFirst()), (1...65535).contains(number) else {
                throw refuse("the port must be a number from 1 to 65535")
            }
            port = number
        }

        self.init(
            host: host, port: port, user: user, password: password.isEmpty ? nil : SecretString(password),
            database: try decode(path, "the database"))
        for pair in query.split(separator: "&") {
            let name = pair.prefix { $0 != "=" }
            let value = try decode(pair.dropFirst(name.count).dropFirst(), String(name))
            switch name {
            case "sslmode":
                guard let mode = TLSMode(rawValue: value) else {
                    throw refuse("sslmode must be one of \(TLSMode.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                tlsMode = mode
            case "sslrootcert": rootCertificateFile = value
            case "host": self.host = value
            case "user": self.user = value
            case "password": self.password = SecretString(value)
            case "dbname": database = value
            case "port":
                guard let number = Int(value), (1...65535).contains(number) else {
                    throw refuse("the port must be a number from 1 to 65535")
                }
                self.port = number
            default: throw refuse("parameter \(name) is not known")
            }
        }
        if self.user.isEmpty { throw refuse("the user is missing") }
        if self.host.isEmpty { self.host = "localhost" }
        if database.isEmpty { database = self.user }
    }
}

/// The text with `%XX` decoded, or nil when that is malformed, not UTF-8, or holds a NUL.
private func percentDecoded(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var iterator = text.utf8.makeIterator()
    while let byte = iterator.next() {
        guard byte == UInt8(ascii: "%") else {
            bytes.append(byte)
            continue
        }
        guard let high = iterator.next(), let low = iterator.next(),
            let decoded = Hex.decode(String(decoding: [high, low], as: UTF8.self)), let value = decoded.first,
            value != 0
        else { return nil }
        bytes.append(value)
    }
    return String(validating: bytes, as: UTF8.self)
}
