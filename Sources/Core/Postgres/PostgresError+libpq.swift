// SPDX-License-Identifier: Apache-2.0
internal import CPostgres

extension PostgresError {
    /// The error in a failed result: the server's, or libpq's own when there is no SQLSTATE.
    init(result: OpaquePointer) {
        func field(_ code: UInt8) -> String? { PQresultErrorField(result, Int32(code)).map { String(cString: $0) } }
        if let error = PostgresError(field: field) {
            self = error
            return
        }
        let message = PQresultErrorMessage(result).map { String(cString: $0).trimmingLineEnds } ?? ""
        self.init(.connectionLost, message.isEmpty ? "the connection was closed" : message)
    }

    /// A server's error out of the fields of its ErrorResponse by their codes; nil without a SQLSTATE.
    init?(field: (UInt8) -> String?) {
        guard let sqlState = field(PostgresDiagnostic.sqlState) else { return nil }
        let message = field(PostgresDiagnostic.message) ?? ""
        self.init(
            .server, message,
            server: ServerFields(
                severity: field(PostgresDiagnostic.severity) ?? "ERROR", sqlState: sqlState, message: message,
                detail: field(PostgresDiagnostic.detail), hint: field(PostgresDiagnostic.hint),
                position: field(PostgresDiagnostic.position).flatMap { Int($0) },
                context: field(PostgresDiagnostic.context), schema: field(PostgresDiagnostic.schema),
                table: field(PostgresDiagnostic.table), column: field(PostgresDiagnostic.column),
                dataType: field(PostgresDiagnostic.dataType), constraint: field(PostgresDiagnostic.constraint)))
    }
}

/// The field codes of an ErrorResponse (section 55.8 of PostgreSQL's manual): character constants in C, which Swift does
/// not import.
private enum PostgresDiagnostic {
    static let severity = UInt8(ascii: "V")
    static let sqlState = UInt8(ascii: "C")
    static let message = UInt8(ascii: "M")
    static let detail = UInt8(ascii: "D")
    static let hint = UInt8(ascii: "H")
    static let position = UInt8(ascii: "P")
    static let context = UInt8(ascii: "W")
    static let schema = UInt8(ascii: "s")
    static let table = UInt8(ascii: "t")
    static let column = UInt8(ascii: "c")
    static let dataType = UInt8(ascii: "d")
    static let constraint = UInt8(ascii: "n")
}
