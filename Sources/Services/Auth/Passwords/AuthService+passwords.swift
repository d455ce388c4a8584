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
    /// - Throws: `weakPassword` with its reasons, `validationFailed`.
    func newPasswordHash(_ password: String, _ request: HTTPRequest) async throws -> String {
        try passwordPolicy.check(password)
        if await isLeaked(password, request) { throw PasswordPolicy.leaked }
        return try await hasher.hash(password)
    }

    /// Why a password that is in use would not be taken as a new one; nil when it would.
    func weakness(of password: String, _ request: HTTPRequest) async -> AuthError? {
        do throws(AuthError) { try passwordPolicy.check(password) } catch {
            return error.code == .weakPassword ? error : nil
        }
        return await isLeaked(password, request) ? PasswordPolicy.leaked : nil
    }

    /// A list that cannot be read refuses nobody: it is told in the log instead.
    private func isLeaked(_ password: String, _ request: HTTPRequest) async -> Bool {
        guard let path = configuration.leakedPasswordsPath else { return false }
        do {
            return try await hasher.workers.run { try LeakedPasswords(path: path).contains(password) }
        } catch {
            log.error(
                "leaked passwords not checked", .field("request_id", request.id),
                .field("cause", String(describing: error)))
            return false
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
