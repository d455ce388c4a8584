// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Primitives

/// The user a bearer token speaks for. Endpoints for signed-in users take one, so they cannot be reached without it.
struct SignedInUser: Sendable {
    let id: UUID
    /// Nil for a token the project itself signed for one of its users.
    let sessionID: UUID?

    /// - Throws: `AccessError` for a key or token that is not valid, `noAuthorization` without a bearer token, `badJWT` for one of no user.
    init(_ request: HTTPRequest, _ access: AccessControl) throws {
        _ = try access.keyHolder(for: request)
        guard AccessControl.bearerToken(of: request).map({ !$0.isEmpty }) ?? false else {
            throw AuthError(.noAuthorization, "This endpoint requires a valid Bearer token")
        }
        let principal = try access.principal(for: request)
        guard let id = principal.userID else { throw AuthError(.badJWT, "invalid claim: missing sub claim") }
        self.id = id
        sessionID = principal.sessionID
    }
}
