// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// A code that a client exchanges for a session, once.
///
/// The database holds its digest only, so whoever reads a backup can exchange nothing; what goes with the code is sealed
/// under a key that only the code gives.
struct AuthCode: Sendable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    /// 256 random bits.
    static func random() -> AuthCode { AuthCode(Base64URL.encode(randomBytes(32))) }

    /// As `auth.flow_state.auth_code` holds it.
    var stored: String { Hex.encode(digest(text.utf8)) }

    // MARK: The provider's tokens

    private static let keyID = "code"

    private func keyring() throws(CryptographyError) -> Keyring {
        let key = HKDF.derive(
            from: Array(text.utf8), info: Array("provider tokens of a flow".utf8), count: AES256GCM.keyByteCount)
        return try Keyring(keys: [Self.keyID: key], currentID: Self.keyID)
    }

    /// Seals a provider's token for as long as the code waits to be exchanged.
    func seal(_ token: String, in flow: UUID, as name: String) throws(CryptographyError) -> String {
        try keyring().seal(Array(token.utf8), context: SealingContext(flow.description, name))
    }

    func open(_ sealed: String, in flow: UUID, as name: String) throws(CryptographyError) -> String {
        String(decoding: try keyring().open(sealed, context: SealingContext(flow.description, name)), as: UTF8.self)
    }
}
