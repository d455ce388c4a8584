// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc
internal import Processes
internal import Synchronization

/// The thread that prepares, starts, watches and stops one server.
final class Supervisor: Sendable {
    /// Resolved when the server first accepts connections, or cannot.
    let started = Latch()
    /// Resolved when everything is over.
    let ended = Latch()

    private struct Shared {
        var isLaunched = false
        var isStopRequested = false
        var processID: Int32?
    }

    private let configuration: EmbeddedPostgresConfiguration
    private let shared = Mutex(Shared())
    /// Written to wake the thread.
    private let wakeUp: Int32

    init(_ configuration: EmbeddedPostgresConfiguration) throws {
        self.configuration = configuration
        wakeUp = try SystemError.check(clinux_eventfd(), "eventfd")
    }

    deinit { close(wakeUp) }

    var processID: Int32? { shared.withLock { $0.processID } }

    /// Starts the thread; once in the object's life.
    func launch(progress: @escaping @Sendable (EmbeddedPostgresEvent) -> Void) throws {
        let isFirst = shared.withLock { shared in
            defer { shared.isLaunched = true }
            return !shared.isLaunched
        }
        precondition(isFirst, "an EmbeddedPostgres is started once")
        _ = try WorkerThread(name: "postgres") { [self] in
            // What is told as progress ends with the start.
            let started = started
            let observer = configuration.observer
            run { event in
                observer(event)
                if !started.isResolved { progress(event) }
            }
        }
    }

    func requestStop() {
        let isLaunched = shared.withLock { shared in
            shared.isStopRequested = true
            defer { shared.isLaunched = true }
            return shared.isLaunched
        }
        guard isLaunched else {
            ended.resolve(.success(()))
            return
        }
        var one: UInt64 = 1
        _ = write(wakeUp, &one, MemoryLayout<UInt64>.size)
    }

    private var isStopRequested: Bool { shared.withLock { $0.isStopRequested } }

    /// The thread's body.
    private func run(report: @escaping (EmbeddedPostgresEvent) -> Void) {
        do {
            let lock = try ClusterPreparation(configuration: configuration, report: report).prepare()
            defer { close(lock) }
            try supervise(report: report)
            report(.stopped)
            // A stop that came before the server was ready.
            started.resolve(.failure(CancellationError()))
            ended.resolve(.success(()))
        } catch {
            started.resolve(.failure(error))
            ended.resolve(.failure(error))
        }
    }

    private func supervise(report: @escaping (EmbeddedPostgresEvent) -> Void) throws {
        let begin = ContinuousClock.now
        report(.starting(version: configuration.installation.version, port: configuration.port))
        var limits = SupervisionState.Limits()
        limits.start = configuration.startTimeout
        if !limits.escalation.isEmpty { limits.escalation[0].wait = configuration.stopTimeout }
        var state = SupervisionState(limits: limits, now: begin)
        var server: RunningServer? = try RunningServer(configuration)
        var log = ServerLog()
        var work = Duration.zero
        shared.withLock { $0.processID = server?.process.id }

        while true {
            wait(for: server, state: state)
            if let server {
                for line in log.append(server.readLog()) {
                    report(.logged(line))
                    if line.isProgress { state.serverProgressed(now: .now) }
                }
            }

            var action = SupervisionState.Action.none
            if let running = server, let status = running.process.reap() {
                for line in log.append(running.readLog()) { report(.logged(line)) }
                server = nil
                shared.withLock { $0.processID = nil }
                action = state.serverEnded(now: .now)
                if action == .none { report(.crashed(status)) }
            } else if isStopRequested, !state.isStopping {
                action = state.stopRequested(now: .now)
                if case .signalServer = action { report(.stopping) }
            } else if state.isStarting, let running = server,
                let file = PostmasterFile(inData: configuration.folder.data), file.process == running.process.id,
                file.isReady
            {
                action = state.serverBecameReady(now: .now)
            } else {
                if state.isStarting, let deadline = state.deadline, ContinuousClock.now >= deadline {
                    // The checkpoint at the end of a recovery says nothing for as long as it writes.
                    let before = work
                    work = ProcessTable.processorTime(of: configuration.folder.processes)
                    if work - before >= configuration.startTimeout * Self.leastWork {
                        state.serverProgressed(now: .now)
                    }
                }
                action = state.timePassed(.now)
            }

            switch action {
            case .none: break
            case .startServer:
                log.reset()
                // Sessions of the crashed server hold its shared memory; a new one refuses to start beside them.
                ClusterPreparation(configuration: configuration, report: report).endSessionsOfCrashedServer()
                if let restarted = try? RunningServer(configuration) {
                    server = restarted
                    shared.withLock { $0.processID = restarted.process.id }
                } else {
                    _ = state.serverEnded(now: .now)
                }
            case .signalServer(let number): server?.process.signal(number)
            case .announceReady(let isFirst):
                report(.ready(after: .now - begin))
                if isFirst { started.resolve(.success(())) }
            case .fail(let failure): throw describe(failure, log: log)
            case .end: return
            }
        }
    }

    /// The share of a processor that a starting server takes at least while it is at something; one that waits takes next to nothing.
    private static let leastWork = 0.001

    /// Until the server ends or says something, somebody wakes us, or the next deadline; a starting server is asked often.
    private func wait(for server: RunningServer?, state: SupervisionState) {
        var timeout = state.deadline.map { ($0 - .now).pollMilliseconds } ?? -1
        if state.isStarting { timeout = timeout < 0 ? 5 : min(timeout, 5) }
        var entries = [pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0)]
        if let server {
            entries.append(pollfd(fd: server.process.descriptor, events: Int16(POLLIN), revents: 0))
            entries.append(pollfd(fd: server.log, events: Int16(POLLIN), revents: 0))
        }
        poll(&entries, nfds_t(entries.count), timeout)
        var count: UInt64 = 0
        if entries[0].revents != 0 { _ = read(wakeUp, &count, MemoryLayout<UInt64>.size) }
    }

    private func describe(_ failure: SupervisionState.Failure, log: ServerLog) -> EmbeddedPostgresError {
        let lines = log.remembered.isEmpty ? "" : "; it said:\n  " + log.remembered.joined(separator: "\n  ")
        switch failure {
        case .endedWhileStarting:
            return EmbeddedPostgresError(.startFailed, "PostgreSQL ended while starting\(lines)")
        case .startTimedOut:
            let limit = configuration.startTimeout.components.seconds
            return EmbeddedPostgresError(.startFailed, "PostgreSQL was not ready within \(limit) s\(lines)")
        case .survivedEverySignal:
            return EmbeddedPostgresError(.stopFailed, "PostgreSQL did not end, not even by SIGKILL\(lines)")
        }
    }
}

/// One server process and the pipe its log comes through.
private final class RunningServer {
    let process: ChildProcess
    /// The reading end.
    let log: Int32

    init(_ configuration: EmbeddedPostgresConfiguration) throws {
        var pipe: [Int32] = [-1, -1]
        try SystemError.check(clinux_pipe(&pipe), "pipe2")
        let folder = configuration.folder
        var invocation = ProgramInvocation(
            configuration.installation.program("postgres"),
            ["-D", folder.data, "-c", "config_file=\(folder.settingsFile)"],
            environment: ["PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"], folder: "/", owner: folder.owner,
            deathSignal: SIGINT)
        invocation.output = .descriptor(pipe[1])
        invocation.errors = .descriptor(pipe[1])
        defer { close(pipe[1]) }
        do {
            try SystemError.check(clinux_set_nonblocking(pipe[0]), "fcntl")
            process = try ChildProcess.start(invocation)
        } catch {
            close(pipe[0])
            throw error
        }
        log = pipe[0]
    }

    deinit { close(log) }

    /// What has been written since; at most a few reads, so that a flood cannot hold the supervisor up.
    func readLog() -> [UInt8] {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        for _ in 0..<8 {
            let count = read(log, &chunk, chunk.count)
            guard count > 0 else { break }
            content.append(contentsOf: chunk.prefix(count))
        }
        return content
    }
}
