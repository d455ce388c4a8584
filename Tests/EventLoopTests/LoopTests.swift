// SPDX-License-Identifier: Apache-2.0
import CLinux
import EventLoop
import Glibc
import Synchronization
import Testing

@Suite("Loop")
struct LoopTests {
    @Test func runsTasksAndTheirCalleesOnItsThread() async throws {
        try await Loop.withLoop { loop in
            #expect(loop.isOnLoop)
            #expect(Loop.current === loop)
            try await loop.sleep(for: .milliseconds(1))
            #expect(loop.isOnLoop)
        }
    }

    @Test func otherThreadsAreNotTheLoop() async throws {
        let seen = try await Loop.withLoop { loop in
            try await WorkerPool(threads: 1, maxQueued: 1).run { loop.isOnLoop || Loop.current != nil }
        }
        #expect(!seen)
    }

    @Test func executeFromAnotherThreadWakesTheLoop() async throws {
        let value = try await Loop.withLoop { loop in
            await withUnsafeContinuation { continuation in
                let thread = try? WorkerThread(name: "other") {
                    loop.execute { continuation.resume(returning: loop.isOnLoop) }
                }
                thread?.join()
            }
        }
        #expect(value)
    }

    @Test func timersFireInOrderOfTheirDeadline() async throws {
        let order = try await Loop.withLoop { loop in
            let log = Mutex<[Int]>([])
            await withUnsafeContinuation { (done: UnsafeContinuation<Void, Never>) in
                loop.schedule(after: .milliseconds(6)) {
                    log.withLock { $0.append(3) }
                    done.resume()
                }
                loop.schedule(after: .milliseconds(2)) { log.withLock { $0.append(1) } }
                loop.schedule(after: .milliseconds(4)) { log.withLock { $0.append(2) } }
                let cancelled = loop.schedule(after: .milliseconds(3)) { log.withLock { $0.append(99) } }
                loop.cancel(cancelled)
            }
            return log.withLock { $0 }
        }
        #expect(order == [1, 2, 3])
    }

    @Test func cancellingATaskEndsItsSleep() async throws {
        let wasCancelled = try await Loop.withLoop { loop in
            let outcome = Mutex<Bool?>(nil)
            let task = loop.spawn {
                do {
                    try await loop.sleep(for: .seconds(3600))
                    outcome.withLock { $0 = false }
                } catch {
                    outcome.withLock { $0 = error is CancellationError }
                }
            }
            try await loop.sleep(for: .milliseconds(1))
            task.cancel()
            await task.value
            return outcome.withLock { $0 }
        }
        #expect(wasCancelled == true)
    }

    @Test func sleepOfACancelledTaskThrowsAtOnce() async throws {
        let wasCancelled = try await Loop.withLoop { loop in
            let outcome = Mutex(false)
            let task = loop.spawn {
                do { try await loop.sleep(for: .seconds(3600)) } catch { outcome.withLock { $0 = true } }
            }
            task.cancel()
            await task.value
            return outcome.withLock { $0 }
        }
        #expect(wasCancelled)
    }

    @Test func readinessIsToldAndEndsWithDeregistration() async throws {
        try await Loop.withLoop { loop in
            var pair: [Int32] = [0, 0]
            #expect(pipe(&pair) == 0)
            let reader = pair[0]
            let writer = pair[1]
            defer {
                close(reader)
                close(writer)
            }
            let counter = Counter()
            let registration = try loop.register(reader, .readable, counter)
            write(writer, "x", 1)
            try await loop.sleep(for: .milliseconds(2))
            let seen = counter.count
            #expect(seen > 0)
            loop.deregister(registration)
            try await loop.sleep(for: .milliseconds(2))
            let after = counter.count
            try await loop.sleep(for: .milliseconds(2))
            #expect(counter.count == after)
        }
    }

    @Test func aClosedDescriptorIsRefused() async throws {
        try await Loop.withLoop { loop in
            _ = #expect(throws: SystemError.self) { try loop.register(-1, .readable, Counter()) }
        }
    }

    @Test func batchEndRunsAfterTheTasksOfTheBatch() async throws {
        let count = try await Loop.withLoop { loop in
            let counter = Counter()
            loop.atBatchEnd(counter)
            #expect(counter.batches == 0)
            try await loop.sleep(for: .milliseconds(1))
            return counter.batches
        }
        #expect(count == 1)
    }

    @Test func signalsReachEveryLoopOfAGroup() async throws {
        let reached = try await Loop.withLoop { first in
            let group = try LoopGroup(first: first, count: 3)
            let seen = Mutex<Set<Int>>([])
            await withUnsafeContinuation { (done: UnsafeContinuation<Void, Never>) in
                group.broadcast { loop in
                    let isLast = seen.withLock {
                        $0.insert(loop.index)
                        return $0.count == 3
                    }
                    if isLast { done.resume() }
                }
            }
            group.stop()
            return seen.withLock { $0 }
        }
        #expect(reached == [0, 1, 2])
    }

    @Test func runMainReturnsTheBodysResultAndThrowsItsError() async throws {
        struct Refusal: Error {}
        let outcome = Mutex<(Int?, Bool)>((nil, false))
        let thread = try WorkerThread(name: "main") {
            let value = try? Loop.runMain { loop in
                try await loop.sleep(for: .milliseconds(1))
                return 7
            }
            var threw = false
            do { try Loop.runMain { _ in throw Refusal() } } catch { threw = error is Refusal }
            outcome.withLock { $0 = (value, threw) }
        }
        thread.join()
        #expect(outcome.withLock { $0.0 } == 7)
        #expect(outcome.withLock { $0.1 })
    }
}

/// Counts calls. Loop-confined.
final class Counter: ReadinessHandler, BatchEndHandler {
    var count = 0
    var batches = 0
    func ready(_ readiness: Readiness) { count += 1 }
    func batchEnded() { batches += 1 }
}

@Suite("WorkerPool")
struct WorkerPoolTests {
    @Test func refusesBeyondItsBound() async throws {
        let pool = try WorkerPool(threads: 1, maxQueued: 1)
        let gate = Mutex(false)
        let started = Mutex(false)
        let refused = try await Loop.withLoop { loop in
            loop.spawn {
                _ = try? await pool.run {
                    started.withLock { $0 = true }
                    while !gate.withLock({ $0 }) { usleep(200) }
                }
            }
            while !started.withLock({ $0 }) { try await loop.sleep(for: .milliseconds(1)) }
            let waiting = loop.spawn { _ = try? await pool.run {} }
            try await loop.sleep(for: .milliseconds(1))
            var refused = false
            do { try await pool.run {} } catch WorkerPoolError.overloaded { refused = true }
            gate.withLock { $0 = true }
            await waiting.value
            return refused
        }
        #expect(refused)
        pool.shutdown()
        await #expect(throws: WorkerPoolError.self) { try await pool.run {} }
    }

    @Test func errorsOfTheWorkReachTheCaller() async throws {
        struct Refusal: Error {}
        let pool = try WorkerPool(threads: 2, maxQueued: 8)
        await #expect(throws: Refusal.self) { try await pool.run { throw Refusal() } }
        let value = try await pool.run { 41 + 1 }
        #expect(value == 42)
    }
}
