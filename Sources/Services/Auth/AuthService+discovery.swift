// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Platform
import Primitives

/// What the service says of itself.
extension AuthService {
    /// `GET /health`: answers as long as the process does; whether the database works is `/health` of the server.
    var health: HTTPResponse {
        .json([
            "version": .string(configuration.version), "name": "Atoll Auth",
            "description": "Accounts, sessions and tokens",
        ])
    }

    /// `GET /.well-known/jwks.json`: public keys only, so an empty set while tokens are signed with a shared secret.
    var keySet: HTTPResponse {
        var response = HTTPResponse.json(tokens.keys.publicJWKS)
        response.headers.append("Cache-Control", "public, max-age=600")
        return response
    }

    /// `GET /.well-known/openid-configuration` (OpenID Connect Discovery 1.0): who issues the tokens and where their keys are, for
    /// those who verify them. Atoll is no authorization server for others, so no endpoints of one are named.
    var discoveryDocument: HTTPResponse {
        let algorithms = tokens.keys.publicJWKS["keys"]?.arrayValue?.compactMap { $0["alg"] } ?? []
        var response = HTTPResponse.json([
            "issuer": .string(configuration.issuer),
            "jwks_uri": .string(configuration.externalURL + "/.well-known/jwks.json"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": .array(
                algorithms.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }),
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "email", "phone", "role", "session_id"],
        ])
        response.headers.append("Cache-Control", "public, max-age=600")
        return response
    }

    /// The providers GoTrue knows, whether there is anything to configure here or not: clients look for their names.
    private static let providerNames = [
        "apple", "azure", "bitbucket", "discord", "facebook", "figma", "fly", "github", "gitlab", "google", "kakao",
        "keycloak", "linkedin", "linkedin_oidc", "notion", "slack", "slack_oidc", "snapchat", "spotify", "twitch",
        "twitter", "workos", "x", "zoom",
    ]

    /// `GET /settings`: what sign-up and sign-in allow.
    func settings(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        var external: JSONObject = ["anonymous_users": .bool(configuration.isAnonymousSignInEnabled)]
        for name in Self.providerNames { external[name] = .bool(providers[name] != nil) }
        for name in providers.keys.sorted() { external[name] = true }
        external["email"] = .bool(configuration.isEmailEnabled)
        external["phone"] = .bool(configuration.flows.isPhoneEnabled)
        return .json([
            "external": .object(external), "disable_signup": .bool(!configuration.isSignupEnabled),
            "mailer_autoconfirm": .bool(!configuration.areEmailConfirmationsEnabled),
            "phone_autoconfirm": .bool(!configuration.flows.arePhoneConfirmationsEnabled),
            "sms_provider": .string(messenger.name), "saml_enabled": false, "saml_private_key_next_configured": false,
            "passkeys_enabled": .bool(configuration.passkeys.isEnabled),
        ])
    }
}
