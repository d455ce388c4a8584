// SPDX-License-Identifier: Apache-2.0
import Cryptography
import HTTP
import Platform
import Postgres
import Primitives

/// The `pkce` grant of `POST /token` (RFC 7636).
extension AuthService {
    /// A flow whose code was presented; its row is already gone.
    private struct Redeemed {
        var userID: UUID
        var method: AuthenticationMethod
        var tokens: ProviderTokens
    }

    /// A value, not an error: the code is spent, which must be committed, although the exchange is refused.
    private enum Outcome {
        case signedIn(IssuedSession, ProviderTokens)
        case refused(AuthError)
    }

    /// Exchanges a code and its verifier for a session.
    ///
    /// The code is spent by the first request that presents it, whatever comes of it: a wrong verifier means that it fell
    /// into other hands (RFC 9700 section 2.1.1).
    func grantByCode(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await RequestFields(bodyOf: request, maxBytes: configuration.maxBodyBytes)
        let code = AuthCode(try fields.text("auth_code"))
        let verifier = try fields.text("code_verifier")
        guard !code.text.isEmpty, !verifier.isEmpty else {
            throw AuthError(
                .validationFailed, "invalid request: both auth code and code verifier should be non-empty")
        }
        let outcome = try await database.withTransaction(statementTimeout: configuration.statementTimeout) {
            transaction -> Outcome in
            let row = try await transaction.query(Self.redemption(of: code)).onlyRow
            let flow: Redeemed
            do throws(AuthError) { flow = try redeem(row, code, verifier: verifier) } catch { return .refused(error) }
            return try await signIn(by: flow, in: transaction, request)
        }
        switch outcome {
        case .refused(let error): throw error
        case .signedIn(let session, let tokens):
            counters.signIns.increment()
            return .json(tokens.added(to: session.json))
        }
    }

    private static func redemption(of code: AuthCode) -> PostgresQuery {
        """
        delete from auth.flow_state
        where auth_code = \(code.stored)
        returning
            id, user_id, code_challenge_method::text, code_challenge, authentication_method, provider_access_token,
            provider_refresh_token, auth_code_issued_at, clock_timestamp() as now
        """
    }

    private func redeem(
        _ row: PostgresRow?, _ code: AuthCode, verifier: String
    ) throws(AuthError) -> Redeemed {
        guard let row, let id = row["id"].uuid, let userID = row["user_id"].uuid,
            let issuedAt = row["auth_code_issued_at"].timestamp, let now = row["now"].timestamp,
            let challenge = CodeChallenge(
                stored: row["code_challenge"].string, method: row["code_challenge_method"].string)
        else { throw FlowState.notFound }
        guard now < issuedAt + configuration.flowStateLifetime else { throw FlowState.expired }
        guard challenge.isAnswered(by: verifier) else {
            throw AuthError(.badCodeVerifier, "code challenge does not match previously saved code verifier")
        }
        let tokens: ProviderTokens
        do {
            tokens = try ProviderTokens(
                access: Self.open(row["provider_access_token"], code, id, "access"),
                refresh: Self.open(row["provider_refresh_token"], code, id, "refresh"))
        } catch {
            throw AuthError(error)
        }
        let method = row["authentication_method"].string.flatMap { AuthenticationMethod(rawValue: $0) }
        guard let method else { throw FlowState.notFound }
        return Redeemed(userID: userID, method: method, tokens: tokens)
    }

    private static func open(
        _ sealed: PostgresValue, _ code: AuthCode, _ flow: UUID, _ name: String
    ) throws(CryptographyError) -> String? {
        guard let sealed = sealed.string else { return nil }
        return try code.open(sealed, in: flow, as: name)
    }

    private func signIn(
        by flow: Redeemed, in transaction: PostgresTransaction, _ request: HTTPRequest
    ) async throws -> Outcome {
        let found = try await transaction.query(
            AuthUser.selection + "where u.id = \(flow.userID) and u.deleted_at is null")
        guard let row = found.onlyRow, let user = AuthUser(row: row) else { return .refused(FlowState.notFound) }
        guard !user.isBanned(at: .now()) else {
            return .refused(AuthError(.userBanned, "User is banned", status: 403))
        }
        let session = try await open(
            NewSession(flow.method, request: request), for: user.id, request, in: transaction)
        return .signedIn(session, flow.tokens)
    }
}
