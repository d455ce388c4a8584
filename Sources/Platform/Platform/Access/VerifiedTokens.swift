// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import Primitives
internal import Synchronization

/// Tokens whose signature was found good lately, so that a session's requests pay for it once: decoding and verifying took
/// half of the processor time of a small read.
///
/// Only good tokens are kept, and the whole text is the key, so a forged token is never found here. Times are not part of
/// what is kept: whoever looks a token up checks them. The keys that verified it do not change within one `AccessControl`.
final class VerifiedTokens: Sendable {
    /// What a good token says.
    struct Token: Sendable {
        let claims: JWTClaims
        /// Whether it has a role claim at all.
        let namesRole: Bool
        /// Nil when the role is none that requests can have. A token that names no role is a visitor's with claims.
        let principal: Principal?

        init(_ claims: JWTClaims) {
            self.claims = claims
            let claim = claims["role"]
            namesRole = claim != nil
            let role = claim == nil ? Role.anon : claim?.stringValue.flatMap(Role.init)
            principal = role.map { Principal(role: $0, verified: claims) }
        }
    }

    /// Two generations: when the younger is full it becomes the older, and what the older held unused is forgotten.
    private struct Generations {
        var younger: [String: Token] = [:]
        var older: [String: Token] = [:]
    }
    private let generations = Mutex(Generations())
    private let maxPerGeneration: Int

    init(maxEntries: Int) { maxPerGeneration = max(1, maxEntries / 2) }

    func token(_ text: String) -> Token? {
        generations.withLock { state in
            if let token = state.younger[text] { return token }
            guard let token = state.older.removeValue(forKey: text) else { return nil }
            Self.insert(token, text, into: &state, maxPerGeneration)
            return token
        }
    }

    func insert(_ token: Token, _ text: String) {
        generations.withLock { Self.insert(token, text, into: &$0, maxPerGeneration) }
    }

    /// How many tokens are kept.
    var count: Int { generations.withLock { $0.younger.count + $0.older.count } }

    private static func insert(_ token: Token, _ text: String, into state: inout Generations, _ bound: Int) {
        if state.younger.count >= bound {
            state.older = state.younger
            state.younger = [:]
        }
        state.younger[text] = token
    }
}
