// SPDX-License-Identifier: Apache-2.0

/// A pending action of a loop. Loop-confined.
package final class LoopTimer {
    let deadline: UInt64
    var action: (() -> Void)?

    init(deadline: UInt64, action: @escaping () -> Void) {
        self.deadline = deadline
        self.action = action
    }
}

/// Timers by deadline: a binary heap in which cancelled timers stay until they surface or make up half of it.
struct TimerHeap {
    private var heap: [LoopTimer] = []
    private var cancelledCount = 0

    /// Timers that will still fire.
    var count: Int { heap.count - cancelledCount }

    /// When the first timer is due, in monotonic nanoseconds. May name a cancelled one, which costs one early wake-up.
    var nextDeadline: UInt64? { heap.first?.deadline }

    mutating func push(_ timer: LoopTimer) {
        heap.append(timer)
        siftUp(heap.count - 1)
    }

    mutating func cancel(_ timer: LoopTimer) {
        guard timer.action != nil else { return }
        timer.action = nil
        cancelledCount += 1
        if cancelledCount > 64, cancelledCount * 2 > heap.count { dropCancelled() }
    }

    /// The action of a timer due at `now`, which leaves the heap; nil when none is due.
    mutating func popDue(at now: UInt64) -> (() -> Void)? {
        while let first = heap.first, first.deadline <= now {
            removeFirst()
            if let action = first.action {
                first.action = nil
                return action
            }
            cancelledCount -= 1
        }
        return nil
    }

    private mutating func dropCancelled() {
        heap.removeAll { $0.action == nil }
        cancelledCount = 0
        heap.sort { $0.deadline < $1.deadline }
    }

    private mutating func removeFirst() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].deadline < heap[parent].deadline else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].deadline < heap[least].deadline {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

/// One `Loop.sleep`: resumes its task once, by the timer or by cancellation, whichever the loop sees first.
// @unchecked Sendable: touched on the loop alone; `cancel` comes through `Loop.execute`.
final class Sleeper: @unchecked Sendable {
    private let loop: Loop
    private var continuation: UnsafeContinuation<Void, any Error>?
    private var timer: LoopTimer?
    private var isCancelled = false

    init(loop: Loop) { self.loop = loop }

    func begin(_ duration: Duration, _ continuation: UnsafeContinuation<Void, any Error>) {
        if isCancelled || Task.isCancelled {
            continuation.resume(throwing: CancellationError())
            return
        }
        self.continuation = continuation
        timer = loop.schedule(after: duration) { [self] in finish(.success(())) }
    }

    func cancel() {
        isCancelled = true
        if let timer { loop.cancel(timer) }
        finish(.failure(CancellationError()))
    }

    private func finish(_ result: Result<Void, any Error>) {
        guard let waiting = continuation else { return }
        continuation = nil
        timer = nil
        waiting.resume(with: result)
    }
}
