// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// Signing in without a password: `POST /otp` and `POST /magiclink`.
extension AuthService {
    /// `POST /otp`: sends a code and link by mail, or a code by text message; makes the account when there is none.
    func sendOTP(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .otp)
        let fields = try await humanFields(request)
        let form = try OTPForm(fields, createsUser: try fields.flag("create_user", default: true))
        let address = try address(fields)
        try requireProvider(of: address)
        return try await answeringUniformly(request) {
            switch address {
            case .email(let email): return try await sendMagicLink(to: email, form, request)
            case .phone(let phone): return try await sendPhoneCode(to: phone, form, request)
            }
        }
    }

    /// `POST /magiclink`: an older form of `/otp` for mail alone.
    func sendMagicLink(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try limiter.admit(request, .magicLink)
        let fields = try await humanFields(request)
        let form = try OTPForm(fields, createsUser: true)
        let email = try emailAddress(try fields.text("email"))
        try requireProvider(of: .email(email))
        return try await answeringUniformly(request) { try await sendMagicLink(to: email, form, request) }
    }

    /// What a request for a code says besides the address.
    struct OTPForm: Sendable {
        let data: JSONObject
        let createsUser: Bool
        let challenge: CodeChallenge?
        let channel: MessageChannel

        init(_ fields: RequestFields, createsUser: Bool) throws(AuthError) {
            data = try fields.object("data")
            challenge = try CodeChallenge(fields)
            channel = try MessageChannel(fields)
            self.createsUser = createsUser
        }
    }

    private func sendMagicLink(
        to email: EmailAddress, _ form: OTPForm, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        if try await user(at: .email(email)) == nil {
            guard form.createsUser, configuration.isSignupEnabled else {
                throw AuthError(.otpDisabled, "Signups not allowed for otp")
            }
            try admitSending(.recovery, to: email.text, request)
            let newUser = NewUser(
                email: email, passwordHash: nil, isConfirmed: false, data: form.data, audience: configuration.audience)
            try await willCreate(newUser, request)
            do {
                let created = try await savingUser {
                    try await inTransaction { transaction in
                        try await transaction.run(
                            newUser.insertions + [
                                AuditEvent(
                                    .userConfirmationRequested, by: .user(newUser.id), traits: newUser.auditTraits
                                ).insertion(for: request)
                            ])
                        return try await sendSignInMail(
                            toUserWhere: "u.id = \(newUser.id)", form, request, in: transaction)
                    }
                }
                await didCreate(created, request)
                return .json([:])
            } catch let error as PostgresError where error.constraint == "users_email_partial_key" {
                // Somebody made it a moment ago: it gets the mail all the same.
            }
        } else {
            try admitSending(.recovery, to: email.text, request)
        }
        _ = try await inTransaction { transaction in
            try await sendSignInMail(
                toUserWhere: AccountAddress.email(email).condition, form, request, in: transaction)
        }
        return .json([:])
    }

    /// Sends a confirmation to an address that must be confirmed and is not, else a magic link.
    private func sendSignInMail(
        toUserWhere condition: PostgresQuery, _ form: OTPForm, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> AuthUser? {
        guard let user = try await lockedUser(condition, in: transaction) else { return nil }
        let isConfirming = user.emailConfirmedAt == nil && configuration.areEmailConfirmationsEnabled
        guard !isTooSoon(user, isConfirming ? .confirmation : .recovery) else { return user }
        let token = OneTimeToken(
            isConfirming ? .confirmation : .recovery, for: user.email, codeLength: configuration.flows.otpLength,
            isPKCE: form.challenge != nil)
        let redirect = redirects.target(of: request)
        try await transaction.run(
            token.storing(for: user.id, tokenDigests)
                + flow(
                    form.challenge, isConfirming ? .emailSignup : .magicLink, provider: "email", of: user.id, redirect)
        )
        try await send(
            [
                TokenMail(
                    kind: isConfirming ? .confirmation : .magicLink, type: isConfirming ? .signup : .magicLink,
                    token: token)
            ], about: user, redirect: redirect, request, in: transaction)
        return user
    }

    // MARK: Shared by all flows

    /// Whether the last mail or message of this kind is too fresh for another. Only after a restart, which forgets the pauses kept in
    /// memory: nothing is sent then, and the answer is the same.
    func isTooSoon(_ user: AuthUser, _ kind: OneTimeTokenKind) -> Bool {
        let pause = kind == .phoneChange ? configuration.flows.smsPause : configuration.flows.emailPause
        guard pause > .zero, let sent = user.moment(kind.sentColumn) else { return false }
        return Timestamp.now() < sent + pause
    }

    /// Begins a flow that ends in a code, when the client has sent a challenge.
    func flow(
        _ challenge: CodeChallenge?, _ method: AuthenticationMethod, provider: String, of user: UUID,
        _ redirect: RedirectTarget
    ) -> [PostgresQuery] {
        guard let challenge else { return [] }
        let flow = FlowState(
            challenge: challenge, provider: provider, authenticationMethod: method.rawValue, userID: user,
            redirectTarget: redirect.address)
        return [flow.insertion]
    }

    func inTransaction<T>(_ body: (PostgresTransaction) async throws -> T) async throws -> T {
        try await database.withTransaction(statementTimeout: configuration.statementTimeout, body)
    }
}
