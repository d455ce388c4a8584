// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `POST /recover` and `POST /resend`: answered alike whether there is an account or not.
extension AuthService {
    /// `POST /recover`: sends a link that signs in, for whoever has forgotten the password.
    func recover(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .recover)
        let fields = try await humanFields(request)
        let email = try emailAddress(try fields.text("email"))
        let challenge = try CodeChallenge(fields)
        return try await answeringUniformly(request) {
            try admitSending(.recovery, to: email.text, request)
            try await inTransaction { transaction in
                guard
                    let user = try await lockedUser(AccountAddress.email(email).condition, in: transaction),
                    !isTooSoon(user, .recovery)
                else { return }
                try await sendRecovery(to: user, challenge, request, in: transaction)
            }
            return .json([:])
        }
    }

    private func sendRecovery(
        to user: AuthUser, _ challenge: CodeChallenge?, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws {
        let token = OneTimeToken(
            .recovery, for: user.email, codeLength: configuration.flows.otpLength, isPKCE: challenge != nil)
        let redirect = redirects.target(of: request)
        try await transaction.run(
            token.storing(for: user.id, tokenDigests)
                + flow(challenge, .recovery, provider: "recovery", of: user.id, redirect) + [
                    AuditEvent(.userRecoveryRequested, by: .user(user.id)).insertion(for: request)
                ])
        try await send(
            [TokenMail(kind: .recovery, type: .recovery, token: token)], about: user, redirect: redirect, request,
            in: transaction)
    }

    /// What a message is sent again of.
    private enum ResendType: String {
        case signup
        case emailChange = "email_change"
        case sms
        case phoneChange = "phone_change"

        var kind: OneTimeTokenKind {
            switch self {
            case .signup, .sms: .confirmation
            case .emailChange: .emailChangeNew
            case .phoneChange: .phoneChange
            }
        }
    }

    /// `POST /resend`.
    func resend(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .resend)
        let fields = try await humanFields(request)
        guard let type = ResendType(rawValue: try fields.text("type")) else {
            throw AuthError(
                .validationFailed, "Missing one of these types: signup, email_change, sms, phone_change")
        }
        let address = try address(fields)
        guard address.isPhone == (type == .sms || type == .phoneChange) else {
            throw AuthError(
                .validationFailed,
                address.isPhone ? "Type provided requires an email address" : "Type provided requires a phone number")
        }
        try requireProvider(of: address)
        let challenge = try CodeChallenge(fields)
        return try await answeringUniformly(request) {
            try admitSending(type.kind, to: address.text, byPhone: address.isPhone, request)
            let message = try await inTransaction { transaction -> TextMessage? in
                guard let user = try await lockedUser(address.condition, in: transaction),
                    !isTooSoon(user, type.kind)
                else { return nil }
                return try await resend(type, to: user, challenge, request, in: transaction)
            }
            return try await deliver(message, request)
        }
    }

    private func resend(
        _ type: ResendType, to user: AuthUser, _ challenge: CodeChallenge?, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> TextMessage? {
        switch type {
        case .signup:
            guard user.emailConfirmedAt == nil else { return nil }
            try await sendConfirmation(to: user, challenge, request, in: transaction)
            return nil
        case .emailChange:
            guard let newEmail = user.newEmail else { return nil }
            try await sendEmailChange(of: user, to: newEmail, challenge, request, in: transaction)
            return nil
        case .sms:
            guard user.phoneConfirmedAt == nil else { return nil }
            return try await phoneCode(.confirmation, to: user.phone, of: user, .sms, request, in: transaction)
        case .phoneChange:
            guard let newPhone = user.newPhone else { return nil }
            return try await phoneCode(.phoneChange, to: newPhone, of: user, .sms, request, in: transaction)
        }
    }

    /// Sends the mail by which a new account's address is confirmed.
    ///
    /// - Parameter redirect: where its link leads in the end; nil for where the request asks to be.
    func sendConfirmation(
        to user: AuthUser, _ challenge: CodeChallenge?, _ request: HTTPRequest, redirect: RedirectTarget? = nil,
        in transaction: PostgresTransaction
    ) async throws {
        let token = OneTimeToken(
            .confirmation, for: user.email, codeLength: configuration.flows.otpLength, isPKCE: challenge != nil)
        let redirect = redirect ?? redirects.target(of: request)
        try await transaction.run(
            token.storing(for: user.id, tokenDigests)
                + flow(challenge, .emailSignup, provider: "email", of: user.id, redirect) + [
                    AuditEvent(.userConfirmationRequested, by: .user(user.id), traits: ["provider": "email"])
                        .insertion(for: request)
                ])
        try await send(
            [TokenMail(kind: .confirmation, type: .signup, token: token)], about: user, redirect: redirect, request,
            in: transaction)
    }

    /// Sends the mails by which a change of address is confirmed: to the new address, and to the current one when both must.
    func sendEmailChange(
        of user: AuthUser, to newEmail: String, _ challenge: CodeChallenge?, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws {
        let isPKCE = challenge != nil
        let redirect = redirects.target(of: request)
        let newToken = OneTimeToken(
            .emailChangeNew, for: newEmail, codeLength: configuration.flows.otpLength, isPKCE: isPKCE)
        var tokens = [newToken]
        var queries: [PostgresQuery] = [
            "update auth.users set email_change = \(newEmail), email_change_confirm_status = 0 where id = \(user.id)"
        ]
        if configuration.flows.areEmailChangesDoublyConfirmed, !user.email.isEmpty {
            tokens.insert(
                OneTimeToken(
                    .emailChangeCurrent, for: user.email, codeLength: configuration.flows.otpLength, isPKCE: isPKCE),
                at: 0)
        } else {
            queries += OneTimeToken.forgetting([.emailChangeCurrent], of: user.id)
        }
        queries += tokens.flatMap { $0.storing(for: user.id, tokenDigests) }
        queries += flow(challenge, .emailChange, provider: "email_change", of: user.id, redirect)
        try await transaction.run(queries)
        try await send(
            tokens.map { TokenMail(kind: .emailChange, type: .emailChange, token: $0) }, about: user,
            newEmail: newEmail, redirect: redirect, request, in: transaction)
    }
}
