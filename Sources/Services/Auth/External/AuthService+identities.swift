// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `DELETE /user/identities/{identity_id}`
extension AuthService {
    private static let lastIdentity = AuthError(
        .singleIdentityNotDeletable, "User must have at least 1 identity after unlinking")

    /// Takes an identity from the signed-in user's account, which keeps at least one.
    func unlinkIdentity(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        guard configuration.isManualLinkingEnabled else {
            throw AuthError(.manualLinkingDisabled, "Manual linking is disabled")
        }
        guard let id = request.parameters["identity_id"].flatMap({ UUID($0) }) else {
            throw AuthError(.validationFailed, "identity_id must be an UUID", status: 404)
        }
        let user = try await user(of: caller)
        do {
            try await database.withTransaction(statementTimeout: configuration.statementTimeout) { transaction in
                try await unlink(id, of: user, request, in: transaction)
            }
        } catch let error as PostgresError where error.constraint == "users_email_partial_key" {
            throw AuthError(
                .emailConflictIdentityNotDeletable, "Unable to unlink identity due to email conflict", cause: error)
        }
        return .json([:])
    }

    private func unlink(
        _ id: UUID, of account: AuthUser, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws {
        let user = account.id
        // The account's row is locked first, so that two requests do not take the last two identities.
        let results = try await transaction.run([
            "select from auth.users where id = \(user) for update",
            "select id, provider, provider_id from auth.identities where user_id = \(user)",
        ])
        let identities = results.last.map { Array($0.rows) } ?? []
        guard let removed = identities.first(where: { $0["id"].uuid == id }) else {
            throw AuthError(.identityNotFound, "Identity doesn't exist")
        }
        guard identities.count > 1 else { throw Self.lastIdentity }
        let provider = removed["provider"].string ?? ""
        let traits: JSONObject = [
            "identity_id": .string(id.description), "provider": .string(provider),
            "provider_id": .string(removed["provider_id"].string ?? ""),
        ]
        try await transaction.run([
            AuditEvent(.identityUnlinked, by: .user(user), traits: traits).insertion(for: request),
            "delete from auth.identities where id = \(id) and user_id = \(user)",
            provider == "phone" ? Self.removalOfPhone(of: user) : Self.addressUpdate(of: user),
            """
            update auth.users as u
            set raw_app_meta_data = coalesce(u.raw_app_meta_data, '{}'::jsonb) || \(Self.providers(of: user, first: nil)),
                updated_at = now()
            where u.id = \(user)
            """,
        ])
        // To the address the account had: it may have gone with the identity.
        try await notify(.identityUnlinked(provider), to: account.email, about: account, request, in: transaction)
    }

    private static func removalOfPhone(of user: UUID) -> PostgresQuery {
        "update auth.users set phone = null, phone_confirmed_at = null, updated_at = now() where id = \(user)"
    }

    /// The account's address is one of an identity that is left: the same if it can be, else that of the identity by e-mail, else
    /// the oldest one's. It is confirmed as far as that identity says so.
    private static func addressUpdate(of user: UUID) -> PostgresQuery {
        """
        update auth.users as u
        set email = nullif(i.email, ''), updated_at = now(),
            email_confirmed_at = case
                when i.email = u.email then u.email_confirmed_at
                when i.identity_data ->> 'email_verified' = 'true' then now()
            end
        from (
            select i.email, i.identity_data
            from auth.identities as i
            inner join auth.users as o on o.id = i.user_id
            where i.user_id = \(user)
            order by i.email is not distinct from o.email desc, i.provider = 'email' desc, i.email is null, i.created_at, i.id
            limit 1
        ) as i
        where u.id = \(user) and u.email is distinct from i.email
        """
    }
}
