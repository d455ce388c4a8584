// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// Making sessions. Every way to sign in ends in one of these.
extension AuthService {
    /// Runs statements, the last of which selects the user (``AuthUser/selection``), and answers with the session that one of
    /// them makes: all in one transaction, which is one round trip unless a hook has a say about tokens.
    ///
    /// - Parameters:
    ///   - queries: they insert `session`, and write what belongs to it.
    ///   - run: runs the unit; for callers that read errors of their own statements.
    /// - Returns: nil, with everything else committed, when the session was made for nobody (its query for a user found none).
    /// - Throws: what a hook refuses; nothing is committed then.
    func open(
        _ session: NewSession, _ queries: [PostgresQuery], for request: HTTPRequest
    ) async throws -> IssuedSession? {
        let queries = queries + ["select \(session.exists) as made"]
        guard hooks.isEnabled(.customAccessToken) else {
            let results = try await database.run(
                WorkUnit(statementTimeout: configuration.statementTimeout, queries: queries))
            guard let user = Self.signedInUser(results) else { return nil }
            return try await issue(
                session.facts(), refreshToken: session.refreshToken.text, to: user, session.method, request)
        }
        return try await database.withTransaction(statementTimeout: configuration.statementTimeout) { transaction in
            guard let user = Self.signedInUser(try await transaction.run(queries)) else { return nil }
            return try await issue(
                session.facts(), refreshToken: session.refreshToken.text, to: user, session.method, request,
                in: transaction)
        }
    }

    private static func signedInUser(_ results: [PostgresResult]) -> AuthUser? {
        guard results.last?.onlyRow?["made"].bool == true, results.count >= 2 else { return nil }
        return results[results.count - 2].onlyRow.flatMap { AuthUser(row: $0) }
    }

    /// Makes a session in a transaction that is under way, after whatever it did for the user: the way in of codes, links and
    /// external providers.
    ///
    /// - Parameters:
    ///   - user: a row that is there and may sign in.
    ///   - traits: what the audit log says of the sign-in, such as the provider.
    func open(
        _ session: NewSession, for user: UUID, traits: JSONObject = [:], _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> IssuedSession {
        let results = try await transaction.run(
            sessionQueries(session, for: user, traits: traits, request) + [AuthUser.selection(id: user)])
        guard let row = results.last?.onlyRow, let user = AuthUser(row: row) else {
            throw AuthError(.userNotFound, "User not found")
        }
        return try await issue(
            session.facts(), refreshToken: session.refreshToken.text, to: user, session.method, request, in: transaction
        )
    }

    /// The statements that make a session for a user known to be there, with the entry of the audit log.
    func sessionQueries(
        _ session: NewSession, for user: UUID, traits: JSONObject = [:], _ request: HTTPRequest
    ) -> [PostgresQuery] {
        [
            session.insertion(for: user),
            AuditEvent(.login, by: .user(user), traits: traits).insertion(for: request),
        ] + endingOthers(than: session, of: user)
    }

    /// With `single_session_per_user`, ends the user's other sessions of the same tag. After the update of the user's row,
    /// which makes sign-ins of one user wait for each other.
    func endingOthers(than session: NewSession, of user: UUID) -> [PostgresQuery] {
        guard configuration.isSingleSessionPerUser else { return [] }
        return [
            """
            delete from auth.sessions
            where user_id = \(user) and id <> \(session.id) and tag is not distinct from \(session.tag)
                and \(session.exists)
            """
        ]
    }

    /// Signs the access token of a session, with the claims as the hook wants them.
    ///
    /// - Parameter transaction: the one that made or refreshed the session; nil when it is committed and no hook is set.
    func issue(
        _ facts: SessionFacts, refreshToken: String, to user: AuthUser, _ method: AuthenticationMethod,
        _ request: HTTPRequest, in transaction: PostgresTransaction? = nil
    ) async throws -> IssuedSession {
        let now = Timestamp.now()
        let user = user.working(in: facts.tenantID)
        var claims = issuer.claims(for: user, in: facts, now: now)
        let answer = try await hooks.call(
            .customAccessToken,
            [
                "user_id": .string(user.id.description), "claims": .object(claims),
                "authentication_method": .string(method.rawValue),
            ], for: request, in: transaction)
        if let answer {
            guard let changed = answer["claims"]?.objectValue else {
                throw AuthError(.unexpectedFailure, "output claims field is missing")
            }
            try AccessTokenClaims.check(changed, against: claims)
            claims = changed
        }
        return try issuer.session(for: user, in: facts, claims: claims, refreshToken: refreshToken, now: now)
    }
}
