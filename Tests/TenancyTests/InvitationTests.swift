// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import Tenancy
import TestSupport
import Testing

@Suite struct InvitationTests {
    private static let path = "/api/invitations"

    private static func accept(_ token: String) -> JSON { ["token": .string(token)] }

    @Test func anInvitationIsForOneAddressOnce() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com", metadata: ["full_name": "Ann"])
            let bob = try await fixture.project.signUp("bob@example.com")
            let eve = try await fixture.project.signUp("eve@example.com")
            let team = try await fixture.team(of: ann)
            let mine = ann.claims(tenant: team)
            let made = try await fixture.request("POST", Self.path, claims: mine, ["email": "Bob@Example.com"])
            #expect(made.status == 201, "\(made.text)")
            #expect(made.json["invitation"]?["email"] == "bob@example.com")
            #expect(made.json["invitation"]?["status"] == "pending")
            let token = try await fixture.mails.token(to: "bob@example.com")
            #expect(token.utf8.count == 43)
            // The token is in the mail alone.
            #expect(!made.text.contains(token))
            let stored = try await fixture.project.server.exec(
                "select to_jsonb(i) from tenancy.invitations i union all select to_jsonb(j) from jobs.jobs j")
            #expect(!stored.contains(token))

            let wrong = try await fixture.request("POST", Self.path + "/accept", claims: eve.claims, Self.accept(token))
            #expect(wrong.status == 404)
            #expect(wrong.json["code"] == "invitation_invalid")
            let unknown = try await fixture.request("POST", Self.path + "/accept", claims: eve.claims, Self.accept("x"))
            #expect(unknown.text == wrong.text)

            let accepted = try await fixture.request(
                "POST", Self.path + "/accept", claims: bob.claims, Self.accept(token))
            #expect(accepted.json["tenant_id"]?.stringValue == team.description)
            #expect(accepted.json["role"] == "member")
            #expect(try await fixture.role(of: bob, in: team) == "member")
            let again = try await fixture.request("POST", Self.path + "/accept", claims: bob.claims, Self.accept(token))
            #expect(again.text == wrong.text)
            #expect(
                try await fixture.actions(in: team) == [
                    "tenant.created", "invitation.created", "invitation.accepted", "member.added",
                ])
        }
    }

    @Test func whoMayInviteWhomAsWhat() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let admin = try await fixture.project.signUp("admin@example.com")
            let member = try await fixture.project.signUp("member@example.com")
            let eve = try await fixture.project.signUp("eve@example.com")
            let team = try await fixture.team(of: ann)
            try await fixture.join(admin, team, "admin")
            try await fixture.join(member, team)
            let cases: [(Account, JSON, Int, String?)] = [
                (member, ["email": "x@example.com"], 403, "forbidden"),
                (eve, ["email": "x@example.com"], 403, "no_tenant"),
                (admin, ["email": "x@example.com", "role": "owner"], 403, "forbidden"),
                (admin, ["email": "x@example.com", "role": "king"], 400, "invalid_request"),
                (admin, ["email": "no address"], 400, "invalid_request"),
                (admin, [:], 400, "invalid_request"),
                (admin, ["email": "Member@example.com"], 409, "already_member"),
                (admin, ["email": "x@example.com", "role": "admin"], 201, nil),
                (admin, ["email": "X@example.com"], 409, "already_invited"),
                // Whether there is an account makes no difference.
                (admin, ["email": "eve@example.com"], 201, nil),
            ]
            for (person, body, status, code) in cases {
                let response = try await fixture.request("POST", Self.path, claims: person.claims(tenant: team), body)
                #expect(response.status == status, "\(body.text): \(response.text)")
                #expect(response.json["code"]?.stringValue == code, "\(body.text)")
            }
            let list = try await fixture.request("GET", Self.path, claims: admin.claims(tenant: team))
            #expect(list.json["invitations"]?.arrayValue?.count == 2)
            #expect(!list.text.contains("hash"))
            for (person, status) in [(member, 403), (eve, 403)] {
                let refused = try await fixture.request("GET", Self.path, claims: person.claims(tenant: team))
                #expect(refused.status == status)
            }
        }
    }

    @Test func invitationsHoldAsLongAsWhoMadeThemMayInvite() async throws {
        let changes: [(String, String, Set<String>)] = [
            ("member", "update tenancy.members set role = 'member' where user_id = '%'", []),
            ("admin", "update tenancy.members set role = 'admin' where user_id = '%'", ["admin@y.example"]),
            ("removed", "delete from tenancy.members where user_id = '%' and role = 'owner'", []),
            ("gone", "delete from auth.users where id = '%'", []),
        ]
        for (name, change, left) in changes {
            try await TenancyFixture.run { fixture in
                let ann = try await fixture.project.signUp("ann@example.com")
                let bob = try await fixture.project.signUp("bob@example.com")
                let eve = try await fixture.project.signUp("owner@y.example")
                let team = try await fixture.team(of: ann)
                try await fixture.join(bob, team, "owner")
                for role in ["owner", "admin"] {
                    let made = try await fixture.request(
                        "POST", Self.path, claims: bob.claims(tenant: team),
                        ["email": .string("\(role)@y.example"), "role": .string(role)])
                    #expect(made.status == 201, "\(made.text)")
                }
                let other = try await fixture.request(
                    "POST", Self.path, claims: ann.claims(tenant: team), ["email": "x@y.example", "role": "owner"])
                #expect(other.status == 201, "\(other.text)")
                let token = try await fixture.mails.token(to: "owner@y.example")
                let statement =
                    change.replacing("%", with: bob.id.description)
                    + (name == "gone" ? "" : " and tenant_id = '\(team)'")
                try await fixture.project.server.exec(statement)
                let pending = try await fixture.project.server.exec(
                    "select email from tenancy.invitations where status = 'pending'")
                #expect(Set(pending.split(separator: "\n").map(String.init)) == left.union(["x@y.example"]), "\(name)")
                let accepted = try await fixture.request(
                    "POST", Self.path + "/accept", claims: eve.claims, Self.accept(token))
                #expect(accepted.status == 404, "\(name): \(accepted.text)")
                #expect(try await fixture.actions(in: team).contains("invitation.revoked"))
            }
        }
    }

    @Test func invitationsAreRevokedResentAndEnd() async throws {
        var rules = TenancyRules()
        rules.invitationPause = .zero
        try await TenancyFixture.run(rules: rules) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let team = try await fixture.team(of: ann)
            let mine = ann.claims(tenant: team)
            func invite() async throws -> String {
                let made = try await fixture.request("POST", Self.path, claims: mine, ["email": "bob@example.com"])
                return try #require(made.json["invitation"]?["id"]?.stringValue)
            }
            let id = try await invite()
            let first = try await fixture.mails.token(to: "bob@example.com")
            #expect(try await fixture.request("POST", "\(Self.path)/\(id)/resend", claims: bob.claims).status == 404)
            let resent = try await fixture.request("POST", "\(Self.path)/\(id)/resend", claims: mine)
            #expect(resent.json["invitation"]?["sent_count"] == 2)
            let second = try await fixture.mails.token(to: "bob@example.com", count: 2)
            #expect(first != second)
            #expect(
                try await fixture.request("POST", Self.path + "/accept", claims: bob.claims, Self.accept(first)).status
                    == 404)
            #expect(try await fixture.request("DELETE", "\(Self.path)/\(id)", claims: bob.claims).status == 404)
            #expect(try await fixture.request("DELETE", "\(Self.path)/\(id)", claims: mine).status == 200)
            #expect(try await fixture.request("DELETE", "\(Self.path)/\(id)", claims: mine).status == 404)
            #expect(
                try await fixture.request("POST", Self.path + "/accept", claims: bob.claims, Self.accept(second)).status
                    == 404)

            _ = try await invite()
            let third = try await fixture.mails.token(to: "bob@example.com", count: 3)
            try await fixture.project.server.exec("update tenancy.invitations set expires_at = now()")
            #expect(
                try await fixture.request("POST", Self.path + "/accept", claims: bob.claims, Self.accept(third)).status
                    == 404)
            let list = try await fixture.request("GET", Self.path, claims: mine)
            #expect(list.json["invitations"]?[0]?["status"] == "expired")
            // One that is over gives room to another.
            _ = try await invite()
            #expect(try await fixture.role(of: bob, in: team) == "")
        }
    }

    @Test func mailIsBounded() async throws {
        var rules = TenancyRules()
        rules.maxInvitations = 2
        try await TenancyFixture.run(rules: rules) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let team = try await fixture.team(of: ann)
            let mine = ann.claims(tenant: team)
            let made = try await fixture.request("POST", Self.path, claims: mine, ["email": "a@example.com"])
            let id = try #require(made.json["invitation"]?["id"]?.stringValue)
            let resent = try await fixture.request("POST", "\(Self.path)/\(id)/resend", claims: mine)
            #expect(resent.status == 429)
            #expect(resent.json["code"] == "too_soon")
            // Revoking gives no room for more mail on the same day.
            _ = try await fixture.request("DELETE", "\(Self.path)/\(id)", claims: mine)
            #expect(
                try await fixture.request("POST", Self.path, claims: mine, ["email": "b@example.com"]).status == 201)
            let third = try await fixture.request("POST", Self.path, claims: mine, ["email": "c@example.com"])
            #expect(third.json["code"] == "too_many")
        }
    }

    @Test func somebodyNewAcceptsBySigningUp() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let team = try await fixture.team(of: ann)
            let mine = ann.claims(tenant: team)
            _ = try await fixture.request(
                "POST", Self.path, claims: mine, ["email": "new@example.com", "role": "admin"])
            let token = try await fixture.mails.token(to: "new@example.com")
            // Somebody else who has seen the token, and a token that is none: they sign up, and join nothing.
            let eve = try await fixture.project.signUp(
                "eve@example.com", metadata: ["invitation_token": .string(token), "full_name": "Eve"])
            #expect(try await fixture.role(of: eve, in: team) == "")
            _ = try await fixture.project.signUp("odd@example.com", metadata: ["invitation_token": "nonsense"])
            let new = try await fixture.project.signUp(
                "New@example.com", metadata: ["invitation_token": .string(token), "full_name": "New"])
            #expect(try await fixture.role(of: new, in: team) == "admin")
            let kept = try await fixture.project.server.exec(
                "select count(*) from auth.users where raw_user_meta_data ? 'invitation_token'")
            #expect(kept == "0")
        }
    }
}
