// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// A refresh token as a client holds it. The database has its digest only, so that a copy of it is no set of sessions.
///
/// The first token of a session is random; every other one is made from its parent's digest with a key that is not in the
/// database. So the current token can be told again to a client that never got the answer, or refreshed a moment too late,
/// although nothing that opens the session is stored.
struct RefreshToken: Sendable, Hashable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    /// 134 random bits (ASVS 5.0, 7.2.3), in the alphabet of GoTrue's tokens.
    static func random() -> RefreshToken { RefreshToken(randomText(26)) }

    /// The one token that follows another in a session: 130 bits of HMAC-SHA-256.
    init(after parent: StoredRefreshToken, in session: UUID, key: [UInt8]) {
        let code = HMAC.code(for: "\(session) \(parent.text)".utf8, key: key)
        text = String(Base32.encode(code).lowercased().prefix(26))
    }

    /// Tokens of GoTrue have twelve characters and are stored as they are, so that its rows keep working when they are
    /// copied. Ours are longer, and so is a digest: presenting what is stored opens nothing.
    var stored: StoredRefreshToken {
        text.utf8.count == Self.importedCount
            ? StoredRefreshToken(text: text) : StoredRefreshToken(text: Hex.encode(digest(text.utf8)))
    }

    fileprivate static let importedCount = 12
}

/// What a row of `auth.refresh_tokens` holds of a token.
struct StoredRefreshToken: Sendable, Hashable {
    let text: String

    /// The token itself, for one that was imported.
    var imported: RefreshToken? { text.utf8.count == RefreshToken.importedCount ? RefreshToken(text) : nil }
}
