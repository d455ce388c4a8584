// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Primitives
import Testing

@Suite struct RefreshDecisionTests {
    private static let now = Timestamp(unixSeconds: 1_000_000)

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var isRevoked = false
        /// Seconds since the token was last written.
        var age = 0
        var active: RefreshFacts.ActiveToken?
        var sessionAge = 1000
        var refreshedAge: Int?
        var endsIn: Int?
        var timebox: Duration?
        var inactivity: Duration?
        var decision: RefreshDecision
    }

    private static let child = RefreshFacts.ActiveToken(token: "child", parent: "presented")
    private static let grandchild = RefreshFacts.ActiveToken(token: "grandchild", parent: "child")

    @Test(arguments: [
        Case(testDescription: "the current token", decision: .rotate),
        Case(
            testDescription: "spent long ago, child unused", isRevoked: true, age: 5000, active: child,
            decision: .answerWith("child")),
        Case(
            testDescription: "spent just now", isRevoked: true, age: 9, active: grandchild,
            decision: .answerWith("grandchild")),
        Case(
            testDescription: "spent at the end of the interval", isRevoked: true, age: 10, active: grandchild,
            decision: .refuseReuse),
        Case(testDescription: "spent long ago", isRevoked: true, age: 5000, active: grandchild, decision: .refuseReuse),
        Case(
            testDescription: "spent just now, family revoked", isRevoked: true, age: 1, active: nil,
            decision: .refuseReuse),
        Case(testDescription: "session past its end", endsIn: 0, decision: .refuseExpired),
        Case(testDescription: "session before its end", endsIn: 1, decision: .rotate),
        Case(
            testDescription: "session past its timebox", sessionAge: 60, timebox: .seconds(60), decision: .refuseExpired
        ),
        Case(
            testDescription: "no timebox and no timeout", timebox: .zero, inactivity: .zero, decision: .rotate),
        Case(testDescription: "session within its timebox", sessionAge: 59, timebox: .seconds(60), decision: .rotate),
        Case(
            testDescription: "never refreshed, idle", sessionAge: 60, inactivity: .seconds(60), decision: .refuseExpired
        ),
        Case(testDescription: "refreshed, idle", refreshedAge: 60, inactivity: .seconds(60), decision: .refuseExpired),
        Case(testDescription: "refreshed lately", refreshedAge: 59, inactivity: .seconds(60), decision: .rotate),
        Case(
            testDescription: "expired and reused", isRevoked: true, age: 5000, active: grandchild, endsIn: -1,
            decision: .refuseExpired),
    ])
    func decides(_ test: Case) {
        let facts = RefreshFacts(
            token: "presented", isRevoked: test.isRevoked, updatedAt: Self.now - .seconds(test.age),
            active: test.active,
            sessionCreatedAt: Self.now - .seconds(test.sessionAge),
            sessionRefreshedAt: test.refreshedAge.map { Self.now - .seconds($0) },
            sessionEndsAt: test.endsIn.map { Self.now + .seconds($0) }, now: Self.now)
        let decision = RefreshDecision(
            facts, reuseInterval: .seconds(10), timebox: test.timebox, inactivityTimeout: test.inactivity)
        #expect(decision == test.decision)
    }
}
