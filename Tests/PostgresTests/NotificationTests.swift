// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Primitives
import TestSupport
import Testing

@testable import Postgres

@Suite struct NotificationTests {
    @Test func messagesArriveInOrder() async throws {
        try await DatabaseFixture.run { fixture in
            let events = fixture.database.notifications(on: "Channel \"x\"").makeAsyncIterator()
            #expect(await events.next() == .gap)
            for number in 1...3 {
                try await fixture.database.query("select pg_notify('Channel \"x\"', \(String(number)))")
            }
            try await fixture.database.query("select pg_notify('other', 'not for us')")
            var payloads: [String] = []
            for _ in 1...3 {
                if case .message(let payload, _) = await events.next() { payloads.append(payload) }
            }
            #expect(payloads == ["1", "2", "3"])
        }
    }

    @Test func aLostConnectionIsMadeAgainAndTheGapTold() async throws {
        try await DatabaseFixture.run({ $0.minReconnectDelay = .milliseconds(5) }) { fixture in
            let events = fixture.database.notifications(on: "jobs").makeAsyncIterator()
            #expect(await events.next() == .gap)
            try await fixture.database.query(
                """
                select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()
                """)
            #expect(await events.next() == .gap)
            try await fixture.database.query("select pg_notify('jobs', 'again')")
            guard case .message("again", _) = await events.next() else {
                Issue.record("the notification after the reconnect is missing")
                return
            }
        }
    }

    @Test func severalSubscribersShareOneConnection() async throws {
        try await DatabaseFixture.run { fixture in
            let first = fixture.database.notifications(on: "a").makeAsyncIterator()
            let second = fixture.database.notifications(on: "a").makeAsyncIterator()
            let third = fixture.database.notifications(on: "b").makeAsyncIterator()
            for events in [first, second, third] { #expect(await events.next() == .gap) }
            let sessions = try await fixture.database.query(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
            #expect(sessions[0][0].int == 1)
            try await fixture.database.query("select pg_notify('a', 'x'), pg_notify('b', 'y')")
            var payloads: [String] = []
            for events in [first, second, third] {
                while case .some(let event) = await events.next() {
                    // A later LISTEN on the same channel tells earlier subscribers of it too.
                    guard case .message(let payload, _) = event else { continue }
                    payloads.append(payload)
                    break
                }
            }
            #expect(payloads == ["x", "x", "y"])
        }
    }

    @Test func theConnectionGoesWithTheLastSubscriber() async throws {
        try await DatabaseFixture.run { fixture in
            var events: PostgresNotifications.Iterator? = fixture.database.notifications(on: "a").makeAsyncIterator()
            _ = await events?.next()
            events = nil
            try await eventually("the connection is gone") {
                try await fixture.database.query(
                    "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
                ).rowCount == 0
            }
        }
    }

    @Test func cancellingTheTaskEndsTheSequence() async throws {
        try await DatabaseFixture.run { fixture in
            let database = fixture.database
            await withTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: fixture.loop) {
                    for await _ in database.notifications(on: "a") {}
                }
                group.cancelAll()
            }
            try await database.query("select 1")
        }
    }

    @Test func shutdownEndsTheSequence() async throws {
        try await DatabaseFixture.run { fixture in
            let events = fixture.database.notifications(on: "a").makeAsyncIterator()
            _ = await events.next()
            await fixture.database.shutdown()
            #expect(await events.next() == nil)
        }
    }

    @Test func aSlowConsumerIsToldOfTheGap() async {
        let subscription = Subscription(channel: "a", maxBuffered: 2) { _ in }
        for number in 1...3 { subscription.deliver(.message(payload: "\(number)", processID: 1)) }
        subscription.deliver(.message(payload: "4", processID: 1))
        #expect(await subscription.next() == .gap)
        #expect(await subscription.next() == .message(payload: "4", processID: 1))
        subscription.end()
        #expect(await subscription.next() == nil)
    }
}
