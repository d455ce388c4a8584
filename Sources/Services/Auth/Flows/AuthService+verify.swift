// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// `/verify`: a code or link is presented, and what it proves is done, once.
extension AuthService {
    /// What came of a verification. A refusal is a value, not an error: a wrong attempt is counted, which must be committed.
    private enum Outcome {
        case signedIn(IssuedSession)
        case code(AuthCode)
        /// The first half of a change of address that both addresses confirm.
        case half(String)
        case refused(AuthError)
    }

    /// A token that was presented and is right.
    private struct Proven {
        var kind: OneTimeTokenKind
        var type: VerificationType
        var user: AuthUser
        var isPKCE: Bool
    }

    // MARK: The two forms

    /// `GET /verify`: where a mail's link leads. The browser is sent on, with tokens, a code, or what went wrong.
    func verifyLink(_ request: HTTPRequest) async throws -> HTTPResponse {
        let query = request.query.map { FormFields(query: $0) }
        let target = redirects.target(of: request)
        let link = query?.first("token") ?? ""
        let isPKCE = link.hasPrefix(OneTimeToken.pkcePrefix)
        do {
            try limiter.admit(request, .verify)
            let type = try verificationType(query?.first("type") ?? "")
            guard !type.isByPhone, type != .email else {
                throw AuthError(.validationFailed, "Invalid email verification type")
            }
            guard !link.isEmpty else { throw AuthError(.validationFailed, "Verify requires a token or a token hash") }
            let outcome = try await inTransaction { transaction in
                try await verify(link: link, type, request, endsInCode: true, in: transaction)
            }
            return try redirect(to: target, outcome, type)
        } catch {
            return redirect(to: target, AuthError(error), isPKCE: isPKCE, request)
        }
    }

    private func redirect(
        to target: RedirectTarget, _ outcome: Outcome, _ type: VerificationType
    ) throws -> HTTPResponse {
        switch outcome {
        case .refused(let error): throw error
        case .code(let code): return target.adding(query: [("code", code.text)]).response(.seeOther)
        case .half(let message):
            return target.adding(fragment: [("message", message), ("sb", "")]).response(.seeOther)
        case .signedIn(let session):
            return target.adding(session).adding(fragment: [("type", type.rawValue)]).response(.seeOther)
        }
    }

    /// Sends the browser on with what went wrong: in the fragment, and for a flow that ends in a code in the query, too.
    private func redirect(
        to target: RedirectTarget, _ error: AuthError, isPKCE: Bool, _ request: HTTPRequest
    ) -> HTTPResponse {
        note(error, request)
        return target.adding(refusal: error.redirectMembers, isPKCE: isPKCE).response(.seeOther)
    }

    /// `POST /verify`: a code that was typed in, or a link's token taken by the project's own page.
    func verifyCode(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .verify)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let type = try verificationType(try fields.text("type"))
        let code = try fields.text("token")
        let link = try fields.text("token_hash")
        let outcome: Outcome
        if !link.isEmpty {
            guard code.isEmpty, try fields.text("email").isEmpty, try fields.text("phone").isEmpty else {
                throw AuthError(.validationFailed, "Only the token_hash and type should be provided")
            }
            guard !type.isByPhone else { throw AuthError(.validationFailed, "Invalid email verification type") }
            outcome = try await inTransaction { transaction in
                try await verify(link: link, type, request, endsInCode: false, in: transaction)
            }
        } else {
            guard !code.isEmpty else {
                throw AuthError(.validationFailed, "Verify requires either a token or a token hash")
            }
            let address = try address(fields)
            guard address.isPhone == type.isByPhone else {
                throw AuthError(.validationFailed, "Only an email address or phone number should be provided on verify")
            }
            try limiter.check(request, .codeAttempt, account: address.text)
            outcome = try await verify(code, address, type, request)
        }
        switch outcome {
        case .refused(let error): throw error
        case .half(let message): return .json(["msg": .string(message), "code": "200"])
        case .signedIn(let session): return .json(session.json)
        case .code: throw AuthError(.unexpectedFailure, "a code is only given to a browser")
        }
    }

    private func verificationType(_ text: String) throws(AuthError) -> VerificationType {
        guard !text.isEmpty else { throw AuthError(.validationFailed, "Verify requires a verification type") }
        guard let type = VerificationType(rawValue: text) else {
            throw AuthError(.validationFailed, "Invalid verification type")
        }
        return type
    }

    // MARK: Finding the token

    private static func expired(_ type: VerificationType, isLink: Bool) -> AuthError {
        AuthError(
            .otpExpired, isLink ? "Email link is invalid or has expired" : "Token has expired or is invalid")
    }

    /// Takes the token of a link.
    private func verify(
        link: String, _ type: VerificationType, _ request: HTTPRequest, endsInCode: Bool,
        in transaction: PostgresTransaction
    ) async throws -> Outcome {
        let digest = OneTimeTokenDigests.digest(ofLink: link)
        // The user's row is locked before the token's, as by whoever sends another.
        guard
            let id = try await transaction.query(
                "select user_id from auth.one_time_tokens where link_hash = \(digest)"
            ).onlyRow?["user_id"].uuid,
            let user = try await lockedUser("u.id = \(id) and u.deleted_at is null", in: transaction),
            let row = try await transaction.query(
                """
                delete from auth.one_time_tokens as t
                where t.link_hash = \(digest) and t.token_type::text = any (\(type.kinds.map(\.rawValue))::text[])
                returning
                    t.token_type::text as kind,
                    t.issued_at + \(configuration.flows.otpLifetime.wholeSeconds) * interval '1 second' > now() as is_fresh
                """
            ).onlyRow, row["is_fresh"].bool == true, let kind = row["kind"].string.flatMap(OneTimeTokenKind.init)
        else { return .refused(Self.expired(type, isLink: endsInCode)) }
        let proven = Proven(
            kind: kind, type: type, user: user, isPKCE: endsInCode && link.hasPrefix(OneTimeToken.pkcePrefix))
        return try await finish(proven, request, in: transaction)
    }

    /// Takes a code that was sent to an address. A wrong one is counted against the codes that are pending there.
    private func verify(
        _ code: String, _ address: AccountAddress, _ type: VerificationType, _ request: HTTPRequest
    ) async throws -> Outcome {
        let isRight: Bool?
        if case .phone(let phone) = address {
            isRight = try await checkElsewhere(code, phone, type, request)
        } else {
            isRight = nil
        }
        let lifetime = (address.isPhone ? configuration.flows.smsOTPLifetime : configuration.flows.otpLifetime)
            .wholeSeconds
        let digest = tokenDigests.digest(ofCode: code, for: address.text)
        let outcome = try await inTransaction { transaction -> Outcome in
            // The address is that of the account, or for a change the one it is under way to.
            let found = try await transaction.query(
                """
                select
                    t.id, t.user_id, t.token_type::text as kind,
                    coalesce(\(isRight)::boolean, t.token_hash = \(digest)) as is_right
                from auth.one_time_tokens as t
                inner join auth.users as u on u.id = t.user_id
                where t.relates_to = \(address.text) and u.deleted_at is null and not u.is_sso_user
                    and t.token_type::text = any (\(type.kinds.map(\.rawValue))::text[])
                    and t.attempts < \(configuration.flows.maxCodeAttempts)
                    and t.issued_at + \(lifetime) * interval '1 second' > now()
                """)
            guard let row = found.rows.first(where: { $0["is_right"].bool == true }), let token = row["id"].uuid,
                let id = row["user_id"].uuid, let kind = row["kind"].string.flatMap(OneTimeTokenKind.init)
            else {
                let pending = found.rows.compactMap { $0["id"].string }
                // Losing such a count in a crash does no harm, and nobody sees by the time whether there was one.
                try await transaction.run([
                    "select set_config('synchronous_commit', 'off', true)",
                    "update auth.one_time_tokens set attempts = attempts + 1 where id::text = any (\(pending)::text[])",
                ])
                return .refused(Self.expired(type, isLink: false))
            }
            guard let user = try await lockedUser("u.id = \(id)", in: transaction),
                try await transaction.query(
                    "delete from auth.one_time_tokens where id = \(token) and attempts < \(configuration.flows.maxCodeAttempts)"
                ).affectedRows == 1
            else { return .refused(Self.expired(type, isLink: false)) }
            return try await finish(
                Proven(kind: kind, type: type, user: user, isPKCE: false), request, in: transaction)
        }
        if case .refused = outcome { limiter.recordFailure(request, .codeAttempt, account: address.text) }
        return outcome
    }

    // MARK: Doing what was proven

    private func finish(
        _ proven: Proven, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> Outcome {
        let user = proven.user
        guard !user.isBanned(at: .now()) else {
            return .refused(AuthError(.userBanned, "User is banned", status: 403))
        }
        let method: AuthenticationMethod
        var flowMethod = AuthenticationMethod.magicLink
        switch (proven.kind, proven.type) {
        case (.emailChangeCurrent, _), (.emailChangeNew, _):
            if let half = try await confirmHalfOfEmailChange(proven.kind, user, in: transaction) { return half }
            if let refusal = try await changeEmail(of: user, request, in: transaction) { return .refused(refusal) }
            (method, flowMethod) = (.emailChange, .emailChange)
        case (.phoneChange, _):
            if let refusal = try await changePhone(of: user, to: user.newPhone ?? "", request, in: transaction) {
                return .refused(refusal)
            }
            method = .otp
        case (.confirmation, .sms):
            try await transaction.run(confirmingPhone(of: user, request))
            method = .otp
        case (.recovery, _):
            try await transaction.run(
                confirmingEmail(of: user, request) + OneTimeToken.forgetting([.recovery], of: user.id))
            let isRecovery = proven.type == .recovery
            (method, flowMethod) = (isRecovery ? .recovery : .otp, isRecovery ? .recovery : .magicLink)
        case (.confirmation, _), (.reauthentication, _):
            try await transaction.run(confirmingEmail(of: user, request))
            let isInvitation = proven.type == .invite
            (method, flowMethod) = (isInvitation ? .invite : .otp, isInvitation ? .invite : .emailSignup)
        }
        if proven.isPKCE {
            let code = AuthCode.random()
            let issued = try await transaction.query(
                FlowState.issue(code, toFlowOf: user.id, method: flowMethod.rawValue))
            guard issued.onlyRow != nil else { return .refused(FlowState.notFound) }
            return .code(code)
        }
        let session = NewSession(method, request: request)
        return .signedIn(
            try await open(
                session, for: user.id, traits: ["provider": proven.type.isByPhone ? "phone" : "email"], request,
                in: transaction))
    }

    /// The statements that mark the address as the user's own.
    func confirmingEmail(of user: AuthUser, _ request: HTTPRequest) -> [PostgresQuery] {
        guard user.emailConfirmedAt == nil else {
            return OneTimeToken.forgetting([.confirmation], of: user.id)
        }
        let isInvited = user.moment("invited_at") != nil
        return OneTimeToken.forgetting([.confirmation], of: user.id) + [
            """
            update auth.users
            set email_confirmed_at = now(), is_anonymous = false,
                raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"email_verified": true}'
            where id = \(user.id)
            """,
            """
            update auth.identities
            set identity_data = identity_data || '{"email_verified": true}', updated_at = now()
            where user_id = \(user.id) and provider = 'email'
            """,
            AuditEvent(
                isInvited ? .inviteAccepted : .userSignedUp, by: .user(user.id), traits: ["provider": "email"]
            ).insertion(for: request),
        ]
    }

    private func confirmingPhone(of user: AuthUser, _ request: HTTPRequest) -> [PostgresQuery] {
        let forgetting = OneTimeToken.forgetting([.confirmation], of: user.id)
        guard user.phoneConfirmedAt == nil else { return forgetting }
        return forgetting + [
            """
            update auth.users
            set phone_confirmed_at = now(), is_anonymous = false,
                raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{"phone_verified": true}'
            where id = \(user.id)
            """,
            """
            update auth.identities
            set identity_data = identity_data || '{"phone_verified": true}', updated_at = now()
            where user_id = \(user.id) and provider = 'phone'
            """,
            AuditEvent(.userSignedUp, by: .user(user.id), traits: ["provider": "phone"]).insertion(for: request),
        ]
    }

    /// With changes that both addresses confirm, notes the first half and says so; nil when the change may be made.
    private func confirmHalfOfEmailChange(
        _ kind: OneTimeTokenKind, _ user: AuthUser, in transaction: PostgresTransaction
    ) async throws -> Outcome? {
        guard configuration.flows.areEmailChangesDoublyConfirmed, !user.email.isEmpty else { return nil }
        let left = try await transaction.run(
            [
                """
                select
                from auth.one_time_tokens
                where user_id = \(user.id) and token_type in ('email_change_token_current', 'email_change_token_new')
                """
            ])
        guard left.first?.rowCount != 0 else { return nil }
        try await transaction.query(
            """
            update auth.users
            set email_change_confirm_status = 1, \(identifier: kind.column) = '', updated_at = now()
            where id = \(user.id)
            """)
        return .half("Confirmation link accepted. Please proceed to confirm link sent to the other email")
    }
}
