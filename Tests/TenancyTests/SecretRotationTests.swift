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

@Suite struct SecretRotationTests {
    private static let keys = "/api/user/api-keys"

    /// With the key that the fixture's server has, and a newer one that seals.
    private static func newer() throws -> Keyring {
        try Keyring(keys: ["k1": TenancyFixture.firstKey, "k2": randomBytes(32)], currentID: "k2")
    }

    /// Runs a rotation as an administrator does.
    private static func rotate<T: Sendable>(
        _ fixture: TenancyFixture, _ keyring: Keyring, batch: Int,
        _ body: @escaping @Sendable (SecretRotation) async throws -> T
    ) async throws -> T {
        try await Loop.withLoop { loop in
            let database = try Database(
                DatabaseConfiguration(address: fixture.project.server.address), loops: [loop], log: .disabled)
            let result: Result<T, any Error>
            do {
                result = .success(
                    try await body(SecretRotation(database: database, keyring: keyring, batch: batch)))
            } catch { result = .failure(error) }
            await database.shutdown(grace: .seconds(1))
            return try result.get()
        }
    }

    @Test func everythingUnderSealIsSealedAnewAndNothingElseChanges() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            for service in ["anthropic", "heygen", "openai", "perplexity", "twilio"] {
                _ = try await fixture.request(
                    "POST", Self.keys, claims: ann.claims,
                    ["service_name": .string(service), "api_key": .string("good-\(service)")])
            }
            _ = try await fixture.request("POST", Self.keys + "/openai/validate", claims: ann.claims)
            fixture.collections.refuse("not now")
            _ = try await fixture.request(
                "POST", "/api/setup", claims: ann.claims, ["preferences": ["language": "de"]],
                headers: ["prefer": "wait=30"])
            let factor = UUID.random()
            let secret = try fixture.keyring.seal(
                Array("totp".utf8), context: SealingContext("auth.mfa_factors", factor.description))
            let job = UUID.random()
            let mail = try fixture.keyring.seal(
                Array("mail".utf8), context: SealingContext("mail", job.description))
            try await fixture.project.server.exec(
                """
                insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, created_at, updated_at, secret)
                values ('\(factor)', '\(ann.id)', 'phone', 'totp', 'verified', now(), now(), '\(secret)');
                insert into jobs.jobs (id, queue, owner, payload) values ('\(job)', 'mail', 'supabase_auth_admin', '\(mail)');
                """)
            let facts = "select service_name, is_active, validation, updated_at from tenancy.secrets order by 1"
            let before = try await fixture.project.server.exec(facts)
            let log = try await fixture.project.server.exec("select count(*) from tenancy.audit_log")

            let newer = try Self.newer()
            let counts = try await Self.rotate(fixture, newer, batch: 2) { rotation in
                var counts: [Int] = []
                for column in SecretRotation.columns {
                    let outdated = try await rotation.outdated(column)
                    let count = try await rotation.run(column)
                    #expect(count == SecretRotation.Count(sealed: outdated, unopened: 0))
                    #expect(try await rotation.outdated(column) == 0)
                    counts.append(outdated)
                }
                return counts
            }
            #expect(counts == [5, 1, 1, 1])
            #expect(try await fixture.project.server.exec(facts) == before)
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.audit_log") == log)

            // The server has not heard of the new key, and opens what it sealed all the same.
            await #expect(throws: CryptographyError.unknownKey(id: "k2")) {
                try await fixture.vault.secret(for: "openai", of: fixture.principal(ann.claims))
            }
            fixture.keyring.look { newer }
            #expect(
                try await fixture.vault.secret(for: "openai", of: fixture.principal(ann.claims))?.reveal()
                    == "good-openai")
            #expect(fixture.keyring.currentID == "k2")
            fixture.collections.refuse(nil)
            let done = try await fixture.request(
                "POST", "/api/setup", claims: ann.claims, headers: ["prefer": "wait=30"])
            #expect(done.json["status"] == "completed")
            #expect(
                try await fixture.project.server.exec("select preferences from tenancy.settings")
                    == #"{"language": "de"}"#)
            let sealed = try await fixture.project.server.exec("select secret from auth.mfa_factors")
            #expect(
                try newer.open(sealed, context: SealingContext("auth.mfa_factors", factor.description))
                    == Array("totp".utf8))
        }
    }

    @Test func whatNoKeyOpensStaysAndIsCounted() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            _ = try await fixture.request(
                "POST", Self.keys, claims: ann.claims, ["service_name": "openai", "api_key": "good"])
            try await fixture.project.server.exec(
                """
                insert into tenancy.secrets (tenant_id, service_name, envelope)
                select tenant_id, 'twilio', envelope from tenancy.secrets;
                """)
            let newer = try Self.newer()
            let column = try #require(SecretRotation.columns.first)
            let (count, left) = try await Self.rotate(fixture, newer, batch: 1) { rotation in
                (try await rotation.run(column), try await rotation.outdated(column))
            }
            #expect(count == SecretRotation.Count(sealed: 1, unopened: 1))
            #expect(left == 1)
        }
    }
}
