// SPDX-License-Identifier: Apache-2.0
import Glibc
import Isolation
import Primitives
import Processes
import Synchronization
import TestSupport
import Testing

@Suite(.serialized) struct HTTPProbeTests {
    private static func words(_ crossing: Crossing) -> String {
        "\(crossing.channel) \(crossing.object) \(crossing.action) \(crossing.caller) \(crossing.outcome)"
    }

    @Test func aSoundProjectHoldsAndNothingStays() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let (sql, http) = try await server.probe()
            #expect(sql.filter { $0.outcome == .leaked }.map(Self.words) == [])
            #expect(http.crossings.filter { $0.outcome == .leaked }.map(Self.words) == [])
            #expect(http.left == [])
            let untried = (sql + http.crossings).filter { if case .untried = $0.outcome { true } else { false } }
            #expect(untried.map(Self.words) == [])
            #expect(try await server.traces() == before)
            // Attempts that were made, lest an empty list pass for a proof.
            for (channel, object, action) in HTTPLeak.heldOnASoundProject {
                let tried = http.crossings.contains {
                    $0.channel == channel && $0.object == object && $0.action == action && $0.outcome == .held
                }
                #expect(tried, "\(channel) \(object) \(action)")
            }
            for crossing in http.crossings {
                #expect(!crossing.request.contains("eyJ"), "a token in \(crossing.request)")
            }
        }
    }

    @Test func groupsOfPeopleHoldOverHTTP() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_groups.sql": PlantedLeak.groups])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let (sql, http) = try await server.probe()
            #expect((sql + http.crossings).filter { $0.outcome == .leaked }.map(Self.words) == [])
            #expect(http.crossings.contains { $0.object == "public.pages" && $0.action == .delete })
            #expect(try await server.traces() == before)
        }
    }

    @Test func findsThePlantedLeaksAndNamesThem() async throws {
        let files = AtollProcess.ProjectFiles(
            migrations: [
                "20260101000000_sound.sql": PlantedLeak.base,
                "20260102000000_leaks.sql": HTTPLeak.all.map(\.sql).joined(separator: "\n"),
            ])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let (_, http) = try await server.probe()
            let leaks = http.crossings.filter { $0.outcome == .leaked }
            for planted in HTTPLeak.all {
                for expected in planted.crossings {
                    let found = leaks.first {
                        $0.channel == expected.channel && $0.object == expected.object && $0.action == expected.action
                            && $0.caller == expected.caller
                    }
                    #expect(found != nil, "\(planted.name): \(expected)")
                    #expect(found?.request.hasPrefix("curl") ?? true)
                    #expect(found?.fix.isEmpty != true)
                }
            }
            // What is sound beside them is not blamed; an export has what the leaking policies show.
            let blamed = Set(leaks.map(\.object)).subtracting(HTTPLeak.all.flatMap(\.blamed) + ["export"])
            #expect(blamed == [])
            #expect(http.left == [])
            #expect(try await server.traces() == before)
        }
    }

    @Test func whatThePlatformGivesAwayIsFoundToo() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            for planted in HTTPLeak.platform { try await server.exec(planted.sql) }
            let (_, http) = try await server.probe()
            for planted in HTTPLeak.platform {
                for expected in planted.crossings {
                    let found = http.crossings.contains {
                        $0.channel == expected.channel && $0.object == expected.object && $0.action == expected.action
                            && $0.caller == expected.caller && $0.outcome == .leaked
                    }
                    #expect(found, "\(planted.name): \(expected)")
                }
            }
        }
    }

    @Test func anInterruptedOrAbandonedProbeLeavesNothing() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let rows = "select (select count(*) from public.notes) + (select count(*) from public.tasks)"
            for channel in ["rest", "storage", "vectors", "console"] {
                let seen = Mutex<ProbeProgress?>(nil)
                let progress = ProbeProgress { current, _, _ in
                    if current == channel { seen.withLock { $0?.stop() } }
                }
                seen.withLock { $0 = progress }
                await #expect(throws: ProbeInterrupted.self) { _ = try await server.probe(progress: progress) }
                seen.withLock { $0 = nil }
                #expect(try await server.traces() == before, "interrupted at \(channel)")
                #expect(try await server.exec(rows) == "0")
            }
            // What a killed one has left: an account by its address, a row, an object.
            try await server.exec(
                """
                insert into auth.users (id, aud, role, email, created_at)
                values ('11111111-1111-4111-8111-111111111111', 'authenticated', 'authenticated',
                    'probe-a-1@probe.invalid', now() - interval '1 hour')
                """,
                """
                insert into public.notes (user_id, title)
                values ('11111111-1111-4111-8111-111111111111', 'probe-111111111111')
                """)
            _ = try await server.probe()
            #expect(try await server.traces() == before)
            #expect(try await server.exec(rows) == "0")
        }
    }

    /// The command itself, ended from outside at different places.
    @Test func aSignalEndsTheCommandWithoutTraces() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            for (signal, part) in [(SIGINT, "rest"), (SIGTERM, "storage"), (SIGHUP, "vectors")] {
                let check = try await server.begin(["isolation", "check"], until: part)
                check.process.signal(signal)
                let status = try await onThread { check.process.wait(timeout: .seconds(60)) }
                #expect(status == .exited(130), "\(check.output)")
                #expect(check.output.contains("taken away"))
                #expect(try await server.traces() == before, "signal \(signal) at \(part)")
            }
        }
    }

    @Test func whatAKilledCommandHasLeftIsTakenAway() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            for repair in [["isolation", "clean"], ["isolation", "check"]] {
                let check = try await server.begin(["isolation", "check"], until: "tenancy")
                check.process.signal(SIGKILL)
                _ = try await onThread { check.process.wait(timeout: .seconds(60)) }
                #expect(try await server.traces() != before)
                // However young the accounts: the lock of the killed one is free.
                _ = try await server.atoll.command(repair)
                #expect(try await server.traces() == before, "\(repair)")
            }
        }
    }

    @Test func aCrashOfTheServerIsSurvived() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let check = try await server.begin(["isolation", "check"], until: "vectors")
            await server.atoll.kill()
            let status = try await onThread { check.process.wait(timeout: .seconds(120)) }
            #expect(status == .exited(1), "\(check.output)")
            #expect(check.output.contains("error:"))
            try await server.atoll.start()
            _ = try await server.atoll.command(["isolation", "clean"])
            #expect(try await server.traces() == before)
        }
    }

    @Test func twoChecksLeaveEachOtherAlone() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let before = try await server.traces()
            let first = try await server.begin(["isolation", "check"], until: "tenancy")
            await #expect(throws: AtollProcessError.self) {
                _ = try await server.atoll.command(["isolation", "clean"])
            }
            _ = try await server.atoll.command(["isolation", "check"])
            let status = try await onThread { first.process.wait(timeout: .seconds(60)) }
            #expect(status == .exited(0), "\(first.output)")
            #expect(try await server.traces() == before)
        }
    }

    @Test func functionsThatWriteAreCalledOverHTTPOnlyWhenAskedFor() async throws {
        let files = AtollProcess.ProjectFiles(
            migrations: [
                "20260101000000_sound.sql": PlantedLeak.base,
                "20260102000000_rename.sql": """
                create table public.calls (at timestamptz default now());
                alter table public.calls enable row level security;
                alter table public.notes no force row level security;
                create function public.rename(p_user uuid) returns void language sql security definer set search_path = '' as $$
                    insert into public.calls default values;
                    update public.notes set title = 'x' where user_id = p_user
                $$;
                """,
            ])
        try await ProbedServer.with(files) { server in
            let (sql, http) = try await server.probe()
            let function = "public.rename(p_user uuid)"
            #expect(sql.contains { $0.object == function && $0.outcome == .leaked })
            // It says so instead of passing for held.
            #expect(
                http.crossings.contains { crossing in
                    guard case .untried(let reason) = crossing.outcome else { return false }
                    return crossing.channel == "rpc" && crossing.object == function
                        && reason.contains("--all-functions")
                })
            #expect(try await server.exec("select count(*) from public.calls") == "0")
            let (_, all) = try await server.probe(callsAllFunctions: true)
            #expect(all.crossings.contains { $0.channel == "rpc" && $0.object == function && $0.outcome == .leaked })
        }
    }

    @Test func theCommandPrintsEveryFormatAndFailsOnLeaks() async throws {
        let files = AtollProcess.ProjectFiles(migrations: ["20260101000000_sound.sql": PlantedLeak.base])
        try await ProbedServer.with(files) { server in
            let table = try await server.atoll.command(["isolation", "check"])
            for channel in ["sql", "rest", "rpc", "token", "storage", "vectors", "auth", "tenancy", "console"] {
                #expect(table.split(separator: "\n").contains { $0.hasPrefix("\(channel) ") }, "\(channel)")
            }
            let offline = try await server.atoll.command(["isolation", "check", "--offline"])
            #expect(!offline.contains("\nconsole"))
            #expect(offline.contains("nothing was tried over HTTP"))
            try await server.exec("create policy open on public.notes for select to authenticated using (true)")
            for format in ["json", "junit", "sarif"] {
                do {
                    _ = try await server.atoll.command(["isolation", "check", "--format", format])
                    Issue.record("the check passes a leak")
                } catch {
                    let text = "\(error)"
                    #expect(text.contains("public.notes"))
                    #expect(!text.contains("eyJ"))
                    switch format {
                    case "junit": Self.expectJUnit(text)
                    case "sarif": try Self.expectSARIF(JSON(parsing: Self.document(text)))
                    default:
                        let report = try JSON(parsing: Self.document(text))
                        #expect(report["crossings"]?.arrayValue?.isEmpty == false)
                        #expect(report["seconds"]?["rest"] != nil)
                        #expect(report["summary"]?["untried"]?.intValue == 0)
                    }
                }
            }
            let advisors = try await server.atoll.command(["db", "advisors", "-o", "json"])
            #expect(try JSON(parsing: advisors.trimmedEnd).arrayValue?.isEmpty == false)
            await #expect(throws: AtollProcessError.self) {
                _ = try await server.atoll.command(["db", "advisors", "--fail-on", "warn"])
            }
        }
    }

    /// From the first brace to the last.
    private static func document(_ text: String) -> String {
        guard let start = text.firstIndex(of: "{"), let end = text.lastIndex(of: "}"), start < end else { return "" }
        return String(text[start...end])
    }

    /// What CI systems rely on: counts that are right, names that are told apart, one failure a test.
    private static func expectJUnit(_ text: String) {
        let lines = text.split(separator: "\n")
        #expect(lines.contains { $0.contains("<testsuite name=\"rest\"") })
        let tests = lines.filter { $0.contains("<testcase ") }
        func attribute(_ name: String, of line: Substring) -> String? {
            line.firstRange(of: " \(name)=\"").map { String(line[$0.upperBound...].prefix { $0 != "\"" }) }
        }
        let names = tests.map { "\(attribute("classname", of: $0) ?? "") \(attribute("name", of: $0) ?? "")" }
        #expect(Set(names).count == names.count)
        let root = lines.first { $0.contains("<testsuites ") } ?? ""
        #expect(attribute("tests", of: root) == "\(tests.count)")
        let failures = lines.count { $0.contains("<failure ") }
        #expect(failures > 0)
        #expect(attribute("failures", of: root) == "\(failures)")
        #expect(attribute("errors", of: root) == "0")
        let suites = lines.filter { $0.contains("<testsuite ") }
        let sum = suites.compactMap { attribute("tests", of: $0).flatMap { Int($0) } }.reduce(0, +)
        #expect(sum == tests.count)
    }

    /// The required parts of SARIF 2.1.0, and those without which code scanning shows nothing.
    private static func expectSARIF(_ log: JSON) throws {
        #expect(log["version"]?.stringValue == "2.1.0")
        let run = try #require(log["runs"]?.arrayValue?.first)
        let driver = try #require(run["tool"]?["driver"])
        #expect(driver["name"]?.stringValue?.isEmpty == false)
        let rules = (driver["rules"]?.arrayValue ?? []).compactMap { $0["id"]?.stringValue }
        #expect(Set(rules).count == rules.count)
        #expect(run["invocations"]?.arrayValue?.first?["executionSuccessful"]?.boolValue == true)
        let results = run["results"]?.arrayValue ?? []
        #expect(!results.isEmpty)
        var fingerprints: Set<String> = []
        for result in results {
            let rule = result["ruleId"]?.stringValue ?? ""
            #expect(rules.indices.contains(result["ruleIndex"]?.intValue ?? -1))
            #expect(rules[result["ruleIndex"]?.intValue ?? 0] == rule)
            #expect(["error", "warning", "note", "none"].contains(result["level"]?.stringValue ?? ""))
            #expect(result["message"]?["text"]?.stringValue?.isEmpty == false)
            let place = result["locations"]?.arrayValue?.first?["physicalLocation"]
            let file = place?["artifactLocation"]?["uri"]?.stringValue ?? ""
            #expect(file.hasPrefix("supabase/") && !file.contains(" "))
            #expect((place?["region"]?["startLine"]?.intValue ?? 0) >= 1)
            let print = "\(rule) \(result["partialFingerprints"]?["object/v1"]?.stringValue ?? "")"
            #expect(fingerprints.insert(print).inserted, "\(print)")
        }
        let crossing = results.first { $0["ruleId"]?.stringValue == "crossing" }
        let place = crossing?["locations"]?.arrayValue?.first?["physicalLocation"]
        #expect(place?["artifactLocation"]?["uri"]?.stringValue == "supabase/migrations/20260101000000_sound.sql")
    }

    @Test func aFindingIsShownWhereItsObjectIsMade() {
        let sources = SchemaSources([
            ("supabase/migrations/1.sql", "create table public.notes (id int);\n-- notes\nselect 1;"),
            ("supabase/migrations/2.sql", "create policy p on public.notes;\ninsert into notes values (1);"),
            ("supabase/migrations/3.sql", "insert into tags values (1);"),
        ])
        #expect(sources.place(of: "public.notes") == .init(file: "supabase/migrations/2.sql", line: 1))
        #expect(sources.place(of: "notes (notes_key)") == .init(file: "supabase/migrations/2.sql", line: 1))
        #expect(sources.place(of: "public.tags") == .init(file: "supabase/migrations/3.sql", line: 1))
        #expect(sources.place(of: "public.elsewhere") == .init(file: "supabase/migrations/3.sql", line: 1))
        #expect(SchemaSources().place(of: "x") == .init(file: "supabase/config.toml", line: 1))
    }
}

extension String {
    fileprivate var trimmedEnd: String { String(reversed().drop { $0.isWhitespace }.reversed()) }
}
