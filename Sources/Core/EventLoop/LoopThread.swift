// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization

/// A POSIX thread that runs one closure. Joined at most once; one that nobody joins frees itself when it ends.
package final class WorkerThread: Sendable {
    private let handle: Mutex<pthread_t?>

    /// Starts the thread under a name of at most 15 bytes, which `top` and core dumps show.
    package init(name: String, _ body: @escaping @Sendable () -> Void) throws {
        let box = Unmanaged.passRetained(ThreadBody(name: name, body: body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
                clinux_name_thread(body.name)
                // Signals are for the thread that asked for them (see `SignalSource`).
                clinux_block_signals()
                body.body()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw SystemError("pthread_create", code: code)
        }
        handle = Mutex(thread)
    }

    deinit {
        if let thread = handle.withLock({ $0 }) { pthread_detach(thread) }
    }

    /// Waits until the closure has returned.
    package func join() {
        let thread = handle.withLock { current in
            let taken = current
            current = nil
            return taken
        }
        if let thread { pthread_join(thread, nil) }
    }
}

private final class ThreadBody: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = String(name.prefix(15))
        self.body = body
    }
}

extension Loop {
    /// Runs `body` on a loop on a thread of its own, which ends when `body` returns. Meant for tests and tools.
    package static func withLoop<T: Sendable>(
        _ body: @Sendable @escaping (Loop) async throws -> T
    ) async throws -> T {
        let loop = try Loop()
        let thread = try WorkerThread(name: "loop") { loop.run() }
        defer {
            loop.stop()
            thread.join()
        }
        return try await Task(executorPreference: loop) { try await body(loop) }.value
    }

    /// Runs `body` on a loop on the calling thread and returns when it has: the entry of a command line.
    package static func runMain<T: Sendable>(_ body: @Sendable @escaping (Loop) async throws -> T) throws -> T {
        let loop = try Loop()
        let outcome = Mutex<Result<T, any Error>?>(nil)
        loop.spawn {
            let result: Result<T, any Error>
            do { result = .success(try await body(loop)) } catch { result = .failure(error) }
            outcome.withLock { $0 = result }
            loop.stop()
        }
        loop.run()
        guard let result = outcome.withLock({ $0 }) else { throw CancellationError() }
        return try result.get()
    }
}

/// The loops of a process: the first on the caller's thread, the others on threads of their own.
package struct LoopGroup: Sendable {
    /// All loops, by index.
    package let loops: [Loop]
    private let threads: [WorkerThread]

    /// Starts `count - 1` more loops beside `first`.
    package init(first: Loop, count: Int) throws {
        var loops = [first]
        var threads: [WorkerThread] = []
        for index in 1..<max(count, 1) {
            let loop = try Loop(index: index)
            loops.append(loop)
            threads.append(try WorkerThread(name: "loop-\(index)") { loop.run() })
        }
        self.loops = loops
        self.threads = threads
    }

    /// Runs `action` on every loop, each on its own thread: how a signal reaches all of them.
    package func broadcast(_ action: @escaping @Sendable (Loop) -> Void) {
        for loop in loops { loop.execute { action(loop) } }
    }

    /// Ends the loops that have threads of their own.
    package func stop() {
        for loop in loops.dropFirst() { loop.stop() }
        for thread in threads { thread.join() }
    }
}
