// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `POST /token`: the grants.
extension AuthService {
    func grantToken(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .token)
        switch request.query.flatMap({ FormFields(query: $0).first("grant_type") }) {
        case "password": return try await grantByPassword(request)
        case "refresh_token": return try await grantByRefreshToken(request)
        case "pkce": return try await grantByCode(request)
        default: throw AuthError(.invalidCredentials, "unsupported_grant_type")
        }
    }

    /// The password grant: two units, with the hash verified off the loop between them.
    private func grantByPassword(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let email = try fields.text("email")
        let phone = try fields.text("phone")
        let password = try fields.text("password")
        guard phone.isEmpty else {
            throw AuthError(.phoneProviderDisabled, "Phone logins are disabled", status: 422)
        }
        guard !email.isEmpty else { throw AuthError(.validationFailed, "missing email or phone") }
        guard configuration.isEmailEnabled else {
            throw AuthError(.emailProviderDisabled, "Email logins are disabled", status: 422)
        }
        let account = try await account(of: email)
        let verdict = try await hasher.verify(password, against: account?.passwordHash)
        guard let account, let hash = account.passwordHash, verdict != .wrong else {
            throw Self.invalidCredentials
        }
        guard !account.user.isBanned(at: .now()) else { throw AuthError(.userBanned, "User is banned") }
        guard account.user.emailConfirmedAt != nil else {
            throw AuthError(.emailNotConfirmed, "Email not confirmed")
        }
        return try await signIn(account.user, verifiedHash: hash, verdict, request)
    }

    /// One text for an unknown address, a wrong password and an account without one.
    private static var invalidCredentials: AuthError {
        AuthError(.invalidCredentials, "Invalid login credentials")
    }

    private func account(of email: String) async throws -> (user: AuthUser, passwordHash: String?)? {
        guard let address = EmailAddress(email) else { return nil }
        let lookUp: PostgresQuery = """
            select u.encrypted_password
            from auth.users as u
            where u.email = \(address.text) and not u.is_sso_user and u.deleted_at is null
            """
        let details =
            AuthUser.selection
            + "where u.email = \(address.text) and not u.is_sso_user and u.deleted_at is null"
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout, queries: [lookUp, details])
        let results = try await database.run(unit)
        guard results.count == 2, let secret = results[0].onlyRow, let row = results[1].onlyRow,
            let user = AuthUser(row: row)
        else { return nil }
        return (user, secret["encrypted_password"].string)
    }

    /// Makes the session, only if the account still has the hash that was verified: the password may have been changed,
    /// or the account deleted, meanwhile.
    private func signIn(
        _ user: AuthUser, verifiedHash: String, _ verdict: PasswordHasher.Verdict, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        var newHash: String?
        if case .rightWithNewHash(let hash) = verdict { newHash = hash }
        let session = NewSession(.password, request: request)
        let queries =
            [
                session.insertion(
                    forUserFrom: """
                        update auth.users
                        set last_sign_in_at = now(), updated_at = now(),
                            encrypted_password = coalesce(\(newHash), encrypted_password)
                        where id = \(user.id) and encrypted_password = \(verifiedHash) and deleted_at is null
                        returning id
                        """),
                AuditEvent(.login, by: .user(user.id), traits: ["provider": "email"])
                    .insertion(for: request, onlyIf: session.exists),
            ] + endingOthers(than: session, of: user.id) + [AuthUser.selection(id: user.id)]
        guard let issued = try await open(session, queries, for: request) else { throw Self.invalidCredentials }
        counters.signIns.increment()
        return .json(issued.json)
    }
}
