// SPDX-License-Identifier: Apache-2.0
package import HTTP

/// A request to make.
package struct HTTPClientRequest: Sendable {
    package var method: HTTPMethod
    /// Absolute, `http` or `https`, without user and password.
    package var url: String
    package var headers: HTTPHeaders
    /// Nil for none; an empty body is sent with its length of 0.
    package var body: [UInt8]?
    /// Until the connection stands, TLS included.
    package var connectTimeout: Duration = .seconds(5)
    /// Until the whole response is there, connecting included.
    package var timeout: Duration = .seconds(10)
    /// The largest body of a response, in bytes; a larger one is ``HTTPClientError/Code/bodyTooLarge``.
    package var maxResponseBytes = 1 << 20
    /// Redirects followed of GET and HEAD; those of other methods are answered as they are. 0 for none.
    package var maxRedirects = 0
    /// Overrides ``HTTPClientConfiguration/refusesPrivateAddresses``.
    package var refusesPrivateAddresses: Bool?

    package init(_ method: HTTPMethod, _ url: String, headers: HTTPHeaders = [:], body: [UInt8]? = nil) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

/// What a server answered, whatever the status.
package struct HTTPClientResponse: Sendable {
    package var status: HTTPStatus
    /// Those of the last response when redirects were followed.
    package var headers: HTTPHeaders
    /// As it was sent: no encoding is asked for, and none undone.
    package var body: [UInt8]
}
