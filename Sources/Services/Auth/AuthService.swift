// SPDX-License-Identifier: Apache-2.0
package import Cryptography
package import EventLoop
package import HTTP
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
    let tokens: JWTCodec
    let hasher: PasswordHasher
    let limiter: RateLimiter
    /// Where browsers may be sent.
    let redirects: RedirectAllowList
    let log: Log
    let counters: AuthCounters

    var issuer: AccessTokenIssuer {
        AccessTokenIssuer(
            tokens: tokens, issuer: configuration.issuer, lifetime: configuration.accessTokenLifetime)
    }

    /// - Parameters:
    ///   - database: logs in as `supabase_auth_admin`; its search path holds `public`, because triggers of the project on
    ///     `auth.users` name their tables without a schema.
    ///   - access: knows the project's API keys.
    ///   - tokens: signs access tokens.
    ///   - workers: where passwords are hashed; its queue bounds how many wait.
    package init(
        configuration: AuthConfiguration, database: Database, access: AccessControl, tokens: JWTCodec,
        workers: WorkerPool, log: Log, metrics: Metrics
    ) {
        self.configuration = configuration
        self.database = database
        self.access = access
        self.tokens = tokens
        hasher = PasswordHasher(workers: workers, cost: configuration.bcryptCost)
        limiter = RateLimiter(configuration.rateLimits)
        redirects = RedirectAllowList(siteURL: configuration.siteURL, patterns: configuration.redirectPatterns)
        self.log = log.with(.field("service", "auth"))
        counters = AuthCounters(metrics)
    }

    /// Adds the routes of `/auth/v1`.
    package func register(on router: inout Router) {
        router.group("/auth/v1", errors: answerWithFields) { router in
            let maxBytes = configuration.maxBodyBytes
            router.on(.get, "/auth/v1/health") { _ in health }
            router.on(.get, "/auth/v1/.well-known/jwks.json") { _ in keySet }
            router.on(.get, "/auth/v1/settings", settings)
            router.on(.post, "/auth/v1/signup", maxBodyBytes: maxBytes, versioned(signUp))
            router.on(.post, "/auth/v1/token", maxBodyBytes: maxBytes, versioned(grantToken))
            router.on(.get, "/auth/v1/user", versioned(currentUser))
            router.on(.post, "/auth/v1/logout", maxBodyBytes: maxBytes, versioned(logOut))
        }
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
        let error = AuthError(error)
        counters.refused(error.code)
        if let cause = error.cause, error.status.code >= 500 {
            log.error(
                "auth request failed", .field("request_id", request.id), .field("code", error.code.rawValue),
                .field("cause", String(describing: cause)))
        }
        return error.response(to: request)
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
