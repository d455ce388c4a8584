// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import EventLoop
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct RetentionTests {
    @Test func removesWhatIsOverInBatchesAndNothingElse() async throws {
        try await AuthFixture.run {
            $0.sessionTimebox = .seconds(3600)
            $0.retention.batch = 2
        } _: { auth in
            let session = try await auth.signUp("ada@example.com")
            let second = try await auth.refresh(try session.member("refresh_token"))
            let third = try await auth.refresh(try second.member("refresh_token"))
            #expect(third.status == 200)
            try await auth.sql(
                """
                update auth.refresh_tokens set updated_at = now() - interval '8 days';
                insert into auth.sessions (id, user_id, created_at)
                select gen_random_uuid(), u.id, now() - interval '26 hours' from auth.users as u, generate_series(1, 5);
                insert into auth.sessions (id, user_id, created_at)
                select gen_random_uuid(), u.id, now() - interval '24 hours' from auth.users as u;
                insert into auth.audit_log_entries (id, created_at)
                select gen_random_uuid(), now() - interval '91 days' from generate_series(1, 3);
                insert into auth.flow_state (id, provider_type, authentication_method, created_at)
                select gen_random_uuid(), 'x', 'oauth', now() - interval '25 hours';
                insert into auth.webauthn_challenges (challenge_type, session_data, expires_at)
                values ('authentication', '{}', now() - interval '25 hours'), ('authentication', '{}', now());
                insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at)
                select gen_random_uuid(), u.id, 'recovery_token', 'x', 'x', now() - interval '9 days' from auth.users as u;
                """)
            let removed = try await auth.removeWhatIsOver()
            #expect(removed["sessions"] == 5)
            #expect(removed["audit_log_entries"] == 3)
            #expect(removed["flow_state"] == 1)
            #expect(removed["one_time_tokens"] == 1)
            #expect(removed["webauthn_challenges"] == 1)
            // The first of three tokens: the third is current, the second its parent.
            #expect(removed["refresh_tokens"] == 1)
            #expect(try await auth.refresh(try second.member("refresh_token")).status == 200)
            #expect(try await auth.removeWhatIsOver().values.allSatisfy { $0 == 0 })
        }
    }

    @Test func sharedWorkIsDoneOnceAndTakenOverFromWhoLeaves() async throws {
        try await Loop.withLoop { loop in
            let work = SharedWork<Int>()
            let runs = Metrics().counter("runs", "")
            let leader = Task(executorPreference: loop) {
                try await work.run("a", on: loop) {
                    runs.increment()
                    try await loop.sleep(for: .seconds(3600))
                    return 1
                }
            }
            while runs.value == 0 { await Task.yield() }
            try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<20 {
                    group.addTask(executorPreference: loop) {
                        try await work.run("a", on: loop) {
                            runs.increment()
                            await Task.yield()
                            return 2
                        }
                    }
                }
                await Task.yield()
                leader.cancel()
                for try await value in group { #expect(value == 2) }
            }
            await #expect(throws: CancellationError.self) { try await leader.value }
            #expect(runs.value < 21)
        }
    }
}
