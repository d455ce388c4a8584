// SPDX-License-Identifier: Apache-2.0

/// Why a transfer came to nothing. Holds no part of the request but the host's name and port.
package struct HTTPClientError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The URL cannot be read, has another scheme than allowed, or holds a password.
        case invalidURL
        /// A header, address or credential holds a character that would end its line.
        case invalidRequest
        /// The host's name has no address.
        case unknownHost
        /// No connection could be made.
        case connectionFailed
        /// The connection ended, or what came is not the protocol.
        case connectionLost
        /// The certificate is not trusted or not the host's, or TLS failed otherwise.
        case tlsFailed
        /// The host is at a private address and the setting refuses those.
        case addressRefused
        /// Not done within its time.
        case timeout
        /// The response is larger than allowed.
        case bodyTooLarge
        /// More redirects than allowed, or one to another scheme.
        case redirectRefused
        /// As many transfers as allowed are under way.
        case overloaded
        /// The server of a mail refused it for now (4yz); trying again makes sense.
        case mailDeferred
        /// The server of a mail refused it for good (5yz).
        case mailRefused
        /// The server of a mail refused user or password.
        case loginRefused
        /// The task was cancelled.
        case cancelled
        /// The client was shut down, or is used outside of its loops.
        case misuse
    }

    package var code: Code
    /// For the log.
    package var message: String
    /// What a mail server answered last, such as 550; nil when it has answered nothing.
    package var replyCode: Int?

    package init(_ code: Code, _ message: String, replyCode: Int? = nil) {
        self.code = code
        self.message = message
        self.replyCode = replyCode
    }

    package var description: String { "\(code.rawValue): \(message)" }
}
