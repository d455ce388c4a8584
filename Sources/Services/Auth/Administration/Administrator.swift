// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// A request's right to administer accounts. Endpoints below `/admin` take one, so they cannot be reached without it.
struct Administrator: Sendable {
    /// What the audit log calls the actor.
    let role: String

    fileprivate init(role: String) {
        self.role = role
    }

    var actor: AuditEvent.Actor { .administrator(role: role) }
}

extension AuthService {
    /// - Throws: `noAuthorization` without a credential beyond the publishable key, `notAdmin` for one of another role,
    ///   `sessionExpired` for a token whose session has ended, `AccessError` for a wrong one.
    func administrator(_ request: HTTPRequest) async throws -> Administrator {
        let principal = try access.principal(for: request)
        guard principal.role == .serviceRole else {
            guard AccessControl.bearerToken(of: request)?.isEmpty == false else {
                throw AuthError(.noAuthorization, "This endpoint requires a valid Bearer token")
            }
            throw AuthError(.notAdmin, "User not allowed")
        }
        if let session = principal.sessionID {
            let found = try await database.run(
                WorkUnit(
                    readOnly: true, statementTimeout: configuration.statementTimeout,
                    queries: ["select from auth.sessions where id = \(session)"]))
            guard found.first?.rowCount == 1 else {
                throw AuthError(.sessionExpired, "Session of the token has ended", status: 403)
            }
        }
        return Administrator(role: principal.role.rawValue)
    }

    /// The user a path names.
    ///
    /// - Throws: `validationFailed` for what is no UUID, `userNotFound`; both 404.
    func userID(in request: HTTPRequest) throws(AuthError) -> UUID {
        guard let id = request.parameters["user"].flatMap({ UUID($0) }) else {
            throw AuthError(.validationFailed, "user_id must be an UUID", status: 404)
        }
        return id
    }

    static var userNotFound: AuthError { AuthError(.userNotFound, "User not found", status: 404) }

    func registerAdministration(on router: inout Router) {
        on(.get, "/admin/users", &router, listUsers)
        on(.post, "/admin/users", &router, createUser)
        on(.get, "/admin/users/:user", &router, getUser)
        on(.put, "/admin/users/:user", &router, updateUser)
        on(.delete, "/admin/users/:user", &router, deleteUser)
        on(.get, "/admin/users/:user/factors", &router, listFactors)
        on(.put, "/admin/users/:user/factors/:factor", &router, updateFactor)
        on(.delete, "/admin/users/:user/factors/:factor", &router, deleteFactor)
        on(.get, "/admin/audit", &router, listAuditEntries)
    }
}
