// SPDX-License-Identifier: Apache-2.0
import Primitives

/// A checked request to make an account.
enum SignupForm: Sendable {
    case email(EmailAddress, password: String, data: JSONObject, CodeChallenge?)
    case phone(PhoneNumber, password: String, data: JSONObject, MessageChannel)
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
        if email.isEmpty, phone.isEmpty {
            guard configuration.isAnonymousSignInEnabled else {
                throw AuthError(.anonymousProviderDisabled, "Anonymous sign-ins are disabled")
            }
            self = .anonymous(data: data)
            return
        }
        if email.isEmpty {
            guard configuration.flows.isPhoneEnabled else {
                throw AuthError(.phoneProviderDisabled, "Phone signups are disabled")
            }
            try Self.check(password, configuration)
            self = .phone(
                try PhoneNumber(checking: phone), password: password, data: data, try MessageChannel(fields))
            return
        }
        guard configuration.isEmailEnabled else {
            throw AuthError(.emailProviderDisabled, "Email signups are disabled")
        }
        try Self.check(password, configuration)
        guard let address = EmailAddress(email) else {
            throw AuthError(.validationFailed, "Unable to validate email address: invalid format")
        }
        self = .email(address, password: password, data: data, try CodeChallenge(fields))
    }

    private static func check(_ password: String, _ configuration: AuthConfiguration) throws(AuthError) {
        try PasswordPolicy(
            minLength: configuration.minPasswordLength, requirement: configuration.passwordRequirement
        ).check(password)
    }
}
