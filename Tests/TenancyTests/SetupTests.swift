// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Platform
import PlatformTestSupport
import Primitives
import Tenancy
import TestSupport
import Testing

@Suite struct SetupTests {
    private static let path = "/api/setup"
    private static let wait = ["prefer": "wait=30"]

    private static func steps(_ state: JSON) -> [String] {
        (state["steps"]?.arrayValue ?? []).map {
            "\($0["name"]?.stringValue ?? "?") \($0["status"]?.stringValue ?? "?") \($0["attempts"]?.intValue ?? -1)"
        }
    }

    @Test func onlyAdminsOfTheTokensTenantMaySetItUp() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            try await fixture.project.server.exec(
                "insert into tenancy.members values ('\(ann.tenant)', '\(bob.id)', 'member')")
            let member = bob.claims(tenant: ann.tenant)
            let stranger = ann.claims(tenant: bob.tenant)
            for path in ["/api/setup", "/api/setup-supabase", "/api/setup-qdrant"] {
                for claims in [nil, ["role": "anon"], ["role": "service_role"]] as [JSON?] {
                    let answer = try await fixture.request("POST", path, claims: claims, [:])
                    #expect(answer.status == 401, "\(path)")
                    #expect(answer.json["error"] == "Unauthorized")
                }
                for claims in [member, stranger] {
                    #expect(try await fixture.request("POST", path, claims: claims, [:]).status == 403, "\(path)")
                }
            }
            #expect(try await fixture.request("GET", Self.path, claims: nil).status == 401)
            #expect(try await fixture.request("GET", Self.path, claims: stranger).status == 403)
            #expect(try await fixture.request("GET", Self.path, claims: member).status == 200)
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.setup_runs") == "0")
            #expect(fixture.collections.made.isEmpty)
        }
    }

    @Test(
        arguments: [
            "[]", "x", #"{"unknown": 1}"#, #"{"keys": []}"#, #"{"keys": {"Open AI": "x"}}"#,
            #"{"keys": {"openai": 7}}"#,
            #"{"keys": {"openai": "\#(String(repeating: "k", count: 8193))"}}"#, #"{"profile": {"email": "a"}}"#,
            #"{"profile": {"setup_completed": true}}"#, #"{"profile": 7}"#, #"{"skip": ["profile"]}"#,
            #"{"skip": ["x"]}"#, #"{"preferences": []}"#, #"{"isolation": "database"}"#,
            #"{"preferences": {"a": [{"b": "\u0000"}]}}"#, #"{"preferences": {"a\u0000": 1}}"#,
        ])
    func badInputStartsNothing(_ body: String) async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let answer = try await fixture.send("POST", Self.path, claims: ann.claims, text: body)
            #expect(answer.status == 400, "\(body.prefix(40)): \(answer.text)")
            #expect(answer.json["error"]?.stringValue?.isEmpty == false)
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.setup_runs") == "0")
        }
    }

    @Test func aRunIsOpenToItsTenantAlone() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            fixture.collections.refuse("not now")
            let state = try await fixture.request(
                "POST", Self.path, claims: ann.claims, ["profile": ["full_name": "Ann"]], headers: Self.wait)
            let run = try #require(state.json["run_id"]?.stringValue)
            for call in [
                "put_setup_input('\(run)', 'x')", "setup_input('\(run)')", "start_setup_step('\(run)', 'profile')",
                "end_setup_step('\(run)', 'profile', 'completed', null, null)",
                "reopen_setup_step('\(run)', 'profile')",
            ] {
                let refusal = await fixture.project.request(
                    "authenticated", claims: bob.claims, "select tenancy.\(call);")
                #expect(refusal.contains("the run is not of this tenant"), "\(call): \(refusal)")
            }
            let none = await fixture.project.request(
                "authenticated", claims: bob.claims,
                "select count(*) from tenancy.setup_runs; select count(*) from tenancy.setup_steps;")
            #expect(none.split(separator: "\n") == ["0", "0"])
            let inputs = await fixture.project.request(
                "authenticated", claims: ann.claims, "select * from tenancy.setup_inputs;")
            #expect(inputs.contains("permission denied"))
        }
    }

    @Test func aTenantIsSetUpInOneSitting() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let before = try await fixture.request("GET", Self.path, claims: ann.claims)
            #expect(before.json["status"] == "not_started")
            #expect(before.json["steps"]?.arrayValue?.count == 5)
            #expect(before.headers["cache-control"] == "private, no-store")

            let answer = try await fixture.request(
                "POST", Self.path, claims: ann.claims,
                [
                    "profile": ["full_name": "Ann", "company_name": "Ann & Co"],
                    "keys": ["openai": "good-key", "chatwoot": "anything", "anthropic": "  "],
                    "preferences": ["language": "de"],
                ], headers: Self.wait)
            #expect(answer.status == 200, "\(answer.text)")
            #expect(answer.json["status"] == "completed", "\(answer.text)")
            #expect(
                Self.steps(answer.json) == [
                    "profile completed 1", "api_keys completed 1", "schema completed 1",
                    "vector_collection completed 1",
                    "settings completed 1",
                ])
            #expect(answer.json["progress"] == ["done": 5, "total": 5])
            #expect(
                answer.json["steps"]?[1]?["detail"]?["keys"] == ["chatwoot": "not tried", "openai": "valid"])
            #expect(!answer.text.contains("good-key"))
            let collection = "qdrant_user_\(ann.id)"
            #expect(fixture.collections.made == [collection])

            let stored = try await fixture.project.server.exec(
                """
                select full_name, company_name, setup_completed from tenancy.profiles where user_id = '\(ann.id)';
                select vector_collection, preferences from tenancy.settings where tenant_id = '\(ann.tenant)';
                select service_name, validation from tenancy.secrets order by service_name;
                select count(*) from tenancy.setup_inputs;
                """)
            #expect(
                stored.split(separator: "\n") == [
                    "Ann|Ann & Co|t", #"\#(collection)|{"language": "de"}"#, "chatwoot|", "openai|valid", "0",
                ])
            // Nothing new is asked: nothing is done.
            let again = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(again.json["run_id"] == answer.json["run_id"])
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.setup_runs") == "1")
            // Something new makes another run, which leaves what is there.
            let more = try await fixture.request(
                "POST", Self.path, claims: ann.claims, ["keys": ["heygen": "good"]], headers: Self.wait)
            #expect(more.json["status"] == "completed")
            #expect(more.json["run_id"] != answer.json["run_id"])
            #expect(
                try await fixture.project.server.exec(
                    "select string_agg(service_name, ',' order by service_name) from tenancy.secrets")
                    == "chatwoot,heygen,openai")
        }
    }

    @Test func aRefusedKeyLeavesTheRestAndTheRunGoesOnWhereItStopped() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let failed = try await fixture.request(
                "POST", Self.path, claims: ann.claims,
                ["profile": ["full_name": "Ann"], "keys": ["openai": "bad-one", "heygen": "good-one"]],
                headers: Self.wait)
            #expect(failed.status == 200)
            #expect(failed.json["status"] == "failed")
            #expect(
                Self.steps(failed.json) == [
                    "profile completed 1", "api_keys failed 1", "schema pending 0", "vector_collection pending 0",
                    "settings pending 0",
                ])
            let step = try #require(failed.json["steps"]?[1])
            #expect(step["error"] == "openai: the service refuses the key")
            #expect(step["detail"]?["refused"] == ["openai"])
            #expect(step["started_at"] != .null && step["finished_at"] != .null)
            let stored = "select string_agg(service_name, ',' order by service_name) from tenancy.secrets"
            #expect(try await fixture.project.server.exec(stored) == "heygen")
            // What waits is under seal.
            let input = try await fixture.project.server.exec("select envelope from tenancy.setup_inputs")
            #expect(input.hasPrefix("v1.k1.") && !input.contains("bad-one"))

            // Without anything new it fails again, and only there.
            let again = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(again.json["run_id"] == failed.json["run_id"])
            #expect(Self.steps(again.json)[0...1] == ["profile completed 1", "api_keys failed 2"])
            #expect(fixture.services.calls.count { $0.path.contains("heygen") } == 1)

            let done = try await fixture.request(
                "POST", Self.path, claims: ann.claims, ["keys": ["openai": "good-now"]], headers: Self.wait)
            #expect(done.json["status"] == "completed")
            #expect(done.json["run_id"] == failed.json["run_id"])
            #expect(
                Self.steps(done.json) == [
                    "profile completed 1", "api_keys completed 3", "schema completed 1",
                    "vector_collection completed 1", "settings completed 1",
                ])
            #expect(try await fixture.project.server.exec(stored) == "heygen,openai")
            #expect(
                try await fixture.project.server.exec(
                    "select string_agg(action, ',' order by at) from tenancy.audit_log where action like 'setup.%'")
                    == "setup.started,setup.failed,setup.failed,setup.completed")
        }
    }

    @Test func oneMayGoOnWithoutKeys() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            _ = try await fixture.request(
                "POST", Self.path, claims: ann.claims, ["keys": ["openai": "bad"]], headers: Self.wait)
            let done = try await fixture.request(
                "POST", Self.path, claims: ann.claims, ["skip": ["api_keys"]], headers: Self.wait)
            #expect(done.json["status"] == "completed")
            #expect(Self.steps(done.json)[1] == "api_keys skipped 2")
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.secrets") == "0")
        }
    }

    @Test func twoRequestsAtOnceAreOneRun() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            fixture.collections.wait()
            async let first = fixture.request(
                "POST", Self.path, claims: ann.claims, ["profile": ["full_name": "Ann"]], headers: Self.wait)
            async let second = fixture.request(
                "POST", Self.path, claims: ann.claims, ["profile": ["company_name": "Co"]], headers: Self.wait)
            try await eventually("both have been heeded") {
                try await fixture.project.server.exec(
                    "select count(*) from tenancy.profiles where full_name = 'Ann' and company_name = 'Co'") == "1"
            }
            fixture.collections.gate.open()
            let states = try await [first.json, second.json]
            #expect(states[0]["run_id"] == states[1]["run_id"])
            #expect(states.map { $0["status"] } == ["completed", "completed"])
            #expect(fixture.collections.made.count == 1)
            #expect(
                try await fixture.project.server.exec(
                    """
                    select count(*) from tenancy.setup_runs;
                    select full_name, company_name from tenancy.profiles;
                    select attempts from tenancy.setup_steps where name in ('schema', 'vector_collection');
                    """
                ).split(separator: "\n") == ["1", "Ann|Co", "1", "1"])
        }
    }

    @Test func manyRequestsAtOnceAreAllHeeded() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let count = 12
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<count {
                    group.addTask {
                        let body: JSON = ["keys": .object(["service\(number)": "key"])]
                        return try await fixture.request(
                            "POST", Self.path, claims: ann.claims, body, headers: Self.wait
                        ).status
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses == Array(repeating: 200, count: count))
            let keys = try await fixture.project.server.exec(
                "select count(distinct service_name) from tenancy.secrets; select status from tenancy.setup_runs;")
            #expect(keys.split(separator: "\n").first == "\(count)")
            #expect(!keys.contains("running") && !keys.contains("failed"), "\(keys)")
        }
    }

    @Test func moreRunsThanAllowedAreRefusedForNow() async throws {
        try await TenancyFixture.run(configure: { $0.setup.maxRuns = 1 }) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let bob = try await fixture.project.signUp("bob@example.com")
            fixture.collections.wait()
            let started = try await fixture.request("POST", Self.path, claims: ann.claims)
            #expect(started.status == 202)
            #expect(started.json["status"] == "running")
            let refused = try await fixture.request("POST", Self.path, claims: bob.claims)
            #expect(refused.status == 503)
            #expect(refused.headers["retry-after"] != nil)
            fixture.collections.gate.open()
            try await eventually("the first has ended") {
                try await fixture.request("GET", Self.path, claims: ann.claims).json["status"] == "completed"
            }
            let later = try await fixture.request("POST", Self.path, claims: bob.claims, headers: Self.wait)
            #expect(later.json["status"] == "completed")
        }
    }

    @Test func aStepThatCannotBeDoneIsToldAndDoneLater() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            fixture.collections.refuse("a tenant may have at most 100 collections")
            let failed = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(failed.json["status"] == "failed")
            #expect(failed.json["steps"]?[3]?["error"] == "a tenant may have at most 100 collections")
            #expect(
                try await fixture.project.server.exec("select setup_completed from tenancy.profiles") == "f")
            fixture.collections.refuse(nil)
            let done = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(done.json["status"] == "completed")
            #expect(Self.steps(done.json)[2...3] == ["schema completed 1", "vector_collection completed 2"])
        }
    }

    @Test func whatAServerLeftBehindIsTakenUp() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            // As a server that was killed in the third step leaves it.
            try await fixture.project.server.exec(
                """
                insert into tenancy.setup_runs (id, tenant_id) values ('\(ann.id)', '\(ann.tenant)');
                insert into tenancy.setup_steps (run_id, name, position, status, attempts)
                values ('\(ann.id)', 'profile', 1, 'completed', 1), ('\(ann.id)', 'api_keys', 2, 'skipped', 1),
                    ('\(ann.id)', 'schema', 3, 'running', 1), ('\(ann.id)', 'vector_collection', 4, 'pending', 0),
                    ('\(ann.id)', 'settings', 5, 'pending', 0);
                """)
            let state = try await fixture.request("GET", Self.path, claims: ann.claims)
            #expect(state.json["status"] == "interrupted")
            let done = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(done.json["run_id"]?.stringValue == ann.id.description)
            #expect(
                Self.steps(done.json) == [
                    "profile completed 1", "api_keys skipped 1", "schema completed 2", "vector_collection completed 1",
                    "settings completed 1",
                ])
        }
    }

    @Test func anotherServersRunIsLeftToIt() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            fixture.collections.refuse("not now")
            let failed = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            let run = try #require(failed.json["run_id"]?.stringValue)
            fixture.collections.refuse(nil)
            // Another server's worker holds the lock until the request has been answered.
            async let other = fixture.project.server.exec(
                """
                begin; select tenancy.lock_setup('\(run)');
                do $$
                begin
                    for attempt in 1..6000 loop
                        exit when exists (select from tenancy.options where name = 'test.answered');
                        perform pg_sleep(0.01);
                    end loop;
                end $$;
                commit;
                """)
            try await eventually("it holds the lock") {
                try await fixture.project.server.exec(
                    "select count(*) from pg_locks where locktype = 'advisory' and classid = 1635020649") == "1"
            }
            let state = try await fixture.request("POST", Self.path, claims: ann.claims, headers: Self.wait)
            #expect(state.json["status"] == "running")
            #expect(Self.steps(state.json)[3] == "vector_collection failed 1")
            try await fixture.project.server.exec("insert into tenancy.options values ('test.answered', 'yes')")
            _ = try await other
            #expect(try await fixture.request("GET", Self.path, claims: ann.claims).json["status"] == "interrupted")
        }
    }

    @Test func eventsTellEveryStepUntilTheRunRests() async throws {
        try await TenancyFixture.run(configure: { $0.setup.streamInterval = .milliseconds(5) }) { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let none = try await fixture.request(
                "GET", Self.path, claims: ann.claims, headers: ["accept": "text/event-stream"])
            #expect(none.text.contains(#""status":"not_started""#))
            fixture.collections.wait()
            _ = try await fixture.request("POST", Self.path, claims: ann.claims)
            try await eventually("it waits") {
                let state = try await fixture.request("GET", Self.path, claims: ann.claims)
                return Self.steps(state.json)[3] == "vector_collection running 1"
            }
            async let stream = fixture.request(
                "GET", Self.path, claims: ann.claims, headers: ["accept": "text/event-stream"])
            fixture.collections.gate.open()
            let events = try await stream
            #expect(events.headers["content-type"] == "text/event-stream; charset=utf-8")
            let states = events.text.split(separator: "\n").filter { $0.hasPrefix("data: ") }
                .compactMap { try? JSON(parsing: Array($0.dropFirst(6).utf8)) }
            #expect(events.text.hasPrefix("event: setup\ndata: {"))
            #expect(states.last?["status"] == "completed")
            #expect(states.allSatisfy { $0["steps"]?.arrayValue?.count == 5 })
        }
    }

    @Test func theSeedsOwnEndPointsDoOneStepEach() async throws {
        try await TenancyFixture.run { fixture in
            let ann = try await fixture.project.signUp("ann@example.com")
            let schema = try await fixture.request("POST", "/api/setup-supabase", claims: ann.claims)
            #expect(schema.status == 200)
            #expect(schema.json["success"] == true)
            for _ in 1...2 {
                let made = try await fixture.request("POST", "/api/setup-qdrant", claims: ann.claims, [:])
                #expect(made.status == 200)
                #expect(
                    made.json == [
                        "success": true, "collection_name": .string("qdrant_user_\(ann.id)"), "size": 1536,
                        "distance": "Cosine",
                    ])
            }
            #expect(
                try await fixture.project.server.exec("select vector_collection from tenancy.settings")
                    == "qdrant_user_\(ann.id)")
            #expect(try await fixture.project.server.exec("select count(*) from tenancy.setup_runs") == "0")
            fixture.collections.refuse("not now")
            let refused = try await fixture.request("POST", "/api/setup-qdrant", claims: ann.claims)
            #expect(refused.status == 422)
            #expect(refused.json["error"] == "not now")
        }
    }
}
