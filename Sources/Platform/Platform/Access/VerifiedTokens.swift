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

        init(_ claims: JWTClaims, generation: Int = 0, isForeign: Bool = false) {
            self.claims = claims
            self.generation = generation
            let claim = claims["role"]
            namesRole = claim != nil
            let role = claim == nil ? Role.anon : claim?.stringValue.flatMap(Role.init)
            // Only the project itself says who its back end is.
            principal =
                isForeign && role == .serviceRole
                ? nil : role.map { Principal(role: $0, verified: claims, isForeign: isForeign) }
        }
    }

    /// Two generations: when the younger is full it becomes the older, and what the older held unused is forgotten.
    private struct Generations {
        var younger: [String: Token] = [:]
        /// The bytes of the younger's texts; what is parsed of them takes a few times as much.
        var youngerBytes = 0
        var older: [String: Token] = [:]
    }

    /// What a generation may hold.
    private struct Bound {
        var entries: Int
        var bytes: Int
    }
    private let generations = Mutex(Generations())
    private let bound: Bound

    /// - Parameter maxBytes: of the tokens' texts. Users put into their metadata, and so into their tokens, what they
    ///   like: a bound on their number alone would bound nothing.
    init(maxEntries: Int, maxBytes: Int = 4 << 20) {
        bound = Bound(entries: max(1, maxEntries / 2), bytes: max(1, maxBytes / 2))
    }

    func token(_ text: String) -> Token? {
        generations.withLock { state in
            if let token = state.younger[text] { return token }
            guard let token = state.older.removeValue(forKey: text) else { return nil }
            Self.insert(token, text, into: &state, bound)
            return token
        }
    }

    func insert(_ token: Token, _ text: String) {
        generations.withLock { Self.insert(token, text, into: &$0, bound) }
    }

    /// How many tokens are kept.
    var count: Int { generations.withLock { $0.younger.count + $0.older.count } }

    private static func insert(_ token: Token, _ text: String, into state: inout Generations, _ bound: Bound) {
        let byteCount = text.utf8.count
        guard byteCount <= bound.bytes else { return }
        if state.younger.count >= bound.entries || state.youngerBytes + byteCount > bound.bytes {
            state.older = state.younger
            state.younger = [:]
            state.youngerBytes = 0
        }
        if state.younger.updateValue(token, forKey: text) == nil { state.youngerBytes += byteCount }
    }
}
