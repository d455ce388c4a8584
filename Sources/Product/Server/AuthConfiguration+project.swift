// SPDX-License-Identifier: Apache-2.0
internal import Auth
internal import Platform

extension AuthConfiguration {
    /// What `[auth]` and `[atoll.auth]` of a project say.
    init(_ project: Project, version: String) {
        let auth = project.configuration.auth
        self.init(issuer: project.tokenIssuer, version: version)
        accessTokenLifetime = auth.jwtExpiry
        isSignupEnabled = auth.enableSignup
        isEmailEnabled = auth.email.enableSignup
        isAnonymousSignInEnabled = auth.enableAnonymousSignIns
        areEmailConfirmationsEnabled = auth.email.enableConfirmations
        minPasswordLength = auth.minimumPasswordLength
        passwordRequirement = PasswordRequirement(rawValue: auth.passwordRequirements.rawValue) ?? .none
        bcryptCost = project.configuration.atoll.auth.bcryptCost
        isRefreshTokenRotationEnabled = auth.enableRefreshTokenRotation
        refreshTokenReuseInterval = auth.refreshTokenReuseInterval
        sessionTimebox = auth.sessions.timebox
        sessionInactivityTimeout = auth.sessions.inactivityTimeout
        rateLimits.signUps.count = auth.rateLimit.signInSignUps
        rateLimits.tokens.count = auth.rateLimit.tokenRefresh
        rateLimits.anonymousSignIns.count = auth.rateLimit.anonymousUsers
    }
}
