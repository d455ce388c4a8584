// SPDX-License-Identifier: Apache-2.0

/// Where a server listens and what bounds each connection has.
package struct HTTPServerConfiguration: Sendable {
    /// The numeric address to listen on.
    package var host = "127.0.0.1"
    /// The port; 0 takes a free one.
    package var port: UInt16 = 0
    /// A Unix-domain socket to listen at in place of host and port.
    package var unixSocket: UnixSocket?
    /// Whether other processes may listen on the same port beside this one.
    package var sharesPort = false
    /// Connections the kernel holds before they are accepted.
    package var backlog = 1024
    /// Connections open at a time, over all loops; one more is told 503 and closed.
    package var maxConnections = 10_000
    /// Bytes of a request line; more is 414.
    package var maxRequestLineBytes = 8 << 10
    /// Bytes of all header fields; more is 431.
    package var maxHeaderBytes = 32 << 10
    /// Header fields; more is 431.
    package var maxFieldCount = 100
    /// Bytes of a body where the route says nothing else; more is 413.
    package var maxBodyBytes = 1 << 20
    /// Bytes of a streamed response that may wait in memory for a slow client.
    package var maxUnsentBytes = 256 << 10
    /// From the first byte of a head to its last; then 408.
    package var headerTimeout: Duration = .seconds(10)
    /// Between two pieces of a body the handler waits for; then 408.
    package var bodyTimeout: Duration = .seconds(30)
    /// Between two requests of a connection; then it is closed.
    package var idleTimeout: Duration = .seconds(75)
    /// Without the client taking a byte of a response; then the connection is aborted.
    package var writeTimeout: Duration = .seconds(30)
    /// How long a handler may go on after the client closed its sending side. A half-close is legitimate and looks like a
    /// client that went away; only its reaction to bytes we send would tell.
    package var halfCloseGrace: Duration = .seconds(1)
    /// How long input is discarded after the last response, so that it does not turn into a reset that destroys it.
    package var lingerTimeout: Duration = .seconds(2)
    /// How long requests in flight may take once the server stops.
    package var drainTimeout: Duration = .seconds(10)
    /// Proxies whose `X-Forwarded-For` is believed; nil believes none.
    package var proxyTrust: ProxyTrust?
    /// Certificate and key; nil serves plain HTTP.
    package var tls: TLSConfiguration?

    package init() {}
}

/// Where in the file system a server listens.
package struct UnixSocket: Sendable, Hashable {
    /// The socket's path. One that was left there by a server is replaced.
    package var path: String
    /// The permissions of the socket's file.
    package var mode: UInt32

    package init(path: String, mode: UInt32 = 0o660) {
        self.path = path
        self.mode = mode
    }
}

/// The PEM files of a TLS server.
package struct TLSConfiguration: Sendable {
    /// The certificate and its chain.
    package var certificatePath: String
    /// The private key.
    package var keyPath: String

    package init(certificatePath: String, keyPath: String) {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
    }
}

/// One answered request, as logs and metrics see it.
package struct HTTPExchange: Sendable {
    package let request: HTTPRequest
    /// The route's pattern; nil when no route took the request.
    package let route: String?
    package let status: HTTPStatus
    /// Bytes of the response's body.
    package let bodyBytes: Int
    /// From the end of the request's head to the response being handed to the kernel or to the connection's queue.
    package let duration: Duration
}

/// What was refused before it became a request: a head that cannot be parsed or took too long, or a connection too many.
package struct HTTPRefusal: Sendable {
    package let status: HTTPStatus
    /// One of the server's own texts: nothing of what the client sent.
    package let reason: String
    package let remoteAddress: String
}
