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
        case "id_token": return try await grantByIDToken(request)
        case "pkce": return try await grantByCode(request)
        case "web3": throw AuthError(.web3ProviderDisabled, "Web3 sign-ins are disabled")
        default: throw AuthError(.invalidCredentials, "unsupported_grant_type")
        }
    }

    /// The password grant: two units, with the hash verified off the loop between them.
    private func grantByPassword(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await humanFields(request)
        let email = try fields.text("email")
        let phone = try fields.text("phone")
        let password = try fields.text("password")
        guard email.isEmpty != phone.isEmpty else { throw AuthError(.validationFailed, "missing email or phone") }
        guard email.isEmpty ? configuration.flows.isPhoneEnabled : configuration.isEmailEnabled else {
            throw email.isEmpty
                ? AuthError(.phoneProviderDisabled, "Phone logins are disabled", status: 422)
                : AuthError(.emailProviderDisabled, "Email logins are disabled", status: 422)
        }
        return try await grant(email.isEmpty ? Login(phone: phone) : Login(email: email), password, request)
    }

    /// What a password is given for: an address or number as the client sent it.
    private struct Login {
        /// Nil for what can be no address, which is answered like an unknown one.
        let address: AccountAddress?
        let isPhone: Bool
        /// Names the account in limits, whether there is one or not.
        var limitKey: String { address?.text ?? "" }

        init(email: String) {
            address = EmailAddress(email).map { .email($0) }
            isPhone = false
        }

        init(phone: String) {
            address = PhoneNumber(phone).map { .phone($0) }
            isPhone = true
        }
    }

    /// A row of `auth.users` with what only the password grant reads.
    private struct Account {
        var user: AuthUser
        var passwordHash: String?
        /// Whether the account has a session from the caller's address: its own devices are not locked out by strangers.
        var knowsAddress: Bool
    }

    private func grant(_ login: Login, _ password: String, _ request: HTTPRequest) async throws -> HTTPResponse {
        let address = ClientAddress(request.remoteAddress)
        let here = "\(login.limitKey) \(address?.limitKey ?? "")"
        try limiter.check(request, .passwordAttempt, account: here)
        let account = try await account(login, address)
        if account?.knowsAddress != true {
            try limiter.check(request, .passwordAttemptAnywhere, account: login.limitKey)
        }
        let verdict = try await hasher.verify(password, against: account?.passwordHash)
        if verdict == .wrong {
            limiter.recordFailure(request, .passwordAttempt, account: here)
            limiter.recordFailure(request, .passwordAttemptAnywhere, account: login.limitKey)
        }
        if let account { try await askAboutPassword(of: account.user, isRight: verdict != .wrong, request) }
        guard let account, let hash = account.passwordHash, verdict != .wrong else {
            throw Self.invalidCredentials
        }
        guard !account.user.isBanned(at: .now()) else { throw AuthError(.userBanned, "User is banned") }
        guard (login.isPhone ? account.user.phoneConfirmedAt : account.user.emailConfirmedAt) != nil else {
            throw login.isPhone
                ? AuthError(.phoneNotConfirmed, "Phone not confirmed", status: 400)
                : AuthError(.emailNotConfirmed, "Email not confirmed")
        }
        var issued = try await signIn(account.user, verifiedHash: hash, verdict, request)
        issued.weakPassword = await weakness(of: password, request)
        return .json(issued.json)
    }

    /// One text for an unknown address, a wrong password and an account without one.
    private static var invalidCredentials: AuthError {
        AuthError(.invalidCredentials, "Invalid login credentials")
    }

    /// - Throws: `invalidCredentials` with the hook's text when it decides against the attempt.
    private func askAboutPassword(of user: AuthUser, isRight: Bool, _ request: HTTPRequest) async throws {
        let answer = try await hooks.call(
            .passwordVerificationAttempt, ["user_id": .string(user.id.description), "valid": .bool(isRight)],
            for: request)
        guard answer?["decision"]?.stringValue == "reject" else { return }
        if answer?["should_logout_user"]?.boolValue == true { try await endSessions(of: user.id, request) }
        let message = answer?["message"]?.stringValue ?? ""
        throw AuthError(.invalidCredentials, message.isEmpty ? "Invalid login credentials" : message)
    }

    private func account(_ login: Login, _ address: ClientAddress?) async throws -> Account? {
        guard let condition = login.address?.condition else { return nil }
        let lookUp: PostgresQuery = """
            select
                u.encrypted_password,
                exists (
                    select from auth.sessions as s where s.user_id = u.id and s.ip = \(address?.text)::inet
                ) as knows_address
            from auth.users as u
            where \(condition)
            """
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [lookUp, AuthUser.selection + "where \(condition)"])
        let results = try await database.run(unit)
        guard results.count == 2, let secret = results[0].onlyRow, let row = results[1].onlyRow,
            let user = AuthUser(row: row)
        else { return nil }
        return Account(
            user: user, passwordHash: secret["encrypted_password"].string,
            knowsAddress: secret["knows_address"].bool ?? false)
    }

    /// Makes the session, only if the account still has the hash that was verified: the password may have been changed,
    /// or the account deleted, meanwhile.
    private func signIn(
        _ user: AuthUser, verifiedHash: String, _ verdict: PasswordHasher.Verdict, _ request: HTTPRequest
    ) async throws -> IssuedSession {
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
        return issued
    }
}
