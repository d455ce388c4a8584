// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import EmbeddedPostgres

/// What the supervisor decides, as lists of events and the actions that follow; no process, no clock.
@Suite struct SupervisionStateTests {
    private let start = ContinuousClock.now

    private func state(_ change: (inout SupervisionState.Limits) -> Void = { _ in }) -> SupervisionState {
        var limits = SupervisionState.Limits()
        change(&limits)
        return SupervisionState(limits: limits, now: start)
    }

    @Test func failsWhenTheFirstServerEndsBeforeItIsReady() {
        var state = state()
        #expect(state.serverEnded(now: start) == .fail(.endedWhileStarting))
        #expect(state.deadline == nil)
    }

    @Test func stopsAndFailsWhenTheFirstStartTakesTooLong() {
        var state = state { $0.start = .seconds(5) }
        #expect(state.timePassed(start + .seconds(4)) == .none)
        #expect(state.timePassed(start + .seconds(5)) == .signalServer(SIGINT))
        #expect(state.serverEnded(now: start + .seconds(6)) == .fail(.startTimedOut))
    }

    @Test func waitsForAServerThatGoesOnRecovering() {
        var state = state { $0.start = .seconds(5) }
        state.serverProgressed(now: start + .seconds(4))
        #expect(state.timePassed(start + .seconds(8)) == .none)
        #expect(state.timePassed(start + .seconds(9)) == .signalServer(SIGINT))
        // What it says while it stops gives it no more time.
        let deadline = state.deadline
        state.serverProgressed(now: start + .seconds(10))
        #expect(state.deadline == deadline && state.isStopping)
    }

    @Test func escalatesWhenTheServerDoesNotStop() {
        var state = state { $0.escalation = [(SIGINT, .seconds(20)), (SIGQUIT, .seconds(5)), (SIGKILL, .seconds(1))] }
        _ = state.serverBecameReady(now: start)
        #expect(state.stopRequested(now: start) == .signalServer(SIGINT))
        #expect(state.stopRequested(now: start) == .none)
        #expect(state.timePassed(start + .seconds(19)) == .none)
        #expect(state.timePassed(start + .seconds(20)) == .signalServer(SIGQUIT))
        #expect(state.timePassed(start + .seconds(25)) == .signalServer(SIGKILL))
        #expect(state.timePassed(start + .seconds(26)) == .fail(.survivedEverySignal))
    }

    @Test func endsWhenTheServerStopsAsAsked() {
        var state = state()
        #expect(state.serverBecameReady(now: start) == .announceReady(isFirst: true))
        _ = state.stopRequested(now: start)
        #expect(state.serverEnded(now: start) == .end)
    }

    @Test func restartsACrashedServerWithPausesThatGrowToALimit() {
        var state = state {
            $0.firstBackOff = .milliseconds(100)
            $0.maxBackOff = .milliseconds(300)
        }
        _ = state.serverBecameReady(now: start)
        var now = start
        for pause in [100, 200, 300, 300] {
            #expect(state.serverEnded(now: now) == .none)
            #expect(state.deadline == now + .milliseconds(pause))
            now += .milliseconds(pause)
            #expect(state.timePassed(now) == .startServer)
            // A restarted server may recover for as long as it takes.
            #expect(state.deadline == nil)
        }
        #expect(state.serverBecameReady(now: now) == .announceReady(isFirst: false))
    }

    @Test func forgetsOldFailuresOnceTheServerWasStable() {
        var state = state {
            $0.firstBackOff = .milliseconds(100)
            $0.stable = .seconds(60)
        }
        _ = state.serverBecameReady(now: start)
        _ = state.serverEnded(now: start)
        _ = state.timePassed(start + .seconds(1))
        _ = state.serverBecameReady(now: start + .seconds(1))
        _ = state.serverEnded(now: start + .seconds(62))
        #expect(state.deadline == start + .seconds(62) + .milliseconds(100))
    }

    @Test func stopsAtOnceWhileWaitingToRestart() {
        var state = state()
        _ = state.serverBecameReady(now: start)
        _ = state.serverEnded(now: start)
        #expect(state.stopRequested(now: start) == .end)
    }
}
