// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension TenancyService {
    /// `{"apiKeys": [{service_name, is_active, created_at, ...}]}`: the keys themselves never leave. `?all=true` lists those that
    /// were revoked, too.
    func listKeys(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let showsRevoked = request.query.flatMap { FormFields(query: $0).first("all") } == "true"
        let results = try await run(
            [
                Self.hasTenant,
                """
                select json_build_object(
                    'apiKeys',
                    coalesce(
                        json_agg(
                            json_build_object(
                                'service_name', s.service_name, 'is_active', s.is_active, 'created_at', s.created_at,
                                'updated_at', s.updated_at, 'last_used_at', s.last_used_at,
                                'validation', s.validation, 'validated_at', s.validated_at)
                            order by s.service_name),
                        '[]'))
                from tenancy.secrets as s
                where s.is_active or \(showsRevoked)
                """,
            ], as: person, request)
        try requireTenant(results)
        return privateJSON(results[1].value(0, 0))
    }

    /// Seals a key and stores it in the place of an earlier one of the same service.
    func storeKey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let body = try await RequestObject(of: request)
        let name = try body.required("service_name")
        let given = try GivenKey(try body.required("api_key"), "api_key", configuration)
        guard let key = given.secret else { throw TenancyError.missingFields }
        let service = try ServiceName(name).text
        try await store(key, service: service, validation: nil, as: person, requestID: request.id)
        return .json(["success": true])
    }

    /// Seals a key and stores it for the person's tenant.
    ///
    /// - Parameters:
    ///   - service: a ``ServiceName``.
    ///   - validation: what the service said of it; nil when it was not asked.
    func store(
        _ key: SecretString, service: String, validation: String?, as person: Principal, requestID: String
    ) async throws {
        guard let tenant = person.tenantID, let user = person.userID else { throw TenancyError.noTenant }
        let envelope = try vault.seal(key, tenant: tenant, service: service)

        // An upsert would have to read the envelope, which nobody may. The row is there after the first statement, whoever
        // made it, so that the second always finds it; it changes nothing when it was the first that made it.
        var queries: [PostgresQuery] = [
            Self.hasTenant,
            """
            insert into tenancy.secrets (tenant_id, user_id, service_name, envelope)
            select \(tenant), \(user), \(service), \(envelope)
            where (select tenancy.current_tenant()) is not null
            on conflict (tenant_id, service_name) do nothing
            """,
            """
            update tenancy.secrets
            set envelope = \(envelope), user_id = \(user), is_active = true
            where tenant_id = \(tenant) and service_name = \(service)
            """,
        ]
        if let validation { queries.append("select tenancy.record_validation(\(service), \(validation))") }
        let results = try await run(queries, as: person, requestID: requestID)
        try requireTenant(results)
        // Row level security hides the row of a tenant whose keys this member may not change.
        guard results[2].affectedRows == 1 else { throw TenancyError(.forbidden, "Forbidden") }
    }

    /// Removes the key named by the query parameter or the member `service_name`.
    func deleteKey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let name: String
        if let parameter = request.query.flatMap({ FormFields(query: $0).first("service_name") }) {
            name = parameter
        } else {
            let bytes = try await request.body.collect()
            guard !bytes.isEmpty else { throw TenancyError.missingFields }
            name = try RequestObject(bytes: bytes).required("service_name")
        }
        let service = try ServiceName(name).text
        let results = try await run(
            [
                Self.hasTenant,
                "delete from tenancy.secrets where tenant_id = (select tenancy.current_tenant()) and service_name = \(service)",
            ], as: person, request)
        try requireTenant(results)
        guard results[1].affectedRows == 1 else { throw Self.noSuchKey }
        return .json(["success": true])
    }

    /// Keeps a key and lets nobody use it; storing one anew ends that.
    func revokeKey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let service = try ServiceName(request.parameters["service"] ?? "").text
        let results = try await run(
            [
                Self.hasTenant,
                "select from tenancy.secrets where service_name = \(service)",
                """
                update tenancy.secrets
                set is_active = false, user_id = (select auth.uid())
                where tenant_id = (select tenancy.current_tenant()) and service_name = \(service)
                """,
            ], as: person, request)
        try requireTenant(results)
        guard results[1].rowCount == 1 else { throw Self.noSuchKey }
        guard results[2].affectedRows == 1 else { throw TenancyError(.forbidden, "Forbidden") }
        return .json(["success": true])
    }

    /// Asks the service whether it takes the tenant's key, or the one in the body, which is not stored.
    func validateKey(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let service = try ServiceName(request.parameters["service"] ?? "").text
        let bytes = try await request.body.collect()
        let given = bytes.isEmpty ? nil : try RequestObject(bytes: bytes).members["api_key"]?.stringValue
        try requireTenant(try await run([Self.hasTenant], as: person, request))
        let outcome: KeyValidator.Outcome
        if let given {
            guard let key = try GivenKey(given, "api_key", configuration).secret else {
                throw TenancyError.missingFields
            }
            outcome = try await validator.outcome(of: key, for: service) { try await vault.secret(for: $0, of: person) }
        } else {
            guard let key = try await vault.secret(for: service, of: person) else { throw Self.noSuchKey }
            outcome = try await validator.outcome(of: key, for: service) { try await vault.secret(for: $0, of: person) }
            if let stored = outcome.stored {
                _ = try await run(["select tenancy.record_validation(\(service), \(stored))"], as: person, request)
            }
        }
        var response = HTTPResponse.json([
            "service_name": .string(service), "validation": JSON(outcome.stored),
            "valid": outcome == .valid ? true : outcome == .invalid ? false : nil, "message": JSON(outcome.message),
        ])
        response.headers.append("Cache-Control", "private, no-store")
        return response
    }

    private static var noSuchKey: TenancyError { TenancyError(.notFound, "No such API key") }

    /// Whether the tenant of the token is open to the person now.
    static var hasTenant: PostgresQuery { "select tenancy.current_tenant() is not null" }

    /// - Parameter results: of a unit that begins with ``hasTenant``.
    func requireTenant(_ results: [PostgresResult]) throws(TenancyError) {
        guard let row = results.first?.onlyRow, row[0].bool == true else { throw .noTenant }
    }
}
