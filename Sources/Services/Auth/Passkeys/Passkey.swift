// SPDX-License-Identifier: Apache-2.0
import Postgres
import Primitives

/// A key that signs its user in without a password: a row of `auth.webauthn_credentials`.
struct Passkey: Sendable {
    let id: UUID
    let userID: UUID
    let credential: WebAuthnCredential
    private let friendlyName: String
    private let createdAt: Timestamp
    private let lastUsedAt: Timestamp?

    /// The longest name, in characters.
    static let maxNameLength = 120

    /// Selects what ``init(row:)`` reads, from `auth.webauthn_credentials` as `k`; a condition follows.
    static let selection: PostgresQuery = "select \(columns) from auth.webauthn_credentials as k "

    /// For `returning` as well.
    static let columns: PostgresQuery = """
        k.id, k.user_id, encode(k.credential_id, 'hex') as credential_id, encode(k.public_key, 'hex') as public_key,
        k.aaguid, k.sign_count, k.transports, k.backup_eligible, k.backed_up, k.friendly_name, k.created_at, k.last_used_at
        """

    init?(row: PostgresRow) {
        guard let id = row["id"].uuid, let userID = row["user_id"].uuid,
            let credentialID = row["credential_id"].string.flatMap({ Hex.decode($0) }),
            let publicKey = row["public_key"].string.flatMap({ Hex.decode($0) }),
            let createdAt = row["created_at"].timestamp
        else { return nil }
        self.id = id
        self.userID = userID
        credential = WebAuthnCredential(
            id: credentialID, publicKey: publicKey,
            transports: row["transports"].json?.arrayValue?.compactMap(\.stringValue) ?? [],
            signCount: row["sign_count"].int.flatMap { UInt32(exactly: $0) } ?? 0,
            isBackupEligible: row["backup_eligible"].bool ?? false, isBackedUp: row["backed_up"].bool ?? false)
        friendlyName = row["friendly_name"].string ?? ""
        self.createdAt = createdAt
        lastUsedAt = row["last_used_at"].timestamp
    }

    /// As its user, and an administrator, sees it: nothing that signs in.
    var json: JSON {
        var members: JSONObject = ["id": .string(id.description)]
        if !friendlyName.isEmpty { members["friendly_name"] = .string(friendlyName) }
        members["created_at"] = .string(createdAt.description)
        if let lastUsedAt { members["last_used_at"] = .string(lastUsedAt.description) }
        return .object(members)
    }

    /// Stores a new key; one that is anybody's already violates `webauthn_credentials_credential_id_key`.
    static func insertion(of credential: WebAuthnCredential, for user: UUID) -> PostgresQuery {
        """
        insert into auth.webauthn_credentials as k (
            user_id, credential_id, public_key, attestation_type, aaguid, sign_count, transports, backup_eligible,
            backed_up
        )
        values (
            \(user), decode(\(Hex.encode(credential.id)), 'hex'), decode(\(Hex.encode(credential.publicKey)), 'hex'),
            'none', \(credential.model), \(String(credential.signCount))::bigint,
            \(JSON.array(credential.transports.map { .string($0) }))::jsonb, \(credential.isBackupEligible),
            \(credential.isBackedUp)
        )
        returning \(columns)
        """
    }

    /// Notes a use of the key. No row when another use came between.
    static func use(_ credential: WebAuthnCredential, of passkey: Passkey) -> PostgresQuery {
        """
        update auth.webauthn_credentials
        set sign_count = \(String(credential.signCount))::bigint, backed_up = \(credential.isBackedUp),
            last_used_at = now(), updated_at = now()
        where id = \(passkey.id) and sign_count = \(String(passkey.credential.signCount))::bigint
        """
    }
}

/// A challenge that was put to a page: a row of `auth.webauthn_challenges`.
struct PasskeyChallenge: Sendable {
    /// The raw value is the table's.
    enum Kind: String, Sendable {
        case registration
        case authentication
    }

    let id = UUID.random()
    let text = RelyingParty.challenge()
    let kind: Kind
    /// Nil for whoever answers.
    let userID: UUID?

    func insertion(lifetime: Duration) -> PostgresQuery {
        """
        insert into auth.webauthn_challenges (id, user_id, challenge_type, session_data, expires_at)
        values (
            \(id), \(userID), \(kind.rawValue), \(JSON.object(["challenge": .string(text)])),
            now() + make_interval(secs => \(String(lifetime.components.seconds))::double precision)
        )
        returning expires_at
        """
    }

    /// Takes a challenge, whatever comes of the answer to it: it counts once.
    static func taking(_ id: UUID, _ kind: Kind, of user: UUID?) -> PostgresQuery {
        """
        delete from auth.webauthn_challenges
        where id = \(id) and challenge_type = \(kind.rawValue) and user_id is not distinct from \(user)
        returning session_data, expires_at > now() as is_fresh
        """
    }
}
