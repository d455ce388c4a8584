// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// `POST /invite` and `POST /admin/generate_link`: mails that administrators send, and links they send themselves.
extension AuthService {
    /// `POST /invite`: makes an account and sends its owner a link.
    func invite(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let email = try emailAddress(try fields.text("email"))
        let data = try fields.object("data")
        let invited = try await invitedUser(email, data, administrator, request)
        try admitSending(.confirmation, to: email.text, request)
        let user = try await inTransaction { transaction -> AuthUser? in
            guard let user = try await lockedUser("u.id = \(invited)", in: transaction) else { return nil }
            let token = OneTimeToken(
                .confirmation, for: user.email, codeLength: configuration.flows.otpLength, isPKCE: false)
            try await transaction.run(token.storing(for: user.id, tokenDigests))
            try await send(
                [TokenMail(kind: .invite, type: .invite, token: token)], about: user,
                redirect: redirects.target(of: request), request, in: transaction)
            return try await lockedUser("u.id = \(invited)", in: transaction)
        }
        guard let user else { throw AuthError(.userNotFound, "User not found", status: 404) }
        return .json(user.json)
    }

    /// The account that is invited: a new one, or one that has never been confirmed.
    private func invitedUser(
        _ email: EmailAddress, _ data: JSONObject, _ administrator: Administrator, _ request: HTTPRequest
    ) async throws -> UUID {
        if let known = try await user(at: .email(email)) {
            guard known.emailConfirmedAt == nil else { throw Self.emailTaken }
            try await database.query("update auth.users set invited_at = now() where id = \(known.id)")
            return known.id
        }
        var newUser = NewUser(
            email: email, passwordHash: nil, isConfirmed: false, data: data, audience: configuration.audience)
        newUser.isInvited = true
        try await make(newUser, AuditEvent(.userInvited, by: administrator.actor, traits: newUser.auditTraits), request)
        return newUser.id
    }

    private func make(_ newUser: NewUser, _ audit: AuditEvent, _ request: HTTPRequest) async throws {
        try await willCreate(newUser, request)
        do {
            let created = try await savingUser {
                try await database.run(
                    WorkUnit(
                        statementTimeout: configuration.statementTimeout,
                        queries: newUser.insertions + [
                            audit.insertion(for: request), AuthUser.selection(id: newUser.id),
                        ])
                ).last?.onlyRow.flatMap { AuthUser(row: $0) }
            }
            await didCreate(created, request)
        } catch let error as PostgresError where error.constraint == "users_email_partial_key" {
            throw Self.emailTaken
        }
    }

    /// What a link is made for.
    private enum LinkType: String {
        case signup
        case invite
        case magicLink = "magiclink"
        case recovery
        case emailChangeCurrent = "email_change_current"
        case emailChangeNew = "email_change_new"

        var kind: OneTimeTokenKind {
            switch self {
            case .signup, .invite: .confirmation
            case .magicLink, .recovery: .recovery
            case .emailChangeCurrent: .emailChangeCurrent
            case .emailChangeNew: .emailChangeNew
            }
        }

        var verification: VerificationType {
            switch self {
            case .signup: .signup
            case .invite: .invite
            case .magicLink: .magicLink
            case .recovery: .recovery
            case .emailChangeCurrent, .emailChangeNew: .emailChange
            }
        }
    }

    /// `POST /admin/generate_link`: makes code and link, and sends nothing.
    func generateLink(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let named = try fields.text("type")
        guard let type = LinkType(rawValue: named) else {
            throw AuthError(.validationFailed, "Invalid email action link type requested: \(named.prefix(32))")
        }
        let email = try emailAddress(try fields.text("email"))
        let known = try await user(at: .email(email))
        let id = try await userForLink(type, email, known, fields, administrator, request)
        let newEmail = try newEmail(for: type, fields)
        let redirect = redirects.target(asked: try fields.text("redirect_to"), of: request)
        let isNew = type == .emailChangeNew
        let token = OneTimeToken(
            type.kind, for: isNew ? newEmail?.text ?? "" : email.text, codeLength: configuration.flows.otpLength,
            isPKCE: false)
        let user = try await savingLink {
            try await inTransaction { transaction -> AuthUser? in
                guard try await lockedUser("u.id = \(id)", in: transaction) != nil else { return nil }
                if let newEmail {
                    let taken = try await lockedUser(AccountAddress.email(newEmail).condition, in: transaction)
                    guard taken == nil else { throw Self.emailTaken }
                    try await transaction.query(
                        "update auth.users set email_change = \(newEmail.text) where id = \(id)")
                }
                try await transaction.run(
                    token.storing(for: id, tokenDigests) + [
                        AuditEvent(
                            type == .recovery ? .userRecoveryRequested : .userConfirmationRequested,
                            by: administrator.actor, traits: ["user_id": .string(id.description)]
                        ).insertion(for: request)
                    ])
                return try await lockedUser("u.id = \(id)", in: transaction)
            }
        }
        guard let user, var members = user.json.objectValue else {
            throw AuthError(.userNotFound, "User with this email not found", status: 404)
        }
        members["action_link"] = .string(confirmationURL(token, type.verification, redirect))
        members["email_otp"] = .string(token.code)
        members["hashed_token"] = .string(token.link)
        members["verification_type"] = .string(named)
        members["redirect_to"] = .string(redirect.text)
        return .json(.object(members))
    }

    private func savingLink<T>(_ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch let error as PostgresError
            where error.constraint == "users_email_partial_key"
        {
            throw Self.emailTaken
        }
    }

    private func newEmail(for type: LinkType, _ fields: RequestFields) throws(AuthError) -> EmailAddress? {
        switch type {
        case .signup, .invite, .magicLink, .recovery: return nil
        case .emailChangeCurrent, .emailChangeNew:
            guard let email = EmailAddress(try fields.text("new_email")) else {
                throw AuthError(.validationFailed, "The new email address provided is invalid")
            }
            return email
        }
    }

    /// The account a link is for, made where the type allows it.
    private func userForLink(
        _ type: LinkType, _ email: EmailAddress, _ known: AuthUser?, _ fields: RequestFields,
        _ administrator: Administrator, _ request: HTTPRequest
    ) async throws -> UUID {
        let data = try fields.object("data")
        let password = try fields.text("password")
        if let known {
            if type == .invite || type == .signup, known.emailConfirmedAt != nil { throw Self.emailTaken }
            return known.id
        }
        switch type {
        case .recovery, .emailChangeCurrent, .emailChangeNew:
            throw AuthError(.userNotFound, "User with this email not found", status: 404)
        case .signup:
            guard !password.isEmpty else {
                throw AuthError(.validationFailed, "Signup requires a valid password", status: 400)
            }
        case .invite, .magicLink: break
        }
        let hash = type == .signup ? try await newPasswordHash(password, request) : nil
        var newUser = NewUser(
            email: email, passwordHash: hash, isConfirmed: false, data: data, audience: configuration.audience)
        newUser.isInvited = type == .invite
        try await make(
            newUser,
            AuditEvent(
                type == .invite ? .userInvited : .userSignedUp, by: administrator.actor,
                traits: newUser.auditTraits), request)
        return newUser.id
    }
}
