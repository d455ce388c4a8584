// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Platform
internal import Primitives
internal import Processes

/// The process behind `atoll start`: runs the server and starts it again when it crashes or is killed.
///
/// A server that ends by itself, with whatever status, is not started again: it was told to, or said why it cannot run.
enum KeepCommand {
    static func run(_ invocation: Invocation) throws -> Int32 {
        let signals: [Int32] = [SIGTERM, SIGINT]
        let arrivals = clinux_signal_descriptor(signals, signals.count)
        guard arrivals >= 0 else { throw CommandFailure("cannot wait for signals") }
        defer { close(arrivals) }
        let flags = ServeCommand.standardInput()
        let environment = ConfigurationEnvironment.current.process
        var policy = RestartPolicy()
        var isFirst = true
        while true {
            let server = try start(flags, environment, invocation.workdir, isFirst: isFirst)
            isFirst = false
            let began = ContinuousClock.now
            let (status, wasToldToStop) = follow(server, arrivals)
            switch status {
            case .exited(let code): return code
            case .signalled(let number): if wasToldToStop { return 128 + number }
            }
            let note = "atoll: the server ended with \(status)"
            guard let delay = policy.delay(afterCrashOfRunLasting: ContinuousClock.now - began) else {
                Output.printError("\(note) again and again; giving up")
                return 1
            }
            Output.printError("\(note); starting it again")
            if wait(arrivals, atMost: delay) { return 0 }
        }
    }

    private static func start(
        _ flags: [UInt8], _ environment: [String: String], _ folder: String, isFirst: Bool
    ) throws -> ChildProcess {
        guard let program = FileSystem.readLink("/proc/self/exe") else {
            throw CommandFailure("cannot find this program")
        }
        let input = clinux_memory_file(flags, flags.count)
        guard input >= 0 else { throw CommandFailure("cannot make a file in memory") }
        defer { close(input) }
        // No death signal: a server outlives a keeper that is killed.
        var server = ProgramInvocation(
            program, ["serve", "--background", "--workdir", folder], environment: environment, folder: folder,
            deathSignal: nil)
        server.input = .descriptor(input)
        // `atoll start` listens to the first run alone; its pipe ends when nobody holds it any more.
        server.output = isFirst ? .descriptor(STDOUT_FILENO) : .discard
        server.errors = .descriptor(STDERR_FILENO)
        defer { if isFirst { ServeCommand.detachOutput() } }
        return try ChildProcess.start(server)
    }

    /// Waits for the server's end and hands signals on to it.
    private static func follow(_ server: ChildProcess, _ arrivals: Int32) -> (ExitStatus, wasToldToStop: Bool) {
        var wasToldToStop = false
        while true {
            if let status = server.reap() { return (status, wasToldToStop) }
            var entries = [
                pollfd(fd: server.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: arrivals, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&entries, 2, -1) > 0, entries[1].revents != 0 else { continue }
            while case let number = clinux_next_signal(arrivals), number != 0 {
                wasToldToStop = true
                server.signal(number)
            }
        }
    }

    /// - Returns: whether a signal came meanwhile.
    private static func wait(_ arrivals: Int32, atMost delay: Duration) -> Bool {
        var entry = pollfd(fd: arrivals, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, delay.pollMilliseconds) > 0
    }
}
