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

    @Test(arguments: [true, false]) func refusesASocketFolderOfSomebodyElse(_ isLink: Bool) throws {
        // Only root can make what belongs to somebody else.
        guard ProcessOwner.isRoot || isLink else { return }
        try withTemporaryFolder { folder in
            let deep = ClusterFolder(
                path: folder + "/" + Array(repeating: "deep", count: 20).joined(separator: "/"), owner: nil)
            defer { try? FileSystem.remove(deep.socketFolder) }
            if isLink {
                try FileSystem.makeFolder("\(folder)/real", mode: 0o700)
                #expect(symlink("\(folder)/real", deep.socketFolder) == 0)
            } else {
                try FileSystem.makeFolder(deep.socketFolder, mode: 0o700, owner: stranger)
            }
            #expect(throws: EmbeddedPostgresError.self) { try deep.prepare() }
            try FileSystem.remove(deep.socketFolder)
            try deep.prepare()
            #expect(FileSystem.attributes(deep.socketFolder)?.mode == 0o700)
        }
    }

    @Test func refusesToRunAsAUserThatDoesNotExist() throws {
        guard ProcessOwner.isRoot else { return }
        #expect(throws: EmbeddedPostgresError.self) { try ClusterFolder.serverOwner(named: "no-such-user") }
        #expect(throws: EmbeddedPostgresError.self) { try ClusterFolder.serverOwner(named: "root") }
    }
}
