// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// A server that takes mail (RFC 5321, RFC 6409).
package struct SMTPServer: Sendable {
    /// How the connection is protected.
    package enum Security: String, Sendable, CaseIterable {
        /// TLS from the first byte (`smtps`, port 465).
        case tls
        /// `STARTTLS`, and nothing is sent without it.
        case startTLS
        /// `STARTTLS` where the server offers it.
        case opportunistic
        /// None.
        case plain
    }

    package var host: String
    package var port: Int
    package var security: Security
    /// With ``password``, the login; nil for none.
    package var user: String?
    package var password: SecretString?
    /// What the client calls itself in `EHLO`: a host name or address literal.
    package var clientName = "localhost"
    package var connectTimeout: Duration = .seconds(10)
    /// Until the server has taken the mail, connecting included.
    package var timeout: Duration = .seconds(60)

    package init(host: String, port: Int, security: Security, user: String? = nil, password: SecretString? = nil) {
        self.host = host
        self.port = port
        self.security = security
        self.user = user
        self.password = password
    }
}
