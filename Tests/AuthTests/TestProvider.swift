// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import EventLoop
import HTTP
import Primitives
import Synchronization
import Testing

/// Providers under a test's control, on loopback: an OpenID provider that says what it is told to, right or wrong, and GitHub in
/// its documented form.
final class TestProvider: Sendable {
    struct State {
        var signer: JWTCodec
        var keys: [JSON]
        /// Changes of the next id token's claims; null takes one away.
        var claims: JSONObject = [:]
        /// Instead of an id token that is made and signed.
        var idToken: String?
        /// Members of the description that are otherwise.
        var metadata: JSONObject = [:]
        var userInfo: JSONObject = [:]
        var accessToken = "access-1"
        /// The nonce and challenge of the last request for a code.
        var nonce: String?
        var challenge: String?
        /// The fields of the last exchange.
        var exchange = FormFields(query: "")
        var githubUser: JSON = [:]
        var githubEmails: JSON = []
        var exchanges = 0
        /// The public key that a signed client secret is checked with, when there is one.
        var clientKey: JWTCodec?
        /// The token of OAuth 1.0a that the browser was sent on with, its secret, and the address to return to.
        var requestToken: (text: String, secret: String, callback: String)?
        var twitterUser: JSON = [:]
    }

    static let clientID = "client-1"
    let state: Mutex<State>
    private let address = Mutex("")

    var url: String { address.withLock { $0 } }

    init() throws {
        let (signer, jwk) = try Self.makeKey()
        state = Mutex(State(signer: signer, keys: [jwk]))
    }

    private static func makeKey() throws -> (JWTCodec, JSON) {
        let key = try JWTKey(jwk: try JWTKey.generateJWK(for: .es256))
        return (JWTCodec(keys: KeySet(signingKey: key)), key.publicJWK ?? .null)
    }

    /// Signs with a new key; the old one is not published any more.
    func rotate() throws {
        let (signer, jwk) = try Self.makeKey()
        state.withLock { state in
            state.signer = signer
            state.keys = [jwk]
        }
    }

    /// Runs `body` beside the provider and an Auth that has it enabled as `google` and `github`.
    static func run(
        messaging: AuthFixture.Messaging = AuthFixture.Messaging(),
        _ configure: @escaping @Sendable (inout AuthConfiguration, TestProvider) -> Void = { _, _ in },
        _ body: @escaping @Sendable (AuthFixture, TestProvider) async throws -> Void
    ) async throws {
        let provider = try TestProvider()
        try await Loop.withLoop { loop in
            let server = try HTTPServer(HTTPServerConfiguration(), router: provider.router, loops: [loop])
            provider.address.withLock { $0 = "http://127.0.0.1:\(server.port)" }
            let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: loop) { await server.run() }
                let result: Result<Void, any Error>
                do {
                    try await AuthFixture.run(messaging: messaging) { configuration in
                        configuration.siteURL = "https://app.example.com"
                        configuration.redirectPatterns = ["https://app.example.com/**", "http://localhost:3000/**"]
                        var settings = ExternalProviderSettings(
                            clientIDs: [clientID, "phone-app"], secret: SecretString("the secret"))
                        settings.url = provider.url
                        configuration.externalProviders = [
                            "google": settings, "github": settings, "corporate": settings, "twitter": settings,
                        ]
                        configuration.isManualLinkingEnabled = true
                        configure(&configuration, provider)
                    } _: { fixture in
                        try await body(fixture, provider)
                    }
                    result = .success(())
                } catch { result = .failure(error) }
                server.stop()
                return result
            }
            try result.get()
        }
    }

    /// An id token as the provider would make it, with changes.
    func idToken(_ changes: JSONObject = [:]) throws -> String {
        try state.withLock { state in
            let now = Timestamp.now().unixSeconds
            var claims: JSONObject = [
                "iss": .string(url), "sub": "subject-1", "aud": .string(Self.clientID), "iat": JSON(now),
                "exp": JSON(now + 300), "email": "anna@example.com", "email_verified": true, "name": "Anna",
            ]
            if let nonce = state.nonce { claims["nonce"] = .string(nonce) }
            for changed in [state.claims, changes] {
                for member in changed { claims[member.name] = member.value.isNull ? Optional<JSON>.none : member.value }
            }
            return try state.signer.sign(claims)
        }
    }

    private var router: Router {
        var router = Router()
        router.on(.get, "/.well-known/openid-configuration") { [self] _ in
            var members: JSONObject = [
                "issuer": .string(url), "authorization_endpoint": .string(url + "/authorize"),
                "token_endpoint": .string(url + "/token"), "userinfo_endpoint": .string(url + "/userinfo"),
                "jwks_uri": .string(url + "/jwks"), "code_challenge_methods_supported": ["S256"],
            ]
            for member in state.withLock({ $0.metadata }) { members[member.name] = member.value }
            return .json(.object(members))
        }
        router.on(.get, "/jwks") { [self] _ in .json(["keys": .array(state.withLock { $0.keys })]) }
        router.on(.post, "/token") { [self] request in
            let fields = try await note(request)
            // Codes of this provider all begin alike.
            guard fields.first("code")?.hasPrefix("code-") == true else {
                return .json(["error": "invalid_grant"], status: 400)
            }
            guard isClient(fields) else { return .json(["error": "invalid_client"], status: 401) }
            let token = try state.withLock { $0.idToken } ?? idToken()
            return .json([
                "access_token": .string(state.withLock { $0.accessToken }), "refresh_token": "refresh-1",
                "id_token": .string(token),
            ])
        }
        router.on(.get, "/userinfo") { [self] _ in .json(.object(state.withLock { $0.userInfo })) }
        router.on(.post, "/login/oauth/access_token") { [self] request in
            let fields = try await note(request)
            // GitHub refuses with 200.
            guard fields.first("code")?.hasPrefix("code-") == true else {
                return .json(["error": "bad_verification_code", "error_description": "The code is incorrect"])
            }
            return .json(["access_token": "gho_1", "scope": "user:email", "token_type": "bearer"])
        }
        registerOAuth1(on: &router)
        router.on(.get, "/api/v3/user") { [self] request in
            guard request.headers["authorization"] == "Bearer gho_1" else { throw HTTPError(.unauthorized) }
            return .json(state.withLock { $0.githubUser })
        }
        router.on(.get, "/api/v3/user/emails") { [self] request in
            guard request.headers["authorization"] == "Bearer gho_1" else { throw HTTPError(.unauthorized) }
            return .json(state.withLock { $0.githubEmails })
        }
        return router
    }

    /// Whether the client's secret is what Apple wants: a token of the team's key (ES256), for Apple, of this application, for a while.
    private func isClient(_ fields: FormFields) -> Bool {
        guard let key = state.withLock({ $0.clientKey }) else { return true }
        guard let claims = try? key.verify(fields.first("client_secret") ?? "") else { return false }
        let now = Timestamp.now().unixSeconds
        let issuedAt = claims["iat"]?.intValue.map(Int64.init) ?? 0
        let expiry = claims["exp"]?.intValue.map(Int64.init) ?? 0
        return claims["iss"] == "TEAM123456" && claims["sub"] == .string(Self.clientID)
            && claims["aud"] == .string(url) && issuedAt <= now && expiry > now && expiry - issuedAt <= 15_777_000
    }

    // MARK: OAuth 1.0a

    /// Checks a signature by its definition (RFC 5849 section 3.4), with code of its own.
    private func oauth1Fields(_ request: HTTPRequest, secret: String) -> [String: String]? {
        let field = request.headers["authorization"] ?? ""
        guard field.hasPrefix("OAuth ") else { return nil }
        var own: [String: String] = [:]
        for pair in field.dropFirst(6).split(separator: ",") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            let name = String(parts[0].drop { $0 == " " })
            own[name] = String(parts[1].dropFirst().dropLast())
        }
        // They stand encoded in the field, as in the base string.
        var signed = own.filter { $0.key != "oauth_signature" }.map { "\($0.key)=\($0.value)" }
        signed += (request.query ?? "").split(separator: "&").map { String($0) }
        func escape(_ text: String) -> String {
            text.utf8.map { byte in
                let isPlain = (byte | 0x20) &- 97 < 26 || byte &- 48 < 10 || "-._~".utf8.contains(byte)
                return isPlain ? String(UnicodeScalar(byte)) : percentEncode(byte)
            }.joined()
        }
        let base = [request.method.rawValue, url + request.path, signed.sorted().joined(separator: "&")].map(escape)
            .joined(separator: "&")
        let key = "\(escape("the secret"))&\(escape(secret))"
        let expected = Base64.encode(HMAC.code(for: Array(base.utf8), key: Array(key.utf8), using: .sha1))
        guard percentDecode(own["oauth_signature"] ?? "") == expected, own["oauth_consumer_key"] == Self.clientID,
            own["oauth_signature_method"] == "HMAC-SHA1", (own["oauth_nonce"] ?? "").count >= 16
        else { return nil }
        return own.compactMapValues { percentDecode($0) }
    }

    private func registerOAuth1(on router: inout Router) {
        router.on(.post, "/oauth/request_token") { [self] request in
            guard let fields = oauth1Fields(request, secret: ""), let callback = fields["oauth_callback"] else {
                throw HTTPError(.unauthorized)
            }
            let token = "request-\(UUID.random())"
            state.withLock { $0.requestToken = (token, "request&secret=1", callback) }
            return .text("oauth_token=\(token)&oauth_token_secret=request%26secret%3D1&oauth_callback_confirmed=true")
        }
        router.on(.post, "/oauth/access_token") { [self] request in
            let known = state.withLock { $0.requestToken }
            guard let known, let fields = oauth1Fields(request, secret: known.secret),
                fields["oauth_token"] == known.text, fields["oauth_verifier"] == "verifier-1"
            else { throw HTTPError(.unauthorized) }
            state.withLock { $0.exchanges += 1 }
            return .text("oauth_token=7588892-token&oauth_token_secret=access+secret&user_id=1&screen_name=anna")
        }
        router.on(.get, "/1.1/account/verify_credentials.json") { [self] request in
            guard let fields = oauth1Fields(request, secret: "access secret"), fields["oauth_token"] == "7588892-token",
                request.query == "include_email=true"
            else { throw HTTPError(.unauthorized) }
            return .json(state.withLock { $0.twitterUser })
        }
    }

    private func note(_ request: HTTPRequest) async throws -> FormFields {
        let fields = FormFields(query: String(decoding: try await request.body.collect(upTo: 65536), as: UTF8.self))
        state.withLock { state in
            state.exchange = fields
            state.exchanges += 1
        }
        return fields
    }
}
