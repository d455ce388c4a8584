// SPDX-License-Identifier: Apache-2.0
package import Primitives

extension ProjectConfiguration {
    /// `[auth]`
    package struct Auth: ConfigurationSection {
        package enum PasswordRequirements: String, Sendable, CaseIterable {
            case none = ""
            case lettersDigits = "letters_digits"
            case lowerUpperLettersDigits = "lower_upper_letters_digits"
            case lowerUpperLettersDigitsSymbols = "lower_upper_letters_digits_symbols"
        }

        package var enabled = true
        package var siteURL = "http://127.0.0.1:3000"
        package var externalURL: String?
        package var additionalRedirectURLs: [String] = []
        package var jwtExpiry: Duration = .seconds(3600)
        package var jwtIssuer: String?
        package var signingKeysPath: String?
        package var enableRefreshTokenRotation = true
        package var refreshTokenReuseInterval: Duration = .seconds(10)
        package var enableSignup = true
        package var enableAnonymousSignIns = false
        package var enableManualLinking = false
        package var minimumPasswordLength = 6
        package var passwordRequirements = PasswordRequirements.none
        package var publishableKey: SecretString?
        package var secretKey: SecretString?
        package var jwtSecret: SecretString?
        package var anonKey: SecretString?
        package var serviceRoleKey: SecretString?
        package var rateLimit = RateLimit()
        package var captcha: Captcha?
        package var passkey = Passkey()
        package var webAuthn: WebAuthn?
        package var email = Email()
        package var sms = SMS()
        package var sessions = Sessions()
        package var hooks: [String: Hook] = [:]
        package var mfa = MFA()
        package var external: [String: ExternalProvider] = [:]
        package var web3 = Web3()
        package var thirdParty = ThirdParty()
        package var oauthServer = OAuthServer()

        package init() {}

        static var fields: [ConfigurationField<Auth>] {
            Field.key("enabled", \.enabled, .boolean, "Whether `/auth/v1` is served.")
            Field.key(
                "site_url", \.siteURL, .url,
                "The address of your site: where links in mails lead and sign-in returns to by default.")
            Field.optional(
                "external_url", \.externalURL, .httpURL,
                "The address of Auth as clients see it. Unset means the API's address and `/auth/v1`.")
            Field.key(
                "additional_redirect_urls", \.additionalRedirectURLs, .texts,
                "Further addresses sign-in may return to, with wildcards.")
            Field.key("jwt_expiry", \.jwtExpiry, .seconds(1...604_800), "How long an access token is valid.")
            Field.optional("jwt_issuer", \.jwtIssuer, .text, "The `iss` claim. Unset means the address of Auth.")
            Field.optional(
                "signing_keys_path", \.signingKeysPath, .text,
                "JSON file of an array of private JWKs, relative to `supabase/`; the first signs. Unset means `jwt_secret` signs."
            )
            Field.key(
                "enable_refresh_token_rotation", \.enableRefreshTokenRotation, .boolean,
                "Whether a refresh token is spent by its use.")
            Field.key(
                "refresh_token_reuse_interval", \.refreshTokenReuseInterval, .seconds(0...86_400),
                "How long a spent refresh token still works, for clients that refresh twice at once.")
            Field.key("enable_signup", \.enableSignup, .boolean, "Whether anyone may sign up.")
            Field.key(
                "enable_anonymous_sign_ins", \.enableAnonymousSignIns, .boolean, "Whether anonymous users may sign in.")
            Field.key(
                "enable_manual_linking", \.enableManualLinking, .boolean,
                "Whether a user may link a further identity to the account.")
            Field.key(
                "minimum_password_length", \.minimumPasswordLength, .integer(6...72),
                "Shorter passwords are refused as weak.")
            Field.key("password_requirements", \.passwordRequirements, .choice, "Characters a password must have.")
            Field.optional(
                "publishable_key", \.publishableKey, .secret,
                "The `sb_publishable_...` key. Unset makes one on the first start.")
            Field.optional(
                "secret_key", \.secretKey, .secret, "The `sb_secret_...` key. Unset makes one on the first start.")
            Field.optional(
                "jwt_secret", \.jwtSecret, .secret("a string of at least 16 characters") { $0.utf8.count >= 16 },
                "The secret tokens are signed with (HS256). Unset makes one on the first start.")
            Field.optional("anon_key", \.anonKey, .secret, "The JWT of role `anon`. Unset signs one.")
            Field.optional(
                "service_role_key", \.serviceRoleKey, .secret, "The JWT of role `service_role`. Unset signs one.")
            Field.section("rate_limit", \.rateLimit, "How often things may be done.")
            Field.section("captcha", \.captcha, "Proof of a human at sign-up and sign-in.")
            Field.section("passkey", \.passkey, "Sign-in with passkeys.")
            Field.section("webauthn", \.webAuthn, "The relying party of passkeys.")
            Field.section("email", \.email, "Sign-up and sign-in by email.")
            Field.section("sms", \.sms, "Sign-up and sign-in by phone.")
            Field.section("sessions", \.sessions, "How long sessions last.")
            Field.sections("hook", "name", \.hooks, names: Self.hookNames, "A function of yours that Auth calls.")
            Field.section("mfa", \.mfa, "Second factors.")
            Field.sections(
                "external", "provider", \.external,
                "Sign-in through an OAuth provider, such as `apple`, `azure`, `bitbucket`, `discord`, `facebook`, `github`, `gitlab`, `google`, `keycloak`, `linkedin_oidc`, `notion`, `twitch`, `twitter`, `x`, `slack`, `spotify`, `workos` or `zoom`."
            )
            Field.section("web3", \.web3, "Sign-in with a wallet.")
            Field.section("third_party", \.thirdParty, "Tokens of another identity service are accepted.")
            Field.section("oauth_server", \.oauthServer, "Auth as an OAuth 2.1 server for other programs.")
        }

        static let hookNames = [
            "mfa_verification_attempt", "password_verification_attempt", "custom_access_token", "send_sms",
            "send_email",
            "before_user_created",
        ]

        /// `[auth.rate_limit]`
        package struct RateLimit: ConfigurationSection {
            package var emailSent = 2
            package var smsSent = 30
            package var anonymousUsers = 30
            package var tokenRefresh = 150
            package var signInSignUps = 30
            package var tokenVerifications = 30
            package var web3 = 30

            package init() {}

            static var fields: [ConfigurationField<RateLimit>] {
                Field.key(
                    "email_sent", \.emailSent, .integer(0...Int.max),
                    "Mails an hour. Counts with `[auth.email.smtp]` only.")
                Field.key("sms_sent", \.smsSent, .integer(0...Int.max), "Text messages an hour.")
                Field.key(
                    "anonymous_users", \.anonymousUsers, .integer(0...Int.max),
                    "Anonymous sign-ins an hour and address.")
                Field.key("token_refresh", \.tokenRefresh, .integer(0...Int.max), "Refreshes in 5 minutes and address.")
                Field.key(
                    "sign_in_sign_ups", \.signInSignUps, .integer(0...Int.max),
                    "Sign-ups and sign-ins in 5 minutes and address.")
                Field.key(
                    "token_verifications", \.tokenVerifications, .integer(0...Int.max),
                    "Verifications of a code or link in 5 minutes and address.")
                Field.key("web3", \.web3, .integer(0...Int.max), "Sign-ins with a wallet in 5 minutes and address.")
            }
        }

        /// `[auth.captcha]`
        package struct Captcha: ConfigurationSection {
            package enum Provider: String, Sendable, CaseIterable { case hcaptcha, turnstile }

            package var enabled = false
            package var provider = Provider.hcaptcha
            package var secret: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Captcha>] {
                Field.key("enabled", \.enabled, .boolean, "Whether a proof is asked for.")
                Field.key("provider", \.provider, .choice, "Who checks it.")
                Field.optional("secret", \.secret, .secret, "The provider's key.")
            }
        }

        /// `[auth.passkey]`
        package struct Passkey: ConfigurationSection {
            package var enabled = false

            package init() {}

            static var fields: [ConfigurationField<Passkey>] {
                Field.key("enabled", \.enabled, .boolean, "Whether passkeys are accepted.")
            }
        }

        /// `[auth.webauthn]`
        package struct WebAuthn: ConfigurationSection {
            package var displayName: String?
            package var relyingPartyID: String?
            package var origins: [String] = []

            package init() {}

            static var fields: [ConfigurationField<WebAuthn>] {
                Field.optional("rp_display_name", \.displayName, .text, "The name a user sees.")
                Field.optional("rp_id", \.relyingPartyID, .text, "The domain passkeys belong to.")
                Field.key("rp_origins", \.origins, .texts, "Origins that may use them.")
            }
        }

        /// `[auth.email]`
        package struct Email: ConfigurationSection {
            package var enableSignup = true
            package var doubleConfirmChanges = true
            package var enableConfirmations = false
            package var securePasswordChange = false
            package var maxFrequency: Duration = .seconds(1)
            package var otpLength = 6
            package var otpExpiry: Duration = .seconds(3600)
            package var smtp: SMTP?
            package var templates: [String: Template] = [:]
            package var notifications: [String: Notification] = [:]

            package init() {}

            static var fields: [ConfigurationField<Email>] {
                Field.key("enable_signup", \.enableSignup, .boolean, "Whether users may sign up by email.")
                Field.key(
                    "double_confirm_changes", \.doubleConfirmChanges, .boolean,
                    "Whether a change of address is confirmed at both addresses.")
                Field.key(
                    "enable_confirmations", \.enableConfirmations, .boolean,
                    "Whether an address must be confirmed before sign-in.")
                Field.key(
                    "secure_password_change", \.securePasswordChange, .boolean,
                    "Whether a change of password needs a recent sign-in.")
                Field.key("max_frequency", \.maxFrequency, .duration(), "The pause between two mails to one user.")
                Field.key("otp_length", \.otpLength, .integer(6...10), "Digits of a code.")
                Field.key("otp_expiry", \.otpExpiry, .seconds(1...604_800), "How long a code or link is valid.")
                Field.section("smtp", \.smtp, "The mail server. Without it mail goes to the mail catcher.")
                Field.sections(
                    "template", "name", \.templates,
                    names: ["invite", "confirmation", "recovery", "magic_link", "email_change", "reauthentication"],
                    "A mail's text.")
                Field.sections(
                    "notification", "name", \.notifications,
                    names: [
                        "password_changed", "email_changed", "phone_changed", "identity_linked", "identity_unlinked",
                        "mfa_factor_enrolled", "mfa_factor_unenrolled",
                    ], "A mail about something that happened to the account.")
            }
        }

        /// `[auth.email.smtp]`; on by being there.
        package struct SMTP: ConfigurationSection {
            package var enabled = true
            package var host = ""
            package var port = 587
            package var user = ""
            package var password: SecretString?
            package var adminEmail = ""
            package var senderName = ""

            package init() {}

            static var fields: [ConfigurationField<SMTP>] {
                Field.key("enabled", \.enabled, .boolean, "Whether mail is sent through it.")
                Field.key("host", \.host, .text, "The server's name.")
                Field.key("port", \.port, .port, "The server's port.")
                Field.key("user", \.user, .text, "The login.")
                Field.optional("pass", \.password, .secret, "The login's password.")
                Field.key("admin_email", \.adminEmail, .text, "The sender's address.")
                Field.key("sender_name", \.senderName, .text, "The sender's name.")
            }
        }

        /// `[auth.email.template.<name>]`
        package struct Template: ConfigurationSection {
            package var subject: String?
            package var content: String?
            package var contentPath: String?

            package init() {}

            static var fields: [ConfigurationField<Template>] {
                Field.optional("subject", \.subject, .text, "The subject line.")
                Field.optional("content", \.content, .text, "The HTML body.")
                Field.optional(
                    "content_path", \.contentPath, .text, "File of the HTML body, relative to the project's folder.")
            }
        }

        /// `[auth.email.notification.<name>]`
        package struct Notification: ConfigurationSection {
            package var enabled = false
            package var subject: String?
            package var content: String?
            package var contentPath: String?

            package init() {}

            static var fields: [ConfigurationField<Notification>] {
                Field.key("enabled", \.enabled, .boolean, "Whether it is sent.")
                Field.optional("subject", \.subject, .text, "The subject line.")
                Field.optional("content", \.content, .text, "The HTML body.")
                Field.optional(
                    "content_path", \.contentPath, .text, "File of the HTML body, relative to the project's folder.")
            }
        }

        /// `[auth.sms]`
        package struct SMS: ConfigurationSection {
            package var enableSignup = false
            package var enableConfirmations = false
            package var template = "Your code is {{ .Code }}"
            package var maxFrequency: Duration = .seconds(5)
            package var testOTP: [String: String] = [:]
            package var twilio = Twilio()
            package var twilioVerify = Twilio()
            package var messagebird = Messagebird()
            package var textlocal = Textlocal()
            package var vonage = Vonage()

            package init() {}

            static var fields: [ConfigurationField<SMS>] {
                Field.key("enable_signup", \.enableSignup, .boolean, "Whether users may sign up by phone.")
                Field.key(
                    "enable_confirmations", \.enableConfirmations, .boolean,
                    "Whether a number must be confirmed before sign-in.")
                Field.key("template", \.template, .text, "The message; `{{ .Code }}` is the code.")
                Field.key("max_frequency", \.maxFrequency, .duration(), "The pause between two messages to one user.")
                Field.values(
                    "test_otp", "number", \.testOTP, .setting,
                    "Codes that are always right, by phone number, for tests.")
                Field.section("twilio", \.twilio, "Twilio Programmable Messaging.")
                Field.section("twilio_verify", \.twilioVerify, "Twilio Verify.")
                Field.section("messagebird", \.messagebird, "MessageBird.")
                Field.section("textlocal", \.textlocal, "Textlocal.")
                Field.section("vonage", \.vonage, "Vonage.")
            }
        }

        /// `[auth.sms.twilio]`, `[auth.sms.twilio_verify]`
        package struct Twilio: ConfigurationSection {
            package var enabled = false
            package var accountSID = ""
            package var messageServiceSID = ""
            package var authToken: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Twilio>] {
                Field.key("enabled", \.enabled, .boolean, "Whether messages go through it.")
                Field.key("account_sid", \.accountSID, .text, "The account.")
                Field.key("message_service_sid", \.messageServiceSID, .text, "The messaging service.")
                Field.optional("auth_token", \.authToken, .secret, "The account's token.")
            }
        }

        /// `[auth.sms.messagebird]`
        package struct Messagebird: ConfigurationSection {
            package var enabled = false
            package var originator = ""
            package var accessKey: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Messagebird>] {
                Field.key("enabled", \.enabled, .boolean, "Whether messages go through it.")
                Field.key("originator", \.originator, .text, "The sender.")
                Field.optional("access_key", \.accessKey, .secret, "The account's key.")
            }
        }

        /// `[auth.sms.textlocal]`
        package struct Textlocal: ConfigurationSection {
            package var enabled = false
            package var sender = ""
            package var apiKey: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Textlocal>] {
                Field.key("enabled", \.enabled, .boolean, "Whether messages go through it.")
                Field.key("sender", \.sender, .text, "The sender.")
                Field.optional("api_key", \.apiKey, .secret, "The account's key.")
            }
        }

        /// `[auth.sms.vonage]`
        package struct Vonage: ConfigurationSection {
            package var enabled = false
            package var from = ""
            package var apiKey = ""
            package var apiSecret: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Vonage>] {
                Field.key("enabled", \.enabled, .boolean, "Whether messages go through it.")
                Field.key("from", \.from, .text, "The sender.")
                Field.key("api_key", \.apiKey, .text, "The account's name.")
                Field.optional("api_secret", \.apiSecret, .secret, "The account's secret.")
            }
        }

        /// `[auth.sessions]`
        package struct Sessions: ConfigurationSection {
            package var timebox: Duration?
            package var inactivityTimeout: Duration?

            package init() {}

            static var fields: [ConfigurationField<Sessions>] {
                Field.optional(
                    "timebox", \.timebox, .duration(), "How long a session may last. Unset or `0s` means for ever.")
                Field.optional(
                    "inactivity_timeout", \.inactivityTimeout, .duration(),
                    "How long a session may lie unused. Unset or `0s` means for ever.")
            }
        }

        /// `[auth.hook.<name>]`
        package struct Hook: ConfigurationSection {
            package var enabled = false
            package var uri = ""
            package var secrets: SecretString?

            package init() {}

            static var fields: [ConfigurationField<Hook>] {
                Field.key("enabled", \.enabled, .boolean, "Whether it is called.")
                Field.key("uri", \.uri, .text, "`pg-functions://postgres/<schema>/<function>` or an address.")
                Field.optional(
                    "secrets", \.secrets, .secret, "Keys calls are signed with (Standard Webhooks), between `|`.")
            }
        }

        /// `[auth.mfa]`
        package struct MFA: ConfigurationSection {
            package var maxEnrolledFactors = 10
            package var totp = Factor()
            package var webAuthn = Factor()
            package var phone = PhoneFactor()

            package init() {}

            static var fields: [ConfigurationField<MFA>] {
                Field.key(
                    "max_enrolled_factors", \.maxEnrolledFactors, .integer(0...100), "Factors of a user, at most.")
                Field.section("totp", \.totp, "Codes of an authenticator app.")
                Field.section("web_authn", \.webAuthn, "Security keys.")
                Field.section("phone", \.phone, "Codes by phone.")
            }
        }

        /// `[auth.mfa.totp]`, `[auth.mfa.web_authn]`
        package struct Factor: ConfigurationSection {
            package var enrollEnabled = false
            package var verifyEnabled = false

            package init() {}

            static var fields: [ConfigurationField<Factor>] {
                Field.key("enroll_enabled", \.enrollEnabled, .boolean, "Whether users may add one.")
                Field.key("verify_enabled", \.verifyEnabled, .boolean, "Whether users may prove one.")
            }
        }

        /// `[auth.mfa.phone]`
        package struct PhoneFactor: ConfigurationSection {
            package var enrollEnabled = false
            package var verifyEnabled = false
            package var otpLength = 6
            package var template = "Your code is {{ .Code }}"
            package var maxFrequency: Duration = .seconds(5)

            package init() {}

            static var fields: [ConfigurationField<PhoneFactor>] {
                Field.key("enroll_enabled", \.enrollEnabled, .boolean, "Whether users may add one.")
                Field.key("verify_enabled", \.verifyEnabled, .boolean, "Whether users may prove one.")
                Field.key("otp_length", \.otpLength, .integer(6...10), "Digits of a code.")
                Field.key("template", \.template, .text, "The message; `{{ .Code }}` is the code.")
                Field.key("max_frequency", \.maxFrequency, .duration(), "The pause between two messages to one user.")
            }
        }

        /// `[auth.external.<provider>]`
        package struct ExternalProvider: ConfigurationSection {
            package var enabled = false
            package var clientID = ""
            package var secret: SecretString?
            package var redirectURI = ""
            package var url = ""
            package var teamID = ""
            package var keyID = ""
            package var skipNonceCheck = false
            package var emailOptional = false

            package init() {}

            static var fields: [ConfigurationField<ExternalProvider>] {
                Field.key("enabled", \.enabled, .boolean, "Whether users may sign in through it.")
                Field.key(
                    "client_id", \.clientID, .text, "The application's name at the provider; several between commas.")
                Field.optional("secret", \.secret, .secret, "The application's secret at the provider.")
                Field.key(
                    "redirect_uri", \.redirectURI, .text,
                    "Where the provider returns to. Empty means Auth's `/callback`.")
                Field.key(
                    "url", \.url, .text,
                    "The provider's own address, for those you run yourself. Of a name that is not known, the issuer of an OpenID provider."
                )
                Field.key("team_id", \.teamID, .text, "Apple: the team, when `secret` is the private key (PEM).")
                Field.key("key_id", \.keyID, .text, "Apple: the private key's id.")
                Field.key(
                    "skip_nonce_check", \.skipNonceCheck, .boolean,
                    "Whether an identity token without a nonce is accepted.")
                Field.key(
                    "email_optional", \.emailOptional, .boolean, "Whether users without an email address may sign in.")
            }
        }

        /// `[auth.web3]`
        package struct Web3: ConfigurationSection {
            package var solana = Wallet()
            package var ethereum = Wallet()

            package init() {}

            static var fields: [ConfigurationField<Web3>] {
                Field.section("solana", \.solana, "Solana.")
                Field.section("ethereum", \.ethereum, "Ethereum.")
            }
        }

        /// `[auth.web3.solana]`, `[auth.web3.ethereum]`
        package struct Wallet: ConfigurationSection {
            package var enabled = false

            package init() {}

            static var fields: [ConfigurationField<Wallet>] {
                Field.key("enabled", \.enabled, .boolean, "Whether its wallets may sign in.")
            }
        }

        /// `[auth.third_party]`
        package struct ThirdParty: ConfigurationSection {
            package var firebase = Firebase()
            package var auth0 = Auth0()
            package var cognito = Cognito()
            package var clerk = Clerk()
            package var workOS = WorkOS()

            package init() {}

            static var fields: [ConfigurationField<ThirdParty>] {
                Field.section("firebase", \.firebase, "Firebase.")
                Field.section("auth0", \.auth0, "Auth0.")
                Field.section("aws_cognito", \.cognito, "AWS Cognito.")
                Field.section("clerk", \.clerk, "Clerk.")
                Field.section("workos", \.workOS, "WorkOS.")
            }

            /// `[auth.third_party.firebase]`
            package struct Firebase: ConfigurationSection {
                package var enabled = false
                package var projectID = ""

                package init() {}

                static var fields: [ConfigurationField<Firebase>] {
                    Field.key("enabled", \.enabled, .boolean, "Whether its tokens are accepted.")
                    Field.key("project_id", \.projectID, .text, "The project.")
                }
            }

            /// `[auth.third_party.auth0]`
            package struct Auth0: ConfigurationSection {
                package var enabled = false
                package var tenant = ""
                package var tenantRegion = ""

                package init() {}

                static var fields: [ConfigurationField<Auth0>] {
                    Field.key("enabled", \.enabled, .boolean, "Whether its tokens are accepted.")
                    Field.key("tenant", \.tenant, .text, "The tenant.")
                    Field.key("tenant_region", \.tenantRegion, .text, "The tenant's region.")
                }
            }

            /// `[auth.third_party.aws_cognito]`
            package struct Cognito: ConfigurationSection {
                package var enabled = false
                package var userPoolID = ""
                package var userPoolRegion = ""

                package init() {}

                static var fields: [ConfigurationField<Cognito>] {
                    Field.key("enabled", \.enabled, .boolean, "Whether its tokens are accepted.")
                    Field.key("user_pool_id", \.userPoolID, .text, "The user pool.")
                    Field.key("user_pool_region", \.userPoolRegion, .text, "The user pool's region.")
                }
            }

            /// `[auth.third_party.clerk]`
            package struct Clerk: ConfigurationSection {
                package var enabled = false
                package var domain = ""

                package init() {}

                static var fields: [ConfigurationField<Clerk>] {
                    Field.key("enabled", \.enabled, .boolean, "Whether its tokens are accepted.")
                    Field.key("domain", \.domain, .text, "The instance's domain.")
                }
            }

            /// `[auth.third_party.workos]`
            package struct WorkOS: ConfigurationSection {
                package var enabled = false
                package var issuerURL = ""

                package init() {}

                static var fields: [ConfigurationField<WorkOS>] {
                    Field.key("enabled", \.enabled, .boolean, "Whether its tokens are accepted.")
                    Field.key("issuer_url", \.issuerURL, .text, "The issuer.")
                }
            }
        }

        /// `[auth.oauth_server]`
        package struct OAuthServer: ConfigurationSection {
            package var enabled = false
            package var allowDynamicRegistration = false
            package var authorizationURLPath = "/oauth/consent"

            package init() {}

            static var fields: [ConfigurationField<OAuthServer>] {
                Field.key("enabled", \.enabled, .boolean, "Whether it is served.")
                Field.key(
                    "allow_dynamic_registration", \.allowDynamicRegistration, .boolean,
                    "Whether programs may register themselves (RFC 7591).")
                Field.key(
                    "authorization_url_path", \.authorizationURLPath, .text,
                    "The path of your consent page below `site_url`.")
            }
        }
    }
}
