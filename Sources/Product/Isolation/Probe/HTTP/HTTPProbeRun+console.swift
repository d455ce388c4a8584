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
        for path in [
            "/", "/dashboard", "/settings", "/usage", "/setup", "/members", "/settings/members", "/settings/keys",
        ] {
            for query in ["", "?tenant=\(tenant)&tenant_id=\(tenant)&user=\(user)&user_id=\(user)"] {
                try await attempt("console", "pages", .read, page(path + query)) { _ in false }
            }
            try await attempt("console", "pages", .read, page("\(path == "/" ? "" : path)/\(tenant)")) { _ in false }
        }
        for path in [
            "/admin", "/admin/users", "/admin/tenants", "/admin/tables", "/admin/sql", "/admin/storage",
            "/admin/vectors",
            "/admin/logs", "/admin/isolation", "/admin/advisors", "/admin/users/\(user)", "/admin/tenants/\(tenant)",
        ] {
            let fix = "Only operators may open these pages: this is the platform's part, please report it."
            try await attempt("console", "operators' pages", .read, page(path), fix: fix) { $0.isSuccess }
        }
        try await crossForms()
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
