// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Postgres
import Primitives

/// Second factors of the signed-in user: adding and removing.
extension AuthService {
    func registerFactors(on router: inout Router) {
        on(.post, "/factors", &router, enrollFactor)
        on(.post, "/factors/:factor/challenge", &router, challengeFactor)
        on(.post, "/factors/:factor/verify", &router, verifyFactor)
        on(.delete, "/factors/:factor", &router, unenrollFactor)
    }

    /// Who asks about factors: a user in a session, which is what a second factor adds to.
    struct FactorCaller: Sendable {
        let user: AuthUser
        let sessionID: UUID
        let isSecondLevel: Bool
    }

    /// - Throws: also `noAuthorization` for anonymous users, who have no first factor to add to.
    func factorCaller(_ request: HTTPRequest) async throws -> FactorCaller {
        let caller = try SignedInUser(request, access)
        guard let sessionID = caller.sessionID else {
            throw AuthError(.badJWT, "invalid claim: missing session_id claim")
        }
        let current = try await currentSession(of: caller)
        guard !current.user.isAnonymous else {
            throw AuthError(
                .noAuthorization, "Anonymous user not allowed to perform these actions", status: 403)
        }
        return FactorCaller(
            user: current.user, sessionID: sessionID, isSecondLevel: current.assuranceLevel != "aal1")
    }

    func factorID(_ request: HTTPRequest) throws(AuthError) -> UUID {
        guard let id = request.parameters["factor"].flatMap({ UUID($0) }) else {
            throw AuthError(.validationFailed, "factor_id must be an UUID", status: 404)
        }
        return id
    }

    static var factorNotFound: AuthError { AuthError(.mfaFactorNotFound, "Factor not found") }

    // MARK: Enrolling

    /// `POST /factors`.
    func enrollFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try await factorCaller(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        guard !caller.user.isSSOUser else {
            throw AuthError(.validationFailed, "MFA enrollment only supported for non-SSO users at this time")
        }
        let name = try fields.text("friendly_name")
        guard name.utf8.count <= 255 else { throw AuthError(.validationFailed, "friendly_name is too long") }
        switch MFAFactor.Kind(rawValue: try fields.text("factor_type")) {
        case .totp:
            guard configuration.factors.totp.canEnroll else {
                throw AuthError(.mfaTOTPEnrollNotEnabled, "MFA enroll is disabled for TOTP")
            }
            return try await enrollAuthenticator(caller, name, issuer: try fields.text("issuer"), request)
        case .phone:
            guard configuration.factors.phone.canEnroll else {
                throw AuthError(.mfaPhoneEnrollNotEnabled, "MFA enroll is disabled for Phone")
            }
            return try await enrollPhone(caller, name, number: try fields.text("phone"), request)
        case .webAuthn:
            guard configuration.factors.webAuthn.canEnroll else {
                throw AuthError(.mfaWebAuthnEnrollNotEnabled, "MFA enroll is disabled for WebAuthn")
            }
            let id = UUID.random()
            try await insertFactor(id, .webAuthn, name, secret: nil, phone: nil, caller, request)
            return .json(["id": .string(id.description), "type": "webauthn", "friendly_name": .string(name)])
        case nil:
            throw AuthError(.validationFailed, "factor_type needs to be totp, phone, or webauthn")
        }
    }

    private func enrollAuthenticator(
        _ caller: FactorCaller, _ name: String, issuer: String, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let issuer = issuer.isEmpty ? WebAddress(configuration.siteURL)?.host ?? "Atoll" : issuer
        guard !issuer.contains(":"), issuer.utf8.count <= 255 else {
            throw AuthError(.validationFailed, "issuer must not hold a colon")
        }
        let id = UUID.random()
        let secret = randomBytes(TOTP.secretByteCount)
        let account = caller.user.email.isEmpty ? caller.user.phone : caller.user.email
        let uri = Self.keyURI(issuer: issuer, account: account, secret: secret)
        guard let code = QRCode(uri) else { throw AuthError(.validationFailed, "issuer is too long") }
        try await insertFactor(
            id, .totp, name, secret: try MFAFactor.seal(secret, for: id, keyring), phone: nil, caller, request)
        return .json([
            "id": .string(id.description), "type": "totp", "friendly_name": .string(name),
            "totp": [
                "qr_code": .string(code.svg), "secret": .string(Base32.encode(secret)), "uri": .string(uri),
            ],
        ])
    }

    private func enrollPhone(
        _ caller: FactorCaller, _ name: String, number: String, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let digits = number.first == "+" ? String(number.dropFirst()) : number
        guard (8...15).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 &- 48 < 10 }),
            digits.first != "0"
        else { throw AuthError(.validationFailed, "Invalid phone number format (E.164 required)") }
        let id = UUID.random()
        try await insertFactor(id, .phone, name, secret: nil, phone: digits, caller, request)
        return .json([
            "id": .string(id.description), "type": "phone", "friendly_name": .string(name), "phone": .string(digits),
        ])
    }

    /// The address in a QR code, as authenticator apps read it.
    static func keyURI(issuer: String, account: String, secret: [UInt8]) -> String {
        let issuer = percentEncode(component: issuer)
        return "otpauth://totp/\(issuer):\(percentEncode(component: account))?algorithm=SHA1&digits=6"
            + "&issuer=\(issuer)&period=30&secret=\(Base32.encode(secret))"
    }

    private func insertFactor(
        _ id: UUID, _ kind: MFAFactor.Kind, _ name: String, secret: String?, phone: String?,
        _ caller: FactorCaller, _ request: HTTPRequest
    ) async throws {
        do {
            try await database.withTransaction(statementTimeout: configuration.statementTimeout) { transaction in
                // The user's row is the lock under which factors are counted.
                try await transaction.query("select from auth.users where id = \(caller.user.id) for update")
                try await admitFactor(kind, phone: phone, caller, in: transaction)
                try await transaction.run([
                    """
                    insert into auth.mfa_factors (
                        id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret, phone
                    )
                    values (
                        \(id), \(caller.user.id), \(name), \(kind.rawValue)::auth.factor_type, 'unverified',
                        clock_timestamp(), clock_timestamp(), \(secret), \(phone)
                    )
                    """,
                    AuditEvent(
                        .factorEnrolled, by: .user(caller.user.id),
                        traits: ["factor_id": .string(id.description), "factor_type": .string(kind.rawValue)]
                    ).insertion(for: request),
                ])
            }
        } catch let error as PostgresError where error.constraint == "mfa_factors_user_friendly_name_unique" {
            throw AuthError(
                .mfaFactorNameConflict, "A factor with the friendly name \"\(name)\" for this user already exists")
        }
    }

    /// Forgets factors that were never proved in time, then looks whether there may be one more.
    private func admitFactor(
        _ kind: MFAFactor.Kind, phone: String?, _ caller: FactorCaller, in transaction: PostgresTransaction
    ) async throws {
        let seconds = String(configuration.factors.challengeLifetime.components.seconds)
        let results = try await transaction.run([
            """
            delete from auth.mfa_factors
            where user_id = \(caller.user.id) and status = 'unverified'
                and created_at < now() - make_interval(secs => \(seconds)::double precision)
            """,
            MFAFactor.selection + "where f.user_id = \(caller.user.id)",
        ])
        let factors = results.last?.rows.compactMap { MFAFactor(row: $0) } ?? []
        if let phone, let same = factors.first(where: { $0.phone == phone }) {
            guard !same.isVerified else {
                throw AuthError(
                    .mfaVerifiedFactorExists,
                    "A verified phone factor already exists, unenroll the existing factor to continue")
            }
            try await transaction.query("delete from auth.mfa_factors where id = \(same.id)")
        }
        guard factors.count < configuration.factors.maxEnrolled else {
            throw AuthError(
                .tooManyEnrolledMFAFactors, "Maximum number of verified factors reached, unenroll to continue")
        }
        guard caller.isSecondLevel || !factors.contains(where: \.isVerified) else {
            throw AuthError(.insufficientAAL, "AAL2 required to enroll a new factor", status: 403)
        }
    }

    // MARK: Unenrolling

    /// `DELETE /factors/{id}`: sessions that were raised by the factor fall back to the first level.
    func unenrollFactor(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try await factorCaller(request)
        let id = try factorID(request)
        try await database.withTransaction(statementTimeout: configuration.statementTimeout) { transaction in
            let found = try await transaction.query(
                MFAFactor.selection + "where f.id = \(id) and f.user_id = \(caller.user.id) for update")
            guard let row = found.onlyRow, let factor = MFAFactor(row: row) else { throw Self.factorNotFound }
            guard !factor.isVerified || caller.isSecondLevel else {
                throw AuthError(.insufficientAAL, "AAL2 required to unenroll verified factor", status: 422)
            }
            try await transaction.run(
                Self.removal(of: factor) + [
                    AuditEvent(
                        .factorUnenrolled, by: .user(caller.user.id),
                        traits: [
                            "factor_id": .string(id.description),
                            "factor_status": factor.isVerified ? "verified" : "unverified",
                            "session_id": .string(caller.sessionID.description),
                        ]
                    ).insertion(for: request)
                ])
            // One that was never proved was never told of either.
            guard factor.isVerified else { return }
            try await notify(
                .factorUnenrolled(factor.kind), to: caller.user.email, about: caller.user, request, in: transaction)
        }
        return .json(["id": .string(id.description)])
    }

    /// Deletes a factor; what it raised is lowered.
    static func removal(of factor: MFAFactor) -> [PostgresQuery] {
        [
            """
            delete from auth.mfa_amr_claims
            where authentication_method = \(factor.method.rawValue)
                and session_id in (select s.id from auth.sessions as s where s.factor_id = \(factor.id))
            """,
            "update auth.sessions set aal = 'aal1', factor_id = null, updated_at = now() where factor_id = \(factor.id)",
            "delete from auth.mfa_factors where id = \(factor.id)",
        ]
    }
}
