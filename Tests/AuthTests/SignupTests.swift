// SPDX-License-Identifier: Apache-2.0
import Auth
import Cryptography
import PlatformTestSupport
import Primitives
import TestSupport
import Testing

@Suite struct SignupTests {
    @Test func refusals() async throws {
        try await AuthFixture.run { auth in
            let noKey = try await auth.request("POST", "/signup", "{}", headers: ["apikey": ""])
            #expect(noKey.status == 401)
            #expect(noKey.json["message"] == "No API key found in request")
            let wrongKey = try await auth.request("POST", "/signup", "{}", headers: ["apikey": "sb_publishable_x"])
            #expect(wrongKey.status == 401)
            #expect(wrongKey.json["message"] == "Invalid API key")

            let noBody = try await auth.request("POST", "/signup")
            #expect((noBody.status, noBody.errorCode) == (400, "bad_json"))
            let weak = try await auth.signUp("a@b.c", password: "short")
            #expect((weak.status, weak.errorCode) == (422, "weak_password"))
            #expect(weak.json["weak_password"] == ["reasons": ["length"]])
            let huge = try await auth.request("POST", "/signup", String(repeating: " ", count: (1 << 20) + 1))
            #expect((huge.status, huge.errorCode) == (413, "request_entity_too_large"))
            let null = try await auth.signUp("a@b.c", data: ["name": "a\u{0}b"])
            #expect((null.status, null.errorCode) == (400, "validation_failed"))
            let wrongMethod = try await auth.request("GET", "/signup")
            #expect(wrongMethod.status == 405)
            #expect(wrongMethod.headers["x-sb-error-code"] == "not_found")
            #expect(wrongMethod.headers["allow"] == "POST, OPTIONS")
            #expect(try await auth.sql("select count(*) from auth.users") == "0")
        }
    }

    @Test func aTakenAddressIsRefusedInAnyCase() async throws {
        try await AuthFixture.run { auth in
            #expect(try await auth.signUp("ada@example.com").status == 200)
            let again = try await auth.signUp("Ada@Example.COM")
            #expect((again.status, again.errorCode) == (422, "user_already_exists"))
            #expect(try await auth.sql("select count(*) from auth.users") == "1")
            #expect(try await auth.sql("select count(*) from tenancy.tenants") == "1")
        }
    }

    @Test func makesUserIdentityTenantAndSessionAtOnce() async throws {
        try await AuthFixture.run { auth in
            let response = try await auth.signUp("Ada@Example.com", data: ["full_name": "Ada", "sub": "forged"])
            #expect(response.status == 200)
            #expect(response.json["token_type"] == "bearer")
            #expect(response.json["expires_in"] == 3600)
            let user = try #require(response.json["user"])
            let id = try #require(user["id"]?.stringValue)
            #expect(user["aud"] == "authenticated")
            #expect(user["role"] == "authenticated")
            #expect(user["email"] == "ada@example.com")
            #expect(user["phone"] == "")
            #expect(user["is_anonymous"] == false)
            #expect(user["user_metadata"]?["full_name"] == "Ada")
            #expect(user["user_metadata"]?["sub"] == .string(id))
            #expect(user["app_metadata"]?["provider"] == "email")
            #expect(user["app_metadata"]?["providers"] == ["email"])
            for name in ["created_at", "updated_at", "last_sign_in_at", "email_confirmed_at", "confirmed_at"] {
                let text = try #require(user[name]?.stringValue, "\(name)")
                #expect(text.hasSuffix("Z") && Timestamp(text) != nil)
            }
            let identity = try #require(user["identities"]?[0])
            #expect(identity["id"] == .string(id))
            #expect(identity["user_id"] == .string(id))
            #expect(identity["provider"] == "email")
            #expect(identity["email"] == "ada@example.com")
            #expect(identity["identity_data"]?["sub"] == .string(id))
            #expect(user["encrypted_password"] == nil)
            #expect(!response.text.contains("$2b$"))

            let tenant = try await auth.sql("select id from tenancy.tenants where owner_id = '\(id)'")
            #expect(UUID(tenant) != nil)
            let claims = try auth.claims(of: response)
            #expect(claims["app_metadata"]?["tenant_id"] == .string(tenant))
            #expect(claims["iss"] == .string(AuthFixture.issuer))
            #expect(claims["aud"] == "authenticated")
            #expect(claims.subject == id)
            #expect(claims.role == "authenticated")
            #expect(claims["aal"] == "aal1")
            #expect(claims["amr"]?[0]?["method"] == "password")
            #expect(claims["exp"] == response.json["expires_at"])
            let session = try #require(claims["session_id"]?.stringValue)
            let token = try response.member("refresh_token")
            #expect(
                try await auth.sql("select user_id, aal, host(ip) from auth.sessions where id = '\(session)'")
                    == "\(id)|aal1|127.0.0.1")
            #expect(
                try await auth.sql(
                    "select session_id, revoked from auth.refresh_tokens where token = encode(sha256('\(token)'), 'hex')"
                )
                    == "\(session)|f")
            #expect(try await auth.sql("select encrypted_password like '$2b$04$%' from auth.users") == "t")
        }
    }

    private static let trigger = """
        create table public.people (id uuid primary key references auth.users on delete cascade, name text not null);
        create function public.handle_new_user() returns trigger language plpgsql security definer as $$
        begin
            insert into people (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
            return new;
        end
        $$;
        create trigger on_auth_user_created after insert on auth.users
            for each row execute function public.handle_new_user();
        """

    @Test func triggersOfTheProjectRunInTheSameTransaction() async throws {
        try await AuthFixture.run(files: ["supabase/migrations/20260101000000_people.sql": Self.trigger]) { auth in
            #expect(try await auth.signUp("ada@example.com", data: ["name": "Ada"]).status == 200)
            #expect(try await auth.sql("select name from public.people") == "Ada")

            let refused = try await auth.signUp("bob@example.com")
            #expect((refused.status, refused.errorCode) == (500, "unexpected_failure"))
            #expect(refused.json["msg"] == "Database error saving new user")
            #expect(refused.json["error_id"]?.stringValue != nil)
            for table in ["auth.users", "auth.identities", "auth.sessions", "auth.refresh_tokens", "tenancy.tenants"] {
                #expect(try await auth.sql("select count(*) from \(table)") == "1", "\(table)")
            }
        }
    }

    @Test func withConfirmationsThereIsNoSessionAndNoTellingWhoHasAnAccount() async throws {
        try await AuthFixture.run {
            $0.areEmailConfirmationsEnabled = true
        } _: { auth in
            let first = try await auth.signUp("ada@example.com")
            #expect(first.status == 200)
            #expect(first.json["access_token"] == nil)
            #expect(first.json["email"] == "ada@example.com")
            #expect(first.json["email_confirmed_at"] == nil)
            #expect(first.json["identities"]?.arrayValue?.count == 1)
            let again = try await auth.signUp("ada@example.com")
            #expect(again.status == 200)
            #expect(again.json["identities"] == [])
            #expect(again.json["id"] != first.json["id"])
            #expect(try await auth.sql("select count(*) from auth.sessions") == "0")

            let signIn = try await auth.signIn("ada@example.com")
            #expect((signIn.status, signIn.errorCode) == (400, "email_not_confirmed"))
            let wrong = try await auth.signIn("ada@example.com", password: "wrong")
            #expect(wrong.errorCode == "invalid_credentials")
        }
    }

    @Test func visitorsMaySignInAnonymouslyWhereAllowed() async throws {
        try await AuthFixture.run {
            $0.isAnonymousSignInEnabled = true
        } _: { auth in
            let response = try await auth.request("POST", "/signup", #"{"data":{"theme":"dark"}}"#)
            #expect(response.status == 200)
            #expect(response.json["user"]?["is_anonymous"] == true)
            #expect(response.json["user"]?["user_metadata"] == ["theme": "dark"])
            let claims = try auth.claims(of: response)
            #expect(claims["is_anonymous"] == true)
            #expect(claims["amr"]?[0]?["method"] == "anonymous")
            let user = try await auth.request("GET", "/user", bearer: try response.member("access_token"))
            #expect(user.status == 200)
        }
    }

    @Test func signUpsOfOneAddressAreLimited() async throws {
        try await AuthFixture.run {
            $0.rateLimits.exemptsLoopback = false
            $0.rateLimits.set(.signUp, to: 2)
        } _: { auth in
            for number in 0..<2 { #expect(try await auth.signUp("a\(number)@example.com").status == 200) }
            let refused = try await auth.signUp("a3@example.com")
            #expect((refused.status, refused.errorCode) == (429, "over_request_rate_limit"))
            #expect(refused.headers["retry-after"].flatMap { Int($0) }.map { (1...151).contains($0) } == true)
            #expect(try await auth.signIn("a0@example.com").status == 200)
        }
    }

    @Test func theSameAddressSignedUpAtOnceMakesOneAccount() async throws {
        try await AuthFixture.run { auth in
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<6 { group.addTask { try await auth.signUp("ada@example.com").status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 422, 422, 422, 422, 422])
            #expect(try await auth.sql("select count(*) from tenancy.tenants") == "1")
        }
    }
}
