// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Synchronization

/// A result that comes once and that tasks and threads can wait for.
final class Latch: Sendable {
    private enum State {
        case waiting([@Sendable (Result<Void, any Error>) -> Void])
        case resolved(Result<Void, any Error>)
    }

    private let state = Mutex<State>(.waiting([]))

    /// Wakes all who wait. Only the first call counts.
    func resolve(_ result: Result<Void, any Error>) {
        let waiting = state.withLock { state -> [@Sendable (Result<Void, any Error>) -> Void] in
            guard case .waiting(let waiting) = state else { return [] }
            state = .resolved(result)
            return waiting
        }
        for action in waiting { action(result) }
    }

    var isResolved: Bool {
        state.withLock { if case .resolved = $0 { true } else { false } }
    }

    /// Suspends the task until the result is there, and returns or throws it.
    func value() async throws {
        try await withUnsafeThrowingContinuation { continuation in
            whenResolved { continuation.resume(with: $0) }
        }
    }

    /// Blocks the thread until the result is there, and returns or throws it.
    func wait() throws {
        let done = Semaphore()
        whenResolved { _ in done.signal() }
        done.wait()
        if case .resolved(let result) = state.withLock({ $0 }) { try result.get() }
    }

    private func whenResolved(_ action: @escaping @Sendable (Result<Void, any Error>) -> Void) {
        let known = state.withLock { state -> Result<Void, any Error>? in
            switch state {
            case .resolved(let result): return result
            case .waiting(let waiting):
                state = .waiting(waiting + [action])
                return nil
            }
        }
        if let known { action(known) }
    }
}

/// A POSIX semaphore that starts at zero.
// @unchecked Sendable: sem_t is made for use by many threads; the memory lives as long as the object.
private final class Semaphore: @unchecked Sendable {
    private let handle = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(handle, 0, 0) }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    func signal() { sem_post(handle) }
    func wait() { while sem_wait(handle) != 0 {} }
}
