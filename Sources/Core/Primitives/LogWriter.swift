// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Writes log lines to a file descriptor from a thread of its own, so that a slow terminal or a full pipe holds up
/// nobody but that thread.
package final class LogWriter: Sendable {
    /// The writer of descriptor 2.
    package static let standardError = LogWriter(descriptor: STDERR_FILENO)

    private let queue: LogQueue

    /// - Parameters:
    ///   - descriptor: stays the caller's; it must outlive the writer.
    ///   - maxQueuedBytes: lines that would exceed it are dropped and counted.
    package init(descriptor: Int32, maxQueuedBytes: Int = 1 << 20) {
        queue = LogQueue(descriptor: descriptor, maxQueuedBytes: maxQueuedBytes)
        queue.startThread()
    }

    deinit {
        queue.close()
    }

    /// How many lines were dropped since the start.
    package var droppedLines: Int { queue.droppedLines }

    /// Puts a line, with its end, into the queue.
    package func append(_ line: [UInt8]) { queue.append(line) }

    /// Waits until what was appended before is written, at most `timeout`.
    package func flush(timeout: Duration) { queue.flush(timeout: timeout) }
}

/// What the writer and its thread share; the thread keeps it alive until it has written the rest.
private final class LogQueue: Sendable {
    private struct State {
        var pending: [UInt8] = []
        /// Bytes ever appended and ever written; their difference is what a flush waits for.
        var appended = 0
        var written = 0
        var dropped = 0
        var reported = 0
        var isClosed = false
    }

    private let descriptor: Int32
    private let maxQueuedBytes: Int
    private let state = Mutex(State())
    private let wake = Semaphore()

    init(descriptor: Int32, maxQueuedBytes: Int) {
        self.descriptor = descriptor
        self.maxQueuedBytes = maxQueuedBytes
    }

    var droppedLines: Int { state.withLock { $0.dropped } }

    func append(_ line: [UInt8]) {
        let wasEmpty = state.withLock { state in
            guard state.pending.count + line.count <= maxQueuedBytes else {
                state.dropped += 1
                return false
            }
            let wasEmpty = state.pending.isEmpty
            state.pending += line
            state.appended += line.count
            return wasEmpty
        }
        if wasEmpty { wake.signal() }
    }

    func close() {
        state.withLock { $0.isClosed = true }
        wake.signal()
    }

    func flush(timeout: Duration) {
        let clock = ContinuousClock()
        let deadline = clock.now.advanced(by: timeout)
        let target = state.withLock { $0.appended }
        while state.withLock({ $0.written < target }), clock.now < deadline { usleep(1000) }
    }

    func startThread() {
        let queue = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LogQueue>.fromOpaque(argument).takeRetainedValue().writeUntilClosed()
                return nil
            }, queue.toOpaque())
        guard status == 0 else {
            // Without a thread every line is dropped, counted, once the queue is full; the program works on.
            queue.release()
            return
        }
        pthread_detach(thread)
    }

    private func writeUntilClosed() {
        // A signal delivered here would act by its default, behind the back of whoever waits for it.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        while true {
            let (batch, dropped, isClosed) = state.withLock { state in
                let batch = state.pending
                state.pending = []
                let dropped = state.dropped - state.reported
                state.reported = state.dropped
                return (batch, dropped, state.isClosed)
            }
            writeAll(batch)
            state.withLock { $0.written += batch.count }
            if dropped > 0 {
                let line = LogLine(
                    time: .now(), level: .warning, event: "log lines dropped", fields: [.field("count", dropped)])
                writeAll(line.encoded(as: .text))
            }
            if batch.isEmpty {
                if isClosed { return }
                wake.wait()
            }
        }
    }

    /// Writes everything; what a broken descriptor refuses is lost, for there is nowhere to say so.
    private func writeAll(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let count = write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                if count > 0 {
                    offset += count
                } else if errno == EAGAIN {
                    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, 1000)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}

/// A POSIX semaphore, which wakes the writing thread without a lock held.
private final class Semaphore: @unchecked Sendable {
    // The pointer never changes after init and sem_post and sem_wait may be called from any thread.
    private let handle: UnsafeMutablePointer<sem_t>

    init() {
        handle = .allocate(capacity: 1)
        handle.initialize(to: sem_t())
        sem_init(handle, 0, 0)
    }

    deinit {
        sem_destroy(handle)
        handle.deallocate()
    }

    func signal() { sem_post(handle) }

    func wait() {
        while sem_wait(handle) != 0, errno == EINTR {}
    }
}
