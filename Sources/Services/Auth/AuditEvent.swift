// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// What is written to `auth.audit_log_entries`; the raw value is the name GoTrue gives it.
enum AuditAction: String, Sendable, CaseIterable {
    case login
    case logout
    case inviteAccepted = "invite_accepted"
    case userSignedUp = "user_signedup"
    case userInvited = "user_invited"
    case userDeleted = "user_deleted"
    case userModified = "user_modified"
    case userRecoveryRequested = "user_recovery_requested"
    case userReauthenticateRequested = "user_reauthenticate_requested"
    case userConfirmationRequested = "user_confirmation_requested"
    case userRepeatedSignup = "user_repeated_signup"
    case userPasswordUpdated = "user_updated_password"
    case tokenRevoked = "token_revoked"
    case tokenRefreshed = "token_refreshed"
    case factorEnrolled = "factor_in_progress"
    case factorUnenrolled = "factor_unenrolled"
    case challengeCreated = "challenge_created"
    case factorVerified = "verification_attempted"
    case factorDeleted = "factor_deleted"
    case factorUpdated = "factor_updated"
    case factorLogin = "mfa_code_login"
    case identityUnlinked = "identity_unlinked"
    case passkeyCreated = "passkey_created"
    case passkeyUpdated = "passkey_updated"
    case passkeyDeleted = "passkey_deleted"

    /// The trait entries are grouped by: `log_type`.
    var logType: String {
        switch self {
        case .login, .logout, .inviteAccepted: "account"
        case .userSignedUp, .userInvited, .userDeleted: "team"
        case .tokenRevoked, .tokenRefreshed: "token"
        case .userModified, .userRecoveryRequested, .userReauthenticateRequested, .userConfirmationRequested,
            .userRepeatedSignup, .userPasswordUpdated, .identityUnlinked, .passkeyCreated, .passkeyUpdated,
            .passkeyDeleted:
            "user"
        case .factorEnrolled, .factorUnenrolled, .challengeCreated, .factorVerified, .factorDeleted, .factorUpdated,
            .factorLogin:
            "factor"
        }
    }
}

/// An entry of the audit log, written in the transaction of what it tells of.
struct AuditEvent: Sendable {
    /// Who did it.
    enum Actor: Sendable {
        case user(UUID)
        /// A holder of an administrator's token or key, by its role.
        case administrator(role: String)
    }

    let action: AuditAction
    let actor: Actor
    /// What else is worth knowing; never a secret.
    let traits: JSONObject

    init(_ action: AuditAction, by actor: Actor, traits: JSONObject = [:]) {
        self.action = action
        self.actor = actor
        self.traits = traits
    }

    /// The statement that writes the entry. It stands after the statements that make the user and before those that delete
    /// it, as the actor's name is read from the user's row.
    ///
    /// - Parameter condition: an SQL condition the entry depends on, when what it tells of may have found nothing to do.
    func insertion(for request: HTTPRequest, onlyIf condition: PostgresQuery = "true") -> PostgresQuery {
        switch actor {
        case .user(let id):
            """
            insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
            select
                \(UUID.zero), gen_random_uuid(),
                json_strip_nulls(json_build_object(
                    'action', \(action.rawValue)::text, 'actor_id', u.id,
                    'actor_name', nullif(u.raw_user_meta_data ->> 'full_name', ''),
                    'actor_username', coalesce(nullif(u.email, ''), u.phone, ''), 'actor_via_sso', u.is_sso_user,
                    'log_type', \(action.logType)::text, 'traits', \(traitsJSON)::json
                )),
                now(), \(request.remoteAddress)
            from auth.users as u
            where u.id = \(id) and (\(condition))
            """
        case .administrator(let role):
            """
            insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
            select
                \(UUID.zero), gen_random_uuid(),
                json_strip_nulls(json_build_object(
                    'action', \(action.rawValue)::text, 'actor_id', \(UUID.zero)::uuid,
                    'actor_username', \(role)::text, 'actor_via_sso', false,
                    'log_type', \(action.logType)::text, 'traits', \(traitsJSON)::json
                )),
                now(), \(request.remoteAddress)
            where \(condition)
            """
        }
    }

    /// Nil without traits, so that the entry has no such member.
    private var traitsJSON: JSON? { traits.isEmpty ? nil : .object(traits) }
}
