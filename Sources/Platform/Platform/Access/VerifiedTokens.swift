// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives
internal import Synchronization

/// Tokens whose signature was found good lately, so that a session's requests pay for it once: decoding and verifying took
/// half of the processor time of a small read.
///
/// Only good tokens are kept, and the whole text is the key, so a forged token is never found here. Times are not part of
/// what is kept: whoever looks a token up checks them, and whether the keys in force are still those that verified it.
final class VerifiedTokens: Sendable {
    /// What a good token says.
    struct Token: Sendable {
        let claims: JWTClaims
        /// Whether it has a role claim at all.
        let namesRole: Bool
        /// Nil when the role is none that requests can have. A token that names no role is a visitor's with claims.
        let principal: Principal?
        /// That of the keys that verified it; see ``TokenKeys``.
        let generation: Int
        private let expiry: Double

        init(_ claims: JWTClaims, generation: Int = 0, isForeign: Bool = false, seal: IdentitySeal? = nil) {
            self.claims = claims
            self.generation = generation
            let claim = claims["role"]
            namesRole = claim != nil
            let role = claim == nil ? Role.anon : claim?.stringValue.flatMap(Role.init)
            expiry = claims["exp"]?.doubleValue ?? .infinity
            // Only the project itself says who its back end is.
            principal =
                isForeign && role == .serviceRole
                ? nil : role.map { Principal(role: $0, verified: claims, isForeign: isForeign, seal: seal) }
        }

        /// Whether its times need no second look: those of its start have passed when it was verified, and the end is still to come.
        func isWithinTimes(_ now: Timestamp) -> Bool { Double(now.unixSeconds) < expiry }
    }

    private let tokens: Mutex<RecentlyUsed<TextKey, Token>>

    /// - Parameter maxBytes: of the tokens' texts; what is parsed of them takes a few times as much. Users put into their metadata, and
    ///   so into their tokens, what they like: a bound on their number alone would bound nothing.
    init(maxEntries: Int, maxBytes: Int = 4 << 20) {
        tokens = Mutex(RecentlyUsed(maxEntries: maxEntries, maxCost: maxBytes))
    }

    func token(_ text: String) -> Token? {
        let key = TextKey(text)
        return tokens.withLock { $0.value(for: key, cost: text.utf8.count) }
    }

    func insert(_ token: Token, _ text: String) {
        let key = TextKey(text)
        tokens.withLock { $0.insert(token, for: key, cost: text.utf8.count) }
    }

    /// How many tokens are kept.
    var count: Int { tokens.withLock { $0.count } }
}
