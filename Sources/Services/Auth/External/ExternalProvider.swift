// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import HTTPClient
import Platform
import Primitives

/// A provider that a project has enabled: what the three parties say to each other.
struct ExternalProvider: Sendable {
    let name: String
    let description: ProviderDescription
    let settings: ExternalProviderSettings
    /// Where it returns to.
    let callback: String
    let client: HTTPClient
    /// Nil for those that speak OAuth 2.0 alone.
    let issuer: OpenIDIssuer?

    init(
        _ name: String, _ settings: ExternalProviderSettings, callback: String, client: HTTPClient,
        limits: OpenIDIssuer.Limits
    ) {
        self.name = name
        self.settings = settings
        self.callback = settings.redirectURI.isEmpty ? callback : settings.redirectURI
        self.client = client
        let description = ProviderDescription.all[name] ?? .custom
        self.description = description
        if case .openID(let shape) = description.kind, !Self.url(description, settings).isEmpty {
            let url = Self.url(description, settings)
            issuer = OpenIDIssuer(
                url: url.hasSuffix(shape.issuerSuffix) ? url : url + shape.issuerSuffix, client: client, limits: limits)
        } else {
            issuer = nil
        }
    }

    private static func url(_ description: ProviderDescription, _ settings: ExternalProviderSettings) -> String {
        let url = settings.url.isEmpty ? description.url ?? "" : settings.url
        return url.hasSuffix("/") ? String(url.dropLast()) : url
    }

    var url: String { Self.url(description, settings) }
    var clientID: String { settings.clientIDs.first ?? "" }

    /// Whether the answer comes as a form that another site posts, which browsers send few cookies with.
    var isFormPost: Bool {
        if case .openID(let shape) = description.kind { shape.isFormPost } else { false }
    }

    /// An absolute address of one in a row of the table.
    func address(_ text: String) -> String {
        if text.hasPrefix("{api}") {
            let api = settings.url.isEmpty ? "https://api.github.com" : url + "/api/v3"
            return api + text.dropFirst(5)
        }
        return text.hasPrefix("/") ? url + text : text
    }

    // MARK: The way there

    /// Parameters that are the protocol's own and never taken from a client.
    static let reservedParameters: Set<String> = [
        "client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "request", "request_uri", "client_assertion",
        "client_assertion_type",
    ]

    /// Where the browser asks the provider for a code.
    ///
    /// - Parameters:
    ///   - scopes: those a client asks for besides.
    ///   - passed: further parameters of the client's.
    /// - Returns: the address, and with OAuth 1.0a the token it is for.
    func authorization(
        flow: UUID, secrets: FlowSecrets, scopes: [String], passed: [(name: String, value: String)]
    ) async throws -> (url: String, requestToken: OAuth1Token?) {
        if case .oauth1(let shape) = description.kind {
            let token = try await requestToken(shape, state: secrets.state(flow))
            return (address(shape.authorization) + "?" + FormFields.encode([("oauth_token", token.text)]), token)
        }
        return (try await authorizationURL(flow: flow, secrets: secrets, scopes: scopes, passed: passed), nil)
    }

    private func authorizationURL(
        flow: UUID, secrets: FlowSecrets, scopes: [String], passed: [(name: String, value: String)]
    ) async throws -> String {
        var scope = description.scopes
        for extra in scopes where !scope.contains(extra) { scope.append(extra) }
        var parameters: [(name: String, value: String)] = [
            ("client_id", clientID), ("redirect_uri", callback), ("response_type", "code"),
            ("state", secrets.state(flow)),
        ]
        if !scope.isEmpty { parameters.append(("scope", scope.joined(separator: description.scopeSeparator))) }
        let endpoint: String
        switch description.kind {
        case .openID(let shape):
            let metadata = try await metadata()
            endpoint = try required(metadata.text("authorization_endpoint"))
            parameters.append(("nonce", secrets.nonce(flow)))
            if shape.isFormPost { parameters.append(("response_mode", "form_post")) }
        case .oauth2(let shape): endpoint = address(shape.authorization)
        case .oauth1: throw unreachable(OpenIDError("\(name) gives no codes"))
        }
        if try await takesChallenge() {
            let challenge = Base64URL.encode(digest(secrets.verifier(flow).utf8))
            parameters += [("code_challenge", challenge), ("code_challenge_method", "S256")]
        }
        let own = Set(description.parameters.map(\.name))
        parameters += description.parameters
        parameters += passed.filter { !Self.reservedParameters.contains($0.name) && !own.contains($0.name) }
        return endpoint + (endpoint.contains("?") ? "&" : "?") + FormFields.encode(parameters)
    }

    private func takesChallenge() async throws -> Bool {
        switch description.kind {
        case .oauth2(let shape): shape.takesChallenge
        case .oauth1: false
        case .openID: try await metadata().texts("code_challenge_methods_supported")?.contains("S256") ?? false
        }
    }

    func metadata() async throws -> OpenIDIssuer.Metadata {
        guard let issuer else {
            throw AuthError(.validationFailed, "Unsupported provider: \(name) has no address configured")
        }
        do { return try await issuer.facts().metadata } catch { throw unreachable(error) }
    }

    private func required(_ endpoint: String?) throws -> String {
        guard let endpoint else { throw unreachable(OpenIDError("\(name) names no endpoint")) }
        return endpoint
    }

    func unreachable(_ cause: any Error) -> AuthError {
        AuthError(
            .unexpectedFailure, "The provider \(name) cannot be reached or does not answer as it should", cause: cause)
    }

    // MARK: The way back

    /// Who has come back from the provider.
    ///
    /// - Parameters:
    ///   - code: what the provider gave the browser.
    ///   - user: what Apple posts of a new user, the only time that the name is told.
    func profile(code: String, flow: UUID, secrets: FlowSecrets, user: JSON?) async throws -> ExternalProfile {
        let answer = try await exchange(code, verifier: secrets.verifier(flow))
        guard let access = answer["access_token"]?.stringValue, !access.isEmpty else {
            throw unreachable(OpenIDError("\(name) gave no access token"))
        }
        let tokens = ProviderTokens(access: access, refresh: answer["refresh_token"]?.stringValue)
        let profile =
            switch description.kind {
            case .openID(let shape):
                try await openIDProfile(answer, shape, nonce: secrets.nonce(flow), user: user, tokens)
            case .oauth2(let shape): try await oauth2Profile(answer, shape, tokens)
            case .oauth1: throw unreachable(OpenIDError("\(name) gives no codes"))
            }
        return try required(profile)
    }

    func required(_ profile: ExternalProfile?) throws -> ExternalProfile {
        guard let profile else { throw unreachable(OpenIDError("\(name) does not say who the user is")) }
        return profile
    }

    private func exchange(_ code: String, verifier: String) async throws -> JSON {
        var fields: [(name: String, value: String)] = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", callback),
        ]
        var headers: HTTPHeaders = [
            "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded",
        ]
        let endpoint: String
        let isBasic: Bool
        switch description.kind {
        case .openID:
            let metadata = try await metadata()
            endpoint = try required(metadata.text("token_endpoint"))
            // What is not said is Basic (OpenID Connect Discovery section 3); the body is what all those take who list it.
            let methods = metadata.texts("token_endpoint_auth_methods_supported") ?? ["client_secret_basic"]
            isBasic = !methods.contains("client_secret_post")
        case .oauth2(let shape):
            endpoint = address(shape.token)
            isBasic = if case .basic = shape.clientAuthentication { true } else { false }
        case .oauth1: throw unreachable(OpenIDError("\(name) gives no codes"))
        }
        if try await takesChallenge() { fields.append(("code_verifier", verifier)) }
        if isBasic {
            // Both are encoded as form fields first (RFC 6749 section 2.3.1).
            let pair = FormFields.encode([(clientID, try secret())]).replacing("=", with: ":", maxReplacements: 1)
            headers.append("Authorization", "Basic " + Base64.encode(Array(pair.utf8)))
        } else {
            fields += [("client_id", clientID), ("client_secret", try secret())]
        }
        let request = HTTPClientRequest(
            .post, endpoint, headers: headers, body: Array(FormFields.encode(fields).utf8))
        let answer = try await document(request)
        // GitHub tells of a refusal with 200.
        guard answer["error"] == nil else {
            throw AuthError(
                .unexpectedFailure, "Unable to exchange external code",
                cause: OpenIDError("\(name) answered \(answer.text(at: "error") ?? "an error")"))
        }
        return answer
    }

    /// The configured secret, or with Apple one that its private key signs.
    private func secret() throws -> String {
        let secret = settings.secret.reveal()
        guard case .openID(let shape) = description.kind, shape.signsClientSecret,
            secret.hasPrefix("-----BEGIN PRIVATE KEY-----")
        else { return secret }
        let key = try JWTKey(privatePEM: secret, id: settings.keyID)
        let now = Timestamp.now().unixSeconds
        return try JWTCodec(keys: KeySet(signingKey: key)).sign([
            "iss": .string(settings.teamID), "iat": JSON(now), "exp": JSON(now + 300), "aud": .string(url),
            "sub": .string(clientID),
        ])
    }

    /// The JSON a provider answers with.
    ///
    /// - Throws: `unexpectedFailure`, with what it answered in the cause, where no code, token or address of the user's is.
    func document(_ request: HTTPClientRequest) async throws -> JSON {
        let response = try await answer(to: request)
        let document = try? JSON(parsing: response.body, maxDepth: 32)
        guard (200..<300).contains(response.status.code), let document else {
            throw refused(request, response.status, document?.text(at: "error") ?? "")
        }
        return document
    }

    func answer(to request: HTTPClientRequest) async throws -> HTTPClientResponse {
        do { return try await client.send(request) } catch { throw unreachable(error) }
    }

    func refused(_ request: HTTPClientRequest, _ status: HTTPStatus, _ code: String = "") -> AuthError {
        AuthError(
            .unexpectedFailure,
            request.method == .post
                ? "Unable to exchange external code" : "Error getting user profile from external provider",
            cause: OpenIDError("\(name) answered \(status.code) \(code.prefix(64))"))
    }

    private func get(_ address: String, bearer token: String, _ fields: [(name: String, value: String)] = [])
        async throws
        -> JSON
    {
        var headers: HTTPHeaders = [
            "Accept": "application/json", "Authorization": "Bearer \(token)", "User-Agent": "Atoll",
        ]
        for (name, value) in fields { headers.append(name, value.replacing("{client_id}", with: clientID)) }
        return try await document(HTTPClientRequest(.get, address, headers: headers))
    }

    // MARK: OAuth 2.0

    private func oauth2Profile(
        _ answer: JSON, _ shape: OAuth2Shape, _ tokens: ProviderTokens
    ) async throws -> ExternalProfile? {
        guard let path = shape.user else {
            return ExternalProfile(
                answer["profile"] ?? [:], shape.profile, issuer: url, emails: nil, tokens: tokens)
        }
        let token = tokens.access ?? ""
        var address = address(path)
        if shape.sendsSecretProof {
            let proof = HMAC.code(for: token.utf8, key: settings.secret.bytes)
            address += (address.contains("?") ? "&" : "?") + "appsecret_proof=" + Hex.encode(proof)
        }
        let user = try await get(address, bearer: token, shape.userHeaders)
        var emails: [ExternalProfile.Email]?
        if case .document(let path, _, _, _, _) = shape.emails {
            emails = ExternalProfile.emails(in: try await get(self.address(path), bearer: token), shape.emails)
        }
        return ExternalProfile(user, shape.profile, issuer: url, emails: emails, tokens: tokens)
    }

    // MARK: OpenID Connect

    private func openIDProfile(
        _ answer: JSON, _ shape: OpenIDShape, nonce: String, user: JSON?, _ tokens: ProviderTokens
    ) async throws -> ExternalProfile? {
        guard let token = answer["id_token"]?.stringValue else {
            throw unreachable(OpenIDError("\(name) gave no id token"))
        }
        let claims: JSONObject
        do {
            let checked = try await IDTokenVerifier(self).claims(
                of: token, accessToken: tokens.access, needsHash: false)
            // A provider that does not know nonces leaves the claim out; one that has it says the right one.
            let found = checked["nonce"]?.stringValue
            guard found == nonce || (found == nil && settings.skipsNonceCheck) else {
                throw IDTokenError("Nonces mismatch", nil)
            }
            claims = checked
        } catch let error as IDTokenError {
            throw unreachable(OpenIDError("\(name)'s id token is refused: \(error.message)"))
        }
        return openIDProfile(try await completed(claims, user: user, tokens), shape, tokens)
    }

    func openIDProfile(_ claims: JSONObject, _ shape: OpenIDShape, _ tokens: ProviderTokens) -> ExternalProfile? {
        let shared = ["common", "organizations", "consumers"]
        let tenant = url.replacing("/v2.0", with: "").split(separator: "/").last.map(String.init) ?? ""
        return ExternalProfile(claims, shape.emailTrust, isSingleTenant: !shared.contains(tenant), tokens: tokens)
    }

    /// The claims with those of the userinfo endpoint, where the id token has no address, and the name that Apple posts.
    private func completed(_ claims: JSONObject, user: JSON?, _ tokens: ProviderTokens) async throws -> JSONObject {
        var claims = claims
        if claims["email"] == nil, let endpoint = try await metadata().text("userinfo_endpoint"),
            let token = tokens.access
        {
            let told = try await get(endpoint, bearer: token)
            // Somebody else's answer must not be mixed in (OpenID Connect Core section 5.3.2).
            guard told["sub"] == claims["sub"], let members = told.objectValue else {
                throw unreachable(OpenIDError("\(name)'s userinfo is about somebody else"))
            }
            for member in members where claims[member.name] == nil { claims[member.name] = member.value }
        }
        if let name = user?["name"], claims["name"] == nil {
            let parts = [name["firstName"]?.stringValue, name["lastName"]?.stringValue].compactMap { $0 }
            if !parts.isEmpty { claims["name"] = .string(String(parts.joined(separator: " ").prefix(200))) }
        }
        return claims
    }
}
