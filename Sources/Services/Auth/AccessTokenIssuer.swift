// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// How a session was authenticated: an entry of the `amr` claim (RFC 8176).
struct AuthenticationMethod: Sendable, Hashable {
    static let password = "password"
    static let anonymous = "anonymous"

    var method: String
    var at: Timestamp

    var json: JSON { ["method": .string(method), "timestamp": JSON(at.unixSeconds)] }
}

/// What an access token says of the session it was issued in.
struct SessionFacts: Sendable {
    var id: UUID
    /// `aal1` or `aal2`.
    var assuranceLevel: String
    var methods: [AuthenticationMethod]
}

/// Makes access tokens and the answer of every sign-in around them.
struct AccessTokenIssuer: Sendable {
    let tokens: JWTCodec
    let issuer: String
    let lifetime: Duration

    /// The claims of an access token. `app_metadata` is read in the transaction that made or refreshed the session, so a
    /// tenant made or switched to a moment ago is in it.
    func claims(for user: AuthUser, in session: SessionFacts, now: Timestamp) -> JSONObject {
        [
            "iss": .string(issuer), "sub": .string(user.id.description), "aud": .string(user.audience),
            "exp": JSON((now + lifetime).unixSeconds), "iat": JSON(now.unixSeconds), "email": .string(user.email),
            "phone": .string(user.phone), "app_metadata": user.appMetadata, "user_metadata": user.userMetadata,
            "role": .string(user.role), "aal": .string(session.assuranceLevel),
            "amr": .array(session.methods.map(\.json)), "session_id": .string(session.id.description),
            "is_anonymous": .bool(user.isAnonymous),
        ]
    }

    /// The wire form of a session.
    func session(
        for user: AuthUser, in session: SessionFacts, refreshToken: String, now: Timestamp = .now()
    ) throws(CryptographyError) -> JSON {
        [
            "access_token": .string(try tokens.sign(claims(for: user, in: session, now: now))),
            "token_type": "bearer", "expires_in": JSON(lifetime.components.seconds),
            "expires_at": JSON((now + lifetime).unixSeconds), "refresh_token": .string(refreshToken),
            "user": user.json,
        ]
    }
}
