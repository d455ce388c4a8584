// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

extension HTTPProbeRun {
    /// The other's account: its address, sign-in methods and sessions.
    mutating func crossAccounts() async throws {
        try progress.step("auth", 0, of: 1)
        let id = other.tenant.userID.description
        let admin = "/auth/v1/admin/users"
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            let attempts: [(Crossing.Action, ProbeRequest)] = [
                (.list, ProbeRequest(.get, admin, as: caller)),
                (.read, ProbeRequest(.get, "\(admin)/\(id)", as: caller)),
                (.update, ProbeRequest(.put, "\(admin)/\(id)", as: caller).json(["app_metadata": ["forged": true]])),
                (
                    .insert,
                    ProbeRequest(.post, admin, as: caller).json(["email": .string(ProbeTenant.address("probe-c"))])
                ),
                (
                    .sign,
                    ProbeRequest(.post, "/auth/v1/admin/generate_link", as: caller).json([
                        "type": "magiclink", "email": .string(other.tenant.email),
                    ])
                ),
                (.list, ProbeRequest(.get, "\(admin)/\(id)/factors", as: caller)),
                (.delete, ProbeRequest(.delete, "\(admin)/\(id)", as: caller)),
            ]
            for (action, request) in attempts {
                try await attempt("auth", "administration", action, request) { $0.isSuccess }
            }
        }
        // What one may say of oneself must stay about oneself: no tenant, no role, no other id.
        let stolen: JSON = ["tenant_id": .string(other.tenant.tenantID.description)]
        for body: JSON in [
            ["role": "service_role"], ["aud": "service_role", "is_super_admin": true], ["app_metadata": stolen],
            ["id": .string(id), "user_id": .string(id), "data": ["probe": true]],
        ] {
            let run = self
            let request = ProbeRequest(.put, "/auth/v1/user", as: mine).json(body)
            try await attempt("auth", "one's own account", .forge, request) { _ in
                await run.value(
                    "select raw_app_meta_data ->> 'tenant_id' || role from auth.users where id = '\(run.mine.tenant.userID)'"
                )
                    != "\(run.mine.tenant.tenantID)authenticated"
            }
        }
        try await crossFactors()
    }

    /// Policies that believe what callers say of themselves, in their account's metadata or in a request's fields: told that one is
    /// the other.
    mutating func crossClaims() async throws {
        let ids = [other.tenant.userID.description, other.tenant.tenantID.description]
        let reachable = catalog.projectPolicies().filter { _, table in
            settings.exposedSchemas.contains(table.schema) && foreign.rows[table.id] != nil
                && table.allows("SELECT", to: "authenticated")
        }
        let run = self
        for (policy, table) in reachable {
            let strings = [policy.using, policy.check].compactMap { $0 }.flatMap(\.strings)
            let path = "/rest/v1/\(encoded(table.name))?select=*&limit=100"
            let request = ProbeRequest(.get, path, as: mine).with("accept-profile", table.schema)
            let names = strings.filter { !["user_metadata", "raw_user_meta_data", "app_metadata"].contains($0) }
            if strings.contains("user_metadata") || strings.contains("raw_user_meta_data") {
                for id in ids {
                    guard let liar = try await session(saying: JSONObject(names.map { ($0, .string(id)) })) else {
                        continue
                    }
                    var lie = request
                    lie.caller = .member(liar)
                    let fix = "Decide by app_metadata or a table of memberships: user_metadata is its user's to write."
                    try await attempt("rest", table.qualifiedName, .forge, lie, fix: fix) { answer in
                        run.showsOther(answer, of: table)
                    }
                }
                _ = try await session(saying: JSONObject(names.map { ($0, .null) }))
            }
            if strings.contains("request.headers") || strings.contains("request.cookies") {
                for id in ids {
                    var lie = request
                    for name in names where !name.hasPrefix("request.") {
                        lie =
                            strings.contains("request.headers")
                            ? lie.with(name.lowercased(), id) : lie.with("cookie", "\(name)=\(id)")
                    }
                    let fix = "Decide by the token's claims: whoever sends a request writes its fields."
                    try await attempt("rest", table.qualifiedName, .forge, lie, fix: fix) { answer in
                        run.showsOther(answer, of: table)
                    }
                }
            }
        }
    }

    /// Whether the other's row is in an answer.
    private func showsOther(_ answer: ProbeAnswer, of table: Catalog.Relation) -> Bool {
        guard answer.isSuccess, let theirs = foreign.rows[table.id], !table.primaryKey.isEmpty else { return false }
        return (answer.json.arrayValue ?? []).contains { row in
            table.primaryKey.allSatisfy { row[$0] != nil && row[$0] == theirs[$0] }
        }
    }

    /// A session of one's own whose token carries this metadata; nil where the server does not take it.
    private func session(saying data: JSONObject) async throws -> ProbeSession? {
        let changed = try await send(ProbeRequest(.put, "/auth/v1/user", as: mine).json(["data": .object(data)]))
        guard changed.isSuccess else { return nil }
        return try await ProbeAccounts(server: server, client: client, database: database).signIn(mine)
    }

    private mutating func crossFactors() async throws {
        let enrolled = try await send(
            ProbeRequest(.post, "/auth/v1/factors", as: other).json(["factor_type": "totp", "friendly_name": "probe"]))
        var made = enrolled.isSuccess ? enrolled.json["id"]?.stringValue : nil
        if made == nil {
            // A project need not let anybody enrol; the factors there are must be kept apart all the same.
            made = await value(
                """
                insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at)
                values (gen_random_uuid(), '\(other.tenant.userID)', 'probe', 'totp', 'unverified', now(), now())
                returning id
                """)
        }
        guard let factor = made else {
            untried("auth", "factors", .delete, "no factor could be enrolled: the server answered \(enrolled.status)")
            return
        }
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            for (action, request) in [
                (
                    Crossing.Action.call,
                    ProbeRequest(.post, "/auth/v1/factors/\(factor)/challenge", as: caller).json([:])
                ),
                (
                    .update,
                    ProbeRequest(.post, "/auth/v1/factors/\(factor)/verify", as: caller).json([
                        "challenge_id": .string(factor), "code": "000000",
                    ])
                ),
                (.delete, ProbeRequest(.delete, "/auth/v1/factors/\(factor)", as: caller)),
            ] {
                try await attempt("auth", "factors", action, request) { $0.isSuccess }
            }
        }
        guard let identity = await value("select id from auth.identities where user_id = '\(other.tenant.userID)'")
        else { return }
        let request = ProbeRequest(.delete, "/auth/v1/user/identities/\(identity)", as: mine)
        try await attempt("auth", "identities", .delete, request) { $0.isSuccess }
    }
}
