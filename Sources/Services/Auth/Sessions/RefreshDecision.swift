// SPDX-License-Identifier: Apache-2.0
import Primitives

/// What the database says of a presented refresh token, read while its session's row is locked.
struct RefreshFacts: Sendable {
    /// A token of the session that is not revoked, the newest.
    struct ActiveToken: Sendable, Hashable {
        var token: String
        var parent: String?
    }

    var token: String
    var isRevoked: Bool
    var updatedAt: Timestamp
    var active: ActiveToken?
    var sessionCreatedAt: Timestamp
    var sessionRefreshedAt: Timestamp?
    var sessionEndsAt: Timestamp?
    /// The database's clock, by which the other times were written.
    var now: Timestamp
}

/// What becomes of a refresh token: the rule, without the database.
enum RefreshDecision: Sendable, Hashable {
    /// It is the session's current token: revoke it and issue its child.
    case rotate
    /// It was spent a moment ago, or its child has not been used: answer with the session's current token.
    case answerWith(String)
    /// The session is over.
    case refuseExpired
    /// It was spent and somebody uses it again: a thief, or whoever was robbed. Nobody can tell, so both lose.
    case refuseReuse

    /// Decides by rotation with a reuse interval (RFC 9700 section 4.14.2).
    ///
    /// A spent token never yields a second line of tokens: within the interval, as for the parent of the current token,
    /// the answer is the current token, so that concurrent refreshes all end up with the same working one. After the
    /// family is revoked there is no current token, and the interval revives nothing.
    init(_ facts: RefreshFacts, reuseInterval: Duration, timebox: Duration?, inactivityTimeout: Duration?) {
        if Self.isOver(facts, timebox: timebox, inactivityTimeout: inactivityTimeout) {
            self = .refuseExpired
        } else if !facts.isRevoked {
            self = .rotate
        } else if let active = facts.active,
            active.parent == facts.token || facts.now < facts.updatedAt + reuseInterval
        {
            self = .answerWith(active.token)
        } else {
            self = .refuseReuse
        }
    }

    private static func isOver(_ facts: RefreshFacts, timebox: Duration?, inactivityTimeout: Duration?) -> Bool {
        if let end = facts.sessionEndsAt, end <= facts.now { return true }
        if let timebox, timebox > .zero, facts.sessionCreatedAt + timebox <= facts.now { return true }
        let lastUse = facts.sessionRefreshedAt ?? facts.sessionCreatedAt
        if let inactivityTimeout, inactivityTimeout > .zero, lastUse + inactivityTimeout <= facts.now { return true }
        return false
    }
}
