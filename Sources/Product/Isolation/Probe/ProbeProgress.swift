// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Tells how far a probe is and what took how long, and is told when it should end early.
package final class ProbeProgress: Sendable {
    /// What is tried now: a part's name, and how many of how many objects are done.
    package typealias Report = @Sendable (_ part: String, _ done: Int, _ total: Int) -> Void

    private struct Clock {
        var part: (name: String, since: ContinuousClock.Instant)?
        var times: [(part: String, time: Duration)] = []
    }

    private let report: Report
    private let isStopped = Atomic<Bool>(false)
    private let clock = Mutex(Clock())

    package init(_ report: @escaping Report) { self.report = report }

    /// One that tells nobody.
    package static var silent: ProbeProgress { ProbeProgress { _, _, _ in } }

    /// Asks the probe to end at its next attempt, and to take away what it has made.
    package func stop() { isStopped.store(true, ordering: .relaxed) }

    /// The time that each part took so far, in the order they began.
    package var times: [(part: String, time: Duration)] {
        clock.withLock { clock in
            Self.settle(&clock)
            return clock.times
        }
    }

    /// - Throws: ``ProbeInterrupted`` after ``stop()``.
    func check() throws {
        if isStopped.load(ordering: .relaxed) { throw ProbeInterrupted() }
    }

    /// Begins a part, or goes on with it.
    func begin(_ part: String) {
        let isNew = clock.withLock { clock in
            guard clock.part?.name != part else { return false }
            Self.settle(&clock)
            clock.part = (part, .now)
            return true
        }
        if isNew { report(part, 0, 0) }
    }

    func step(_ part: String, _ done: Int, of total: Int) throws {
        try check()
        begin(part)
        report(part, done, total)
    }

    private static func settle(_ clock: inout Clock) {
        guard let (name, since) = clock.part else { return }
        let now = ContinuousClock.now
        clock.part = (name, now)
        if let index = clock.times.firstIndex(where: { $0.part == name }) {
            clock.times[index].time += now - since
        } else {
            clock.times.append((name, now - since))
        }
    }
}

/// A probe was asked to end before it was done.
package struct ProbeInterrupted: Error, CustomStringConvertible {
    package var description: String { "the check was interrupted; what it had made is taken away" }
}
