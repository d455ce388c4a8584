// SPDX-License-Identifier: Apache-2.0
internal import Primitives

/// How a ``Database`` connects and what it allows itself.
package struct DatabaseConfiguration: Sendable {
    package var address: PostgresAddress
    /// Shown in `pg_stat_activity`.
    package var applicationName = "atoll"
    /// Settings every connection starts with and returns to between units, such as `search_path`.
    package var sessionSettings: [(name: String, value: String)] = []

    /// Connections of one loop, at most; they are opened as they are needed and then kept.
    package var connectionsPerLoop = 10
    /// Connections of one loop, beside the others, that short reads share: several are under way on each at once. Zero for none; they
    /// are opened as they are needed. Units say by ``WorkUnit/isBrief`` that they may run there.
    package var lanesPerLoop = 2
    /// Units under way on one such connection, at most; what is beyond runs on a connection of its own.
    package var laneDepth = 16
    /// When a unit on a shared connection is stopped and run again on one of its own, as it holds up those behind it.
    package var laneTimeout: Duration = .milliseconds(100)
    /// How many callers may wait for a connection of one loop; the next is refused with `poolQueueFull`.
    package var maxWaiting = 1000
    /// How long a caller waits for a connection before `poolTimeout`.
    package var waitTimeout: Duration = .seconds(5)
    /// How long making one connection may take, name look-up and TLS included.
    package var connectTimeout: Duration = .seconds(10)
    /// The pause after the first failed attempt to connect; it doubles up to ``maxReconnectDelay``, each time with up to
    /// half of it taken off at random, so that many loops and servers do not knock in step.
    package var minReconnectDelay: Duration = .milliseconds(100)
    package var maxReconnectDelay: Duration = .seconds(10)
    /// The longest a single query may run unless its unit says otherwise; zero for no limit, nil for what the server says.
    package var statementTimeout: Duration? = .seconds(30)
    /// How long a leased transaction may sit without a query before PostgreSQL ends it; nil for what the server says.
    package var idleTransactionTimeout: Duration? = .seconds(60)
    /// How long a cancelled query may take to end before its connection is closed instead.
    package var cancelTimeout: Duration = .seconds(5)
    /// How old a connection may become before it is closed, once it is free; nil for as old as it will.
    package var maxConnectionAge: Duration?
    /// How long a connection may be free before it is closed; nil for ever.
    package var maxConnectionIdleTime: Duration?
    /// Whether statements are prepared and kept; not behind a pooler that gives each transaction another session.
    package var preparesStatements = true
    /// Told, on a loop, of each connection that could not be made or was lost; must not block.
    package var onConnectionFailure: @Sendable (PostgresError) -> Void = { _ in }
    /// Prepared statements one connection keeps; the one unused for longest makes room.
    package var maxPreparedStatements = 256
    /// Statements longer than this are parsed each time, which bounds the memory of the cache on both sides.
    package var maxPreparedBytes = 16384
    /// Notifications a subscriber may be behind; beyond it they are dropped and the gap is told.
    package var maxBufferedNotifications = 1024

    package init(address: PostgresAddress) {
        self.address = address
    }
}
