// SPDX-License-Identifier: Apache-2.0
import Glibc
import Primitives
import Processes
import TestSupport
import Testing

/// start, status, stop and serve on a real server.
@Suite(.serialized) struct ServerCommandTests {
    private func portFlags() throws -> [String] {
        let ports = try freePorts(4)
        return [
            "--port", "\(ports[0])", "--set", "db.port=\(ports[1])", "--set", "atoll.vectors.port=\(ports[2])", "--set",
            "inbucket.port=\(ports[3])",
        ]
    }

    @Test func startRunsInTheBackgroundUntilStop() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                #expect(try atoll.run(["stop"]).code == 0)
                let flags = try portFlags()
                let started = try atoll.run(["start", "-o", "json"] + flags)
                #expect(started.code == 0, "\(started.errors)")
                let values = try JSON(parsing: started.output)
                #expect(values["API_URL"]?.stringValue == "http://127.0.0.1:\(flags[1])")

                // The flags count for later commands, too.
                let status = try atoll.run(["status", "-o", "json", "--override-name", "api.url=URL"])
                #expect(status.code == 0, "\(status.errors)")
                let named = try JSON(parsing: status.output)
                #expect(named["URL"] == values["API_URL"])
                #expect(named["DB_URL"] == values["DB_URL"])

                let again = try atoll.run(["start"] + flags)
                #expect(again.code == 0)
                #expect(again.errors.contains("already runs"))

                let second = try atoll.run(["serve"] + flags)
                #expect(second.code == 1)
                #expect(second.errors.contains("a server already runs"))

                // Secrets and flags stay out of the process list.
                let file = try #require(atoll.read(".atoll/atoll.pid"))
                let process = try #require(try JSON(parsing: file)["pid"]?.intValue)
                let arguments = FileSystem.read("/proc/\(process)/cmdline", maxBytes: 4096)
                #expect(arguments?.contains("--set") == false)

                let stopped = try atoll.run(["stop"])
                #expect(stopped.code == 0, "\(stopped.errors)")
                #expect(atoll.read(".atoll/atoll.pid") == nil)
                #expect(try atoll.run(["status"]).code == 1)
            }
        }
    }

    @Test func isolationIsCheckedOnTheRunningProject() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                #expect(try atoll.run(["isolation", "check"]).errors.contains("no server runs"))
                try atoll.write(
                    """
                    create table public.notes (id uuid primary key default gen_random_uuid(), user_id uuid not null);
                    alter table public.notes enable row level security;
                    alter table public.notes force row level security;
                    create policy own on public.notes to authenticated using (user_id = (select auth.uid()));
                    """, to: "supabase/migrations/1_notes.sql")
                let flags = try portFlags()
                #expect(try atoll.run(["start"] + flags).code == 0)
                defer { _ = try? atoll.run(["stop", "--force"]) }
                let sound = try atoll.run(["isolation", "check", "--format", "json"])
                #expect(sound.code == 0, "\(sound.errors)")
                #expect(try JSON(parsing: sound.output)["summary"]?["leaked"] == .number("0"))
                #expect(try (JSON(parsing: sound.output)["summary"]?["held"]?.intValue ?? 0) > 20)

                try atoll.write(
                    "create policy open on public.notes for select using (true)", to: "supabase/migrations/2_open.sql")
                #expect(try atoll.run(["stop"]).code == 0)
                #expect(try atoll.run(["start"] + flags).code == 0)
                let leaking = try atoll.run(["isolation", "check"])
                #expect(leaking.code == 1)
                #expect(
                    leaking.output.contains(
                        "LEAK  sql public.notes: a member of another tenant got through with read"))
                #expect(leaking.output.contains("policy_ignores_tenant"))
                for format in ["junit", "sarif"] {
                    let report = try atoll.run(["isolation", "check", "--format", format, "--fail-on", "none"])
                    #expect(report.code == 0 && report.output.contains("public.notes"))
                }
                #expect(try atoll.run(["db", "advisors", "--fail-on", "error"]).code == 1)
                #expect(try atoll.run(["db", "advisors", "--type", "performance", "--fail-on", "error"]).code == 0)
                let findings = try JSON(parsing: atoll.run(["db", "advisors", "-o", "json"]).output)
                #expect(findings.arrayValue?.contains { $0["name"] == "policy_ignores_tenant" } == true)
            }
        }
    }

    @Test func aServerThatIsKilledComesBackByItself() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                let flags = try portFlags()
                let started = try atoll.run(["start", "-o", "json"] + flags)
                #expect(started.code == 0, "\(started.errors)")
                defer { _ = try? atoll.run(["stop", "--force"]) }
                func process() -> (server: Int, keeper: Int)? {
                    guard let file = atoll.read(".atoll/atoll.pid"), let json = try? JSON(parsing: file),
                        let server = json["pid"]?.intValue, let keeper = json["keeper"]?["pid"]?.intValue
                    else { return nil }
                    return (server, keeper)
                }
                let first = try #require(process())
                kill(pid_t(first.server), SIGKILL)
                var isBack = false
                for _ in 0..<600 where !isBack {
                    usleep(50_000)
                    guard let now = process(), now.server != first.server else { continue }
                    isBack = try atoll.run(["status"]).code == 0
                }
                #expect(isBack)
                let second = try #require(process())
                #expect(second.keeper == first.keeper && second.server != first.server)

                // Stopped for good: the keeper ends, too.
                let stopped = try atoll.run(["stop"])
                #expect(stopped.code == 0, "\(stopped.errors)")
                let keeper = FileSystem.read("/proc/\(second.keeper)/stat", maxBytes: 4096)
                #expect(keeper?.contains(") Z ") ?? true)
                #expect(try atoll.run(["status"]).code == 1)
            }
        }
    }

    @Test func startSaysWhyAServerEnded() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                let result = try atoll.run(
                    ["start"], environment: ["DATABASE_URL": "postgresql://nobody:hidden@127.0.0.1:1/postgres"])
                #expect(result.code == 1)
                #expect(result.errors.contains("the server ended while it started"))
                #expect(!result.errors.contains("hidden"))
                #expect(atoll.read(".atoll/log")?.contains("hidden") == false)
            }
        }
    }

    @Test func startWritesItsLogIntoNoOtherFile() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                try atoll.write("untouched", to: "victim")
                try atoll.write("", to: ".atoll/other")
                #expect(symlink("../victim", "\(atoll.folder)/.atoll/log") == 0)
                let result = try atoll.run(
                    ["start"], environment: ["DATABASE_URL": "postgresql://nobody:hidden@127.0.0.1:1/postgres"])
                #expect(result.code == 1)
                #expect(atoll.read("victim") == "untouched")
            }
        }
    }

    @Test func aStrangerWithTheServersIdIsNotStopped() async throws {
        try await onThread {
            try CommandLineProgram.inFolder { atoll in
                // This process, said to be a server that started at another time.
                try atoll.write(
                    "{\"pid\":\(getpid()),\"start_ticks\":1,\"api_url\":\"http://127.0.0.1:1\",\"host\":\"127.0.0.1\",\"port\":1,\"tls\":false}",
                    to: ".atoll/atoll.pid")
                let result = try atoll.run(["stop", "--force"])
                #expect(result.code == 0)
                #expect(result.output.hasPrefix("No server runs"))
            }
        }
    }
}
