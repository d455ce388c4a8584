// SPDX-License-Identifier: Apache-2.0
package import Postgres
package import Primitives

/// A durable queue in the table `jobs.jobs`: a service adds to it in the transaction that needs the work done, and a
/// ``JobWorker`` does it afterwards, at least once.
package struct JobQueue: Sendable {
    /// Lower-case letters, digits and `_`, at most 63.
    package let name: String
    /// Attempts before a job is dead.
    package var maxAttempts = 12
    /// The pause after the first failure; it doubles each time.
    package var firstDelay: Duration = .seconds(5)
    /// The longest such pause.
    package var maxDelay: Duration = .seconds(3600)
    /// How long one attempt may take. A job whose worker has died is taken by another after that time.
    package var lease: Duration = .seconds(120)
    /// Jobs of one worker under way at a time.
    package var concurrency = 4
    /// The longest a worker sleeps without looking, should a notification be lost.
    package var pollInterval: Duration = .seconds(30)
    /// How long dead jobs are kept.
    package var deadRetention: Duration = .seconds(14 * 86_400)

    package init(_ name: String) {
        self.name = name
    }

    /// The statement that adds a job; a part of the transaction that promises it.
    ///
    /// - Parameters:
    ///   - payload: what the handler gets; whatever is secret in it is sealed by the caller.
    ///   - summary: whom it concerns, in the clear.
    ///   - lifetime: how long doing it makes sense; nil for ever.
    package func insertion(id: UUID, payload: String, summary: JSON, lifetime: Duration? = nil) -> PostgresQuery {
        """
        insert into jobs.jobs (id, queue, payload, summary, expires_at)
        values (\(id), \(name), \(payload), \(summary)::jsonb, now() + \(lifetime.map(\.seconds)) * interval '1 second')
        """
    }

    /// The pause after a failed attempt.
    ///
    /// - Parameter attempt: from 1.
    package func delay(afterAttempt attempt: Int) -> Duration {
        let doublings = min(max(attempt - 1, 0), 30)
        return min(firstDelay * (1 << doublings), maxDelay)
    }
}

/// A job in the hands of a worker.
package struct Job: Sendable {
    /// The same in every attempt.
    package let id: UUID
    package let payload: String
    package let summary: JSON
    /// From 1.
    package let attempt: Int
}

/// What came of an attempt.
package enum JobOutcome: Sendable {
    case done
    /// It may work later. The text is kept with the job and holds no secret.
    case failed(String)
    /// It will never work.
    case hopeless(String)
}

extension Duration {
    /// As a number of seconds, for PostgreSQL's intervals.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
