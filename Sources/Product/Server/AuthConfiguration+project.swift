// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import Platform
internal import Primitives

extension AuthConfiguration {
    /// What `[auth]` and `[atoll.auth]` of a project say.
    ///
    /// - Throws: ``AuthHook/Target/Problem`` for a hook that cannot be called.
    init(_ project: Project, version: String) throws {
        let auth = project.configuration.auth
        self.init(issuer: project.tokenIssuer, version: version)
        accessTokenLifetime = auth.jwtExpiry
        isSignupEnabled = auth.enableSignup
        isEmailEnabled = auth.email.enableSignup
        isAnonymousSignInEnabled = auth.enableAnonymousSignIns
        areEmailConfirmationsEnabled = auth.email.enableConfirmations
        siteURL = auth.siteURL
        // The server's own pages, wherever the site is.
        let pages = ["callback", "signin"].map { "\(project.apiURL)/auth/\($0)**" }
        redirectPatterns = auth.additionalRedirectURLs + pages
        flowStateLifetime = project.configuration.atoll.auth.flowStateLifetime
        issuerLimits.pause = project.configuration.atoll.auth.issuerPause
        flowKey = project.secrets.jwtSecret
        isManualLinkingEnabled = auth.enableManualLinking
        for (name, provider) in auth.external where provider.enabled {
            externalProviders[name] = ExternalProviderSettings(provider)
        }
        minPasswordLength = auth.minimumPasswordLength
        passwordRequirement = PasswordRequirement(rawValue: auth.passwordRequirements.rawValue) ?? .none
        let limits = project.configuration.atoll.auth
        bcryptCost = limits.bcryptCost
        maxBodyBytes = limits.maxBodyBytes
        statementTimeout = limits.statementTimeout
        refreshLockTimeout = limits.refreshLockTimeout
        isRefreshTokenRotationEnabled = auth.enableRefreshTokenRotation
        refreshTokenReuseInterval = auth.refreshTokenReuseInterval
        sessionTimebox = auth.sessions.timebox
        sessionInactivityTimeout = auth.sessions.inactivityTimeout
        isSingleSessionPerUser = limits.isSingleSessionPerUser
        hookLimits.functionTimeout = limits.functionHookTimeout
        hookLimits.endpointTimeout = limits.endpointHookTimeout
        hookLimits.tries = limits.hookTries
        hookLimits.maxAnswerBytes = limits.maxHookAnswerBytes
        hooks = try Self.hooks(auth.hooks)
        leakedPasswords.path = limits.leakedPasswords.map(project.path)
        leakedPasswords.url = limits.leakedPasswordsURL.map { $0.hasSuffix("/") ? String($0.dropLast()) : $0 }
        leakedPasswords.timeout = limits.leakedPasswordsTimeout
        leakedPasswords.isRequired = limits.requiresLeakedPasswordCheck
        captcha = try auth.captcha.flatMap { try CaptchaConfiguration($0, limits) }
        passkeys.isEnabled = auth.passkey.enabled
        passkeys.maxPerUser = limits.maxPasskeys
        factors = FactorConfiguration(auth.mfa)
        factors.relyingParty = RelyingParty(auth, pagesAt: project.apiURL)
        retention.interval = limits.cleanupInterval
        retention.batch = limits.cleanupBatch
        retention.endedSessions = limits.endedSessionRetention
        retention.spentTokens = limits.spentTokenRetention
        retention.auditLog = limits.auditLogRetention
        factors.challengeLifetime = limits.factorChallengeLifetime
        flows = AuthFlowConfiguration(project)
        let rates = auth.rateLimit
        rateLimits.set(
            .signUp, .otp, .magicLink, .recover, .resend, .updateUser, .singleSignOn, .passkeySignIn,
            to: rates.signInSignUps)
        rateLimits.set(.token, to: rates.tokenRefresh)
        rateLimits.set(.verify, to: rates.tokenVerifications)
        rateLimits.set(.anonymousSignIn, to: rates.anonymousUsers)
        rateLimits.set(.web3, to: rates.web3)
        rateLimits.set(.emailSent, to: rates.emailSent)
        rateLimits.set(.smsSent, to: rates.smsSent)
        rateLimits.set(.factorChallenge, .factorVerification, to: limits.factorRequests)
        rateLimits.set(.passwordAttempt, to: limits.passwordAttempts)
        rateLimits.set(.passwordAttemptAnywhere, to: limits.accountPasswordAttempts)
        rateLimits.set(.codeAttempt, to: limits.codeAttempts)
        rateLimits.maxAddresses = limits.maxLimitedAddresses
        rateLimits.exemptsLoopback = limits.exemptsLoopback
    }

    private static func hooks(
        _ sections: [String: ProjectConfiguration.Auth.Hook]
    ) throws -> [AuthHook: AuthHook.Target] {
        var hooks: [AuthHook: AuthHook.Target] = [:]
        for (name, section) in sections where section.enabled {
            guard let hook = AuthHook(rawValue: name) else { continue }
            do throws(AuthHook.Target.Problem) {
                hooks[hook] = try AuthHook.Target(uri: section.uri, secrets: section.secrets)
            } catch {
                throw AuthHook.Target.Problem(message: "auth.hook.\(name): \(error.message)")
            }
        }
        return hooks
    }
}

extension CaptchaConfiguration {
    /// What `[auth.captcha]` says; nil when it is off.
    ///
    /// - Throws: `ProjectError` without a secret, with which no proof could be checked.
    fileprivate init?(
        _ section: ProjectConfiguration.Auth.Captcha, _ limits: ProjectConfiguration.Atoll.AuthLimits
    ) throws {
        guard section.enabled else { return nil }
        guard let provider = Provider(rawValue: section.provider.rawValue), let secret = section.secret,
            !secret.isEmpty
        else {
            throw ProjectError(
                "[auth.captcha] has no secret",
                next: "set `secret` to the key the provider gave you, or `enabled = false`")
        }
        self.init(provider: provider, secret: secret)
        url = limits.captchaURL
        timeout = limits.captchaTimeout
    }
}

extension RelyingParty {
    /// What `[auth.webauthn]` says, and of the rest what the site is. The server's own pages may use the keys as well where their
    /// address belongs to the party, as browsers judge it.
    fileprivate init(_ auth: ProjectConfiguration.Auth, pagesAt address: String) {
        self.init(siteURL: auth.siteURL)
        // Keys are made for names, not for numbers: who works at 127.0.0.1 reaches the same by a name.
        if id == "127.0.0.1" || id == "[::1]" {
            self = RelyingParty(id: "localhost", name: "localhost", origins: origins)
        }
        if let section = auth.webAuthn {
            if let id = section.relyingPartyID { self.id = id }
            name = section.displayName ?? id
            if !section.origins.isEmpty { origins = section.origins }
        }
        for page in Self.origins(of: address) where Self.owns(id, page) && !origins.contains(page.origin) {
            origins.append(page.origin)
        }
    }

    /// An address on this machine has a name besides its number.
    private static func origins(of address: String) -> [WebAddress] {
        guard let page = WebAddress(address) else { return [] }
        guard ["127.0.0.1", "[::1]", "0.0.0.0"].contains(page.host) else { return [page] }
        let port = page.port.map { ":\($0)" } ?? ""
        return [page] + [WebAddress("\(page.scheme)://localhost\(port)")].compactMap { $0 }
    }

    private static func owns(_ id: String, _ page: WebAddress) -> Bool {
        page.host == id || page.host.hasSuffix(".\(id)")
    }
}

extension AuthConfiguration.FactorConfiguration {
    /// What `[auth.mfa]` says.
    fileprivate init(_ section: ProjectConfiguration.Auth.MFA) {
        self.init()
        maxEnrolled = section.maxEnrolledFactors
        totp.canEnroll = section.totp.enrollEnabled
        totp.canVerify = section.totp.verifyEnabled
        phone.canEnroll = section.phone.enrollEnabled
        phone.canVerify = section.phone.verifyEnabled
        webAuthn.canEnroll = section.webAuthn.enrollEnabled
        webAuthn.canVerify = section.webAuthn.verifyEnabled
        phoneCodeLength = section.phone.otpLength
        phoneTemplate = section.phone.template
        phonePause = section.phone.maxFrequency
    }
}

extension ExternalProviderSettings {
    /// What a section `[auth.external.<provider>]` says.
    init(_ provider: ProjectConfiguration.Auth.ExternalProvider) {
        let ids = provider.clientID.split(separator: ",").map { id in
            String(id.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        self.init(clientIDs: ids.filter { !$0.isEmpty }, secret: provider.secret ?? SecretString(""))
        redirectURI = provider.redirectURI
        url = provider.url
        teamID = provider.teamID
        keyID = provider.keyID
        skipsNonceCheck = provider.skipNonceCheck
        isEmailOptional = provider.emailOptional
    }
}

extension AuthFlowConfiguration {
    fileprivate init(_ project: Project) {
        self.init()
        let auth = project.configuration.auth
        let limits = project.configuration.atoll.auth
        otpLength = auth.email.otpLength
        otpLifetime = auth.email.otpExpiry
        smsOTPLifetime = limits.smsCodeLifetime
        maxCodeAttempts = limits.maxCodeAttempts
        emailPause = auth.email.maxFrequency
        smsPause = auth.sms.maxFrequency
        uniformResponseTime = limits.uniformResponseTime
        areEmailChangesDoublyConfirmed = auth.email.doubleConfirmChanges
        isPasswordChangeSecured = auth.email.securePasswordChange
        requiresCurrentPassword = limits.requiresCurrentPassword
        isPhoneEnabled = auth.sms.enableSignup
        arePhoneConfirmationsEnabled = auth.sms.enableConfirmations
    }
}
