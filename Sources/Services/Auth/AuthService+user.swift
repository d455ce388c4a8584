// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// Endpoints for the signed-in user.
extension AuthService {
    /// `GET /user`.
    func currentUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        return .json(try await user(of: caller).json)
    }

    /// What of the user's sessions ends.
    private enum LogoutScope: String {
        case global
        case local
        case others
    }

    /// `POST /logout`: ends sessions, whose refresh tokens go with them. Access tokens live on until they expire.
    func logOut(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        let named = request.query.flatMap { FormFields(query: $0).first("scope") } ?? ""
        guard let scope = named.isEmpty ? .global : LogoutScope(rawValue: named) else {
            throw AuthError(.validationFailed, "Unsupported logout scope \"\(named.prefix(32))\"")
        }
        _ = try await user(of: caller)
        let unit = WorkUnit(
            statementTimeout: configuration.statementTimeout,
            queries: Self.logOut(caller, scope) + [
                AuditEvent(.logout, by: .user(caller.id)).insertion(for: request)
            ])
        _ = try await database.run(unit)
        return .empty(.noContent)
    }

    private static func logOut(_ caller: SignedInUser, _ scope: LogoutScope) -> [PostgresQuery] {
        switch scope {
        case .local:
            // A token without a session has nothing of its own to end.
            guard let session = caller.sessionID else { return [] }
            return ["delete from auth.sessions where user_id = \(caller.id) and id = \(session)"]
        case .others:
            return [
                """
                delete from auth.sessions
                where user_id = \(caller.id) and id is distinct from \(caller.sessionID)
                """
            ]
        case .global:
            return [
                "delete from auth.sessions where user_id = \(caller.id)",
                // Rows of before sessions existed belong to none, so no cascade takes them.
                "delete from auth.refresh_tokens where user_id = \(caller.id.description) and session_id is null",
            ]
        }
    }

    /// Ends all sessions of a user.
    func endSessions(of user: UUID, _ request: HTTPRequest) async throws {
        _ = try await database.run(
            WorkUnit(
                statementTimeout: configuration.statementTimeout,
                queries: [
                    "delete from auth.sessions where user_id = \(user)",
                    AuditEvent(.tokenRevoked, by: .user(user)).insertion(for: request),
                ]))
    }

    /// The caller's row, if the account and the token's session are still there.
    func user(of caller: SignedInUser) async throws -> AuthUser { try await currentSession(of: caller).user }

    /// A signed-in user with what the database, not the token, says of the session.
    struct CurrentSession: Sendable {
        let user: AuthUser
        /// `aal1` or `aal2`; the former without a session.
        let assuranceLevel: String
    }

    func currentSession(of caller: SignedInUser) async throws -> CurrentSession {
        let session: PostgresQuery = """
            select s.aal, \(SessionFacts.tenant) as session_tenant
            from auth.sessions as s
            where s.id = \(caller.sessionID) and s.user_id = \(caller.id)
            """
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [AuthUser.selection + "where u.id = \(caller.id) and u.deleted_at is null", session])
        let results = try await database.run(unit)
        guard let row = results.first?.onlyRow, let user = AuthUser(row: row) else {
            throw AuthError(.userNotFound, "User from sub claim in JWT does not exist")
        }
        let sessionRow = results.last?.onlyRow
        guard caller.sessionID == nil || sessionRow != nil else {
            throw AuthError(.sessionNotFound, "Session from session_id claim in JWT does not exist")
        }
        guard !user.isBanned(at: .now()) else { throw AuthError(.userBanned, "User is banned", status: 403) }
        return CurrentSession(
            user: user.working(in: sessionRow?["session_tenant"].uuid),
            assuranceLevel: sessionRow?["aal"].string ?? "aal1")
    }
}
