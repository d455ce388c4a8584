// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import Primitives
package import Processes
internal import Synchronization

/// The built program, serving a project folder of its own on free ports.
package final class AtollProcess: Sendable {
    /// The files of a project.
    package struct ProjectFiles: Sendable {
        /// supabase/migrations: name to SQL.
        package var migrations: [String: String]
        /// supabase/seed.sql.
        package var seed: String?
        /// Appended to supabase/config.toml, after the ports.
        package var configuration: String

        package init(migrations: [String: String] = [:], seed: String? = nil, configuration: String = "") {
            self.migrations = migrations
            self.seed = seed
            self.configuration = configuration
        }
    }

    /// The project's folder.
    package let folder: String
    package let apiPort: Int
    package let databasePort: Int
    /// Of Qdrant's API.
    package let vectorsPort: Int
    /// What `atoll status -o json` printed after the first start.
    package var status: JSON { state.withLock { $0.status } }
    package var anonKey: String { status["ANON_KEY"]?.stringValue ?? "" }
    package var serviceRoleKey: String { status["SERVICE_ROLE_KEY"]?.stringValue ?? "" }
    /// A client that sends the public key.
    package var client: TestHTTPClient { TestHTTPClient(port: apiPort, headers: ["apikey": anonKey]) }
    /// The process while one runs.
    package var processID: Int32? { state.withLock { $0.process?.id } }

    private struct State {
        var process: ChildProcess?
        var status = JSON.null
    }

    private let state = Mutex(State())
    private static let lastNumber = Atomic<Int>(0)

    /// Lends a started Atoll and stops it afterwards; its end must be clean.
    package static func with<R>(
        _ files: ProjectFiles = ProjectFiles(), _ body: (AtollProcess) async throws -> R
    ) async throws -> R {
        let atoll = try AtollProcess(files)
        do {
            try await atoll.start()
            let result = try await body(atoll)
            try await atoll.stop()
            try FileSystem.remove(atoll.folder)
            return result
        } catch {
            let log = atoll.log
            await atoll.kill()
            try FileSystem.remove(atoll.folder)
            throw AtollProcessError(description: "\(error)\natoll's log:\n\(log)")
        }
    }

    private init(_ files: ProjectFiles) throws {
        folder = "/tmp/atoll-project-\(getpid())-\(Self.lastNumber.add(1, ordering: .relaxed).newValue)"
        let ports = try freePorts(4)
        (apiPort, databasePort, vectorsPort) = (ports[0], ports[1], ports[3])
        try FileSystem.remove(folder)
        try FileSystem.makeFolder("\(folder)/supabase/migrations", mode: 0o755)
        let text = """
            project_id = "test"
            [api]
            port = \(apiPort)
            [db]
            port = \(databasePort)
            [inbucket]
            port = \(ports[2])
            [atoll.vectors]
            port = \(ports[3])
            \(files.configuration)

            """
        try FileSystem.write(text, to: "\(folder)/supabase/config.toml", mode: 0o644)
        for (name, sql) in files.migrations {
            try FileSystem.write(sql, to: "\(folder)/supabase/migrations/\(name)", mode: 0o644)
        }
        if let seed = files.seed { try FileSystem.write(seed, to: "\(folder)/supabase/seed.sql", mode: 0o644) }
    }

    /// Everything the server has printed.
    package var log: String { FileSystem.read("\(folder)/server.log", maxBytes: 1 << 20) ?? "" }

    /// The supervised PostgreSQL while one runs: it works in the project's folder.
    package var postgresProcessID: Int32? {
        guard let data = FileSystem.realPath("\(folder)/.atoll/postgres/data"),
            let text = FileSystem.read("\(data)/postmaster.pid", maxBytes: 32),
            let id = Int32(text.prefix { $0.isNumber })
        else { return nil }
        return ProcessTable.processes(inFolder: data).contains(id) ? id : nil
    }

    /// The files in the project's state folder.
    package var stateFiles: [(name: String, mode: UInt32)] {
        FileSystem.entries(of: "\(folder)/.atoll").compactMap { name in
            FileSystem.attributes("\(folder)/.atoll/\(name)").map { (name, $0.mode) }
        }
    }

    /// Starts the program and returns when `/health` answers 200.
    package func start() async throws {
        let log = open("\(folder)/server.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        defer { close(log) }
        var invocation = try invocation(["serve"], deathSignal: SIGTERM)
        invocation.output = .descriptor(log)
        invocation.errors = .descriptor(log)
        let process = try ChildProcess.start(invocation)
        state.withLock { $0.process = process }
        try await eventually("atoll is healthy, or has ended", within: .seconds(60)) {
            if process.reap() != nil { return true }
            return try await TestHTTPClient(port: apiPort).request("GET", "/health").status == 200
        }
        if let status = process.reap() {
            throw AtollProcessError(description: "atoll serve ended with \(status)")
        }
        let status = try JSON(parsing: await command(["status", "-o", "json"]))
        state.withLock { $0.status = status }
    }

    /// Runs another command of the program on the project and returns what it printed.
    package func command(_ arguments: [String]) async throws -> String {
        let invocation = try invocation(arguments, deathSignal: SIGKILL)
        let result = try await onThread { try invocation.capture(timeout: .seconds(60)) }
        guard result.isSuccess else {
            throw AtollProcessError(description: "atoll \(arguments.joined(separator: " ")): \(result.output)")
        }
        return result.output
    }

    /// Begins another command of the program on the project, to be waited for and signalled; what it prints goes to `output`.
    package func begin(_ arguments: [String], output: String) throws -> ChildProcess {
        let file = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(file) }
        var invocation = try invocation(arguments, deathSignal: SIGKILL)
        invocation.output = .descriptor(file)
        invocation.errors = .descriptor(file)
        return try ChildProcess.start(invocation)
    }

    /// Ends the server as a power cut would.
    package func kill() async {
        guard let process = state.withLock({ $0.process }) else { return }
        process.signal(SIGKILL)
        _ = try? await onThread { process.wait(timeout: .seconds(30)) }
    }

    /// Asks the server to end, waits until it has, and throws unless its exit code is 0.
    package func stop() async throws {
        guard let process = state.withLock({ $0.process }) else { return }
        process.signal(SIGTERM)
        let status = try await onThread { process.wait(timeout: .seconds(60)) }
        guard status == .exited(0) else {
            throw AtollProcessError(
                description:
                    "atoll serve ended with \(status.map { "\($0)" } ?? "nothing: it still runs") after SIGTERM")
        }
    }

    private func invocation(_ arguments: [String], deathSignal: Int32) throws -> ProgramInvocation {
        ProgramInvocation(
            try Self.program(), arguments + ["--workdir", folder],
            environment: Self.environment(home: folder), folder: folder,
            deathSignal: deathSignal)
    }

    /// No more than a program needs, so that nothing of this machine's settings reaches the server; and what a sanitizer's run of
    /// the tests asks of every process.
    private static func environment(home: String) -> [String: String] {
        var environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "LANG": "C.UTF-8"]
        for name in ["ASAN_OPTIONS", "TSAN_OPTIONS"] {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        return environment
    }

    /// The program beside the tests, or the one that ATOLL_BINARY names.
    package static func program() throws -> String {
        if let given = getenv("ATOLL_BINARY") { return String(cString: given) }
        let tests = FileSystem.readLink("/proc/self/exe") ?? ""
        let folder = tests.lastIndex(of: "/").map { tests[..<$0] } ?? ""
        // `swift test` runs the test bundle by another program; the products are then in the build folder.
        for program in ["\(folder)/atoll", ".build/debug/atoll"] where FileSystem.exists(program) {
            return FileSystem.realPath(program) ?? program
        }
        throw AtollProcessError(
            description: "no program atoll beside \(tests): run `swift build` first, or set ATOLL_BINARY")
    }
}

/// Atoll did not do as a test asked.
package struct AtollProcessError: Error, Sendable, CustomStringConvertible {
    package var description: String
}
