// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import Tenancy
import TestSupport
import Testing

/// Suspending, resuming, deleting, restoring, and what is left when a tenant is gone.
@Suite struct TenantStatusTests {
    @Test func aSuspendedTeamIsClosedToItsMembersUntilItIsResumed() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            try await fixture.join(bob, team, "admin")
            let mine = ann.claims(tenant: team)
            let theirs = bob.claims(tenant: team)
            for (claims, path, status, code) in [
                (theirs, "current", 403, "forbidden"), (bob.claims, "\(team)", 403, "forbidden"),
                (ann.claims, "\(bob.tenant)", 404, "not_found"), (ann.claims, "nonsense", 404, "not_found"),
            ] {
                let refused = try await fixture.request("POST", "/api/tenants/\(path)/suspend", claims: claims)
                #expect(refused.status == status, "\(path): \(refused.text)")
                #expect(refused.json["code"]?.stringValue == code)
            }
            let suspended = try await fixture.request(
                "POST", "/api/tenants/current/suspend", claims: mine, ["reason": "holidays"])
            #expect(suspended.json["tenant"]?["status"] == "suspended")
            #expect(suspended.json["tenant"]?["suspension_reason"] == "holidays")
            for claims in [mine, theirs] {
                #expect(try await fixture.request("GET", "/api/members", claims: claims).json["code"] == "no_tenant")
            }
            #expect(
                try await fixture.request("POST", "/api/tenants/current/suspend", claims: mine).json["code"]
                    == "wrong_status")
            // The token cannot work in it, and its owner opens it again all the same.
            #expect(try await fixture.request("POST", "/api/tenants/current/resume", claims: theirs).status == 403)
            #expect(try await fixture.request("POST", "/api/tenants/current/resume", claims: mine).status == 200)
            #expect(try await fixture.request("GET", "/api/members", claims: theirs).status == 200)

            // What the operator has closed stays closed.
            let path = "/api/admin/tenants/\(team)"
            #expect(try await fixture.request("POST", path + "/suspend", claims: mine).status == 403)
            let closed = try await fixture.request(
                "POST", path + "/suspend", claims: TenancyFixture.serviceClaims, ["reason": "unpaid"])
            #expect(closed.json["tenant"]?["suspended_by"] == "operator")
            #expect(
                try await fixture.request("POST", "/api/tenants/current/resume", claims: mine).json["code"]
                    == "suspended_by_operator")
            #expect(
                try await fixture.request("POST", path + "/resume", claims: TenancyFixture.serviceClaims).status == 200)
            #expect(
                try await fixture.actions(in: team).suffix(4) == [
                    "tenant.suspended", "tenant.resumed", "tenant.suspended", "tenant.resumed",
                ])
        }
    }

    @Test func theOperatorSeesAllTenantsAndSetsPlans() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let team = try await fixture.team(of: ann)
            let path = "/api/admin/tenants"
            for claims in [nil, ann.claims, ["role": "anon"]] as [JSON?] {
                let refused = try await fixture.request("GET", path, claims: claims)
                #expect(refused.status == (claims == nil ? 401 : 403))
            }
            let list = try await fixture.request("GET", path + "?q=acme", claims: TenancyFixture.serviceClaims)
            #expect(list.json["total"] == 1)
            #expect(list.json["tenants"]?[0]?["owner_email"] == "ann@example.com")
            let plan = try await fixture.request(
                "PATCH", "\(path)/\(team)", claims: TenancyFixture.serviceClaims, ["plan": "pro"])
            #expect(plan.json["tenant"]?["plan"] == "pro")
            let unknown = try await fixture.request(
                "PATCH", "\(path)/\(team)", claims: TenancyFixture.serviceClaims, ["plan": "gold"])
            #expect(unknown.status == 400)
            #expect(
                try await fixture.request(
                    "GET", "\(path)/\(UUID.random())", claims: TenancyFixture.serviceClaims
                ).status == 404)
        }
    }

    @Test func aDeletedTeamCanBeRestoredWithinItsGrace() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            try await fixture.join(bob, team, "admin")
            let mine = ann.claims(tenant: team)
            #expect(
                try await fixture.request("DELETE", "/api/tenants/current", claims: bob.claims(tenant: team)).status
                    == 403)
            let deleted = try await fixture.request("DELETE", "/api/tenants/current", claims: mine)
            #expect(deleted.json["tenant"]?["status"] == "deleted")
            #expect(deleted.json["tenant"]?["purge_at"]?.stringValue != nil)
            #expect(try await fixture.request("GET", "/api/members", claims: mine).json["code"] == "no_tenant")
            // The job that waits does nothing to a team that was restored.
            try await fixture.project.server.exec("update jobs.jobs set run_at = now() where queue = 'tenant_removal'")
            #expect(try await fixture.request("POST", "/api/tenants/\(team)/restore", claims: bob.claims).status == 403)
            #expect(try await fixture.request("POST", "/api/tenants/\(team)/restore", claims: ann.claims).status == 200)
            #expect(try await fixture.request("GET", "/api/members", claims: mine).status == 200)
            #expect(
                try await fixture.request("POST", "/api/tenants/current/restore", claims: mine).json["code"]
                    == "wrong_status")
        }
    }

    private static let tables = """
        create table public.parents (id uuid primary key, tenant_id uuid not null);
        create table public.children (id int, tenant_id uuid not null, parent_id uuid references public.parents (id));
        """

    /// Rows of every kind in a tenant, as their services write them.
    private static func fill(_ tenant: UUID, by person: Account, in fixture: TenancyFixture) async throws {
        let version = UUID.random().description
        try await fixture.project.server.exec(
            """
            set role postgres;
            insert into public.parents values ('\(tenant)', '\(tenant)');
            insert into public.children values (1, '\(tenant)', '\(tenant)');
            reset role;
            insert into storage.buckets (id, name) values ('files', 'files') on conflict do nothing;
            insert into storage.uploads (version, kind, node, bucket_id, name, tenant_id, expires_at)
            values ('\(version)', 'plain', gen_random_uuid(), 'files', '\(tenant)/a', '\(tenant)', now());
            insert into storage.objects (bucket_id, name, version, metadata, owner_id)
            values ('files', '\(tenant)/a', '\(version)', '{"size": 3}', '\(person.id)');
            insert into vectors.collections (bucket, tenant_id, name, settings) values (0, '\(tenant)', 'c', '{}');
            insert into vectors.points (collection_id, version, bucket, tenant_id, is_shared, id, embedding, payload)
            select id, 1, 0, '\(tenant)', false, '\\x000000000000000007', '[1,2]', '{"a": "b\\"c"}'
            from vectors.collections where tenant_id = '\(tenant)';
            insert into tenancy.secrets (tenant_id, service_name, envelope)
            values ('\(tenant)', 'openai', '\(String(repeating: "A", count: 40))');
            insert into tenancy.usage_events (tenant_id, service_name) values ('\(tenant)', 'openai');
            """)
    }

    private static func remains(of tenant: UUID, in fixture: TenancyFixture) async throws -> String {
        try await fixture.project.server.exec(
            """
            select concat_ws(',',
                (select count(*) from tenancy.tenants where id = '\(tenant)'),
                (select count(*) from tenancy.members where tenant_id = '\(tenant)'),
                (select count(*) from tenancy.secrets where tenant_id = '\(tenant)'),
                (select count(*) from tenancy.usage_events where tenant_id = '\(tenant)'),
                (select count(*) from public.parents where tenant_id = '\(tenant)'),
                (select count(*) from public.children where tenant_id = '\(tenant)'),
                (select count(*) from storage.objects where tenant_id = '\(tenant)'),
                (select count(*) from vectors.points where tenant_id = '\(tenant)'))
            """)
    }

    @Test func everythingOfATenantGoesAndNothingOfAnother() async throws {
        var rules = TenancyRules()
        rules.deletionGrace = .zero
        try await TenancyFixture.run(rules: rules) { fixture in
            try await fixture.project.login("postgres").exec(Self.tables)
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            let other = try await fixture.team(of: bob)
            for (tenant, person) in [(team, ann), (other, bob)] { try await Self.fill(tenant, by: person, in: fixture) }
            #expect(try await Self.remains(of: team, in: fixture) == "1,1,1,1,1,1,1,1")
            #expect(
                try await fixture.request("DELETE", "/api/tenants/current", claims: ann.claims(tenant: team)).status
                    == 200)
            try await eventually("the team is gone") {
                try await Self.remains(of: team, in: fixture) == "0,0,0,0,0,0,0,0"
            }
            #expect(try await Self.remains(of: other, in: fixture) == "1,1,1,1,1,1,1,1")
            // Its files are handed to Storage, and its log stays.
            #expect(try await fixture.project.server.exec("select count(*) from storage.removed_versions") == "1")
            // What goes along with the tenant's row is told in the same moment.
            #expect(
                try await fixture.actions(in: team).suffix(3) == [
                    "tenant.deletion_began", "secret.deleted", "tenant.removed",
                ])
        }
    }

    @Test func anAccountTakesItsPersonalTenantAlong() async throws {
        try await TenancyFixture.run { fixture in
            try await fixture.project.login("postgres").exec(Self.tables)
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            try await Self.fill(ann.tenant, by: ann, in: fixture)
            let shared = try await fixture.team(of: ann, "Shared")
            try await fixture.join(bob, shared)
            let alone = try await fixture.team(of: ann, "Alone")
            try await fixture.project.login("supabase_auth_admin").exec("delete from auth.users where id = '\(ann.id)'")
            try await eventually("nothing is left") {
                try await Self.remains(of: ann.tenant, in: fixture) == "0,0,0,0,0,0,0,0"
            }
            #expect(try await Self.remains(of: alone, in: fixture).hasPrefix("0,0"))
            #expect(try await fixture.role(of: bob, in: shared) == "owner")
        }
    }

    // MARK: Export

    /// The files of a tar archive by name.
    private static func files(_ archive: [UInt8]) -> [String: String] {
        var files: [String: String] = [:]
        var offset = 0
        while offset + 512 <= archive.count, archive[offset] != 0 {
            let name = String(decoding: archive[offset..<offset + 100].prefix { $0 != 0 }, as: UTF8.self)
            let size = Int(String(decoding: archive[(offset + 124)..<(offset + 135)], as: UTF8.self), radix: 8) ?? 0
            files[name] = String(decoding: archive[(offset + 512)..<(offset + 512 + size)], as: UTF8.self)
            offset += 512 + (size + 511) / 512 * 512
        }
        return files
    }

    @Test func anExportHoldsTheTenantAndNothingOfAnother() async throws {
        try await TenancyFixture.run { fixture in
            try await fixture.project.login("postgres").exec(
                Self.tables + """
                    alter table parents enable row level security;
                    create policy p on parents to authenticated using (tenant_id = (select tenancy.current_tenant()));
                    alter table children enable row level security;
                    create policy c on children to authenticated using (tenant_id = (select tenancy.current_tenant()));
                    create table plain (id int);
                    """)
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            let other = try await fixture.team(of: bob)
            for (tenant, person) in [(team, ann), (other, bob)] { try await Self.fill(tenant, by: person, in: fixture) }
            try await fixture.join(bob, team, "admin")
            let path = "/api/tenants/current/export"
            #expect(try await fixture.request("GET", path, claims: bob.claims(tenant: team)).status == 403)
            #expect(try await fixture.request("GET", path, claims: ann.claims(tenant: other)).status == 403)

            let answer = try await fixture.request("GET", path, claims: ann.claims(tenant: team))
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/x-tar")
            let files = Self.files(answer.body)
            #expect(files["storage/files/\(team)/a"] == "xxx")
            #expect(files["public/parents.ndjson"]?.split(separator: "\n").count == 1)
            #expect(files["public/plain.ndjson"] == nil)
            #expect(files["tenancy/secrets.ndjson"]?.contains("openai") == true)
            let everything = String(decoding: answer.body, as: UTF8.self)
            #expect(!everything.contains("AAAAAAAA"))
            #expect(!everything.contains(other.description))
            let point = try JSON(parsing: Array((files["vectors/points.ndjson"] ?? "").utf8.dropLast()))
            #expect(point["id"] == "7")
            #expect(point["vector"] == "[1,2]")
            #expect(point["payload"] == ["a": "b\"c"])
            let manifest = try JSON(parsing: Array((files["manifest.json"] ?? "").utf8))
            #expect(manifest["tenant_id"]?.stringValue == team.description)
            #expect(manifest["rows"]?["public/children.ndjson"] == 1)
            #expect(manifest["files"] == 1)
            #expect(try await fixture.actions(in: team).last == "tenant.exported")
        }
    }
}
