// SPDX-License-Identifier: Apache-2.0

/// How a client makes its connections. The bounds hold on each loop.
package struct HTTPClientConfiguration: Sendable {
    /// Transfers at a time; one more is refused with ``HTTPClientError/Code/overloaded``.
    package var maxTransfers = 256
    /// Open connections at a time; transfers beyond wait for one, within their time.
    package var maxConnections = 128
    /// Open connections to one host at a time.
    package var maxConnectionsPerHost = 32
    /// Idle connections kept for later.
    package var maxIdleConnections = 32
    /// The largest head of a response, in bytes.
    package var maxResponseHeaderBytes = 64 << 10
    /// PEM file of certificate authorities instead of the system's.
    package var certificateAuthorityFile: String?
    /// `http://host:port` of a proxy; nil for none. What the environment says of proxies is not looked at.
    package var proxy: String?
    /// Whether hosts at loopback, link-local and private addresses are refused (server-side request forgery). The address that is
    /// connected to is looked at, so a name that resolves to such an address is refused as well. A configured proxy resolves
    /// names itself and must refuse them itself.
    package var refusesPrivateAddresses = false

    package init() {}
}
