// SPDX-License-Identifier: Apache-2.0
import Cryptography
import Glibc
import Primitives
import Processes
import Testing

@testable import Platform

@Suite struct ProjectTests {
    /// Runs with a new folder that is gone afterwards.
    private func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
        let path = try #require(FileSystem.realPath("/tmp")) + "/atoll-project-\(UUID.random())"
        try FileSystem.makeFolder(path, mode: 0o700)
        defer { try? FileSystem.remove(path) }
        return try body(path)
    }

    private func open(_ folder: String, process: [String: String] = [:]) throws -> Project {
        let location = try ProjectFolder.find(from: folder)
        return try Project.open(
            workdir: folder, environment: location.environment(over: ConfigurationEnvironment(process: process)))
    }

    @Test func refusesAFolderThatIsNotThere() {
        #expect(throws: ProjectError.self) { try ProjectFolder.find(from: "/tmp/atoll-there-is-no-such-folder") }
    }

    @Test func refusesDamagedSecretsInsteadOfMakingNewOnes() throws {
        try withFolder { folder in
            _ = try open(folder)
            let file = "\(folder)/.atoll/secrets.json"
            try FileSystem.write("{\"version\":1}", to: file, mode: 0o600)
            let error = #expect(throws: ProjectError.self) { try open(folder) }
            #expect(error?.message == "\(file) is damaged")
            #expect(FileSystem.read(file, maxBytes: 100) == "{\"version\":1}")
        }
    }

    @Test func findsTheProjectFromAFolderInIt() throws {
        try withFolder { folder in
            try FileSystem.makeFolder("\(folder)/supabase/functions/hello", mode: 0o755)
            try FileSystem.write("project_id = \"shop\"\n", to: "\(folder)/supabase/config.toml", mode: 0o644)
            let project = try open("\(folder)/supabase/functions/hello")
            #expect(project.folder == folder)
            #expect(project.configuration.projectID == "shop")
            #expect(project.path("certs/a.pem") == "\(folder)/supabase/certs/a.pem")
        }
    }

    @Test func worksWithoutAConfiguration() throws {
        try withFolder { folder in
            let project = try open(folder)
            #expect(project.folder == folder)
            #expect(project.apiURL == "http://127.0.0.1:54321")
            #expect(project.tokenIssuer == "http://127.0.0.1:54321/auth/v1")
            #expect(project.configuration.projectID.hasPrefix("atoll-project-"))
        }
    }

    @Test func keepsSecretsToTheUser() throws {
        try withFolder { folder in
            _ = try open(folder)
            #expect(FileSystem.attributes("\(folder)/.atoll")?.mode == 0o700)
            #expect(FileSystem.attributes("\(folder)/.atoll/secrets.json")?.mode == 0o600)
            #expect(FileSystem.entries(of: "\(folder)/.atoll").sorted() == [".gitignore", "secrets.json"])
            chmod("\(folder)/.atoll/secrets.json", 0o644)
            _ = try open(folder)
            #expect(FileSystem.attributes("\(folder)/.atoll/secrets.json")?.mode == 0o600)
        }
    }

    @Test func makesSecretsOnceAndSignsKeysWithThem() throws {
        try withFolder { folder in
            let first = try open(folder).secrets
            let second = try open(folder).secrets
            #expect(first.jwtSecret.reveal() == second.jwtSecret.reveal())
            #expect(first.anonKey.reveal() == second.anonKey.reveal())
            #expect(first.keyring.currentID == second.keyring.currentID)
            #expect(
                first.databasePassword(for: "postgres").reveal() == second.databasePassword(for: "postgres").reveal())
            #expect(
                first.databasePassword(for: "postgres").reveal()
                    != first.databasePassword(for: "authenticator").reveal())

            let codec = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: first.jwtSecret.bytes)))
            let claims = try codec.verify(first.serviceRoleKey.reveal())
            #expect(claims.role == "service_role")
            #expect(claims["iss"] == "supabase-demo")
            #expect(try codec.verify(first.anonKey.reveal()).role == "anon")
            #expect(first.publishableKey.reveal().wholeMatch(of: #/sb_publishable_[\w-]{22}_[\w-]{8}/#) != nil)
            #expect(first.secretKey.reveal().wholeMatch(of: #/sb_secret_[\w-]{22}_[\w-]{8}/#) != nil)
        }
    }

    @Test func startsAtTheSameTimeAgreeOnTheSecrets() async throws {
        let folder = try #require(FileSystem.realPath("/tmp")) + "/atoll-project-\(UUID.random())"
        defer { try? FileSystem.remove(folder) }
        let secrets = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<16 {
                group.addTask { try StoredSecrets.loadOrCreate(in: "\(folder)/.atoll").jwtSecret.reveal() }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(secrets.count == 1)
        #expect(FileSystem.entries(of: "\(folder)/.atoll").sorted() == [".gitignore", "secrets.json"])
    }

    @Test func takesSecretsOfTheConfiguration() throws {
        try withFolder { folder in
            try FileSystem.write(
                "ENCRYPTION_KEY=01234567890123456789012345678901\nATOLL_POSTGRES_PASSWORD='p w/'\n",
                to: "\(folder)/.env", mode: 0o600)
            let before = try open(folder, process: ["ENCRYPTION_KEY": "x1234567890123456789012345678901"])
            let sealed = try before.secrets.keyring.seal(Array("hi".utf8), context: SealingContext("a"))
            let after = try open(
                folder, process: ["ATOLL_PREVIOUS_ENCRYPTION_KEYS": "x1234567890123456789012345678901"])
            #expect(after.secrets.keyring.currentID != before.secrets.keyring.currentID)
            #expect(try after.secrets.keyring.open(sealed, context: SealingContext("a")) == Array("hi".utf8))
            #expect(after.databaseURL.reveal() == "postgresql://postgres:p%20w%2F@127.0.0.1:54322/postgres")
        }
    }
}
