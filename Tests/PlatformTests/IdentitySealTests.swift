// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import TestSupport
import Testing

/// Who a request speaks for stays what the server has verified, whatever a function writes into the request's settings.
@Suite struct IdentitySealTests {
    private static let key = [UInt8](repeating: 7, count: 32)

    /// What the database takes a request on the login of people's requests for.
    private static func ask(
        _ project: TestProject, identity: String?, claims: JSON, _ sql: String = "select tenancy.current_tenant()"
    ) async -> String {
        let seal = identity.map { "select from set_config('request.identity', \(quoteLiteral($0)), false);" } ?? ""
        return await project.login("atoll_requests").attempt(
            """
            set role authenticated; \(seal)
            select from set_config('request.jwt.claims', \(quoteLiteral(claims.text)), false);
            \(sql)
            """)
    }

    private static func keepKey(_ project: TestProject) async throws {
        let address = project.login("atoll_tenancy").address
        try await Loop.withLoop { loop in
            let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: .disabled)
            try await IdentitySeal(key: Self.key).keep(in: database)
            // Once more, as each start does.
            try await IdentitySeal(key: Self.key).keep(in: database)
            await database.shutdown()
        }
    }

    @Test func aSealThatTheServerDidNotMakeIsNone() async throws {
        try await TestProject.run { project in
            let ann = try await project.signUp("ann@example.com")
            let bob = try await project.signUp("bob@example.com")
            let seal = IdentitySeal(key: Self.key)
            let mine = seal.identity(bob.id, bob.tenant)
            // Without a key nobody is anybody.
            #expect(await Self.ask(project, identity: mine, claims: bob.claims) == "\n")
            try await Self.keepKey(project)
            let hers = IdentitySeal(key: [UInt8](repeating: 8, count: 32)).identity(ann.id, ann.tenant)
            for (identity, reason) in [
                (nil, "none"), ("", "an empty one"), (hers, "another key's"),
                (ann.id.description + ann.tenant.description + mine.suffix(64), "another's names"),
                (bob.id.description + ann.tenant.description + mine.suffix(64), "another's tenant"),
                (String(mine.dropLast()) + (mine.hasSuffix("0") ? "1" : "0"), "a changed digit"),
                (mine + "00", "a longer one"),
            ] as [(String?, String)] {
                #expect(await Self.ask(project, identity: identity, claims: ann.claims) == "\n", "\(reason)")
                #expect(
                    await Self.ask(
                        project, identity: identity, claims: ann.claims, "select tenancy.current_person()") == "\n",
                    "\(reason)")
            }
        }
    }

    @Test func claimsThatAFunctionChangesOpenNothing() async throws {
        try await TestProject.run { project in
            let ann = try await project.signUp("ann@example.com")
            let bob = try await project.signUp("bob@example.com")
            try await Self.keepKey(project)
            let mine = IdentitySeal(key: Self.key).identity(bob.id, bob.tenant)
            func ask(_ sql: String) async -> String {
                await Self.ask(project, identity: mine, claims: ann.claims, sql)
            }
            #expect(await ask("select tenancy.current_tenant()") == "\(bob.tenant)\n")
            #expect(await ask("select tenancy.current_person()") == "\(bob.id)\n")
            #expect(await ask("select id from tenancy.tenants") == "\(bob.tenant)\n")
            #expect(await ask("select user_id from tenancy.members") == "\(bob.id)\n")
            #expect(await ask("select user_id from tenancy.profiles") == "\(bob.id)\n")
            let team = try await project.server.exec(
                """
                with t as (insert into tenancy.tenants (name, slug, owner_id) values ('t', 't', '\(ann.id)') returning id)
                insert into tenancy.members (tenant_id, user_id, role) select id, '\(ann.id)', 'owner' from t
                returning tenant_id
                """)
            #expect(
                await ask("select tenancy.change_own_tenant('\(team)', 'suspend', null)").contains("No such tenant"))
            // Elsewhere the claims decide, as people try their policies in psql.
            #expect(
                await project.request("authenticated", claims: ann.claims, "select tenancy.current_tenant()")
                    == "\(ann.tenant)\n")
        }
    }
}
