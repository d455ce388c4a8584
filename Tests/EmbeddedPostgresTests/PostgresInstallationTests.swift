// SPDX-License-Identifier: Apache-2.0
import Glibc
import Processes
import Testing

@testable import EmbeddedPostgres

/// The search among installations that are shell scripts: what is refused, and with which words.
@Suite struct PostgresInstallationTests {
    /// An installation of which every part can be left out.
    struct Fake: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var version: String? = "postgres (PostgreSQL) 18.6"
        var hasInitdb = true
        var hasVector = true
        var isExecutable = true
        /// Part of what the error must say.
        var refusal: String

        func write(to folder: String) throws {
            try FileSystem.makeFolder("\(folder)/bin", mode: 0o755)
            try FileSystem.makeFolder("\(folder)/share/extension", mode: 0o755)
            if let version {
                try FileSystem.write(
                    "#!/bin/sh\necho '\(version)'\n", to: "\(folder)/bin/postgres", mode: isExecutable ? 0o755 : 0o644)
            }
            if hasInitdb { try FileSystem.write("#!/bin/sh\n", to: "\(folder)/bin/initdb", mode: 0o755) }
            if hasVector { try FileSystem.write("", to: "\(folder)/share/extension/vector.control", mode: 0o644) }
        }
    }

    static let refused = [
        Fake(testDescription: "an empty folder", version: nil, refusal: "no program `postgres`"),
        Fake(testDescription: "no initdb", hasInitdb: false, refusal: "no program `initdb`"),
        Fake(testDescription: "not executable", isExecutable: false, refusal: "cannot be run"),
        Fake(testDescription: "an old version", version: "postgres (PostgreSQL) 14.9", refusal: "14.9, older than 15"),
        Fake(testDescription: "no version", version: "hello", refusal: "printed hello"),
        Fake(testDescription: "no pgvector", hasVector: false, refusal: "pgvector"),
    ]

    @Test(arguments: refused)
    func saysWhatASettingsFolderLacks(_ fake: Fake) throws {
        try withTemporaryFolder { folder in
            try fake.write(to: folder)
            let error = #expect(throws: EmbeddedPostgresError.self) {
                try PostgresInstallation.find(setting: folder, near: [])
            }
            #expect(error?.code == .installationNotFound)
            #expect(error?.message.contains(fake.refusal) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("scripts/setup") == true)
        }
    }

    @Test func refusesAnotherMajorVersionThanTheClusters() throws {
        try withTemporaryFolder { folder in
            try Fake(testDescription: "", refusal: "").write(to: folder)
            let error = #expect(throws: EmbeddedPostgresError.self) {
                try PostgresInstallation.find(setting: folder, near: [], major: 17)
            }
            #expect(error?.message.contains("the cluster needs 17") == true)
        }
    }

    @Test func takesTheNewestBesideAFolderAbove() throws {
        try withTemporaryFolder { folder in
            for version in ["17.4", "18.6", "18.10"] {
                try Fake(testDescription: "", version: "postgres (PostgreSQL) \(version)", refusal: "")
                    .write(to: "\(folder)/.tools/postgres-\(version)-1")
            }
            try FileSystem.makeFolder("\(folder)/a/b", mode: 0o755)
            #expect(try PostgresInstallation.find(near: ["\(folder)/a/b"]).version == "18.10")
            #expect(try PostgresInstallation.find(near: ["\(folder)/a/b"], major: 17).version == "17.4")
        }
    }

    @Test func looksAtTheSystemLast() throws {
        try withTemporaryFolder { folder in
            try FileSystem.makeFolder("\(folder)/system/15", mode: 0o755)
            try FileSystem.makeFolder("\(folder)/system/17", mode: 0o755)
            try FileSystem.makeFolder("\(folder)/postgres-16.1", mode: 0o755)
            let found = PostgresInstallation.candidates(near: [folder], systemFolder: "\(folder)/system")
            #expect(found.first == "\(folder)/postgres-16.1")
            #expect(found.suffix(2) == ["\(folder)/system/17", "\(folder)/system/15"])
        }
    }
}
