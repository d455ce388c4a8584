// SPDX-License-Identifier: Apache-2.0
import EventLoop
import HTTP
import Mail
import Postgres
import Primitives

/// What the link of a mail proves when it is followed: `type` of `/verify`.
enum VerificationType: String, Sendable, CaseIterable {
    case signup
    case invite
    case magicLink = "magiclink"
    case recovery
    case emailChange = "email_change"
    /// A code out of a confirmation or magic link mail, whichever it was.
    case email
    case sms
    case phoneChange = "phone_change"

    /// What a code of this type may have been made as.
    var kinds: [OneTimeTokenKind] {
        switch self {
        case .signup, .invite, .sms: [.confirmation]
        case .magicLink, .recovery: [.recovery]
        case .email: [.confirmation, .recovery]
        case .emailChange: [.emailChangeCurrent, .emailChangeNew]
        case .phoneChange: [.phoneChange]
        }
    }

    var isByPhone: Bool { self == .sms || self == .phoneChange }
}

/// A mail with a token in it.
struct TokenMail: Sendable {
    var kind: AuthMailKind
    /// Nil for a code without a link.
    var type: VerificationType?
    var token: OneTimeToken
}

extension AuthService {
    /// Sends the mails of one occasion: queued in the transaction that stores their tokens, or handed to the project's hook.
    ///
    /// - Parameters:
    ///   - mails: two for a change of address that both addresses confirm, the current one's first; else one.
    ///   - user: as it is in the transaction.
    ///   - newEmail: the address a change is under way to.
    func send(
        _ mails: [TokenMail], about user: AuthUser, newEmail: String = "", redirect: RedirectTarget,
        _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws {
        if hooks.isEnabled(.sendEmail) {
            try await callMailHook(mails, about: user, newEmail: newEmail, redirect, request, in: transaction)
            return
        }
        var queries: [PostgresQuery] = []
        for mail in mails {
            let data = mailData(mail, about: user, newEmail: newEmail, redirect)
            let message = try mailer.message(mail.kind, to: mail.token.address, data)
            queries.append(
                try mailer.outbox.insertion(
                    of: message, kind: mail.kind.rawValue, lifetime: configuration.flows.otpLifetime))
        }
        try await transaction.run(queries)
    }

    /// The placeholders' values.
    private func mailData(
        _ mail: TokenMail, about user: AuthUser, newEmail: String, _ redirect: RedirectTarget
    ) -> JSON {
        [
            "SiteURL": .string(configuration.siteURL), "Email": .string(user.email), "NewEmail": .string(newEmail),
            "OldEmail": .string(user.email), "SendingTo": .string(mail.token.address),
            "Token": .string(mail.token.code), "TokenHash": .string(mail.token.link),
            "ConfirmationURL": .string(confirmationURL(mail.token, mail.type, redirect)),
            "RedirectTo": .string(redirect.text), "Data": user.userMetadata, "Phone": .string(user.phone),
        ]
    }

    /// The address of a mail's link: Auth's own, which sends the browser on.
    func confirmationURL(_ token: OneTimeToken, _ type: VerificationType?, _ redirect: RedirectTarget) -> String {
        guard let type else { return "" }
        return configuration.externalURL + "/verify?"
            + FormFields.encode([
                ("token", token.link), ("type", type.rawValue), ("redirect_to", redirect.text),
            ])
    }

    private func callMailHook(
        _ mails: [TokenMail], about user: AuthUser, newEmail: String, _ redirect: RedirectTarget,
        _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws {
        guard let first = mails.first, let last = mails.last else { return }
        var data: JSONObject = [
            "token": .string(first.token.code), "token_hash": .string(first.token.link),
            "redirect_to": .string(redirect.text),
        ]
        if mails.count == 2 {
            // As GoTrue names them: the current address gets `token` and `token_hash_new`, the new one `token_new` and `token_hash`.
            data["token_hash_new"] = .string(first.token.link)
            data["token_new"] = .string(last.token.code)
            data["token_hash"] = .string(last.token.link)
        }
        var told = user.json
        if !newEmail.isEmpty, var members = told.objectValue {
            members["new_email"] = .string(newEmail)
            told = .object(members)
        }
        try await callMailHook(first.kind, told, data, request, in: transaction)
    }

    /// - Parameter data: the members of `email_data` that are not empty.
    func callMailHook(
        _ kind: AuthMailKind, _ user: JSON, _ data: JSONObject, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws {
        var members: JSONObject = [
            "token": "", "token_hash": "", "redirect_to": "", "email_action_type": .string(kind.actionType),
            "site_url": .string(configuration.siteURL), "token_new": "", "token_hash_new": "", "old_email": "",
            "old_phone": "", "provider": "", "factor_type": "",
        ]
        for (name, value) in data { members[name] = value }
        _ = try await hooks.call(
            .sendEmail, ["user": user, "email_data": .object(members)], for: request, in: transaction)
    }

    // MARK: How often

    /// Refuses a second mail or text message of one kind to one address within the pause the project has set, whether there is an
    /// account or not; then counts it against what the server may send.
    func admitSending(_ kind: OneTimeTokenKind, to address: String, byPhone: Bool = false, _ request: HTTPRequest)
        throws(AuthError)
    {
        let pauses = byPhone ? messagePauses : mailPauses
        let now = Duration.nanoseconds(Int64(request.loop.monotonicNanoseconds))
        if let wait = pauses.take("\(kind.rawValue) \(address)", now: now) {
            let seconds = wait.components.seconds + 1
            throw AuthError(
                byPhone ? .overSMSSendRateLimit : .overEmailSendRateLimit,
                "For security purposes, you can only request this after \(seconds) seconds.",
                retryAfter: .seconds(seconds), limit: byPhone ? "auth.sms.max_frequency" : "auth.email.max_frequency")
        }
        if byPhone {
            try limiter.admitForServer(.smsSent, request)
        } else if mailer.isLimited {
            try limiter.admitForServer(.emailSent, request)
        }
    }

    /// Makes an answer take as long whether there is an account or not: it is held back to the next multiple of the configured
    /// time. What the two ways cost differs by less.
    func answeringUniformly(
        _ request: HTTPRequest, _ body: () async throws -> HTTPResponse
    ) async throws -> HTTPResponse {
        let quantum = configuration.flows.uniformResponseTime
        let start = ContinuousClock.now
        let result: Result<HTTPResponse, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        if quantum > .zero {
            let elapsed = ContinuousClock.now - start
            let rounds = (elapsed / quantum).rounded(.up)
            try await request.loop.sleep(for: quantum * max(rounds, 1) - elapsed)
        }
        return try result.get()
    }
}
