// SPDX-License-Identifier: Apache-2.0
import HTTP

/// How codes and links behave. The defaults are those of a new project's `config.toml`.
package struct AuthFlowConfiguration: Sendable {
    /// Digits of a code, 6 to 10.
    package var otpLength = 6
    /// How long a mail's code and link are valid.
    package var otpLifetime: Duration = .seconds(3600)
    /// How long a text message's code is valid.
    package var smsOTPLifetime: Duration = .seconds(60)
    /// Wrong codes after which a pending code is void.
    package var maxCodeAttempts = 10
    /// The pause between two mails of one kind to one address.
    package var emailPause: Duration = .seconds(1)
    /// The pause between two text messages of one kind to one number.
    package var smsPause: Duration = .seconds(5)
    /// Answers that must not tell whether there is an account are held back to a multiple of this; zero for not at all.
    package var uniformResponseTime: Duration = .milliseconds(250)
    /// Whether a change of address is confirmed at the current address, too.
    package var areEmailChangesDoublyConfirmed = true
    /// Whether a change of password needs a sign-in of the last day, or a code.
    package var isPasswordChangeSecured = false
    /// Whether a change of password needs the current one.
    package var requiresCurrentPassword = false
    /// Whether accounts by phone number are made and sign in.
    package var isPhoneEnabled = false
    /// Whether a number must be confirmed before its first session.
    package var arePhoneConfirmationsEnabled = false

    package init() {}

    /// What is wrong with the values, each naming its key; empty when all is well.
    package var problems: [String] {
        var problems: [String] = []
        if !(6...10).contains(otpLength) { problems.append("email.otp_length must be between 6 and 10") }
        if otpLifetime < .seconds(1) { problems.append("email.otp_expiry must be at least a second") }
        if smsOTPLifetime < .seconds(1) { problems.append("sms_otp_expiry must be at least a second") }
        if maxCodeAttempts < 1 { problems.append("max_code_attempts must be at least 1") }
        return problems
    }
}

/// By what Auth reaches people.
package struct AuthMessaging: Sendable {
    package let mailer: AuthMailer
    package let messenger: AuthMessenger
    let digests: OneTimeTokenDigests

    /// - Parameter codeKey: at least 32 bytes that the database does not hold; codes are kept as digests under it.
    package init(mailer: AuthMailer, messenger: AuthMessenger, codeKey: [UInt8]) {
        precondition(codeKey.count >= 32, "a short key protects nothing")
        self.mailer = mailer
        self.messenger = messenger
        digests = OneTimeTokenDigests(key: codeKey)
    }
}

extension AuthService {
    var mailer: AuthMailer { messaging.mailer }
    var messenger: AuthMessenger { messaging.messenger }
    var tokenDigests: OneTimeTokenDigests { messaging.digests }

    func registerFlows(on router: inout Router) {
        on(.post, "/otp", &router, sendOTP)
        on(.post, "/magiclink", &router, sendMagicLink)
        on(.post, "/recover", &router, recover)
        on(.post, "/resend", &router, resend)
        on(.get, "/verify", &router, verifyLink)
        on(.post, "/verify", &router, verifyCode)
        on(.get, "/reauthenticate", &router, reauthenticate)
        on(.put, "/user", &router, updateCurrentUser)
        on(.post, "/invite", &router, invite)
        on(.post, "/admin/generate_link", &router, generateLink)
    }
}

extension Duration {
    /// Whole seconds, towards zero.
    var wholeSeconds: Int { Int(components.seconds) }
}
