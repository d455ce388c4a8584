// SPDX-License-Identifier: Apache-2.0
import Auth
import Cryptography
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct SessionTests {
    @Test func anUnknownAddressAndAWrongPasswordLookTheSame() async throws {
        try await AuthFixture.run { auth in
            #expect(try await auth.signUp("ada@example.com").status == 200)
            let answers = [
                try await auth.signIn("ada@example.com", password: "wrong"),
                try await auth.signIn("nobody@example.com"), try await auth.signIn("not an address"),
                try await auth.signIn("ada@example.com", password: ""),
                try await auth.signIn("ada@example.com", password: "correct horse\u{0}"),
            ]
            for answer in answers {
                #expect(answer.status == 400)
                #expect(
                    answer.json == [
                        "code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials",
                    ])
            }
        }
    }

    @Test func refusesWhatTheGrantCannotRead() async throws {
        try await AuthFixture.run { auth in
            for (target, body, code) in [
                ("/token", "{}", "invalid_credentials"), ("/token?grant_type=magic", "{}", "invalid_credentials"),
                ("/token?grant_type=password", "{", "bad_json"),
                ("/token?grant_type=password", #"{"email":1}"#, "bad_json"),
                ("/token?grant_type=password", #"{"password":"x"}"#, "validation_failed"),
                ("/token?grant_type=refresh_token", "{}", "validation_failed"),
                ("/token?grant_type=refresh_token", #"{"refresh_token":"nope"}"#, "refresh_token_not_found"),
                ("/token?grant_type=refresh_token", #"{"refresh_token":"a\u0000b"}"#, "refresh_token_not_found"),
            ] {
                let answer = try await auth.request("POST", target, body)
                #expect((answer.status, answer.errorCode) == (400, code), "\(target) \(body)")
            }
            let phone = try await auth.request("POST", "/token?grant_type=password", #"{"phone":"1","password":"x"}"#)
            #expect((phone.status, phone.errorCode) == (422, "phone_provider_disabled"))
        }
    }

    @Test func signsInAndRedoesHashesOfAnotherCost() async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("ada@example.com")
            let imported = try Bcrypt.hash("from elsewhere", cost: 5).replacingPrefix("$2b$", with: "$2a$")
            try await auth.sql("update auth.users set encrypted_password = '\(imported)'")
            let response = try await auth.signIn("ADA@example.com", password: "from elsewhere")
            #expect(response.status == 200)
            #expect(try auth.claims(of: response)["amr"]?[0]?["method"] == "password")
            #expect(try await auth.sql("select encrypted_password like '$2b$04$%' from auth.users") == "t")
            #expect(try await auth.signIn("ada@example.com", password: "from elsewhere").status == 200)
            #expect(try await auth.sql("select count(*) from auth.sessions") == "3")
        }
    }

    @Test func bannedUsersGetInNowhere() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            try await auth.sql("update auth.users set banned_until = 'infinity'")
            let signIn = try await auth.signIn("ada@example.com")
            #expect((signIn.status, signIn.errorCode) == (400, "user_banned"))
            let wrong = try await auth.signIn("ada@example.com", password: "wrong")
            #expect(wrong.errorCode == "invalid_credentials")
            let refresh = try await auth.refresh(try session.member("refresh_token"))
            #expect((refresh.status, refresh.errorCode) == (400, "user_banned"))
            let user = try await auth.request("GET", "/user", bearer: try session.member("access_token"))
            #expect((user.status, user.errorCode) == (403, "user_banned"))
            try await auth.sql("update auth.users set banned_until = now() - interval '1 second'")
            #expect(try await auth.signIn("ada@example.com").status == 200)
        }
    }

    @Test func refreshRotatesAndReadsTheUserAnew() async throws {
        try await AuthFixture.run { auth in
            let first = try await auth.signUp("ada@example.com")
            let tenant = UUID.random()
            try await auth.sql(
                """
                update auth.users
                set raw_app_meta_data = jsonb_set(raw_app_meta_data, '{tenant_id}', to_jsonb('\(tenant)'::text))
                """)
            let second = try await auth.refresh(try first.member("refresh_token"))
            #expect(second.status == 200)
            #expect(try second.member("refresh_token") != first.member("refresh_token"))
            #expect(second.headers["sb-auth-refresh-token-reuse"] == "false")
            let claims = try auth.claims(of: second)
            #expect(claims["app_metadata"]?["tenant_id"] == .string(tenant.description))
            #expect(claims["session_id"] == (try auth.claims(of: first))["session_id"])
            #expect(claims["amr"]?[0]?["method"] == "password")
            #expect(second.headers["sb-auth-session-id"] == claims["session_id"]?.stringValue)

            let reused = try await auth.refresh(try first.member("refresh_token"))
            #expect(reused.status == 200)
            #expect(try reused.member("refresh_token") == second.member("refresh_token"))
            #expect(reused.headers["sb-auth-refresh-token-reuse"] == "true")
        }
    }

    @Test func reuseOfASpentTokenEndsTheFamily() async throws {
        try await AuthFixture.run {
            $0.refreshTokenReuseInterval = .zero
        } _: { auth in
            let first = try await auth.signUp("ada@example.com")
            let other = try await auth.signIn("ada@example.com")
            let second = try await auth.refresh(try first.member("refresh_token"))
            let third = try await auth.refresh(try second.member("refresh_token"))
            #expect(third.status == 200)
            let stolen = try await auth.refresh(try first.member("refresh_token"))
            #expect((stolen.status, stolen.errorCode) == (400, "refresh_token_already_used"))
            let owner = try await auth.refresh(try third.member("refresh_token"))
            #expect((owner.status, owner.errorCode) == (400, "refresh_token_already_used"))
            #expect(try await auth.refresh(try other.member("refresh_token")).status == 200)
        }
    }

    @Test func theReuseIntervalRevivesNoRevokedFamily() async throws {
        try await AuthFixture.run {
            $0.refreshTokenReuseInterval = .seconds(60)
        } _: { auth in
            let first = try await auth.signUp("ada@example.com")
            try await auth.sql("update auth.refresh_tokens set revoked = true, updated_at = now()")
            let answer = try await auth.refresh(try first.member("refresh_token"))
            #expect((answer.status, answer.errorCode) == (400, "refresh_token_already_used"))
        }
    }

    @Test(arguments: [Duration.seconds(10), .zero])
    func concurrentRefreshesAllGetAWorkingSession(_ reuseInterval: Duration) async throws {
        try await AuthFixture.run {
            $0.refreshTokenReuseInterval = reuseInterval
        } _: { auth in
            let token = try await auth.signUp("ada@example.com").member("refresh_token")
            let answers = try await withThrowingTaskGroup(of: TestHTTPResponse.self) { group in
                for _ in 0..<12 { group.addTask { try await auth.refresh(token) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.status == 200 })
            #expect(Set(try answers.map { try $0.member("refresh_token") }).count == 1)
            #expect(try await auth.sql("select count(*) from auth.refresh_tokens") == "2")
            for answer in answers {
                let user = try await auth.request("GET", "/user", bearer: try answer.member("access_token"))
                #expect(user.status == 200)
            }
            #expect(try await auth.refresh(try answers[0].member("refresh_token")).status == 200)
        }
    }

    @Test func noRowOpensASessionAndImportedTokensDo() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            let second = try await auth.refresh(try session.member("refresh_token"))
            for stored in try await auth.sql("select token from auth.refresh_tokens").split(separator: "\n") {
                #expect(stored.utf8.count == 64)
                #expect(try await auth.refresh(String(stored)).errorCode == "refresh_token_not_found")
            }
            // A row of another server: its token has twelve characters and stands there as it is.
            try await auth.sql(
                """
                insert into auth.sessions (id, user_id, created_at, aal)
                select gen_random_uuid(), id, now(), 'aal1' from auth.users;
                insert into auth.refresh_tokens (token, user_id, revoked, created_at, updated_at, session_id)
                select 'abcdefghijkl', user_id, false, now(), now(), id
                from auth.sessions where refreshed_at is null;
                """)
            let imported = try await auth.refresh("abcdefghijkl")
            #expect(imported.status == 200, "\(imported.text)")
            let again = try await auth.refresh("abcdefghijkl")
            #expect(try again.member("refresh_token") == imported.member("refresh_token"))
            #expect(try await auth.refresh(try second.member("refresh_token")).status == 200)
        }
    }

    @Test func aLockedSessionIsAConflict() async throws {
        try await AuthFixture.run {
            $0.refreshLockTimeout = .milliseconds(50)
        } _: { auth in
            let token = try await auth.signUp("ada@example.com").member("refresh_token")
            async let holder = auth.project.server.attempt(
                "begin; select from auth.sessions for update; select pg_sleep(60)")
            let holding = """
                select pid
                from pg_locks
                where relation = 'auth.sessions'::regclass and mode = 'RowShareLock'
                    and database = (select oid from pg_database where datname = current_database())
                """
            try await eventually("the session is locked") { try await !auth.sql(holding).isEmpty }
            let answer = try await auth.refresh(token)
            #expect((answer.status, answer.errorCode) == (409, "conflict"))
            try await auth.sql("select pg_terminate_backend(pid) from (\(holding)) as holder")
            _ = await holder
        }
    }

    /// The function of `docs/auth.md`, for policies to which a token that is still valid is not enough.
    @Test func aPolicyCanAskForTheSessionItself() async throws {
        let function = """
            create function public.has_session() returns boolean
            language sql stable security definer set search_path = ''
            as $$ select exists (select from auth.sessions as s where s.id = (auth.jwt() ->> 'session_id')::uuid and s.user_id = auth.uid()) $$;
            """
        try await AuthFixture.run(files: ["supabase/migrations/20260101000000_session.sql": function]) { auth in
            let session = try await auth.signUp("ada@example.com")
            let token = try auth.claims(of: session)
            let claims: JSON = ["sub": token["sub"] ?? .null, "session_id": token["session_id"] ?? .null]
            #expect(await auth.project.request("authenticated", claims: claims, "select public.has_session()") == "t\n")
            _ = try await auth.request("POST", "/logout", bearer: try session.member("access_token"))
            #expect(await auth.project.request("authenticated", claims: claims, "select public.has_session()") == "f\n")
            #expect(await auth.project.request("authenticated", "select public.has_session()") == "f\n")
        }
    }

    @Test func expiredSessionsAreNotRefreshed() async throws {
        try await AuthFixture.run {
            $0.sessionTimebox = .seconds(3600)
        } _: { auth in
            let session = try await auth.signUp("ada@example.com")
            try await auth.sql("update auth.sessions set created_at = now() - interval '1 hour'")
            let answer = try await auth.refresh(try session.member("refresh_token"))
            #expect((answer.status, answer.errorCode) == (400, "session_expired"))
        }
    }
}

extension String {
    fileprivate func replacingPrefix(_ prefix: String, with other: String) -> String {
        hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
    }
}
