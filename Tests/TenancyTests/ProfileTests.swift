// SPDX-License-Identifier: Apache-2.0
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct ProfileTests {
    private static let path = "/api/user/profile"

    @Test func aProfileIsReadAndChanged() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com", metadata: ["full_name": "Ann"])
            let read = try await fixture.request("GET", Self.path, claims: ann.claims)
            #expect(read.status == 200)
            let profile = try #require(read.json["profile"])
            #expect(profile["user_id"]?.stringValue == ann.id.description)
            #expect(profile["email"] == "ann@example.com")
            #expect(profile["full_name"] == "Ann")
            #expect(profile["company_name"] == .null)
            #expect(profile["subscription_tier"] == "free")
            #expect(profile["api_usage_limit"] == 1000)
            #expect(profile["api_usage_current"] == 0)
            #expect(profile["setup_completed"] == false)
            #expect(profile["tenant_id"]?.stringValue == ann.tenant.description)

            let change: JSON = ["setup_completed": true, "full_name": .null, "company_name": "Ännchen & Co"]
            let changed = try await fixture.request("PATCH", Self.path, claims: ann.claims, change)
            #expect(changed.status == 200)
            let after = try #require(changed.json["profile"])
            #expect(after["setup_completed"] == true)
            #expect(after["full_name"] == .null)
            #expect(after["company_name"] == "Ännchen & Co")
            #expect(after["email"] == "ann@example.com")
        }
    }

    @Test func onlyOnesOwnProfileCanBeReached() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            let forged = bob.claims(tenant: ann.tenant)
            let changed = try await fixture.request("PATCH", Self.path, claims: forged, ["full_name": "Bob"])
            #expect(changed.json["profile"]?["user_id"]?.stringValue == bob.id.description)
            #expect(changed.json["profile"]?["tenant_id"] == .null)
            #expect(changed.json["profile"]?["subscription_tier"] == .null)
            #expect(
                try await fixture.project.server.exec("select count(*) from tenancy.profiles where full_name = 'Bob'")
                    == "1")
            #expect(
                try await fixture.project.server.exec(
                    "select full_name is null from tenancy.profiles where user_id = '\(ann.id)'") == "t")
        }
    }

    @Test(
        arguments: [
            "{}", "[]", "x", #"{"email": "eve@example.com"}"#, #"{"subscription_tier": "enterprise"}"#,
            #"{"user_id": "0"}"#, #"{"setup_completed": "true"}"#, #"{"setup_completed": null}"#,
            #"{"full_name": 7}"#, #"{"full_name": "a\u0000b"}"#,
            #"{"company_name": "\#(String(repeating: "x", count: 201))"}"#,
        ])
    func badChangesAreRefused(_ body: String) async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let response = try await fixture.send("PATCH", Self.path, claims: ann.claims, text: body)
            #expect(response.status == 400)
            #expect(response.json["error"]?.stringValue?.isEmpty == false)
        }
    }

    @Test func aTokenOutlivesItsAccountInVain() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            try await fixture.project.login("supabase_auth_admin").exec("delete from auth.users")
            let response = try await fixture.request("GET", Self.path, claims: ann.claims)
            #expect(response.status == 401)
        }
    }
}
