// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Decides what the supervisor does next. No clock, no process: times and events come in, actions go out.
struct SupervisionState {
    /// What the supervisor must do now.
    enum Action: Equatable {
        case none
        case startServer
        case signalServer(Int32)
        /// The server answers; `isFirst` at the first time.
        case announceReady(isFirst: Bool)
        /// The first start did not succeed.
        case fail(Failure)
        /// Everything is over as asked.
        case end
    }

    enum Failure: Equatable {
        case endedWhileStarting
        case startTimedOut
        case survivedEverySignal
    }

    /// The limits.
    struct Limits: Sendable {
        /// How long the first start may take without a word of the server's; later ones may recover for as long as it takes.
        var start: Duration = .seconds(120)
        /// The first pause before a restart; doubles with each failure in a row.
        var firstBackOff: Duration = .milliseconds(100)
        /// The longest pause.
        var maxBackOff: Duration = .seconds(10)
        /// A server that was ready this long starts a new row of failures.
        var stable: Duration = .seconds(60)
        /// Signals to stop with, each with how long it gets: fast shutdown, immediate shutdown, the end.
        var escalation: [(signal: Int32, wait: Duration)] = [
            (SIGINT, .seconds(20)), (SIGQUIT, .seconds(5)), (SIGKILL, .seconds(5)),
        ]
    }

    private enum Phase {
        case starting(deadline: Instant?)
        case ready(since: Instant)
        case backingOff(until: Instant)
        case stopping(step: Int, deadline: Instant, then: Failure?)
        case over
    }

    typealias Instant = ContinuousClock.Instant

    private let limits: Limits
    private var phase: Phase
    private var wasEverReady = false
    private var failuresInARow = 0

    /// The server was just started for the first time.
    init(limits: Limits, now: Instant) {
        self.limits = limits
        phase = .starting(deadline: now + limits.start)
    }

    var isStarting: Bool {
        if case .starting = phase { true } else { false }
    }

    var isStopping: Bool {
        switch phase {
        case .stopping, .over: true
        case .starting, .ready, .backingOff: false
        }
    }

    /// When ``timePassed(_:)`` must be called at the latest; nil for never.
    var deadline: Instant? {
        switch phase {
        case .starting(let deadline): deadline
        case .backingOff(let until): until
        case .stopping(_, let deadline, _): deadline
        case .ready, .over: nil
        }
    }

    /// The server says that it accepts connections.
    mutating func serverBecameReady(now: Instant) -> Action {
        guard isStarting else { return .none }
        phase = .ready(since: now)
        defer { wasEverReady = true }
        return .announceReady(isFirst: !wasEverReady)
    }

    /// A starting server has said what it is at: recovery may take as long as it goes on.
    mutating func serverProgressed(now: Instant) {
        if case .starting(.some) = phase { phase = .starting(deadline: now + limits.start) }
    }

    /// The server's process has ended.
    mutating func serverEnded(now: Instant) -> Action {
        switch phase {
        case .stopping(_, _, let failure):
            phase = .over
            return failure.map { .fail($0) } ?? .end
        case .starting where !wasEverReady:
            phase = .over
            return .fail(.endedWhileStarting)
        case .ready(let since):
            if now - since >= limits.stable { failuresInARow = 0 }
            backOff(now: now)
            return .none
        case .starting:
            backOff(now: now)
            return .none
        case .backingOff, .over:
            return .none
        }
    }

    /// Somebody wants the end.
    mutating func stopRequested(now: Instant) -> Action {
        switch phase {
        case .starting, .ready:
            return beginStop(then: nil, now: now)
        case .backingOff:
            phase = .over
            return .end
        case .stopping, .over:
            return .none
        }
    }

    /// The deadline came.
    mutating func timePassed(_ now: Instant) -> Action {
        guard let deadline, now >= deadline else { return .none }
        switch phase {
        case .starting:
            return beginStop(then: .startTimedOut, now: now)
        case .backingOff:
            phase = .starting(deadline: nil)
            return .startServer
        case .stopping(let step, _, let failure):
            let next = step + 1
            guard next < limits.escalation.count else {
                phase = .over
                return .fail(.survivedEverySignal)
            }
            phase = .stopping(step: next, deadline: now + limits.escalation[next].wait, then: failure)
            return .signalServer(limits.escalation[next].signal)
        case .ready, .over:
            return .none
        }
    }

    private mutating func beginStop(then failure: Failure?, now: Instant) -> Action {
        guard let first = limits.escalation.first else {
            phase = .over
            return .fail(.survivedEverySignal)
        }
        phase = .stopping(step: 0, deadline: now + first.wait, then: failure)
        return .signalServer(first.signal)
    }

    private mutating func backOff(now: Instant) {
        let pause = min(limits.firstBackOff * (1 << min(failuresInARow, 20)), limits.maxBackOff)
        failuresInARow += 1
        phase = .backingOff(until: now + pause)
    }
}
