// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Glibc

/// The one thread that starts child processes.
///
/// Linux sends a child its death signal when the *thread* that started it ends, not the process. Pool threads come and go, so
/// every start happens on this thread, which lives as long as the process.
// @unchecked Sendable: `queue` is touched under `lock` alone.
final class SpawningThread: @unchecked Sendable {
    /// Started with the first child process.
    static let shared = SpawningThread()

    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let available = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var startFailure: (any Error)?

    private init() {
        pthread_mutex_init(lock, nil)
        pthread_cond_init(available, nil)
        do {
            _ = try WorkerThread(name: "spawn") { [unowned self] in work() }
        } catch {
            startFailure = error
        }
    }

    /// Runs `body` on the thread and waits for its result. Starting a program takes about a millisecond.
    func run<T: Sendable>(_ body: @escaping @Sendable () throws -> T) throws -> T {
        if let startFailure { throw startFailure }
        let call = Call(body)
        submit { call.run() }
        return try call.wait()
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(lock)
        queue.append(work)
        pthread_cond_signal(available)
        pthread_mutex_unlock(lock)
    }

    private func work() -> Never {
        while true {
            pthread_mutex_lock(lock)
            while queue.isEmpty { pthread_cond_wait(available, lock) }
            let next = queue.removeFirst()
            pthread_mutex_unlock(lock)
            next()
        }
    }
}

/// One call handed to the thread.
// @unchecked Sendable: the semaphore orders the thread's write of `result` before the caller's read.
private final class Call<T: Sendable>: @unchecked Sendable {
    private let body: @Sendable () throws -> T
    private var result: Result<T, any Error>?
    private let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init(_ body: @escaping @Sendable () throws -> T) {
        self.body = body
        sem_init(done, 0, 0)
    }

    deinit {
        sem_destroy(done)
        done.deallocate()
    }

    func run() {
        result = Result { try body() }
        sem_post(done)
    }

    func wait() throws -> T {
        while sem_wait(done) != 0 {}
        guard let result else { throw SystemError("sem_wait") }
        return try result.get()
    }
}
