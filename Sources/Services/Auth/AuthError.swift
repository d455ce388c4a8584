// SPDX-License-Identifier: Apache-2.0
package import HTTP

/// Everything the Auth service can refuse.
package struct AuthError: Error, Sendable {
    /// The raw value is the wire code in `error_code`; never rename one.
    package enum Code: String, Sendable, CaseIterable {
        case anonymousProviderDisabled = "anonymous_provider_disabled"
        case badCodeVerifier = "bad_code_verifier"
        case badJSON = "bad_json"
        case badJWT = "bad_jwt"
        case badOAuthCallback = "bad_oauth_callback"
        case badOAuthState = "bad_oauth_state"
        case conflict = "conflict"
        case emailAddressNotProvided = "email_address_not_provided"
        case emailConflictIdentityNotDeletable = "email_conflict_identity_not_deletable"
        case emailNotConfirmed = "email_not_confirmed"
        case emailProviderDisabled = "email_provider_disabled"
        case flowStateAlreadyUsed = "flow_state_already_used"
        case flowStateExpired = "flow_state_expired"
        case flowStateNotFound = "flow_state_not_found"
        case identityAlreadyExists = "identity_already_exists"
        case identityNotFound = "identity_not_found"
        case invalidCredentials = "invalid_credentials"
        case manualLinkingDisabled = "manual_linking_disabled"
        case noAuthorization = "no_authorization"
        case notFound = "not_found"
        case oauthProviderNotSupported = "oauth_provider_not_supported"
        case overRequestRateLimit = "over_request_rate_limit"
        case phoneProviderDisabled = "phone_provider_disabled"
        case providerDisabled = "provider_disabled"
        case providerEmailNeedsVerification = "provider_email_needs_verification"
        case refreshTokenAlreadyUsed = "refresh_token_already_used"
        case refreshTokenNotFound = "refresh_token_not_found"
        case requestEntityTooLarge = "request_entity_too_large"
        case requestTimeout = "request_timeout"
        case serviceUnavailable = "service_unavailable"
        case sessionExpired = "session_expired"
        case sessionNotFound = "session_not_found"
        case signupDisabled = "signup_disabled"
        case singleIdentityNotDeletable = "single_identity_not_deletable"
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
            .refreshTokenAlreadyUsed, .refreshTokenNotFound, .sessionExpired, .userBanned, .validationFailed,
            .badCodeVerifier, .badOAuthCallback, .badOAuthState, .emailAddressNotProvided, .flowStateAlreadyUsed,
            .oauthProviderNotSupported, .providerDisabled:
            400
        case .noAuthorization: 401
        case .badJWT, .sessionNotFound, .userNotFound: 403
        case .notFound, .flowStateNotFound, .manualLinkingDisabled: 404
        case .conflict: 409
        case .requestEntityTooLarge: 413
        case .anonymousProviderDisabled, .signupDisabled, .userAlreadyExists, .weakPassword,
            .emailConflictIdentityNotDeletable, .flowStateExpired, .identityAlreadyExists, .identityNotFound,
            .providerEmailNeedsVerification, .singleIdentityNotDeletable:
            422
        case .overRequestRateLimit: 429
        case .unexpectedFailure: 500
        case .serviceUnavailable: 503
        case .requestTimeout: 504
        }
    }
}
