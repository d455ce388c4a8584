// SPDX-License-Identifier: Apache-2.0
internal import Synchronization

/// Tells how far a probe is, and is told when it should end early.
package final class ProbeProgress: Sendable {
    /// What is tried now: a channel's name, and how many of how many objects are done.
    package typealias Report = @Sendable (_ channel: String, _ done: Int, _ total: Int) -> Void

    private let report: Report
    private let isStopped = Atomic<Bool>(false)

    package init(_ report: @escaping Report) { self.report = report }

    package static let silent = ProbeProgress { _, _, _ in }

    /// Asks the probe to end at its next attempt, and to take away what it has made.
    package func stop() { isStopped.store(true, ordering: .relaxed) }

    /// - Throws: ``ProbeInterrupted`` after ``stop()``.
    func check() throws {
        if isStopped.load(ordering: .relaxed) { throw ProbeInterrupted() }
    }

    func step(_ channel: String, _ done: Int, of total: Int) throws {
        try check()
        report(channel, done, total)
    }
}

/// A probe was asked to end before it was done.
package struct ProbeInterrupted: Error, CustomStringConvertible {
    package var description: String { "the check was interrupted; what it had made is taken away" }
}
