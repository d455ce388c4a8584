// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Primitives

/// Makes access tokens.
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

    /// Signs claims; the session's life is what they say.
    func session(
        for user: AuthUser, in session: SessionFacts, claims: JSONObject, refreshToken: String, now: Timestamp
    ) throws(CryptographyError) -> IssuedSession {
        let expiry = claims["exp"]?.intValue.map { Int64($0) } ?? (now + lifetime).unixSeconds
        return IssuedSession(
            user: user, facts: session, accessToken: try tokens.sign(claims), refreshToken: refreshToken,
            expiresIn: max(0, expiry - now.unixSeconds), expiresAt: expiry)
    }
}

/// A session with its tokens, as every sign-in answers it.
struct IssuedSession: Sendable {
    let user: AuthUser
    let facts: SessionFacts
    let accessToken: String
    let refreshToken: String
    /// Seconds the access token is valid.
    let expiresIn: Int64
    /// The end of the access token in seconds since 1970.
    let expiresAt: Int64
    /// Why the password that was right would not be taken as a new one.
    var weakPassword: AuthError?

    /// The wire form.
    var json: JSON {
        var members: JSONObject = [
            "access_token": .string(accessToken), "token_type": "bearer", "expires_in": JSON(expiresIn),
            "expires_at": JSON(expiresAt), "refresh_token": .string(refreshToken), "user": user.json,
        ]
        if let weakPassword {
            members["weak_password"] = [
                "message": .string(weakPassword.message),
                "reasons": .array(weakPassword.weakPasswordReasons.map { .string($0.rawValue) }),
            ]
        }
        return .object(members)
    }
}
