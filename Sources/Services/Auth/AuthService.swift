// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import EventLoop
package import HTTP
package import HTTPClient
package import Platform
package import Postgres
package import Primitives

/// Accounts, sessions and tokens under `/auth/v1`, as clients of GoTrue expect them.
///
/// A value made of its configuration and its database; handlers throw, and one place answers errors.
package struct AuthService: Sendable {
    let configuration: AuthConfiguration
    let database: Database
    let access: AccessControl
    let hasher: PasswordHasher
    let limiter: RateLimiter
    let refreshesUnderWay = SharedWork<RefreshOutcome>()
    /// Where browsers may be sent.
    let redirects: RedirectAllowList
    /// The external providers that are enabled, by name.
    let providers: [String: ExternalProvider]
    let flowSecrets: FlowSecrets
    let hooks: AuthHooks
    /// Seals what must not be read in the database: the secrets of second factors.
    let keyring: Keyring
    /// Makes a refresh token from its parent; see ``RefreshToken``.
    let refreshTokenKey: [UInt8]
    /// Mail and text messages.
    let messaging: AuthMessaging
    let mailPauses: SendingPauses
    let messagePauses: SendingPauses
    let client: HTTPClient
    let log: Log
    let counters: AuthCounters
    /// Nil where no proof of a human is asked for.
    let captcha: CaptchaVerifier?
    let leakedPasswords: LeakedPasswordCheck

    /// Signs and verifies tokens with the keys now in force.
    var tokens: JWTCodec { access.keys.codec }

    var issuer: AccessTokenIssuer {
        AccessTokenIssuer(
            tokens: tokens, issuer: configuration.issuer, lifetime: configuration.accessTokenLifetime)
    }

    /// - Parameters:
    ///   - database: logs in as `supabase_auth_admin`; its search path holds `public`, because triggers of the project on
    ///     `auth.users` name their tables without a schema.
    ///   - access: knows the project's API keys, and the keys its tokens are signed with.
    ///   - client: calls hooks and whatever else is elsewhere.
    ///   - keyring: the project's own; secrets of second factors are sealed with it, and refresh tokens made.
    ///   - workers: where passwords are hashed; its queue bounds how many wait.
    package init(
        configuration: AuthConfiguration, database: Database, access: AccessControl,
        workers: WorkerPool, client: HTTPClient, messaging: AuthMessaging, keyring: Keyring, log: Log, metrics: Metrics
    ) {
        self.configuration = configuration
        self.database = database
        self.access = access
        counters = AuthCounters(metrics)
        hasher = PasswordHasher(
            workers: workers, cost: configuration.bcryptCost, counter: counters.passwordHashes)
        limiter = RateLimiter(configuration.rateLimits)
        let callback = configuration.externalURL + "/callback"
        providers = Dictionary(
            uniqueKeysWithValues: configuration.externalProviders.map { name, settings in
                (
                    name,
                    ExternalProvider(
                        name, settings, callback: callback, client: client, limits: configuration.issuerLimits)
                )
            })
        flowSecrets = FlowSecrets(key: configuration.flowKey)
        redirects = RedirectAllowList(siteURL: configuration.siteURL, patterns: configuration.redirectPatterns)
        hooks = AuthHooks(
            targets: configuration.hooks, database: database, client: client, limits: configuration.hookLimits)
        self.keyring = keyring
        refreshTokenKey = keyring.subkey(for: "refresh tokens")
        self.messaging = messaging
        let maxAddresses = configuration.rateLimits.maxAddresses
        mailPauses = SendingPauses(configuration.flows.emailPause, maxAddresses: maxAddresses)
        messagePauses = SendingPauses(configuration.flows.smsPause, maxAddresses: maxAddresses)
        self.client = client
        captcha = configuration.captcha.map { CaptchaVerifier(configuration: $0, client: client) }
        leakedPasswords = LeakedPasswordCheck(
            configuration: configuration.leakedPasswords, workers: workers, client: client)
        self.log = log.with(.field("service", "auth"))
    }

    /// Adds the routes of `/auth/v1`; each chapter of the interface adds its own, in the file that answers them.
    package func register(on router: inout Router) {
        router.group("/auth/v1", errors: answerWithFields) { router in
            registerDiscovery(on: &router)
            registerAccounts(on: &router)
            registerExternalProviders(on: &router)
            registerFactors(on: &router)
            registerPasskeys(on: &router)
            registerAdministration(on: &router)
            registerUnavailable(on: &router)
            registerFlows(on: &router)
        }
    }

    private func registerDiscovery(on router: inout Router) {
        router.on(.get, "/auth/v1/health") { _ in health }
        router.on(.get, "/auth/v1/.well-known/jwks.json") { _ in keySet }
        router.on(.get, "/auth/v1/.well-known/openid-configuration") { _ in discoveryDocument }
        router.on(.get, "/auth/v1/settings", settings)
    }

    private func registerAccounts(on router: inout Router) {
        on(.post, "/signup", &router, signUp)
        on(.post, "/token", &router, grantToken)
        on(.get, "/user", &router, currentUser)
        on(.post, "/logout", &router, logOut)
        on(.get, "/user/sessions", &router, listOwnSessions)
        on(.delete, "/user/sessions/:session", &router, endOwnSession)
        on(.delete, "/user", &router, deleteOwnAccount)
    }

    /// Adds a route below `/auth/v1`, with the body limit of Auth and the version a client asks for echoed.
    func on(_ method: HTTPMethod, _ path: String, _ router: inout Router, _ handler: @escaping HTTPHandler) {
        router.on(method, "/auth/v1" + path, maxBodyBytes: configuration.maxBodyBytes, versioned(handler))
    }

    /// Echoes the API version a client asks for on successes, as ``answer(_:to:)`` does on errors.
    private func versioned(_ handler: @escaping HTTPHandler) -> HTTPHandler {
        { request in
            var response = try await handler(request)
            if let echo = AuthAPIVersion(of: request).echo { response.headers.append(AuthAPIVersion.header, echo) }
            return response
        }
    }

    /// The one place that turns errors into responses.
    private func answer(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        if let error = error as? AccessError, let refusal = refusal(for: error) { return refusal }
        if let error = error as? OAuthError {
            if let cause = error.cause { record(cause, error.code.rawValue, request) }
            return error.response
        }
        let error = AuthError(error)
        note(error, request)
        return error.response(to: request)
    }

    /// Counts a refusal, and logs what the client is not told.
    func note(_ error: AuthError, _ request: HTTPRequest) {
        counters.refused(error.code)
        if let cause = error.cause, error.status.code >= 500 { record(cause, error.code.rawValue, request) }
        if let limit = error.limit {
            log.info(
                "auth limit reached", .field("request_id", request.id), .field("setting", limit),
                .field("address", request.remoteAddress))
        }
    }

    private func record(_ cause: any Error, _ code: String, _ request: HTTPRequest) {
        log.error(
            "auth request failed", .field("request_id", request.id), .field("code", code),
            .field("cause", String(describing: cause)))
    }

    /// As ``answer(_:to:)``, with the fields an error of HTTP itself carries, such as `Allow`.
    private func answerWithFields(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        var response = answer(error, to: request)
        for field in (error as? HTTPError)?.headers.fields ?? [] { response.headers.set(field.name, field.value) }
        return response
    }

    /// What concerns the API key is answered as the gateway before the services does; the rest in Auth's form.
    private func refusal(for error: AccessError) -> HTTPResponse? {
        switch error {
        case .missingKey, .invalidKey: error.response
        case .invalidToken, .roleNotAllowed: nil
        }
    }
}
