// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `/api/tenants`: a person's tenants, and the one they work in.
extension TenancyService {
    func registerTenants(on router: inout Router) {
        let maxBytes = configuration.maxBodyBytes
        group("/api/tenants", on: &router) { router in
            router.on(.get, "/api/tenants", listTenants)
            router.on(.post, "/api/tenants", maxBodyBytes: maxBytes, createTeam)
            router.on(.post, "/api/tenants/switch", maxBodyBytes: maxBytes, switchTenant)
            router.on(.get, "/api/tenants/current", currentTenant)
            router.on(.patch, "/api/tenants/current", maxBodyBytes: maxBytes, changeTenant)
            router.on(.get, "/api/tenants/current/export", export)
            router.on(.post, "/api/tenants/current/leave", leave)
            router.on(.post, "/api/tenants/current/transfer", maxBodyBytes: maxBytes, transfer)
            // A tenant that is suspended or deleted is named by its id as well: no token could work in it.
            for tenant in ["current", ":tenant"] {
                let path = "/api/tenants/\(tenant)"
                router.on(.delete, path) { try await changeStatus($0, "delete") }
                router.on(.post, path + "/suspend", maxBodyBytes: maxBytes) { try await changeStatus($0, "suspend") }
                router.on(.post, path + "/resume") { try await changeStatus($0, "resume") }
                router.on(.post, path + "/restore") { try await changeStatus($0, "restore") }
            }
        }
    }

    /// A tenant as its members see it, of `tenancy.tenants as t` and the caller's `tenancy.members as m`.
    private static let tenantJSON: PostgresQuery = """
        json_build_object(
            'id', t.id, 'name', t.name, 'slug', t.slug, 'domain', t.domain, 'personal', t.personal, 'role', m.role,
            'is_current', coalesce(t.id = (select tenancy.current_tenant()), false), 'owner_id', t.owner_id,
            'plan', t.plan, 'status', t.status, 'isolation', t.isolation, 'metadata', t.metadata,
            'suspended_at', t.suspended_at, 'suspended_by', t.suspended_by, 'suspension_reason', t.suspension_reason,
            'deleted_at', t.deleted_at, 'purge_at', t.purge_at, 'created_at', t.created_at, 'updated_at', t.updated_at)
        """

    /// The caller's memberships with their tenants.
    private static let memberships: PostgresQuery = """
        from tenancy.tenants as t
        inner join tenancy.members as m on m.tenant_id = t.id and m.user_id = (select auth.uid())
        """

    private static func selection(of tenant: UUID) -> PostgresQuery {
        "select json_build_object('tenant', \(tenantJSON)) \(memberships) where t.id = \(tenant)"
    }

    private static let currentSelection: PostgresQuery = """
        select json_build_object('tenant', \(tenantJSON)) \(memberships) where t.id = (select tenancy.current_tenant())
        """

    /// `{"tenants": [...], "current": id}`.
    private func listTenants(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let results = try await run(
            [
                """
                select json_build_object(
                    'current', (select tenancy.current_tenant()),
                    'tenants',
                    coalesce(json_agg(\(Self.tenantJSON) order by t.personal desc, t.created_at, t.id), '[]'))
                \(Self.memberships)
                """
            ], as: person, request)
        return try answer(results[0])
    }

    private func createTeam(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let body = try await RequestObject(of: request)
        let name = try Self.tenantName(try body.required("name"))
        let metadata = try Self.metadata(body.members["metadata"]) ?? [:]
        let slug = try body.optional("slug")
        let made = try await run(
            ["select tenancy.create_team(\(name), \(metadata)::jsonb, \(slug)) as id"], as: person, request)
        guard let id = made[0].onlyRow?["id"].uuid else { throw TenancyError(.internalError, "Internal error") }
        let results = try await run([Self.selection(of: id)], as: person, request)
        var response = try answer(results[0])
        response.status = .created
        return response
    }

    private func currentTenant(_ request: HTTPRequest) async throws -> HTTPResponse {
        try answer(try await run([Self.currentSelection], as: try person(request), request)[0])
    }

    /// Name and metadata, by an admin; the members that are there.
    private func changeTenant(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let body = try await RequestObject(of: request)
        guard !body.members.isEmpty else { throw TenancyError.missingFields }
        guard body.members.allSatisfy({ $0.name == "name" || $0.name == "metadata" }) else {
            throw TenancyError(.invalidRequest, "Only name and metadata can be changed")
        }
        let name = try body.members["name"].map { value throws(TenancyError) in
            try Self.tenantName(value.stringValue ?? "")
        }
        let metadata = try Self.metadata(body.members["metadata"])
        let results = try await run(
            [
                Self.hasTenant,
                """
                update tenancy.tenants as t
                set name = coalesce(\(name), t.name), metadata = coalesce(\(metadata)::jsonb, t.metadata)
                where t.id = (select tenancy.current_tenant())
                """,
                Self.currentSelection,
            ], as: person, request)
        try requireTenant(results)
        // Row level security hides the row from who may not change it.
        guard results[1].affectedRows == 1 else {
            throw TenancyError(.forbidden, "Only owners and admins change the tenant")
        }
        return try answer(results[2])
    }

    private static func tenantName(_ text: String) throws(TenancyError) -> String {
        let name = String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        guard (1...200).contains(name.unicodeScalars.count), !name.unicodeScalars.contains(where: { $0.value < 32 })
        else { throw TenancyError(.invalidRequest, "name must be a line of 1 to 200 characters") }
        return name
    }

    private static func metadata(_ value: JSON?) throws(TenancyError) -> JSON? {
        guard let value else { return nil }
        guard value.objectValue != nil else { throw TenancyError(.invalidRequest, "metadata must be an object") }
        return value
    }

    // MARK: Switching

    /// Has the token's session work in another of the person's tenants: answers with the session and its new tokens, which a
    /// client takes over as it does those of a refresh.
    private func switchTenant(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let tenant = try await RequestObject(of: request).requiredID("tenant_id")
        guard let user = person.userID, let session = person.sessionID else {
            throw TenancyError(.noSession, "The token was not issued in a session")
        }
        guard let switchTenant = parts.switchTenant else { throw TenancyError(.notFound, "Not available") }
        switch try await switchTenant(user, session, tenant, request) {
        case .switched(let session):
            var response = HTTPResponse.json(session)
            response.headers.append("Cache-Control", "private, no-store")
            return response
        case .notAMember: throw TenancyError(.notFound, "No such tenant")
        case .noSession: throw TenancyError(.noSession, "The session is over")
        }
    }

    // MARK: Status

    /// The tenant a path names: the token's, whatever its status, or one by id. The database looks whose it is.
    private func namedTenant(_ request: HTTPRequest, _ person: Principal) throws -> UUID {
        if let text = request.parameters["tenant"] {
            guard let id = UUID(text) else { throw TenancyError(.notFound, "No such tenant") }
            return id
        }
        guard let tenant = person.tenantID else { throw TenancyError.noTenant }
        return tenant
    }

    private func changeStatus(_ request: HTTPRequest, _ action: String) async throws -> HTTPResponse {
        let person = try person(request)
        let tenant = try namedTenant(request, person)
        var reason: String?
        if action == "suspend" { reason = try await Self.reason(request) }
        let results = try await run(
            [
                "select from tenancy.change_own_tenant(\(tenant), \(action), \(reason))",
                Self.selection(of: tenant),
            ], as: person, request)
        await tellStatus(of: tenant)
        return try answer(results[1])
    }

    /// Lets the gateway know at once. What is committed stays so if that fails: the database announces it besides.
    func tellStatus(of tenant: UUID) async {
        do { try await parts.statusChanged?(tenant) } catch {
            log.warning("status of a tenant not told", .field("cause", String(describing: error)))
        }
    }

    /// The member `reason` of a body that may be missing.
    static func reason(_ request: HTTPRequest) async throws -> String? {
        let bytes = try await request.body.collect()
        guard !bytes.isEmpty else { return nil }
        let reason = try RequestObject(bytes: bytes).optional("reason")
        guard (reason?.unicodeScalars.count ?? 0) <= 1000 else {
            throw TenancyError(.invalidRequest, "reason must have at most 1000 characters")
        }
        return reason
    }
}
