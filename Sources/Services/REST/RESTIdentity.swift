// SPDX-License-Identifier: Apache-2.0
package import Platform

/// Who a request runs as, once the gateway has decided.
package struct RESTIdentity: Sendable {
    /// The SQL role.
    package var role: String
    /// The token's claims as JSON text, for `request.jwt.claims`; nil leaves the setting unset.
    package var claims: String?
    /// The user under the server's seal, for `request.identity`; see ``Principal/identity``.
    package var sealed: String?
    /// Whether the request came without a user: then missing privileges are answered 401, which says that signing in may help.
    package var isAnonymous: Bool
    /// Who it is, where tenants may have schemas of their own.
    package var principal: Principal?
    /// Whether the request reaches the schema of its tenant.
    var hasSchema = false

    package init(role: String, claims: String?, isAnonymous: Bool, principal: Principal? = nil) {
        self.role = role
        self.claims = claims
        self.isAnonymous = isAnonymous
        self.principal = principal
    }
}
