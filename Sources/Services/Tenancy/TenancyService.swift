// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
package import Postgres
package import Primitives

/// Tenants, members, invitations, use, and what people keep in their tenant, under `/api`.
///
/// Every statement runs as the person, under row level security; the service adds no conditions of its own on tenants.
package struct TenancyService: Sendable {
    let configuration: TenancyConfiguration
    let database: Database
    let access: AccessControl
    let vault: SecretVault
    let validator: KeyValidator
    let parts: TenancyParts
    let log: Log

    /// - Parameters:
    ///   - database: logs in as `authenticator`.
    ///   - parts: what comes from other services.
    package init(
        configuration: TenancyConfiguration = TenancyConfiguration(), database: Database, access: AccessControl,
        vault: SecretVault, validator: KeyValidator, parts: TenancyParts = TenancyParts(), log: Log
    ) {
        precondition(configuration.maxSecretBytes <= TenancyConfiguration.secretByteLimit, "the database has less room")
        self.configuration = configuration
        self.database = database
        self.access = access
        self.vault = vault
        self.validator = validator
        self.parts = parts
        self.log = log.with(.field("service", "tenancy"))
    }

    /// Adds the routes.
    package func register(on router: inout Router) {
        registerTenants(on: &router)
        registerMembers(on: &router)
        registerInvitations(on: &router)
        registerReports(on: &router)
        registerAdministration(on: &router)
        router.group("/api/user", errors: answer) { router in
            let maxBytes = configuration.maxBodyBytes
            router.on(.get, "/api/user/api-keys", listKeys)
            router.on(.post, "/api/user/api-keys", maxBodyBytes: maxBytes, storeKey)
            router.on(.delete, "/api/user/api-keys", maxBodyBytes: maxBytes, deleteKey)
            router.on(.post, "/api/user/api-keys/:service/validate", maxBodyBytes: maxBytes, validateKey)
            router.on(.post, "/api/user/api-keys/:service/revoke", maxBodyBytes: maxBytes, revokeKey)
            router.on(.get, "/api/user/profile", profile)
            router.on(.patch, "/api/user/profile", maxBodyBytes: maxBytes, changeProfile)
        }
        router.group("/api/overview", errors: answer) { router in
            router.on(.get, "/api/overview", overview)
        }
    }

    /// The signed-in person a request speaks for.
    ///
    /// - Throws: ``TenancyError`` with `unauthorized`, also for the service key: it is nobody's.
    func person(_ request: HTTPRequest) throws -> Principal {
        let principal = try access.principal(for: request)
        guard principal.role == .authenticated, principal.userID != nil else { throw TenancyError.unauthorized }
        return principal
    }

    /// Runs queries as the person, with the request's id for the audit log.
    func run(_ queries: [PostgresQuery], as person: Principal, _ request: HTTPRequest) async throws -> [PostgresResult]
    {
        try await run(queries, as: person, requestID: request.id)
    }

    func run(
        _ queries: [PostgresQuery], as person: Principal, requestID: String
    ) async throws -> [PostgresResult] {
        var unit = person.unit(queries)
        unit.settings.append((name: "request.id", value: requestID))
        return try await database.run(unit)
    }

    /// What a transaction in the person's name begins with, as a unit's does.
    func settings(of person: Principal, requestID: String) -> [(name: String, value: String)] {
        person.unit([]).settings + [(name: "request.id", value: requestID)]
    }

    /// A body that is the person's alone: no cache may keep it.
    func privateJSON(_ bytes: any BytesOwner) -> HTTPResponse {
        var response = HTTPResponse(.ok, body: .lent(bytes))
        response.headers.append("Content-Type", "application/json")
        response.headers.append("Cache-Control", "private, no-store")
        return response
    }

    /// The value of a query of one row and one column, as it is.
    func answer(_ result: PostgresResult) throws -> HTTPResponse {
        guard result.rowCount == 1, !result.isNull(0, 0) else { throw TenancyError.noTenant }
        return privateJSON(result.value(0, 0))
    }

    /// A group of routes under `/api` with Tenancy's way of answering errors.
    func group(_ path: String, on router: inout Router, _ build: (inout Router) -> Void) {
        router.group(path, errors: answer, build)
    }

    /// The one place that turns errors into responses.
    func answer(_ error: any Error, to request: HTTPRequest) -> HTTPResponse {
        let error = TenancyError(error)
        if let cause = error.cause, error.code.status.code >= 500 {
            log.error(
                "tenancy request failed", .field("request_id", request.id), .field("code", error.code.rawValue),
                .field("cause", String(describing: cause)))
        }
        return error.response
    }
}
