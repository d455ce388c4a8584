// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `PUT /user` and `GET /reauthenticate`: what signed-in users change of their accounts.
extension AuthService {
    /// What a request wants changed.
    private struct Changes: Sendable {
        var email: EmailAddress?
        var phone: PhoneNumber?
        var password: String?
        var currentPassword: String?
        var nonce: String
        var data: JSONObject?
        var appMetadata: JSONObject?
        var challenge: CodeChallenge?
        var channel: MessageChannel

        init(_ fields: RequestFields) throws(AuthError) {
            let email = try fields.text("email")
            let phone = try fields.text("phone")
            if !email.isEmpty {
                guard let address = EmailAddress(email) else {
                    throw AuthError(.validationFailed, "Unable to validate email address: invalid format")
                }
                self.email = address
            }
            if !phone.isEmpty { self.phone = try PhoneNumber(checking: phone) }
            if fields.has("password") { password = try fields.text("password") }
            let current = try fields.text("current_password")
            currentPassword = current.isEmpty ? nil : current
            nonce = try fields.text("nonce")
            if fields.has("data") { data = try fields.object("data") }
            if fields.has("app_metadata") { appMetadata = try fields.object("app_metadata") }
            challenge = try CodeChallenge(fields)
            channel = try MessageChannel(fields)
        }

        var touchesSignIn: Bool { email != nil || phone != nil || password != nil }
    }

    /// What is known of the caller while the change is made.
    private struct Caller: Sendable {
        var user: AuthUser
        var passwordHash: String?
        var sessionCreatedAt: Timestamp?
        var assuranceLevel: String?
        var hasVerifiedFactor: Bool
        var now: Timestamp
    }

    /// `PUT /user`.
    func updateCurrentUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        try limiter.admit(request, .updateUser)
        let changes = try Changes(try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes))
        let facts = try await facts(of: caller)
        try check(changes, facts)
        let newHash = try await newHash(changes, facts, request)
        if let email = changes.email, email.text != facts.user.email {
            try admitSending(.emailChangeNew, to: email.text, request)
        }
        if let phone = changes.phone, phone.digits != facts.user.phone, !isPhoneConfirmedAtOnce {
            try admitSending(.phoneChange, to: phone.digits, byPhone: true, request)
        }
        let (user, message) = try await savingChange {
            try await inTransaction { transaction -> (AuthUser, TextMessage?) in
                guard let user = try await lockedUser("u.id = \(caller.id) and u.deleted_at is null", in: transaction)
                else { throw Self.noUser }
                let message = try await apply(
                    changes, newHash: newHash, to: user, caller, request, in: transaction)
                guard let changed = try await lockedUser("u.id = \(caller.id)", in: transaction) else {
                    throw Self.noUser
                }
                return (changed, message)
            }
        }
        _ = try await deliver(message, request)
        return .json(user.json)
    }

    private static var noUser: AuthError {
        AuthError(.userNotFound, "User from sub claim in JWT does not exist")
    }

    private func facts(of caller: SignedInUser) async throws -> Caller {
        let user = try await user(of: caller)
        let row = try await database.query(
            """
            select
                u.encrypted_password, s.created_at, s.aal::text as aal, clock_timestamp() as now,
                exists (
                    select from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified'
                ) as has_factor
            from auth.users as u
            left join auth.sessions as s on s.user_id = u.id and s.id = \(caller.sessionID)
            where u.id = \(caller.id)
            """
        ).onlyRow
        guard let row else { throw Self.noUser }
        return Caller(
            user: user, passwordHash: row["encrypted_password"].string.flatMap { $0.isEmpty ? nil : $0 },
            sessionCreatedAt: row["created_at"].timestamp, assuranceLevel: row["aal"].string,
            hasVerifiedFactor: row["has_factor"].bool ?? false, now: row["now"].timestamp ?? .now())
    }

    /// Refuses what the caller may not change at all.
    private func check(_ changes: Changes, _ caller: Caller) throws(AuthError) {
        guard changes.appMetadata == nil || caller.user.role == "service_role" || caller.user.role == "supabase_admin"
        else { throw AuthError(.notAdmin, "Updating app_metadata requires admin privileges", status: 403) }
        if caller.user.isSSOUser, changes.touchesSignIn || !changes.nonce.isEmpty {
            throw AuthError(
                .userSSOManaged, "Updating email, phone, password of a SSO account only possible via SSO")
        }
        if changes.touchesSignIn, caller.hasVerifiedFactor, caller.assuranceLevel != "aal2" {
            throw AuthError(
                .insufficientAAL, "AAL2 session is required to update email or password when MFA is enabled.")
        }
        if changes.email != nil, !configuration.isEmailEnabled {
            throw AuthError(.emailProviderDisabled, "Email signups are disabled", status: 422)
        }
        if changes.phone != nil, !configuration.flows.isPhoneEnabled {
            throw AuthError(.phoneProviderDisabled, "Phone signups are disabled", status: 422)
        }
    }

    // MARK: Password

    /// The hash of the new password, once the caller has proved what a change of password needs.
    private func newHash(_ changes: Changes, _ caller: Caller, _ request: HTTPRequest) async throws -> String? {
        guard let password = changes.password else { return nil }
        if caller.user.isAnonymous, changes.email == nil, changes.phone == nil, caller.user.newEmail == nil {
            throw AuthError(
                .validationFailed,
                "Updating password of an anonymous user without an email or phone is not allowed", status: 422)
        }
        if let stored = caller.passwordHash {
            if let current = changes.currentPassword {
                guard try await hasher.verify(current, against: stored) != .wrong else {
                    throw AuthError(.currentPasswordInvalid, "Current password required when setting new password.")
                }
            } else if configuration.flows.requiresCurrentPassword {
                throw AuthError(.currentPasswordRequired, "Current password required when setting new password.")
            }
        }
        if configuration.flows.isPasswordChangeSecured, needsNonce(caller) {
            guard !changes.nonce.isEmpty else {
                throw AuthError(.reauthenticationNeeded, "Password update requires reauthentication")
            }
            try await useNonce(changes.nonce, of: caller.user, request)
        }
        let hash = try await newPasswordHash(password, request)
        if let stored = caller.passwordHash, try await hasher.verify(password, against: stored) != .wrong {
            throw AuthError(.samePassword, "New password should be different from the old password.")
        }
        return hash
    }

    /// A sign-in of the last day is proof enough.
    private func needsNonce(_ caller: Caller) -> Bool {
        guard let signedInAt = caller.sessionCreatedAt else { return true }
        return signedInAt + .seconds(86_400) < caller.now
    }

    private func useNonce(_ nonce: String, of user: AuthUser, _ request: HTTPRequest) async throws {
        let address = user.email.isEmpty ? user.phone : user.email
        try limiter.check(request, .codeAttempt, account: address)
        let digest = tokenDigests.digest(ofCode: nonce, for: address)
        let results = try await database.run(
            WorkUnit(
                statementTimeout: configuration.statementTimeout,
                queries: [
                    """
                    delete from auth.one_time_tokens
                    where user_id = \(user.id) and token_type = 'reauthentication_token' and token_hash = \(digest)
                        and attempts < \(configuration.flows.maxCodeAttempts)
                        and issued_at + \(configuration.flows.otpLifetime.wholeSeconds) * interval '1 second' > now()
                    """,
                    """
                    update auth.one_time_tokens
                    set attempts = attempts + 1
                    where user_id = \(user.id) and token_type = 'reauthentication_token'
                    """,
                    """
                    update auth.users
                    set reauthentication_token = ''
                    where id = \(user.id)
                        and not exists (
                            select from auth.one_time_tokens as t
                            where t.user_id = \(user.id) and t.token_type = 'reauthentication_token'
                        )
                    """,
                ]))
        guard results.first?.affectedRows == 1 else {
            limiter.recordFailure(request, .codeAttempt, account: address)
            throw AuthError(.reauthenticationNotValid, "Nonce has expired or is invalid")
        }
    }

    // MARK: Writing

    /// - Returns: a text message to send once this is committed.
    private func apply(
        _ changes: Changes, newHash: String?, to user: AuthUser, _ caller: SignedInUser, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> TextMessage? {
        var queries: [PostgresQuery] = []
        if let data = changes.data {
            let removed = data.filter { $0.value.isNull }.map(\.name)
            queries.append(
                """
                update auth.users
                set raw_user_meta_data =
                    (coalesce(raw_user_meta_data, '{}') || \(JSON.object(data))::jsonb) - \(removed)::text[]
                where id = \(user.id)
                """)
        }
        if let newHash {
            queries.append(
                "update auth.users set encrypted_password = \(newHash), updated_at = now() where id = \(user.id)")
            // Whoever else is signed in, or holds a link that signs in, may be why it is changed.
            queries.append(
                "delete from auth.sessions where user_id = \(user.id) and id is distinct from \(caller.sessionID)")
            queries += OneTimeToken.forgetting([.recovery], of: user.id)
            queries.append(AuditEvent(.userPasswordUpdated, by: .user(user.id)).insertion(for: request))
        }
        queries.append("update auth.users set updated_at = now() where id = \(user.id)")
        queries.append(AuditEvent(.userModified, by: .user(user.id)).insertion(for: request))
        try await transaction.run(queries)
        if newHash != nil { try await notify(.passwordChanged, to: user.email, about: user, request, in: transaction) }
        if let email = changes.email, email.text != user.email {
            try await beginEmailChange(of: user, to: email, changes.challenge, request, in: transaction)
        }
        if let phone = changes.phone, phone.digits != user.phone {
            return try await beginPhoneChange(of: user, to: phone, changes.channel, request, in: transaction)
        }
        return nil
    }

    private func beginEmailChange(
        of user: AuthUser, to email: EmailAddress, _ challenge: CodeChallenge?, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws {
        guard try await lockedUser(AccountAddress.email(email).condition, in: transaction) == nil else {
            throw Self.emailTaken
        }
        if configuration.areEmailConfirmationsEnabled {
            try await sendEmailChange(of: user, to: email.text, challenge, request, in: transaction)
            return
        }
        try await transaction.query("update auth.users set email_change = \(email.text) where id = \(user.id)")
        guard let changing = try await lockedUser("u.id = \(user.id)", in: transaction) else { throw Self.noUser }
        if let refusal = try await changeEmail(of: changing, request, in: transaction) { throw refusal }
    }

    static var emailTaken: AuthError {
        AuthError(.emailExists, "A user with this email address has already been registered")
    }

    static var phoneTaken: AuthError {
        AuthError(.phoneExists, "A user with this phone number has already been registered")
    }

    private var isPhoneConfirmedAtOnce: Bool { !configuration.flows.arePhoneConfirmationsEnabled }

    private func beginPhoneChange(
        of user: AuthUser, to phone: PhoneNumber, _ channel: MessageChannel, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> TextMessage? {
        guard try await lockedUser(AccountAddress.phone(phone).condition, in: transaction) == nil else {
            throw Self.phoneTaken
        }
        if isPhoneConfirmedAtOnce {
            if let refusal = try await changePhone(of: user, to: phone.digits, request, in: transaction) {
                throw refusal
            }
            return nil
        }
        try await transaction.query("update auth.users set phone_change = \(phone.digits) where id = \(user.id)")
        return try await phoneCode(.phoneChange, to: phone.digits, of: user, channel, request, in: transaction)
    }

    /// Makes the address that a change is under way to the account's own.
    ///
    /// - Returns: why it cannot be.
    func changeEmail(
        of user: AuthUser, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> AuthError? {
        guard let text = user.newEmail, let email = EmailAddress(text) else {
            return AuthError(.otpExpired, "Token has expired or is invalid")
        }
        let other = try await lockedUser(AccountAddress.email(email).condition, in: transaction)
        if let other, other.id != user.id { return Self.emailTaken }
        let identity = NewIdentity(email: email, of: user.id, isVerified: true)
        try await transaction.run(
            OneTimeToken.forgetting([.emailChangeCurrent, .emailChangeNew, .recovery, .confirmation], of: user.id) + [
                """
                update auth.users
                set email = \(text), email_change = '', email_change_confirm_status = 0,
                    email_confirmed_at = coalesce(email_confirmed_at, now()), is_anonymous = false, updated_at = now(),
                    raw_user_meta_data = coalesce(raw_user_meta_data, '{}')
                        || jsonb_build_object('email', \(text)::text, 'email_verified', true)
                where id = \(user.id)
                """,
                """
                update auth.identities
                set identity_data = identity_data || jsonb_build_object('email', \(text)::text, 'email_verified', true),
                    updated_at = now()
                where user_id = \(user.id) and provider = 'email'
                """,
            ] + addingIdentity(identity, to: user) + [
                AuditEvent(.userModified, by: .user(user.id), traits: ["provider": "email"]).insertion(for: request)
            ])
        var changed = user
        changed.email = text
        try await notify(.emailChanged(from: user.email), to: user.email, about: changed, request, in: transaction)
        if user.isAdding(identity) {
            try await notify(.identityLinked("email"), to: user.email, about: changed, request, in: transaction)
        }
        return nil
    }

    /// - Returns: why it cannot be.
    func changePhone(
        of user: AuthUser, to digits: String, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> AuthError? {
        guard let phone = PhoneNumber(digits) else {
            return AuthError(.otpExpired, "Token has expired or is invalid")
        }
        let other = try await lockedUser(AccountAddress.phone(phone).condition, in: transaction)
        if let other, other.id != user.id { return Self.phoneTaken }
        let identity = NewIdentity(phone: digits, of: user.id, isVerified: true)
        try await transaction.run(
            OneTimeToken.forgetting([.phoneChange], of: user.id) + [
                """
                update auth.users
                set phone = \(digits), phone_change = '', phone_confirmed_at = now(), is_anonymous = false,
                    updated_at = now()
                where id = \(user.id)
                """,
                """
                update auth.identities
                set identity_data = identity_data || jsonb_build_object('phone', \(digits)::text, 'phone_verified', true),
                    updated_at = now()
                where user_id = \(user.id) and provider = 'phone'
                """,
            ] + addingIdentity(identity, to: user) + [
                AuditEvent(.userModified, by: .user(user.id), traits: ["provider": "phone"]).insertion(for: request)
            ])
        var changed = user
        changed.phone = digits
        try await notify(.phoneChanged(from: user.phone), to: user.email, about: changed, request, in: transaction)
        if user.isAdding(identity) {
            try await notify(.identityLinked("phone"), to: user.email, about: changed, request, in: transaction)
        }
        return nil
    }

    /// The statements that give an account the way to sign in that a confirmed address is, unless it has it.
    private func addingIdentity(_ identity: NewIdentity, to user: AuthUser) -> [PostgresQuery] {
        guard user.isAdding(identity) else { return [] }
        let provider = JSON.string(identity.provider)
        return [
            identity.insertion(for: user.id),
            """
            update auth.users
            set raw_app_meta_data = jsonb_build_object('provider', \(provider)::jsonb)
                || coalesce(raw_app_meta_data, '{}')
                || jsonb_build_object(
                    'providers',
                    coalesce(raw_app_meta_data -> 'providers', '[]') || jsonb_build_array(\(provider)::jsonb)
                )
            where id = \(user.id)
            """,
        ]
    }

    /// What two requests at once ran into is told as when one had come after the other.
    private func savingChange<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let error as PostgresError {
            switch error.constraint {
            case "users_email_partial_key": throw Self.emailTaken
            case "users_phone_key": throw Self.phoneTaken
            default: throw error
            }
        }
    }

    // MARK: Reauthentication

    /// `GET /reauthenticate`: sends a code that a change of password asks for as `nonce`.
    func reauthenticate(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        let user = try await user(of: caller)
        let byPhone = user.email.isEmpty
        if byPhone {
            guard !user.phone.isEmpty, user.phoneConfirmedAt != nil else {
                throw AuthError(.phoneNotConfirmed, "Please verify your phone first.", status: 422)
            }
        } else if user.emailConfirmedAt == nil {
            throw AuthError(.emailNotConfirmed, "Please verify your email first.", status: 422)
        }
        try admitSending(.reauthentication, to: byPhone ? user.phone : user.email, byPhone: byPhone, request)
        let message = try await inTransaction { transaction -> TextMessage? in
            guard let user = try await lockedUser("u.id = \(caller.id)", in: transaction) else { throw Self.noUser }
            let audit = AuditEvent(.userReauthenticateRequested, by: .user(user.id)).insertion(for: request)
            if byPhone {
                try await transaction.query(audit)
                return try await phoneCode(.reauthentication, to: user.phone, of: user, .sms, request, in: transaction)
            }
            let token = OneTimeToken(
                .reauthentication, for: user.email, codeLength: configuration.flows.otpLength, isPKCE: false)
            try await transaction.run(token.storing(for: user.id, tokenDigests) + [audit])
            try await send(
                [TokenMail(kind: .reauthentication, type: nil, token: token)], about: user, redirect: redirects.site,
                request, in: transaction)
            return nil
        }
        return try await deliver(message, request)
    }
}

extension AuthUser {
    /// Whether the user has had no identity of this provider.
    fileprivate func isAdding(_ identity: NewIdentity) -> Bool { !identityProviders.contains(identity.provider) }
}
