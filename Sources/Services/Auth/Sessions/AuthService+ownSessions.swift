// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// The signed-in user's sessions, one at a time. `POST /logout` ends them by scope; these are Atoll's own addition.
extension AuthService {
    /// At most as many are listed, the last used first.
    private static let maxListedSessions = 100

    /// `GET /user/sessions`: `{"sessions": [{id, created_at, last_used_at, user_agent, ip, aal, current}]}`, without those that have
    /// ended by their time.
    func listOwnSessions(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        _ = try await user(of: caller)
        let sessions: PostgresQuery = """
            select
                s.id, s.created_at, coalesce(s.refreshed_at at time zone 'utc', s.updated_at, s.created_at) as last_used_at,
                s.user_agent, host(s.ip) as ip, s.aal::text as aal
            from auth.sessions as s
            where s.user_id = \(caller.id) and (s.not_after is null or s.not_after > now())
            order by last_used_at desc, s.id
            limit \(String(Self.maxListedSessions))::integer
            """
        let unit = WorkUnit(readOnly: true, statementTimeout: configuration.statementTimeout, queries: [sessions])
        let rows = try await database.run(unit).first?.rows.map { $0 } ?? []
        return .json([
            "sessions": .array(
                rows.map { row in
                    [
                        "id": JSON(row["id"].string), "created_at": JSON(row["created_at"].timestamp?.description),
                        "last_used_at": JSON(row["last_used_at"].timestamp?.description),
                        "user_agent": JSON(row["user_agent"].string), "ip": JSON(row["ip"].string),
                        "aal": JSON(row["aal"].string ?? "aal1"),
                        "current": .bool(row["id"].uuid == caller.sessionID),
                    ]
                })
        ])
    }

    /// `DELETE /user/sessions/{id}`: ends one of the caller's sessions, be it the one of the request.
    func endOwnSession(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        _ = try await user(of: caller)
        guard let session = request.parameters["session"].flatMap({ UUID($0) }) else {
            throw AuthError(.validationFailed, "session_id must be an UUID", status: 404)
        }
        let unit = WorkUnit(
            statementTimeout: configuration.statementTimeout,
            queries: [
                AuditEvent(.logout, by: .user(caller.id), traits: ["session_id": .string(session.description)])
                    .insertion(
                        for: request,
                        onlyIf:
                            "exists (select from auth.sessions as s where s.id = \(session) and s.user_id = \(caller.id))"
                    ),
                "delete from auth.sessions where user_id = \(caller.id) and id = \(session)",
            ])
        guard try await database.run(unit).last?.affectedRows == 1 else {
            throw AuthError(.sessionNotFound, "Session does not exist", status: 404)
        }
        return .empty(.noContent)
    }
}
