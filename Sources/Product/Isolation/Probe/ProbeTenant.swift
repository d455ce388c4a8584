// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// A tenant made for a probe, its only member, and what its rows can be known by.
package struct ProbeTenant: Sendable {
    package let userID: UUID
    package let tenantID: UUID
    package let email: String

    /// Where the addresses of probes end: a domain that never receives mail (RFC 2606).
    static let domain = "probe.invalid"

    /// An address that says what it is for, so that the account is known again after a crash.
    static func address(_ name: String) -> String { "\(name)-\(UUID.random())@\(domain)" }

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
