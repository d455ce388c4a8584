// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import HTTP
import PlatformTestSupport
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite struct HookTests {
    private static let functions = """
        create function public.claims(event jsonb) returns jsonb language sql as $$
            select jsonb_build_object('claims', event -> 'claims' || jsonb_build_object('plan', 'pro', 'method', event -> 'authentication_method'))
        $$;
        create function public.bad_claims(event jsonb) returns jsonb language sql as $$
            select jsonb_build_object('claims', (event -> 'claims') - 'role' || '{"sub": "00000000-0000-0000-0000-000000000000", "exp": "soon"}')
        $$;
        create function public.refuse(event jsonb) returns jsonb language sql as $$
            select '{"error": {"http_code": 418, "message": "not here"}}'::jsonb
        $$;
        create function public.slow(event jsonb) returns jsonb language sql as $$ select to_jsonb(pg_sleep(60)::text) $$;
        create function public.broken(event jsonb) returns jsonb language sql as $$ select to_jsonb(1 / 0) $$;
        create function public.judge(event jsonb) returns jsonb language sql as $$
            select case when (event ->> 'valid')::boolean then '{"decision": "continue"}'::jsonb
                else '{"decision": "reject", "message": "too many", "should_logout_user": true}' end
        $$;
        """

    private static func run(
        _ hook: AuthHook, _ function: String, _ body: @escaping @Sendable (AuthFixture) async throws -> Void
    ) async throws {
        try await AuthFixture.run(
            files: ["supabase/migrations/20260101000000_hooks.sql": functions],
            {
                $0.hooks[hook] = .function(schema: "public", name: function)
                $0.hookLimits.functionTimeout = .milliseconds(300)
            }, body)
    }

    @Test func aFunctionAddsClaims() async throws {
        try await Self.run(.customAccessToken, "claims") { auth in
            let session = try await auth.signUp("ada@example.com")
            #expect(try auth.claims(of: session)["plan"] == "pro")
            #expect(try auth.claims(of: session)["method"] == "password")
            let refreshed = try await auth.refresh(try session.member("refresh_token"))
            #expect(try auth.claims(of: refreshed)["method"] == "token_refresh")
        }
    }

    @Test(arguments: [
        ("bad_claims", 500, "unexpected_failure"), ("refuse", 418, "unknown"), ("slow", 422, "hook_timeout"),
        ("broken", 500, "unexpected_failure"), ("missing", 500, "unexpected_failure"),
    ])
    func whatAFunctionRefusesLeavesNothingBehind(_ function: String, _ status: Int, _ code: String) async throws {
        try await Self.run(.customAccessToken, function) { auth in
            let answer = try await auth.signUp("ada@example.com")
            #expect((answer.status, answer.errorCode) == (status, code), "\(answer.text)")
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
            #expect(!answer.text.contains("public.") && !answer.text.contains("division"))
        }
    }

    @Test func claimsThatSayWhoseTokenItIsCannotChange() throws {
        let original: JSONObject = ["sub": "a", "session_id": "b"]
        let error = #expect(throws: AuthError.self) {
            try AccessTokenClaims.check(["sub": "c", "session_id": "b"], against: original)
        }
        #expect(error?.message.contains("sub must not change") == true)
        #expect(error?.message.contains("exp is required") == true)
    }

    @Test func accountsCanBeRefusedBeforeTheyAreMade() async throws {
        try await Self.run(.beforeUserCreated, "refuse") { auth in
            let answer = try await auth.signUp("ada@example.com")
            #expect((answer.status, answer.json["msg"]) == (418, "not here"))
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
        }
    }

    @Test func attemptsAtPasswordsCanBeRejected() async throws {
        try await Self.run(.passwordVerificationAttempt, "judge") { auth in
            let session = try await auth.signUp("ada@example.com")
            #expect(try await auth.signIn("ada@example.com").status == 200)
            let rejected = try await auth.signIn("ada@example.com", password: "wrong")
            #expect((rejected.status, rejected.errorCode) == (400, "invalid_credentials"))
            #expect(rejected.json["msg"] == "too many")
            #expect(try await auth.refresh(try session.member("refresh_token")).status == 400)
            #expect(try await auth.signIn("nobody@example.com").json["msg"] == "Invalid login credentials")
        }
    }

    // MARK: Addresses

    private static let secret = "v1,whsec_" + Base64.encode(Array("0123456789abcdef0123456789abcdef".utf8))

    /// Runs `body` with a hook at an address that answers as `answer` says, call by call from 1.
    private static func run(
        _ hook: AuthHook, messaging: AuthFixture.Messaging = AuthFixture.Messaging(),
        answer: @escaping @Sendable (Int, HTTPRequest, [UInt8]) -> HTTPResponse,
        _ body: @escaping @Sendable (AuthFixture) async throws -> Void
    ) async throws {
        let calls = CallCount()
        try await withLoopbackServer {
            $0.on(.post, "/hook") { request in
                let bytes = try await request.body.collect(upTo: 1 << 20)
                return answer(calls.next(), request, bytes)
            }
        } _: { url in
            try await AuthFixture.run(messaging: messaging) {
                $0.hooks[hook] = .endpoint(url: url + "/hook", secrets: [SecretString(secret)])
                $0.hookLimits.pause = .milliseconds(1)
                $0.hookLimits.maxAnswerBytes = 2048
            } _: { auth in
                try await body(auth)
            }
        }
    }

    private final class CallCount: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock {
                $0 += 1
                return $0
            }
        }
    }

    @Test func anAddressIsCalledSignedAndTriedAgain() async throws {
        try await Self.run(.beforeUserCreated) { call, request, body in
            let id = request.headers["webhook-id"] ?? ""
            let signed = Array("\(id).\(request.headers["webhook-timestamp"] ?? "").".utf8) + body
            let signature =
                "v1," + Base64.encode(HMAC.code(for: signed, key: Array("0123456789abcdef0123456789abcdef".utf8)))
            #expect(request.headers["webhook-signature"] == signature)
            let payload = try? JSON(parsing: body)
            #expect(payload?["user"]?["email"] == "ada@example.com")
            #expect(payload?["metadata"]?["name"] == "before-user-created")
            return call == 1 ? .empty(503) : .json([:])
        } _: { auth in
            let answer = try await auth.signUp("ada@example.com")
            #expect(answer.status == 200, "\(answer.text)")
        }
    }

    /// Notices go the way of all mail. One that cannot be sent keeps nobody from changing the account.
    @Test func noticesAreHandedToTheHookForMailAndBlockNothing() async throws {
        var messaging = AuthFixture.Messaging()
        messaging.notices = [.passwordChanged]
        let told = Mutex<[JSON]>([])
        try await Self.run(.sendEmail, messaging: messaging) { call, _, body in
            told.withLock { $0.append((try? JSON(parsing: body)) ?? .null) }
            return call == 1 ? .json([:]) : .empty(500)
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            for password in ["a new password", "a newer password"] {
                let body: JSON = ["password": .string(password)]
                let changed = try await auth.request("PUT", "/user", body.text, bearer: bearer)
                #expect(changed.status == 200, "\(changed.text)")
                #expect(try await auth.signIn("ada@example.com", password: password).status == 200)
            }
            let data = told.withLock { $0.first?["email_data"] }
            #expect(data?["email_action_type"] == "password_changed_notification")
            #expect(data?["token"] == "" && data?["token_hash"] == "")
            #expect(told.withLock { $0.first?["user"]?["email"] } == "ada@example.com")
            #expect(told.withLock { $0.count } == 2)
            #expect(try await auth.sql("select count(*) from jobs.jobs") == "0")
        }
    }

    @Test func aFunctionForMailThatFailsKeepsTheChangeItTellsOf() async throws {
        var messaging = AuthFixture.Messaging()
        messaging.notices = [.passwordChanged]
        try await AuthFixture.run(
            files: ["supabase/migrations/20260101000000_hooks.sql": Self.functions], messaging: messaging
        ) {
            $0.hooks[.sendEmail] = .function(schema: "public", name: "broken")
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let changed = try await auth.request("PUT", "/user", #"{"password":"a new password"}"#, bearer: bearer)
            #expect(changed.status == 200, "\(changed.text)")
            #expect(try await auth.signIn("ada@example.com", password: "a new password").status == 200)
        }
    }

    struct Refusal: Sendable {
        var answer: HTTPResponse
        var status: Int
        var code: String
    }

    @Test(arguments: [
        Refusal(answer: .empty(503), status: 422, code: "hook_timeout_after_retry"),
        Refusal(answer: .empty(400), status: 500, code: "unexpected_failure"),
        Refusal(answer: .empty(500), status: 500, code: "unexpected_failure"),
        Refusal(answer: .json(["error": ["http_code": 403, "message": "no"]]), status: 403, code: "unknown"),
        Refusal(
            answer: .json(["filler": .string(String(repeating: "x", count: 4000))]), status: 422,
            code: "hook_payload_over_size_limit"),
    ])
    func whatAnAddressRefusesIsTold(_ refusal: Refusal) async throws {
        try await Self.run(.beforeUserCreated) { _, _, _ in
            refusal.answer
        } _: { auth in
            let answer = try await auth.signUp("ada@example.com")
            #expect((answer.status, answer.errorCode) == (refusal.status, refusal.code), "\(answer.text)")
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
        }
    }

    @Test(
        arguments: [
            ("", nil), ("ftp://x", nil), ("pg-functions://postgres/public", nil),
            ("pg-functions://postgres/public/a;b", nil),
            ("https://example.com", nil), ("https://example.com", "whsec_AAAA"),
            ("https://example.com", "v1,whsec_AAAA"),
        ] as [(String, String?)])
    func refusesAddressesAndSecrets(_ uri: String, _ secret: String?) {
        #expect(throws: AuthHook.Target.Problem.self) {
            try AuthHook.Target(uri: uri, secrets: secret.map { SecretString($0) })
        }
    }
}
