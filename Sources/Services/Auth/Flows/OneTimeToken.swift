// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Postgres
import Primitives

/// What a code or link proves. Each kind has one pending token a user, in `auth.one_time_tokens` and the columns of `auth.users`
/// that GoTrue keeps.
enum OneTimeTokenKind: String, Sendable, CaseIterable {
    /// A new account's address or number, an invitation.
    case confirmation = "confirmation_token"
    /// Recovery and magic links.
    case recovery = "recovery_token"
    case emailChangeCurrent = "email_change_token_current"
    case emailChangeNew = "email_change_token_new"
    case phoneChange = "phone_change_token"
    case reauthentication = "reauthentication_token"

    /// The column of `auth.users` that holds its digest.
    var column: String { rawValue }

    /// The column of `auth.users` that says when it was sent.
    var sentColumn: String {
        switch self {
        case .confirmation: "confirmation_sent_at"
        case .recovery: "recovery_sent_at"
        case .emailChangeCurrent, .emailChangeNew: "email_change_sent_at"
        case .phoneChange: "phone_change_sent_at"
        case .reauthentication: "reauthentication_sent_at"
        }
    }
}

/// Digests of codes and links: what the database may know of them.
///
/// A code has few digits, so its digest is keyed: who reads the database cannot try all codes. A link's token has 224 random bits
/// and needs no key.
struct OneTimeTokenDigests: Sendable {
    /// A secret of the project that the database does not hold.
    let key: [UInt8]

    /// - Parameter address: the e-mail address or number that the code was sent to.
    func digest(ofCode code: String, for address: String) -> String {
        let message = Array(address.utf8) + [0] + Array(code.utf8)
        return Hex.encode(HMAC.code(for: message, key: key, using: .sha224))
    }

    static func digest(ofLink link: String) -> String { Hex.encode(Cryptography.digest(link.utf8, using: .sha224)) }
}

/// A code and a link that prove the same thing, before they are in the database.
struct OneTimeToken: Sendable {
    static let pkcePrefix = "pkce_"

    let kind: OneTimeTokenKind
    /// Where it is sent to: an e-mail address or a number.
    let address: String
    /// Digits to be typed in.
    let code: String
    /// What a link carries. Begins with `pkce_` when the link ends in a code to be exchanged.
    let link: String

    /// - Parameter code: nil for a random one.
    init(_ kind: OneTimeTokenKind, for address: String, codeLength: Int, isPKCE: Bool, code: String? = nil) {
        self.kind = kind
        self.address = address
        self.code = code ?? randomText(codeLength, from: "0123456789")
        link = (isPKCE ? Self.pkcePrefix : "") + Hex.encode(randomBytes(28))
    }

    /// The statements that replace the user's pending token of this kind.
    ///
    /// - Parameter marksSending: whether the user's `..._sent_at` is set: not for a link that an administrator asked for.
    func storing(for user: UUID, _ digests: OneTimeTokenDigests, marksSending: Bool = true) -> [PostgresQuery] {
        let codeDigest = digests.digest(ofCode: code, for: address)
        let linkDigest = OneTimeTokenDigests.digest(ofLink: link)
        return [
            """
            insert into auth.one_time_tokens (
                id, user_id, token_type, token_hash, link_hash, relates_to, created_at, updated_at
            )
            select
                gen_random_uuid(), u.id, \(kind.rawValue)::auth.one_time_token_type, \(codeDigest), \(linkDigest),
                \(address), now() at time zone 'utc', now() at time zone 'utc'
            from auth.users as u
            where u.id = \(user)
            on conflict (user_id, token_type) do update
            set token_hash = excluded.token_hash, link_hash = excluded.link_hash, relates_to = excluded.relates_to,
                attempts = 0, issued_at = now(), created_at = excluded.created_at, updated_at = excluded.updated_at
            """,
            """
            update auth.users
            set \(identifier: kind.column) = \(linkDigest),
                \(identifier: kind.sentColumn) =
                    case when \(marksSending)::boolean then now() else \(identifier: kind.sentColumn) end,
                updated_at = now()
            where id = \(user)
            """,
        ]
    }

    /// The statements that forget the user's pending tokens of some kinds.
    static func forgetting(_ kinds: [OneTimeTokenKind], of user: UUID) -> [PostgresQuery] {
        var change: PostgresQuery = "update auth.users set updated_at = now()"
        for kind in kinds { change += ", \(identifier: kind.column) = ''" }
        change += " where id = \(user)"
        return [
            """
            delete from auth.one_time_tokens
            where user_id = \(user) and token_type::text = any (\(kinds.map(\.rawValue))::text[])
            """,
            change,
        ]
    }
}
