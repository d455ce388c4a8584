// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import HTTP
internal import Platform
internal import Primitives
internal import Synchronization

/// A run to be carried on, and in whose name.
struct SetupJob: Sendable {
    let run: UUID
    let person: Principal
    /// The request that asked for it, for the audit log.
    let requestID: String
}

/// The runs that this process works on, bounded.
final class ActiveSetups: Sendable {
    private struct Entry {
        let gate = Gate()
        /// Whether somebody asked for it again, perhaps with more to do.
        var again = false
    }

    private let entries = Mutex<[UUID: Entry]>([:])
    private let maxCount: Int
    let jobs: AsyncStream<SetupJob>
    private let continuation: AsyncStream<SetupJob>.Continuation

    init(maxCount: Int) {
        self.maxCount = maxCount
        (jobs, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(maxCount))
    }

    /// Has a run carried on: by whoever works on it, or by a new worker.
    ///
    /// - Returns: open once the run rests; nil when as many runs as allowed are under way.
    func begin(_ job: SetupJob) -> Gate? {
        let (gate, isNew): (Gate?, Bool) = entries.withLock { entries in
            if let entry = entries[job.run] {
                entries[job.run]?.again = true
                return (entry.gate, false)
            }
            guard entries.count < maxCount else { return (nil, false) }
            let entry = Entry()
            entries[job.run] = entry
            return (entry.gate, true)
        }
        if isNew { continuation.yield(job) }
        return gate
    }

    func contains(_ run: UUID) -> Bool { entries.withLock { $0[run] != nil } }

    /// - Returns: whether the worker is done; else it was asked to go on.
    func finish(_ run: UUID) -> Bool {
        let gate: Gate? = entries.withLock { entries in
            guard entries[run]?.again != true else {
                entries[run]?.again = false
                return nil
            }
            return entries.removeValue(forKey: run)?.gate
        }
        gate?.open()
        return gate != nil
    }

    /// Gives a run up, whoever asked for it.
    func abandon(_ run: UUID) { entries.withLock { $0.removeValue(forKey: run)?.gate }?.open() }
}
