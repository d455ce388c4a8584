// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives

/// What PostgreSQL stores of a password for SCRAM-SHA-256 (RFC 5803): it proves a password and does not tell it, so that a
/// statement with it may stand in a server's log.
struct ScramVerifier: Equatable {
    static let iterations = 4096
    private static let saltByteCount = 16
    private static let mechanism = "SCRAM-SHA-256"

    /// `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`.
    let text: String

    /// - Parameter password: printable ASCII, which needs none of the normalisation of RFC 4013.
    init(password: String) {
        self.init(password: password, salt: randomBytes(Self.saltByteCount), iterations: Self.iterations)
    }

    private init(password: String, salt: [UInt8], iterations: Int) {
        let salted = PBKDF2.derive(from: Array(password.utf8), salt: salt, iterations: iterations, count: 32)
        let clientKey = HMAC.code(for: Array("Client Key".utf8), key: salted)
        let serverKey = HMAC.code(for: Array("Server Key".utf8), key: salted)
        text =
            "\(Self.mechanism)$\(iterations):\(Base64.encode(salt))"
            + "$\(Base64.encode(digest(clientKey))):\(Base64.encode(serverKey))"
    }

    /// Whether `stored`, as in `pg_authid.rolpassword`, was made of this password.
    static func matches(_ stored: String, password: String) -> Bool {
        let parts = stored.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == mechanism else { return false }
        let head = parts[1].split(separator: ":", omittingEmptySubsequences: false)
        guard head.count == 2, let iterations = Int(head[0]), (1...1_000_000).contains(iterations),
            let salt = Base64.decode(head[1])
        else { return false }
        let expected = ScramVerifier(password: password, salt: salt, iterations: iterations)
        return constantTimeEquals(Array(expected.text.utf8), Array(stored.utf8))
    }
}
