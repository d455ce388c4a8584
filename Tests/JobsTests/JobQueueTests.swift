// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Jobs
import PlatformTestSupport
import Postgres
import Primitives
import Synchronization
import TestSupport
import Testing

@Suite("Job queue")
struct JobQueueTests {
    /// What the handler of a test saw.
    final class Seen: Sendable {
        private let jobs = Mutex<[Job]>([])
        func add(_ job: Job) { jobs.withLock { $0.append(job) } }
        var all: [Job] { jobs.withLock { $0 } }
        func attempts(at id: UUID) -> Int { all.count { $0.id == id } }
    }

    static func quick(_ name: String = "tests") -> JobQueue {
        var queue = JobQueue(name)
        queue.firstDelay = .milliseconds(20)
        queue.maxDelay = .milliseconds(50)
        queue.lease = .milliseconds(500)
        queue.maxAttempts = 3
        return queue
    }

    /// Runs workers beside `body` until it returns.
    private static func run(
        workers: Int = 1, _ queue: JobQueue = quick(), handle: @escaping @Sendable (Job) async -> JobOutcome,
        _ body: @escaping @Sendable (TestProject, Database) async throws -> Void
    ) async throws {
        try await TestProject.run { project in
            try await Loop.withLoop { loop in
                let address = project.login("supabase_auth_admin").address
                let database = try Database(DatabaseConfiguration(address: address), loops: [loop], log: .disabled)
                let result: Result<Void, any Error> = await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<workers {
                        let worker = JobWorker(
                            queue, database: database, loop: loop, log: .disabled, metrics: Metrics(), handle: handle)
                        group.addTask(executorPreference: loop) { await worker.run() }
                    }
                    let result: Result<Void, any Error>
                    do { result = .success(try await body(project, database)) } catch { result = .failure(error) }
                    group.cancelAll()
                    return result
                }
                await database.shutdown(grace: .seconds(1))
                try result.get()
            }
        }
    }

    private static func state(_ project: TestProject) async throws -> String {
        try await project.server.exec("select string_agg(state::text || ' ' || attempts, ',') from jobs.jobs")
    }

    // MARK: Refusals

    @Test func onlyServicesReachTheJobsAndOnlyTheirOwn() async throws {
        try await TestProject.run { project in
            for role in ["anon", "authenticated", "service_role"] {
                let answer = await project.request(role, "select * from jobs.jobs")
                #expect(answer.contains("permission denied"), "\(role): \(answer)")
            }
            let auth = project.login("supabase_auth_admin")
            try await auth.exec("insert into jobs.jobs (queue, payload) values ('tests', 'x')")
            try await project.server.exec(
                "set role atoll_tenancy; insert into jobs.jobs (queue, payload) values ('tests', 'y')")
            #expect(try await auth.exec("select string_agg(payload, '') from jobs.jobs") == "x")
            let forged = await auth.attempt(
                "insert into jobs.jobs (queue, payload, owner) values ('tests', 'z', 'atoll_tenancy')")
            #expect(forged.contains("row-level security"), "\(forged)")
            #expect(try await project.login("postgres").exec("select count(*) from jobs.dead_jobs") == "0")
        }
    }

    @Test func aJobOfATransactionThatFailsIsNeverSeen() async throws {
        let seen = Seen()
        try await Self.run(handle: {
            seen.add($0)
            return .done
        }) { project, database in
            let lost = UUID.random()
            let kept = UUID.random()
            let queue = Self.quick()
            await #expect(throws: PostgresError.self) {
                _ = try await database.run(
                    WorkUnit(queries: [queue.insertion(id: lost, payload: "lost", summary: [:]), "select 1 / 0"]))
            }
            try await database.query(queue.insertion(id: kept, payload: "kept", summary: [:]))
            try await eventually("the other is done") { seen.attempts(at: kept) == 1 }
            #expect(seen.attempts(at: lost) == 0)
        }
    }

    // MARK: What happens to a job

    @Test func aJobIsDoneAndGone() async throws {
        let seen = Seen()
        try await Self.run(handle: {
            seen.add($0)
            return .done
        }) { project, database in
            let id = UUID.random()
            let start = ContinuousClock.now
            try await database.query(Self.quick().insertion(id: id, payload: "p", summary: ["to": "b"]))
            try await eventually("it is done") { seen.attempts(at: id) == 1 }
            // A notification wakes the worker, whose own look is half a minute away.
            #expect(ContinuousClock.now - start < .seconds(20))
            #expect(seen.all.first?.payload == "p" && seen.all.first?.summary["to"] == "b")
            try await eventually("it is gone") {
                try await project.server.exec("select count(*) from jobs.jobs") == "0"
            }
        }
    }

    @Test func aJobIsTriedAgainUntilItIsDead() async throws {
        let seen = Seen()
        try await Self.run(handle: {
            seen.add($0)
            return .failed("no luck")
        }) { project, database in
            let id = UUID.random()
            try await database.query(Self.quick().insertion(id: id, payload: "p", summary: ["to": "b"]))
            try await eventually("it is dead") { try await Self.state(project) == "dead 3" }
            #expect(seen.all.map(\.attempt) == [1, 2, 3])
            let dead = try await project.login("postgres").exec(
                "select summary ->> 'to' || ': ' || last_error from jobs.dead_jobs")
            #expect(dead == "b: no luck")
        }
    }

    @Test func aHopelessOrExpiredJobIsDeadAtOnce() async throws {
        let seen = Seen()
        try await Self.run(handle: {
            seen.add($0)
            return .hopeless("never")
        }) { project, database in
            try await database.query(Self.quick().insertion(id: .random(), payload: "p", summary: [:]))
            try await eventually("it is dead") { try await Self.state(project) == "dead 1" }
            try await database.query(
                Self.quick().insertion(id: .random(), payload: "q", summary: [:], lifetime: .seconds(-1)))
            try await eventually("both are dead") { try await Self.state(project) == "dead 1,dead 1" }
            #expect(seen.all.map(\.payload) == ["p"])
        }
    }

    @Test func aJobWhoseWorkerDiedIsTakenAfterItsLease() async throws {
        let seen = Seen()
        try await Self.run(handle: {
            seen.add($0)
            return .done
        }) { project, database in
            let id = UUID.random()
            // As a worker leaves it that was killed in the middle.
            try await project.login("supabase_auth_admin").exec(
                """
                insert into jobs.jobs (id, queue, payload, attempts, locked_until)
                values ('\(id)', 'tests', 'p', 1, clock_timestamp() + interval '300 milliseconds')
                """)
            try await eventually("it is done") { seen.attempts(at: id) == 1 }
            #expect(seen.all.first?.attempt == 2)
        }
    }

    @Test func manyWorkersDoEachJobOnce() async throws {
        let seen = Seen()
        try await Self.run(
            workers: 4,
            handle: {
                seen.add($0)
                return .done
            }
        ) { project, database in
            let queue = Self.quick()
            let ids = (0..<200).map { _ in UUID.random() }
            _ = try await database.run(
                WorkUnit(queries: ids.map { queue.insertion(id: $0, payload: "p", summary: [:]) }))
            try await eventually("all are done") {
                try await project.server.exec("select count(*) from jobs.jobs") == "0"
            }
            #expect(seen.all.count == 200 && Set(seen.all.map(\.id)) == Set(ids))
        }
    }

    @Test func thePausesDoubleUpToABound() {
        let queue = JobQueue("tests")
        #expect(
            (1...4).map { queue.delay(afterAttempt: $0) } == [
                .seconds(5), .seconds(10), .seconds(20), .seconds(40),
            ])
        #expect(queue.delay(afterAttempt: 100) == .seconds(3600))
    }
}
