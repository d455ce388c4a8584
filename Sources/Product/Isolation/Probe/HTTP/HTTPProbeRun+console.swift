// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Primitives

extension HTTPProbeRun {
    /// Web pages with one's own cookies and the other's ids, and forms that another site could have sent.
    mutating func crossConsole() async throws {
        try progress.step("console", 0, of: 1)
        let home = try await send(page("/dashboard"))
        guard home.status != 404 else {
            isUnserved("the console")
            return
        }
        let tenant = other.tenant.tenantID.description
        let user = other.tenant.userID.description
        let ids = "tenant=\(tenant)&tenant_id=\(tenant)&user=\(user)&user_id=\(user)&id=\(user)"
        for path in [
            "/", "/dashboard", "/activity", "/usage", "/setup", "/setup/review", "/setup/progress", "/settings",
            "/settings/security", "/settings/members", "/settings/keys", "/settings/team",
            "/members", "/invitations/accept",
        ] {
            let requests = [path, "\(path)?\(ids)", "\(path == "/" ? "" : path)/\(tenant)"].map(page)
            try await attempt("console", "pages", .read, all: requests) { _ in false }
        }
        // It has what policies show, as the one of the API.
        let export = ["/settings/team/export", "/settings/team/export?\(ids)"].map(page)
        try await attempt("console", "export", .read, all: export) { _ in false }
        let picture = page("/avatar/\(user)")
        try await attempt("console", "pages", .read, picture) { _ in false }
        let fix = "Only operators may open these pages: this is the platform's part, please report it."
        let pages = [
            "", "/users", "/tenants", "/tables", "/tables/auth/users", "/tables/tenancy/secrets", "/sql", "/storage",
            "/vectors", "/logs", "/isolation", "/advisors", "/users/\(user)", "/tenants/\(tenant)",
        ].map { page("/admin\($0)") }
        try await attempt("console", "operators' pages", .read, all: pages, fix: fix) { $0.isSuccess }
        try await crossForms()
        try await crossOrders()
    }

    /// Forms as they should be sent, about what is the other's.
    private mutating func crossOrders() async throws {
        let tenant = other.tenant.tenantID.description
        let user = other.tenant.userID.description
        let visit = try await send(page("/settings"))
        guard let token = Self.formToken(visit.text) else {
            untried("console", "forms about another", .update, "no form was found on /settings")
            return
        }
        let seed =
            visit.headers.values("set-cookie").first { $0.hasPrefix("atoll-form=") }?
            .split(separator: ";").first.map(String.init)
        let session = await value("select id from auth.sessions where user_id = '\(user)' limit 1") ?? user
        let factor = await value("select id from auth.mfa_factors where user_id = '\(user)' limit 1") ?? user
        let secret = await value("select service_name from tenancy.secrets where tenant_id = '\(tenant)' limit 1") ?? ""
        let invitation = await value("select id from tenancy.invitations where tenant_id = '\(tenant)' limit 1") ?? user
        // Every name under which a form may carry an id; which of them counts is the form's affair.
        func fields(_ id: String) -> [(name: String, value: String)] {
            [
                ("form_token", token), ("id", id), ("user", user), ("user_id", user), ("member", user),
                ("tenant", tenant), ("tenant_id", tenant), ("service", secret), ("service_name", secret),
                ("session", session), ("session_id", session), ("factor", factor), ("factor_id", factor),
                ("invitation", invitation), ("role", "member"), ("plan", "enterprise"), ("name", "forged"),
                ("confirmation", other.tenant.email), ("email", other.tenant.email),
                ("sql", "select email from auth.users"),
            ]
        }
        let state = """
            select md5(concat_ws('|',
                (select t::text from tenancy.tenants as t where id = '\(tenant)'),
                (select string_agg(m::text, ',' order by m::text) from tenancy.members as m
                    where tenant_id = '\(tenant)' or user_id = '\(user)'),
                (select string_agg(s::text, ',' order by s::text) from tenancy.secrets as s where tenant_id = '\(tenant)'),
                (select p::text from tenancy.profiles as p where user_id = '\(user)'),
                (select string_agg(i::text, ',' order by i::text) from tenancy.invitations as i where tenant_id = '\(tenant)'),
                (select string_agg(f.id::text, ',' order by f.id) from auth.mfa_factors as f where user_id = '\(user)'),
                (select string_agg(s.id::text, ',' order by s.id) from auth.sessions as s where user_id = '\(user)'),
                (select concat_ws(' ', email, encrypted_password, banned_until, raw_app_meta_data) from auth.users where id = '\(user)')))
            """
        let forms: [(String, Crossing.Action, String)] = [
            ("/settings/members/role", .update, user), ("/settings/members/remove", .delete, user),
            ("/settings/invitations/withdraw", .delete, invitation), ("/settings/keys/remove", .delete, secret),
            ("/settings/keys/revoke", .update, secret), ("/settings/keys/validate", .call, secret),
            ("/settings/sessions/end", .delete, session), ("/settings/factors/remove", .delete, factor),
            ("/settings/team/transfer", .move, user), ("/settings/team/restore", .update, tenant),
            ("/tenant/switch", .forge, tenant), ("/admin/users/\(user)/ban", .update, user),
            ("/admin/users/\(user)/link", .sign, user), ("/admin/users/\(user)/appoint", .update, user),
            ("/admin/users/\(user)/delete", .delete, user), ("/admin/tenants/\(tenant)/suspend", .update, tenant),
            ("/admin/tenants/\(tenant)/plan", .update, tenant), ("/admin/sql", .read, user),
        ]
        var before = await value(state)
        for (path, action, id) in forms {
            var request = ProbeRequest(.post, path, as: .nobody).form(fields(id))
            request = request.with("cookie", [cookies, seed].compactMap { $0 }.joined(separator: "; "))
                .with("origin", server.url)
            let run = self
            let known = before
            let found = try await attempt("console", "forms about another", action, request) { answer in
                if path == "/tenant/switch", Self.names(tenant, in: answer) { return true }
                return await run.value(state) != known
            }
            if found.isLeak { before = await value(state) }
        }
    }

    /// Whether a cookie of the answer holds a token of this tenant.
    private static func names(_ tenant: String, in answer: ProbeAnswer) -> Bool {
        answer.headers.values("set-cookie").contains { cookie in
            guard cookie.hasPrefix("atoll-access="), let payload = cookie.split(separator: ".").dropFirst().first,
                let bytes = Base64URL.decode(String(payload))
            else { return false }
            return bytes.holds(Array(tenant.utf8))
        }
    }

    private func page(_ path: String) -> ProbeRequest {
        ProbeRequest(.get, path, as: .nobody).with("cookie", cookies)
    }

    private var cookies: String { "atoll-access=\(mine.token.reveal()); atoll-refresh=\(mine.refreshToken.reveal())" }

    /// Forms with one's own cookies: without the form's token, with that of another visit, from another site.
    private mutating func crossForms() async throws {
        let theirVisit = try await send(ProbeRequest(.get, "/auth/signin", as: .nobody))
        let theirToken = Self.formToken(theirVisit.text) ?? "none"
        let myVisit = try await send(ProbeRequest(.get, "/auth/signin", as: .nobody))
        let seed =
            myVisit.headers.values("set-cookie").first { $0.hasPrefix("atoll-form=") }?
            .split(separator: ";").first.map(String.init) ?? "atoll-form=\(String(repeating: "0", count: 32))"
        let myToken = Self.formToken(myVisit.text) ?? "none"
        let state = "select coalesce(full_name, '') from tenancy.profiles where user_id = '\(mine.tenant.userID)'"
        let before = await value(state)
        for (title, token, cookie, origin) in [
            ("no token", "", seed, nil), ("another visit's token", theirToken, seed, nil),
            ("another site", myToken, seed, "https://elsewhere.example"),
        ] as [(String, String, String, String?)] {
            var request = ProbeRequest(.post, "/settings/profile", as: .nobody).with("cookie", "\(cookies); \(cookie)")
                .form([("form_token", token), ("full_name", "forged"), ("company_name", "")])
            if let origin { request = request.with("origin", origin) }
            let run = self
            let fix =
                "Forms need the token of the visit they were made for: this is the platform's part, please report it."
            try await attempt("console", "forms (\(title))", .forge, request, fix: fix) { _ in
                await run.value(state) != before
            }
        }
    }

    private static func formToken(_ text: String) -> String? {
        guard let name = text.firstRange(of: "name=\"form_token\"") else { return nil }
        // The value may stand before or after the name in the same tag.
        guard let start = text[..<name.lowerBound].lastIndex(of: "<"),
            let end = text[name.upperBound...].firstIndex(of: ">"),
            let value = text[start..<end].firstRange(of: "value=\"")
        else { return nil }
        return String(text[value.upperBound...].prefix { $0 != "\"" })
    }

    /// Topics of the other's.
    mutating func crossRealtime() async throws {
        let answer = try await send(ProbeRequest(.get, "/realtime/v1/websocket", as: mine))
        if answer.status == 404 {
            isUnserved("realtime")
        } else {
            untried(
                "realtime", "topics", .read,
                "topics are tried by SQL, through the policies on realtime.messages; joining over a WebSocket is not")
        }
    }
}
