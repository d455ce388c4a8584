// SPDX-License-Identifier: Apache-2.0
internal import Cryptography
internal import HTTP
internal import HTTPClient
internal import Postgres
internal import Primitives

/// Makes real accounts and signs them in.
struct ProbeAccounts {
    let server: ProbeServer
    let client: HTTPClient
    let database: Database

    /// An account with a confirmed address, its personal tenant, and a session.
    ///
    /// - Throws: ``ProbeError``.
    func make(_ name: String) async throws -> ProbeSession {
        let email = ProbeTenant.address(name)
        let password = SecretString("Probe-1-" + randomText(32))
        let made = try await server.send(
            ProbeRequest(.post, "/auth/v1/admin/users", as: .service).json([
                "email": .string(email), "password": .string(password.reveal()), "email_confirm": true,
            ]), by: client)
        guard made.isSuccess, let id = made.json["id"]?.stringValue.flatMap({ UUID($0) }) else {
            throw ProbeError(description: "the server made no account for the probe: it answered \(made.status)")
        }
        let (token, refreshToken) = try await tokens(email, password)
        let row = try await database.query(
            "select raw_app_meta_data ->> 'tenant_id' as tenant from auth.users where id = \(id)")
        guard let tenant = row.onlyRow?["tenant"].uuid else {
            throw ProbeError(description: "the probe's account has no tenant; is this the server's database?")
        }
        return ProbeSession(
            tenant: ProbeTenant(userID: id, tenantID: tenant, email: email), password: password, token: token,
            refreshToken: refreshToken, mark: "kept" + randomText(24, from: "abcdefghijklmnopqrstuvwxyz"))
    }

    /// The same person with a new token, which says what the account says now.
    ///
    /// - Throws: ``ProbeError``.
    func signIn(_ session: ProbeSession) async throws -> ProbeSession {
        let (token, refreshToken) = try await tokens(session.tenant.email, session.password)
        return ProbeSession(
            tenant: session.tenant, password: session.password, token: token, refreshToken: refreshToken,
            mark: session.mark)
    }

    private func tokens(_ email: String, _ password: SecretString) async throws -> (SecretString, SecretString) {
        let answer = try await server.send(
            ProbeRequest(.post, "/auth/v1/token?grant_type=password", as: .visitor).json([
                "email": .string(email), "password": .string(password.reveal()),
            ]), by: client)
        guard answer.isSuccess, let token = answer.json["access_token"]?.stringValue else {
            throw ProbeError(description: "the probe's account could not sign in: the server answered \(answer.status)")
        }
        return (SecretString(token), SecretString(answer.json["refresh_token"]?.stringValue ?? ""))
    }
}
