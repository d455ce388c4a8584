// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import HTTPClient
import Platform
import Primitives

/// A token of OAuth 1.0a and its secret.
struct OAuth1Token: Sendable {
    let text: String
    let secret: String

    /// Reads `oauth_token` and `oauth_token_secret` of a provider's answer; nil without one of them.
    init?(_ fields: FormFields) {
        guard let text = fields.first("oauth_token"), let secret = fields.first("oauth_token_secret"), !text.isEmpty,
            text.utf8.count <= 1024, secret.utf8.count <= 1024
        else { return nil }
        self.text = text
        self.secret = secret
    }

    init(text: String, secret: String) {
        self.text = text
        self.secret = secret
    }

    // MARK: Between two requests

    private static func context(_ flow: UUID) -> SealingContext { SealingContext("auth.flow_state", flow.description) }

    func sealed(for flow: UUID, _ keyring: Keyring) throws(CryptographyError) -> String {
        let pair = FormFields.encode([("oauth_token", text), ("oauth_token_secret", secret)])
        return try keyring.seal(Array(pair.utf8), context: Self.context(flow))
    }

    /// - Throws: `CryptographyError` for what was not sealed here for this flow.
    init(sealed: String, for flow: UUID, _ keyring: Keyring) throws(CryptographyError) {
        let bytes = try keyring.open(sealed, context: Self.context(flow))
        guard let token = OAuth1Token(FormFields(query: String(decoding: bytes, as: UTF8.self))) else {
            throw .malformedEnvelope
        }
        self = token
    }
}

/// Signs requests of OAuth 1.0a with HMAC-SHA1 (RFC 5849 section 3.4), the one method that providers still take.
struct OAuth1Signature: Sendable {
    let consumer: String
    let consumerSecret: SecretString
    var token: OAuth1Token?
    var nonce = Base64URL.encode(randomBytes(24))
    var timestamp = Timestamp.now().unixSeconds

    /// The `Authorization` field of a request.
    ///
    /// - Parameters:
    ///   - url: without its query.
    ///   - parameters: of query and form.
    ///   - protocolParameters: those of OAuth's own beside the usual ones, which go into the field.
    func authorization(
        _ method: HTTPMethod, _ url: String, parameters: [(name: String, value: String)] = [],
        protocolParameters: [(name: String, value: String)] = []
    ) -> String {
        var own: [(name: String, value: String)] = [
            ("oauth_consumer_key", consumer), ("oauth_nonce", nonce), ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", String(timestamp)), ("oauth_version", "1.0"),
        ]
        if let token { own.append(("oauth_token", token.text)) }
        own += protocolParameters
        let normalized = (own + parameters)
            .map { (percentEncode(component: $0.name), percentEncode(component: $0.value)) }
            .sorted { $0 < $1 }.map { "\($0)=\($1)" }.joined(separator: "&")
        let base = [method.rawValue, url, normalized].map(percentEncode(component:)).joined(separator: "&")
        let key = [consumerSecret.reveal(), token?.secret ?? ""].map(percentEncode(component:)).joined(separator: "&")
        let signature = Base64.encode(HMAC.code(for: base.utf8, key: Array(key.utf8), using: .sha1))
        own.append(("oauth_signature", signature))
        return "OAuth "
            + own.map { "\(percentEncode(component: $0.name))=\"\(percentEncode(component: $0.value))\"" }
            .joined(separator: ", ")
    }
}

/// The three legs of OAuth 1.0a (RFC 5849 section 2).
extension ExternalProvider {
    private func signature(_ token: OAuth1Token? = nil) -> OAuth1Signature {
        OAuth1Signature(consumer: clientID, consumerSecret: settings.secret, token: token)
    }

    /// Asks for the token of one sign-in. The state comes back with the browser, as it stands in the address to return to.
    func requestToken(_ shape: OAuth1Shape, state: String) async throws -> OAuth1Token {
        let target = callback + (callback.contains("?") ? "&" : "?") + FormFields.encode([("state", state)])
        let url = address(shape.requestToken)
        let fields = try await post(
            url, signature().authorization(.post, url, protocolParameters: [("oauth_callback", target)]))
        // A provider that does not confirm the address speaks the older protocol, in which the browser can be changed on the way.
        guard let token = OAuth1Token(fields), fields.first("oauth_callback_confirmed") == "true" else {
            throw unreachable(OpenIDError("\(name) gave no token to sign in with"))
        }
        return token
    }

    /// Who has come back from the provider.
    func profile(
        _ shape: OAuth1Shape, _ fields: FormFields, requestToken: OAuth1Token
    ) async throws -> ExternalProfile {
        guard let text = fields.first("oauth_token"), let verifier = fields.first("oauth_verifier"),
            !verifier.isEmpty, verifier.utf8.count <= 1024,
            constantTimeEquals(Array(text.utf8), Array(requestToken.text.utf8))
        else { throw AuthError(.badOAuthCallback, "OAuth callback with missing or foreign token") }
        let url = address(shape.accessToken)
        let answer = try await post(
            url,
            signature(requestToken).authorization(.post, url, protocolParameters: [("oauth_verifier", verifier)]))
        guard let token = OAuth1Token(answer) else { throw unreachable(OpenIDError("\(name) gave no access token")) }
        let userURL = address(shape.user)
        let user = try await document(
            HTTPClientRequest(
                .get, userURL + "?" + FormFields.encode(shape.userParameters),
                headers: [
                    "Accept": "application/json",
                    "Authorization": signature(token).authorization(.get, userURL, parameters: shape.userParameters),
                ]))
        return try required(
            ExternalProfile(
                user, shape.profile, issuer: self.url, emails: nil, tokens: ProviderTokens(access: token.text)))
    }

    private func post(_ url: String, _ authorization: String) async throws -> FormFields {
        let request = HTTPClientRequest(.post, url, headers: ["Authorization": authorization], body: [])
        let response = try await answer(to: request)
        guard (200..<300).contains(response.status.code) else { throw refused(request, response.status) }
        return FormFields(query: String(decoding: response.body, as: UTF8.self))
    }
}
