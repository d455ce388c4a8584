// SPDX-License-Identifier: Apache-2.0
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

/// Metering, its limits, and the audit log.
@Suite struct UsageTests {
    /// Charges as a request of these claims would.
    private static func charge(
        _ fixture: TenancyFixture, _ claims: JSON, service: String = "openai", cost: Int, tokens: Int = 0
    ) async -> String {
        await fixture.project.request(
            "authenticated", claims: claims,
            "select tenancy.charge('\(service)', '/x', \(cost), \(tokens), 5, false);")
    }

    @Test func chargesAtOnceNeverGoOverThePlan() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            // A free plan gives 1000 cents: 14 charges of 70 fit.
            let outcomes = await withTaskGroup(of: String.self) { group in
                for _ in 1...40 { group.addTask { await Self.charge(fixture, ann.claims, cost: 70) } }
                return await group.reduce(into: [String]()) { $0.append($1) }
            }
            #expect(outcomes.count { $0.contains("event_id") } == 14)
            #expect(outcomes.count { $0.contains("usage_limit_reached") } == 26)
            let sums = """
                select t.cost_cents, t.requests, (select sum(cost_cents) from tenancy.usage_counters),
                    (select sum(cost_cents) from tenancy.usage_days), (select sum(cost_cents) from tenancy.usage_events)
                from tenancy.usage_totals t
                """
            #expect(try await fixture.project.server.exec(sums) == "980|14|980|980|980")
            // What fits still fits; another tenant has a plan of their own.
            #expect(await Self.charge(fixture, ann.claims, cost: 20).contains("\"level\": \"hard\""))
            #expect(await Self.charge(fixture, ann.claims, cost: 1).contains("usage_limit_reached"))
            #expect(await Self.charge(fixture, bob.claims, cost: 70).contains("event_id"))
            #expect(
                try await fixture.project.server.exec(
                    "select level, used, allowed from tenancy.usage_alerts where tenant_id = '\(ann.tenant)' order by level desc"
                ) == "soft|840|1000\nhard|1000|1000")
        }
    }

    @Test func aRefusalTellsWhatWhenAndHowMuch() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let meter = UsageMeter(database: fixture.requests)
            let principal = fixture.principal(ann.claims)
            try await fixture.onLoop {
                let charge = try await meter.charge(
                    .init("openai", endpoint: "/v1", cost: 900), to: principal, isEstimate: true)
                #expect(charge.header == "cost_cents=900/1000")
                do {
                    _ = try await meter.charge(.init("openai", cost: 200), to: principal)
                    Issue.record("more than the plan gives was charged")
                } catch {
                    let refusal = try #require(error as? UsageLimitReached)
                    #expect(refusal.details["metric"] == "cost_cents")
                    #expect(refusal.details["limit"] == 1000)
                    #expect(refusal.details["used"] == 900)
                    #expect(refusal.details["requested"] == 200)
                    #expect(refusal.details["reset_at"]?.stringValue?.contains("-01T00:00:00") == true)
                    #expect(refusal.retryAfter > .zero && refusal.retryAfter < .seconds(32 * 86_400))
                }
                // It cost less than was thought, which can be said once.
                try await meter.settle(charge, .init("openai", cost: 100, tokens: 7), by: principal)
                try await meter.settle(charge, .init("openai", cost: 0), by: principal)
            }
            #expect(
                try await fixture.project.server.exec("select cost_cents, tokens, requests from tenancy.usage_totals")
                    == "100|7|1")
        }
    }

    /// The month is told by the time of the request: what was used in another counts for that.
    @Test func aNewMonthBeginsByItself() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            #expect(await Self.charge(fixture, ann.claims, cost: 1000).contains("event_id"))
            #expect(await Self.charge(fixture, ann.claims, cost: 1).contains("usage_limit_reached"))
            try await fixture.project.server.exec(
                """
                update tenancy.usage_totals set period = (period - interval '1 month')::date;
                update tenancy.usage_counters set period = (period - interval '1 month')::date;
                """)
            #expect(await Self.charge(fixture, ann.claims, cost: 1).contains("event_id"))
        }
    }

    @Test func usageIsToldByServiceAndDayToMembersAlone() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            _ = await Self.charge(fixture, ann.claims, cost: 30, tokens: 5)
            _ = await Self.charge(fixture, ann.claims, service: "twilio", cost: 800)
            let answer = try await fixture.request("GET", "/api/usage", claims: ann.claims)
            #expect(answer.status == 200)
            #expect(answer.json["plan"]?["name"] == "free")
            #expect(answer.json["limits"]?["cost_cents"] == 1000)
            #expect(answer.json["used"]?["cost_cents"] == 830)
            #expect(answer.json["services"]?.arrayValue?.map { $0["service_name"] } == ["openai", "twilio"])
            #expect(answer.json["days"]?.arrayValue?.count == 2)
            #expect(answer.json["alerts"]?[0]?["level"] == "soft")
            #expect(answer.headers["x-usage-warning"] == "cost_cents=830/1000")
            let theirs = try await fixture.request("GET", "/api/usage", claims: bob.claims)
            #expect(theirs.json["used"]?["cost_cents"] == 0)
            #expect(theirs.json["services"] == [])
            #expect(
                try await fixture.request("GET", "/api/usage", claims: bob.claims(tenant: ann.tenant)).status == 403)
            let past = try await fixture.request("GET", "/api/usage?from=2020-01-01&to=2020-01-31", claims: ann.claims)
            #expect(past.json["days"] == [])
            for bad in ["from=yesterday", "to=2020-13-01", "from=2020-01-01%2000:00", "from=2020-02-01&to=2020-01-31"] {
                #expect(try await fixture.request("GET", "/api/usage?\(bad)", claims: ann.claims).status == 400)
            }
        }
    }

    @Test func theAuditLogIsReadInPagesByAdmins() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            try await fixture.join(bob, team)
            let mine = ann.claims(tenant: team)
            for name in ["One", "Two", "Three"] {
                _ = try await fixture.request("PATCH", "/api/tenants/current", claims: mine, ["name": .string(name)])
            }
            try await fixture.project.server.exec(
                "update tenancy.settings set preferences = '{\"theme\": \"dark\"}' where tenant_id = '\(team)'")
            var seen: [String] = []
            var next: String?
            repeat {
                let cursor = next.map { "&before=\($0)" } ?? ""
                let page = try await fixture.request("GET", "/api/audit?limit=2\(cursor)", claims: mine)
                #expect(page.status == 200, "\(page.text)")
                seen += (page.json["entries"]?.arrayValue ?? []).compactMap { $0["action"]?.stringValue }
                next = page.json["next"]?.stringValue
            } while next != nil
            #expect(
                seen == [
                    "settings.changed", "tenant.updated", "tenant.updated", "tenant.updated", "member.added",
                    "tenant.created",
                ])
            let filtered = try await fixture.request(
                "GET", "/api/audit?action=tenant.updated&actor=\(ann.id)", claims: mine)
            #expect(filtered.json["entries"]?.arrayValue?.count == 3)
            #expect(filtered.json["entries"]?[0]?["detail"] == ["name": ["from": "Two", "to": "Three"]])
            let group = try await fixture.request("GET", "/api/audit?action=member", claims: mine)
            #expect(group.json["entries"]?.arrayValue?.count == 1)
            for bad in ["limit=0", "limit=x", "before=x", "actor=x", "from=x"] {
                #expect(try await fixture.request("GET", "/api/audit?\(bad)", claims: mine).status == 400, "\(bad)")
            }
            #expect(try await fixture.request("GET", "/api/audit", claims: bob.claims(tenant: team)).status == 403)
            // Nobody rewrites it, and the service key neither.
            for sql in ["update tenancy.audit_log set actor = null", "delete from tenancy.audit_log"] {
                for role in ["authenticated", "service_role"] {
                    let output = await fixture.project.request(role, claims: mine, sql + ";")
                    #expect(output.contains("permission denied"), "\(role): \(output)")
                }
            }
        }
    }
}
