// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

extension HTTPProbeRun {
    /// Keys, profile, membership, use and history of the other's tenant.
    mutating func crossTenancy() async throws {
        try progress.step("tenancy", 0, of: 1)
        try await crossSecrets()
        try await crossProfile()
        try await crossTenants()
    }

    private var visitors: [ProbeRequest.Caller] { [.member(mine), .visitor] }

    /// Whether a route is there at all; notes it where it is not.
    private mutating func serves(_ path: String, _ object: String) async throws -> Bool {
        let answer = try await send(ProbeRequest(.get, path, as: mine))
        if answer.status == 404 || answer.status == 405 {
            isUnserved("tenancy: \(object)")
            return false
        }
        return true
    }

    private mutating func crossSecrets() async throws {
        let path = "/api/user/api-keys"
        guard try await serves(path, "secrets") else { return }
        let name = "probe_" + other.tenant.marker.dropFirst(6)
        let stored = try await send(
            ProbeRequest(.post, path, as: other).json(["service_name": .string(name), "api_key": .string(other.mark)]))
        guard stored.isSuccess else {
            untried("tenancy", "secrets", .read, "no key could be stored: the server answered \(stored.status)")
            return
        }
        let tenant = encoded(other.tenant.tenantID.description)
        let user = encoded(other.tenant.userID.description)
        let state =
            "select md5(string_agg(s::text, '')) from tenancy.secrets as s where tenant_id = '\(other.tenant.tenantID)'"
        for caller in visitors {
            for query in ["", "?tenant_id=\(tenant)", "?user_id=\(user)", "?tenant=\(tenant)&user=\(user)"] {
                try await attempt("tenancy", "secrets", .list, ProbeRequest(.get, path + query, as: caller)) { answer in
                    answer.text.contains(name)
                }
            }
            for (action, request) in [
                (Crossing.Action.call, ProbeRequest(.post, "\(path)/\(name)/validate", as: caller).json([:])),
                (.update, ProbeRequest(.post, "\(path)/\(name)/revoke", as: caller).json([:])),
                (.delete, ProbeRequest(.delete, "\(path)?service_name=\(name)", as: caller)),
                (.delete, ProbeRequest(.delete, "\(path)?service_name=\(name)&tenant_id=\(tenant)", as: caller)),
                (
                    .insert,
                    ProbeRequest(.post, path, as: caller).json([
                        "service_name": .string(name), "api_key": "forged-forged-forged",
                        "tenant_id": .string(other.tenant.tenantID.description),
                        "user_id": .string(other.tenant.userID.description),
                    ])
                ),
            ] {
                let before = await value(state)
                let run = self
                try await attempt("tenancy", "secrets", action, request) { _ in await run.value(state) != before }
            }
        }
    }

    private mutating func crossProfile() async throws {
        let path = "/api/user/profile"
        guard try await serves(path, "profile") else { return }
        let state = "select md5(p::text) from tenancy.profiles as p where user_id = '\(other.tenant.userID)'"
        for caller in visitors {
            try await attempt(
                "tenancy", "profile", .read, ProbeRequest(.get, "\(path)?user_id=\(other.tenant.userID)", as: caller)
            ) { _ in false }
            let before = await value(state)
            let run = self
            let request = ProbeRequest(.patch, path, as: caller).json([
                "user_id": .string(other.tenant.userID.description), "full_name": "forged",
            ])
            try await attempt("tenancy", "profile", .update, request) { _ in await run.value(state) != before }
        }
    }

    private mutating func crossTenants() async throws {
        guard try await serves("/api/tenants", "tenants") else { return }
        let tenant = other.tenant.tenantID.description
        let user = other.tenant.userID.description
        let state = """
            select md5(concat_ws('|',
                (select t::text from tenancy.tenants as t where id = '\(tenant)'),
                (select string_agg(m::text, ',' order by m::text) from tenancy.members as m where tenant_id = '\(tenant)'),
                (select string_agg(m::text, ',' order by m::text) from tenancy.members as m where user_id = '\(user)'),
                (select s::text from tenancy.settings as s where tenant_id = '\(tenant)')))
            """
        for caller in visitors {
            for (object, path) in [
                ("tenants", "/api/tenants"), ("tenants", "/api/tenants/current"),
                ("export", "/api/tenants/current/export"),
                ("tenants", "/api/tenants/\(tenant)"), ("export", "/api/tenants/\(tenant)/export"),
                ("members", "/api/members"), ("invitations", "/api/invitations"), ("usage", "/api/usage"),
                ("audit log", "/api/audit"), ("set-up", "/api/setup"),
            ] {
                for query in ["", "?tenant_id=\(tenant)&user_id=\(user)"] {
                    try await attempt("tenancy", object, .read, ProbeRequest(.get, path + query, as: caller)) { _ in
                        false
                    }
                }
            }
            let changes: [(String, Crossing.Action, ProbeRequest)] = [
                ("members", .update, ProbeRequest(.patch, "/api/members/\(user)", as: caller).json(["role": "member"])),
                ("members", .delete, ProbeRequest(.delete, "/api/members/\(user)", as: caller)),
                (
                    "tenants", .update,
                    ProbeRequest(.patch, "/api/tenants/\(tenant)", as: caller).json(["name": "forged"])
                ),
                (
                    "tenants", .update,
                    ProbeRequest(.patch, "/api/tenants/current", as: caller).json([
                        "id": .string(tenant), "tenant_id": .string(tenant), "name": "forged",
                    ])
                ),
                ("tenants", .delete, ProbeRequest(.delete, "/api/tenants/\(tenant)", as: caller)),
                ("administration", .read, ProbeRequest(.get, "/api/admin/tenants/\(tenant)", as: caller)),
                ("administration", .list, ProbeRequest(.get, "/api/admin/tenants", as: caller)),
                (
                    "administration", .update,
                    ProbeRequest(.patch, "/api/admin/tenants/\(tenant)", as: caller).json(["plan": "enterprise"])
                ),
                (
                    "administration", .update,
                    ProbeRequest(.post, "/api/admin/tenants/\(tenant)/suspend", as: caller).json([:])
                ),
                ("administration", .delete, ProbeRequest(.delete, "/api/admin/tenants/\(tenant)", as: caller)),
                (
                    "tenants", .move,
                    ProbeRequest(.post, "/api/tenants/\(tenant)/transfer", as: caller).json([
                        "user_id": .string(mine.tenant.userID.description)
                    ])
                ),
                (
                    "invitations", .insert,
                    ProbeRequest(.post, "/api/invitations/accept", as: caller).json([
                        "token": .string(other.mark.replacing("kept", with: "")), "tenant_id": .string(tenant),
                    ])
                ),
            ]
            for (object, action, request) in changes {
                let before = await value(state)
                let run = self
                try await attempt("tenancy", object, action, request) { _ in await run.value(state) != before }
            }
            for body: JSON in [
                ["tenant_id": .string(tenant)], ["tenant_id": .string(tenant), "user_id": .string(user)],
            ] {
                let request = ProbeRequest(.post, "/api/tenants/switch", as: caller).json(body)
                try await attempt("tenancy", "tenants", .forge, request) { $0.isSuccess }
            }
        }
        try await crossInvitation()
        try await crossFormerMember()
    }

    /// An invitation of the other's, seen and withdrawn by its id.
    private mutating func crossInvitation() async throws {
        guard let invitations = catalog.relation("tenancy", "invitations") else { return }
        var maker = foreign
        let run = self
        let filler = RowFiller { statement in await run.run(statement) }
        if let reason = try await filler.fill(invitations, &maker) {
            untried("tenancy", "invitations", .delete, reason)
            return
        }
        foreign = maker
        guard let row = maker.rows[invitations.id], let id = row["id"].flatMap(RowMaker.text),
            let identity = invitations.identity(of: row)
        else { return }
        let state = "select md5(t::text) from \(invitations.quotedName) as t where \(identity)"
        for caller in visitors {
            for (action, request) in [
                (Crossing.Action.read, ProbeRequest(.get, "/api/invitations/\(id)", as: caller)),
                (.delete, ProbeRequest(.delete, "/api/invitations/\(id)", as: caller)),
            ] {
                let before = await value(state)
                try await attempt("tenancy", "invitations", action, request) { _ in await run.value(state) != before }
            }
        }
    }

    /// Somebody who was a member and holds a token that still says so.
    private mutating func crossFormerMember() async throws {
        let tenant = quoteLiteral(other.tenant.tenantID.description)
        let user = quoteLiteral(mine.tenant.userID.description)
        let joined = await run(
            "insert into tenancy.members (tenant_id, user_id, role) values (\(tenant), \(user), 'admin') on conflict do nothing"
        )
        let leave = "delete from tenancy.members where tenant_id = \(tenant) and user_id = \(user)"
        guard case .success = joined else { return }
        let switched: ProbeAnswer
        do {
            switched = try await send(
                ProbeRequest(.post, "/api/tenants/switch", as: mine).json([
                    "tenant_id": .string(other.tenant.tenantID.description)
                ]))
        } catch {
            _ = await run(leave)
            throw error
        }
        guard case .success = await run(leave) else { return }
        guard switched.isSuccess, let token = Self.accessToken(switched.json) else {
            untried(
                "tenancy", "a former member", .read,
                "no token for another tenant: the server answered \(switched.status)")
            return
        }
        let former = ProbeSession(
            tenant: mine.tenant, password: mine.password, token: SecretString(token), refreshToken: SecretString(""),
            mark: mine.mark)
        var paths = [
            "/api/tenants/current", "/api/members", "/api/user/api-keys", "/api/usage", "/api/audit",
            "/vectors/v1/collections",
        ]
        for table in catalog.probedTables
        where table.schema == settings.exposedSchemas.first && foreign.rows[table.id] != nil {
            paths.append("/rest/v1/\(encoded(table.name))?limit=100")
        }
        let leaking = Set(
            crossings.filter { $0.outcome == .leaked }.map {
                $0.object.split(separator: ".").last.map(String.init) ?? ""
            })
        for path in paths where !leaking.contains(where: { path.hasPrefix("/rest/v1/\($0)?") }) {
            try await attempt("tenancy", "a former member", .read, ProbeRequest(.get, path, as: former)) { _ in false }
        }
    }

    private static func accessToken(_ answer: JSON) -> String? {
        answer["access_token"]?.stringValue ?? answer["session"]?["access_token"]?.stringValue
    }
}
