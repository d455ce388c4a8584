// SPDX-License-Identifier: Apache-2.0
internal import EventLoop

/// A condition that did not come true in time.
package struct NeverHappened: Error, CustomStringConvertible {
    package var what: String
    package var limit: Duration
    package var description: String { "waited \(limit) for this: \(what)" }
}

/// Waits until `condition` holds, asking every few milliseconds; errors of the condition count as "not yet".
///
/// - Throws: ``NeverHappened`` after `limit`.
package func eventually(
    _ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + limit
    while true {
        if (try? await condition()) == true { return }
        guard ContinuousClock.now < deadline else { throw NeverHappened(what: what, limit: limit) }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Runs `body`, which blocks, on a thread of its own, so that the tests' few shared threads stay free.
package func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        do {
            _ = try WorkerThread(name: "test") { continuation.resume(with: Result { try body() }) }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}
