// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct PoolStateTests {
    private typealias State = PoolState<String>

    private func admit(_ state: inout State, _ request: String, deadline: UInt64 = 10) -> String {
        switch state.admit(request, deadline: deadline) {
        case .run(let id): "run on \(id)"
        case .wait(let ticket): "wait \(ticket)"
        case .refuse(let refusal): "refuse \(refusal)"
        }
    }

    private func describe(_ next: State.Next) -> String {
        switch next {
        case .run(let request): "run \(request)"
        case .stayIdle: "idle"
        case .close: "close"
        }
    }

    @Test func refusesBeyondTheQueue() {
        var state = State(maxConnections: 1, maxWaiting: 1)
        #expect(admit(&state, "a") == "wait 1")
        #expect(admit(&state, "b") == "refuse queueFull")
    }

    @Test func opensNoMoreThanAllowedOrNeeded() {
        var state = State(maxConnections: 2, maxWaiting: 9)
        #expect(state.openIfNeeded() == nil)
        _ = admit(&state, "a")
        #expect(state.openIfNeeded() == 1)
        #expect(state.openIfNeeded() == nil)
        _ = admit(&state, "b")
        _ = admit(&state, "c")
        #expect(state.openIfNeeded() == 2)
        #expect(state.openIfNeeded() == nil)
    }

    @Test func handsConnectionsOnInOrderAndKeepsThem() {
        var state = State(maxConnections: 1, maxWaiting: 9)
        _ = admit(&state, "a")
        _ = admit(&state, "b")
        let id = state.openIfNeeded() ?? 0
        #expect(describe(state.connected(id)) == "run a")
        #expect(describe(state.released(id)) == "run b")
        #expect(describe(state.released(id)) == "idle")
        #expect(state.idleCount == 1)
        #expect(admit(&state, "c") == "run on \(id)")
    }

    @Test func whoGivesUpIsSkipped() {
        var state = State(maxConnections: 1, maxWaiting: 2)
        _ = admit(&state, "a")
        _ = admit(&state, "b")
        #expect(state.withdraw(1) == "a")
        #expect(state.withdraw(1) == nil)
        #expect(state.waitingCount == 1)
        #expect(admit(&state, "c") == "wait 3")
        let id = state.openIfNeeded() ?? 0
        #expect(describe(state.connected(id)) == "run b")
    }

    @Test func expiresInOrderOfDeadline() {
        var state = State(maxConnections: 1, maxWaiting: 9)
        _ = admit(&state, "a", deadline: 10)
        _ = admit(&state, "b", deadline: 20)
        #expect(state.nextDeadline == 10)
        #expect(state.takeExpired(at: 9) == nil)
        #expect(state.takeExpired(at: 10) == "a")
        #expect(state.takeExpired(at: 10) == nil)
        #expect(state.nextDeadline == 20)
    }

    @Test func triesOneAtATimeAfterAFailure() {
        var state = State(maxConnections: 4, maxWaiting: 9)
        for request in ["a", "b", "c"] { _ = admit(&state, request) }
        let ids = [state.openIfNeeded(), state.openIfNeeded(), state.openIfNeeded()].compactMap { $0 }
        #expect(ids.count == 3)
        #expect(ids.map { state.connectFailed($0) } == [true, false, false])
        #expect(state.openIfNeeded() == nil)
        state.backoffEnded()
        let probe = state.openIfNeeded() ?? 0
        #expect(state.openIfNeeded() == nil)
        #expect(describe(state.connected(probe)) == "run a")
        #expect(state.openIfNeeded() != nil)
        #expect(state.openIfNeeded() != nil)
        #expect(state.openIfNeeded() == nil)
    }

    @Test func aLostConnectionMakesRoom() {
        var state = State(maxConnections: 1, maxWaiting: 9)
        _ = admit(&state, "a")
        let first = state.openIfNeeded() ?? 0
        _ = state.connected(first)
        _ = admit(&state, "b")
        #expect(state.openIfNeeded() == nil)
        state.closed(first)
        #expect(state.openIfNeeded() != nil)
    }

    @Test func whoWasInterruptedGoesFirst() {
        var state = State(maxConnections: 1, maxWaiting: 9)
        _ = admit(&state, "a")
        if case .wait = state.readmit("interrupted", deadline: 99) {} else { Issue.record("should wait") }
        let id = state.openIfNeeded() ?? 0
        #expect(describe(state.connected(id)) == "run interrupted")
        #expect(describe(state.released(id)) == "run a")
    }

    @Test func shutdownRefusesAndCloses() {
        var state = State(maxConnections: 2, maxWaiting: 9)
        _ = admit(&state, "a")
        _ = admit(&state, "b")
        let first = state.openIfNeeded() ?? 0
        let second = state.openIfNeeded() ?? 0
        _ = state.connected(first)
        _ = state.connected(second)
        _ = state.released(second)
        _ = admit(&state, "c")
        _ = state.released(second)
        #expect(state.shutdown() == [second])
        #expect(admit(&state, "d") == "refuse shutdown")
        #expect(describe(state.released(first)) == "close")
        #expect(state.takeAllWaiting().isEmpty)
    }

    @Test func manyWaitersComeAndGo() {
        var state = State(maxConnections: 1, maxWaiting: 10_000)
        _ = admit(&state, "0")
        let id = state.openIfNeeded() ?? 0
        _ = state.connected(id)
        for number in 1...5000 { _ = admit(&state, String(number)) }
        for number in 1...5000 { #expect(describe(state.released(id)) == "run \(number)") }
        #expect(state.waitingCount == 0)
    }

    @Test func delaysGrowToTheirBound() {
        var backoff = Backoff(minimum: .milliseconds(100), maximum: .seconds(1))
        var random = SystemRandomNumberGenerator()
        for full in [100, 200, 400, 800, 1000, 1000] {
            let delay = backoff.next(using: &random)
            #expect(delay >= .milliseconds(full) / 2 && delay <= .milliseconds(full))
        }
        for _ in 0..<100 { #expect(backoff.next(using: &random) <= .seconds(1)) }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(100))
    }
}
