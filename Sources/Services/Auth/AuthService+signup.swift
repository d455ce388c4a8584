// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `POST /signup`.
extension AuthService {
    /// Makes an account, and its first session unless the address must be confirmed first.
    ///
    /// Everything is one transaction in one round trip: the user, the triggers on it (which make the tenant), the identity,
    /// the session, and the user as the triggers left it.
    func signUp(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .signUp)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        switch try SignupForm(fields, configuration) {
        case .email(let email, let password, let data):
            return try await signUp(email, password: password, data: data, request: request)
        case .anonymous(let data):
            try limiter.admit(request, .anonymousSignIn)
            return try await signUpAnonymously(data: data, request: request)
        }
    }

    private func signUp(
        _ email: EmailAddress, password: String, data: JSONObject, request: HTTPRequest
    ) async throws -> HTTPResponse {
        // Hashed before anybody looks whether the address is taken: both cases take as long.
        let hash = try await hasher.hash(password)
        let isConfirmed = !configuration.areEmailConfirmationsEnabled
        let user = NewUser(
            email: email, passwordHash: hash, isConfirmed: isConfirmed, data: data, audience: configuration.audience)
        do {
            return try await create(user, method: .password, hasSession: isConfirmed, request)
        } catch let error as PostgresError where error.constraint == "users_email_partial_key" {
            guard configuration.areEmailConfirmationsEnabled else {
                throw AuthError(.userAlreadyExists, "User already registered")
            }
            let standIn = AuthUser.standIn(
                email: email, data: user.userMetadata, audience: configuration.audience, now: .now())
            return .json(standIn.json)
        }
    }

    private func signUpAnonymously(data: JSONObject, request: HTTPRequest) async throws -> HTTPResponse {
        let user = NewUser(anonymousWith: data, audience: configuration.audience)
        return try await create(user, method: .anonymous, hasSession: true, request)
    }

    private func create(
        _ user: NewUser, method: AuthenticationMethod, hasSession: Bool, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        var queries = user.insertions(signsIn: hasSession)
        queries.append(
            AuditEvent(
                hasSession ? .userSignedUp : .userConfirmationRequested, by: .user(user.id), traits: user.auditTraits
            ).insertion(for: request))
        guard hasSession else {
            let created = try await savingUser {
                let unit = WorkUnit(
                    statementTimeout: configuration.statementTimeout,
                    queries: queries + [AuthUser.selection(id: user.id)])
                return try await database.run(unit).last?.onlyRow.flatMap { AuthUser(row: $0) }
            }
            return .json(created.json)
        }
        let session = NewSession(method, request: request)
        queries += sessionQueries(session, for: user.id, traits: user.auditTraits, request)
        queries.append(AuthUser.selection(id: user.id))
        let made = queries
        return .json(try await savingUser { try await open(session, made, for: request) }.json)
    }

    /// Runs what inserts a user; what a trigger of the project refuses is told as such, without its message.
    func savingUser<T>(_ body: () async throws -> T?) async throws -> T {
        let made: T?
        do { made = try await body() } catch let error as PostgresError {
            guard error.code == .server, error.constraint != "users_email_partial_key" else { throw error }
            var told = AuthError(error)
            if told.code == .unexpectedFailure { told.message = "Database error saving new user" }
            throw told
        }
        guard let made else { throw AuthError(.unexpectedFailure, "Database error saving new user") }
        counters.signUps.increment()
        return made
    }
}

/// An account about to be made.
struct NewUser: Sendable {
    let id: UUID
    let email: EmailAddress?
    let passwordHash: String?
    let isConfirmed: Bool
    let audience: String
    let appMetadata: JSONObject
    let userMetadata: JSONObject

    /// - Parameter data: what the client says of the user; it cannot contradict what the server knows.
    init(email: EmailAddress, passwordHash: String, isConfirmed: Bool, data: JSONObject, audience: String) {
        id = .random()
        self.email = email
        self.passwordHash = passwordHash
        self.isConfirmed = isConfirmed
        self.audience = audience
        appMetadata = ["provider": "email", "providers": ["email"]]
        var metadata = data
        metadata["sub"] = .string(id.description)
        metadata["email"] = .string(email.text)
        metadata["email_verified"] = .bool(isConfirmed)
        metadata["phone_verified"] = false
        userMetadata = metadata
    }

    init(anonymousWith data: JSONObject, audience: String) {
        id = .random()
        email = nil
        passwordHash = nil
        isConfirmed = false
        self.audience = audience
        appMetadata = [:]
        userMetadata = data
    }

    /// What the audit log says of the sign-up.
    var auditTraits: JSONObject { ["provider": email == nil ? "anonymous" : "email"] }

    /// The user, then the identity of its address.
    ///
    /// - Parameter signsIn: whether a session is made with it.
    func insertions(signsIn: Bool) -> [PostgresQuery] {
        // The empty tokens are what GoTrue writes, which cannot read null there; rows may be moved to it.
        var queries: [PostgresQuery] = [
            """
            insert into auth.users (
                instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, confirmation_token,
                recovery_token, email_change_token_new, email_change, last_sign_in_at, raw_app_meta_data,
                raw_user_meta_data, created_at, updated_at, is_anonymous
            )
            values (
                \(UUID.zero), \(id), \(audience), 'authenticated', \(email?.text), \(passwordHash),
                case when \(isConfirmed)::boolean then now() end, '', '', '', '',
                case when \(signsIn)::boolean then now() end, \(JSON.object(appMetadata)),
                \(JSON.object(userMetadata)), now(), now(), \(email == nil)
            )
            """
        ]
        if let email {
            let identity: JSON = [
                "sub": .string(id.description), "email": .string(email.text), "email_verified": false,
                "phone_verified": false,
            ]
            queries.append(
                """
                insert into auth.identities (
                    provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at
                )
                values (\(id.description), \(id), \(identity), 'email', now(), now(), now())
                """)
        }
        return queries
    }
}
