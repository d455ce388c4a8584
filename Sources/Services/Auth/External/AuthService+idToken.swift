// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Platform
import Primitives

/// The `id_token` grant of `POST /token`: an application that has signed its user in at a provider by itself, as the ones of
/// Google and Apple on phones do.
extension AuthService {
    func grantByIDToken(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let token = try fields.text("id_token")
        guard !token.isEmpty else { throw OAuthError(.invalidRequest, "id_token required") }
        let linkingTarget = try await linkingTarget(fields, request)
        let provider = try await provider(ofToken: fields)
        guard case .openID(let shape) = provider.description.kind else {
            throw OAuthError(.invalidRequest, "Provider \(provider.name) has no id tokens")
        }
        let access = try fields.text("access_token")
        let claims: JSONObject
        do {
            claims = try await IDTokenVerifier(provider).claims(
                of: token, accessToken: access.isEmpty ? nil : access, needsHash: true)
        } catch let error as IDTokenError {
            throw OAuthError(.invalidRequest, error.message, cause: error.cause)
        }
        if !provider.settings.skipsNonceCheck {
            try Self.checkNonce(try fields.text("nonce"), claims["nonce"]?.stringValue ?? "")
        }
        let tokens = ProviderTokens(access: access.isEmpty ? nil : access)
        guard let profile = provider.openIDProfile(claims, shape, tokens) else {
            throw OAuthError(.invalidRequest, "Missing sub claim in id_token")
        }
        let identity = ExternalIdentity(
            provider: provider.name, profile: profile, isEmailOptional: provider.settings.isEmailOptional,
            linkingTargetID: linkingTarget, redirect: redirects.target(of: request))
        let session = try await account(of: identity, request) { user, transaction in
            try await open(
                NewSession(.oauth, request: request), for: user, traits: ["provider": .string(provider.name)], request,
                in: transaction)
        }
        counters.signIns.increment()
        return .json(tokens.added(to: session.json))
    }

    /// The provider by name, or by the issuer and client id the token is said to be of.
    private func provider(ofToken fields: RequestFields) async throws -> ExternalProvider {
        let name = try fields.text("provider").lowercased()
        if !name.isEmpty {
            guard let provider = providers[name] else {
                throw AuthError(.providerDisabled, "Provider \(name.prefix(64)) is not enabled")
            }
            return provider
        }
        let issuer = try fields.text("issuer")
        let clientID = try fields.text("client_id")
        guard !issuer.isEmpty, !clientID.isEmpty else {
            throw OAuthError(.invalidRequest, "provider or client_id and issuer required")
        }
        let bare = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let found = providers.values.sorted { $0.name < $1.name }
            .first { $0.issuer?.url == bare && $0.settings.clientIDs.contains(clientID) }
        guard let found else { throw AuthError(.providerDisabled, "Provider is not enabled") }
        return found
    }

    /// With `link_identity` the identity is added to the caller's account.
    private func linkingTarget(_ fields: RequestFields, _ request: HTTPRequest) async throws -> UUID? {
        guard try fields.flag("link_identity") else { return nil }
        guard configuration.isManualLinkingEnabled else {
            throw AuthError(.manualLinkingDisabled, "Manual linking is disabled")
        }
        return try await user(of: try SignedInUser(request, access)).id
    }

    /// The token holds the hexadecimal SHA-256 of the nonce, which so stays unknown to whoever sees the token on its way.
    private static func checkNonce(_ given: String, _ claimed: String) throws(OAuthError) {
        guard given.isEmpty == claimed.isEmpty else {
            throw OAuthError(
                .invalidRequest, "Passed nonce and nonce in id_token should either both exist or not.")
        }
        guard !given.isEmpty else { return }
        let hash = Hex.encode(digest(given.utf8))
        guard constantTimeEquals(Array(hash.utf8), Array(claimed.utf8)) else {
            throw OAuthError(.invalidGrant, "Nonces mismatch")
        }
    }
}
