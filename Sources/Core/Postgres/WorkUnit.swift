// SPDX-License-Identifier: Apache-2.0

/// What one request does in the database: sent in one round trip, run in one transaction, all or nothing.
///
/// Role and settings hold for the unit alone (`set_config(..., true)`); the connection has none of them afterwards. The
/// queries are single statements and may not control transactions or the session.
package struct WorkUnit: Sendable {
    /// The role the queries run as; nil for the role that logged in.
    package var role: String?
    /// Settings by name, such as `request.jwt.claims`; set after the role, in order, at most ``maxSettings``; never the role
    /// itself.
    package var settings: [(name: String, value: String)]
    /// Settings that are set before the role, with the rights of the role that logged in; they count among the ``maxSettings``.
    package var loginSettings: [(name: String, value: String)] = []
    /// Whether PostgreSQL refuses every write (SQLSTATE 25006).
    package var readOnly: Bool
    /// The longest a single query may run, to the millisecond; nil for the connection's default, zero for no limit.
    package var statementTimeout: Duration?
    /// Whether it is expected to take a few milliseconds at most and so may be sent behind others' units on one connection. Heeded for
    /// units that only read; the database's isolation is the same either way. See ``DatabaseConfiguration/lanesPerLoop``.
    package var isBrief: Bool
    /// Whether a brief unit may be sent behind others. One that takes longer than the server needs to wake a session better has a shared
    /// connection that is free, or one of its own, while another processor may have nothing to do.
    package var waitsBehindOthers = true
    /// The most bytes that the rows of all its queries may have together; beyond it the unit fails with `resultTooLarge` and nothing of
    /// them is held. Heeded for units that only read; nil for no bound.
    package var maxResultBytes: Int?
    /// What runs, in order.
    package var queries: [PostgresQuery]

    /// How many settings a unit may carry.
    package static let maxSettings = 96

    package init(
        role: String? = nil, settings: [(name: String, value: String)] = [], readOnly: Bool = false,
        statementTimeout: Duration? = nil, isBrief: Bool = false, queries: [PostgresQuery] = []
    ) {
        self.role = role
        self.settings = settings
        self.readOnly = readOnly
        self.statementTimeout = statementTimeout
        self.isBrief = isBrief
        self.queries = queries
    }
}

/// How much a leased transaction sees of others' commits.
package enum TransactionIsolation: Sendable {
    /// Each query sees what was committed when it began.
    case readCommitted
    /// All queries see what was committed at the first; writes of others to the same rows fail with 40001.
    case repeatableRead
    /// As if transactions ran one after another; conflicts fail with 40001 and the caller tries again.
    case serializable

    var beginStatement: StaticString {
        switch self {
        case .readCommitted: "begin isolation level read committed"
        case .repeatableRead: "begin isolation level repeatable read"
        case .serializable: "begin isolation level serializable"
        }
    }
}
