// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct FactorTests {
    private static func enabled(_ configuration: inout AuthConfiguration) {
        configuration.factors.totp.canEnroll = true
        configuration.factors.totp.canVerify = true
        configuration.factors.maxEnrolled = 2
    }

    /// An authenticator of one factor.
    private struct Authenticator {
        let id: String
        let totp: TOTP

        init(_ response: TestHTTPResponse) throws {
            id = try response.member("id")
            let secret = try #require(response.json["totp"]?["secret"]?.stringValue)
            totp = TOTP(secret: try #require(Base32.decode(secret)))
        }

        func code(_ offset: Int64 = 0) -> String { totp.code(ofStep: totp.step(at: .now()) + offset) }
    }

    private static func enroll(
        _ auth: AuthFixture, _ bearer: String, name: String = ""
    ) async throws -> TestHTTPResponse {
        let body: JSON = ["factor_type": "totp", "friendly_name": .string(name), "issuer": "Example Shop"]
        return try await auth.request("POST", "/factors", body.text, bearer: bearer)
    }

    private static func verify(
        _ auth: AuthFixture, _ bearer: String, _ factor: String, code: String
    ) async throws -> TestHTTPResponse {
        let challenge = try await auth.request("POST", "/factors/\(factor)/challenge", bearer: bearer)
        #expect(challenge.status == 200, "\(challenge.text)")
        let body: JSON = ["challenge_id": challenge.json["id"] ?? .null, "code": .string(code)]
        return try await auth.request("POST", "/factors/\(factor)/verify", body.text, bearer: bearer)
    }

    @Test func refusesWhatIsNotEnabledOrNotAllowed() async throws {
        try await AuthFixture.run {
            $0.isAnonymousSignInEnabled = true
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            for (body, status, code) in [
                (#"{"factor_type":"totp"}"#, 422, "mfa_totp_enroll_not_enabled"),
                (#"{"factor_type":"phone","phone":"+15551234567"}"#, 422, "mfa_phone_enroll_not_enabled"),
                (#"{"factor_type":"webauthn"}"#, 422, "mfa_webauthn_enroll_not_enabled"),
                (#"{"factor_type":"fingerprint"}"#, 400, "validation_failed"), ("{}", 400, "validation_failed"),
            ] {
                let answer = try await auth.request("POST", "/factors", body, bearer: bearer)
                #expect((answer.status, answer.errorCode) == (status, code), "\(body)")
            }
            let nobody = try await auth.request("POST", "/factors", #"{"factor_type":"totp"}"#)
            #expect((nobody.status, nobody.errorCode) == (401, "no_authorization"))
            let anonymous = try await auth.request("POST", "/signup", "{}").member("access_token")
            let refused = try await auth.request("POST", "/factors", #"{"factor_type":"totp"}"#, bearer: anonymous)
            #expect(refused.status == 403)
            let unknown = try await auth.request("POST", "/factors/\(UUID.random())/challenge", bearer: bearer)
            #expect((unknown.status, unknown.errorCode) == (404, "mfa_factor_not_found"))
            let noID = try await auth.request("POST", "/factors/x/challenge", bearer: bearer)
            #expect(noID.status == 404)
        }
    }

    @Test func enrollsProvesAndRaisesTheSession() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let other = try await auth.signUp("ada@example.com")
            let session = try await auth.signIn("ada@example.com")
            let bearer = try session.member("access_token")
            let enrolled = try await Self.enroll(auth, bearer, name: "phone app")
            #expect(enrolled.status == 200)
            let uri = try #require(enrolled.json["totp"]?["uri"]?.stringValue)
            #expect(uri.hasPrefix("otpauth://totp/Example%20Shop:ada%40example.com?"))
            let svg = try #require(enrolled.json["totp"]?["qr_code"]?.stringValue)
            #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>"))
            let app = try Authenticator(enrolled)

            // Nothing in the database can be used to make codes.
            let stored = try await auth.sql("select secret from auth.mfa_factors")
            #expect(stored.hasPrefix("v1."))

            let wrong = try await Self.verify(auth, bearer, app.id, code: "000000")
            #expect((wrong.status, wrong.errorCode) == (422, "mfa_verification_failed"))
            let code = app.code()
            let raised = try await Self.verify(auth, bearer, app.id, code: code)
            #expect(raised.status == 200, "\(raised.text)")
            let claims = try auth.claims(of: raised)
            #expect(claims["aal"] == "aal2")
            #expect(claims["amr"]?.arrayValue?.compactMap { $0["method"]?.stringValue } == ["totp", "password"])
            #expect(claims["session_id"] == (try auth.claims(of: session))["session_id"])
            #expect(raised.json["user"]?["factors"]?[0]?["status"] == "verified")
            #expect(raised.json["user"]?["factors"]?[0]?["friendly_name"] == "phone app")
            #expect(!raised.text.contains(stored))

            // The session that did not prove the factor has ended; the token before the proof leads to the one after it.
            #expect(try await auth.refresh(try other.member("refresh_token")).errorCode == "refresh_token_not_found")
            let tab = try await auth.refresh(try session.member("refresh_token"))
            #expect(try tab.member("refresh_token") == raised.member("refresh_token"))
            let refreshed = try await auth.refresh(try raised.member("refresh_token"))
            #expect(try auth.claims(of: refreshed)["aal"] == "aal2")

            // RFC 6238 section 5.2: a code counts once.
            let again = try await auth.signIn("ada@example.com").member("access_token")
            let replayed = try await Self.verify(auth, again, app.id, code: code)
            #expect((replayed.status, replayed.errorCode) == (422, "mfa_verification_failed"))
            #expect(try await Self.verify(auth, again, app.id, code: app.code(1)).status == 200)
            #expect(
                try await auth.sql(
                    "select string_agg(distinct payload ->> 'action', ' ') from auth.audit_log_entries where payload ->> 'log_type' = 'factor'"
                ) == "challenge_created factor_in_progress mfa_code_login verification_attempted")
        }
    }

    @Test func challengesAreForOneAddressOneUseAndAWhile() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let app = try Authenticator(try await Self.enroll(auth, bearer))
            func challenge() async throws -> JSON {
                try await auth.request("POST", "/factors/\(app.id)/challenge", bearer: bearer).json["id"] ?? .null
            }
            func verify(_ challenge: JSON) async throws -> TestHTTPResponse {
                let body: JSON = ["challenge_id": challenge, "code": .string(app.code())]
                return try await auth.request("POST", "/factors/\(app.id)/verify", body.text, bearer: bearer)
            }
            let elsewhere = try await challenge()
            try await auth.sql("update auth.mfa_challenges set ip_address = '192.0.2.1'")
            #expect(try await verify(elsewhere).errorCode == "mfa_ip_address_mismatch")
            let old = try await challenge()
            try await auth.sql("update auth.mfa_challenges set created_at = now() - interval '300 seconds'")
            #expect(try await verify(old).errorCode == "mfa_challenge_expired")
            #expect(try await verify(.string(UUID.random().description)).errorCode == "mfa_factor_not_found")
            let right = try await challenge()
            #expect(try await verify(right).status == 200)
            #expect(try await verify(right).errorCode == "mfa_challenge_expired")
        }
    }

    @Test func factorsAreBoundedAndNeedTheSecondLevelOnceThereIsOne() async throws {
        try await AuthFixture.run(Self.enabled) { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let app = try Authenticator(try await Self.enroll(auth, bearer, name: "a"))
            #expect(try await Self.enroll(auth, bearer, name: "a").errorCode == "mfa_factor_name_conflict")
            #expect(try await Self.enroll(auth, bearer, name: "b").status == 200)
            #expect(try await Self.enroll(auth, bearer, name: "c").errorCode == "too_many_enrolled_mfa_factors")
            let raised = try await Self.verify(auth, bearer, app.id, code: app.code()).member("access_token")

            let low = try await auth.signIn("ada@example.com").member("access_token")
            let refused = try await Self.enroll(auth, low, name: "d")
            #expect((refused.status, refused.errorCode) == (403, "insufficient_aal"))
            let kept = try await auth.request("DELETE", "/factors/\(app.id)", bearer: low)
            #expect((kept.status, kept.errorCode) == (422, "insufficient_aal"))

            #expect(
                try await auth.request("DELETE", "/factors/\(app.id)", bearer: raised).json["id"] == .string(app.id))
            #expect(try await auth.sql("select count(*) from auth.mfa_factors") == "0")
            #expect(try await auth.sql("select string_agg(distinct aal::text, '') from auth.sessions") == "aal1")
            #expect(
                try await auth.sql("select count(*) from auth.mfa_amr_claims where authentication_method = 'totp'")
                    == "0")
        }
    }

    @Test func guessesAreBoundedForEachFactor() async throws {
        try await AuthFixture.run {
            Self.enabled(&$0)
            $0.rateLimits.set(.codeAttempt, to: 3)
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let app = try Authenticator(try await Self.enroll(auth, bearer))
            for _ in 0..<3 {
                #expect(
                    try await Self.verify(auth, bearer, app.id, code: "000000").errorCode == "mfa_verification_failed")
            }
            let refused = try await Self.verify(auth, bearer, app.id, code: app.code())
            #expect((refused.status, refused.errorCode) == (429, "over_request_rate_limit"))
            #expect(refused.headers["retry-after"] != nil)
        }
    }

    private static let hooks = """
        create function public.send_sms(event jsonb) returns jsonb language plpgsql security definer as $$
        begin
            insert into public.messages (event) values (event);
            return '{}';
        end $$;
        create table public.messages (event jsonb);
        grant execute on function public.send_sms to supabase_auth_admin;
        create function public.judge(event jsonb) returns jsonb language sql as $$
            select jsonb_build_object('decision', case when (event ->> 'valid')::boolean then 'continue' else 'reject' end, 'message', 'no more')
        $$;
        """

    @Test func phonesProveByACodeAndAHookMayRejectForGood() async throws {
        try await AuthFixture.run(files: ["supabase/migrations/20260101000000_hooks.sql": Self.hooks]) {
            $0.factors.phone.canEnroll = true
            $0.factors.phone.canVerify = true
            $0.factors.phonePause = .zero
            $0.hooks[.sendSMS] = .function(schema: "public", name: "send_sms")
            $0.hooks[.factorVerificationAttempt] = .function(schema: "public", name: "judge")
        } _: { auth in
            let bearer = try await auth.signUp("ada@example.com").member("access_token")
            let body: JSON = ["factor_type": "phone", "phone": "+15551234567", "friendly_name": "mobile"]
            let enrolled = try await auth.request("POST", "/factors", body.text, bearer: bearer)
            #expect(enrolled.json["phone"] == "15551234567")
            let factor = try enrolled.member("id")
            let challenge = try await auth.request("POST", "/factors/\(factor)/challenge", bearer: bearer)
            #expect(challenge.json["type"] == "phone")
            let code = try await auth.sql("select event -> 'sms' ->> 'otp' from public.messages")
            #expect(code.utf8.count == 6)
            #expect(try await auth.sql("select otp_code from auth.mfa_challenges") != code)
            func verify(_ code: String) async throws -> TestHTTPResponse {
                let body: JSON = ["challenge_id": challenge.json["id"] ?? .null, "code": .string(code)]
                return try await auth.request("POST", "/factors/\(factor)/verify", body.text, bearer: bearer)
            }
            let raised = try await verify(code)
            #expect(try auth.claims(of: raised)["amr"]?[0]?["method"] == "mfa/phone")
            // A wrong code is told to the hook, which ends all sessions.
            let next = try await auth.request("POST", "/factors/\(factor)/challenge", bearer: bearer)
            let wrong: JSON = ["challenge_id": next.json["id"] ?? .null, "code": "abcdef"]
            let rejected = try await auth.request("POST", "/factors/\(factor)/verify", wrong.text, bearer: bearer)
            #expect((rejected.status, rejected.errorCode) == (403, "mfa_verification_rejected"))
            #expect(rejected.json["msg"] == "no more")
            #expect(try await auth.request("GET", "/user", bearer: bearer).errorCode == "session_not_found")
        }
    }
}
