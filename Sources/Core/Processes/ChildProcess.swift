// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import EventLoop
internal import Glibc
internal import Synchronization

/// What to start, and as whom.
package struct ProgramInvocation: Sendable {
    /// Where one of the child's standard streams goes.
    package enum Stream: Sendable {
        /// `/dev/null`.
        case discard
        /// A descriptor of this process; stays owned by the caller.
        case descriptor(Int32)
    }

    /// The executable's path; `PATH` is not searched.
    package var program: String
    /// Without the program's own name.
    package var arguments: [String]
    /// The whole environment of the child: nothing is inherited beside it.
    package var environment: [String: String]
    /// The working folder; nil for this process's.
    package var folder: String?
    /// The user to become; only root may set one.
    package var owner: ProcessOwner?
    /// Sent to the child when this process ends in any way, `kill -9` included.
    package var deathSignal: Int32?
    package var input: Stream = .discard
    package var output: Stream = .discard
    package var errors: Stream = .discard

    package init(
        _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], folder: String? = nil,
        owner: ProcessOwner? = nil, deathSignal: Int32? = SIGKILL
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
        self.owner = owner
        self.deathSignal = deathSignal
    }
}

/// A program could not be started.
package struct SpawnError: Error, Sendable, CustomStringConvertible {
    /// The program's path.
    package var program: String
    /// What failed, as the end of a sentence that begins with the program: "cannot become the user postgres".
    package var step: String
    /// The value of `errno`.
    package var code: Int32

    package var description: String { "\(program): \(step): \(String(cString: strerror(code)))" }
}

/// How a process ended.
package enum ExitStatus: Sendable, Hashable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var isSuccess: Bool { self == .exited(0) }

    package var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let number): "signal \(number) (\(String(cString: strsignal(number))))"
        }
    }
}

/// A running child process, in a session of its own so that a Ctrl-C meant for this process does not reach it.
///
/// Signals go through a process descriptor: they never reach a stranger that got the same id later. The object must be waited
/// for (``wait(timeout:)`` or ``reap()``) until it answers a status, or a zombie stays until this process ends.
package final class ChildProcess: Sendable {
    /// The process id.
    package let id: Int32
    /// Readable once the process has ended; for a poll or a loop. Owned by this object.
    package let descriptor: Int32
    private let status = Mutex<ExitStatus?>(nil)

    private init(id: Int32, descriptor: Int32) {
        self.id = id
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Starts a program and returns once it runs.
    ///
    /// - Throws: ``SpawnError`` naming the step that failed.
    package static func start(_ invocation: ProgramInvocation) throws -> ChildProcess {
        try SpawningThread.shared.run {
            var step: Int32 = 0
            let id = invocation.withRequest { clinux_spawn($0, &step) }
            guard id > 0 else {
                throw SpawnError(program: invocation.program, step: invocation.describe(step: step), code: -id)
            }
            let descriptor = clinux_process_descriptor(id)
            guard descriptor >= 0 else {
                let code = errno
                kill(id, SIGKILL)
                waitpid(id, nil, 0)
                throw SystemError("pidfd_open", code: code)
            }
            return ChildProcess(id: id, descriptor: descriptor)
        }
    }

    /// Sends a signal. Does nothing when the process has ended.
    package func signal(_ number: Int32) {
        _ = clinux_process_signal(descriptor, number)
    }

    /// The status if the process has ended, without waiting.
    package func reap() -> ExitStatus? {
        status.withLock { known in
            if let known { return known }
            var raw: Int32 = 0
            guard clinux_process_reap(id, &raw) == 1 else { return nil }
            let number = clinux_exit_signal(raw)
            let ended: ExitStatus = number != 0 ? .signalled(number) : .exited(clinux_exit_code(raw))
            known = ended
            return ended
        }
    }

    /// Blocks this thread until the process ends, for at most `timeout`. Not for a loop's thread.
    ///
    /// - Returns: nil when it still runs.
    package func wait(timeout: Duration) -> ExitStatus? {
        let deadline = ContinuousClock.now + timeout
        while true {
            if let status = reap() { return status }
            let remaining = deadline - ContinuousClock.now
            guard remaining > .zero else { return nil }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, remaining.pollMilliseconds)
        }
    }

    /// Sends each signal in turn and waits after each; returns as soon as the process has ended.
    ///
    /// - Returns: the status, or nil when it survived them all.
    package func stop(_ escalation: [(signal: Int32, wait: Duration)]) -> ExitStatus? {
        for step in escalation {
            signal(step.signal)
            if let status = wait(timeout: step.wait) { return status }
        }
        return nil
    }
}

extension Duration {
    /// For `poll`: rounded up, so that a wait never spins on a last fraction of a millisecond.
    package var pollMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        let milliseconds = Double(seconds) * 1000 + Double(attoseconds) / 1e15
        return Int32(min(max(milliseconds.rounded(.up), 0), Double(Int32.max)))
    }
}
