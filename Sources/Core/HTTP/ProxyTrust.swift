// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// Which proxies' word about the client is believed.
package struct ProxyTrust: Sendable {
    private struct Network: Sendable {
        var bytes: [UInt8]
        var prefixBits: Int

        func contains(_ address: [UInt8]) -> Bool {
            guard address.count == bytes.count else { return false }
            for bit in 0..<prefixBits where (bytes[bit / 8] ^ address[bit / 8]) & (0x80 >> UInt8(bit % 8)) != 0 {
                return false
            }
            return true
        }
    }
    private let networks: [Network]

    /// - Parameter networks: addresses or networks in CIDR form: `10.0.0.0/8`, `::1`.
    /// - Throws: ``ProxyTrustError`` naming the one that is malformed.
    package init(networks: [String]) throws(ProxyTrustError) {
        var parsed: [Network] = []
        for text in networks {
            let parts = text.split(separator: "/", maxSplits: 1)
            guard let first = parts.first, let bytes = Self.bytes(of: String(first)),
                let bits = parts.count == 2 ? Int(parts[1]) : bytes.count * 8, (0...bytes.count * 8).contains(bits)
            else { throw ProxyTrustError(network: text) }
            parsed.append(Network(bytes: bytes, prefixBits: bits))
        }
        self.networks = parsed
    }

    /// Whether no proxy is trusted.
    package var isEmpty: Bool { networks.isEmpty }

    /// The client's address: the last one of `X-Forwarded-For` that is no trusted proxy, when the peer is one; else the peer.
    ///
    /// What stands left of the first untrusted address was written by the client itself and proves nothing.
    package func client(peer: String, forwardedFor: [String]) -> String {
        guard isTrusted(peer) else { return peer }
        var client = peer
        for hop in forwardedFor.joined(separator: ",").split(separator: ",").reversed() {
            let address = hop.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            guard Self.bytes(of: String(address)) != nil else { return client }
            client = String(address)
            guard isTrusted(client) else { return client }
        }
        return client
    }

    /// Whether a peer is one of the proxies.
    package func isTrusted(_ address: String) -> Bool {
        guard let bytes = Self.bytes(of: address) else { return false }
        return networks.contains { $0.contains(bytes) }
    }

    private static func bytes(of address: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, address, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, address, &six) == 1 { return withUnsafeBytes(of: &six) { Array($0) } }
        return nil
    }
}

/// A trusted network that is no address.
package struct ProxyTrustError: Error, Sendable, CustomStringConvertible {
    /// As it was given.
    package let network: String
    package var description: String { "\(network) is no IP address or network" }
}
