// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Postgres

@Suite struct PostgresErrorConditionTests {
    @Test(arguments: [
        ("42501", PostgresError.Condition.forbidden), ("23505", .duplicate), ("23503", .referenced),
        ("23514", .checkViolated), ("22021", .unstorable), ("22P05", .unstorable), ("22003", .outOfRange),
        ("54000", .tooLarge), ("40001", .collision), ("40P01", .collision), ("55P03", .lockTimeout),
        ("57014", .timedOut), ("57P01", .unreachable), ("53300", .overloaded), ("25006", .readOnly),
        ("42P01", .schemaMismatch), ("25P02", .aborted), ("P0001", .other), ("XX000", .other),
    ])
    func statesHaveOneMeaning(_ state: String, _ condition: PostgresError.Condition) {
        let error = PostgresError(.server, "", server: .init(severity: "ERROR", sqlState: state, message: ""))
        #expect(error.condition == condition)
    }

    @Test(arguments: [
        (PostgresError.Code.connectionLost, PostgresError.Condition.unreachable), (.connectionFailed, .unreachable),
        (.poolTimeout, .unreachable), (.shutdown, .unreachable), (.poolQueueFull, .overloaded),
        (.queryCancelled, .timedOut), (.resultTooLarge, .tooLarge), (.invalidQuery, .unstorable), (.misuse, .other),
        (.server, .other),
    ])
    func errorsOfThisProgramHaveOneToo(_ code: PostgresError.Code, _ condition: PostgresError.Condition) {
        #expect(PostgresError(code, "").condition == condition)
    }
}
