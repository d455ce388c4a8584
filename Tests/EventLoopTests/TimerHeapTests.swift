// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

@testable import EventLoop

@Suite("TimerHeap")
struct TimerHeapTests {
    @Test func popsInOrderForAnyInsertionOrder() {
        var generator = SeededGenerator(seed: 42)
        var heap = TimerHeap()
        var fired: [UInt64] = []
        var timers: [LoopTimer] = []
        for _ in 0..<2_000 {
            let deadline = UInt64.random(in: 0..<500, using: &generator)
            let timer = LoopTimer(deadline: deadline) { fired.append(deadline) }
            timers.append(timer)
            heap.push(timer)
        }
        var cancelled = 0
        for timer in timers where Bool.random(using: &generator) {
            heap.cancel(timer)
            cancelled += 1
        }
        #expect(heap.count == 2_000 - cancelled)
        #expect(heap.popDue(at: 0) == nil || fired.isEmpty)
        while let action = heap.popDue(at: 500) { action() }
        #expect(fired == fired.sorted())
        #expect(heap.count == 0)
        #expect(heap.nextDeadline == nil)
    }

    @Test func cancelIsIdempotentAndHarmlessAfterFiring() {
        var heap = TimerHeap()
        var count = 0
        let timer = LoopTimer(deadline: 1) { count += 1 }
        heap.push(timer)
        heap.popDue(at: 1)?()
        heap.cancel(timer)
        heap.cancel(timer)
        #expect(count == 1)
        #expect(heap.count == 0)
    }
}
