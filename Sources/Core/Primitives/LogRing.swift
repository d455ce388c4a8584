// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The latest events of a log, kept in memory for whoever administers the server; older ones make room.
package final class LogRing: Sendable {
    /// One event as it was logged.
    package struct Entry: Sendable {
        /// Rises with each event.
        package let number: Int
        package let time: Timestamp
        package let level: Log.Level
        package let event: String
        package let fields: [KeyValue]
    }

    private struct State {
        var entries: [Entry] = []
        /// Where the oldest entry is once the ring is full.
        var oldest = 0
        var count = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: how many events are kept, at least one.
    package init(capacity: Int = 1000) {
        self.capacity = max(1, capacity)
    }

    func append(_ time: Timestamp, _ level: Log.Level, _ event: String, _ fields: [KeyValue]) {
        state.withLock { state in
            state.count += 1
            let entry = Entry(number: state.count, time: time, level: level, event: event, fields: fields)
            guard state.entries.count == capacity else {
                state.entries.append(entry)
                return
            }
            state.entries[state.oldest] = entry
            state.oldest = (state.oldest + 1) % capacity
        }
    }

    /// What is kept, the latest first.
    package func latest() -> [Entry] {
        state.withLock { state in
            Array((state.entries[state.oldest...] + state.entries[..<state.oldest]).reversed())
        }
    }
}
