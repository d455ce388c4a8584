// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// Somebody who has proved to be a provider's user, on the way to an account.
struct ExternalIdentity: Sendable {
    let provider: String
    let profile: ExternalProfile
    /// Whether it may go without an address.
    let isEmailOptional: Bool
    /// The signed-in user it is to be added to.
    var linkingTargetID: UUID?
    /// The digest of an invitation's token.
    var invitation: String?
    /// Where the link of a mail leads that confirms the address, when the provider has not verified it.
    let redirect: RedirectTarget
}

/// Which account an external identity signs in to.
///
/// The identity's own account if it has one. Else the account with an address that the provider has verified: an address that
/// it has not verified proves nothing and links to nothing. Else a new one.
extension AuthService {
    /// An account that was found.
    private struct Found {
        var id: UUID
        var email: String
        var isConfirmed: Bool
        /// Whether somebody has shown to own the address, instead of having typed it into a sign-up that asks for no proof.
        var isProven: Bool

        init?(_ row: PostgresRow?) {
            guard let row, let id = row["id"].uuid else { return nil }
            self.id = id
            email = row["email"].string ?? ""
            isConfirmed = row["is_confirmed"].bool ?? false
            isProven = row["is_proven"].bool ?? false
        }
    }

    private static let accountSelection: PostgresQuery = """
        select
            u.id, u.email, u.email_confirmed_at is not null as is_confirmed,
            u.email_confirmed_at is not null and (
                u.confirmation_sent_at is not null or u.recovery_sent_at is not null or u.invited_at is not null
                or u.email_change_sent_at is not null
                or exists (
                    select
                    from auth.identities as i
                    where i.user_id = u.id and i.email = u.email and i.identity_data ->> 'email_verified' = 'true'
                )
            ) as is_proven
        from auth.users as u

        """

    /// Finds, links or makes the account of an identity and does what follows in the same transaction.
    ///
    /// - Throws: `AuthError`. Nothing is changed then, but for an address that the provider has not verified and the project wants
    ///   confirmed: the account is there, and a mail on its way.
    @discardableResult
    func account<T>(
        of identity: ExternalIdentity, _ request: HTTPRequest,
        _ body: @Sendable (UUID, PostgresTransaction) async throws -> T
    ) async throws -> T {
        do {
            return try await attempt(identity, request, body)
        } catch let error as PostgresError where error.sqlState == "23505" {
            // Somebody else made the account or the identity meanwhile: it is there to be found now.
            return try await attempt(identity, request, body)
        }
    }

    private func attempt<T>(
        _ identity: ExternalIdentity, _ request: HTTPRequest,
        _ body: @Sendable (UUID, PostgresTransaction) async throws -> T
    ) async throws -> T {
        let user = newUser(of: identity)
        // The project is asked outside of the transaction, which would wait for its answer.
        let isNew = try await isNew(identity)
        if isNew {
            try checkCreation(of: identity)
            try await willCreate(user, request)
        }
        let (outcome, created) = try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
            transaction -> (Result<T, AuthError>, AuthUser?) in
            let resolution = try await resolve(identity, orCreate: isNew ? user : nil, request, in: transaction)
            let id = resolution.user
            let results = try await transaction.run([
                Self.metadataUpdate(of: identity, for: id), AuthUser.selection(id: id),
            ])
            guard let row = results.last?.onlyRow, let account = AuthUser(row: row) else {
                throw AuthError(.userNotFound, "User not found", status: 404)
            }
            guard !account.isBanned(at: .now()) else { throw AuthError(.userBanned, "User is banned", status: 403) }
            let created = resolution.isCreated ? account : nil
            if resolution.isUnconfirmed {
                return (
                    .failure(try await confirmationNeeded(of: account, identity, request, in: transaction)), created
                )
            }
            if resolution.isLinked {
                try await notify(
                    .identityLinked(identity.provider), to: account.email, about: account, request, in: transaction)
            }
            return (.success(try await body(id, transaction)), created)
        }
        if let created {
            counters.signUps.increment()
            await didCreate(created, request)
        }
        return try outcome.get()
    }

    private func newUser(of identity: ExternalIdentity) -> NewUser {
        let candidate = identity.profile.candidate
        var user = NewUser(audience: configuration.audience)
        user.email = candidate?.address
        user.isEmailConfirmed = candidate.map { $0.isVerified || !configuration.areEmailConfirmationsEnabled } ?? false
        user.userMetadata = identity.profile.identityData
        user.identities = [newIdentity(of: identity)]
        return user
    }

    private func newIdentity(of identity: ExternalIdentity) -> NewIdentity {
        NewIdentity(
            provider: identity.provider, providerID: identity.profile.subject, data: identity.profile.identityData)
    }

    private static func owner(of identity: ExternalIdentity) -> PostgresQuery {
        accountSelection
            + """
            inner join auth.identities as own on own.user_id = u.id
            where own.provider = \(identity.provider) and own.provider_id = \(identity.profile.subject)
                and u.deleted_at is null
            """
    }

    private static func accounts(withAddresses addresses: [String]) -> PostgresQuery {
        accountSelection
            + """
            where u.email = any(\(addresses)::text[]) and not u.is_sso_user and u.deleted_at is null
            order by array_position(\(addresses)::text[], u.email::text)
            """
    }

    private func isNew(_ identity: ExternalIdentity) async throws -> Bool {
        guard identity.linkingTargetID == nil, identity.invitation == nil else { return false }
        let results = try await database.run(
            WorkUnit(
                readOnly: true, statementTimeout: configuration.statementTimeout,
                queries: [
                    Self.owner(of: identity), Self.accounts(withAddresses: identity.profile.verifiedAddresses),
                ]))
        return results.allSatisfy { $0.rowCount == 0 }
    }

    private func checkCreation(of identity: ExternalIdentity) throws(AuthError) {
        guard configuration.isSignupEnabled else {
            throw AuthError(.signupDisabled, "Signups not allowed for this instance")
        }
        guard identity.profile.candidate != nil || identity.isEmailOptional else {
            throw AuthError(.emailAddressNotProvided, "Error getting user email from external provider")
        }
    }

    private static func unverified(_ provider: String, isMailSent: Bool = false) -> AuthError {
        AuthError(
            .providerEmailNeedsVerification,
            isMailSent
                ? "Unverified email with \(provider). A confirmation email has been sent to your \(provider) email"
                : "Unverified email with \(provider). Verify the email with \(provider) in order to sign in")
    }

    /// Sends the mail that confirms an account's address in the provider's place, unless one went out a moment ago.
    ///
    /// - Returns: what whoever tried to sign in is told.
    private func confirmationNeeded(
        of account: AuthUser, _ identity: ExternalIdentity, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> AuthError {
        guard !isTooSoon(account, .confirmation) else { return Self.unverified(identity.provider, isMailSent: true) }
        do throws(AuthError) { try admitSending(.confirmation, to: account.email, request) } catch {
            return Self.unverified(identity.provider)
        }
        try await sendConfirmation(to: account, nil, request, redirect: identity.redirect, in: transaction)
        return Self.unverified(identity.provider, isMailSent: true)
    }

    // MARK: Decisions

    private struct Resolution {
        var user: UUID
        var isCreated = false
        /// Whether an account that was there got the identity as a further one.
        var isLinked = false
        /// Whether its address waits to be confirmed: nobody is signed in, and what was written stays.
        var isUnconfirmed = false
    }

    private func resolve(
        _ identity: ExternalIdentity, orCreate user: NewUser?, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> Resolution {
        if let target = identity.linkingTargetID {
            try await link(identity, to: target, in: transaction)
            return Resolution(user: target, isLinked: true)
        }
        if let invitation = identity.invitation {
            return Resolution(user: try await accept(invitation, identity, request, in: transaction))
        }
        if let owner = Found(try await transaction.query(Self.owner(of: identity) + " for update of u").onlyRow) {
            try await transaction.query(Self.identityUpdate(of: identity))
            let isConfirmed = try await confirm(owner, identity, in: transaction)
            return Resolution(user: owner.id, isUnconfirmed: !isConfirmed)
        }
        let matching = try await transaction.query(
            Self.accounts(withAddresses: identity.profile.verifiedAddresses) + " for update of u")
        if let first = matching.rows.lazy.compactMap({ Found($0) }).first {
            let isConfirmed = try await join(identity, to: first, in: transaction)
            return Resolution(user: first.id, isLinked: true, isUnconfirmed: !isConfirmed)
        }
        guard let user else {
            // The account that was there a moment ago is gone.
            throw AuthError(.conflict, "The account has changed meanwhile, please try again")
        }
        let id = try await create(user, identity, request, in: transaction)
        return Resolution(user: id, isCreated: true, isUnconfirmed: user.email != nil && !user.isEmailConfirmed)
    }

    private func create(
        _ user: NewUser, _ identity: ExternalIdentity, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> UUID {
        if let email = user.email, identity.profile.candidate?.isVerified != true {
            // Somebody has the address already, and nobody has shown that it is this person.
            let taken = try await transaction.query(Self.accounts(withAddresses: [email.text]))
            guard taken.rowCount == 0 else { throw Self.unverified(identity.provider) }
        }
        let entry = AuditEvent(.userSignedUp, by: .user(user.id), traits: user.auditTraits).insertion(for: request)
        do { try await transaction.run(user.insertions + [entry]) } catch {
            // What a trigger of the project refuses is told as such, without its message.
            guard error.code == .server, error.sqlState != "23505" else { throw error }
            var told = AuthError(error)
            if told.code == .unexpectedFailure { told.message = "Database error saving new user" }
            throw told
        }
        return user.id
    }

    /// Adds the identity to an account whose address it proves.
    ///
    /// Whoever made the account may have typed an address of somebody else's, to be there when its owner comes: unless the
    /// address was proved before, every other way into the account is closed.
    ///
    /// - Returns: whether the account's address is confirmed now.
    private func join(
        _ identity: ExternalIdentity, to account: Found, in transaction: PostgresTransaction
    ) async throws -> Bool {
        if !account.isProven {
            try await transaction.run([
                "update auth.users set encrypted_password = null, phone = null, phone_confirmed_at = null where id = \(account.id)",
                "delete from auth.identities where user_id = \(account.id)",
                "delete from auth.sessions where user_id = \(account.id)",
                "delete from auth.mfa_factors where user_id = \(account.id)",
                "delete from auth.webauthn_credentials where user_id = \(account.id)",
                "delete from auth.one_time_tokens where user_id = \(account.id)",
            ])
        }
        try await transaction.query(newIdentity(of: identity).insertion(for: account.id))
        return try await confirm(account, identity, in: transaction)
    }

    /// Confirms the account's address where the identity proves it.
    ///
    /// - Returns: false when nobody has proved it yet.
    private func confirm(
        _ account: Found, _ identity: ExternalIdentity, in transaction: PostgresTransaction
    ) async throws -> Bool {
        guard !account.isConfirmed, !account.email.isEmpty else { return true }
        guard identity.profile.verifiedAddresses.contains(account.email) || !configuration.areEmailConfirmationsEnabled
        else { return false }
        try await transaction.run(Self.confirmation(of: account.id))
        return true
    }

    private static func confirmation(of user: UUID) -> [PostgresQuery] {
        [
            """
            update auth.users
            set email_confirmed_at = coalesce(email_confirmed_at, now()), updated_at = now()
            where id = \(user)
            """
        ] + OneTimeToken.forgetting([.confirmation], of: user)
    }

    /// The invited person comes by a provider instead of by the link.
    private func accept(
        _ invitation: String, _ identity: ExternalIdentity, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> UUID {
        let found = try await transaction.query(
            Self.accountSelection + "where \(invitationCondition(invitation)) for update of u")
        guard let invited = Found(found.onlyRow) else { throw Self.unknownInvitation }
        // Whoever has the token reads the mail of that address; the provider must say that it is this person's.
        guard identity.profile.emails.contains(where: { $0.address.text == invited.email }) else {
            throw AuthError(.validationFailed, "Invited email does not match emails from external provider")
        }
        try await transaction.run(
            [newIdentity(of: identity).insertion(for: invited.id)] + Self.confirmation(of: invited.id) + [
                AuditEvent(.inviteAccepted, by: .user(invited.id), traits: ["provider": .string(identity.provider)])
                    .insertion(for: request)
            ])
        return invited.id
    }

    static var unknownInvitation: AuthError {
        AuthError(.userNotFound, "User identified by token not found", status: 404)
    }

    /// A condition on `auth.users` as `u`: the account that an invitation waits for, by the digest of the token in its mail's link.
    func invitationCondition(_ invitation: String) -> PostgresQuery {
        """
        u.invited_at is not null and u.email_confirmed_at is null and u.deleted_at is null and exists (
            select
            from auth.one_time_tokens as t
            where t.user_id = u.id and t.token_type = 'confirmation_token' and t.link_hash = \(invitation)
                and t.issued_at + \(configuration.flows.otpLifetime.wholeSeconds) * interval '1 second' > now()
        )
        """
    }

    /// Adds the identity to the account of whoever is signed in.
    private func link(
        _ identity: ExternalIdentity, to target: UUID, in transaction: PostgresTransaction
    ) async throws {
        if let owner = Found(try await transaction.query(Self.owner(of: identity)).onlyRow) {
            throw AuthError(
                .identityAlreadyExists,
                owner.id == target ? "Identity is already linked" : "Identity is already linked to another user")
        }
        // An anonymous user becomes one with an address, if nobody has it yet.
        let address = identity.profile.candidate.flatMap { $0.isVerified ? $0.address.text : nil }
        try await transaction.run([
            newIdentity(of: identity).insertion(for: target),
            """
            update auth.users as u
            set is_anonymous = false, updated_at = now(),
                email = coalesce(nullif(u.email, ''), free.email),
                email_confirmed_at = case
                    when coalesce(u.email, '') = '' and free.email is not null then now()
                    else u.email_confirmed_at
                end
            from (
                select case
                    when not exists (
                        select from auth.users as o where o.email = \(address) and not o.is_sso_user
                    ) then \(address)::text
                end as email
            ) as free
            where u.id = \(target)
            """,
        ])
    }

    // MARK: What the provider says anew

    private static func identityUpdate(of identity: ExternalIdentity) -> PostgresQuery {
        """
        update auth.identities
        set identity_data = \(JSON.object(identity.profile.identityData)), last_sign_in_at = now(), updated_at = now()
        where provider = \(identity.provider) and provider_id = \(identity.profile.subject)
        """
    }

    /// Keeps the user's metadata and list of providers as the identities have them.
    private static func metadataUpdate(of identity: ExternalIdentity, for user: UUID) -> PostgresQuery {
        """
        update auth.users as u
        set raw_user_meta_data =
                coalesce(u.raw_user_meta_data, '{}'::jsonb) || \(JSON.object(identity.profile.identityData))::jsonb,
            raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}'::jsonb) || \(providers(of: user, first: identity.provider)),
            updated_at = now()
        where u.id = \(user)
        """
    }

    /// `provider` and `providers` of `raw_app_meta_data`: the one the account was made by, as long as it has it, and all.
    static func providers(of user: UUID, first name: String?) -> PostgresQuery {
        """
        (
            select jsonb_build_object(
                'provider', coalesce(
                    max(i.provider) filter (where i.provider = a.raw_app_meta_data ->> 'provider'), \(name)::text,
                    min(i.provider)),
                'providers', coalesce(jsonb_agg(distinct i.provider) filter (where i.provider is not null), '[]'::jsonb)
            )
            from auth.users as a
            left join auth.identities as i on i.user_id = a.id
            where a.id = \(user)
        )
        """
    }
}
