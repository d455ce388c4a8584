// SPDX-License-Identifier: Apache-2.0
import Auth
import Cryptography
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct UserTests {
    @Test func refusesWhoIsNotSignedIn() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            func status(_ bearer: String?, _ code: String, _ expected: Int) async throws {
                let answer = try await auth.request("GET", "/user", bearer: bearer)
                #expect((answer.status, answer.errorCode) == (expected, code), "\(bearer ?? "none")")
            }
            try await status(nil, "no_authorization", 401)
            try await status("garbage", "bad_jwt", 403)
            try await status(AuthFixture.publishableKey, "bad_jwt", 403)
            try await status(try auth.tokens.sign(["role": "anon"]), "bad_jwt", 403)
            try await status(
                try auth.tokens.sign(["role": "authenticated", "sub": .string(UUID.random().description)]),
                "user_not_found", 403)
            let claims = try auth.claims(of: session)
            var expired = claims.members
            expired["exp"] = 1
            try await status(try auth.tokens.sign(expired), "bad_jwt", 403)
            var elsewhere = claims.members
            elsewhere["session_id"] = .string(UUID.random().description)
            try await status(try auth.tokens.sign(elsewhere), "session_not_found", 403)
            let forger = JWTCodec(keys: KeySet(signingKey: JWTKey(sharedSecret: [1])))
            try await status(try forger.sign(claims.members), "bad_jwt", 403)
        }
    }

    @Test func readsTheUserInTheVersionAskedFor() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            let user = try await auth.request(
                "GET", "/user", bearer: try session.member("access_token"),
                headers: ["x-supabase-api-version": "2024-01-01"])
            #expect(user.status == 200)
            #expect(user.headers["x-supabase-api-version"] == "2024-01-01")
            #expect(user.json == session.json["user"])
            let refused = try await auth.request("GET", "/user", headers: ["x-supabase-api-version": "2024-01-01"])
            #expect(refused.json["code"] == "no_authorization")
            #expect(refused.json["message"]?.stringValue != nil)
        }
    }

    @Test(arguments: [
        ("", [false, false]), ("?scope=global", [false, false]), ("?scope=local", [false, true]),
        ("?scope=others", [true, false]),
    ])
    func loggingOutEndsTheSessionsOfItsScope(_ query: String, _ alive: [Bool]) async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("bob@example.com")
            let sessions = [try await auth.signUp("ada@example.com"), try await auth.signIn("ada@example.com")]
            let answer = try await auth.request(
                "POST", "/logout\(query)", bearer: try sessions[0].member("access_token"))
            #expect(answer.status == 204)
            for (session, isAlive) in zip(sessions, alive) {
                let user = try await auth.request("GET", "/user", bearer: try session.member("access_token"))
                #expect(user.status == (isAlive ? 200 : 403))
                #expect(try await auth.refresh(try session.member("refresh_token")).status == (isAlive ? 200 : 400))
            }
            #expect(
                try await auth.sql(
                    "select count(*) from auth.sessions as s join auth.users as u on u.id = s.user_id where u.email like 'bob%'"
                )
                    == "1")
        }
    }

    @Test func refusesOtherScopes() async throws {
        try await AuthFixture.run { auth in
            let token = try await auth.signUp("ada@example.com").member("access_token")
            let answer = try await auth.request("POST", "/logout?scope=all", bearer: token)
            #expect((answer.status, answer.errorCode) == (400, "validation_failed"))
            #expect(try await auth.request("GET", "/user", bearer: token).status == 200)
        }
    }

    @Test func saysWhatItIs() async throws {
        try await AuthFixture.run {
            $0.isSignupEnabled = false
        } _: { auth in
            let health = try await auth.request("GET", "/health", headers: ["apikey": ""])
            #expect(health.json["version"] == "1.2.3")
            let keys = try await auth.request("GET", "/.well-known/jwks.json", headers: ["apikey": ""])
            #expect(keys.json == ["keys": []])
            #expect(keys.headers["cache-control"] == "public, max-age=600")
            #expect(try await auth.request("GET", "/settings", headers: ["apikey": ""]).status == 401)
            let settings = try await auth.request("GET", "/settings")
            #expect(settings.json["disable_signup"] == true)
            #expect(settings.json["mailer_autoconfirm"] == true)
            #expect(settings.json["external"]?["email"] == true)
            #expect(settings.json["external"]?["google"] == false)
            let signUp = try await auth.signUp("ada@example.com")
            #expect((signUp.status, signUp.errorCode) == (422, "signup_disabled"))
            let unknown = try await auth.request("GET", "/nothing")
            #expect((unknown.status, unknown.errorCode) == (404, "not_found"))
        }
    }
}
