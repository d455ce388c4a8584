// SPDX-License-Identifier: Apache-2.0
import Postgres
import Primitives

/// A row of `auth.users` with its identities.
struct AuthUser: Sendable {
    var id: UUID
    var audience: String
    var role: String
    var email: String
    var phone: String
    var appMetadata: JSON
    var userMetadata: JSON
    /// Each in its wire form.
    var identities: [JSON]
    /// Each in its wire form.
    var factors: [JSON]
    var createdAt: Timestamp
    var updatedAt: Timestamp
    var emailConfirmedAt: Timestamp?
    var phoneConfirmedAt: Timestamp?
    var bannedUntil: Timestamp?
    var isAnonymous: Bool
    var isSSOUser: Bool
    /// The remaining members of the wire form, by their names there, in its order; those not set are left out.
    private var optionalMembers: [(name: String, value: String)]

    /// The user as a session sees it that works in a tenant; nil for the account's own.
    func working(in tenant: UUID?) -> AuthUser {
        guard let tenant, var metadata = appMetadata.objectValue else { return self }
        metadata["tenant_id"] = .string(tenant.description)
        var user = self
        user.appMetadata = .object(metadata)
        return user
    }

    func isBanned(at moment: Timestamp) -> Bool {
        bannedUntil.map { $0 > moment } ?? false
    }

    /// A moment by its name in the wire form, such as `recovery_sent_at`; nil when it never was.
    func moment(_ name: String) -> Timestamp? {
        optionalMembers.first { $0.name == name }.flatMap { Timestamp($0.value) }
    }

    /// The providers of the identities, each once, the oldest first.
    var identityProviders: [String] {
        var providers: [String] = []
        for case let provider? in identities.map({ $0["provider"]?.stringValue }) where !providers.contains(provider) {
            providers.append(provider)
        }
        return providers
    }

    /// The address an e-mail change is under way to.
    var newEmail: String? { optionalMembers.first { $0.name == "new_email" }?.value }
    /// The number a phone change is under way to.
    var newPhone: String? { optionalMembers.first { $0.name == "new_phone" }?.value }
}

extension AuthUser {
    /// Column and member names of what is left out of the wire form when empty.
    private static let optionalColumns: [(column: String, member: String)] = [
        ("email_confirmed_at", "email_confirmed_at"), ("invited_at", "invited_at"),
        ("phone_confirmed_at", "phone_confirmed_at"), ("confirmation_sent_at", "confirmation_sent_at"),
        ("confirmed_at", "confirmed_at"), ("recovery_sent_at", "recovery_sent_at"), ("email_change", "new_email"),
        ("email_change_sent_at", "email_change_sent_at"), ("phone_change", "new_phone"),
        ("phone_change_sent_at", "phone_change_sent_at"), ("reauthentication_sent_at", "reauthentication_sent_at"),
        ("last_sign_in_at", "last_sign_in_at"), ("banned_until", "banned_until"), ("deleted_at", "deleted_at"),
    ]

    /// Selects what ``init(row:)`` reads, from `auth.users` as `u`; a condition follows.
    static let selection: PostgresQuery = """
        select
            u.id, u.aud, u.role, u.email, u.phone, u.raw_app_meta_data, u.raw_user_meta_data, u.created_at, u.updated_at,
            u.email_confirmed_at, u.invited_at, u.phone_confirmed_at, u.confirmation_sent_at, u.confirmed_at,
            u.recovery_sent_at, u.email_change, u.email_change_sent_at, u.phone_change, u.phone_change_sent_at,
            u.reauthentication_sent_at, u.last_sign_in_at, u.banned_until, u.deleted_at, u.is_anonymous, u.is_sso_user,
            (
                select json_agg(\(MFAFactor.json) order by f.created_at, f.id)
                from auth.mfa_factors as f
                where f.user_id = u.id
            ) as factors,
            (
                select json_agg(
                    json_build_object(
                        'identity_id', i.id, 'id', i.provider_id, 'user_id', i.user_id, 'identity_data', i.identity_data,
                        'provider', i.provider, 'last_sign_in_at', i.last_sign_in_at, 'created_at', i.created_at,
                        'updated_at', i.updated_at, 'email', i.email
                    )
                    order by i.created_at, i.id
                )
                from auth.identities as i
                where i.user_id = u.id
            ) as identities
        from auth.users as u

        """

    /// Selects one user, deleted ones too.
    static func selection(id: UUID) -> PostgresQuery { selection + "where u.id = \(id)" }

    /// Reads a row of ``selection``; nil when a column that is never empty is.
    init?(row: PostgresRow) {
        guard let id = row["id"].uuid else { return nil }
        self.id = id
        audience = row["aud"].string ?? ""
        role = row["role"].string ?? ""
        email = row["email"].string ?? ""
        phone = row["phone"].string ?? ""
        appMetadata = Self.object(row["raw_app_meta_data"].json)
        userMetadata = Self.object(row["raw_user_meta_data"].json)
        identities = (row["identities"].json?.arrayValue ?? []).map(Self.wireForm)
        factors = (row["factors"].json?.arrayValue ?? []).map(Self.wireForm)
        // Rows written by other programs may lack these; the wire form always has them.
        createdAt = row["created_at"].timestamp ?? Timestamp(unixSeconds: 0)
        updatedAt = row["updated_at"].timestamp ?? createdAt
        emailConfirmedAt = row["email_confirmed_at"].timestamp
        phoneConfirmedAt = row["phone_confirmed_at"].timestamp
        bannedUntil = Self.bannedUntil(row["banned_until"])
        isAnonymous = row["is_anonymous"].bool ?? false
        isSSOUser = row["is_sso_user"].bool ?? false
        optionalMembers = Self.optionalColumns.compactMap { column, member in
            guard let text = row[column].string, !text.isEmpty else { return nil }
            return (member, Timestamp(text)?.description ?? text)
        }
    }

    private static func object(_ value: JSON?) -> JSON {
        guard let value, value.objectValue != nil else { return [:] }
        return value
    }

    /// A ban `until infinity` reads as the end of the calendar.
    private static func bannedUntil(_ value: PostgresValue) -> Timestamp? {
        value.string == "infinity" ? Timestamp("9999-12-31T23:59:59Z") : value.timestamp
    }

    /// PostgreSQL's JSON of an identity or factor in the wire form: times in UTC, no member without a value.
    static func wireForm(_ value: JSON) -> JSON {
        var members = JSONObject()
        for (name, value) in value.objectValue ?? [:] where !value.isNull {
            if name.hasSuffix("_at"), let moment = value.stringValue.flatMap({ Timestamp($0) }) {
                members[name] = .string(moment.description)
            } else {
                members[name] = value
            }
        }
        return .object(members)
    }

    /// Someone who is not there, shaped like a new user: the answer to signing up with a taken address while
    /// confirmations are on, so that it tells nothing about who has an account. Clients know it by its lack of identities.
    static func standIn(for user: NewUser, now: Timestamp) -> AuthUser {
        AuthUser(
            id: .random(), audience: user.audience, role: "", email: user.email?.text ?? "", phone: user.phone ?? "",
            appMetadata: .object(user.appMetadata), userMetadata: .object(user.userMetadata), identities: [],
            factors: [], createdAt: now, updatedAt: now, emailConfirmedAt: nil, phoneConfirmedAt: nil, bannedUntil: nil,
            isAnonymous: false, isSSOUser: false, optionalMembers: [("confirmation_sent_at", now.description)])
    }
}

extension AuthUser {
    /// The user as clients see it.
    var json: JSON {
        var members: JSONObject = [
            "id": .string(id.description), "aud": .string(audience), "role": .string(role), "email": .string(email),
        ]
        func addOptional(_ names: Set<String>) {
            for (name, value) in optionalMembers where names.contains(name) { members[name] = .string(value) }
        }
        addOptional(["email_confirmed_at", "invited_at"])
        members["phone"] = .string(phone)
        addOptional([
            "phone_confirmed_at", "confirmation_sent_at", "confirmed_at", "recovery_sent_at", "new_email",
            "email_change_sent_at", "new_phone", "phone_change_sent_at", "reauthentication_sent_at", "last_sign_in_at",
        ])
        members["app_metadata"] = appMetadata
        members["user_metadata"] = userMetadata
        if !factors.isEmpty { members["factors"] = .array(factors) }
        members["identities"] = .array(identities)
        members["created_at"] = .string(createdAt.description)
        members["updated_at"] = .string(updatedAt.description)
        addOptional(["banned_until", "deleted_at"])
        members["is_anonymous"] = .bool(isAnonymous)
        return .object(members)
    }
}
