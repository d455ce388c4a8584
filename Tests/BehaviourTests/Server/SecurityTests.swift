// SPDX-License-Identifier: Apache-2.0
import Primitives
import TestSupport
import Testing

/// A started server as somebody meets it who means harm. What the database refuses by itself is in PlatformTests.
@Suite(.serialized) struct SecurityTests {
    /// A project that is careless in the ways projects are: its functions keep things in their session.
    private static let project = AtollProcess.ProjectFiles(
        migrations: [
            "20260101000000_careless.sql": """
            create table items (id int primary key, owner uuid not null default auth.uid());
            alter table items enable row level security;
            create policy own on items for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
            create function keep() returns text language plpgsql as $$
            begin
                create temporary table kept as select auth.uid() as owner;
                perform set_config('app.kept', auth.uid()::text, false), set_config('request.jwt.claims',
                    current_setting('request.jwt.claims'), false), pg_advisory_lock(42);
                perform set_config('role', 'anon', false);
                return auth.uid();
            end $$;
            create function climb() returns text language plpgsql as $$
            begin
                perform set_config('role', 'service_role', true);
                return current_user;
            end $$;
            create function look() returns json language sql as $$
                select json_build_object(
                    'user', auth.uid(), 'role', current_user, 'kept', current_setting('app.kept', true),
                    'table', to_regclass('pg_temp.kept'),
                    'locks', (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))
            $$;
            create function name_field(field text) returns void language plpgsql as $$
            begin
                perform set_config('response.headers', json_build_array(json_build_object(field, 'x'))::text, true);
            end $$;
            """
        ])

    private struct Person {
        let client: TestHTTPClient
        let session: JSON
        let headers: [String: String]

        init(_ name: String, _ client: TestHTTPClient) async throws {
            // What a client claims of itself beside its address and password is of no account.
            let body = """
                {"email": "\(name)@example.com", "password": "correct horse battery", "role": "service_role",
                 "app_metadata": {"tenant_id": "00000000-0000-4000-8000-000000000000", "role": "service_role"},
                 "data": {"role": "service_role", "tenant_id": "00000000-0000-4000-8000-000000000000"}}
                """
            let response = try await client.request("POST", "/auth/v1/signup", body: body)
            try #require(response.status == 200)
            self.client = client
            session = response.json
            headers = ["authorization": "Bearer \(session["access_token"]?.stringValue ?? "")"]
        }

        var id: JSON? { session["user"]?["id"] }

        func call(_ function: String, _ body: String = "{}") async throws -> TestHTTPResponse {
            try await client.request("POST", "/rest/v1/rpc/\(function)", headers: headers, body: body)
        }
    }

    @Test func nobodyGetsAnythingOfAnother() async throws {
        try await AtollProcess.with(Self.project) { atoll in
            let ada = try await Person("ada", atoll.client)
            let eve = try await Person("eve", atoll.client)
            try await claimsOfAClientCountForNothing(ada, eve)
            #expect(try await ada.call("climb").status == 403)
            try await sessionsKeepNothing(ada, eve)
            try await everyFilterCounts(ada)
            try await schemasThatAreNotExposedAreClosed(eve)
            try await responsesAreNotSplit(eve)
            try await concurrentRefreshesEndUpWithOneToken(ada)
            let log = atoll.log
            for secret in [ada, eve].flatMap({ [$0.session["access_token"], $0.session["refresh_token"]] }) {
                #expect(!log.contains(secret?.stringValue ?? "?"))
            }
            #expect(!log.contains("correct horse") && !log.contains("example.com"))
        }
    }

    private func claimsOfAClientCountForNothing(_ ada: Person, _ eve: Person) async throws {
        for person in [ada, eve] {
            #expect(person.session["user"]?["role"] == "authenticated")
            let app = person.session["user"]?["app_metadata"]
            #expect(app?["role"] == nil)
            #expect(app?["tenant_id"] != nil && app?["tenant_id"] != "00000000-0000-4000-8000-000000000000")
        }
        #expect(
            ada.session["user"]?["app_metadata"]?["tenant_id"] != eve.session["user"]?["app_metadata"]?["tenant_id"])
    }

    private func sessionsKeepNothing(_ ada: Person, _ eve: Person) async throws {
        for _ in 0..<3 {
            #expect(try await ada.call("keep").status == 200)
            for _ in 0..<3 {
                let seen = try await eve.call("look").json
                #expect(seen["user"] == eve.id)
                #expect(seen["role"] == "authenticated")
                #expect(seen["kept"]?.stringValue ?? "" == "")
                #expect(seen["table"] == .null)
                #expect(seen["locks"]?.intValue == 0)
            }
        }
        // A visitor has no claims that could be left from somebody else's.
        let visitor = try await ada.client.request("POST", "/rest/v1/rpc/look", body: "{}").json
        #expect(visitor["user"] == .null && visitor["role"] == "anon")
    }

    /// A filter that cannot be read must not turn into none.
    private func everyFilterCounts(_ ada: Person) async throws {
        let made = try await ada.client.request(
            "POST", "/rest/v1/items", headers: ada.headers, body: #"[{"id": 1}, {"id": 2}]"#)
        #expect(made.status == 201)
        for query in ["id=eq.%ff", "id=eq.%4", "%zz=eq.1", "id=eq.1&x=eq.%ed%a0%80"] {
            let refused = try await ada.client.request("DELETE", "/rest/v1/items?\(query)", headers: ada.headers)
            #expect(refused.status == 400, "\(query)")
        }
        let left = try await ada.client.request("GET", "/rest/v1/items?select=id", headers: ada.headers)
        #expect(left.json.arrayValue?.count == 2)
    }

    private func schemasThatAreNotExposedAreClosed(_ eve: Person) async throws {
        for schema in ["auth", "tenancy", "pg_catalog", "extensions", "atoll", "public, auth", "AUTH", ""] {
            let table = try await eve.client.request(
                "GET", "/rest/v1/users", headers: eve.headers.merging(["accept-profile": schema]) { $1 })
            #expect(table.status == 406, "\(schema)")
            let function = try await eve.client.request(
                "POST", "/rest/v1/rpc/set_config", headers: eve.headers.merging(["content-profile": schema]) { $1 },
                body: #"{"setting_name": "role", "new_value": "service_role", "is_local": true}"#)
            #expect(function.status == 406, "\(schema)")
        }
        for name in ["auth.users", "%22auth%22.%22users%22", "pg_authid", "../auth/v1/user"] {
            let found = try await eve.client.request("GET", "/rest/v1/\(name)", headers: eve.headers)
            #expect(found.status == 404, "\(name)")
        }
    }

    private func responsesAreNotSplit(_ eve: Person) async throws {
        for field in ["X-A\\r\\nSet-Cookie", "Content-Length", "Transfer-Encoding", "Connection", ""] {
            let response = try await eve.call("name_field", "{\"field\": \"\(field)\"}")
            #expect(response.status == 204, "\(field)")
            #expect(response.headers["set-cookie"] == nil)
            #expect(response.headers["transfer-encoding"] == nil && response.headers["content-length"] == nil)
        }
    }

    private func concurrentRefreshesEndUpWithOneToken(_ ada: Person) async throws {
        func refresh(_ token: String) async throws -> JSON {
            try await ada.client.request(
                "POST", "/auth/v1/token?grant_type=refresh_token", body: "{\"refresh_token\": \"\(token)\"}"
            ).json
        }
        let first = try #require(ada.session["refresh_token"]?.stringValue)
        let tokens = try await withThrowingTaskGroup(of: JSON.self) { group in
            for _ in 0..<16 { group.addTask { try await refresh(first) } }
            return try await group.reduce(into: Set<String>()) { $0.insert($1["refresh_token"]?.stringValue ?? "") }
        }
        #expect(tokens.count == 1 && tokens.first?.isEmpty == false && tokens.first != first)
    }
}
