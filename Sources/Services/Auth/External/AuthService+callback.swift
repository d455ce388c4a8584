// SPDX-License-Identifier: Apache-2.0
import HTTP
import Platform
import Postgres
import Primitives

/// The way back from an external provider.
extension AuthService {
    /// A flow whose browser has come back.
    private struct ReturningFlow {
        var id: UUID
        var provider: ExternalProvider
        var hasChallenge: Bool
        var target: RedirectTarget
        var linkingTargetID: UUID?
        var invitation: String?
        /// Sealed; with OAuth 1.0a alone.
        var requestToken: String?
        var isEmailOptional: Bool
    }

    /// `GET /callback`, and `POST /callback` for providers that answer by a form.
    ///
    /// A state that is unknown, used, or of another browser is answered here, as nobody knows where the browser should go;
    /// everything later is told to the flow's redirect target.
    func returnFromProvider(_ request: HTTPRequest) async throws -> HTTPResponse {
        let fields = try await callbackFields(request)
        guard let state = fields.first("state"), !state.isEmpty else {
            throw AuthError(.badOAuthCallback, "OAuth state parameter missing")
        }
        let flow = try await claimFlow(state, request)
        do {
            let profile = try await profile(of: flow, fields)
            return try await finish(flow, profile, request)
        } catch let refusal as ProviderRefusal {
            return redirect(flow, [("error", refusal.error), ("error_description", refusal.description)])
        } catch {
            return redirect(flow, told(error, request))
        }
    }

    private func callbackFields(_ request: HTTPRequest) async throws -> FormFields {
        guard request.method == .post else { return FormFields(query: request.query ?? "") }
        let body = try await request.body.collect(upTo: configuration.maxBodyBytes)
        return FormFields(query: String(decoding: body, as: UTF8.self))
    }

    // MARK: The flow

    private static var badState: AuthError {
        AuthError(.badOAuthState, "OAuth callback with invalid state")
    }

    /// Finds the flow of a state and takes it, so that a second answer with the same state comes too late.
    private func claimFlow(_ state: String, _ request: HTTPRequest) async throws -> ReturningFlow {
        guard let id = flowSecrets.flow(ofState: state) else { throw Self.badState }
        let found = try await database.query(
            """
            select
                provider_type, code_challenge, referrer, linking_target_id, invite_token, provider_access_token,
                email_optional, created_at, clock_timestamp() as now
            from auth.flow_state
            where id = \(id) and authentication_method = \(AuthenticationMethod.oauth.rawValue)
            """)
        guard let row = found.onlyRow, let createdAt = row["created_at"].timestamp, let now = row["now"].timestamp,
            let provider = providers[row["provider_type"].string ?? ""]
        else { throw Self.badState }
        let flow = ReturningFlow(
            id: id, provider: provider, hasChallenge: !row["code_challenge"].isNull,
            target: redirects.target(row["referrer"].string), linkingTargetID: row["linking_target_id"].uuid,
            invitation: row["invite_token"].string,
            requestToken: row["provider_access_token"].string, isEmailOptional: row["email_optional"].bool ?? false)
        guard flow.hasChallenge || flow.linkingTargetID != nil || isFromBrowser(of: id, request) else {
            throw Self.badState
        }
        let claimed = try await database.query(
            """
            update auth.flow_state
            set auth_code_issued_at = now(), updated_at = now()
            where id = \(id) and auth_code is null and auth_code_issued_at is null
            returning id
            """)
        guard claimed.rowCount == 1 else {
            throw AuthError(.flowStateAlreadyUsed, "OAuth callback with a state that was used")
        }
        guard now < createdAt + configuration.flowStateLifetime else {
            throw AuthError(.badOAuthState, "OAuth state has expired")
        }
        return flow
    }

    /// What the provider says instead of a code (RFC 6749 section 4.1.2.1).
    private struct ProviderRefusal: Error {
        var error: String
        var description: String
    }

    private func profile(of flow: ReturningFlow, _ fields: FormFields) async throws -> ExternalProfile {
        // An answer that names its sender is taken from the flow's provider only (RFC 9207).
        if let issuer = fields.first("iss"), let expected = flow.provider.issuer {
            let facts: OpenIDIssuer.Facts
            do { facts = try await expected.facts() } catch { throw flow.provider.unreachable(error) }
            guard issuer == facts.metadata.issuer || facts.metadata.issuer.contains("{tenantid}") else {
                throw AuthError(.badOAuthCallback, "OAuth callback of another provider")
            }
        }
        if fields.first("denied") != nil, case .oauth1 = flow.provider.description.kind {
            throw ProviderRefusal(error: "access_denied", description: "The user has denied the request")
        }
        if let error = fields.first("error"), !error.isEmpty {
            throw ProviderRefusal(
                error: String(error.prefix(64)),
                description: String((fields.first("error_description") ?? "").prefix(500)))
        }
        if case .oauth1(let shape) = flow.provider.description.kind {
            return try await flow.provider.profile(
                shape, fields, requestToken: try OAuth1Token(sealed: flow.requestToken ?? "", for: flow.id, keyring))
        }
        guard let code = fields.first("code"), !code.isEmpty, code.utf8.count <= 4096 else {
            throw AuthError(.badOAuthCallback, "OAuth callback with missing authorization code missing")
        }
        let user = fields.first("user").flatMap { try? JSON(parsing: $0) }
        return try await flow.provider.profile(code: code, flow: flow.id, secrets: flowSecrets, user: user)
    }

    // MARK: The end

    /// Signs in, and sends the browser on with a code, or with the session where the flow has no challenge.
    private func finish(
        _ flow: ReturningFlow, _ profile: ExternalProfile, _ request: HTTPRequest
    ) async throws -> HTTPResponse {
        let identity = ExternalIdentity(
            provider: flow.provider.name, profile: profile, isEmailOptional: flow.isEmailOptional,
            linkingTargetID: flow.linkingTargetID, invitation: flow.invitation, redirect: flow.target)
        guard flow.hasChallenge else {
            let session = try await account(of: identity, request) { user, transaction in
                try await transaction.query("delete from auth.flow_state where id = \(flow.id)")
                return try await open(
                    NewSession(.oauth, request: request), for: user, traits: ["provider": .string(flow.provider.name)],
                    request, in: transaction)
            }
            counters.signIns.increment()
            return redirect(flow, session: session, profile.tokens)
        }
        let code = AuthCode.random()
        let access = try profile.tokens.access.map { try code.seal($0, in: flow.id, as: "access") }
        let refresh = try profile.tokens.refresh.map { try code.seal($0, in: flow.id, as: "refresh") }
        try await account(of: identity, request) { user, transaction in
            try await transaction.query(
                """
                update auth.flow_state
                set user_id = \(user), auth_code = \(code.stored), auth_code_issued_at = now(), updated_at = now(),
                    provider_access_token = \(access), provider_refresh_token = \(refresh)
                where id = \(flow.id)
                """)
        }
        return flow.target.adding(query: [("code", code.text)]).response(302)
    }

    private func redirect(_ flow: ReturningFlow, session: IssuedSession, _ tokens: ProviderTokens) -> HTTPResponse {
        flow.target.adding(session, tokens).response(302)
    }

    private func redirect(_ flow: ReturningFlow, _ members: [(name: String, value: String)]) -> HTTPResponse {
        flow.target.adding(refusal: members, isPKCE: flow.hasChallenge).response(302)
    }

    /// An error as a redirect tells it.
    private func told(_ error: any Error, _ request: HTTPRequest) -> [(name: String, value: String)] {
        let error = AuthError(error)
        counters.refused(error.code)
        if let cause = error.cause {
            log.warning(
                "external sign-in failed", .field("request_id", request.id), .field("code", error.code.rawValue),
                .field("cause", String(describing: cause)))
        }
        return error.redirectMembers
    }
}
