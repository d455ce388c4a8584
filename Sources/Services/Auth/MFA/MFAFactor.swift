// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Postgres
import Primitives

/// A second factor: a row of `auth.mfa_factors`.
struct MFAFactor: Sendable {
    /// The raw value is that of `auth.factor_type`.
    enum Kind: String, Sendable {
        case totp
        case phone
        case webAuthn = "webauthn"
    }

    var id: UUID
    var userID: UUID
    var kind: Kind
    var isVerified: Bool
    var friendlyName: String
    var phone: String?
    /// As stored: sealed, or plain base 32 in rows from elsewhere.
    private var storedSecret: String?
    /// The security key, once it was proved.
    var credential: WebAuthnCredential?
    var createdAt: Timestamp
    var lastChallengedAt: Timestamp?

    /// The wire form of a row of `auth.mfa_factors` as `f`: never its secret.
    static let json: PostgresQuery = """
        json_build_object(
            'id', f.id, 'created_at', f.created_at, 'updated_at', f.updated_at, 'status', f.status,
            'friendly_name', nullif(f.friendly_name, ''), 'factor_type', f.factor_type, 'phone', f.phone,
            'last_challenged_at', f.last_challenged_at, 'web_authn_aaguid', f.web_authn_aaguid,
            'last_webauthn_challenge_data', f.last_webauthn_challenge_data
        )
        """

    /// Selects what ``init(row:)`` reads, from `auth.mfa_factors` as `f`; a condition follows.
    static let selection: PostgresQuery = """
        select
            f.id, f.user_id, f.friendly_name, f.factor_type::text, f.status::text, f.phone, f.secret, f.created_at,
            f.last_challenged_at, f.web_authn_credential
        from auth.mfa_factors as f

        """

    init?(row: PostgresRow) {
        guard let id = row["id"].uuid, let userID = row["user_id"].uuid,
            let kind = row["factor_type"].string.flatMap({ Kind(rawValue: $0) }),
            let createdAt = row["created_at"].timestamp
        else { return nil }
        self.id = id
        self.userID = userID
        self.kind = kind
        self.createdAt = createdAt
        isVerified = row["status"].string == "verified"
        friendlyName = row["friendly_name"].string ?? ""
        phone = row["phone"].string
        storedSecret = row["secret"].string
        lastChallengedAt = row["last_challenged_at"].timestamp
        credential = row["web_authn_credential"].json.flatMap { WebAuthnCredential($0) }
    }

    /// The authenticator's secret.
    ///
    /// - Throws: what sealed texts throw, for one of another key or another factor.
    func secret(_ keyring: Keyring) throws(CryptographyError) -> [UInt8] {
        guard let storedSecret else { throw .malformedEnvelope }
        if let plain = Base32.decode(storedSecret) { return plain }
        return try keyring.open(storedSecret, context: Self.context(id))
    }

    static func seal(_ secret: [UInt8], for factor: UUID, _ keyring: Keyring) throws(CryptographyError) -> String {
        try keyring.seal(secret, context: context(factor))
    }

    private static func context(_ id: UUID) -> SealingContext { SealingContext("auth.mfa_factors", id.description) }

    /// The method that proving the factor adds to a session.
    var method: AuthenticationMethod {
        switch kind {
        case .totp: .totp
        case .phone: .phoneFactor
        case .webAuthn: .webAuthnFactor
        }
    }
}
