// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
internal import Postgres

/// The lock that one probe at a time can have: whoever has it knows that what other probes have left is abandoned.
///
/// PostgreSQL gives it up with the connection, so a probe that is killed holds nothing.
enum ProbeLock {
    /// Runs `body` while the lock is held, or while somebody else has it.
    ///
    /// - Parameter body: is told whether the lock was free; where it was not, another probe runs.
    static func held<T>(_ database: Database, on loop: Loop, _ body: (Bool) async throws -> T) async throws -> T {
        let (taken, answer) = AsyncStream<Bool>.makeStream()
        let (ended, end) = AsyncStream<Void>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            // A transaction of a task of its own, as the probe's task uses the database for other things.
            group.addTask(executorPreference: loop) {
                defer { answer.finish() }
                try await database.withTransaction { transaction in
                    let results = try await transaction.run([
                        "set local idle_in_transaction_session_timeout = 0",
                        "select pg_try_advisory_xact_lock(hashtextextended('atoll.isolation.check', 0)) as taken",
                    ])
                    answer.yield(results.last?.onlyRow?["taken"].bool ?? false)
                    for await _ in ended {}
                }
            }
            var answers = taken.makeAsyncIterator()
            guard let isFree = await answers.next() else {
                try await group.waitForAll()
                throw ProbeError(description: "the lock of the check could not be asked for")
            }
            let result: Result<T, any Error>
            do { result = .success(try await body(isFree)) } catch { result = .failure(error) }
            end.finish()
            // The lock is gone with a database that is; what the probe came to matters more.
            do { try await group.waitForAll() } catch { if case .success = result { throw error } }
            return try result.get()
        }
    }
}
