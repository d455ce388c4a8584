// SPDX-License-Identifier: Apache-2.0
package import HTTP

/// Everything the Auth service can refuse.
package struct AuthError: Error, Sendable {
    /// The raw value is the wire code in `error_code`; never rename one.
    package enum Code: String, Sendable, CaseIterable {
        case anonymousProviderDisabled = "anonymous_provider_disabled"
        case badJSON = "bad_json"
        case badJWT = "bad_jwt"
        case conflict = "conflict"
        case emailNotConfirmed = "email_not_confirmed"
        case emailProviderDisabled = "email_provider_disabled"
        case invalidCredentials = "invalid_credentials"
        case noAuthorization = "no_authorization"
        case notFound = "not_found"
        case overRequestRateLimit = "over_request_rate_limit"
        case phoneProviderDisabled = "phone_provider_disabled"
        case refreshTokenAlreadyUsed = "refresh_token_already_used"
        case refreshTokenNotFound = "refresh_token_not_found"
        case requestEntityTooLarge = "request_entity_too_large"
        case requestTimeout = "request_timeout"
        case serviceUnavailable = "service_unavailable"
        case sessionExpired = "session_expired"
        case sessionNotFound = "session_not_found"
        case signupDisabled = "signup_disabled"
        case unexpectedFailure = "unexpected_failure"
        case userAlreadyExists = "user_already_exists"
        case userBanned = "user_banned"
        case userNotFound = "user_not_found"
        case validationFailed = "validation_failed"
        case weakPassword = "weak_password"
    }

    /// Why a password is weak; the raw value is the word in `weak_password.reasons`.
    package enum WeakPasswordReason: String, Sendable {
        case length
        case characters
    }

    /// What callers and clients switch on.
    package var code: Code
    /// Fit for the client: no SQL, no internals.
    package var message: String
    /// Set where an endpoint answers a code with another status than most do.
    package var status: HTTPStatus
    /// Only with `weakPassword`.
    package var weakPasswordReasons: [WeakPasswordReason]
    /// When trying again makes sense, for `Retry-After`.
    package var retryAfter: Duration?
    /// Logged with the request ID, never sent.
    package var cause: (any Error)?

    package init(
        _ code: Code, _ message: String, status: HTTPStatus? = nil, weakPasswordReasons: [WeakPasswordReason] = [],
        retryAfter: Duration? = nil, cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.status = status ?? code.status
        self.weakPasswordReasons = weakPasswordReasons
        self.retryAfter = retryAfter
        self.cause = cause
    }
}

extension AuthError.Code {
    /// The status of the code where the endpoint does not say otherwise.
    package var status: HTTPStatus {
        switch self {
        case .badJSON, .emailNotConfirmed, .emailProviderDisabled, .invalidCredentials, .phoneProviderDisabled,
            .refreshTokenAlreadyUsed, .refreshTokenNotFound, .sessionExpired, .userBanned, .validationFailed:
            400
        case .noAuthorization: 401
        case .badJWT, .sessionNotFound, .userNotFound: 403
        case .notFound: 404
        case .conflict: 409
        case .requestEntityTooLarge: 413
        case .anonymousProviderDisabled, .signupDisabled, .userAlreadyExists, .weakPassword: 422
        case .overRequestRateLimit: 429
        case .unexpectedFailure: 500
        case .serviceUnavailable: 503
        case .requestTimeout: 504
        }
    }
}
