// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// An account about to be made: its rows, before they are in the database.
struct NewUser: Sendable {
    var id = UUID.random()
    var audience: String
    var role = "authenticated"
    var email: EmailAddress?
    /// Digits of the international number, without `+`.
    var phone: String?
    /// Nil for an account that has no password.
    var passwordHash: String?
    var isEmailConfirmed = false
    var isPhoneConfirmed = false
    var isInvited = false
    var isAnonymous = false
    var isSSOUser = false
    /// How long it is banned from now on.
    var banDuration: Duration?
    /// What administrators know, besides `provider` and `providers`, which the identities say.
    var extraAppMetadata: JSONObject = [:]
    var userMetadata: JSONObject = [:]
    /// The ways it signs in; the first is the one it was made by.
    var identities: [NewIdentity] = []

    init(audience: String) {
        self.audience = audience
    }

    /// - Parameter data: what the client says of the user; it cannot contradict what the server knows.
    init(email: EmailAddress, passwordHash: String?, isConfirmed: Bool, data: JSONObject, audience: String) {
        self.init(audience: audience)
        self.email = email
        self.passwordHash = passwordHash
        isEmailConfirmed = isConfirmed
        userMetadata = data
        userMetadata["sub"] = .string(id.description)
        userMetadata["email"] = .string(email.text)
        userMetadata["email_verified"] = .bool(isConfirmed)
        userMetadata["phone_verified"] = false
        identities = [NewIdentity(email: email, of: id)]
    }

    /// - Parameters:
    ///   - phone: digits of the international number, without `+`.
    ///   - data: what the client says of the user; it cannot contradict what the server knows.
    init(phone: String, passwordHash: String?, isConfirmed: Bool, data: JSONObject, audience: String) {
        self.init(audience: audience)
        self.phone = phone
        self.passwordHash = passwordHash
        isPhoneConfirmed = isConfirmed
        userMetadata = data
        userMetadata["sub"] = .string(id.description)
        userMetadata["phone"] = .string(phone)
        userMetadata["email_verified"] = false
        userMetadata["phone_verified"] = .bool(isConfirmed)
        identities = [NewIdentity(phone: phone, of: id)]
    }

    init(anonymousWith data: JSONObject, audience: String) {
        self.init(audience: audience)
        isAnonymous = true
        userMetadata = data
    }

    var appMetadata: JSONObject {
        var metadata: JSONObject = [:]
        if let first = identities.first {
            var providers: [String] = []
            for identity in identities where !providers.contains(identity.provider) {
                providers.append(identity.provider)
            }
            metadata["provider"] = .string(first.provider)
            metadata["providers"] = .array(providers.map { .string($0) })
        }
        for (name, value) in extraAppMetadata { metadata[name] = value }
        return metadata
    }

    /// What the audit log says of the account.
    var auditTraits: JSONObject {
        var traits: JSONObject = [
            "provider": .string(identities.first?.provider ?? "anonymous"), "user_id": .string(id.description),
        ]
        if let email { traits["user_email"] = .string(email.text) }
        if let phone { traits["user_phone"] = .string(phone) }
        return traits
    }

    /// The user, then its identities.
    var insertions: [PostgresQuery] {
        // The empty tokens are what GoTrue writes, which cannot read null there; rows may be moved to it.
        [
            """
            insert into auth.users (
                instance_id, id, aud, role, email, phone, encrypted_password, email_confirmed_at, phone_confirmed_at,
                invited_at, confirmation_token, recovery_token, email_change_token_new, email_change,
                raw_app_meta_data, raw_user_meta_data, created_at, updated_at, is_anonymous, is_sso_user, banned_until
            )
            values (
                \(UUID.zero), \(id), \(audience), \(role), \(email?.text), \(phone), \(passwordHash),
                case when \(isEmailConfirmed)::boolean then now() end,
                case when \(isPhoneConfirmed)::boolean then now() end,
                case when \(isInvited)::boolean then now() end, '', '', '', '', \(JSON.object(appMetadata)),
                \(JSON.object(userMetadata)), now(), now(), \(isAnonymous), \(isSSOUser),
                now() + make_interval(secs => \(banDuration.map { String($0.components.seconds) })::double precision)
            )
            """
        ] + identities.map { $0.insertion(for: id) }
    }

    /// The account in the wire form, as the hook before its creation sees it.
    var preview: JSON {
        let now = Timestamp.now().description
        return [
            "id": .string(id.description), "aud": .string(audience), "role": .string(role),
            "email": .string(email?.text ?? ""), "phone": .string(phone ?? ""), "app_metadata": .object(appMetadata),
            "user_metadata": .object(userMetadata), "identities": .array(identities.map { $0.preview(of: id) }),
            "created_at": .string(now), "updated_at": .string(now), "is_anonymous": .bool(isAnonymous),
        ]
    }
}

/// A way to sign in about to be added to an account: a row of `auth.identities`.
struct NewIdentity: Sendable {
    /// `email`, `phone`, or the name of an external provider.
    var provider: String
    /// The subject at the provider; the user's own id for `email` and `phone`.
    var providerID: String
    /// The claims.
    var data: JSONObject

    init(provider: String, providerID: String, data: JSONObject) {
        self.provider = provider
        self.providerID = providerID
        self.data = data
    }

    init(email: EmailAddress, of user: UUID, isVerified: Bool = false) {
        self.init(
            provider: "email", providerID: user.description,
            data: [
                "sub": .string(user.description), "email": .string(email.text), "email_verified": .bool(isVerified),
                "phone_verified": false,
            ])
    }

    init(phone: String, of user: UUID, isVerified: Bool = false) {
        self.init(
            provider: "phone", providerID: user.description,
            data: [
                "sub": .string(user.description), "phone": .string(phone), "email_verified": false,
                "phone_verified": .bool(isVerified),
            ])
    }

    /// Inserts the identity; one that is another user's violates `identities_provider_id_provider_unique`.
    func insertion(for user: UUID) -> PostgresQuery {
        """
        insert into auth.identities (
            provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at
        )
        values (\(providerID), \(user), \(JSON.object(data)), \(provider), now(), now(), now())
        """
    }

    func preview(of user: UUID) -> JSON {
        [
            "id": .string(providerID), "user_id": .string(user.description), "identity_data": .object(data),
            "provider": .string(provider),
        ]
    }
}

extension AuthService {
    /// Asks the project whether an account may be made. To be called before it is, outside any transaction.
    ///
    /// - Throws: what the hook refuses.
    func willCreate(_ user: NewUser, _ request: HTTPRequest) async throws {
        _ = try await hooks.call(.beforeUserCreated, ["user": user.preview], for: request)
    }

    /// Tells the project that an account was made. The account stays whatever comes of it; a failure goes to the log.
    func didCreate(_ user: AuthUser, _ request: HTTPRequest) async {
        do { _ = try await hooks.call(.afterUserCreated, ["user": user.json], for: request) } catch {
            log.error(
                "hook failed", .field("request_id", request.id), .field("hook", AuthHook.afterUserCreated.rawValue),
                .field("cause", String(describing: error)))
        }
    }
}
