// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// Signing in by a passkey: the key itself says whose it is.
extension AuthService {
    /// `POST /passkeys/authentication/options`.
    func passkeySignInOptions(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try requirePasskeys()
        try limiter.admit(request, .passkeySignIn)
        _ = try await humanFields(request, mayBeEmpty: true)
        let challenge = PasskeyChallenge(kind: .authentication, userID: nil)
        return try await answer(
            challenge,
            options: relyingParty.passkeyRequestOptions(
                challenge.text, timeout: configuration.factors.challengeLifetime))
    }

    /// `POST /passkeys/authentication/verify`.
    func signInByPasskey(_ request: HTTPRequest) async throws -> HTTPResponse {
        _ = try access.keyHolder(for: request)
        try requirePasskeys()
        try limiter.admit(request, .token)
        let (challenge, response) = try await passkeyAnswer(.authentication, of: nil, request)
        let session = try await inTransaction { transaction -> IssuedSession in
            let (user, passkey) = try await owner(of: response.id, in: transaction)
            let used: WebAuthnCredential
            do throws(WebAuthnResponse.Failure) {
                used = try response.assertion(
                    challenge, by: passkey.credential, of: user.id, at: relyingParty, verifyingUser: true)
            } catch {
                throw refusal(of: error, request)
            }
            // Only whoever holds the key learns what keeps its user out.
            try Self.checkMaySignIn(user)
            guard try await transaction.query(Passkey.use(used, of: passkey)).affectedRows == 1 else {
                throw AuthError(.webAuthnVerificationFailed, "Credential verification failed")
            }
            return try await open(
                NewSession(.passkey, request: request), for: user.id,
                traits: ["provider": "passkey", "passkey_id": .string(passkey.id.description)], request,
                in: transaction)
        }
        counters.signIns.increment()
        return .json(session.json)
    }

    /// The user's row is locked before the key's, as by whoever deletes the account.
    private func owner(
        of credentialID: [UInt8], in transaction: PostgresTransaction
    ) async throws -> (AuthUser, Passkey) {
        let condition: PostgresQuery = "where k.credential_id = decode(\(Hex.encode(credentialID)), 'hex')"
        let found = try await transaction.query(
            "select k.user_id from auth.webauthn_credentials as k " + condition)
        guard let id = found.onlyRow?["user_id"].uuid,
            let user = try await lockedUser("u.id = \(id)", in: transaction),
            let row = try await transaction.query(Passkey.selection + condition + " for update").onlyRow,
            let passkey = Passkey(row: row), passkey.userID == user.id
        else { throw AuthError(.webAuthnVerificationFailed, "Credential verification failed") }
        return (user, passkey)
    }

    private static func checkMaySignIn(_ user: AuthUser) throws(AuthError) {
        guard user.moment("deleted_at") == nil else {
            throw AuthError(.webAuthnVerificationFailed, "Credential verification failed")
        }
        guard !user.isBanned(at: .now()) else { throw AuthError(.userBanned, "User is banned", status: 403) }
        guard user.email.isEmpty || user.emailConfirmedAt != nil else {
            throw AuthError(.emailNotConfirmed, "Email not confirmed", status: 403)
        }
        guard user.phone.isEmpty || user.phoneConfirmedAt != nil || user.emailConfirmedAt != nil else {
            throw AuthError(.phoneNotConfirmed, "Phone not confirmed", status: 403)
        }
    }
}
