// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// A session about to be made: its rows, before they are in the database.
struct NewSession: Sendable {
    let id: UUID
    let refreshToken: RefreshToken
    let method: AuthenticationMethod
    /// A name for the kind of device or client, for `single_session_per_user`; nil for none.
    var tag: String?
    let userAgent: String?
    /// Nil for a peer without an IP address.
    let address: String?

    init(_ method: AuthenticationMethod, request: HTTPRequest) {
        id = .random()
        refreshToken = .random()
        self.method = method
        userAgent = Self.userAgent(of: request)
        address = ClientAddress(request.remoteAddress)?.text
    }

    /// What the access token says of it.
    func facts(now: Timestamp = .now()) -> SessionFacts {
        SessionFacts(id: id, assuranceLevel: "aal1", methods: [AuthenticationEntry(method, at: now)])
    }

    /// Kept to tell one's sessions apart; a client may send any length.
    static func userAgent(of request: HTTPRequest) -> String? {
        request.headers["user-agent"].map { String($0.prefix(500)) }
    }

    /// True in SQL once the session is there, for entries of the audit log that tell of it.
    var exists: PostgresQuery { "exists (select from auth.sessions as s where s.id = \(id))" }

    /// Inserts session, refresh token and authentication method for the user that `user`, a query of at most one row with
    /// the column `id`, finds; nothing when it finds none. Returns the session's id.
    func insertion(forUserFrom user: PostgresQuery) -> PostgresQuery {
        """
        with found as (
            \(user)
        ), session as (
            insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip, tag)
            select \(id), found.id, now(), now(), 'aal1', \(userAgent), \(address), \(tag)
            from found
            returning id, user_id
        ), token as (
            insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
            select \(UUID.zero), \(refreshToken.stored.text), session.user_id::text, false, now(), now(), session.id
            from session
        ), method as (
            insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
            select gen_random_uuid(), session.id, now(), now(), \(method.rawValue)
            from session
        )
        select id
        from session
        """
    }

    /// Inserts the session for a user known to be there and marks the sign-in.
    func insertion(for user: UUID) -> PostgresQuery {
        insertion(
            forUserFrom: """
                update auth.users
                set last_sign_in_at = now(), updated_at = now()
                where id = \(user)
                returning id
                """)
    }
}
