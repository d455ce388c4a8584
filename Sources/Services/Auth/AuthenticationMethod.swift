// SPDX-License-Identifier: Apache-2.0
import Primitives

/// The ways a session can have been authenticated; the raw value is the `method` of an entry of the `amr` claim.
enum AuthenticationMethod: String, Sendable, CaseIterable {
    case password
    case otp
    case magicLink = "magiclink"
    case recovery
    case invite
    case emailSignup = "email/signup"
    case emailChange = "email_change"
    case oauth
    case anonymous
    case totp
    case phoneFactor = "mfa/phone"
    case webAuthnFactor = "mfa/webauthn"
    case saml = "sso/saml"
    case passkey
    case web3
    case authorizationCode = "oauth_provider/authorization_code"
    case tokenRefresh = "token_refresh"
}

/// An entry of the `amr` claim (RFC 8176): how a session was authenticated, and when.
struct AuthenticationEntry: Sendable, Hashable {
    /// As stored: usually an ``AuthenticationMethod``, but rows may come from elsewhere.
    var method: String
    var at: Timestamp

    init(method: String, at: Timestamp) {
        self.method = method
        self.at = at
    }

    init(_ method: AuthenticationMethod, at: Timestamp) {
        self.init(method: method.rawValue, at: at)
    }

    var json: JSON { ["method": .string(method), "timestamp": JSON(at.unixSeconds)] }
}

/// What an access token says of the session it was issued in.
struct SessionFacts: Sendable {
    var id: UUID
    /// `aal1` or `aal2`.
    var assuranceLevel: String
    var methods: [AuthenticationEntry]
}
