// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
import Postgres
package import Primitives

/// The refresh grant of `POST /token`.
extension AuthService {
    struct Refreshed: Sendable {
        var session: IssuedSession
        var isReuse: Bool
    }

    /// Why nothing was refreshed. A value, not an error: revoking a family must be committed although it is refused.
    enum RefreshOutcome: Sendable {
        case refreshed(Refreshed)
        case refused(AuthError)
    }

    /// Rotates a refresh token and answers with the session it belongs to.
    ///
    /// Implements RFC 6749 section 6 with ``RefreshDecision``. Requests with one token that come at once, as tabs of a
    /// browser send them, are one refresh with one answer; those that meet only in the database wait for each other
    /// there, and the one that waits longer than the lock timeout is answered with 409.
    func grantByRefreshToken(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let token = try fields.text("refresh_token")
        guard !token.isEmpty else { throw AuthError(.validationFailed, "refresh_token required") }
        guard token.utf8.count <= 255, !token.utf8.contains(0) else { throw Self.refreshTokenNotFound }

        let outcome: RefreshOutcome
        do {
            outcome = try await refreshesUnderWay.run(token, on: request.loop) {
                try await database.withTransaction(
                    settings: [
                        (name: "lock_timeout", value: "\(configuration.refreshLockTimeout.wholeMilliseconds)ms")
                    ],
                    statementTimeout: configuration.statementTimeout
                ) { transaction in
                    try await refresh(RefreshToken(token).stored, in: transaction, request)
                }
            }
        } catch let error as PostgresError where error.sqlState == "55P03" {
            throw AuthError(.conflict, "Too many concurrent token refresh requests on the same session", cause: error)
        }
        switch outcome {
        case .refused(let error): throw error
        case .refreshed(let refreshed):
            counters.refreshes.increment()
            return response(to: refreshed)
        }
    }

    private static var refreshTokenNotFound: AuthError {
        AuthError(.refreshTokenNotFound, "Invalid Refresh Token: Refresh Token Not Found")
    }

    private func response(to refreshed: Refreshed) -> HTTPResponse {
        var response = HTTPResponse.json(refreshed.session.json)
        response.headers.append("sb-auth-user-id", refreshed.session.user.id.description)
        response.headers.append("sb-auth-session-id", refreshed.session.facts.id.description)
        response.headers.append("sb-auth-refresh-token-reuse", refreshed.isReuse ? "true" : "false")
        return response
    }

    private func refresh(
        _ token: StoredRefreshToken, in transaction: PostgresTransaction, _ request: HTTPRequest
    ) async throws -> RefreshOutcome {
        // The second statement begins once the first has its lock, and so sees what the former holder committed.
        let results = try await transaction.run([
            """
            select s.id
            from auth.sessions as s
            where s.id = (select t.session_id from auth.refresh_tokens as t where t.token = \(token.text))
            for update
            """,
            Self.facts(of: token),
        ])
        guard let row = results.last?.onlyRow else { return .refused(Self.refreshTokenNotFound) }
        guard let facts = RefreshFacts(row: row), let userID = row["user_id"].uuid,
            let sessionID = row["session_id"].uuid
        else {
            return .refused(
                AuthError(.sessionNotFound, "Invalid Refresh Token: No Valid Session Found", status: 400))
        }
        let decision = RefreshDecision(
            facts, reuseInterval: configuration.refreshTokenReuseInterval, timebox: configuration.sessionTimebox,
            inactivityTimeout: configuration.sessionInactivityTimeout)
        let writing = Writing(decision, facts, sessionID: sessionID, userID: userID, request)
        return try await finish(
            writing, session: SessionFacts(id: sessionID, row: row), now: facts.now, request, in: transaction)
    }

    /// Decides nothing any more: looks whether the user may go on, then writes.
    private func finish(
        _ writing: Writing, session: SessionFacts, now: Timestamp, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> RefreshOutcome {
        let found = try await transaction.query(
            AuthUser.selection + "where u.id = \(writing.userID) and u.deleted_at is null")
        guard let row = found.onlyRow, let user = AuthUser(row: row) else {
            return .refused(Self.refreshTokenNotFound)
        }
        guard !user.isBanned(at: now) else {
            return .refused(AuthError(.userBanned, "Invalid Refresh Token: User Banned"))
        }
        switch writing.decision {
        case .refuseExpired:
            return .refused(AuthError(.sessionExpired, "Invalid Refresh Token: Session Expired"))
        case .refuseReuse:
            if configuration.isRefreshTokenRotationEnabled {
                try await transaction.run([
                    writing.familyRevocation,
                    AuditEvent(.tokenRevoked, by: .user(writing.userID)).insertion(for: request),
                ])
            }
            return .refused(AuthError(.refreshTokenAlreadyUsed, "Invalid Refresh Token: Already Used"))
        case .answerWith(let current):
            // Made with a key that was replaced meanwhile, the current token cannot be told again: its child is.
            guard let token = tell(StoredRefreshToken(text: current), childOf: writing.activeParent, session.id) else {
                return try await rotate(
                    StoredRefreshToken(text: current), writing, user, session, request, in: transaction)
            }
            let issued = try await issue(
                session, refreshToken: token.text, to: user, .tokenRefresh, request, in: transaction)
            return .refreshed(Refreshed(session: issued, isReuse: true))
        case .rotate:
            return try await rotate(
                StoredRefreshToken(text: writing.token), writing, user, session, request, in: transaction)
        }
    }

    private func tell(_ current: StoredRefreshToken, childOf parent: String?, _ session: UUID) -> RefreshToken? {
        if let imported = current.imported { return imported }
        guard let parent else { return nil }
        let token = RefreshToken(after: StoredRefreshToken(text: parent), in: session, key: refreshTokenKey)
        return token.stored == current ? token : nil
    }

    private func rotate(
        _ spent: StoredRefreshToken, _ writing: Writing, _ user: AuthUser, _ session: SessionFacts,
        _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> RefreshOutcome {
        let child = RefreshToken(after: spent, in: session.id, key: refreshTokenKey)
        try await transaction.run(
            writing.rotation(from: spent, to: child.stored) + [
                AuditEvent(.tokenRefreshed, by: .user(writing.userID)).insertion(for: request)
            ])
        let issued = try await issue(
            session, refreshToken: child.text, to: user, .tokenRefresh, request, in: transaction)
        return .refreshed(Refreshed(session: issued, isReuse: false))
    }

    /// What the decision reads: token, session, current token and authentication methods.
    private static func facts(of token: StoredRefreshToken) -> PostgresQuery {
        """
        select
            t.token, t.revoked, t.updated_at, s.id as session_id, s.user_id, s.created_at as session_created_at,
            s.refreshed_at at time zone 'utc' as session_refreshed_at, s.not_after, s.aal, active.token as active_token,
            active.parent as active_parent, clock_timestamp() as now,
            \(SessionFacts.methods) as methods, \(SessionFacts.tenant) as session_tenant
        from auth.refresh_tokens as t
        left join auth.sessions as s on s.id = t.session_id
        left join lateral (
            select a.token, a.parent
            from auth.refresh_tokens as a
            where a.session_id = s.id and not coalesce(a.revoked, false)
            order by a.id desc
            limit 1
        ) as active on true
        where t.token = \(token.text)
        """
    }

    /// The statements a decision leads to.
    private struct Writing {
        let decision: RefreshDecision
        let token: String
        let activeParent: String?
        let sessionID: UUID
        let userID: UUID
        let userAgent: String?
        let address: String?

        init(
            _ decision: RefreshDecision, _ facts: RefreshFacts, sessionID: UUID, userID: UUID, _ request: HTTPRequest
        ) {
            self.decision = decision
            token = facts.token
            activeParent = facts.active?.parent
            self.sessionID = sessionID
            self.userID = userID
            userAgent = NewSession.userAgent(of: request)
            address = ClientAddress(request.remoteAddress)?.text
        }

        var familyRevocation: PostgresQuery {
            """
            update auth.refresh_tokens
            set revoked = true, updated_at = clock_timestamp()
            where session_id = \(sessionID) and not coalesce(revoked, false)
            """
        }

        func rotation(from spent: StoredRefreshToken, to child: StoredRefreshToken) -> [PostgresQuery] {
            [
                """
                update auth.refresh_tokens
                set revoked = true, updated_at = clock_timestamp()
                where token = \(spent.text)
                """,
                """
                insert into auth.refresh_tokens (
                    instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id
                )
                values (
                    \(UUID.zero), \(child.text), \(userID.description), false, clock_timestamp(), clock_timestamp(), \(spent.text),
                    \(sessionID)
                )
                """,
                """
                update auth.sessions
                set refreshed_at = now() at time zone 'utc', updated_at = now(),
                    user_agent = coalesce(\(userAgent), user_agent), ip = coalesce(\(address)::inet, ip)
                where id = \(sessionID)
                """,
            ]
        }
    }
}

/// Switching tenant: a refresh of the session without its refresh token.
extension AuthService {
    /// Has a session work in another tenant of its user from now on, and rotates its refresh token: access tokens issued before
    /// go on naming the tenant they were issued for.
    ///
    /// The tenant stays with the session. Each refresh asks anew whether the user may work in it, and falls back to the
    /// account's own tenant.
    ///
    /// - Parameters:
    ///   - user: whose session it is, by a token that was verified.
    /// - Returns: the session as every sign-in answers it, already committed.
    /// - Throws: ``AuthError`` for a user who may not sign in, and as a refresh does.
    package func switchTenant(
        of user: UUID, session: UUID, to tenant: UUID, _ request: HTTPRequest
    ) async throws -> TenantSwitch {
        try await database.withTransaction(
            settings: [(name: "lock_timeout", value: "\(configuration.refreshLockTimeout.wholeMilliseconds)ms")],
            statementTimeout: configuration.statementTimeout
        ) { transaction in
            let found = try await transaction.run([
                "select s.id from auth.sessions as s where s.id = \(session) and s.user_id = \(user) for update",
                """
                select t.token
                from auth.refresh_tokens as t
                where t.session_id = \(session) and not coalesce(t.revoked, false)
                order by t.id desc
                limit 1
                """,
                "select tenancy.session_tenant(\(user), \(tenant)) as tenant",
            ])
            guard found[0].rowCount == 1, let current = found[1].onlyRow?["token"].string else { return .noSession }
            guard found[2].onlyRow?["tenant"].uuid == tenant else { return .notAMember }
            try await transaction.run([
                "update auth.sessions set tenant_id = \(tenant) where id = \(session)",
                "select from tenancy.note_switch(\(user), \(tenant), \(request.id))",
            ])
            switch try await refresh(StoredRefreshToken(text: current), in: transaction, request) {
            case .refreshed(let refreshed): return .switched(refreshed.session.json)
            case .refused(let error): throw error
            }
        }
    }
}

extension RefreshFacts {
    /// Nil for a token that belongs to no session.
    fileprivate init?(row: PostgresRow) {
        guard let token = row["token"].string, let updatedAt = row["updated_at"].timestamp,
            row["session_id"].uuid != nil,
            let now = row["now"].timestamp
        else { return nil }
        self.token = token
        self.updatedAt = updatedAt
        self.now = now
        isRevoked = row["revoked"].bool ?? false
        active = row["active_token"].string.map { ActiveToken(token: $0, parent: row["active_parent"].string) }
        sessionCreatedAt = row["session_created_at"].timestamp ?? now
        sessionRefreshedAt = row["session_refreshed_at"].timestamp
        sessionEndsAt = row["not_after"].timestamp
    }
}
