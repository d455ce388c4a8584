// SPDX-License-Identifier: Apache-2.0
import HTTPClient
import Testing

@Suite("Public addresses")
struct PublicAddressTests {
    static let refused = [
        "127.0.0.1", "127.255.0.9", "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::",
        "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "2001:db8::1",
        "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "localhost", "", "1.2.3",
    ]

    @Test(arguments: refused)
    func refuses(_ address: String) {
        #expect(!PublicAddress.contains(address))
    }

    static let taken = [
        "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "223.255.255.255",
        "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::",
    ]

    @Test(arguments: taken)
    func takes(_ address: String) {
        #expect(PublicAddress.contains(address))
    }
}
