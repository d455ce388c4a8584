// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// One attempt of one caller at what belongs to another tenant, and how it ended.
package struct Crossing: Sendable {
    /// In the order of the matrix's columns.
    package enum Action: String, Sendable, CaseIterable {
        case read
        /// The names of what is there.
        case list
        /// How many rows there are, or whether one is.
        case count
        /// The other tenant's rows within an answer about one's own.
        case embed
        case insert
        case update
        /// An insert that takes the place of what is the other's.
        case upsert
        case delete
        /// One's own row or file made another tenant's, or another's made one's own.
        case move
        case copy
        /// A row of one's own that points at another tenant's.
        case reference
        case call
        /// An address that lets whoever holds it in.
        case sign
        /// Somebody else's name in a token or a form.
        case forge
        /// An answer for one caller that reaches the next: on the same connection, or out of a cache.
        case share
    }

    package enum Caller: String, Sendable {
        /// A signed-in member of another tenant.
        case member
        /// Nobody: the public key alone.
        case visitor
    }

    package enum Outcome: Sendable, Equatable {
        /// Nothing of the other tenant's was seen or changed.
        case held
        case leaked
        /// The attempt could not be made, so that nothing is shown.
        case untried(String)
    }

    /// `sql`, `rest`, `storage`, ...
    package var channel: String
    /// What was tried: a table's, view's, function's or bucket's name.
    package var object: String
    package var action: Action
    package var caller: Caller
    package var outcome: Outcome
    /// What was sent, to be sent again by hand.
    package var request: String
    /// What to do about it.
    package var fix: String

    package var json: JSON {
        var object: JSONObject = [
            "channel": .string(channel), "object": .string(self.object), "action": .string(action.rawValue),
            "caller": .string(caller.rawValue),
        ]
        switch outcome {
        case .held: object["outcome"] = "held"
        case .leaked:
            object["outcome"] = "leaked"
            object["request"] = .string(request)
            object["fix"] = .string(fix)
        case .untried(let reason):
            object["outcome"] = "untried"
            object["reason"] = .string(reason)
        }
        return .object(object)
    }
}
