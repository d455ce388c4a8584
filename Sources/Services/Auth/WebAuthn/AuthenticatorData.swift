// SPDX-License-Identifier: Apache-2.0
import Primitives

/// What an authenticator says of one use of it (Web Authentication Level 3, section 6.1).
struct AuthenticatorData: Sendable {
    struct Flags: OptionSet, Sendable {
        let rawValue: UInt8
        static let userPresent = Flags(rawValue: 1 << 0)
        static let userVerified = Flags(rawValue: 1 << 2)
        static let backupEligible = Flags(rawValue: 1 << 3)
        static let backedUp = Flags(rawValue: 1 << 4)
        static let attestedCredential = Flags(rawValue: 1 << 6)
        static let extensions = Flags(rawValue: 1 << 7)
    }

    /// A key that was made.
    struct AttestedCredential: Sendable {
        let aaguid: [UInt8]
        let id: [UInt8]
        /// A COSE key.
        let publicKey: [UInt8]
    }

    let relyingPartyDigest: [UInt8]
    let flags: Flags
    let signCount: UInt32
    let attested: AttestedCredential?

    private static let fixedByteCount = 37
    private static let maxCredentialIDBytes = 1023

    /// Nil for bytes that do not come out even.
    init?(_ bytes: [UInt8]) {
        guard bytes.count >= Self.fixedByteCount else { return nil }
        relyingPartyDigest = Array(bytes[..<32])
        flags = Flags(rawValue: bytes[32])
        signCount = bytes[33..<37].reduce(0) { $0 << 8 | UInt32($1) }
        var rest = bytes[Self.fixedByteCount...]
        if flags.contains(.attestedCredential) {
            guard let attested = Self.attested(&rest) else { return nil }
            self.attested = attested
        } else {
            attested = nil
        }
        if flags.contains(.extensions) {
            guard case .map? = try? CBOR(readingFrom: &rest) else { return nil }
        }
        guard rest.isEmpty else { return nil }
    }

    private static func attested(_ rest: inout ArraySlice<UInt8>) -> AttestedCredential? {
        guard rest.count >= 18 else { return nil }
        let aaguid = Array(rest.prefix(16))
        rest = rest.dropFirst(16)
        let count = rest.prefix(2).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(2)
        guard (1...maxCredentialIDBytes).contains(count), rest.count > count else { return nil }
        let id = Array(rest.prefix(count))
        rest = rest.dropFirst(count)
        let key = rest
        guard case .map? = try? CBOR(readingFrom: &rest) else { return nil }
        return AttestedCredential(aaguid: aaguid, id: id, publicKey: Array(key.dropLast(rest.count)))
    }
}
