// SPDX-License-Identifier: Apache-2.0
import Primitives

/// A checked request to make an account.
enum SignupForm: Sendable {
    case email(EmailAddress, password: String, data: JSONObject)
    case anonymous(data: JSONObject)

    /// - Throws: what the body, or the configuration, does not allow.
    init(_ fields: RequestFields, _ configuration: AuthConfiguration) throws(AuthError) {
        let email = try fields.text("email")
        let phone = try fields.text("phone")
        let password = try fields.text("password")
        let data = try fields.object("data")
        guard configuration.isSignupEnabled else {
            throw AuthError(.signupDisabled, "Signups not allowed for this instance")
        }
        guard email.isEmpty || phone.isEmpty else {
            throw AuthError(
                .validationFailed, "Only an email address or phone number should be provided on signup.")
        }
        guard phone.isEmpty else { throw AuthError(.phoneProviderDisabled, "Phone signups are disabled") }
        if email.isEmpty {
            guard configuration.isAnonymousSignInEnabled else {
                throw AuthError(.anonymousProviderDisabled, "Anonymous sign-ins are disabled")
            }
            self = .anonymous(data: data)
            return
        }
        guard configuration.isEmailEnabled else {
            throw AuthError(.emailProviderDisabled, "Email signups are disabled")
        }
        try PasswordPolicy(
            minLength: configuration.minPasswordLength, requirement: configuration.passwordRequirement
        ).check(password)
        guard let address = EmailAddress(email) else {
            throw AuthError(.validationFailed, "Unable to validate email address: invalid format")
        }
        self = .email(address, password: password, data: data)
    }
}
