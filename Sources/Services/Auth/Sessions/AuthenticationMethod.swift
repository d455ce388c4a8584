// SPDX-License-Identifier: Apache-2.0
import Postgres
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
    /// The tenant the session was switched to, if its user may still work in it; nil for the account's own.
    var tenantID: UUID?
}

extension SessionFacts {
    /// The methods of a row of `auth.sessions` as `s`, the newest first.
    static let methods: PostgresQuery = """
        (
            select json_agg(
                json_build_object('method', m.authentication_method, 'at', m.created_at)
                order by m.created_at desc, m.id
            )
            from auth.mfa_amr_claims as m
            where m.session_id = s.id
        )
        """

    /// The tenant that a row of `auth.sessions` as `s` was switched to, while its user belongs to it.
    static let tenant: PostgresQuery =
        "case when s.tenant_id is not null then tenancy.session_tenant(s.user_id, s.tenant_id) end"

    /// Selects what ``init(id:row:)`` reads.
    static func selection(id: UUID) -> PostgresQuery {
        "select s.aal, \(methods) as methods, \(tenant) as session_tenant from auth.sessions as s where s.id = \(id)"
    }

    init(id: UUID, row: PostgresRow) {
        self.id = id
        assuranceLevel = row["aal"].string ?? "aal1"
        tenantID = row["session_tenant"].uuid
        methods = (row["methods"].json?.arrayValue ?? []).compactMap { entry in
            guard let method = entry["method"]?.stringValue,
                let at = entry["at"]?.stringValue.flatMap({ Timestamp($0) })
            else { return nil }
            return AuthenticationEntry(method: method, at: at)
        }
    }
}
