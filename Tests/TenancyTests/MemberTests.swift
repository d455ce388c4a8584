// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import Tenancy
import TestSupport
import Testing

/// Teams, their members and roles.
@Suite struct MemberTests {
    /// Who tries what on whom, and what comes of it.
    struct Attempt: Sendable, CustomTestStringConvertible {
        var by: String
        var method = "PATCH"
        var on: String
        var role: String?
        var status: Int
        var code: String?

        var testDescription: String { "\(by) \(method) \(on) \(role ?? ""): \(status)" }
    }

    @Test(
        arguments: [
            Attempt(by: "member", on: "member2", role: "admin", status: 403, code: "forbidden"),
            Attempt(by: "member", on: "member", role: "admin", status: 403, code: "forbidden"),
            Attempt(by: "admin", on: "member", role: "owner", status: 403, code: "forbidden"),
            Attempt(by: "admin", on: "admin", role: "owner", status: 403, code: "forbidden"),
            Attempt(by: "admin", on: "owner", role: "member", status: 403, code: "forbidden"),
            Attempt(by: "owner", on: "owner", role: "member", status: 409, code: "last_owner"),
            Attempt(by: "owner", on: "stranger", role: "admin", status: 404, code: "not_found"),
            Attempt(by: "owner", on: "member", role: "king", status: 400, code: "invalid_request"),
            Attempt(by: "stranger", on: "member", role: "admin", status: 403, code: "no_tenant"),
            Attempt(by: "member", method: "DELETE", on: "member2", status: 403, code: "forbidden"),
            Attempt(by: "admin", method: "DELETE", on: "owner", status: 403, code: "forbidden"),
            Attempt(by: "owner", method: "DELETE", on: "owner", status: 409, code: "last_owner"),
            Attempt(by: "owner", method: "DELETE", on: "stranger", status: 404, code: "not_found"),
            Attempt(by: "stranger", method: "DELETE", on: "member", status: 403, code: "no_tenant"),
            Attempt(by: "admin", on: "member", role: "admin", status: 200),
            Attempt(by: "admin", on: "admin", role: "member", status: 200),
            Attempt(by: "owner", on: "admin", role: "owner", status: 200),
            Attempt(by: "admin", method: "DELETE", on: "member", status: 200),
            Attempt(by: "member", method: "DELETE", on: "member", status: 200),
        ])
    func rolesDecideWhoMayChangeWhom(_ attempt: Attempt) async throws {
        try await TenancyFixture.run { fixture in
            var people: [String: Account] = [:]
            for name in ["owner", "admin", "member", "member2", "stranger"] {
                people[name] = try await fixture.project.signUp("\(name)@example.com")
            }
            let owner = try #require(people["owner"])
            let team = try await fixture.team(of: owner)
            for name in ["admin", "member", "member2"] {
                try await fixture.join(try #require(people[name]), team, name == "admin" ? "admin" : "member")
            }
            let caller = try #require(people[attempt.by])
            let target = try #require(people[attempt.on])
            let roles =
                "select string_agg(role, ',' order by created_at, user_id) from tenancy.members where tenant_id = '\(team)'"
            let before = try await fixture.project.server.exec(roles)
            let response = try await fixture.request(
                attempt.method, "/api/members/\(target.id)", claims: caller.claims(tenant: team),
                attempt.role.map { ["role": .string($0)] })
            #expect(response.status == attempt.status, "\(response.text)")
            if let code = attempt.code {
                #expect(response.json["code"]?.stringValue == code)
                #expect(try await fixture.project.server.exec(roles) == before)
            } else if let role = attempt.role {
                #expect(try await fixture.role(of: target, in: team) == role)
                #expect(try await fixture.actions(in: team).last == "member.role_changed")
            } else {
                #expect(try await fixture.role(of: target, in: team) == "")
                #expect(try await fixture.actions(in: team).last == "member.removed")
            }
        }
    }

    @Test func aTeamIsMadeListedRenamedAndHandedOver() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com", metadata: ["full_name": "Ann"])
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann, "Änne & Söhne")
            let mine = ann.claims(tenant: team)
            let list = try await fixture.request("GET", "/api/tenants", claims: mine)
            #expect(list.json["current"]?.stringValue == team.description)
            let tenants = try #require(list.json["tenants"]?.arrayValue)
            #expect(tenants.map { $0["personal"] } == [true, false])
            #expect(tenants.map { $0["is_current"] } == [false, true])
            #expect(tenants.map { $0["role"] } == ["owner", "owner"])
            #expect(
                try await fixture.request("GET", "/api/tenants", claims: bob.claims).json["tenants"]?.arrayValue?.count
                    == 1)

            let renamed = try await fixture.request(
                "PATCH", "/api/tenants/current", claims: mine, ["name": "Acme", "metadata": ["color": "red"]])
            #expect(renamed.json["tenant"]?["name"] == "Acme")
            #expect(renamed.json["tenant"]?["metadata"] == ["color": "red"])

            try await fixture.join(bob, team)
            let theirs = bob.claims(tenant: team)
            #expect(
                try await fixture.request("PATCH", "/api/tenants/current", claims: theirs, ["name": "Bob's"]).status
                    == 403)
            let members = try await fixture.request("GET", "/api/members", claims: theirs)
            #expect(members.json["members"]?.arrayValue?.map { $0["email"] } == ["ann@example.com", "bob@example.com"])
            #expect(members.json["members"]?.arrayValue?.map { $0["is_me"] } == [false, true])

            // The owner cannot leave, cannot give it to a stranger, and the other cannot take it.
            #expect(
                try await fixture.request("POST", "/api/tenants/current/leave", claims: mine).json["code"]
                    == "last_owner")
            let eve = try await fixture.project.signUp("eve@example.com")
            for (claims, user, code) in [
                (mine, eve.id, "not_found"), (mine, ann.id, "invalid_request"), (theirs, bob.id, "forbidden"),
            ] {
                let refused = try await fixture.request(
                    "POST", "/api/tenants/current/transfer", claims: claims, ["user_id": .string(user.description)])
                #expect(refused.json["code"]?.stringValue == code)
            }
            let handed = try await fixture.request(
                "POST", "/api/tenants/current/transfer", claims: mine, ["user_id": .string(bob.id.description)])
            #expect(handed.status == 200)
            #expect(try await fixture.role(of: ann, in: team) == "admin")
            #expect(try await fixture.role(of: bob, in: team) == "owner")
            #expect(
                try await fixture.project.server.exec("select owner_id from tenancy.tenants where id = '\(team)'")
                    == bob.id.description)
            #expect(try await fixture.request("POST", "/api/tenants/current/leave", claims: mine).status == 200)
            // Her token names a tenant that is hers no more.
            #expect(try await fixture.request("GET", "/api/members", claims: mine).json["code"] == "no_tenant")
        }
    }

    @Test func personalTenantsStayOnePersons() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            for (method, path, body) in [
                ("POST", "/api/tenants/current/leave", nil), ("DELETE", "/api/tenants/current", nil),
                ("POST", "/api/tenants/current/suspend", nil), ("DELETE", "/api/members/\(ann.id)", nil),
                ("POST", "/api/invitations", ["email": "bob@example.com"]),
            ] as [(String, String, JSON?)] {
                let refused = try await fixture.request(method, path, claims: ann.claims, body)
                #expect(refused.status == 409, "\(method) \(path)")
                #expect(refused.json["code"] == "personal_tenant", "\(method) \(path): \(refused.text)")
            }
        }
    }

    @Test(
        arguments: [
            "{}", #"{"name": ""}"#, #"{"name": "   "}"#, #"{"name": 7}"#, #"{"name": "a\nb"}"#,
            #"{"name": "\#(String(repeating: "x", count: 201))"}"#, #"{"name": "x", "metadata": []}"#,
        ])
    func badTeamsAreRefused(_ body: String) async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let refused = try await fixture.send("POST", "/api/tenants", claims: ann.claims, text: body)
            #expect(refused.status == 400)
            #expect(refused.json["code"] == "invalid_request")
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.tenants") == "1")
        }
    }

    @Test func teamsOfAPersonAreBoundedAlsoWhenAskedForAtOnce() async throws {
        var rules = TenancyRules()
        rules.maxTeams = 3
        try await TenancyFixture.run(rules: rules) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 1...8 {
                    group.addTask {
                        try await fixture.request(
                            "POST", "/api/tenants", claims: ann.claims, ["name": .string("Team \(number)")]
                        ).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 201 } == 3)
            #expect(statuses.count { $0 == 409 } == 5)
        }
    }

    /// Two owners who leave at once must not leave the team without one.
    @Test func theLastOwnerStaysAlsoWhenTwoLeaveAtOnce() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            try await fixture.join(bob, team, "owner")
            async let first = fixture.request("POST", "/api/tenants/current/leave", claims: ann.claims(tenant: team))
            async let second = fixture.request("POST", "/api/tenants/current/leave", claims: bob.claims(tenant: team))
            let statuses = try await [first.status, second.status].sorted()
            #expect(statuses == [200, 409])
            let owner = try await fixture.project.server.exec(
                "select count(*), bool_and(t.owner_id = m.user_id) from tenancy.members m join tenancy.tenants t on t.id = m.tenant_id where m.tenant_id = '\(team)'"
            )
            #expect(owner == "1|t")
        }
    }
}
