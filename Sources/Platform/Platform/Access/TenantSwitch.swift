// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// What came of a session's wish to work in another tenant.
package enum TenantSwitch: Sendable {
    /// The session with its new tokens, in the wire form of a sign-in.
    case switched(JSON)
    /// The user does not belong to the tenant, or may not enter it now.
    case notAMember
    /// The session is over, or the token was issued in none.
    case noSession
}
