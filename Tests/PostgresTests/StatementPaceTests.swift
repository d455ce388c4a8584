// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct StatementPaceTests {
    private func proven(_ statement: Int = 1) -> StatementPace {
        var pace = StatementPace(limitNanoseconds: 100)
        for _ in 0..<StatementPace.firstProof { pace.ran(statement, nanoseconds: 10) }
        return pace
    }

    @Test func aNewStatementProvesItselfFirst() {
        var pace = StatementPace(limitNanoseconds: 100)
        for _ in 0..<StatementPace.firstProof {
            #expect(!pace.isQuick(1))
            pace.ran(1, nanoseconds: 100)
        }
        #expect(pace.isQuick(1))
        #expect(!pace.isQuick(2))
    }

    @Test func aSlowRunStartsTheProofAnew() {
        var pace = StatementPace(limitNanoseconds: 100)
        for _ in 0..<StatementPace.firstProof - 1 { pace.ran(1, nanoseconds: 10) }
        pace.ran(1, nanoseconds: 101)
        for _ in 0..<StatementPace.firstProof - 1 { pace.ran(1, nanoseconds: 10) }
        #expect(!pace.isQuick(1))
        pace.ran(1, nanoseconds: 10)
        #expect(pace.isQuick(1))
    }

    @Test func oneHiccupIsForgivenAndAHabitIsNot() {
        var pace = proven()
        pace.ran(1, nanoseconds: 500)
        #expect(pace.isQuick(1))
        for _ in 0..<8 { pace.ran(1, nanoseconds: 500) }
        #expect(!pace.isQuick(1))
    }

    @Test func theProofGrowsWithEachRelapseAndHasABound() {
        var pace = proven()
        var needed = StatementPace.firstProof
        for _ in 0..<8 {
            pace.wasStopped(1)
            needed = min(needed * 4, StatementPace.longestProof)
            for _ in 0..<needed - 1 { pace.ran(1, nanoseconds: 10) }
            #expect(!pace.isQuick(1))
            pace.ran(1, nanoseconds: 10)
            #expect(pace.isQuick(1))
        }
    }

    @Test func forgetsAllBeyondItsBound() {
        var pace = StatementPace(limitNanoseconds: 100, capacity: 4)
        for statement in 0..<100 { pace.ran(statement, nanoseconds: 10) }
        #expect(pace.count <= 4)
    }
}
