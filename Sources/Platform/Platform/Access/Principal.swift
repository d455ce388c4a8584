// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import HTTP
package import Postgres
package import Primitives

/// Who a request speaks for, proved by a signature or by a key compared in constant time.
///
/// There is no way to make one from what a client merely says: see ``AccessControl``.
package struct Principal: Sendable {
    /// The role its statements run as.
    package let role: Role
    /// `sub`, when it is a user of this project.
    package let userID: UUID?
    /// `app_metadata.tenant_id`: the tenant the user works in. Users cannot write their `app_metadata`.
    package let tenantID: UUID?
    /// `session_id` of the session the token was issued in.
    package let sessionID: UUID?
    /// Whether the user signed in without naming themselves.
    package let isAnonymous: Bool
    /// Whether another identity service issued the token (`[auth.third_party]`).
    package let isForeign: Bool
    /// The claims as JSON text: the value of `request.jwt.claims`.
    package let claims: String
    /// User and tenant under the server's seal, for `request.identity`: what the database believes where a function may have changed the
    /// claims. Nil for who is no user of the project, or where nothing is sealed.
    package let identity: String?

    /// - Parameters:
    ///   - verified: claims whose signature was checked, or the server's own for a key that is no token.
    ///   - seal: makes ``identity``.
    package init(role: Role, verified: JWTClaims, isForeign: Bool = false, seal: IdentitySeal? = nil) {
        self.role = role
        self.isForeign = isForeign
        userID = isForeign ? nil : verified.subject.flatMap { UUID($0) }
        tenantID = verified["app_metadata"]?["tenant_id"]?.stringValue.flatMap { UUID($0) }
        sessionID = isForeign ? nil : verified["session_id"]?.stringValue.flatMap { UUID($0) }
        isAnonymous = verified["is_anonymous"] == true
        claims = verified.text
        identity = if role == .authenticated, let seal, let userID { seal.identity(userID, tenantID) } else { nil }
    }

    /// The principal of a key that carries no claims.
    package init(role: Role) {
        self.init(role: role, verified: JWTClaims(["role": .string(role.rawValue)]))
    }
}

extension Principal {
    /// What says in a transaction who it is run for.
    package var settings: [(name: String, value: String)] {
        var settings = [(name: "request.jwt.claims", value: claims)]
        if let identity { settings.append((name: "request.identity", value: identity)) }
        return settings
    }

    /// A unit of work that runs as this principal: its role, its claims, then the queries, in one transaction.
    ///
    /// - Parameters:
    ///   - readOnly: PostgreSQL refuses writes, also those of functions.
    ///   - request: when given, what functions and policies may ask about it too: `request.method`, `request.path`,
    ///     `request.headers` and `request.cookies`, the latter two as JSON objects.
    package func unit(
        _ queries: [PostgresQuery], readOnly: Bool = false, request: HTTPRequest? = nil
    ) -> WorkUnit {
        var settings = self.settings
        if let request { settings += RequestSettings.settings(of: request) }
        return WorkUnit(role: role.rawValue, settings: settings, readOnly: readOnly, queries: queries)
    }
}
