// SPDX-License-Identifier: Apache-2.0
import Cryptography
import EventLoop
import Platform
import PlatformTestSupport
import Postgres
import Primitives
import Tenancy
import TestSupport
import Testing

@Suite struct APIKeyTests {
    private static let keys = "/api/user/api-keys"

    private static func key(_ service: String, _ key: String) -> JSON {
        ["service_name": .string(service), "api_key": .string(key)]
    }

    @Test func keysAreStoredListedReplacedAndDeletedAndNeverReturned() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let empty = try await fixture.request("GET", Self.keys, claims: ann.claims)
            #expect(empty.status == 200)
            #expect(empty.json == ["apiKeys": []])
            #expect(empty.headers["cache-control"] == "private, no-store")

            for key in ["sk-first", "sk-second"] {
                let stored = try await fixture.request("POST", Self.keys, claims: ann.claims, Self.key("openai", key))
                #expect(stored.status == 200)
                #expect(stored.json == ["success": true])
            }
            let list = try await fixture.request("GET", Self.keys, claims: ann.claims)
            let entry = try #require(list.json["apiKeys"]?.arrayValue?.first?.objectValue)
            #expect(
                entry.names == [
                    "service_name", "is_active", "created_at", "updated_at", "last_used_at", "validation",
                    "validated_at",
                ])
            #expect(entry["service_name"] == "openai")
            #expect(entry["is_active"] == true)
            #expect(!list.text.contains("sk-"))
            let table = try await fixture.project.server.exec("select to_jsonb(s) from tenancy.secrets s")
            #expect(table.contains("v1.k1.") && !table.contains("sk-"))

            let gone = try await fixture.request("DELETE", Self.keys + "?service_name=openai", claims: ann.claims)
            #expect(gone.json == ["success": true])
            #expect(try await fixture.request("GET", Self.keys, claims: ann.claims).json == ["apiKeys": []])
            let again = try await fixture.request(
                "DELETE", Self.keys, claims: ann.claims, ["service_name": "openai"])
            #expect(again.status == 404)

            let log = try await fixture.project.server.exec(
                "select action, target, actor = '\(ann.id)', request_id is not null from tenancy.audit_log order by at, action"
            )
            #expect(
                log.split(separator: "\n").dropFirst() == [
                    "secret.created|openai|t|t", "secret.replaced|openai|t|t", "secret.deleted|openai|t|t",
                ])
        }
    }

    @Test func onlyPeopleWhoSignedInAreServed() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let service: JSON = ["role": "service_role"]
            let visitor: JSON = ["role": "anon"]
            var nobody = ann.claims.objectValue ?? [:]
            nobody["sub"] = nil
            for (method, target) in [
                ("GET", Self.keys), ("POST", Self.keys), ("DELETE", Self.keys), ("GET", "/api/user/profile"),
                ("PATCH", "/api/user/profile"),
            ] {
                for claims in [nil, service, visitor, .object(nobody)] as [JSON?] {
                    let response = try await fixture.request(method, target, claims: claims, Self.key("openai", "sk"))
                    #expect(response.status == 401)
                    #expect(response.json == ["error": "Unauthorized", "code": "unauthorized"])
                }
                for header in ["Bearer nonsense", "Basic YTpi", "Bearer sb_secret_x", ""] {
                    let response = try await fixture.send(method, target, headers: ["authorization": header])
                    #expect(response.status == 401, "\(header)")
                }
            }
        }
    }

    @Test func badInputIsRefusedWithWhatIsWrong() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let cases: [(String, Int, String)] = [
                ("{}", 400, "Missing required fields"),
                (#"{"service_name": "openai"}"#, 400, "Missing required fields"),
                (#"{"api_key": "sk"}"#, 400, "Missing required fields"),
                (#"{"service_name": "", "api_key": "sk"}"#, 400, "Missing required fields"),
                (#"{"service_name": "openai", "api_key": 7}"#, 400, "Missing required fields"),
                (#"{"service_name": "openai", "api_key": " \n\t"}"#, 400, "Missing required fields"),
                ("[]", 400, "The body is not a JSON object"),
                ("not json", 400, "The body is not a JSON object"),
                (#"{"service_name": "Open AI", "api_key": "sk"}"#, 400, "service_name must be"),
                (#"{"service_name": "../x", "api_key": "sk"}"#, 400, "service_name must be"),
                (#"{"service_name": "x\u0000", "api_key": "sk"}"#, 400, "service_name must be"),
                (
                    #"{"service_name": "\#(String(repeating: "x", count: 65))", "api_key": "sk"}"#, 400,
                    "service_name must be"
                ),
                (
                    #"{"service_name": "openai", "api_key": "\#(String(repeating: "k", count: 8193))"}"#, 400,
                    "api_key must have at most 8192 bytes"
                ),
                (#"{"service_name": "\#(String(repeating: "x", count: 70_000))"}"#, 413, ""),
            ]
            for (body, status, message) in cases {
                let response = try await fixture.send("POST", Self.keys, claims: ann.claims, text: body)
                #expect(response.status == status, "\(body.prefix(60))")
                let error = response.json["error"]?.stringValue ?? ""
                #expect(!error.isEmpty && error.contains(message), "\(body.prefix(60)): \(error)")
            }
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.secrets") == "0")
            #expect(try await fixture.request("DELETE", Self.keys, claims: ann.claims).status == 400)
            #expect(try await fixture.request("PUT", Self.keys, claims: ann.claims, [:]).status == 405)
        }
    }

    @Test func theLongestKeyFits() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let key = String(repeating: "k", count: 8192)
            let stored = try await fixture.request("POST", Self.keys, claims: ann.claims, Self.key("gcp", key))
            #expect(stored.status == 200)
        }
    }

    @Test func oneTenantsKeysAreClosedToAnother() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            _ = try await fixture.request("POST", Self.keys, claims: ann.claims, Self.key("openai", "sk-ann"))
            #expect(try await fixture.request("GET", Self.keys, claims: bob.claims).json == ["apiKeys": []])
            #expect(
                try await fixture.request("DELETE", Self.keys + "?service_name=openai", claims: bob.claims).status
                    == 404)

            // A token that names her tenant is no use to him, whatever he tries.
            let forged = bob.claims(tenant: ann.tenant)
            for (method, body) in [
                ("GET", nil), ("POST", Self.key("openai", "sk-bob")), ("DELETE", ["service_name": "openai"]),
            ] as [(String, JSON?)] {
                let response = try await fixture.request(method, Self.keys, claims: forged, body)
                #expect(response.status == 403, "\(method)")
            }
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.secrets") == "1")
        }
    }

    @Test func membersUseKeysAndOnlyAdminsChangeThem() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            try await fixture.project.server.exec(
                "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')")
            _ = try await fixture.request("POST", Self.keys, claims: ann.claims, Self.key("openai", "sk-ann"))
            let member = bob.claims(tenant: ann.tenant)
            let list = try await fixture.request("GET", Self.keys, claims: member)
            #expect(list.json["apiKeys"]?.arrayValue?.count == 1)
            for service in ["openai", "twilio"] {
                let response = try await fixture.request("POST", Self.keys, claims: member, Self.key(service, "sk-bob"))
                #expect(response.status == 403, "\(service)")
                #expect(response.json == ["error": "Forbidden", "code": "forbidden"])
            }
            #expect(
                try await fixture.vault.secret(for: "openai", of: fixture.principal(member))?.reveal() == "sk-ann")
            // Asked not to be a member any more, he is not.
            try await fixture.project.server.exec(
                "delete from tenancy.members where user_id = '\(bob.id)' and tenant_id = '\(ann.tenant)'")
            #expect(try await fixture.vault.secret(for: "openai", of: fixture.principal(member)) == nil)
            #expect(try await fixture.request("GET", Self.keys, claims: member).status == 403)
        }
    }

    @Test func aCiphertextOpensForItsTenantAndServiceAlone() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            _ = try await fixture.request("POST", Self.keys, claims: ann.claims, Self.key("openai", "sk-ann"))
            let principal = fixture.principal(ann.claims)
            #expect(try await fixture.vault.secret(for: "openai", of: principal)?.reveal() == "sk-ann")
            #expect(try await fixture.vault.secret(for: "twilio", of: principal) == nil)
            #expect(
                try await fixture.project.server.exec(
                    "select last_used_at is not null from tenancy.secrets") == "t")

            // Copied by somebody who may write the table, it does not open elsewhere.
            try await fixture.project.server.exec(
                """
                insert into tenancy.secrets (tenant_id, service_name, envelope)
                select '\(bob.tenant)'::uuid, 'openai', envelope from tenancy.secrets
                union all select '\(ann.tenant)', 'twilio', envelope from tenancy.secrets
                """)
            await #expect(throws: CryptographyError.authenticationFailed) {
                try await fixture.vault.secret(for: "openai", of: fixture.principal(bob.claims))
            }
            await #expect(throws: CryptographyError.authenticationFailed) {
                try await fixture.vault.secret(for: "twilio", of: principal)
            }
        }
    }
}
