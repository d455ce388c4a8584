// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// `DELETE /user`: the signed-in user's account ends, with everything that hangs on it. Atoll's own addition.
extension AuthService {
    /// The body has the current `password`; accounts without one, which sign in elsewhere, need none. With a second factor the
    /// session must have proved it.
    func deleteOwnAccount(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try SignedInUser(request, access)
        try limiter.admit(request, .updateUser)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let password = try fields.text("password")
        let session = try await currentSession(of: caller)
        let facts = try await database.query(
            """
            select
                u.encrypted_password,
                exists (
                    select from auth.mfa_factors as f where f.user_id = u.id and f.status = 'verified'
                ) as has_factor
            from auth.users as u
            where u.id = \(caller.id)
            """
        ).onlyRow
        if facts?["has_factor"].bool == true, session.assuranceLevel == "aal1" {
            throw AuthError(.insufficientAAL, "AAL2 session is required to delete an account when MFA is enabled.")
        }
        if let stored = facts?["encrypted_password"].string, !stored.isEmpty {
            guard !password.isEmpty else {
                throw AuthError(.currentPasswordRequired, "Current password required when deleting an account.")
            }
            try limiter.admit(request, .passwordAttempt, account: caller.id.description)
            guard try await hasher.verify(password, against: stored) != .wrong else {
                throw AuthError(.currentPasswordInvalid, "Current password required when deleting an account.")
            }
        }
        let unit = WorkUnit(
            statementTimeout: configuration.statementTimeout,
            queries: [
                AuditEvent(
                    .userDeleted, by: .user(caller.id),
                    traits: [
                        "user_id": .string(caller.id.description), "user_email": .string(session.user.email),
                        "user_phone": .string(session.user.phone),
                    ]
                ).insertion(for: request),
                "delete from auth.users where id = \(caller.id)",
            ])
        _ = try await database.run(unit)
        return .json([:])
    }
}
