// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// The way to an external provider.
extension AuthService {
    func registerExternalProviders(on router: inout Router) {
        on(.get, "/authorize", &router, authorize)
        on(.get, "/callback", &router, returnFromProvider)
        on(.post, "/callback", &router, returnFromProvider)
        on(.get, "/user/identities/authorize", &router, authorizeLinking)
        on(.delete, "/user/identities/:identity_id", &router, unlinkIdentity)
    }

    /// `GET /authorize`: sends the browser to a provider (RFC 6749 section 4.1.1). No API key: a browser comes by a plain link.
    func authorize(_ request: HTTPRequest) async throws -> HTTPResponse {
        try limiter.admit(request, .singleSignOn)
        let query = FormFields(query: request.query ?? "")
        if let detour = try detour(query, request) { return detour }
        let flow = try await beginFlow(query, request, linkingTo: nil)
        var response = HTTPResponse.empty(302)
        response.headers.append("Location", flow.url)
        response.headers.append("Cache-Control", "no-store")
        if let cookie = flow.cookie { response.headers.append("Set-Cookie", cookie) }
        return response
    }

    /// `GET /user/identities/authorize`: the same for a signed-in user who wants a further identity. A page asks for the address
    /// with `skip_http_redirect=true`, as it cannot send its token along with a link.
    func authorizeLinking(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        guard configuration.isManualLinkingEnabled else {
            throw AuthError(.manualLinkingDisabled, "Manual linking is disabled")
        }
        try limiter.admit(request, .singleSignOn)
        let user = try await user(of: caller)
        let query = FormFields(query: request.query ?? "")
        let flow = try await beginFlow(query, request, linkingTo: user.id)
        if query.first("skip_http_redirect") == "true" { return .json(["url": .string(flow.url)]) }
        var response = HTTPResponse.empty(302)
        response.headers.append("Location", flow.url)
        response.headers.append("Cache-Control", "no-store")
        return response
    }

    /// An enabled provider.
    func provider(_ name: String) throws(AuthError) -> ExternalProvider {
        guard let provider = providers[name.lowercased()] else {
            guard ProviderDescription.all[name.lowercased()] != nil else {
                throw AuthError(
                    .validationFailed, "Unsupported provider: Provider \(name.prefix(64)) could not be found")
            }
            throw AuthError(.validationFailed, "Unsupported provider: provider is not enabled")
        }
        return provider
    }

    private struct BegunFlow {
        var url: String
        /// Ties the flow to the browser; nil when a challenge does, or when the browser is not the one that asks.
        var cookie: String?
    }

    /// Parameters of ours; the others go on to the provider.
    private static let ownParameters: Set<String> = [
        "provider", "redirect_to", "scopes", "code_challenge", "code_challenge_method", "invite_token",
        "skip_http_redirect", "apikey", hostParameter,
    ]

    private func beginFlow(
        _ query: FormFields, _ request: HTTPRequest, linkingTo target: UUID?
    ) async throws -> BegunFlow {
        let provider = try provider(query.first("provider") ?? "")
        let challenge = try CodeChallenge(
            challenge: query.first("code_challenge") ?? "", method: query.first("code_challenge_method") ?? "")
        var flow = FlowState(
            challenge: challenge, provider: provider.name, authenticationMethod: AuthenticationMethod.oauth.rawValue,
            redirectTarget: redirects.target(of: request).address)
        flow.linkingTargetID = target
        flow.isEmailOptional = provider.settings.isEmailOptional
        if let token = query.first("invite_token"), !token.isEmpty { flow.invitation = try await invitation(token) }
        let scopes = (query.first("scopes") ?? "").split { $0 == " " || $0 == "," }.map(String.init)
        let (url, requestToken) = try await provider.authorization(
            flow: flow.id, secrets: flowSecrets, scopes: scopes,
            passed: query.all.filter { !Self.ownParameters.contains($0.name) })
        flow.requestToken = try requestToken?.sealed(for: flow.id, keyring)
        try await database.query(flow.insertion)
        let needsCookie = challenge == nil && target == nil
        return BegunFlow(url: url, cookie: needsCookie ? cookie(of: flow.id, provider) : nil)
    }

    /// - Returns: the token's digest, which is all the flow keeps of it.
    private func invitation(_ token: String) async throws -> String {
        let digest = OneTimeTokenDigests.digest(ofLink: token)
        let found = try await database.query("select from auth.users as u where \(invitationCondition(digest))")
        guard found.rowCount == 1 else { throw Self.unknownInvitation }
        return digest
    }

    // MARK: The browser's part

    /// The answer of a provider is taken from the browser only that began the flow (RFC 6749 section 10.12). With a challenge the
    /// exchange of the code shows that; without one, a cookie must.
    private func cookie(of flow: UUID, _ provider: ExternalProvider) -> String {
        let callback = WebAddress(provider.callback)
        let isSecure = callback?.scheme == "https"
        // A form that the provider's page posts brings cookies only when they may come from anywhere.
        let sameSite = provider.isFormPost && isSecure ? "None" : "Lax"
        return "\(Self.cookieName(flow))=\(flowSecrets.browserMark(flow)); Path=\(callback?.path ?? "/"); "
            + "Max-Age=\(configuration.flowStateLifetime.components.seconds); HttpOnly; SameSite=\(sameSite)"
            + (isSecure ? "; Secure" : "")
    }

    private static func cookieName(_ flow: UUID) -> String { "atoll-flow-\(flow)" }

    /// Whether the request comes from the browser that began the flow.
    func isFromBrowser(of flow: UUID, _ request: HTTPRequest) -> Bool {
        let expected = SecretString("\(Self.cookieName(flow))=\(flowSecrets.browserMark(flow))")
        return request.headers.values("cookie").flatMap { $0.split(separator: ";") }
            .contains { expected.matches(String($0.drop { $0 == " " })) }
    }

    private static let hostParameter = "atoll_host"

    /// A flow that a cookie ties to the browser must begin at the host the provider returns to, or the cookie would not come
    /// back: `localhost` and `127.0.0.1` are two hosts. Once only, as a proxy may change the host it passes on.
    private func detour(_ query: FormFields, _ request: HTTPRequest) throws -> HTTPResponse? {
        guard query.first("code_challenge") == nil, query.first(Self.hostParameter) == nil,
            let provider = providers[(query.first("provider") ?? "").lowercased()],
            let callback = WebAddress(provider.callback), let host = request.headers["host"],
            let here = WebAddress("\(callback.scheme)://\(host)"), here.host != callback.host,
            callback.path.hasSuffix("/callback")
        else { return nil }
        var passed = query.all
        // The page the user comes from would be lost on the way.
        if query.first("redirect_to") == nil { passed.append(("redirect_to", redirects.target(of: request).address)) }
        passed.append((Self.hostParameter, "1"))
        var response = HTTPResponse.empty(302)
        let path = callback.path.dropLast("/callback".count) + "/authorize"
        response.headers.append("Location", "\(callback.origin)\(path)?\(FormFields.encode(passed))")
        response.headers.append("Cache-Control", "no-store")
        return response
    }
}
