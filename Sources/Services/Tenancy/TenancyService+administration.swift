// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `/api/admin/tenants`: the operator's side, with the service key alone.
extension TenancyService {
    func registerAdministration(on router: inout Router) {
        let path = "/api/admin/tenants"
        group("/api/admin", on: &router) { router in
            router.on(.get, path, listAllTenants)
            router.on(.get, path + "/:tenant", showTenant)
            router.on(.patch, path + "/:tenant", maxBodyBytes: configuration.maxBodyBytes, choosePlan)
            for action in ["suspend", "resume", "restore"] {
                router.on(.post, path + "/:tenant/" + action, maxBodyBytes: configuration.maxBodyBytes) {
                    try await administer($0, action)
                }
            }
            router.on(.delete, path + "/:tenant") { try await administer($0, "delete") }
        }
    }

    private func operatorOf(_ request: HTTPRequest) throws -> Principal {
        let principal = try access.principal(for: request)
        guard principal.role == .serviceRole else { throw TenancyError(.forbidden, "The service key is needed") }
        return principal
    }

    private static let tenantJSON: PostgresQuery = """
        json_build_object(
            'id', t.id, 'name', t.name, 'slug', t.slug, 'personal', t.personal, 'owner_id', t.owner_id,
            'owner_email', (select p.email from tenancy.profiles as p where p.user_id = t.owner_id),
            'members', (select count(*) from tenancy.members as m where m.tenant_id = t.id),
            'plan', t.plan, 'status', t.status, 'isolation', t.isolation, 'suspended_by', t.suspended_by,
            'suspension_reason', t.suspension_reason, 'deleted_at', t.deleted_at, 'purge_at', t.purge_at,
            'created_at', t.created_at)
        """

    /// Parameters: `status`, `q` (part of the name, the slug or the owner's address), `limit`, `offset`.
    private func listAllTenants(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try operatorOf(request)
        let fields = FormFields(query: request.query ?? "")
        let status = fields.first("status")
        let wanted = fields.first("q").map { "%" + $0.replacing("\\", with: "\\\\").replacing("%", with: "\\%") + "%" }
        let limit =
            try Self.number(fields, "limit", 1...configuration.maxPageSize) ?? min(50, configuration.maxPageSize)
        let offset = try Self.number(fields, "offset", 0...1_000_000) ?? 0
        let condition: PostgresQuery = """
            (\(status)::text is null or t.status = \(status))
                and (
                    \(wanted)::text is null or t.name ilike \(wanted) or t.slug ilike \(wanted)
                    or exists (
                        select from tenancy.profiles as p where p.user_id = t.owner_id and p.email ilike \(wanted)
                    )
                )
            """
        let results = try await run(
            [
                """
                select json_build_object(
                    'total', (select count(*) from tenancy.tenants as t where \(condition)),
                    'tenants', (
                        select coalesce(json_agg(n.tenant order by n.created_at desc, n.id), '[]')
                        from (
                            select t.id, t.created_at, \(Self.tenantJSON) as tenant
                            from tenancy.tenants as t
                            where \(condition)
                            order by t.created_at desc, t.id
                            limit \(limit) offset \(offset)
                        ) as n
                    ))
                """
            ], as: caller, request)
        return try answer(results[0])
    }

    /// A whole number among the parameters; nil when it is not there.
    static func number(
        _ fields: FormFields, _ name: String, _ range: ClosedRange<Int>
    ) throws(TenancyError) -> Int? {
        guard let text = fields.first(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw TenancyError(
                .invalidRequest, "\(name) must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func named(_ request: HTTPRequest) throws(TenancyError) -> UUID {
        guard let id = request.parameters["tenant"].flatMap({ UUID($0) }) else {
            throw TenancyError(.notFound, "No such tenant")
        }
        return id
    }

    private static func selection(_ tenant: UUID) -> PostgresQuery {
        "select json_build_object('tenant', \(tenantJSON)) from tenancy.tenants as t where t.id = \(tenant)"
    }

    private func shown(_ result: PostgresResult) throws -> HTTPResponse {
        guard result.rowCount == 1 else { throw TenancyError(.notFound, "No such tenant") }
        return try answer(result)
    }

    private func showTenant(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try operatorOf(request)
        return try shown(try await run([Self.selection(try Self.named(request))], as: caller, request)[0])
    }

    private func choosePlan(_ request: HTTPRequest) async throws -> HTTPResponse {
        let caller = try operatorOf(request)
        let tenant = try Self.named(request)
        let body = try await RequestObject(of: request)
        let plan = try body.required("plan")
        guard body.members.count == 1 else { throw TenancyError(.invalidRequest, "Only plan can be changed") }
        let results = try await run(
            [
                "update tenancy.tenants as t set plan = \(plan) where t.id = \(tenant)", Self.selection(tenant),
            ], as: caller, request)
        return try shown(results[1])
    }

    private func administer(_ request: HTTPRequest, _ action: String) async throws -> HTTPResponse {
        let caller = try operatorOf(request)
        let tenant = try Self.named(request)
        var reason: String?
        if action == "suspend" { reason = try await Self.reason(request) }
        let results = try await run(
            [
                "select from tenancy.administer_tenant(\(tenant), \(action), \(reason))", Self.selection(tenant),
            ], as: caller, request)
        await tellStatus(of: tenant)
        return try shown(results[1])
    }
}
