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
        let fields = try await humanFields(request)
        switch try SignupForm(fields, configuration) {
        case .email(let email, let password, let data, let challenge):
            return try await signUp(email, password: password, data: data, challenge, request)
        case .phone(let phone, let password, let data, let channel):
            return try await signUp(phone, password: password, data: data, channel, request)
        case .anonymous(let data):
            try limiter.admit(request, .anonymousSignIn)
            return try await signUpAnonymously(data: data, request: request)
        }
    }

    private func signUp(
        _ email: EmailAddress, password: String, data: JSONObject, _ challenge: CodeChallenge?, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        guard configuration.areEmailConfirmationsEnabled else {
            let hash = try await newPasswordHash(password, request)
            let user = NewUser(
                email: email, passwordHash: hash, isConfirmed: true, data: data, audience: configuration.audience)
            do { return try await create(user, method: .password, request) } catch let error as PostgresError
                where error.constraint == "users_email_partial_key"
            {
                throw AuthError(.userAlreadyExists, "User already registered")
            }
        }
        return try await answeringUniformly(request) {
            // Hashed and counted before anybody looks whether the address is taken: both cases cost the same.
            let hash = try await newPasswordHash(password, request)
            try admitSending(.confirmation, to: email.text, request)
            let user = NewUser(
                email: email, passwordHash: hash, isConfirmed: false, data: data, audience: configuration.audience)
            do {
                let (created, _) = try await createUnconfirmed(user, request) { made, transaction in
                    try await sendConfirmation(to: made, challenge, request, in: transaction)
                    return nil
                }
                return .json(created.json)
            } catch let error as PostgresError where error.constraint == "users_email_partial_key" {
                _ = try await confirmAgain(.email(email), request) { known, transaction in
                    try await sendConfirmation(to: known, challenge, request, in: transaction)
                    return nil
                }
                return .json(AuthUser.standIn(for: user, now: .now()).json)
            }
        }
    }

    private func signUp(
        _ phone: PhoneNumber, password: String, data: JSONObject, _ channel: MessageChannel, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let hash = try await newPasswordHash(password, request)
        let isConfirmed = !configuration.flows.arePhoneConfirmationsEnabled
        let user = NewUser(
            phone: phone.digits, passwordHash: hash, isConfirmed: isConfirmed, data: data,
            audience: configuration.audience)
        if isConfirmed {
            do { return try await create(user, method: .password, request) } catch let error as PostgresError
                where error.constraint == "users_phone_key"
            {
                throw AuthError(.userAlreadyExists, "User already registered")
            }
        }
        return try await answeringUniformly(request) {
            try admitSending(.confirmation, to: phone.digits, byPhone: true, request)
            do {
                let (created, message) = try await createUnconfirmed(user, request) { made, transaction in
                    try await phoneCode(.confirmation, to: made.phone, of: made, channel, request, in: transaction)
                }
                _ = try await deliver(message, request)
                return .json(created.json)
            } catch let error as PostgresError where error.constraint == "users_phone_key" {
                let message = try await confirmAgain(.phone(phone), request) { known, transaction in
                    try await phoneCode(.confirmation, to: known.phone, of: known, channel, request, in: transaction)
                }
                _ = try await deliver(message, request)
                return .json(AuthUser.standIn(for: user, now: .now()).json)
            }
        }
    }

    /// Makes an account that must be confirmed, and what confirms it in the same transaction.
    private func createUnconfirmed(
        _ user: NewUser, _ request: HTTPRequest,
        confirm: (AuthUser, PostgresTransaction) async throws -> TextMessage?
    ) async throws -> (AuthUser, TextMessage?) {
        try await willCreate(user, request)
        var message: TextMessage?
        let created = try await savingUser {
            let (made, sent) = try await inTransaction { transaction -> (AuthUser?, TextMessage?) in
                try await transaction.run(user.insertions)
                guard let made = try await lockedUser("u.id = \(user.id)", in: transaction) else { return (nil, nil) }
                let sent = try await confirm(made, transaction)
                return (try await lockedUser("u.id = \(user.id)", in: transaction), sent)
            }
            message = sent
            return made
        }
        await didCreate(created, request)
        return (created, message)
    }

    /// Somebody signs up with an address that has an account. One that was never confirmed gets another mail or message; one that was
    /// gets nothing: whoever asks is told the same.
    private func confirmAgain(
        _ address: AccountAddress, _ request: HTTPRequest,
        confirm: (AuthUser, PostgresTransaction) async throws -> TextMessage?
    ) async throws -> TextMessage? {
        try await inTransaction { transaction in
            guard let known = try await lockedUser(address.condition, in: transaction) else { return nil }
            try await transaction.query(
                AuditEvent(.userRepeatedSignup, by: .user(known.id)).insertion(for: request))
            let isConfirmed = address.isPhone ? known.phoneConfirmedAt != nil : known.emailConfirmedAt != nil
            guard !isConfirmed, !isTooSoon(known, .confirmation) else { return nil }
            return try await confirm(known, transaction)
        }
    }

    private func signUpAnonymously(data: JSONObject, request: HTTPRequest) async throws -> HTTPResponse {
        let user = NewUser(anonymousWith: data, audience: configuration.audience)
        return try await create(user, method: .anonymous, request)
    }

    /// Makes an account that may sign in at once, and its first session.
    private func create(
        _ user: NewUser, method: AuthenticationMethod, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        try await willCreate(user, request)
        let session = NewSession(method, request: request)
        let queries =
            user.insertions + [
                AuditEvent(.userSignedUp, by: .user(user.id), traits: user.auditTraits).insertion(for: request)
            ] + sessionQueries(session, for: user.id, traits: user.auditTraits, request) + [
                AuthUser.selection(id: user.id)
            ]
        let issued = try await savingUser { try await open(session, queries, for: request) }
        await didCreate(issued.user, request)
        return .json(issued.json)
    }

    /// Runs what inserts a user; what a trigger of the project refuses is told as such, without its message.
    func savingUser<T>(_ body: () async throws -> T?) async throws -> T {
        let made: T?
        do { made = try await body() } catch let error as PostgresError {
            guard error.code == .server, !["users_email_partial_key", "users_phone_key"].contains(error.constraint)
            else { throw error }
            var told = AuthError(error)
            if told.code == .unexpectedFailure { told.message = "Database error saving new user" }
            throw told
        }
        guard let made else { throw AuthError(.unexpectedFailure, "Database error saving new user") }
        counters.signUps.increment()
        return made
    }
}
