// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc
internal import Synchronization

/// One thread that waits on epoll and runs everything that belongs to it: readiness handlers, timers and Swift tasks.
///
/// A loop is a `SerialExecutor` and a `TaskExecutor`: a task started by ``spawn(_:)`` and all nonisolated code it calls run
/// on the loop's thread, so what a request touches needs no lock and no hop (a task costs 0.5 us, a hop to the global
/// pool and back 24 us).
///
/// Handlers must not block; blocking work goes to a ``WorkerPool``.
// @unchecked Sendable: everything but `remote`, `wakeDescriptor` and the constants is touched on the loop's thread alone,
// which `assertOnLoop()` checks in debug builds; `remote` is a Mutex.
package final class Loop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    /// The loop's number within its group, from 0.
    package let index: Int
    private let epollDescriptor: Int32
    private let wakeDescriptor: Int32

    // What other threads hand over.
    private struct Remote {
        var jobs: [UnownedJob] = []
        var actions: [@Sendable () -> Void] = []
        var isStopped = false
    }
    private let remote = Mutex(Remote())

    // Loop-confined.
    private var jobs: [UnownedJob] = []
    private var slots = RegistrationTable()
    private var timers = TimerHeap()
    private var batchEnders: [any BatchEndHandler] = []
    private var isStopped = false
    private var nowNanoseconds: UInt64

    /// Jobs run between two looks at epoll; bounds how long input waits behind a storm of ready tasks.
    private static let maxJobsPerBatch = 4096
    private static let maxEventsPerWait = 256

    /// Makes a loop; nothing runs until ``run()``.
    ///
    /// - Throws: ``SystemError`` when the process is out of descriptors.
    package init(index: Int = 0) throws {
        self.index = index
        epollDescriptor = try SystemError.check(clinux_epoll_create(), "epoll_create1")
        wakeDescriptor = try SystemError.check(clinux_eventfd(), "eventfd")
        nowNanoseconds = clinux_monotonic_nanoseconds()
        jobs.reserveCapacity(1024)
        try SystemError.check(
            clinux_epoll_add(epollDescriptor, wakeDescriptor, clinux_epoll_in, Self.wakeToken), "epoll_ctl")
    }

    deinit {
        close(wakeDescriptor)
        close(epollDescriptor)
    }

    private static let wakeToken = UInt64.max

    // MARK: Where am I

    /// The loop that owns the calling thread, or nil on any other thread.
    package static var current: Loop? {
        guard let pointer = clinux_current_loop() else { return nil }
        return Unmanaged<Loop>.fromOpaque(pointer).takeUnretainedValue()
    }

    /// Whether the caller runs on this loop's thread.
    package var isOnLoop: Bool { clinux_current_loop() == Unmanaged.passUnretained(self).toOpaque() }

    /// Stops a debug build when loop-confined state is touched from elsewhere.
    @inline(__always)
    package func assertOnLoop() {
        assert(isOnLoop, "loop-confined state touched from another thread")
    }

    /// Monotonic nanoseconds, read once per batch of events: cheap, and good to the length of a batch.
    package var monotonicNanoseconds: UInt64 { nowNanoseconds }

    // MARK: Running

    /// Waits for events and runs what they bring until ``stop()``. Blocks the calling thread, which becomes the loop's.
    package func run() {
        precondition(clinux_current_loop() == nil, "a thread runs one loop at a time")
        clinux_set_current_loop(Unmanaged.passUnretained(self).toOpaque())
        defer { clinux_set_current_loop(nil) }
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.maxEventsPerWait)
        defer { events.deallocate() }
        takeRemote()
        runJobs()
        endBatch()
        while !isStopped {
            let count = epoll_wait(epollDescriptor, events, Int32(Self.maxEventsPerWait), waitMilliseconds())
            nowNanoseconds = clinux_monotonic_nanoseconds()
            var position = 0
            while position < Int(count) {
                dispatch(events + position)
                position += 1
            }
            fireTimers()
            runJobs()
            endBatch()
        }
    }

    /// Makes ``run()`` return after the batch in hand. Callable from any thread.
    package func stop() {
        remote.withLock { $0.isStopped = true }
        wake()
    }

    private func waitMilliseconds() -> Int32 {
        if !jobs.isEmpty { return 0 }
        guard let deadline = timers.nextDeadline else { return -1 }
        let now = clinux_monotonic_nanoseconds()
        guard deadline > now else { return 0 }
        // Rounded up: waking before the deadline would spin.
        return Int32(min((deadline - now + 999_999) / 1_000_000, 60_000))
    }

    private func dispatch(_ event: UnsafePointer<epoll_event>) {
        let token = clinux_event_data(event)
        if token == Self.wakeToken {
            takeRemote()
        } else if let handler = slots.handler(for: Registration(token: token)) {
            handler.ready(Readiness(epollMask: clinux_event_mask(event)))
        }
    }

    private func takeRemote() {
        var value: eventfd_t = 0
        _ = eventfd_read(wakeDescriptor, &value)
        let taken = remote.withLock { state in
            let taken = state
            state.jobs.removeAll(keepingCapacity: false)
            state.actions.removeAll(keepingCapacity: false)
            return taken
        }
        jobs.append(contentsOf: taken.jobs)
        for action in taken.actions { action() }
        if taken.isStopped { isStopped = true }
    }

    private func runJobs() {
        let serial = asUnownedSerialExecutor()
        let task = asUnownedTaskExecutor()
        var position = 0
        while position < jobs.count, position < Self.maxJobsPerBatch {
            let job = jobs[position]
            position += 1
            job.runSynchronously(isolatedTo: serial, taskExecutor: task)
        }
        if position == jobs.count {
            jobs.removeAll(keepingCapacity: true)
        } else {
            jobs.removeFirst(position)
        }
    }

    private func fireTimers() {
        while let action = timers.popDue(at: nowNanoseconds) { action() }
    }

    private func endBatch() {
        guard !batchEnders.isEmpty else { return }
        let ending = batchEnders
        batchEnders.removeAll(keepingCapacity: true)
        for handler in ending { handler.batchEnded() }
    }

    // MARK: Work from elsewhere

    /// Runs `action` on the loop soon: after the batch in hand when called on the loop itself, else on wake-up.
    package func execute(_ action: @escaping @Sendable () -> Void) {
        let needsWake = remote.withLock { state in
            state.actions.append(action)
            return state.actions.count + state.jobs.count == 1
        }
        if needsWake { wake() }
    }

    private func wake() {
        eventfd_write(wakeDescriptor, 1)
    }

    /// Starts a task whose nonisolated code runs on this loop.
    @discardableResult
    package func spawn(_ operation: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: self, operation: operation)
    }

    /// Runs `handler` once, after the batch in hand; what many tasks wrote can so be sent by one system call.
    package func atBatchEnd(_ handler: any BatchEndHandler) {
        assertOnLoop()
        batchEnders.append(handler)
    }

    // MARK: Executor

    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        if isOnLoop {
            jobs.append(unowned)
            return
        }
        let needsWake = remote.withLock { state in
            state.jobs.append(unowned)
            return state.actions.count + state.jobs.count == 1
        }
        if needsWake { wake() }
    }

    package func checkIsolated() {
        precondition(isOnLoop, "not on the loop's thread")
    }

    package func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    // MARK: Readiness

    /// Watches a descriptor. On the loop only; the descriptor stays the caller's to close, after ``deregister(_:)``.
    ///
    /// - Throws: ``SystemError`` when the kernel refuses (descriptor closed or watched already).
    package func register(
        _ descriptor: Int32, _ interest: Readiness, _ handler: any ReadinessHandler
    ) throws -> Registration {
        assertOnLoop()
        let registration = slots.insert(descriptor, handler)
        if clinux_epoll_add(epollDescriptor, descriptor, interest.epollMask, registration.token) != 0 {
            let error = SystemError("epoll_ctl")
            slots.remove(registration)
            throw error
        }
        return registration
    }

    /// Changes what a registration waits for. On the loop only.
    package func modify(_ registration: Registration, _ interest: Readiness) {
        assertOnLoop()
        guard let descriptor = slots.descriptor(for: registration) else { return }
        _ = clinux_epoll_modify(epollDescriptor, descriptor, interest.epollMask, registration.token)
    }

    /// Ends a registration; events already fetched for it are dropped. On the loop only.
    package func deregister(_ registration: Registration) {
        assertOnLoop()
        guard let descriptor = slots.descriptor(for: registration) else { return }
        _ = clinux_epoll_remove(epollDescriptor, descriptor)
        slots.remove(registration)
    }

    // MARK: Time

    /// Runs `action` on the loop after at least `delay`. On the loop only.
    @discardableResult
    package func schedule(after delay: Duration, _ action: @escaping () -> Void) -> LoopTimer {
        assertOnLoop()
        let timer = LoopTimer(deadline: clinux_monotonic_nanoseconds() &+ delay.clampedNanoseconds, action: action)
        timers.push(timer)
        return timer
    }

    /// Forgets a timer that has not fired; harmless otherwise. On the loop only.
    package func cancel(_ timer: LoopTimer) {
        assertOnLoop()
        timers.cancel(timer)
    }

    /// Suspends the calling task, which must run on this loop.
    ///
    /// - Throws: `CancellationError` as soon as the task is cancelled.
    package func sleep(for duration: Duration) async throws {
        assertOnLoop()
        let sleeper = Sleeper(loop: self)
        try await withTaskCancellationHandler {
            try await withUnsafeThrowingContinuation { (continuation: UnsafeContinuation<Void, any Error>) in
                sleeper.begin(duration, continuation)
            }
        } onCancel: {
            self.execute { sleeper.cancel() }
        }
    }
}

/// What is told of a descriptor's readiness. Always called on the loop.
package protocol ReadinessHandler: AnyObject {
    /// Called with what the descriptor is ready for; errors and hang-ups are always told.
    func ready(_ readiness: Readiness)
}

/// What wants to act once when a batch of events and tasks is over.
package protocol BatchEndHandler: AnyObject {
    /// Called once for each ``Loop/atBatchEnd(_:)``.
    func batchEnded()
}

extension Duration {
    /// Whole nanoseconds, at least 0 and at most what 64 bits hold.
    package var clampedNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? UInt64.max / 2 : whole &+ UInt64(attoseconds / 1_000_000_000)
    }
}
