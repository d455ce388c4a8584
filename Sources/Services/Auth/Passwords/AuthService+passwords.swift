// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import HTTP
import Postgres
import Primitives

/// What every way to set a password has in common.
extension AuthService {
    private var passwordPolicy: PasswordPolicy {
        PasswordPolicy(minLength: configuration.minPasswordLength, requirement: configuration.passwordRequirement)
    }

    /// Checks a new password by all rules and hashes it.
    ///
    /// - Throws: `weakPassword` with its reasons, `validationFailed`, and `serviceUnavailable` where the project wants no password
    ///   that cannot be looked up among the leaked ones.
    func newPasswordHash(_ password: String, _ request: HTTPRequest) async throws -> String {
        try passwordPolicy.check(password)
        switch await isLeaked(password, request) {
        case true?: throw PasswordPolicy.leaked
        case nil where configuration.leakedPasswords.isRequired:
            throw AuthError(
                .serviceUnavailable, "Passwords cannot be checked at the moment, please try again later",
                retryAfter: .seconds(10))
        case false?, nil: return try await hasher.hash(password)
        }
    }

    /// Why a password that is in use would not be taken as a new one; nil when it would.
    func weakness(of password: String, _ request: HTTPRequest) async -> AuthError? {
        do throws(AuthError) { try passwordPolicy.check(password) } catch {
            return error.code == .weakPassword ? error : nil
        }
        return await isLeaked(password, request) == true ? PasswordPolicy.leaked : nil
    }

    /// Nil when that cannot be found out, which the log tells.
    private func isLeaked(_ password: String, _ request: HTTPRequest) async -> Bool? {
        do { return try await leakedPasswords.contains(password) } catch {
            log.error(
                "leaked passwords not checked", .field("request_id", request.id),
                .field("cause", String(describing: error)))
            return nil
        }
    }

    /// The statements that follow a change of password: what could bring somebody in without it ends.
    ///
    /// - Parameter session: the one the change was made in, which goes on; nil ends all.
    func endingAfterPasswordChange(of user: UUID, keeping session: UUID?) -> [PostgresQuery] {
        [
            "delete from auth.sessions where user_id = \(user) and id is distinct from \(session)",
            "delete from auth.one_time_tokens where user_id = \(user)",
        ]
    }
}
