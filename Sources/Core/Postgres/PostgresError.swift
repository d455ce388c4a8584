// SPDX-License-Identifier: Apache-2.0

/// Everything that can go wrong between this program and PostgreSQL.
///
/// A server's error keeps its SQLSTATE and fields, which is what callers switch on; messages are for people.
package struct PostgresError: Error, Sendable {
    /// What went wrong.
    package enum Code: String, Sendable, CaseIterable {
        /// PostgreSQL refused or failed a statement; ``PostgresError/sqlState`` says why. Everything was rolled back.
        case server
        /// The connection broke while work was under way; see ``PostgresError/isOutcomeUnknown``.
        case connectionLost = "connection_lost"
        /// No connection could be made.
        case connectionFailed = "connection_failed"
        /// All connections were busy for as long as a caller may wait.
        case poolTimeout = "pool_timeout"
        /// As many callers wait for a connection as may.
        case poolQueueFull = "pool_queue_full"
        /// The calling task was cancelled; nothing was committed.
        case queryCancelled = "query_cancelled"
        /// The query, a parameter or a setting cannot be sent as it is: a fault of the program or its input.
        case invalidQuery = "invalid_query"
        /// The use of a database, transaction or COPY stream is against its rules: a fault of the program.
        case misuse
        /// The results are larger than the unit allows (``WorkUnit/maxResultBytes``).
        case resultTooLarge = "result_too_large"
        /// The database is shut down.
        case shutdown
    }

    /// What callers switch on.
    package var code: Code
    /// For people; a server's primary message where there is one.
    package var message: String
    /// Whether the work may have been committed all the same: the connection was lost after everything was sent and before
    /// PostgreSQL confirmed. False means it was certainly not committed.
    package var isOutcomeUnknown: Bool
    /// Which query of a unit failed, from 0; nil when it was none of them (role, settings, commit).
    package var queryIndex: Int?
    /// The server's fields, when PostgreSQL itself reported the error.
    package var server: ServerFields?

    package init(_ code: Code, _ message: String, isOutcomeUnknown: Bool = false, server: ServerFields? = nil) {
        self.code = code
        self.message = message
        self.isOutcomeUnknown = isOutcomeUnknown
        self.server = server
    }

    /// The fields of an ErrorResponse (section 55.8 of PostgreSQL's manual). A class, so that an error stays small.
    package final class ServerFields: Sendable {
        /// `ERROR`, `FATAL` or `PANIC`, never translated.
        package let severity: String
        package let sqlState: String
        package let message: String
        package let detail: String?
        package let hint: String?
        /// Where in the query the error lies, in characters from 1.
        package let position: Int?
        package let context: String?
        package let schema: String?
        package let table: String?
        package let column: String?
        package let dataType: String?
        package let constraint: String?

        package init(
            severity: String, sqlState: String, message: String, detail: String? = nil, hint: String? = nil,
            position: Int? = nil, context: String? = nil, schema: String? = nil, table: String? = nil,
            column: String? = nil, dataType: String? = nil, constraint: String? = nil
        ) {
            self.severity = severity
            self.sqlState = sqlState
            self.message = message
            self.detail = detail
            self.hint = hint
            self.position = position
            self.context = context
            self.schema = schema
            self.table = table
            self.column = column
            self.dataType = dataType
            self.constraint = constraint
        }
    }

    /// The five characters of the SQLSTATE.
    package var sqlState: String? { server?.sqlState }
    package var severity: String? { server?.severity }
    package var detail: String? { server?.detail }
    package var hint: String? { server?.hint }
    package var position: Int? { server?.position }
    package var context: String? { server?.context }
    package var schema: String? { server?.schema }
    package var table: String? { server?.table }
    package var column: String? { server?.column }
    package var dataType: String? { server?.dataType }
    package var constraint: String? { server?.constraint }

    /// Whether the session is over: PostgreSQL sent FATAL or PANIC.
    var isFatal: Bool { severity == "FATAL" || severity == "PANIC" }
}

extension PostgresError: CustomStringConvertible {
    /// Code, SQLSTATE and message, without detail: details quote rows, which do not belong in a log.
    package var description: String {
        let state = sqlState.map { " \($0)" } ?? ""
        return "\(code.rawValue)\(state): \(message)"
    }
}
