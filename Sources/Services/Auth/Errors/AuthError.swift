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
        case captchaFailed = "captcha_failed"
        case conflict = "conflict"
        case currentPasswordInvalid = "current_password_invalid"
        case currentPasswordRequired = "current_password_required"
        case customProviderNotFound = "custom_provider_not_found"
        case emailAddressInvalid = "email_address_invalid"
        case emailAddressNotAuthorized = "email_address_not_authorized"
        case emailAddressNotProvided = "email_address_not_provided"
        case emailConflictIdentityNotDeletable = "email_conflict_identity_not_deletable"
        case emailExists = "email_exists"
        case emailNotConfirmed = "email_not_confirmed"
        case emailProviderDisabled = "email_provider_disabled"
        case featureDisabled = "feature_disabled"
        case flowStateAlreadyUsed = "flow_state_already_used"
        case flowStateExpired = "flow_state_expired"
        case flowStateNotFound = "flow_state_not_found"
        case hookPayloadInvalidContentType = "hook_payload_invalid_content_type"
        case hookPayloadOverSizeLimit = "hook_payload_over_size_limit"
        case hookTimeout = "hook_timeout"
        case hookTimeoutAfterRetry = "hook_timeout_after_retry"
        case identityAlreadyExists = "identity_already_exists"
        case identityNotFound = "identity_not_found"
        case insufficientAAL = "insufficient_aal"
        case invalidCredentials = "invalid_credentials"
        case inviteNotFound = "invite_not_found"
        case manualLinkingDisabled = "manual_linking_disabled"
        case mfaChallengeExpired = "mfa_challenge_expired"
        case mfaFactorNameConflict = "mfa_factor_name_conflict"
        case mfaFactorNotFound = "mfa_factor_not_found"
        case mfaIPAddressMismatch = "mfa_ip_address_mismatch"
        case mfaPhoneEnrollNotEnabled = "mfa_phone_enroll_not_enabled"
        case mfaPhoneVerifyNotEnabled = "mfa_phone_verify_not_enabled"
        case mfaTOTPEnrollNotEnabled = "mfa_totp_enroll_not_enabled"
        case mfaTOTPVerifyNotEnabled = "mfa_totp_verify_not_enabled"
        case mfaVerificationFailed = "mfa_verification_failed"
        case mfaVerificationRejected = "mfa_verification_rejected"
        case mfaVerifiedFactorExists = "mfa_verified_factor_exists"
        case mfaWebAuthnEnrollNotEnabled = "mfa_webauthn_enroll_not_enabled"
        case mfaWebAuthnVerifyNotEnabled = "mfa_webauthn_verify_not_enabled"
        case noAuthorization = "no_authorization"
        case notAdmin = "not_admin"
        case notFound = "not_found"
        case oauthAuthorizationNotFound = "oauth_authorization_not_found"
        case oauthClientNotFound = "oauth_client_not_found"
        case oauthClientStateExpired = "oauth_client_state_expired"
        case oauthClientStateNotFound = "oauth_client_state_not_found"
        case oauthConsentNotFound = "oauth_consent_not_found"
        case oauthDynamicClientRegistrationDisabled = "oauth_dynamic_client_registration_disabled"
        case oauthInvalidState = "oauth_invalid_state"
        case oauthProviderNotSupported = "oauth_provider_not_supported"
        case otpDisabled = "otp_disabled"
        case otpExpired = "otp_expired"
        case overCustomProviderQuota = "over_custom_provider_quota"
        case overEmailSendRateLimit = "over_email_send_rate_limit"
        case overRequestRateLimit = "over_request_rate_limit"
        case overSMSSendRateLimit = "over_sms_send_rate_limit"
        case passkeyDisabled = "passkey_disabled"
        case phoneExists = "phone_exists"
        case phoneNotConfirmed = "phone_not_confirmed"
        case phoneProviderDisabled = "phone_provider_disabled"
        case providerDisabled = "provider_disabled"
        case providerEmailNeedsVerification = "provider_email_needs_verification"
        case reauthenticationNeeded = "reauthentication_needed"
        case reauthenticationNotValid = "reauthentication_not_valid"
        case refreshTokenAlreadyUsed = "refresh_token_already_used"
        case refreshTokenNotFound = "refresh_token_not_found"
        case requestEntityTooLarge = "request_entity_too_large"
        case requestTimeout = "request_timeout"
        case samePassword = "same_password"
        case samlAssertionNoEmail = "saml_assertion_no_email"
        case samlAssertionNoUserID = "saml_assertion_no_user_id"
        case samlEntityIDMismatch = "saml_entity_id_mismatch"
        case samlIDPAlreadyExists = "saml_idp_already_exists"
        case samlIDPNotFound = "saml_idp_not_found"
        case samlMetadataFetchFailed = "saml_metadata_fetch_failed"
        case samlProviderDisabled = "saml_provider_disabled"
        case samlRelayStateExpired = "saml_relay_state_expired"
        case samlRelayStateNotFound = "saml_relay_state_not_found"
        case serviceUnavailable = "service_unavailable"
        case sessionExpired = "session_expired"
        case sessionNotFound = "session_not_found"
        case signupDisabled = "signup_disabled"
        case singleIdentityNotDeletable = "single_identity_not_deletable"
        case smsSendFailed = "sms_send_failed"
        case ssoDomainAlreadyExists = "sso_domain_already_exists"
        case ssoProviderDisabled = "sso_provider_disabled"
        case ssoProviderNotFound = "sso_provider_not_found"
        case tooManyEnrolledMFAFactors = "too_many_enrolled_mfa_factors"
        case tooManyPasskeys = "too_many_passkeys"
        case unexpectedAudience = "unexpected_audience"
        case unexpectedFailure = "unexpected_failure"
        case unknown = "unknown"
        case userAlreadyExists = "user_already_exists"
        case userBanned = "user_banned"
        case userNotFound = "user_not_found"
        case userSSOManaged = "user_sso_managed"
        case validationFailed = "validation_failed"
        case weakPassword = "weak_password"
        case web3ProviderDisabled = "web3_provider_disabled"
        case web3UnsupportedChain = "web3_unsupported_chain"
        case webAuthnChallengeExpired = "webauthn_challenge_expired"
        case webAuthnChallengeNotFound = "webauthn_challenge_not_found"
        case webAuthnCredentialExists = "webauthn_credential_exists"
        case webAuthnCredentialNotFound = "webauthn_credential_not_found"
        case webAuthnVerificationFailed = "webauthn_verification_failed"
    }

    /// Why a password is weak; the raw value is the word in `weak_password.reasons`.
    package enum WeakPasswordReason: String, Sendable {
        case length
        case characters
        case pwned
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
    /// The configuration key of the limit that was reached, for the log.
    package var limit: String?
    /// Logged with the request ID, never sent.
    package var cause: (any Error)?

    package init(
        _ code: Code, _ message: String, status: HTTPStatus? = nil, weakPasswordReasons: [WeakPasswordReason] = [],
        retryAfter: Duration? = nil, limit: String? = nil, cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.status = status ?? code.status
        self.weakPasswordReasons = weakPasswordReasons
        self.retryAfter = retryAfter
        self.limit = limit
        self.cause = cause
    }
}

extension AuthError.Code {
    /// The status of the code where the endpoint does not say otherwise.
    package var status: HTTPStatus {
        switch self {
        case .badCodeVerifier, .badJSON, .badOAuthCallback, .badOAuthState, .captchaFailed,
            .currentPasswordInvalid, .currentPasswordRequired, .emailAddressInvalid,
            .emailAddressNotAuthorized, .emailAddressNotProvided, .emailNotConfirmed,
            .emailProviderDisabled, .flowStateAlreadyUsed, .hookPayloadInvalidContentType,
            .invalidCredentials, .oauthClientStateExpired, .oauthClientStateNotFound,
            .oauthInvalidState, .oauthProviderNotSupported, .overCustomProviderQuota,
            .phoneProviderDisabled, .providerDisabled, .reauthenticationNeeded,
            .refreshTokenAlreadyUsed, .refreshTokenNotFound, .samlAssertionNoEmail,
            .samlAssertionNoUserID, .samlEntityIDMismatch, .samlMetadataFetchFailed,
            .sessionExpired, .ssoDomainAlreadyExists, .unexpectedAudience, .userBanned,
            .validationFailed, .web3UnsupportedChain, .webAuthnChallengeExpired,
            .webAuthnChallengeNotFound, .webAuthnVerificationFailed:
            400
        case .insufficientAAL, .noAuthorization: 401
        case .badJWT, .mfaVerificationRejected, .notAdmin, .oauthDynamicClientRegistrationDisabled,
            .otpExpired, .sessionNotFound, .userNotFound:
            403
        case .customProviderNotFound, .featureDisabled, .flowStateNotFound, .inviteNotFound,
            .manualLinkingDisabled, .mfaFactorNotFound, .notFound, .oauthAuthorizationNotFound,
            .oauthClientNotFound, .oauthConsentNotFound, .passkeyDisabled, .samlIDPNotFound,
            .samlProviderDisabled, .samlRelayStateNotFound, .ssoProviderDisabled,
            .ssoProviderNotFound, .webAuthnCredentialNotFound:
            404
        case .conflict: 409
        case .requestEntityTooLarge: 413
        case .anonymousProviderDisabled, .emailConflictIdentityNotDeletable, .emailExists,
            .flowStateExpired, .hookPayloadOverSizeLimit, .hookTimeout, .hookTimeoutAfterRetry,
            .identityAlreadyExists, .identityNotFound, .mfaChallengeExpired, .mfaFactorNameConflict,
            .mfaIPAddressMismatch, .mfaPhoneEnrollNotEnabled, .mfaPhoneVerifyNotEnabled,
            .mfaTOTPEnrollNotEnabled, .mfaTOTPVerifyNotEnabled, .mfaVerificationFailed,
            .mfaVerifiedFactorExists, .mfaWebAuthnEnrollNotEnabled, .mfaWebAuthnVerifyNotEnabled,
            .otpDisabled, .phoneExists, .phoneNotConfirmed, .providerEmailNeedsVerification,
            .reauthenticationNotValid, .samePassword, .samlIDPAlreadyExists, .samlRelayStateExpired,
            .signupDisabled, .singleIdentityNotDeletable, .smsSendFailed,
            .tooManyEnrolledMFAFactors, .tooManyPasskeys, .userAlreadyExists, .userSSOManaged,
            .weakPassword, .web3ProviderDisabled, .webAuthnCredentialExists:
            422
        case .overEmailSendRateLimit, .overRequestRateLimit, .overSMSSendRateLimit: 429
        case .unexpectedFailure, .unknown: 500
        case .serviceUnavailable: 503
        case .requestTimeout: 504
        }
    }
}
