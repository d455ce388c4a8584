// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Postgres
import Primitives

/// Users, one at a time, for administrators.
extension AuthService {
    /// `GET /admin/users/{id}`.
    func getUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await administrator(request)
        let id = try userID(in: request)
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout, queries: [AuthUser.selection(id: id)])
        guard let row = try await database.run(unit).first?.onlyRow, let user = AuthUser(row: row) else {
            throw Self.userNotFound
        }
        return .json(user.json)
    }

    // MARK: Creating

    /// `POST /admin/users`.
    func createUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let form = try AdminUserForm(
            try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes))
        guard form.email != nil || form.phone != nil else {
            throw AuthError(.validationFailed, "Cannot create a user without either an email or phone")
        }
        let user = NewUser(form, hash: try await hash(form, request), audience: configuration.audience)
        let queries =
            user.insertions + [
                AuditEvent(.userSignedUp, by: administrator.actor, traits: user.auditTraits).insertion(for: request),
                AuthUser.selection(id: user.id),
            ]
        let created = try await tellingConflicts {
            try await savingUser {
                try await database.run(
                    WorkUnit(statementTimeout: configuration.statementTimeout, queries: queries)
                ).last?.onlyRow.flatMap { AuthUser(row: $0) }
            }
        }
        return .json(created.json)
    }

    /// The hash of a form's password; nil when it has none.
    private func hash(_ form: AdminUserForm, _ request: HTTPRequest) async throws -> String? {
        if let password = form.password { return try await newPasswordHash(password, request) }
        return form.passwordHash
    }

    /// Tells an administrator which value is somebody else's already.
    private func tellingConflicts<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch {
            switch ((error as? PostgresError) ?? (error as? AuthError)?.cause as? PostgresError)?.constraint {
            case "users_email_partial_key":
                throw AuthError(.emailExists, "A user with this email address has already been registered")
            case "users_phone_key":
                throw AuthError(.phoneExists, "A user with this phone number has already been registered")
            case "users_pkey":
                throw AuthError(.validationFailed, "A user with this ID already exists", status: 422)
            default: throw error
            }
        }
    }

    // MARK: Changing

    /// `PUT /admin/users/{id}`.
    func updateUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let id = try userID(in: request)
        let form = try AdminUserForm(
            try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes))
        let hash = try await hash(form, request)
        let updated = try await tellingConflicts {
            try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
                transaction -> AuthUser in
                let found = try await transaction.query(
                    AuthUser.selection + "where u.id = \(id) and u.deleted_at is null for update of u")
                guard let row = found.onlyRow, let user = AuthUser(row: row) else { throw Self.userNotFound }
                let results = try await transaction.run(
                    Self.changes(of: user, form, hash: hash) + [
                        AuditEvent(
                            .userModified, by: administrator.actor,
                            traits: [
                                "user_id": .string(user.id.description), "user_email": .string(user.email),
                                "user_phone": .string(user.phone),
                            ]
                        ).insertion(for: request),
                        AuthUser.selection(id: id),
                    ])
                guard let row = results.last?.onlyRow, let updated = AuthUser(row: row) else {
                    throw Self.userNotFound
                }
                return updated
            }
        }
        return .json(updated.json)
    }

    private static func changes(of user: AuthUser, _ form: AdminUserForm, hash: String?) -> [PostgresQuery] {
        var identities = user.identityProviders
        var queries: [PostgresQuery] = []
        if let email = form.email {
            queries += setIdentity(NewIdentity(email: email, of: user.id, isVerified: form.confirmsEmail), of: user.id)
            if !identities.contains("email") { identities.append("email") }
        }
        if let phone = form.phone {
            queries += setIdentity(NewIdentity(phone: phone, of: user.id, isVerified: form.confirmsPhone), of: user.id)
            if !identities.contains("phone") { identities.append("phone") }
        }
        var appMetadata = merged(user.appMetadata, form.appMetadata)
        if form.email != nil || form.phone != nil {
            if let first = identities.first, appMetadata["provider"] == nil { appMetadata["provider"] = .string(first) }
            appMetadata["providers"] = .array(identities.map { .string($0) })
        }
        let (liftsBan, banSeconds): (Bool, String?) =
            switch form.ban {
            case nil: (false, nil)
            case .lifted: (true, nil)
            case .until(let duration): (false, String(duration.components.seconds))
            }
        queries.append(
            """
            update auth.users
            set aud = coalesce(\(form.audience), aud), role = coalesce(\(form.role), role),
                email = coalesce(\(form.email?.text), email), phone = coalesce(\(form.phone), phone),
                encrypted_password = coalesce(\(hash), encrypted_password),
                email_confirmed_at = case
                    when \(form.confirmsEmail)::boolean then coalesce(email_confirmed_at, now()) else email_confirmed_at
                end,
                phone_confirmed_at = case
                    when \(form.confirmsPhone)::boolean then coalesce(phone_confirmed_at, now()) else phone_confirmed_at
                end,
                is_anonymous = is_anonymous and \(form.email == nil && form.phone == nil)::boolean,
                raw_app_meta_data = \(JSON.object(appMetadata)),
                raw_user_meta_data = \(JSON.object(merged(user.userMetadata, form.userMetadata))),
                banned_until = case
                    when \(liftsBan)::boolean then null
                    else coalesce(now() + make_interval(secs => \(banSeconds)::double precision), banned_until)
                end,
                updated_at = now()
            where id = \(user.id)
            """)
        if form.confirmsEmail { queries += confirmation(of: "email", user.id) }
        if form.confirmsPhone { queries += confirmation(of: "phone", user.id) }
        if hash != nil {
            queries.append("delete from auth.sessions where user_id = \(user.id)")
            queries.append("delete from auth.one_time_tokens where user_id = \(user.id)")
        }
        return queries
    }

    /// What an administrator confirms is so for the identity and the metadata, too, and waits for no code any more.
    private static func confirmation(of provider: String, _ user: UUID) -> [PostgresQuery] {
        let claim = JSON.object(["\(provider)_verified": true])
        return OneTimeToken.forgetting([.confirmation], of: user) + [
            """
            update auth.identities
            set identity_data = identity_data || \(claim)::jsonb, updated_at = now()
            where user_id = \(user) and provider = \(provider)
            """,
            """
            update auth.users
            set raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || \(claim)::jsonb
            where id = \(user)
            """,
        ]
    }

    /// Writes the identity an address or a number is, whether there was one or not.
    private static func setIdentity(_ identity: NewIdentity, of user: UUID) -> [PostgresQuery] {
        [
            """
            insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
            values (\(identity.providerID), \(user), \(JSON.object(identity.data)), \(identity.provider), now(), now())
            on conflict (provider_id, provider) do update
            set identity_data = identities.identity_data || excluded.identity_data, updated_at = now()
            where identities.user_id = excluded.user_id
            """
        ]
    }

    /// The members of `changes` over those of `stored`; null takes a member away.
    static func merged(_ stored: JSON, _ changes: JSONObject) -> JSONObject {
        var members = stored.objectValue ?? [:]
        for (name, value) in changes { members[name] = value.isNull ? JSON?.none : value }
        return members
    }

    // MARK: Deleting

    /// `DELETE /admin/users/{id}`: with `should_soft_delete` the row stays, without anything that tells whose it was.
    func deleteUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let id = try userID(in: request)
        let body = try await request.body.collect(upTo: configuration.maxBodyBytes)
        let isSoft = body.isEmpty ? false : try RequestFields(parsing: body).flag("should_soft_delete")
        try await database.withTransaction(statementTimeout: configuration.statementTimeout) { transaction in
            let found = try await transaction.query(AuthUser.selection + "where u.id = \(id) for update of u")
            guard let row = found.onlyRow, let user = AuthUser(row: row) else { throw Self.userNotFound }
            let audit = AuditEvent(
                .userDeleted, by: administrator.actor,
                traits: [
                    "user_id": .string(user.id.description), "user_email": .string(user.email),
                    "user_phone": .string(user.phone),
                ]
            ).insertion(for: request)
            let removal: [PostgresQuery] =
                isSoft ? Self.softDeletion(of: user) : ["delete from auth.users where id = \(id)"]
            try await transaction.run([audit] + removal)
        }
        return .json([:])
    }

    /// The address and the number become digests, so that they are free again and the rows of the project that point to the
    /// user still find one.
    private static func softDeletion(of user: AuthUser) -> [PostgresQuery] {
        guard user.moment("deleted_at") == nil else { return [] }
        func obscured(_ text: String) -> String? {
            text.isEmpty ? nil : Base64URL.encode(digest((user.id.description + text).utf8))
        }
        return [
            """
            update auth.users
            set email = \(obscured(user.email)), phone = \(obscured(user.phone).map { String($0.prefix(15)) }),
                encrypted_password = null, email_change = '', phone_change = '', confirmation_token = '',
                recovery_token = '', email_change_token_current = '', email_change_token_new = '',
                phone_change_token = '', reauthentication_token = '', raw_user_meta_data = '{}',
                raw_app_meta_data = '{}', deleted_at = now(), updated_at = now()
            where id = \(user.id)
            """,
            """
            update auth.identities
            set provider_id = translate(encode(sha256(convert_to(user_id::text || provider_id, 'UTF8')), 'base64'), '+/', '-_'),
                identity_data = '{}', updated_at = now()
            where user_id = \(user.id)
            """,
            "delete from auth.sessions where user_id = \(user.id)",
            "delete from auth.mfa_factors where user_id = \(user.id)",
            "delete from auth.webauthn_credentials where user_id = \(user.id)",
            "delete from auth.one_time_tokens where user_id = \(user.id)",
        ]
    }
}

extension NewUser {
    /// The account an administrator asks for.
    fileprivate init(_ form: AdminUserForm, hash: String?, audience: String) {
        self.init(audience: form.audience ?? audience)
        if let id = form.id { self.id = id }
        if let role = form.role { self.role = role }
        email = form.email
        phone = form.phone
        passwordHash = hash
        isEmailConfirmed = form.email != nil && form.confirmsEmail
        isPhoneConfirmed = form.phone != nil && form.confirmsPhone
        extraAppMetadata = form.appMetadata
        userMetadata = form.userMetadata
        if isEmailConfirmed { userMetadata["email_verified"] = true }
        if isPhoneConfirmed { userMetadata["phone_verified"] = true }
        if let email { identities.append(NewIdentity(email: email, of: self.id, isVerified: form.confirmsEmail)) }
        if let phone { identities.append(NewIdentity(phone: phone, of: self.id, isVerified: form.confirmsPhone)) }
        if case .until(let duration) = form.ban { banDuration = duration }
    }
}
