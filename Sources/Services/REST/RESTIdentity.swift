// SPDX-License-Identifier: Apache-2.0

/// Who a request runs as, once the gateway has decided.
package struct RESTIdentity: Sendable {
    /// The SQL role.
    package var role: String
    /// The token's claims as JSON text, for `request.jwt.claims`; nil leaves the setting unset.
    package var claims: String?
    /// Whether the request came without a user: then missing privileges are answered 401, which says that signing in may help.
    package var isAnonymous: Bool

    package init(role: String, claims: String?, isAnonymous: Bool) {
        self.role = role
        self.claims = claims
        self.isAnonymous = isAnonymous
    }
}
