// SPDX-License-Identifier: Apache-2.0
import Glibc
import Processes
import Testing

@testable import EmbeddedPostgres

@Suite struct ClusterFolderTests {
    private let stranger = ProcessOwner(name: "nobody", user: 65534, group: 65534)

    @Test func liesInTheProjectWhenTheServersUserReachesIt() throws {
        try withTemporaryFolder { folder in
            try FileSystem.makeFolder("\(folder)/.atoll", mode: 0o700)
            #expect(
                try ClusterFolder.ofProject(stateFolder: "\(folder)/.atoll", owner: nil).path
                    == "\(folder)/.atoll/postgres")
            let found = try ClusterFolder.ofProject(stateFolder: "\(folder)/.atoll", owner: stranger)
            #expect(found.path == "\(folder)/.atoll/postgres")
            // Others may pass through the state folder and still not list it.
            #expect(FileSystem.attributes("\(folder)/.atoll")?.mode == 0o711)
        }
    }

    @Test func liesInTheSharedFolderWhenTheProjectIsClosedToTheServersUser() throws {
        try withTemporaryFolder { folder in
            try FileSystem.makeFolder("\(folder)/closed", mode: 0o700)
            try FileSystem.makeFolder("\(folder)/closed/.atoll", mode: 0o700)
            func find() throws -> String {
                try ClusterFolder.ofProject(
                    stateFolder: "\(folder)/closed/.atoll", owner: stranger, sharedFolder: "\(folder)/shared"
                ).path
            }
            let first = try find()
            #expect(first.hasPrefix("\(folder)/shared/"))
            #expect(try find() == first)
            // A project made anew in the same place starts with an empty database.
            try FileSystem.remove("\(folder)/closed/.atoll")
            try FileSystem.makeFolder("\(folder)/closed/.atoll", mode: 0o700)
            #expect(try find() != first)
        }
    }

    @Test func theSocketsPathFitsHoweverDeepTheProjectLies() {
        let deep = ClusterFolder(path: "/" + String(repeating: "deep/", count: 40), owner: nil)
        #expect("\(deep.socketFolder)/.s.PGSQL.65535".utf8.count <= 107)
        #expect(
            ClusterFolder(path: "/srv/app/.atoll/postgres", owner: nil).socketFolder
                == "/srv/app/.atoll/postgres/socket")
    }

    @Test func refusesToRunAsAUserThatDoesNotExist() throws {
        guard ProcessOwner.isRoot else { return }
        #expect(throws: EmbeddedPostgresError.self) { try ClusterFolder.serverOwner(named: "no-such-user") }
        #expect(throws: EmbeddedPostgresError.self) { try ClusterFolder.serverOwner(named: "root") }
    }
}
