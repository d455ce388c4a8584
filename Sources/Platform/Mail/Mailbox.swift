// SPDX-License-Identifier: Apache-2.0

/// A person or program that writes or gets mail: an address and perhaps a name.
package struct Mailbox: Sendable, Hashable {
    /// `local@domain` in ASCII.
    package let address: String
    /// Empty for none; any Unicode but control characters.
    package let name: String

    /// - Throws: `invalidAddress` for what no SMTP server could be told as it is, `invalidHeader` for a name that would end its line.
    package init(_ address: String, name: String = "") throws(MailError) {
        let parts = address.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        // Quoted local parts with spaces exist in the standard and nowhere else.
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), address.utf8.count <= 254,
            address.utf8.allSatisfy({ (0x21...0x7e).contains($0) && !#"<>()[]:;,\""#.utf8.contains($0) })
        else { throw .invalidAddress }
        guard !name.unicodeScalars.contains(where: HeaderText.isControl) else { throw .invalidHeader(name: "name") }
        self.address = address
        self.name = name
    }

    /// As a header says it.
    var headerValue: String {
        if name.isEmpty { return address }
        return "\(HeaderText.phrase(name)) <\(address)>"
    }

    /// What follows the `@`.
    var domain: Substring { address.split(separator: "@").last ?? "localhost" }
}
