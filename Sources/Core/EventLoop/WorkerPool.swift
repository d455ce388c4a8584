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
// @unchecked Sendable: `threads` is touched under the queue's lock alone.
package final class WorkerPool: @unchecked Sendable {
    private let queue: WorkQueue
    private var threads: [WorkerThread] = []

    /// - Parameters:
    ///   - threads: how many pieces of work run at a time.
    ///   - maxQueued: how many more may wait.
    ///   - niceness: from 0 to 19; threads with a higher one get the processor when others leave it. For work that is
    ///     nothing but computing, so that it fills the machine without starving the loops.
    package init(threads: Int, maxQueued: Int, niceness: Int32 = 0) throws {
        // The threads hold the queue, not the pool: one may begin only while the pool already goes.
        let queue = WorkQueue(maxCount: maxQueued)
        self.queue = queue
        for number in 0..<max(threads, 1) {
            self.threads.append(
                try WorkerThread(name: "worker-\(number)") {
                    // Zero names the calling thread: on Linux priorities are of threads. Without the right to it nothing changes.
                    if niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
                    while let next = queue.take() { next() }
                })
        }
    }

    deinit { shutdown() }

    /// Runs `body` on a thread of the pool and returns its result on the caller's executor.
    ///
    /// - Throws: ``WorkerPoolError`` when the queue is full or the pool stops; else what `body` throws.
    package func run<T: Sendable>(_ body: @Sendable @escaping () throws -> T) async throws -> T {
        try await withUnsafeThrowingContinuation { continuation in
            let refusal = queue.submit { continuation.resume(with: Result { try body() }) }
            if let refusal { continuation.resume(throwing: refusal) }
        }
    }

    /// Lets queued work finish and ends the threads. Blocks until they have.
    package func shutdown() {
        let ending = queue.stop { () -> [WorkerThread] in
            defer { threads = [] }
            return threads
        }
        for thread in ending { thread.join() }
    }
}

/// Work that waits for a thread.
// @unchecked Sendable: all but the constants is touched under `lock` alone; the pthread objects live as long as this.
private final class WorkQueue: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let available = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var queue: [@Sendable () -> Void] = []
    private var head = 0
    private var isStopped = false
    private let maxCount: Int

    init(maxCount: Int) {
        self.maxCount = maxCount
        pthread_mutex_init(lock, nil)
        pthread_cond_init(available, nil)
    }

    deinit {
        pthread_cond_destroy(available)
        pthread_mutex_destroy(lock)
        available.deallocate()
        lock.deallocate()
    }

    /// Takes no more work, and returns what `body` does under the lock.
    func stop<T>(_ body: () -> T) -> T {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        isStopped = true
        pthread_cond_broadcast(available)
        return body()
    }

    func submit(_ work: @escaping @Sendable () -> Void) -> WorkerPoolError? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if isStopped { return .stopped }
        if queue.count - head >= maxCount { return .overloaded }
        queue.append(work)
        pthread_cond_signal(available)
        return nil
    }

    /// The next piece of work, once there is one; nil when all is done and none comes.
    func take() -> (@Sendable () -> Void)? {
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
