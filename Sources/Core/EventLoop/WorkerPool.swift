// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// Why a worker pool did not run something.
package enum WorkerPoolError: Error, Sendable {
    /// As much work waits as may; try later.
    case overloaded
    /// The pool is shutting down.
    case stopped
}

/// Threads for work that would block a loop: password hashing, the file system, `PQcancel`.
///
/// The queue is bounded: work beyond it is refused at once instead of waiting without end.
// @unchecked Sendable: `queue`, `isStopped` are touched under `lock` alone; the pthread objects live as long as the pool.
package final class WorkerPool: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let available = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var head = 0
    private var isStopped = false
    private var threads: [WorkerThread] = []
    private let maxQueued: Int

    /// - Parameters:
    ///   - threads: how many pieces of work run at a time.
    ///   - maxQueued: how many more may wait.
    ///   - niceness: from 0 to 19; threads with a higher one get the processor when others leave it. For work that is
    ///     nothing but computing, so that it fills the machine without starving the loops.
    package init(threads: Int, maxQueued: Int, niceness: Int32 = 0) throws {
        self.maxQueued = maxQueued
        pthread_mutex_init(lock, nil)
        pthread_cond_init(available, nil)
        for number in 0..<max(threads, 1) {
            self.threads.append(
                try WorkerThread(name: "worker-\(number)") { [unowned self] in
                    // Zero names the calling thread: on Linux priorities are of threads. Without the right to it nothing changes.
                    if niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
                    work()
                })
        }
    }

    deinit {
        shutdown()
        pthread_cond_destroy(available)
        pthread_mutex_destroy(lock)
        available.deallocate()
        lock.deallocate()
    }

    /// Runs `body` on a thread of the pool and returns its result on the caller's executor.
    ///
    /// - Throws: ``WorkerPoolError`` when the queue is full or the pool stops; else what `body` throws.
    package func run<T: Sendable>(_ body: @Sendable @escaping () throws -> T) async throws -> T {
        try await withUnsafeThrowingContinuation { continuation in
            let refusal = submit { continuation.resume(with: Result { try body() }) }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// Lets queued work finish and ends the threads. Blocks until they have.
    package func shutdown() {
        pthread_mutex_lock(lock)
        isStopped = true
        let ending = threads
        threads = []
        pthread_cond_broadcast(available)
        pthread_mutex_unlock(lock)
        for thread in ending { thread.join() }
    }

    private func submit(_ work: @escaping @Sendable () -> Void) -> WorkerPoolError? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if isStopped { return .stopped }
        if queue.count - head >= maxQueued { return .overloaded }
        queue.append(work)
        pthread_cond_signal(available)
        return nil
    }

    private func work() {
        while let next = take() { next() }
    }

    private func take() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while head == queue.count {
            if isStopped { return nil }
            pthread_cond_wait(available, lock)
        }
        let next = queue[head]
        head += 1
        if head == queue.count {
            queue.removeAll(keepingCapacity: true)
            head = 0
        } else if head == 1024 {
            queue.removeFirst(head)
            head = 0
        }
        return next
    }
}
