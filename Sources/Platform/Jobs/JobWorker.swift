// SPDX-License-Identifier: Apache-2.0
package import EventLoop
package import Postgres
package import Primitives

/// Does the jobs of one queue on one loop; several workers, also of several processes, share a queue.
package struct JobWorker: Sendable {
    private let queue: JobQueue
    private let database: Database
    private let loop: Loop
    private let log: Log
    private let done: Counter
    private let failed: Counter
    private let dead: Counter
    private let handle: @Sendable (Job) async -> JobOutcome

    /// The channel the table's trigger notifies; the payload is the queue's name.
    private static let channel = "atoll_jobs"
    /// Between two looks for dead jobs that have been kept long enough.
    private static let purgeInterval: Duration = .seconds(3600)

    /// - Parameters:
    ///   - database: logs in as the role that adds the jobs.
    ///   - handle: makes one attempt, within the queue's lease.
    package init(
        _ queue: JobQueue, database: Database, loop: Loop, log: Log, metrics: Metrics,
        handle: @escaping @Sendable (Job) async -> JobOutcome
    ) {
        self.queue = queue
        self.database = database
        self.loop = loop
        self.log = log.with(.field("queue", queue.name))
        self.handle = handle
        let labels: Metrics.Labels = ["queue": queue.name]
        done = metrics.counter("atoll_jobs_done_total", "Jobs done.", labels)
        failed = metrics.counter("atoll_jobs_failed_total", "Attempts at a job that failed.", labels)
        dead = metrics.counter("atoll_jobs_dead_total", "Jobs given up.", labels)
    }

    /// Works until its task is cancelled.
    package func run() async {
        let bell = Bell(loop: loop)
        await withDiscardingTaskGroup { group in
            group.addTask(executorPreference: loop) {
                // A gap is a reason to look as well.
                for await notification in database.notifications(on: Self.channel) {
                    if case .message(let name, _) = notification, name != queue.name { continue }
                    bell.ring()
                }
            }
            group.addTask(executorPreference: loop) { await work(bell) }
        }
    }

    private func work(_ bell: Bell) async {
        var nextPurge = ContinuousClock.now
        var databaseErrors = 0
        while !Task.isCancelled {
            do {
                if ContinuousClock.now >= nextPurge {
                    try await database.query(purge)
                    nextPurge = ContinuousClock.now + Self.purgeInterval
                }
                let claimed = try await claim()
                if claimed.isEmpty {
                    await bell.wait(atMost: try await pause())
                } else {
                    await attempt(claimed)
                }
                databaseErrors = 0
            } catch {
                // The database is away: it comes back, and the jobs are still there.
                databaseErrors += 1
                if !Task.isCancelled { log.warning("cannot look for jobs", .field("cause", String(describing: error))) }
                await bell.wait(atMost: min(.milliseconds(100) * (1 << min(databaseErrors, 8)), queue.pollInterval))
            }
        }
    }

    private struct Claimed: Sendable {
        let job: Job
        let isExpired: Bool
    }

    /// Takes what is due, so that nobody else does during the lease. The attempt is counted now: a job that takes the process
    /// down with it ends as well.
    private func claim() async throws -> [Claimed] {
        let result = try await database.query(
            """
            update jobs.jobs as j
            set attempts = j.attempts + 1, locked_until = now() + \(queue.lease.seconds) * interval '1 second',
                updated_at = now()
            where j.id in (
                select d.id
                from jobs.jobs as d
                where d.queue = \(queue.name) and d.state = 'waiting' and d.run_at <= now()
                    and (d.locked_until is null or d.locked_until <= now())
                order by d.run_at
                limit \(queue.concurrency)
                for update skip locked
            )
            returning j.id, j.payload, j.summary, j.attempts, coalesce(j.expires_at <= now(), false) as is_expired
            """)
        return result.rows.compactMap { row in
            guard let id = row["id"].uuid, let payload = row["payload"].string, let attempts = row["attempts"].int
            else {
                return nil
            }
            let job = Job(id: id, payload: payload, summary: row["summary"].json ?? [:], attempt: attempts)
            return Claimed(job: job, isExpired: row["is_expired"].bool ?? false)
        }
    }

    /// How long nothing is due.
    private func pause() async throws -> Duration {
        let result = try await database.query(
            """
            select ceil(
                extract(epoch from min(greatest(run_at, coalesce(locked_until, run_at))) - clock_timestamp()) * 1000
            )::bigint as milliseconds
            from jobs.jobs
            where queue = \(queue.name) and state = 'waiting'
            """)
        guard let milliseconds = result.onlyRow?["milliseconds"].int else { return queue.pollInterval }
        return min(max(.milliseconds(milliseconds), .milliseconds(1)), queue.pollInterval)
    }

    private func attempt(_ claimed: [Claimed]) async {
        await withDiscardingTaskGroup { group in
            for each in claimed {
                group.addTask(executorPreference: loop) {
                    let outcome: JobOutcome
                    if each.isExpired {
                        outcome = .hopeless("expired before it could be done")
                    } else if each.job.attempt > queue.maxAttempts {
                        outcome = .hopeless("its last attempt never ended")
                    } else {
                        outcome = await handle(each.job)
                    }
                    await settle(each.job, outcome)
                }
            }
        }
    }

    private func settle(_ job: Job, _ outcome: JobOutcome) async {
        do {
            switch outcome {
            case .done:
                done.increment()
                try await database.query("delete from jobs.jobs where id = \(job.id)")
            case .failed(let reason) where job.attempt < queue.maxAttempts:
                failed.increment()
                log.warning(
                    "job failed", .field("job", job.id), .field("attempt", job.attempt), .field("cause", reason))
                try await database.query(
                    """
                    update jobs.jobs
                    set run_at = now() + \(queue.delay(afterAttempt: job.attempt).seconds) * interval '1 second',
                        locked_until = null, last_error = left(\(reason), 2000), updated_at = now()
                    where id = \(job.id)
                    """)
            case .failed(let reason), .hopeless(let reason):
                failed.increment()
                dead.increment()
                log.error(
                    "job given up", .field("job", job.id), .field("attempt", job.attempt), .field("cause", reason))
                try await database.query(
                    """
                    update jobs.jobs
                    set state = 'dead', locked_until = null, last_error = left(\(reason), 2000), updated_at = now()
                    where id = \(job.id)
                    """)
            }
        } catch {
            // It is taken again after the lease.
            log.warning("cannot settle a job", .field("job", job.id), .field("cause", String(describing: error)))
        }
    }

    private var purge: PostgresQuery {
        """
        delete from jobs.jobs
        where queue = \(queue.name) and state = 'dead'
            and updated_at < now() - \(queue.deadRetention.seconds) * interval '1 second'
        """
    }
}
