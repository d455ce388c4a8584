// SPDX-License-Identifier: Apache-2.0

extension PostgresError {
    /// What an error means to whoever has to answer a client: one classification for every service, whose wire codes differ.
    package enum Condition: Sendable, Hashable, CaseIterable {
        /// There is no connection, or PostgreSQL is going down or coming up. Passes.
        case unreachable
        /// As much work waits, or as many are connected, as may. Passes.
        case overloaded
        /// A statement took longer than it may, or somebody ended it.
        case timedOut
        /// A lock was not had in time. Passes.
        case lockTimeout
        /// Two transactions collided, and this one was taken back whole: the same again may succeed.
        case collision
        /// The database takes no writes for now.
        case readOnly
        /// A privilege is missing, or row level security refuses the row.
        case forbidden
        /// The key is taken.
        case duplicate
        /// Another row is needed that is not there, or needs this one.
        case referenced
        /// A check, or a column that may not be null, refuses the value.
        case checkViolated
        /// A character, text or document that PostgreSQL cannot store.
        case unstorable
        /// A number beyond its type.
        case outOfRange
        /// A value, a key or a statement larger than PostgreSQL takes.
        case tooLarge
        /// A table, column or function is not there: the schema is not the one that was expected.
        case schemaMismatch
        /// An earlier failure had ended the transaction.
        case aborted
        /// Anything else: a fault of the program or of its surroundings, for the log.
        case other
    }

    package var condition: Condition {
        switch code {
        case .poolTimeout, .connectionFailed, .connectionLost, .shutdown: .unreachable
        case .poolQueueFull: .overloaded
        case .invalidQuery: .unstorable
        case .queryCancelled: .timedOut
        case .resultTooLarge: .tooLarge
        case .server, .misuse: Self.conditions[sqlState ?? ""] ?? .other
        }
    }

    /// Appendix A of PostgreSQL's manual.
    private static let conditions: [String: Condition] = [
        "08000": .unreachable, "08003": .unreachable, "08006": .unreachable, "57P01": .unreachable,
        "57P02": .unreachable, "57P03": .unreachable,
        "53300": .overloaded, "53400": .overloaded, "53200": .overloaded,
        "57014": .timedOut,
        "55P03": .lockTimeout,
        "40001": .collision, "40P01": .collision,
        "25006": .readOnly,
        "42501": .forbidden,
        "23505": .duplicate, "23P01": .duplicate,
        "23503": .referenced,
        "23502": .checkViolated, "23514": .checkViolated, "44000": .checkViolated,
        "22021": .unstorable, "22P02": .unstorable, "22P05": .unstorable, "22007": .unstorable, "22008": .unstorable,
        "22023": .unstorable, "22030": .unstorable, "22032": .unstorable,
        "22003": .outOfRange,
        "22001": .tooLarge, "54000": .tooLarge, "54001": .tooLarge,
        "42P01": .schemaMismatch, "42703": .schemaMismatch, "42883": .schemaMismatch, "3F000": .schemaMismatch,
        "25P02": .aborted,
    ]
}
