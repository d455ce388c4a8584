// SPDX-License-Identifier: Apache-2.0
package import Primitives

/// The rates Auth keeps, each with buckets of its own. One table: code, setting and default of each stand side by side.
package enum RateLimit: Sendable, Hashable, CaseIterable {
    // By the client's address.
    case signUp
    case otp
    case magicLink
    case recover
    case resend
    case updateUser
    case token
    case verify
    case anonymousSignIn
    case factorChallenge
    case factorVerification
    case singleSignOn
    case web3
    case passkeySignIn
    // By account.
    /// Wrong passwords from one address.
    case passwordAttempt
    /// Wrong passwords from anywhere but the addresses the account has sessions from.
    case passwordAttemptAnywhere
    case codeAttempt
    // For the whole server.
    case emailSent
    case smsSent

    /// What its buckets are counted by.
    package enum Scope: Sendable {
        case address
        case account
        case server
    }

    package var scope: Scope {
        switch self {
        case .signUp, .otp, .magicLink, .recover, .resend, .updateUser, .token, .verify, .anonymousSignIn,
            .factorChallenge, .factorVerification, .singleSignOn, .web3, .passkeySignIn:
            .address
        case .passwordAttempt, .passwordAttemptAnywhere, .codeAttempt: .account
        case .emailSent, .smsSent: .server
        }
    }

    /// The key that sets it, for the log.
    package var setting: String {
        switch self {
        case .signUp, .otp, .magicLink, .recover, .resend, .updateUser, .singleSignOn, .passkeySignIn:
            "auth.rate_limit.sign_in_sign_ups"
        case .token: "auth.rate_limit.token_refresh"
        case .verify: "auth.rate_limit.token_verifications"
        case .anonymousSignIn: "auth.rate_limit.anonymous_users"
        case .factorChallenge, .factorVerification: "atoll.auth.factor_requests"
        case .web3: "auth.rate_limit.web3"
        case .passwordAttempt: "atoll.auth.password_attempts"
        case .passwordAttemptAnywhere: "atoll.auth.account_password_attempts"
        case .codeAttempt: "atoll.auth.code_attempts"
        case .emailSent: "auth.rate_limit.email_sent"
        case .smsSent: "auth.rate_limit.sms_sent"
        }
    }

    /// What a new project has.
    package var initial: TokenBucketLimit {
        switch self {
        case .signUp, .otp, .magicLink, .recover, .resend, .updateUser, .verify, .singleSignOn, .web3,
            .passkeySignIn:
            TokenBucketLimit(count: 30, interval: .seconds(300), burst: 30)
        case .token: TokenBucketLimit(count: 150, interval: .seconds(300), burst: 30)
        case .anonymousSignIn: TokenBucketLimit(count: 30, interval: .seconds(3600), burst: 30)
        case .factorChallenge, .factorVerification:
            TokenBucketLimit(count: 15, interval: .seconds(60), burst: 15)
        case .passwordAttempt, .codeAttempt: TokenBucketLimit(count: 20, interval: .seconds(300), burst: 20)
        case .passwordAttemptAnywhere: TokenBucketLimit(count: 100, interval: .seconds(300), burst: 100)
        case .emailSent, .smsSent: TokenBucketLimit(count: 30, interval: .seconds(3600), burst: 30)
        }
    }

    var code: AuthError.Code {
        switch scope {
        case .address, .account: .overRequestRateLimit
        case .server: self == .smsSent ? .overSMSSendRateLimit : .overEmailSendRateLimit
        }
    }

    var message: String {
        switch self {
        case .emailSent: "email rate limit exceeded"
        case .smsSent: "SMS rate limit exceeded"
        default: "Request rate limit reached"
        }
    }
}

/// How often things may be done.
package struct AuthRateLimits: Sendable {
    private var limits: [RateLimit: TokenBucketLimit] = [:]
    /// Client addresses remembered for each limit, and accounts likewise; beyond it those unseen for longest are forgotten.
    package var maxAddresses = 65_536
    /// Whether a client on this machine is unlimited by address. Such a peer is a developer, or a proxy whose clients'
    /// addresses are not known because no trusted proxy is configured; limiting that would lock everybody out together.
    package var exemptsLoopback = true

    package init() {}

    package subscript(kind: RateLimit) -> TokenBucketLimit {
        get { limits[kind] ?? kind.initial }
        set { limits[kind] = newValue }
    }

    /// Sets how many there may be in the limit's interval: all of them at once, but no more than 30 by one address.
    package mutating func set(_ kinds: RateLimit..., to count: Int) {
        for kind in kinds {
            let burst = kind.scope == .address ? min(count, 30) : count
            self[kind] = TokenBucketLimit(count: count, interval: kind.initial.interval, burst: burst)
        }
    }
}
