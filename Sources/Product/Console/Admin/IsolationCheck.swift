// SPDX-License-Identifier: Apache-2.0
package import Isolation
internal import Postgres
package import Primitives
internal import Synchronization

/// The isolation check as operators run it: beside the server's requests, one at a time, its last result kept until the next.
package final class IsolationCheck: Sendable {
    /// Carries the whole check out; it takes minutes on large schemas.
    package typealias Perform = @Sendable (ProbeProgress) async throws -> IsolationReport

    /// How far a run is.
    struct Running: Sendable {
        let startedAt = Timestamp.now()
        let progress: ProbeProgress
        /// What is tried now; empty while the schema is read.
        var channel = ""
        var done = 0
        /// Zero where it is not known.
        var total = 0
        var isStopping = false
    }

    /// How a run ended.
    struct Ended: Sendable {
        enum Outcome: Sendable {
            case report(IsolationReport)
            case stopped
            /// Why, in words for operators.
            case failed(String)
        }
        let at: Timestamp
        let took: Duration
        let outcome: Outcome
    }

    enum State: Sendable {
        case neverRan
        case running(Running)
        case ended(Ended)
    }

    private let current = Mutex(State.neverRan)
    private let starts: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let perform: Perform
    private let log: Log

    package init(log: Log = .disabled, perform: @escaping Perform) {
        self.perform = perform
        self.log = log
        (starts, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    var state: State { current.withLock { $0 } }

    /// Has a run begin; nothing while one is under way.
    func begin() {
        let progress = ProbeProgress { [self] channel, done, total in
            changeRun {
                $0.channel = channel; $0.done = done; $0.total = total
            }
        }
        let isNew = current.withLock { state in
            if case .running = state { return false }
            state = .running(Running(progress: progress))
            return true
        }
        if isNew { continuation.yield() }
    }

    /// Asks the run to end early, and to take away what it has made.
    func stop() {
        changeRun { run in
            run.isStopping = true
            run.progress.stop()
        }
    }

    private func changeRun(_ change: (inout Running) -> Void) {
        current.withLock { state in
            guard case .running(var run) = state else { return }
            change(&run)
            state = .running(run)
        }
    }

    /// Carries runs out until the task is cancelled.
    package func run() async {
        for await _ in starts {
            guard case .running(let run) = state else { continue }
            let outcome = await outcome(of: run.progress)
            let now = Timestamp.now()
            current.withLock { $0 = .ended(Ended(at: now, took: now - run.startedAt, outcome: outcome)) }
        }
    }

    private func outcome(of progress: ProbeProgress) async -> Ended.Outcome {
        do {
            return .report(try await perform(progress))
        } catch {
            if error is ProbeInterrupted { return .stopped }
            let cause = (error as? PostgresError)?.message ?? String(describing: error)
            log.warning("isolation check failed", .field("cause", cause))
            return .failed(cause)
        }
    }
}
