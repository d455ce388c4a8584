// SPDX-License-Identifier: Apache-2.0

/// The database roles a request may run as; the raw value is the role's name in SQL and in the `role` claim.
///
/// The server's login can switch to these three only, so a token that names another role is refused before it gets there.
package enum Role: String, Sendable, CaseIterable {
    /// Nobody has signed in.
    case anon
    /// A signed-in user.
    case authenticated
    /// The project's own back end; bypasses row level security.
    case serviceRole = "service_role"
}
