// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// Passkeys of the signed-in user, and any user's for administrators (Web Authentication Level 3).
extension AuthService {
    func registerPasskeys(on router: inout Router) {
        on(.post, "/passkeys/authentication/options", &router, passkeySignInOptions)
        on(.post, "/passkeys/authentication/verify", &router, signInByPasskey)
        on(.post, "/passkeys/registration/options", &router, passkeyRegistrationOptions)
        on(.post, "/passkeys/registration/verify", &router, registerPasskey)
        on(.get, "/passkeys", &router, listPasskeys)
        on(.patch, "/passkeys/:passkey", &router, renamePasskey)
        on(.delete, "/passkeys/:passkey", &router, deletePasskey)
        on(.get, "/admin/users/:user/passkeys", &router, listPasskeysOfUser)
        on(.delete, "/admin/users/:user/passkeys/:passkey", &router, deletePasskeyOfUser)
    }

    /// - Throws: `passkeyDisabled`.
    func requirePasskeys() throws(AuthError) {
        guard configuration.passkeys.isEnabled else { throw AuthError(.passkeyDisabled, "Passkeys are disabled") }
    }

    /// Puts a challenge to a page.
    func answer(_ challenge: PasskeyChallenge, options: JSON) async throws -> HTTPResponse {
        let stored = try await database.query(
            challenge.insertion(lifetime: configuration.factors.challengeLifetime))
        let expiry = stored.onlyRow?["expires_at"].timestamp ?? .now()
        return .json([
            "challenge_id": .string(challenge.id.description), "options": options,
            "expires_at": JSON(expiry.unixSeconds),
        ])
    }

    /// Reads an answer, and takes the challenge it is to.
    ///
    /// - Throws: `validationFailed`, `webAuthnChallengeNotFound`, `webAuthnChallengeExpired`.
    func passkeyAnswer(
        _ kind: PasskeyChallenge.Kind, of user: UUID?, _ request: HTTPRequest
    ) async throws -> (challenge: String, response: WebAuthnResponse) {
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        guard let id = UUID(try fields.text("challenge_id")) else {
            throw AuthError(.validationFailed, "challenge_id must be a valid UUID")
        }
        // The other name is the one of the first clients.
        let members = try fields.object(fields.has("credential") ? "credential" : "credential_response")
        guard !members.isEmpty else { throw AuthError(.validationFailed, "credential is required") }
        let response = try WebAuthnResponse(.object(members))
        let row = try await database.query(PasskeyChallenge.taking(id, kind, of: user)).onlyRow
        guard let challenge = row?["session_data"].json?["challenge"]?.stringValue else {
            throw AuthError(.webAuthnChallengeNotFound, "Challenge not found or already used")
        }
        guard row?["is_fresh"].bool == true else {
            throw AuthError(.webAuthnChallengeExpired, "Challenge has expired")
        }
        return (challenge, response)
    }

    func refusal(of failure: WebAuthnResponse.Failure, _ request: HTTPRequest) -> AuthError {
        log.warning(
            "passkey refused", .field("request_id", request.id), .field("cause", failure.description))
        return AuthError(.webAuthnVerificationFailed, "Credential verification failed")
    }

    // MARK: Adding

    /// Who may add a passkey: somebody with an address or number to come back by, who has proved a second factor where there is one.
    private func passkeyOwner(_ request: HTTPRequest) async throws -> AuthUser {
        try requirePasskeys()
        let current = try await currentSession(of: try SignedInUser(request, access))
        guard !current.user.isAnonymous else {
            throw AuthError(.noAuthorization, "Anonymous user not allowed to perform these actions", status: 403)
        }
        guard !current.user.isSSOUser else {
            throw AuthError(.validationFailed, "SSO users cannot register passkeys", status: 422)
        }
        let hasFactor = current.user.factors.contains { $0["status"] == "verified" }
        guard current.assuranceLevel != "aal1" || !hasFactor else {
            throw AuthError(.insufficientAAL, "AAL2 session is required to change passkeys when MFA is enabled.")
        }
        return current.user
    }

    /// `POST /passkeys/registration/options`.
    func passkeyRegistrationOptions(_ request: HTTPRequest) async throws -> HTTPResponse {
        let user = try await passkeyOwner(request)
        let keys = try await passkeys(of: user.id)
        try requireRoom(keys.count)
        let challenge = PasskeyChallenge(kind: .registration, userID: user.id)
        let options = relyingParty.passkeyCreationOptions(
            challenge.text, for: user, excluding: keys.map(\.credential),
            timeout: configuration.factors.challengeLifetime)
        return try await answer(challenge, options: options)
    }

    private func requireRoom(_ count: Int) throws(AuthError) {
        guard count < configuration.passkeys.maxPerUser else {
            throw AuthError(.tooManyPasskeys, "Maximum number of passkeys reached")
        }
    }

    /// `POST /passkeys/registration/verify`.
    func registerPasskey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let user = try await passkeyOwner(request)
        let (challenge, response) = try await passkeyAnswer(.registration, of: user.id, request)
        let credential: WebAuthnCredential
        do throws(WebAuthnResponse.Failure) {
            credential = try response.registration(challenge, at: relyingParty, verifyingUser: true)
        } catch {
            throw refusal(of: error, request)
        }
        do {
            let made = try await inTransaction { transaction -> Passkey? in
                guard try await lockedUser("u.id = \(user.id)", in: transaction) != nil else { return nil }
                let count = try await transaction.query(
                    "select from auth.webauthn_credentials where user_id = \(user.id)"
                ).rowCount
                try requireRoom(count)
                let row = try await transaction.query(Passkey.insertion(of: credential, for: user.id)).onlyRow
                let passkey = row.flatMap { Passkey(row: $0) }
                try await transaction.query(
                    Self.audit(.passkeyCreated, passkey?.id, by: .user(user.id)).insertion(for: request))
                return passkey
            }
            guard let made else { throw AuthError(.userNotFound, "User from sub claim in JWT does not exist") }
            return .json(made.json)
        } catch let error as PostgresError where error.constraint == "webauthn_credentials_credential_id_key" {
            throw AuthError(.webAuthnCredentialExists, "This credential is already registered")
        }
    }

    private static func audit(_ action: AuditAction, _ passkey: UUID?, by actor: AuditEvent.Actor) -> AuditEvent {
        AuditEvent(action, by: actor, traits: ["passkey_id": .string(passkey?.description ?? "")])
    }

    // MARK: Keeping

    private func passkeys(of user: UUID) async throws -> [Passkey] {
        let unit = WorkUnit(
            readOnly: true, statementTimeout: configuration.statementTimeout,
            queries: [Passkey.selection + "where k.user_id = \(user) order by k.created_at, k.id"])
        return try await database.run(unit).first?.rows.compactMap { Passkey(row: $0) } ?? []
    }

    /// `GET /passkeys`.
    func listPasskeys(_ request: HTTPRequest) async throws -> HTTPResponse {
        try requirePasskeys()
        let user = try await user(of: try SignedInUser(request, access))
        return .json(.array(try await passkeys(of: user.id).map(\.json)))
    }

    private static var noSuchPasskey: AuthError {
        AuthError(.webAuthnCredentialNotFound, "Passkey not found")
    }

    private func passkeyID(_ request: HTTPRequest) throws(AuthError) -> UUID {
        guard let id = request.parameters["passkey"].flatMap({ UUID($0) }) else {
            throw AuthError(.validationFailed, "passkey_id must be a valid UUID", status: 404)
        }
        return id
    }

    /// `PATCH /passkeys/{id}`: its name.
    func renamePasskey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let user = try await passkeyOwner(request)
        let id = try passkeyID(request)
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let name = try fields.text("friendly_name")
        guard !name.isEmpty, name.unicodeScalars.count <= Passkey.maxNameLength else {
            throw AuthError(.validationFailed, "friendly_name must have 1 to \(Passkey.maxNameLength) characters")
        }
        let change: PostgresQuery = """
            update auth.webauthn_credentials as k
            set friendly_name = \(name), updated_at = now()
            where k.id = \(id) and k.user_id = \(user.id)
            returning \(Passkey.columns)
            """
        let results = try await database.run(
            WorkUnit(
                statementTimeout: configuration.statementTimeout,
                queries: [
                    change,
                    Self.audit(.passkeyUpdated, id, by: .user(user.id)).insertion(
                        for: request, onlyIf: Self.exists(id, user.id)),
                ]))
        guard let passkey = results.first?.onlyRow.flatMap({ Passkey(row: $0) }) else { throw Self.noSuchPasskey }
        return .json(passkey.json)
    }

    private static func exists(_ id: UUID, _ user: UUID) -> PostgresQuery {
        "exists (select from auth.webauthn_credentials as k where k.id = \(id) and k.user_id = \(user))"
    }

    /// `DELETE /passkeys/{id}`.
    func deletePasskey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let user = try await passkeyOwner(request)
        return try await delete(try passkeyID(request), of: user.id, by: .user(user.id), request)
    }

    private func delete(
        _ id: UUID, of user: UUID, by actor: AuditEvent.Actor, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let results = try await database.run(
            WorkUnit(
                statementTimeout: configuration.statementTimeout,
                queries: [
                    Self.audit(.passkeyDeleted, id, by: actor).insertion(for: request, onlyIf: Self.exists(id, user)),
                    "delete from auth.webauthn_credentials where id = \(id) and user_id = \(user)",
                ]))
        guard results.last?.affectedRows == 1 else { throw Self.noSuchPasskey }
        return .empty(.noContent)
    }

    // MARK: Administration

    /// `GET /admin/users/{id}/passkeys`.
    func listPasskeysOfUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try await administrator(request)
        try requirePasskeys()
        let id = try userID(in: request)
        guard try await database.query("select from auth.users where id = \(id)").rowCount == 1 else {
            throw Self.userNotFound
        }
        return .json(.array(try await passkeys(of: id).map(\.json)))
    }

    /// `DELETE /admin/users/{id}/passkeys/{passkey}`.
    func deletePasskeyOfUser(_ request: HTTPRequest) async throws -> HTTPResponse {
        let administrator = try await administrator(request)
        try requirePasskeys()
        return try await delete(
            try passkeyID(request), of: try userID(in: request), by: administrator.actor, request)
    }
}
