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
        let hash = try await newPasswordHash(password, request)
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
        try await willCreate(user, request)
        var queries = user.insertions
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
            await didCreate(created, request)
            return .json(created.json)
        }
        let session = NewSession(method, request: request)
        queries += sessionQueries(session, for: user.id, traits: user.auditTraits, request)
        queries.append(AuthUser.selection(id: user.id))
        let made = queries
        let issued = try await savingUser { try await open(session, made, for: request) }
        await didCreate(issued.user, request)
        return .json(issued.json)
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
