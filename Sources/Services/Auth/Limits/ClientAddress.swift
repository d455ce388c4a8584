// SPDX-License-Identifier: Apache-2.0
import Glibc
import Primitives

/// A client's numeric IP address.
struct ClientAddress: Sendable {
    /// As PostgreSQL's `inet` reads it.
    let text: String
    private let bytes: [UInt8]

    /// Nil for what is no IP address, such as the peer of a Unix socket.
    init?(_ text: String) {
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            bytes = withUnsafeBytes(of: &four) { Array($0) }
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            bytes = withUnsafeBytes(of: &six) { Array($0) }
        } else {
            return nil
        }
        self.text = text
    }

    /// Whether the address is 127.0.0.0/8 or `::1`, also in its IPv4-mapped form.
    var isLoopback: Bool {
        if bytes.count == 4 { return bytes[0] == 127 }
        if let mapped { return mapped[0] == 127 }
        return bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// What rate limits count by: an IPv4 address, or the /64 network of an IPv6 one, which is one customer's.
    var limitKey: String {
        if bytes.count == 4 { return Hex.encode(bytes) }
        if let mapped { return Hex.encode(mapped) }
        return Hex.encode(bytes.prefix(8))
    }

    private var mapped: [UInt8]? {
        bytes.count == 16 && bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
            ? Array(bytes.suffix(4)) : nil
    }
}
