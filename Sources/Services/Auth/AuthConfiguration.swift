// SPDX-License-Identifier: Apache-2.0
import Cryptography
package import Platform
package import Primitives

/// How the Auth service behaves. The defaults are those of a new project's `config.toml`.
package struct AuthConfiguration: Sendable {
    /// What a password must hold besides its length.
    package enum PasswordRequirement: String, Sendable, CaseIterable {
        case none = ""
        case lettersAndDigits = "letters_digits"
        case lowerUpperLettersAndDigits = "lower_upper_letters_digits"
        case lowerUpperLettersDigitsAndSymbols = "lower_upper_letters_digits_symbols"
    }

    /// `iss` of access tokens: the API's address followed by `/auth/v1`.
    package var issuer: String
    /// Where clients reach the service, without a slash at its end.
    package var externalURL: String
    /// `aud` of access tokens and of new users.
    package var audience = "authenticated"
    /// How long an access token is valid; whole seconds, at most a week.
    package var accessTokenLifetime: Duration = .seconds(3600)
    /// What `/health` says the version is.
    package var version: String

    /// Whether anybody may make an account.
    package var isSignupEnabled = true
    /// Whether accounts by e-mail and password are made and sign in.
    package var isEmailEnabled = true
    /// Whether visitors may sign in without naming themselves.
    package var isAnonymousSignInEnabled = false
    /// Whether an address must be confirmed before its first session.
    package var areEmailConfirmationsEnabled = false

    /// Characters a new password must have. Passwords in use are not looked at again.
    package var minPasswordLength = 6
    package var passwordRequirement: PasswordRequirement = .none
    /// Where passwords known from leaks are looked up, which are refused.
    package var leakedPasswords = LeakedPasswordConfiguration()
    /// The work of new password hashes; each step doubles it. A hash of another cost is redone at sign-in.
    package var bcryptCost = 10

    /// Whether reuse of a spent refresh token ends the session it belongs to.
    package var isRefreshTokenRotationEnabled = true
    /// How long a spent refresh token is answered with the session's current one.
    package var refreshTokenReuseInterval: Duration = .seconds(10)
    /// How long refreshes of one session wait for each other before 409.
    package var refreshLockTimeout: Duration = .seconds(5)
    /// The longest a session may live; nil or zero for no end.
    package var sessionTimebox: Duration?
    /// How long a session may go without a refresh; nil or zero for no end.
    package var sessionInactivityTimeout: Duration?

    /// Where links lead and sign-in returns to when nothing else is asked for.
    package var siteURL = "http://127.0.0.1:3000"
    /// Patterns of further addresses sign-in may return to; see ``RedirectPattern``.
    package var redirectPatterns: [String] = []
    /// Providers users may sign in through, by name.
    package var externalProviders: [String: ExternalProviderSettings] = [:]
    /// How the providers' keys are fetched.
    package var issuerLimits = OpenIDIssuer.Limits()
    /// What the states of external sign-ins are signed with; the same in all processes of a project.
    package var flowKey = SecretString(Base64URL.encode(randomBytes(32)))
    /// Whether a signed-in user may add identities to the account and take them away.
    package var isManualLinkingEnabled = false
    /// How long an external sign-in may take, and how long its code, or that of a link, can be exchanged.
    package var flowStateLifetime: Duration = .seconds(300)
    /// Whether a sign-in ends the user's other sessions of the same tag.
    package var isSingleSessionPerUser = false

    /// Who checks that a human signs up or in; nil for nobody.
    package var captcha: CaptchaConfiguration?

    package var passkeys = PasskeyConfiguration()
    package var factors = FactorConfiguration()
    package var retention = RetentionConfiguration()

    /// Codes and links.
    package var flows = AuthFlowConfiguration()

    /// What the project has a say in, and how.
    package var hooks: [AuthHook: AuthHook.Target] = [:]
    package var hookLimits = HookLimits()

    /// The largest request body, in bytes.
    package var maxBodyBytes = 1 << 20
    /// The longest a single statement may run.
    package var statementTimeout: Duration = .seconds(10)
    package var rateLimits = AuthRateLimits()

    /// Keys that sign in by themselves. Whose they are, and how long a challenge lives, is as for second factors.
    package struct PasskeyConfiguration: Sendable {
        package var isEnabled = false
        package var maxPerUser = 10
        package init() {}
    }

    /// Second factors.
    package struct FactorConfiguration: Sendable {
        /// Whether factors of a kind are added, and whether they are proved.
        package struct Kind: Sendable {
            package var canEnroll = false
            package var canVerify = false
            package init() {}
        }

        package var totp = Kind()
        package var phone = Kind()
        /// Security keys.
        package var webAuthn = Kind()
        /// Whose keys they are; nil for the site's.
        package var relyingParty: RelyingParty?
        /// Factors of one user, verified or not.
        package var maxEnrolled = 10
        /// How long a challenge can be answered, and a factor be proved after it was added.
        package var challengeLifetime: Duration = .seconds(300)
        /// Digits of a code by phone.
        package var phoneCodeLength = 6
        /// The message with a code; `{{ .Code }}` is the code.
        package var phoneTemplate = "Your code is {{ .Code }}"
        /// The pause between two messages to one factor.
        package var phonePause: Duration = .seconds(5)

        package init() {}
    }

    package init(issuer: String, version: String) {
        self.issuer = issuer
        externalURL = issuer
        self.version = version
    }

    /// What is wrong with the values, each naming its key of `[auth]`; empty when all is well.
    package var problems: [String] {
        var problems = flows.problems
        if !(1...604_800).contains(accessTokenLifetime.components.seconds) {
            problems.append("jwt_expiry must be between 1 and 604800 seconds")
        }
        if !(1...Bcrypt.maxPasswordBytes).contains(minPasswordLength) {
            problems.append("minimum_password_length must be between 1 and \(Bcrypt.maxPasswordBytes)")
        }
        if !Bcrypt.costs.contains(bcryptCost) {
            problems.append("bcrypt_cost must be between \(Bcrypt.costs.lowerBound) and \(Bcrypt.costs.upperBound)")
        }
        if refreshTokenReuseInterval < .zero {
            problems.append("refresh_token_reuse_interval must not be negative")
        }
        return problems
    }
}
