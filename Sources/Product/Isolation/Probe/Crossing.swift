// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// One attempt of one caller at what belongs to another tenant, and how it ended.
package struct Crossing: Sendable {
    package enum Action: String, Sendable, CaseIterable {
        case read
        case insert
        case update
        case delete
        /// One's own row made another tenant's.
        case move
        /// A row of one's own that points at another tenant's.
        case reference
        case call
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

/// A tenant made for a probe, its only member, and what its rows can be known by.
package struct ProbeTenant: Sendable {
    package let userID: UUID
    package let tenantID: UUID
    package let email: String

    /// Stands in every text of its rows.
    package var marker: String { "probe-\(Hex.encode(Array(userID.bytes.prefix(6))))" }

    /// What a row of its own holds somewhere.
    package var marks: [String] { [userID.description, tenantID.description, marker] }

    /// What its member's token says.
    package var claims: JSON {
        [
            "sub": .string(userID.description), "role": "authenticated", "aud": "authenticated",
            "email": .string(email), "is_anonymous": false, "aal": "aal1",
            "app_metadata": .object(["tenant_id": .string(tenantID.description)]), "user_metadata": .object([:]),
        ]
    }
}
