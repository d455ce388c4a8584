// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Synchronization

/// Work that many ask for at once and one of them does for all.
///
/// Callers that name the same work on one loop while it is under way are answered with its result. If the one who does it
/// goes away, the next takes over. Callers on other loops are others: they meet in the database.
final class SharedWork<Value: Sendable>: Sendable {
    private struct Key: Hashable {
        let loop: ObjectIdentifier
        let name: String
    }

    private enum Turn {
        case mine
        case done(Result<Value, any Error>)
        /// Whoever did it was cancelled.
        case abandoned
    }

    /// Who waits, by the work that is under way.
    private let waiting = Mutex<[Key: [UnsafeContinuation<Turn, Never>]]>([:])

    /// Runs `body`, or waits for the one that runs and takes its result.
    func run(_ name: String, on loop: Loop, _ body: () async throws -> Value) async throws -> Value {
        let key = Key(loop: ObjectIdentifier(loop), name: name)
        while true {
            switch await turn(key) {
            case .done(let result): return try result.get()
            case .abandoned: continue
            case .mine:
                let result: Result<Value, any Error>
                do { result = .success(try await body()) } catch { result = .failure(error) }
                let others = waiting.withLock { $0.removeValue(forKey: key) ?? [] }
                for other in others { other.resume(returning: Task.isCancelled ? .abandoned : .done(result)) }
                return try result.get()
            }
        }
    }

    private func turn(_ key: Key) async -> Turn {
        await withUnsafeContinuation { continuation in
            let isMine = waiting.withLock { waiting in
                if waiting[key] == nil {
                    waiting[key] = []
                    return true
                }
                waiting[key]?.append(continuation)
                return false
            }
            if isMine { continuation.resume(returning: .mine) }
        }
    }
}
