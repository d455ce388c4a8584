// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Platform
internal import Primitives
internal import Processes

/// `atoll start`: a server of its own session with its log in `.atoll/log`, and a keeper that starts it again when it crashes.
enum StartCommand {
    /// A longer log of an earlier run is put aside as `log.1`.
    private static let maxLogBytes = 16 << 20

    static func run(_ invocation: Invocation) throws -> Int32 {
        let overrides = try ServerFlags.overrides(invocation)
        let project = try Project.open(workdir: invocation.workdir, overrides: overrides)
        for warning in project.warnings { Output.printError("\(warning)") }
        if let running = ServerProcess.running(in: project.location) {
            Output.printError("Atoll already runs for \(project.folder) (process \(running.id)).")
            return try StatusCommand.run(invocation)
        }
        let logStart = rotateLog(project.location.logFile)
        let (process, reports) = try launch(project, overrides)
        defer { close(reports) }
        let progress = ProgressLine()
        let outcome = follow(reports, patience: project.configuration.atoll.startTimeout, progress)
        if outcome == .ready, ServerProcess.running(in: project.location)?.isHealthy() == true {
            progress.finish()
            Output.print(StatusValues(project).text(OutputFormat(invocation), names: [:]))
            return 0
        }
        progress.fail()
        if outcome == .ended, let status = process.wait(timeout: .seconds(10)) {
            let lines = lastLines(of: project.location.logFile, from: logStart)
            if !lines.isEmpty { Output.printError(lines) }
            throw CommandFailure(
                "the server ended while it started, with \(status)", next: "see \(project.location.logFile)")
        }
        if invocation.has("ignore-health-check") {
            Output.printError("the server is not healthy yet; it goes on starting")
            return 0
        }
        _ = process.stop([(SIGTERM, project.configuration.atoll.stopTimeout), (SIGKILL, .seconds(5))])
        throw CommandFailure(
            "the server said nothing for \(project.configuration.atoll.startTimeout) and was not healthy, so it was stopped",
            next: "see \(project.location.logFile), or allow more time with `[atoll] start_timeout`")
    }

    private static func launch(
        _ project: Project, _ overrides: [ProjectConfiguration.Override]
    ) throws -> (ChildProcess, Int32) {
        guard let program = FileSystem.readLink("/proc/self/exe") else {
            throw CommandFailure("cannot find this program")
        }
        let logFile = project.location.logFile
        let log = open(logFile, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard log >= 0 else { throw FileSystemError("cannot write", logFile) }
        defer { close(log) }
        let text = ServerFlags.json(overrides).encoded()
        let input = clinux_memory_file(text, text.count)
        guard input >= 0 else { throw CommandFailure("cannot make a file in memory") }
        defer { close(input) }
        var pipe: [Int32] = [-1, -1]
        guard clinux_pipe(&pipe) == 0 else { throw CommandFailure("cannot make a pipe") }
        var server = ProgramInvocation(
            program,
            ["keep", "--workdir", project.folder],
            environment: ConfigurationEnvironment.current.process, folder: project.folder, deathSignal: nil)
        server.input = .descriptor(input)
        server.output = .descriptor(pipe[1])
        server.errors = .descriptor(log)
        do {
            let process = try ChildProcess.start(server)
            close(pipe[1])
            return (process, pipe[0])
        } catch {
            close(pipe[0])
            close(pipe[1])
            throw error
        }
    }

    private enum Outcome { case ready, ended, timedOut }

    /// Shows the steps the server reports until it is ready, ends, or says nothing for as long as `patience`.
    private static func follow(_ descriptor: Int32, patience: Duration, _ progress: ProgressLine) -> Outcome {
        var deadline = ContinuousClock.now + patience
        var pending: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let remaining = deadline - ContinuousClock.now
            guard remaining > .zero else { return .timedOut }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, remaining.pollMilliseconds) > 0 else { continue }
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return .ended }
            pending += chunk.prefix(count)
            while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                if line == ServeCommand.readyMark { return .ready }
                progress.begin(line)
                deadline = ContinuousClock.now + patience
            }
        }
    }

    /// - Returns: the bytes of the log before this run.
    private static func rotateLog(_ file: String) -> Int {
        var facts = stat()
        guard stat(file, &facts) == 0 else { return 0 }
        guard facts.st_size > maxLogBytes else { return facts.st_size }
        rename(file, "\(file).1")
        return 0
    }

    /// Why the run just ended did so: what it wrote, without log lines that only tell of progress, at most the last 20 lines.
    private static func lastLines(of file: String, from start: Int) -> String {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let end = lseek(descriptor, 0, SEEK_END)
        lseek(descriptor, max(start, end - 16384), SEEK_SET)
        var bytes = [UInt8](repeating: 0, count: 16384)
        let count = max(read(descriptor, &bytes, bytes.count), 0)
        return String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: "\n")
            .filter { line in
                !["debug", "info"].contains { line.contains("\"level\":\"\($0)\"") }
            }
            .suffix(20).joined(separator: "\n")
    }
}
