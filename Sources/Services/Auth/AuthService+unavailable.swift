// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform

/// Chapters of the interface that Atoll does not have: they answer as a server does on which they are switched off, so that
/// clients tell their users what is the matter.
extension AuthService {
    private static let unavailable: [(method: HTTPMethod, path: String, code: AuthError.Code, message: String)] = {
        let saml = "SAML 2.0 is disabled"
        let oauthServer = "OAuth server is disabled"
        let providers = "Custom OAuth providers are disabled"
        return [
            (.post, "/sso", .samlProviderDisabled, saml), (.get, "/sso/saml/metadata", .samlProviderDisabled, saml),
            (.post, "/sso/saml/acs", .samlProviderDisabled, saml),
            (.get, "/admin/sso/providers", .samlProviderDisabled, saml),
            (.post, "/admin/sso/providers", .samlProviderDisabled, saml),
            (.get, "/admin/sso/providers/:provider", .samlProviderDisabled, saml),
            (.put, "/admin/sso/providers/:provider", .samlProviderDisabled, saml),
            (.delete, "/admin/sso/providers/:provider", .samlProviderDisabled, saml),
            (.get, "/user/oauth/grants", .featureDisabled, oauthServer),
            (.delete, "/user/oauth/grants", .featureDisabled, oauthServer),
            (.get, "/.well-known/oauth-authorization-server", .featureDisabled, oauthServer),
            (.post, "/oauth/clients/register", .featureDisabled, oauthServer),
            (.get, "/oauth/authorize", .featureDisabled, oauthServer),
            (.get, "/oauth/authorizations/:authorization", .featureDisabled, oauthServer),
            (.post, "/oauth/authorizations/:authorization/consent", .featureDisabled, oauthServer),
            (.post, "/oauth/token", .featureDisabled, oauthServer),
            (.get, "/oauth/userinfo", .featureDisabled, oauthServer),
            (.get, "/admin/oauth/clients", .featureDisabled, oauthServer),
            (.post, "/admin/oauth/clients", .featureDisabled, oauthServer),
            (.get, "/admin/oauth/clients/:client", .featureDisabled, oauthServer),
            (.put, "/admin/oauth/clients/:client", .featureDisabled, oauthServer),
            (.delete, "/admin/oauth/clients/:client", .featureDisabled, oauthServer),
            (.post, "/admin/oauth/clients/:client/regenerate_secret", .featureDisabled, oauthServer),
            (.get, "/admin/custom-providers", .featureDisabled, providers),
            (.post, "/admin/custom-providers", .featureDisabled, providers),
            (.get, "/admin/custom-providers/:identifier", .featureDisabled, providers),
            (.put, "/admin/custom-providers/:identifier", .featureDisabled, providers),
            (.delete, "/admin/custom-providers/:identifier", .featureDisabled, providers),
        ]
    }()

    func registerUnavailable(on router: inout Router) {
        for (method, path, code, message) in Self.unavailable {
            on(method, path, &router) { request in
                _ = try access.keyHolder(for: request)
                throw AuthError(code, message)
            }
        }
    }
}
