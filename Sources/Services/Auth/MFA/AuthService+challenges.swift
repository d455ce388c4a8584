// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Postgres
import Primitives

/// Proving a second factor.
extension AuthService {
    // MARK: Challenge

    /// `POST /factors/{id}/challenge`: for a phone, sends a code to it; for a security key, says what to ask of it.
    func challengeFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        try limiter.admit(request, .factorChallenge)
        let caller = try await factorCaller(request)
        let id = try factorID(request)
        let channel = try await challengeChannel(request)
        let challenge = UUID.random()
        let address = ClientAddress(request.remoteAddress)?.text ?? "0.0.0.0"
        let answer = try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
            transaction -> JSONObject in
            let found = try await transaction.query(
                MFAFactor.selection + "where f.id = \(id) and f.user_id = \(caller.user.id) for update")
            guard let row = found.onlyRow, let factor = MFAFactor(row: row) else { throw Self.factorNotFound }
            try requireVerification(of: factor.kind)
            let code = try phoneCode(for: factor)
            let ceremony = try await ceremony(with: factor, of: caller.user, in: transaction)
            let results = try await transaction.run([
                // The column is unique: two factors challenged in one microsecond stand a microsecond apart.
                """
                update auth.mfa_factors
                set last_challenged_at = greatest(
                    clock_timestamp(),
                    (select max(o.last_challenged_at) + interval '1 microsecond' from auth.mfa_factors as o))
                where id = \(id)
                """,
                """
                insert into auth.mfa_challenges (
                    id, factor_id, created_at, ip_address, otp_code, web_authn_session_data
                )
                values (
                    \(challenge), \(id), now(), \(address)::inet, \(code.map { Self.digest(of: $0, challenge) }),
                    \(ceremony?.stored)
                )
                returning created_at
                """,
                AuditEvent(
                    .challengeCreated, by: .user(caller.user.id),
                    traits: [
                        "factor_id": .string(id.description),
                        "factor_status": factor.isVerified ? "verified" : "unverified",
                    ]
                ).insertion(for: request),
            ])
            if let code, let phone = factor.phone {
                try await sendFactorCode(code, to: phone, channel: channel, caller.user, request, in: transaction)
            }
            let createdAt = results[1].onlyRow?["created_at"].timestamp ?? .now()
            var answer: JSONObject = [
                "id": .string(challenge.description), "type": .string(factor.kind.rawValue),
                "expires_at": JSON((createdAt + configuration.factors.challengeLifetime).unixSeconds),
            ]
            if let ceremony { answer["webauthn"] = ceremony.json }
            return answer
        }
        return .json(.object(answer))
    }

    /// The body may be left out: only phones have something to choose.
    private func challengeChannel(_ request: HTTPRequest) async throws -> String {
        let body = try await request.body.collect(upTo: configuration.maxBodyBytes)
        guard !body.isEmpty else { return "sms" }
        let channel = try RequestFields(parsing: body).text("channel")
        guard ["", "sms", "whatsapp"].contains(channel) else {
            throw AuthError(.validationFailed, "channel must be sms or whatsapp")
        }
        return channel.isEmpty ? "sms" : channel
    }

    private func requireVerification(of kind: MFAFactor.Kind) throws(AuthError) {
        switch kind {
        case .totp:
            guard configuration.factors.totp.canVerify else {
                throw AuthError(.mfaTOTPVerifyNotEnabled, "MFA verification is disabled for TOTP")
            }
        case .phone:
            guard configuration.factors.phone.canVerify else {
                throw AuthError(.mfaPhoneVerifyNotEnabled, "MFA verification is disabled for Phone")
            }
        case .webAuthn:
            guard configuration.factors.webAuthn.canVerify else {
                throw AuthError(.mfaWebAuthnVerifyNotEnabled, "MFA verification is disabled for WebAuthn")
            }
        }
    }

    /// A new code for a phone; nil for factors that make their own.
    private func phoneCode(for factor: MFAFactor) throws(AuthError) -> String? {
        guard factor.kind == .phone else { return nil }
        if let last = factor.lastChallengedAt {
            let wait = last + configuration.factors.phonePause - Timestamp.now()
            guard wait <= .zero else {
                throw AuthError(
                    .overSMSSendRateLimit,
                    "For security purposes, you can only request this after \(wait.components.seconds + 1) seconds.",
                    retryAfter: .seconds(wait.components.seconds + 1), limit: "auth.mfa.phone.max_frequency")
            }
        }
        return randomText(configuration.factors.phoneCodeLength, from: "0123456789")
    }

    /// What is stored of a code by phone: it is of use for its challenge alone.
    private static func digest(of code: String, _ challenge: UUID) -> String {
        Hex.encode(Cryptography.digest((challenge.description + code).utf8, using: .sha224))
    }

    // MARK: Verification

    /// What verifying came to. A value, not an error: what is ended on a refusal must be committed.
    private enum Verification {
        case right(IssuedSession)
        case refused(AuthError)
    }

    /// `POST /factors/{id}/verify`: raises the session to `aal2`. The other sessions of the user that are still at `aal1` end.
    func verifyFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        try limiter.admit(request, .factorVerification)
        let caller = try await factorCaller(request)
        let id = try factorID(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let code = try fields.text("code")
        guard let challenge = UUID(try fields.text("challenge_id")) else {
            throw AuthError(.validationFailed, "challenge_id must be an UUID")
        }
        try limiter.admit(request, .codeAttempt, account: id.description)
        let outcome = try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
            transaction -> Verification in
            let found = try await transaction.run([
                MFAFactor.selection + "where f.id = \(id) and f.user_id = \(caller.user.id) for update",
                """
                select
                    c.created_at, c.verified_at, host(c.ip_address) as address, c.otp_code, c.web_authn_session_data,
                    clock_timestamp() as now
                from auth.mfa_challenges as c
                where c.id = \(challenge) and c.factor_id = \(id)
                for update
                """,
            ])
            guard let row = found[0].onlyRow, let factor = MFAFactor(row: row) else { throw Self.factorNotFound }
            guard let challengeRow = found[1].onlyRow else {
                throw AuthError(
                    .mfaFactorNotFound, "MFA factor with the provided challenge ID not found", status: 404)
            }
            try requireVerification(of: factor.kind)
            try checkChallenge(challengeRow, challenge, request)
            let credential = try await provedKey(fields, factor, challengeRow, request, in: transaction)
            let isRight =
                if factor.kind == .webAuthn {
                    credential != nil
                } else {
                    try await isRight(code, factor, challenge, challengeRow, in: transaction)
                }
            if let refusal = try await askAboutFactor(factor, isRight, request, in: transaction) {
                return .refused(refusal)
            }
            guard isRight else {
                return .refused(AuthError(.mfaVerificationFailed, factor.kind.refusal))
            }
            if let credential { try await transaction.query(Self.storing(credential, of: factor)) }
            return .right(try await raise(caller, by: factor, challenge, request, in: transaction))
        }
        switch outcome {
        case .refused(let error): throw error
        case .right(let session): return .json(session.json)
        }
    }

    private func checkChallenge(
        _ row: PostgresRow, _ challenge: UUID, _ request: HTTPRequest
    ) throws(AuthError) {
        guard row["address"].string == (ClientAddress(request.remoteAddress)?.text ?? "0.0.0.0") else {
            throw AuthError(.mfaIPAddressMismatch, "Challenge and verify IP addresses mismatch")
        }
        guard row["verified_at"].isNull, let createdAt = row["created_at"].timestamp, let now = row["now"].timestamp,
            now < createdAt + configuration.factors.challengeLifetime
        else {
            throw AuthError(
                .mfaChallengeExpired,
                "MFA challenge \(challenge) has expired, verify against another challenge or create a new challenge.")
        }
    }

    /// Whether a code is right, and was not used before: a right one is spent by asking.
    private func isRight(
        _ code: String, _ factor: MFAFactor, _ challenge: UUID, _ row: PostgresRow,
        in transaction: PostgresTransaction
    ) async throws -> Bool {
        switch factor.kind {
        case .webAuthn: return false
        case .phone:
            guard let stored = row["otp_code"].string else { return false }
            return constantTimeEquals(Array(stored.utf8), Array(Self.digest(of: code, challenge).utf8))
        case .totp:
            guard let now = row["now"].timestamp,
                let step = TOTP(secret: try factor.secret(keyring)).step(of: code, at: now)
            else { return false }
            let spent = try await transaction.query(
                """
                insert into auth.mfa_used_codes (factor_id, step)
                values (\(factor.id), \(String(step))::bigint)
                on conflict do nothing
                returning step
                """)
            return spent.rowCount == 1
        }
    }

    /// Asks the hook; a rejection ends all sessions of the user.
    private func askAboutFactor(
        _ factor: MFAFactor, _ isRight: Bool, _ request: HTTPRequest, in transaction: PostgresTransaction
    ) async throws -> AuthError? {
        let answer = try await hooks.call(
            .factorVerificationAttempt,
            [
                "factor_id": .string(factor.id.description), "factor_type": .string(factor.kind.rawValue),
                "user_id": .string(factor.userID.description), "valid": .bool(isRight),
            ], for: request, in: transaction)
        guard answer?["decision"]?.stringValue == "reject" else { return nil }
        try await transaction.query("delete from auth.sessions where user_id = \(factor.userID)")
        let message = answer?["message"]?.stringValue ?? ""
        return AuthError(
            .mfaVerificationRejected,
            message.isEmpty ? "Further MFA verification attempts will be rejected." : message)
    }

    private func raise(
        _ caller: FactorCaller, by factor: MFAFactor, _ challenge: UUID, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> IssuedSession {
        // The session's row is what refreshes wait for: nobody rotates its tokens meanwhile.
        let current = try await transaction.run([
            "select from auth.sessions where id = \(caller.sessionID) for update",
            """
            select token
            from auth.refresh_tokens
            where session_id = \(caller.sessionID) and not coalesce(revoked, false)
            order by id desc
            limit 1
            """,
        ]).last?.onlyRow?["token"].string
        // The token in use is the parent of the new one, so that a tab that still holds it is answered with that.
        let token =
            current.map {
                RefreshToken(after: StoredRefreshToken(text: $0), in: caller.sessionID, key: refreshTokenKey)
            } ?? .random()
        let results = try await transaction.run([
            "update auth.mfa_challenges set verified_at = now() where id = \(challenge)",
            "update auth.mfa_factors set status = 'verified', updated_at = now() where id = \(factor.id)",
            """
            delete from auth.mfa_factors
            where user_id = \(caller.user.id) and factor_type = \(factor.kind.rawValue)::auth.factor_type
                and status = 'unverified'
            """,
            """
            update auth.sessions
            set aal = 'aal2', factor_id = \(factor.id), updated_at = now(), refreshed_at = now() at time zone 'utc'
            where id = \(caller.sessionID)
            """,
            """
            insert into auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
            values (gen_random_uuid(), \(caller.sessionID), now(), now(), \(factor.method.rawValue))
            on conflict (session_id, authentication_method) do update set created_at = now(), updated_at = now()
            """,
            """
            update auth.refresh_tokens
            set revoked = true, updated_at = clock_timestamp()
            where session_id = \(caller.sessionID) and not coalesce(revoked, false)
            """,
            """
            insert into auth.refresh_tokens (
                instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id
            )
            values (
                \(UUID.zero), \(token.stored.text), \(caller.user.id.description), false, clock_timestamp(),
                clock_timestamp(), \(current), \(caller.sessionID)
            )
            """,
            "delete from auth.sessions where user_id = \(caller.user.id) and id <> \(caller.sessionID) and aal = 'aal1'",
            AuditEvent(
                .factorVerified, by: .user(caller.user.id),
                traits: ["factor_id": .string(factor.id.description), "challenge_id": .string(challenge.description)]
            ).insertion(for: request),
            AuditEvent(
                .factorLogin, by: .user(caller.user.id), traits: ["factor_id": .string(factor.id.description)]
            ).insertion(for: request),
            SessionFacts.selection(id: caller.sessionID),
            AuthUser.selection(id: caller.user.id),
        ])
        guard let sessionRow = results[results.count - 2].onlyRow, let userRow = results.last?.onlyRow,
            let user = AuthUser(row: userRow)
        else { throw AuthError(.sessionNotFound, "Session from session_id claim in JWT does not exist") }
        if !factor.isVerified {
            try await notify(.factorEnrolled(factor.kind), to: user.email, about: user, request, in: transaction)
        }
        return try await issue(
            SessionFacts(id: caller.sessionID, row: sessionRow), refreshToken: token.text, to: user, factor.method,
            request,
            in: transaction)
    }

    // MARK: Codes by phone

    /// Hands a code to whoever sends messages for the project.
    private func sendFactorCode(
        _ code: String, to phone: String, channel: String, _ user: AuthUser, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws {
        try limiter.admitForServer(.smsSent, request)
        let answer = try await hooks.call(
            .sendSMS,
            ["user": user.json, "sms": ["otp": .string(code), "sms_type": .string(channel), "phone": .string(phone)]],
            for: request, in: transaction)
        if answer == nil { try await deliverFactorCode(code, to: phone, channel: channel, request) }
    }
}
