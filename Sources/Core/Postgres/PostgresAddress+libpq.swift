// SPDX-License-Identifier: Apache-2.0
internal import CPostgres
internal import Primitives

extension PostgresAddress {
    /// Reads a connection string in either of libpq's forms, `postgresql://...` with all its parameters or `host=... dbname=...`.
    /// What it does not say is taken from libpq's environment (`PGHOST`, `PGUSER`, `PGSERVICE`, ...), and else from libpq's defaults.
    ///
    /// - Throws: ``PostgresError`` with `invalidQuery`, which never quotes the string: it holds a password.
    package init(connectionString: String) throws(PostgresError) {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(connectionString, &message) else {
            if let message { PQfreemem(message) }
            throw PostgresError(
                .invalidQuery, "the connection string is neither a URI nor keywords and values of libpq")
        }
        defer { PQconninfoFree(options) }
        let given = Self.values(of: options)
        var defaults: [(name: String, value: String)] = []
        if let environment = PQconndefaults() {
            defaults = Self.values(of: environment)
            PQconninfoFree(environment)
        }
        func value(_ name: String) -> String? {
            given.last { $0.name == name }?.value ?? defaults.last { $0.name == name }?.value
        }
        let user = value("user") ?? ""
        self.init(
            host: value("host") ?? "", port: value("port").flatMap { Int($0) } ?? 5432, user: user,
            password: value("password").map { SecretString($0) }, database: value("dbname") ?? user)
        parameters = given
        // Where several ports go with several hosts, or libpq's own look-up is asked for.
        if let hosts = value("host") { lookup = HostLookup(hosts: hosts, ports: value("port") ?? "") }
        if value("hostaddr") != nil { lookup = nil }
    }

    private static func values(of options: UnsafeMutablePointer<PQconninfoOption>) -> [(name: String, value: String)] {
        var values: [(name: String, value: String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                values.append((name: String(cString: keyword), value: String(cString: value)))
            }
            option += 1
        }
        return values
    }
}

/// Hosts whose names are to be looked up before libpq connects, as it would do that itself on the loop and block it.
struct HostLookup: Sendable {
    private(set) var hosts: [String]
    /// One for all hosts, or one for each; empty for libpq's default.
    private(set) var ports: [String]

    /// - Parameters:
    ///   - hosts: names, addresses and sockets' folders between commas, as libpq's `host` has them.
    ///   - ports: likewise, as `port` has them.
    init(hosts: String, ports: String) {
        self.hosts = hosts.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        self.ports = ports.isEmpty ? [] : ports.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    /// Whether any of the hosts is a name.
    var isNeeded: Bool { hosts.contains { !Self.isPlace($0) } }

    /// What libpq is to be told in place of the names: each host as often as it has addresses. Blocks.
    func resolved() throws -> [(name: String, value: String)] {
        var names: [String] = []
        var addresses: [String] = []
        var expandedPorts: [String] = []
        for (index, host) in hosts.enumerated() {
            let found = Self.isPlace(host) ? [HostAddress.isNumeric(host) ? host : ""] : try HostAddress.resolve(host)
            names += Array(repeating: host, count: found.count)
            addresses += found
            if ports.count > 1, index < ports.count {
                expandedPorts += Array(repeating: ports[index], count: found.count)
            }
        }
        var parameters = [
            (name: "host", value: names.joined(separator: ",")),
            (name: "hostaddr", value: addresses.joined(separator: ",")),
        ]
        if ports.count > 1 {
            parameters.append((name: "port", value: expandedPorts.joined(separator: ",")))
        } else if let port = ports.first {
            parameters.append((name: "port", value: port))
        }
        return parameters
    }

    /// Whether nothing need be looked up: an address, a socket's folder, or libpq's default.
    private static func isPlace(_ host: String) -> Bool {
        host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") || HostAddress.isNumeric(host)
    }
}
