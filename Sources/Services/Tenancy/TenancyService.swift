// SPDX-License-Identifier: Apache-2.0
package import HTTP
package import Platform
package import Postgres
package import Primitives

/// A signed-in person's profile and the API keys of their tenant, under `/api/user`.
///
/// Every statement runs as the person, under row level security; the service adds no conditions of its own on tenants.
package struct TenancyService: Sendable {
    let configuration: TenancyConfiguration
    let database: Database
    let access: AccessControl
    let vault: SecretVault
    let validator: KeyValidator
    private let log: Log

    /// - Parameter database: logs in as `authenticator`.
    package init(
        configuration: TenancyConfiguration = TenancyConfiguration(), database: Database, access: AccessControl,
        vault: SecretVault, validator: KeyValidator, log: Log
    ) {
        precondition(configuration.maxSecretBytes <= TenancyConfiguration.secretByteLimit, "the database has less room")
        self.configuration = configuration
        self.database = database
        self.access = access
        self.vault = vault
        self.validator = validator
        self.log = log.with(.field("service", "tenancy"))
    }

    /// Adds the routes of `/api/user`.
    package func register(on router: inout Router) {
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
