// SPDX-License-Identifier: Apache-2.0
@testable import Auth
import Cryptography
import HTTP
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct AdministrationTests {
    @Test func isForTheBackEndAlone() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com")
            let id = try #require(session.json["user"]?["id"]?.stringValue)
            for (method, path) in [
                ("GET", "/admin/users"), ("POST", "/admin/users"), ("GET", "/admin/users/\(id)"),
                ("PUT", "/admin/users/\(id)"), ("DELETE", "/admin/users/\(id)"), ("GET", "/admin/audit"),
                ("GET", "/admin/users/\(id)/factors"), ("PUT", "/admin/users/\(id)/factors/\(id)"),
                ("DELETE", "/admin/users/\(id)/factors/\(id)"),
            ] {
                let nobody = try await auth.request(method, path, "{}")
                #expect((nobody.status, nobody.errorCode) == (401, "no_authorization"), "\(method) \(path)")
                let user = try await auth.request(method, path, "{}", bearer: try session.member("access_token"))
                #expect((user.status, user.errorCode) == (403, "not_admin"), "\(method) \(path)")
            }
            var claims = try auth.claims(of: session).members
            claims["role"] = "service_role"
            claims["session_id"] = .string(UUID.random().description)
            let ended = try await auth.request("GET", "/admin/users", bearer: try auth.tokens.sign(claims))
            #expect((ended.status, ended.errorCode) == (403, "session_expired"))
            #expect(try await auth.sql("select count(*) from auth.users") == "1")
        }
    }

    @Test func refusesWhatCannotBeAUser() async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("ada@example.com")
            for (body, status, code) in [
                ([:], 400, "validation_failed"), (["email": "nobody"], 400, "validation_failed"),
                (["phone": "12"], 400, "validation_failed"), (["email": "a@b.c", "id": "1"], 400, "validation_failed"),
                (["email": "a@b.c", "ban_duration": "long"], 400, "validation_failed"),
                (["email": "a@b.c", "password": "x"], 422, "weak_password"),
                (["email": "a@b.c", "password_hash": "$argon2id$v=19$"], 400, "validation_failed"),
                (["email": "a@b.c", "password": "secret", "password_hash": "x"], 400, "validation_failed"),
                (["email": "a@b.c", "email_confirm": "yes"], 400, "bad_json"),
                (["email": "Ada@example.com"], 422, "email_exists"),
            ] as [(JSON, Int, String)] {
                let answer = try await auth.administer("POST", "/admin/users", body)
                #expect((answer.status, answer.errorCode) == (status, code), "\(body.text)")
            }
            for (path, code) in [
                ("/admin/users/x", "validation_failed"), ("/admin/users/\(UUID.random())", "user_not_found"),
            ] {
                for method in ["GET", "PUT", "DELETE"] {
                    let answer = try await auth.administer(method, path, [:])
                    #expect((answer.status, answer.errorCode) == (404, code), "\(method) \(path)")
                }
            }
        }
    }

    @Test func createsChangesBansAndDeletes() async throws {
        try await AuthFixture.run { auth in
            let id = UUID.random().description
            let hash = try Bcrypt.hash("from elsewhere", cost: 4)
            let created = try await auth.administer(
                "POST", "/admin/users",
                [
                    "id": .string(id), "email": "Ada@example.com", "phone": "+15551234567",
                    "password_hash": .string(hash),
                    "email_confirm": true, "user_metadata": ["name": "Ada"], "app_metadata": ["plan": "pro"],
                    "ban_duration": "876000h",
                ])
            #expect(created.status == 200, "\(created.text)")
            #expect(created.json["id"] == .string(id))
            #expect(created.json["phone"] == "15551234567")
            #expect(created.json["app_metadata"]?["providers"] == ["email", "phone"])
            #expect(created.json["app_metadata"]?["plan"] == "pro")
            #expect(created.json["app_metadata"]?["tenant_id"]?.stringValue != nil)
            #expect(created.json["identities"]?.arrayValue?.count == 2)
            #expect(created.json["phone_confirmed_at"] == nil)
            #expect(try await auth.signIn("ada@example.com", password: "from elsewhere").errorCode == "user_banned")

            let freed = try await auth.administer("PUT", "/admin/users/\(id)", ["ban_duration": "none"])
            #expect(freed.json["banned_until"] == nil)
            let session = try await auth.signIn("ada@example.com", password: "from elsewhere")
            #expect(session.status == 200)

            let changed = try await auth.administer(
                "PUT", "/admin/users/\(id)",
                [
                    "email": "countess@example.com", "password": "new password", "email_confirm": true,
                    "user_metadata": ["name": .null, "title": "Countess"], "app_metadata": ["plan": "free"],
                ])
            #expect(changed.status == 200, "\(changed.text)")
            #expect(changed.json["email"] == "countess@example.com")
            #expect(changed.json["user_metadata"] == ["email_verified": true, "title": "Countess"])
            #expect(changed.json["app_metadata"]?["plan"] == "free")
            #expect(changed.json["app_metadata"]?["tenant_id"] == created.json["app_metadata"]?["tenant_id"])
            #expect(
                changed.json["identities"]?.arrayValue?.compactMap { $0["email"]?.stringValue } == [
                    "countess@example.com"
                ])
            // A new password ends what the old one began.
            #expect(try await auth.refresh(try session.member("refresh_token")).status == 400)
            #expect(try await auth.signIn("countess@example.com", password: "new password").status == 200)

            #expect(try await auth.administer("DELETE", "/admin/users/\(id)").json == [:])
            #expect(try await auth.administer("GET", "/admin/users/\(id)").status == 404)
            #expect(
                try await auth.sql(
                    "select string_agg(payload ->> 'action', ' ' order by created_at) from auth.audit_log_entries where payload ->> 'actor_username' = 'service_role'"
                ) == "user_signedup user_modified user_modified user_deleted")
        }
    }

    /// What accounts bring along signs in, and is bcrypt's from then on.
    @Test(arguments: [
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$fbscrypt$v=1,n=10,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$QU5xA/a22ckG1AyhikaaC6hBYBLRMm3Cf8Qyed0OieBh682qJqHlH/xDqcd1NKN6p/QVc7E+54AT+YUo0DXAFQ==",
    ])
    func takesHashesOfOtherSystems(_ hash: String) async throws {
        try await AuthFixture.run { auth in
            let created = try await auth.administer(
                "POST", "/admin/users",
                ["email": "ada@example.com", "password_hash": .string(hash), "email_confirm": true])
            #expect(created.status == 200, "\(created.text)")
            #expect(try await auth.sql("select encrypted_password from auth.users") == hash)
            #expect(try await auth.signIn("ada@example.com", password: "passwor").errorCode == "invalid_credentials")
            #expect(try await auth.sql("select encrypted_password from auth.users") == hash)
            #expect(try await auth.signIn("ada@example.com", password: "password").status == 200)
            #expect(try await auth.sql("select left(encrypted_password, 7) from auth.users") == "$2b$04$")
            #expect(try await auth.signIn("ada@example.com", password: "password").status == 200)
            #expect(try await auth.signIn("ada@example.com", password: "passwor").errorCode == "invalid_credentials")
        }
    }

    @Test func whatAnAdministratorConfirmsIsSoForTheIdentityAndWaitsForNoCode() async throws {
        try await AuthFixture.run {
            $0.areEmailConfirmationsEnabled = true
        } _: { auth in
            let signedUp = try await auth.signUp("ada@example.com")
            let code = try await auth.mail(to: "ada@example.com").code
            let id = try signedUp.member("id")
            #expect(signedUp.json["identities"]?[0]?["identity_data"]?["email_verified"] == false)
            let changed = try await auth.administer("PUT", "/admin/users/\(id)", ["email_confirm": true])
            #expect(changed.json["identities"]?[0]?["identity_data"]?["email_verified"] == true, "\(changed.text)")
            #expect(changed.json["user_metadata"]?["email_verified"] == true)
            #expect(changed.json["email_confirmed_at"]?.stringValue != nil)
            let body: JSON = ["type": "signup", "email": "ada@example.com", "token": .string(code)]
            #expect(try await auth.request("POST", "/verify", body.text).errorCode == "otp_expired")
            #expect(try await auth.signIn("ada@example.com").status == 200)

            let made = try await auth.administer(
                "POST", "/admin/users",
                ["email": "b@example.com", "phone": "+15551234567", "email_confirm": true, "phone_confirm": true])
            let claims = made.json["identities"]?.arrayValue?.compactMap { $0["identity_data"] }
            #expect(claims?.first { $0["email"] != nil }?["email_verified"] == true)
            #expect(claims?.first { $0["phone"] != nil }?["phone_verified"] == true)
        }
    }

    @Test func aSoftDeletionLeavesTheRowAndNothingOfThePerson() async throws {
        try await AuthFixture.run { auth in
            let session = try await auth.signUp("ada@example.com", data: ["full_name": "Ada"])
            let id = try #require(session.json["user"]?["id"]?.stringValue)
            for _ in 0..<2 {
                let answer = try await auth.administer("DELETE", "/admin/users/\(id)", ["should_soft_delete": true])
                #expect((answer.status, answer.json) == (200, [:]))
            }
            let row = try await auth.sql(
                "select u::text || (select string_agg(i::text, '') from auth.identities as i) from auth.users as u")
            #expect(!row.contains("ada") && !row.contains("Ada"))
            #expect(try await auth.refresh(try session.member("refresh_token")).status == 400)
            #expect(try await auth.signIn("ada@example.com").errorCode == "invalid_credentials")
            #expect(
                try await auth.request("GET", "/user", bearer: try session.member("access_token")).errorCode
                    == "user_not_found")
            #expect(try await auth.signUp("ada@example.com").status == 200)
        }
    }

    @Test func listsPageByPage() async throws {
        try await AuthFixture.run { auth in
            for number in 0..<5 {
                let body: JSON = [
                    "email": .string("user\(number)@example.com"),
                    "user_metadata": ["full_name": .string(number == 3 ? "Grace Hopper" : "Someone")],
                ]
                #expect(try await auth.administer("POST", "/admin/users", body).status == 200)
            }
            func emails(_ response: TestHTTPResponse) -> [String] {
                response.json["users"]?.arrayValue?.compactMap { $0["email"]?.stringValue } ?? []
            }
            let first = try await auth.administer("GET", "/admin/users?page=1&per_page=2")
            #expect(emails(first) == ["user4@example.com", "user3@example.com"])
            #expect(first.headers["x-total-count"] == "5")
            #expect(
                first.headers["link"]
                    == #"</auth/v1/admin/users?page=2&per_page=2>; rel="next", </auth/v1/admin/users?page=3&per_page=2>; rel="last""#
            )
            let last = try await auth.administer("GET", "/admin/users?page=3&per_page=2&sort=created_at%20asc")
            #expect(emails(last) == ["user4@example.com"])
            #expect(last.headers["link"]?.contains("next") == false)
            #expect(emails(try await auth.administer("GET", "/admin/users?filter=hopper")) == ["user3@example.com"])
            #expect(emails(try await auth.administer("GET", "/admin/users?filter=USER1@")) == ["user1@example.com"])
            #expect(emails(try await auth.administer("GET", "/admin/users?filter=%25")).isEmpty)
            for query in ["page=-1", "per_page=x", "sort=email", "limit=0", "limit=1001", "cursor=x"] {
                #expect(try await auth.administer("GET", "/admin/users?\(query)").errorCode == "validation_failed")
            }
            var seen: [String] = []
            var cursor: String? = ""
            while let at = cursor {
                let page = try await auth.administer("GET", "/admin/users?limit=2&cursor=\(at)")
                seen += emails(page)
                cursor = page.json["pagination"]?["next_cursor"]?.stringValue
                #expect(page.json["pagination"]?["has_more"] == .bool(cursor != nil))
            }
            #expect(seen == (0..<5).reversed().map { "user\($0)@example.com" })
        }
    }

    @Test func tellsTheAuditLog() async throws {
        try await AuthFixture.run { auth in
            _ = try await auth.signUp("ada@example.com", data: ["full_name": "Ada"])
            _ = try await auth.signIn("ada@example.com")
            let logins = try await auth.administer("GET", "/admin/audit?query=action:login")
            #expect(logins.json.arrayValue?.count == 2)
            #expect(logins.headers["x-total-count"] == "2")
            let entry = try #require(logins.json[0])
            #expect(entry["payload"]?["actor_username"] == "ada@example.com")
            #expect(entry["payload"]?["actor_name"] == "Ada")
            #expect(entry["payload"]?["log_type"] == "account")
            #expect(entry["payload"]?["traits"]?["provider"] == "email")
            #expect(entry["ip_address"] == "127.0.0.1")
            #expect(try await auth.administer("GET", "/admin/audit?query=type:team").json.arrayValue?.count == 1)
            #expect(try await auth.administer("GET", "/admin/audit?query=author:nobody").json == [])
            #expect(try await auth.administer("GET", "/admin/audit?query=other:x").errorCode == "validation_failed")
        }
    }

    @Test func bringsBackWhoLostAFactor() async throws {
        try await AuthFixture.run {
            $0.factors.totp.canEnroll = true
        } _: { auth in
            let session = try await auth.signUp("ada@example.com")
            let id = try #require(session.json["user"]?["id"]?.stringValue)
            let enrolled = try await auth.request(
                "POST", "/factors", #"{"factor_type":"totp"}"#, bearer: try session.member("access_token"))
            let factor = try enrolled.member("id")
            let path = "/admin/users/\(id)/factors"
            #expect(try await auth.administer("GET", path).json[0]?["id"] == .string(factor))
            let renamed = try await auth.administer("PUT", "\(path)/\(factor)", ["friendly_name": "old app"])
            #expect(renamed.json["friendly_name"] == "old app")
            let wrong = try await auth.administer("PUT", "\(path)/\(factor)", ["phone": "+15551234567"])
            #expect(wrong.errorCode == "validation_failed")
            let other = try await auth.administer("DELETE", "\(path)/\(UUID.random())")
            #expect((other.status, other.errorCode) == (404, "mfa_factor_not_found"))
            #expect(try await auth.administer("DELETE", "\(path)/\(factor)").json["id"] == .string(factor))
            #expect(try await auth.administer("GET", path).json == [])
        }
    }
}
