// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

extension TenancyService {
    /// `{"apiKeys": [{service_name, is_active, created_at}]}`: the keys themselves never leave.
    func listKeys(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let results = try await run(
            [
                Self.hasTenant,
                """
                select json_build_object(
                    'apiKeys',
                    coalesce(
                        json_agg(
                            json_build_object(
                                'service_name', s.service_name, 'is_active', s.is_active, 'created_at', s.created_at)
                            order by s.service_name),
                        '[]'))
                from tenancy.secrets as s
                where s.is_active
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
        let key = SecretString(try body.required("api_key"))
        let service = try ServiceName(name).text
        guard key.bytes.count <= configuration.maxSecretBytes else {
            throw TenancyError(
                .invalidRequest, "api_key must have at most \(configuration.maxSecretBytes) bytes")
        }
        guard let tenant = person.tenantID, let user = person.userID else { throw TenancyError.noTenant }
        let envelope = try vault.seal(key, tenant: tenant, service: service)

        // An upsert would have to read the envelope, which nobody may. The row is there after the first statement, whoever
        // made it, so that the second always finds it; it changes nothing when it was the first that made it.
        let results = try await run(
            [
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
            ], as: person, request)
        try requireTenant(results)
        // Row level security hides the row of a tenant whose keys this member may not change.
        guard results[2].affectedRows == 1 else { throw TenancyError(.forbidden, "Forbidden") }
        return .json(["success": true])
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
        guard results[1].affectedRows == 1 else { throw TenancyError(.notFound, "No such API key") }
        return .json(["success": true])
    }

    /// Whether the tenant of the token is open to the person now.
    static var hasTenant: PostgresQuery { "select tenancy.current_tenant() is not null" }

    /// - Parameter results: of a unit that begins with ``hasTenant``.
    func requireTenant(_ results: [PostgresResult]) throws(TenancyError) {
        guard let row = results.first?.onlyRow, row[0].bool == true else { throw .noTenant }
    }
}
