// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import Primitives

/// What a database counts; the owner of the process's metrics hands them in.
package struct DatabaseCounters: Sendable {
    /// Units of work and leased operations that ended.
    let operations: Counter
    let errors: Counter
    /// Units that ran on a shared connection.
    let sharedOperations: Counter
    /// Statements executed that the connection had prepared, and those it had not.
    let statementHits: Counter
    let statementMisses: Counter
    /// Requests that had to wait for a connection.
    let waits: Counter
    /// Requests refused because of the wait queue's bound or timeout.
    let refusals: Counter
    let connectionsOpened: Counter
    let connectionsLost: Counter
    let connectFailures: Counter
    let retries: Counter
    let cancels: Counter

    /// - Parameter database: the label that tells the databases of a process apart.
    package init(_ metrics: Metrics, database: String) {
        func counter(_ name: String, _ help: String) -> Counter {
            metrics.counter("atoll_postgres_\(name)_total", help, ["database": database])
        }
        operations = counter("operations", "Round trips to PostgreSQL that ended.")
        errors = counter("errors", "Round trips that ended in an error.")
        sharedOperations = counter("shared_operations", "Units that ran on a connection shared with others under way.")
        statementHits = counter("statement_hits", "Statements run that the connection had prepared before.")
        statementMisses = counter("statement_misses", "Statements parsed when they ran.")
        waits = counter("waits", "Requests that waited for a connection.")
        refusals = counter("refusals", "Requests refused because too many waited or waited too long.")
        connectionsOpened = counter("connections_opened", "Connections made.")
        connectionsLost = counter("connections_lost", "Connections that broke.")
        connectFailures = counter("connect_failures", "Failed attempts to connect.")
        retries = counter("retries", "Units run again after a stale prepared statement or a server shutdown.")
        cancels = counter("cancels", "Cancel requests sent.")
    }
}

/// What the connections of a database share.
struct DatabaseServices: Sendable {
    let log: Log
    let counters: DatabaseCounters
    /// For what blocks: looking up names and sending cancel requests.
    let workers: WorkerPool
}
