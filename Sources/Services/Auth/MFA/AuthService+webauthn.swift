// SPDX-License-Identifier: Apache-2.0
import HTTP
import Postgres
import Primitives

/// Security keys as second factors (Web Authentication Level 3).
extension AuthService {
    var relyingParty: RelyingParty {
        configuration.factors.relyingParty ?? RelyingParty(siteURL: configuration.siteURL)
    }

    /// What a page asks a key to do; the raw value is `type` on the wire.
    private enum CeremonyType: String {
        /// The factor's key is made.
        case create
        case request

        init(of factor: MFAFactor) { self = factor.isVerified ? .request : .create }
    }

    /// What a challenge is made of.
    struct Ceremony: Sendable {
        /// Until it is answered.
        let stored: JSON
        /// The member `webauthn` of the answer.
        let json: JSON
    }

    /// A new challenge for a key; nil for factors of other kinds.
    func ceremony(
        with factor: MFAFactor, of user: AuthUser, in transaction: PostgresTransaction
    ) async throws -> Ceremony? {
        guard factor.kind == .webAuthn else { return nil }
        let challenge = RelyingParty.challenge()
        let lifetime = configuration.factors.challengeLifetime
        let type = CeremonyType(of: factor)
        let options: JSON
        if let credential = factor.credential, type == .request {
            options = relyingParty.requestOptions(challenge, credential, timeout: lifetime)
        } else {
            let others = try await transaction.query(
                """
                select web_authn_credential
                from auth.mfa_factors
                where user_id = \(user.id) and web_authn_credential is not null
                """)
            let excluded = others.rows.compactMap { $0["web_authn_credential"].json.flatMap(WebAuthnCredential.init) }
            options = relyingParty.creationOptions(challenge, for: user, excluding: excluded, timeout: lifetime)
        }
        return Ceremony(
            stored: ["challenge": .string(challenge), "type": .string(type.rawValue)],
            json: ["type": .string(type.rawValue), "credential_options": options])
    }

    /// The key that a request proves, as it is after that; nil when it does not, and for factors of other kinds.
    ///
    /// - Throws: `validationFailed` for a request without a key's answer, `webAuthnCredentialExists` for a key that is another factor's.
    func provedKey(
        _ fields: RequestFields, _ factor: MFAFactor, _ challenge: PostgresRow, _ request: HTTPRequest,
        in transaction: PostgresTransaction
    ) async throws -> WebAuthnCredential? {
        guard factor.kind == .webAuthn else { return nil }
        let members = try fields.object("webauthn")
        guard !members.isEmpty else { throw AuthError(.validationFailed, "WebAuthn config required") }
        guard let type = members["type"]?.stringValue.flatMap(CeremonyType.init(rawValue:)) else {
            throw AuthError(.validationFailed, "WebAuthn type must be create or request")
        }
        let response = try WebAuthnResponse(members["credential_response"])
        let stored = challenge["web_authn_session_data"].json
        guard let text = stored?["challenge"]?.stringValue, stored?["type"] == .string(type.rawValue),
            type == CeremonyType(of: factor)
        else { return nil }
        let proved: WebAuthnCredential
        do throws(WebAuthnResponse.Failure) {
            if let credential = factor.credential, type == .request {
                return try response.assertion(text, by: credential, of: factor.userID, at: relyingParty)
            }
            proved = try response.registration(text, at: relyingParty)
        } catch {
            log.warning(
                "security key refused", .field("request_id", request.id), .field("factor", factor.id),
                .field("cause", error.description))
            return nil
        }
        try await requireUnknown(proved, in: transaction)
        return proved
    }

    private func requireUnknown(_ credential: WebAuthnCredential, in transaction: PostgresTransaction) async throws {
        let id = credential.json["id"]?.stringValue ?? ""
        let found = try await transaction.query(
            "select from auth.mfa_factors where web_authn_credential is not null and web_authn_credential ->> 'id' = \(id)"
        )
        guard found.rowCount == 0 else {
            throw AuthError(.webAuthnCredentialExists, "This security key is registered already")
        }
    }

    /// Keeps a key, with its counter after this use of it.
    static func storing(_ credential: WebAuthnCredential, of factor: MFAFactor) -> PostgresQuery {
        """
        update auth.mfa_factors
        set web_authn_credential = \(credential.json), web_authn_aaguid = \(credential.model), updated_at = now()
        where id = \(factor.id)
        """
    }
}

extension MFAFactor.Kind {
    /// What whoever failed to prove the factor is told.
    var refusal: String {
        switch self {
        case .totp: "Invalid TOTP code entered"
        case .phone: "Invalid MFA Phone code entered"
        case .webAuthn: "Invalid WebAuthn credential"
        }
    }
}
