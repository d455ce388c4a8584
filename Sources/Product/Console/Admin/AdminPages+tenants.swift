// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// Tenants: their plan, and whether they are open.
extension AdminPages {
    func registerTenants(on router: inout Router) {
        page(.get, "/admin/tenants", on: &router) { visit, who in await tenants(visit, who) }
        page(.post, "/admin/tenants/:tenant/plan", on: &router, choosePlan)
        page(.post, "/admin/tenants/:tenant/suspend", on: &router) { visit, who in
            try await administer(&visit, who, "suspend", .tenantSuspended)
        }
        page(.post, "/admin/tenants/:tenant/resume", on: &router) { visit, who in
            try await administer(&visit, who, "resume", .tenantResumed)
        }
    }

    private static let pageSize = 25

    private static let statuses: [String: Message] = [
        "active": .tenantIsActive, "suspended": .tenantIsSuspended, "deleted": .tenantIsDeleted,
    ]

    private func tenants(
        _ visit: Visit, _ who: Operator, problem: Phrase? = nil, status: HTTPStatus = .ok
    ) async -> HTTPResponse {
        let text = visit.query.first("q") ?? ""
        let page = visit.pageNumber
        var target = "/api/admin/tenants?limit=\(Self.pageSize)&offset=\((page - 1) * Self.pageSize)"
        if !text.isEmpty { target += "&" + FormFields.encode([("q", text)]) }
        let wanted = target
        async let list = api.call(.get, wanted, as: who, for: visit.request)
        async let planRows = read(["select name, title from tenancy.plans order by monthly_cost_cents nulls last, name"]
        )
        let answer = await list
        let plans = ((try? await planRows)?.first?.rows.map { $0 } ?? []).map { row in
            (row["name"].string ?? "", Phrase.words(row["title"].string ?? ""))
        }
        let tenants = answer.body?["tenants"]?.arrayValue ?? []
        let total = answer.body?["total"]?.intValue ?? tenants.count
        return visit.page(.tenants, .admin(.tenants), status: status) {
            Components.heading(.of(.tenants), .of(.tenantsText, "\(total)"))
            visit.notice
            if let problem { Components.notice(problem, isGood: false) }
            if !answer.isSuccess { Components.notice(answer.phrase, isGood: false) }
            Markup(.form, .method("get"), .action("/admin/tenants"), .class("row-form compact"), .role("search")) {
                Form.field("q", .searchTenants, .optional(200), state: Form.State(values: ["q": text]))
                Form.button(.search, "quiet")
            }
            if tenants.isEmpty {
                Components.empty(.building, .noTenants)
            } else {
                Components.table(
                    .tenants, [.name, .owner, .members, .status, .plan, .action],
                    rows: tenants.map { row(visit, $0, plans) })
            }
            Components.pager(
                text.isEmpty ? "/admin/tenants" : "/admin/tenants?" + FormFields.encode([("q", text)]), page: page,
                hasNext: total > page * Self.pageSize)
        }
    }

    private func row(_ visit: Visit, _ tenant: JSON, _ plans: [(String, Phrase)]) -> [Markup] {
        let id = Console.segment(tenant["id"]?.stringValue ?? "")
        let name = tenant["name"]?.stringValue ?? ""
        let status = tenant["status"]?.stringValue ?? ""
        let plan = tenant["plan"]?.stringValue ?? ""
        return [
            Markup(.div) {
                Markup(.strong, data: name)
                Markup(.div, .class("hint")) {
                    Components.code(String(id.prefix(8)))
                    Markup.data(" · ")
                    Components.moment(tenant["created_at"]?.stringValue)
                }
            },
            .data(tenant["owner_email"]?.stringValue ?? "–"),
            .data(Components.grouped(tenant["members"]?.intValue ?? 0)),
            Markup(
                .span, .class(status == "active" ? "badge good" : "badge bad")
            ) { Markup.text(Self.statuses[status].map { Phrase.of($0) } ?? .words(status)) },
            Markup(.form, .method("post"), .action("/admin/tenants/\(id)/plan"), .class("inline")) {
                Form.token(visit.formToken)
                Markup(.select, .name("plan"), .class("small"), .label(.planOf, name)) {
                    for choice in plans {
                        Markup(.option, .value(choice.0), .selected(choice.0 == plan)) { Markup.text(choice.1) }
                    }
                }
                Markup(.button, .type("submit"), .class("quiet")) {
                    Markup.text(.change)
                    Markup(.span, .class("unseen"), data: " \(name)")
                }
            },
            status == "suspended"
                ? Form.action("/admin/tenants/\(id)/resume", .resume, token: visit.formToken, about: name)
                : Form.action("/admin/tenants/\(id)/suspend", .suspend, "danger", token: visit.formToken, about: name),
        ]
    }

    private func choosePlan(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let tenant = visit.request.parameters["tenant"] ?? ""
        let answer = await api.call(
            .patch, "/api/admin/tenants/\(Console.segment(tenant))", as: who,
            body: ["plan": .string(form.first("plan") ?? "")], for: visit.request)
        guard answer.isSuccess else {
            return await tenants(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note("tenant.plan", who, visit, .field("tenant", tenant), .field("plan", form.first("plan") ?? ""))
        return PageResponse.redirect("/admin/tenants?done=\(Message.planChanged)")
    }

    private func administer(
        _ visit: inout Visit, _ who: Operator, _ action: String, _ done: Message
    ) async throws -> HTTPResponse {
        _ = try await visit.form(ofTenant: false)
        let tenant = visit.request.parameters["tenant"] ?? ""
        let answer = await api.call(
            .post, "/api/admin/tenants/\(Console.segment(tenant))/\(action)", as: who, body: [:], for: visit.request)
        guard answer.isSuccess else {
            return await tenants(visit, who, problem: answer.phrase, status: answer.pageStatus)
        }
        note("tenant.\(action)", who, visit, .field("tenant", tenant))
        return PageResponse.redirect("/admin/tenants?done=\(done)")
    }
}
