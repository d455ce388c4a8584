// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing
import TestSupport

/// The built program as an operator meets it: starting, what stands in its way, dying, coming back.
@Suite struct LifeTests {
    @Test func refusesASecondServerOnTheSameProject() async throws {
        try await AtollProcess.with { atoll in
            let error = await #expect(throws: AtollProcessError.self) { try await atoll.command(["serve"]) }
            #expect(error?.description.contains("in use") == true || error?.description.contains("runs") == true)
            let health = try await atoll.client.request("GET", "/health")
            #expect(health.status == 200)
        }
    }

    @Test func comesBackWhenPostgreSQLIsKilled() async throws {
        try await AtollProcess.with { atoll in
            let killed = try #require(atoll.postgresProcessID)
            kill(killed, SIGKILL)
            try await eventually("a new PostgreSQL runs") {
                atoll.postgresProcessID.map { $0 != killed } ?? false
            }
            try await eventually("sign-up works again") {
                let body = #"{"email": "back@example.com", "password": "correct horse battery staple"}"#
                return try await atoll.client.request("POST", "/auth/v1/signup", body: body).status == 200
            }
        }
    }

    @Test func leavesNoProcessBehindWhenKilled() async throws {
        try await AtollProcess.with { atoll in
            await atoll.kill()
            try await eventually("PostgreSQL ends too") { atoll.postgresProcessID == nil }
            try await atoll.start()
        }
    }

    @Test func keepsKeysAndSecretsFromOthers() async throws {
        try await AtollProcess.with { atoll in
            #expect(!atoll.anonKey.isEmpty && !atoll.serviceRoleKey.isEmpty)
            for secret in [atoll.serviceRoleKey, atoll.anonKey] { #expect(!atoll.log.contains(secret)) }
            for path in atoll.stateFiles {
                #expect(path.mode & 0o077 == 0 || path.name.hasPrefix("postgres"), "\(path.name) can be read by others")
            }
        }
    }
}
