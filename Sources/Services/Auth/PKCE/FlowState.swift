// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Postgres
import Primitives

/// A sign-in between two requests: one row of `auth.flow_state`.
///
/// A flow begins with a challenge (`/otp`, `/authorize`, ...), is given a code when the user has proved who they are
/// (`/verify`, `/callback`), and ends when the client exchanges the code with `grant_type=pkce`.
struct FlowState: Sendable {
    let id: UUID
    /// Nil for the implicit flow of an external provider, whose tokens go straight to the redirect target.
    var challenge: CodeChallenge?
    /// `email`, `phone`, or an external provider's name.
    var provider: String
    /// What the session's `amr` will say: `magiclink`, `recovery`, `oauth`, ...
    var authenticationMethod: String
    /// Known from the start in mail flows, once the provider has answered in others.
    var userID: UUID?
    /// Where the browser goes in the end.
    var redirectTarget: String?
    /// The signed-in user who links a further identity.
    var linkingTargetID: UUID?
    /// The digest of the token of an invitation that is accepted by this sign-in.
    var invitation: String?
    /// The token that an OAuth 1.0a provider gave for the sign-in, sealed. Its column is the provider's own token's later on.
    var requestToken: String?
    /// Whether an identity without an e-mail address will do.
    var isEmailOptional = false

    init(
        challenge: CodeChallenge?, provider: String, authenticationMethod: String, userID: UUID? = nil,
        redirectTarget: String? = nil
    ) {
        id = .random()
        self.challenge = challenge
        self.provider = provider
        self.authenticationMethod = authenticationMethod
        self.userID = userID
        self.redirectTarget = redirectTarget
    }

    /// Stores the flow.
    var insertion: PostgresQuery {
        """
        insert into auth.flow_state (
            id, user_id, code_challenge_method, code_challenge, provider_type, authentication_method, created_at,
            updated_at, referrer, linking_target_id, invite_token, provider_access_token, email_optional
        )
        values (
            \(id), \(userID), \(challenge?.method.rawValue)::auth.code_challenge_method, \(challenge?.text), \(provider),
            \(authenticationMethod), now(), now(), \(redirectTarget), \(linkingTargetID), \(invitation),
            \(requestToken), \(isEmailOptional)
        )
        """
    }

    /// Gives the newest waiting flow of a user a code. Returns the flow's `id`; no row when none waits, which is
    /// `flow_state_not_found`.
    static func issue(_ code: AuthCode, toFlowOf userID: UUID, method: String) -> PostgresQuery {
        """
        update auth.flow_state
        set auth_code = \(code.stored), auth_code_issued_at = now(), updated_at = now()
        where id = (
            select f.id
            from auth.flow_state as f
            where f.user_id = \(userID) and f.authentication_method = \(method) and f.auth_code is null
            order by f.created_at desc
            limit 1
            for update
        )
        returning id
        """
    }

    static var notFound: AuthError {
        AuthError(.flowStateNotFound, "invalid flow state, no valid flow state found")
    }

    static var expired: AuthError {
        AuthError(.flowStateExpired, "invalid flow state, flow state has expired")
    }
}

/// Tokens of an external provider that the client asked for by scope.
struct ProviderTokens: Sendable {
    var access: String?
    var refresh: String?

    /// Adds the members `provider_token` and `provider_refresh_token` to a session.
    func added(to session: JSON) -> JSON {
        guard var members = session.objectValue else { return session }
        if let access { members["provider_token"] = .string(access) }
        if let refresh { members["provider_refresh_token"] = .string(refresh) }
        return .object(members)
    }
}
