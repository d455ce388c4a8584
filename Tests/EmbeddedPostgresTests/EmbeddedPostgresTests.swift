// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Primitives
import Processes
import Synchronization
import Testing
import TestSupport

@testable import EmbeddedPostgres

/// Real servers, real signals, real deaths.
@Suite struct EmbeddedPostgresTests {
    // MARK: Refusals

    @Test func namesTheProgramThatHasThePort() async throws {
        let listener = clinux_listen("127.0.0.1", 0, 1, 0)
        defer { close(listener) }
        try await withCluster { cluster in
            let port = Int(clinux_bound_port(listener))
            let error = await #expect(throws: EmbeddedPostgresError.self) {
                try await cluster.server(port: port).start()
            }
            #expect(error?.code == .portInUse)
            #expect(error?.message.contains("port \(port)") == true)
            #expect(error?.message.contains("process \(getpid())") == true)
        }
    }

    @Test func refusesAClusterThatIsSupervisedAlready() async throws {
        try await withCluster { cluster in
            let server = try cluster.server()
            try await server.start()
            let error = await #expect(throws: EmbeddedPostgresError.self) { try await cluster.server().start() }
            #expect(error?.code == .alreadyRunning)
            #expect(error?.message.contains("process \(getpid())") == true)
            #expect(try await cluster.database(server).exec("select 1") == "1")
            try await server.stop()
        }
    }

    @Test func quotesTheServersOwnWordsWhenItDoesNotStart() async throws {
        try await withCluster { cluster in
            let error = await #expect(throws: EmbeddedPostgresError.self) {
                try await cluster.server(overrides: ["shared_buffers": "plenty"]).start()
            }
            #expect(error?.code == .startFailed)
            #expect(error?.message.contains("shared_buffers") == true)
        }
    }

    @Test func refusesAClusterOfAnotherMajorVersion() async throws {
        try await withCluster { cluster in
            try FileSystem.makeFolder(cluster.folder.data, mode: 0o700)
            try FileSystem.write("13\n", to: "\(cluster.folder.data)/PG_VERSION", mode: 0o600)
            let error = await #expect(throws: EmbeddedPostgresError.self) { try await cluster.server().start() }
            #expect(error?.code == .versionMismatch)
        }
    }

    @Test func refusesLoginsWithoutThePassword() async throws {
        try await withCluster { cluster in
            let server = try cluster.server()
            try await server.start()
            let intruder = try cluster.database(server).login(as: server.superuser, password: "wrong")
            let error = await #expect(throws: TestDatabaseError.self) { try await intruder.exec("select 1") }
            #expect(error?.message.contains("password authentication failed") == true)
            try await server.stop()
        }
    }

    // MARK: Life

    @Test func keepsItsDataFromOneStartToTheNext() async throws {
        try await withCluster { cluster in
            let first = try cluster.server()
            let steps = Steps()
            try await first.start { steps.append($0) }
            #expect(steps.kinds == ["initialising", "starting", "ready"])
            try await cluster.database(first).exec("create table note (id int); insert into note values (1)")
            try await first.stop()
            #expect(!FileSystem.exists("\(cluster.folder.data)/postmaster.pid"))

            let second = try cluster.server()
            let laterSteps = Steps()
            try await second.start { laterSteps.append($0) }
            #expect(laterSteps.kinds == ["starting", "ready"])
            #expect(try await cluster.database(second).exec("select id from note") == "1")
            #expect(try await cluster.database(second).exec("show data_checksums") == "on")
            #expect(try await cluster.database(second).exec("show fsync") == "on")
            try await second.stop()
        }
    }

    @Test func makesANewClusterWhenAnInitialisationWasInterrupted() async throws {
        try await withCluster { cluster in
            try FileSystem.makeFolder("\(cluster.folder.unfinishedData)/base", mode: 0o700)
            try FileSystem.write("18\n", to: "\(cluster.folder.unfinishedData)/PG_VERSION", mode: 0o600)
            let server = try cluster.server()
            try await server.start()
            #expect(try await cluster.database(server).exec("select 1") == "1")
            try await server.stop()
        }
    }

    @Test func stopsOnlyOnceHoweverOftenAsked() async throws {
        try await withCluster { cluster in
            let server = try cluster.server()
            try await server.start()
            async let end: Void = server.run()
            server.requestStop()
            server.requestStop()
            try await end
            try await server.stop()
        }
    }

    @Test func leavesNoPasswordInFilesOrProcessList() async throws {
        try await withCluster { cluster in
            let server = try cluster.server()
            try await server.start()
            for process in ProcessTable.processes(inFolder: cluster.folder.data) {
                for file in ["cmdline", "environ"] {
                    let text = FileSystem.read("/proc/\(process)/\(file)", maxBytes: 1 << 20) ?? ""
                    #expect(!text.contains(cluster.password))
                }
            }
            for name in FileSystem.entries(of: cluster.folder.path) {
                let text = FileSystem.read("\(cluster.folder.path)/\(name)", maxBytes: 1 << 20) ?? ""
                #expect(!text.contains(cluster.password), "\(name)")
            }
            try await server.stop()
        }
    }

    // MARK: Death

    @Test func restartsAKilledServerWithEveryAcknowledgedRow() async throws {
        try await withCluster { cluster in
            let server = try cluster.server()
            let steps = Steps()
            try await server.start { _ in }
            cluster.observe { steps.append($0) }
            let database = try cluster.database(server)
            try await database.exec("create table note (id int)")

            // psql prints a number after each insert that the server acknowledged.
            let inserts = (1...100_000).map { "insert into note values (\($0));\n\\echo \($0)\n" }.joined()
            async let load = database.attempt(inserts)
            try await eventually("the load runs") {
                try await database.exec("select count(*) > 100 from note") == "t"
            }
            let killed = try #require(server.processID)
            kill(killed, SIGKILL)
            let output = await load
            let acknowledged = output.split(separator: "\n").compactMap { Int($0) }.max() ?? 0
            #expect(acknowledged > 100 && acknowledged < 100_000)

            try await eventually("the server is back") { server.processID != nil && server.processID != killed }
            try await eventually("it answers") { await database.attempt("select 'back'").contains("back") }
            #expect(
                try await database.exec("select count(*) from note where id <= \(acknowledged)") == "\(acknowledged)")
            #expect(steps.kinds.contains("crashed"))
            try await server.stop()
        }
    }

    @Test func theServerDiesWithAnAtollThatIsKilled() async throws {
        try await withCluster { cluster in
            let path = cluster.folder.path
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                let cluster = try OwnCluster(path: path)
                try cluster.server().startBlocking()
                kill(getpid(), SIGKILL)
            }
            let data = try #require(FileSystem.realPath(cluster.folder.data))
            try await eventually("the orphan ends") { ProcessTable.processes(inFolder: data).isEmpty }

            let server = try cluster.server()
            try await server.start()
            #expect(try await cluster.database(server).exec("select 1") == "1")
            try await server.stop()
        }
    }

    @Test func stopsAServerThatAnEarlierRunLeftBehind() async throws {
        try await withCluster { cluster in
            let first = try cluster.server()
            try await first.start()
            try await first.stop()
            // A server without a supervisor: started here by hand, as if the kernel's signal had been missed.
            let orphan = try ChildProcess.start(
                ProgramInvocation(
                    cluster.installation.program("postgres"),
                    ["-D", cluster.folder.data, "-c", "config_file=\(cluster.folder.settingsFile)"], folder: "/",
                    owner: cluster.folder.owner))
            try await eventually("the orphan is ready") { PostmasterFile(inData: cluster.folder.data)?.isReady == true }

            let second = try cluster.server()
            let steps = Steps()
            try await second.start { steps.append($0) }
            #expect(steps.kinds == ["stoppingLeftover", "starting", "ready"])
            #expect(orphan.wait(timeout: .seconds(10)) == .exited(0))
            #expect(try await cluster.database(second).exec("select 1") == "1")
            try await second.stop()
        }
    }

    @Test func ignoresFilesThatNameAStrangerInTheServersPlace() async throws {
        try await withCluster { cluster in
            let first = try cluster.server()
            try await first.start()
            try await first.stop()
            // A process of the server's own user, which is what makes PostgreSQL itself refuse.
            let stranger = try ChildProcess.start(ProgramInvocation("/bin/sleep", ["60"], owner: cluster.folder.owner))
            defer { _ = stranger.stop([(SIGKILL, .seconds(5))]) }
            let port = try freePorts(1)[0]
            try FileSystem.write(
                "\(stranger.id)\n\(cluster.folder.data)\n1\n\(port)\n\n\n  1 2\nready   \n",
                to: "\(cluster.folder.data)/postmaster.pid", mode: 0o600, owner: cluster.folder.owner)
            try FileSystem.write(
                "\(stranger.id)\n\(cluster.folder.data)\n1\n\(port)\n\(cluster.folder.socketFolder)\n",
                to: "\(cluster.folder.socketFolder)/.s.PGSQL.\(port).lock", mode: 0o600, owner: cluster.folder.owner)
            let second = try cluster.server(port: port)
            try await second.start()
            #expect(stranger.reap() == nil)
            try await second.stop()
        }
    }
}
