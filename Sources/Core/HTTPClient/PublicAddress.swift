// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Which addresses belong to the Internet, by the IANA registries of special-purpose addresses (RFC 6890).
package enum PublicAddress {
    /// Whether a numeric address is globally reachable; false for what is none.
    package static func contains(_ text: String) -> Bool {
        // A scope identifier (`fe80::1%eth0`) is only ever with a link-local address.
        guard !text.contains("%") else { return false }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            return withUnsafeBytes(of: &four) { contains(four: Array($0)) }
        }
        var six = in6_addr()
        if inet_pton(AF_INET6, text, &six) == 1 {
            return withUnsafeBytes(of: &six) { contains(six: Array($0)) }
        }
        return false
    }

    /// - Parameter address: a `sockaddr_in` or `sockaddr_in6`; false for other families.
    static func contains(_ address: UnsafePointer<sockaddr>) -> Bool {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin_addr) { contains(four: Array($0)) }
            }
        case AF_INET6:
            return address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { pointer in
                withUnsafeBytes(of: pointer.pointee.sin6_addr) { contains(six: Array($0)) }
            }
        default: return false
        }
    }

    private struct Network {
        let prefix: [UInt8]
        let bits: Int

        init(_ prefix: [UInt8], _ bits: Int) {
            self.prefix = prefix
            self.bits = bits
        }

        func contains(_ address: [UInt8]) -> Bool {
            for bit in 0..<bits {
                let mask: UInt8 = 0x80 >> UInt8(bit % 8)
                let wanted = bit / 8 < prefix.count ? prefix[bit / 8] & mask : 0
                if address[bit / 8] & mask != wanted { return false }
            }
            return true
        }
    }

    private static let specialFour: [Network] = [
        Network([0], 8), Network([10], 8), Network([100, 64], 10), Network([127], 8), Network([169, 254], 16),
        Network([172, 16], 12), Network([192, 0, 0], 24), Network([192, 0, 2], 24), Network([192, 88, 99], 24),
        Network([192, 168], 16), Network([198, 18], 15), Network([198, 51, 100], 24), Network([203, 0, 113], 24),
        Network([224], 4), Network([240], 4),
    ]

    /// What lies outside of 2000::/3 is not global unicast at all; inside it, these are special.
    private static let specialSix: [Network] = [
        Network([0x20, 0x01], 23), Network([0x20, 0x01, 0x0d, 0xb8], 32), Network([0x3f, 0xff], 20),
    ]
    private static let globalUnicast = Network([0x20], 3)
    private static let mapped = Network([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 96)
    private static let translated = Network([0, 0x64, 0xff, 0x9b], 96)
    private static let sixToFour = Network([0x20, 0x02], 16)

    private static func contains(four: [UInt8]) -> Bool {
        !specialFour.contains { $0.contains(four) }
    }

    /// Addresses that carry an IPv4 address are as public as that.
    private static func contains(six: [UInt8]) -> Bool {
        if mapped.contains(six) || translated.contains(six) { return contains(four: Array(six.suffix(4))) }
        if sixToFour.contains(six) { return contains(four: Array(six[2..<6])) }
        return globalUnicast.contains(six) && !specialSix.contains { $0.contains(six) }
    }
}
