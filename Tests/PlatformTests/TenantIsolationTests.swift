// SPDX-License-Identifier: Apache-2.0
import Platform
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

/// Two people on the platform's tables, in SQL as their requests run it.
@Suite struct TenantIsolationTests {
    private static let envelope = "v1.key.\(String(repeating: "A", count: 40))"

    /// Stores a secret as the server does for a request.
    private static func store(_ service: String, for account: Account) -> String {
        """
        insert into tenancy.secrets (tenant_id, user_id, service_name, envelope)
        values ('\(account.tenant)', '\(account.id)', '\(service)', '\(envelope)');
        """
    }

    @Test func eachSeesOnlyTheirOwn() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let bob = try await fixture.signUp("bob@example.com")
            for (account, service) in [(ann, "openai"), (bob, "twilio")] {
                let stored = await fixture.request(
                    "authenticated", claims: account.claims, Self.store(service, for: account))
                #expect(stored == "")
            }
            let everything = """
                select email from tenancy.profiles;
                select id from tenancy.tenants;
                select user_id from tenancy.members;
                select tenant_id from tenancy.settings;
                select service_name from tenancy.secrets;
                select action || ' ' || coalesce(target, '') from tenancy.audit_log order by at, action;
                """
            #expect(
                await fixture.request("authenticated", claims: ann.claims, everything) == """
                    ann@example.com
                    \(ann.tenant)
                    \(ann.id)
                    \(ann.tenant)
                    openai
                    tenant.created \(ann.tenant)
                    secret.created openai

                    """)
            #expect(await fixture.request("anon", "select tenancy.current_tenant() is null;") == "t\n")
            // Nobody, and somebody who names another's tenant, see nothing.
            for claims in [[:], ann.claims(tenant: bob.tenant)] as [JSON] {
                let seen = await fixture.request(
                    "authenticated", claims: claims,
                    """
                    select count(*) from tenancy.secrets;
                    select count(*) from tenancy.settings;
                    select count(*) from tenancy.audit_log;
                    select count(*) from tenancy.use_secret('twilio');
                    """)
                #expect(seen == "0\n0\n0\n0\n", "\(claims)")
            }
        }
    }

    /// What Ann tries on Bob; none may change or show a row.
    @Test(
        arguments: [
            "insert into tenancy.secrets (tenant_id, user_id, service_name, envelope) values (BOB, ANN_ID, 'x', ENVELOPE)",
            "insert into tenancy.secrets (tenant_id, user_id, service_name, envelope) values (ANN, BOB_ID, 'x', ENVELOPE)",
            "update tenancy.secrets set envelope = ENVELOPE, user_id = ANN_ID where tenant_id = BOB",
            "update tenancy.secrets set is_active = false where tenant_id = BOB",
            "delete from tenancy.secrets where tenant_id = BOB",
            "update tenancy.profiles set full_name = 'x' where user_id = BOB_ID",
            "update tenancy.tenants set name = 'x' where id = BOB",
            "update tenancy.settings set preferences = '{}' where tenant_id = BOB",
            "select 'seen' from tenancy.tenants where id = BOB",
            "select 'seen' from tenancy.members where user_id = BOB_ID",
            "select 'seen' from tenancy.use_secret('twilio')",
        ])
    func crossingsAreRefused(_ statement: String) async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let bob = try await fixture.signUp("bob@example.com")
            _ = await fixture.request("authenticated", claims: bob.claims, Self.store("twilio", for: bob))
            var sql = statement
            for (name, value) in [
                ("ANN_ID", ann.id.description), ("BOB_ID", bob.id.description), ("ANN", ann.tenant.description),
                ("BOB", bob.tenant.description), ("ENVELOPE", Self.envelope + "B"),
            ] {
                sql = sql.split(separator: name, omittingEmptySubsequences: false).joined(separator: "'\(value)'")
            }
            let snapshot = """
                select md5(string_agg(row, '')) from (
                    select t::text from tenancy.secrets t union all select t::text from tenancy.profiles t
                    union all select t::text from tenancy.tenants t union all select t::text from tenancy.settings t
                    order by 1) as rows (row)
                """
            let before = try await fixture.server.exec(snapshot)
            // With her own token, and with one that names his tenant.
            for claims in [ann.claims, ann.claims(tenant: bob.tenant)] {
                let output = await fixture.request("authenticated", claims: claims, sql + ";")
                #expect(!output.contains("seen"))
            }
            #expect(try await fixture.server.exec(snapshot) == before)
        }
    }

    @Test func aTokenOutlivesAMembershipInVain() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let bob = try await fixture.signUp("bob@example.com")
            _ = await fixture.request("authenticated", claims: ann.claims, Self.store("openai", for: ann))
            let member = "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')"
            try await fixture.server.exec(member)
            let token = bob.claims(tenant: ann.tenant)
            let read = "select service_name from tenancy.secrets; select count(*) from tenancy.use_secret('openai');"
            #expect(await fixture.request("authenticated", claims: token, read) == "openai\n1\n")
            // A member reads and does not manage; the audit log is for those who manage.
            let write = """
                select count(*) from tenancy.audit_log;
                update tenancy.secrets set is_active = false, user_id = '\(bob.id)' returning 'changed';
                delete from tenancy.secrets returning 'deleted';
                update tenancy.tenants set name = 'mine' where id = '\(ann.tenant)' returning 'renamed';
                """
            #expect(await fixture.request("authenticated", claims: token, write) == "0\n")
            #expect(
                await fixture.request("authenticated", claims: token, Self.store("x", for: ann)).contains("row-level"))

            try await fixture.server.exec("delete from tenancy.members where user_id = '\(bob.id)' and role = 'member'")
            #expect(await fixture.request("authenticated", claims: token, read) == "0\n")

            try await fixture.server.exec(member)
            try await fixture.server.exec("update tenancy.tenants set status = 'suspended' where id = '\(ann.tenant)'")
            #expect(await fixture.request("authenticated", claims: token, read) == "0\n")
            #expect(await fixture.request("authenticated", claims: ann.claims, read) == "0\n")
        }
    }

    @Test func theAuditLogCannotBeRewrittenByItsOwner() async throws {
        try await TestProject.run { fixture in
            _ = try await fixture.signUp("ann@example.com")
            for sql in [
                "update tenancy.audit_log set action = 'a.b'", "delete from tenancy.audit_log",
                "truncate tenancy.audit_log",
            ] {
                let output = await fixture.server.attempt("set role atoll_tenancy; \(sql);")
                #expect(output.contains("permission denied"), "\(sql): \(output)")
            }
        }
    }

    @Test func secretsAreBounded() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let many = """
                insert into tenancy.secrets (tenant_id, user_id, service_name, envelope)
                select '\(ann.tenant)', '\(ann.id)', 'service' || n, '\(Self.envelope)' from generate_series(1, 201) as n;
                """
            #expect(await fixture.request("authenticated", claims: ann.claims, many).contains("at most 200 secrets"))
        }
    }
}
