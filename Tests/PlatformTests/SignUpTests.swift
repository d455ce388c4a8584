// SPDX-License-Identifier: Apache-2.0
import Platform
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

/// What inserting, changing and deleting an account does to the tables of tenancy.
@Suite struct SignUpTests {
    private static let counts = """
        select (select count(*) from auth.users), (select count(*) from tenancy.profiles),
            (select count(*) from tenancy.tenants), (select count(*) from tenancy.members),
            (select count(*) from tenancy.settings), (select count(*) from tenancy.audit_log)
        """

    @Test func anAccountHasAHome() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp(
                "ann@example.com", metadata: ["full_name": "Ann Author", "company_name": "  "])
            #expect(
                try await fixture.server.exec(
                    """
                    select p.email, p.full_name, p.company_name is null, t.name, t.personal, t.plan, t.status, m.role
                    from tenancy.profiles p
                        join tenancy.tenants t on t.owner_id = p.user_id
                        join tenancy.members m on m.tenant_id = t.id and m.user_id = p.user_id
                        join tenancy.settings s on s.tenant_id = t.id
                    where t.id = '\(ann.tenant)'
                    """) == "ann@example.com|Ann Author|t|Ann Author|t|free|active|owner")
            #expect(try await fixture.server.exec(Self.counts) == "1|1|1|1|1|1")
        }
    }

    @Test(
        arguments: [
            #"{"full_name": "\#(String(repeating: "x", count: 5000))"}"#, #"{"full_name": 7, "avatar_url": ["x"]}"#,
            "null", "[1]", #""text""#, #"{"company_name": "ü; drop table --"}"#,
        ])
    func whatPeopleTypeCannotRefuseTheSignUp(_ metadata: String) async throws {
        try await TestProject.run { fixture in
            _ = try await fixture.signUp("a@example.com", metadata: try JSON(parsing: metadata))
            #expect(try await fixture.server.exec(Self.counts) == "1|1|1|1|1|1")
        }
    }

    @Test func aFailingTriggerOfTheProjectLeavesNothing() async throws {
        let migration = """
            create table public.limits (n integer check (n < 2));
            create function public.handle_new_user() returns trigger as $$
            begin
                insert into limits select count(*) from auth.users;
                return new;
            end;
            $$ language plpgsql security definer;
            create trigger on_user_created after insert on auth.users
                for each row execute function public.handle_new_user();
            """
        try await TestProject.run(files: ["supabase/migrations/1_limits.sql": migration]) { fixture in
            _ = try await fixture.signUp("first@example.com")
            await #expect(throws: TestDatabaseError.self) { try await fixture.signUp("second@example.com") }
            #expect(try await fixture.server.exec(Self.counts) == "1|1|1|1|1|1")
        }
    }

    @Test func theTenantStaysInTheAccountsMetadata() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let auth = fixture.login("supabase_auth_admin")
            for metadata in [#"'{"provider": "email"}'"#, "null", "'[]'", #"'{"tenant_id": null}'"#] {
                let kept = try await auth.exec(
                    "update users set raw_app_meta_data = \(metadata) returning raw_app_meta_data ->> 'tenant_id'")
                #expect(kept == ann.tenant.description, "\(metadata)")
            }
            // Switching is an update that names another tenant.
            let other = UUID.random()
            let switched = try await auth.exec(
                """
                update users set raw_app_meta_data = raw_app_meta_data || '{"tenant_id": "\(other)"}'
                returning raw_app_meta_data ->> 'tenant_id'
                """)
            #expect(switched == other.description)
        }
    }

    @Test func theProfileFollowsTheAddress() async throws {
        try await TestProject.run { fixture in
            _ = try await fixture.signUp("ann@example.com")
            try await fixture.login("supabase_auth_admin").exec("update users set email = 'ann@example.org'")
            #expect(try await fixture.server.exec("select email from tenancy.profiles") == "ann@example.org")
        }
    }

    @Test func whoLeavesTakesTheirHomeAlong() async throws {
        try await TestProject.run { fixture in
            let ann = try await fixture.signUp("ann@example.com")
            let bob = try await fixture.signUp("bob@example.com")
            let eve = try await fixture.signUp("eve@example.com")
            let team = UUID.random()
            let alone = UUID.random()
            try await fixture.server.exec(
                """
                insert into tenancy.tenants (id, name, slug, owner_id)
                values ('\(team)', 'Team', 'team', '\(ann.id)'), ('\(alone)', 'Alone', 'alone', '\(ann.id)');
                insert into tenancy.members (tenant_id, user_id, role)
                values ('\(team)', '\(ann.id)', 'owner'), ('\(team)', '\(bob.id)', 'member'),
                    ('\(team)', '\(eve.id)', 'admin'), ('\(alone)', '\(ann.id)', 'owner');
                """)
            try await fixture.login("supabase_auth_admin").exec("delete from users where id = '\(ann.id)'")
            let left = "select id from tenancy.tenants order by slug"
            #expect(
                Set(try await fixture.server.exec(left).split(separator: "\n").map(String.init))
                    == [team.description, bob.tenant.description, eve.tenant.description])
            #expect(
                try await fixture.server.exec(
                    "select t.owner_id, m.role from tenancy.tenants t join tenancy.members m on m.user_id = t.owner_id "
                        + "and m.tenant_id = t.id where t.id = '\(team)'") == "\(eve.id)|owner")
            #expect(
                try await fixture.server.exec(
                    "select count(*) from tenancy.profiles where user_id = '\(ann.id)'") == "0")
            #expect(
                try await fixture.server.exec(
                    "select action from tenancy.audit_log where tenant_id = '\(team)' and detail ->> 'to' = '\(eve.id)' and action ~ 'inherited'"
                )
                    == "tenant.inherited")
        }
    }
}
