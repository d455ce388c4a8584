// SPDX-License-Identifier: Apache-2.0
import Auth
import Cryptography
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

/// What signed-in people do with their own sessions and account beyond GoTrue's interface.
@Suite struct OwnAccountTests {
    @Test func refusesWhoIsNotSignedIn() async throws {
        try await AuthFixture.run { auth in
            for (method, path) in [
                ("GET", "/user/sessions"), ("DELETE", "/user/sessions/\(UUID.random())"), ("DELETE", "/user"),
            ] {
                let answer = try await auth.request(method, path)
                #expect((answer.status, answer.errorCode) == (401, "no_authorization"), "\(method) \(path)")
            }
        }
    }

    @Test func listsOnesOwnSessionsAlone() async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("bob@example.com")
            let first = try await auth.signUp("ada@example.com")
            _ = try await auth.signIn("ada@example.com")
            let answer = try await auth.request("GET", "/user/sessions", bearer: try first.member("access_token"))
            #expect(answer.status == 200)
            let sessions = answer.json["sessions"]?.arrayValue ?? []
            #expect(sessions.count == 2)
            let mine = try auth.claims(of: first).members["session_id"]
            #expect(sessions.filter { $0["current"] == true }.map { $0["id"] } == [mine])
            #expect(sessions.allSatisfy { $0["aal"] == "aal1" && $0["last_used_at"]?.stringValue != nil })
        }
    }

    @Test func endsOneSessionAndNobodyElses() async throws {
        try await AuthFixture.run { auth in
            let bob = try await auth.signUp("bob@example.com")
            let first = try await auth.signUp("ada@example.com")
            let second = try await auth.signIn("ada@example.com")
            let token = try first.member("access_token")
            func id(_ claims: JWTClaims) -> String { claims.members["session_id"]?.stringValue ?? "" }
            for (session, code) in [(id(try auth.claims(of: bob)), "session_not_found"), ("x", "validation_failed")] {
                let refused = try await auth.request("DELETE", "/user/sessions/\(session)", bearer: token)
                #expect((refused.status, refused.errorCode) == (404, code))
            }
            #expect(try await auth.refresh(try bob.member("refresh_token")).status == 200)
            let ended = try await auth.request(
                "DELETE", "/user/sessions/\(id(try auth.claims(of: second)))", bearer: token)
            #expect(ended.status == 204)
            #expect(try await auth.refresh(try second.member("refresh_token")).status == 400)
            #expect(try await auth.request("GET", "/user", bearer: token).status == 200)
        }
    }

    @Test func anAccountIsDeletedWithItsPasswordAlone() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            let token = try session.member("access_token")
            for (body, code): (JSON, String) in [
                ([:], "current_password_required"), (["password": "wrong"], "current_password_invalid"),
            ] {
                let refused = try await auth.request("DELETE", "/user", body.text, bearer: token)
                #expect((refused.status, refused.errorCode) == (400, code))
            }
            #expect(try await auth.sql("select count(*) from auth.users") == "1")
            let done = try await auth.request("DELETE", "/user", #"{"password":"correct horse"}"#, bearer: token)
            #expect(done.status == 200)
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
            #expect(try await auth.sql("select count(*) from auth.sessions") == "0")
            #expect(
                try await auth.sql(
                    "select count(*) from auth.audit_log_entries where payload ->> 'action' = 'user_deleted'") == "1")
            #expect(try await auth.request("GET", "/user", bearer: token).status == 403)
        }
    }
}
