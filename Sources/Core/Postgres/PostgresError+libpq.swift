// SPDX-License-Identifier: Apache-2.0
internal import CPostgres

extension PostgresError {
    /// The error in a failed result: the server's, or libpq's own when there is no SQLSTATE.
    init(result: OpaquePointer) {
        func field(_ code: Int32) -> String? { PQresultErrorField(result, code).map { String(cString: $0) } }
        guard let sqlState = field(PostgresDiagnostic.sqlState) else {
            let message = PQresultErrorMessage(result).map { String(cString: $0).trimmingLineEnds } ?? ""
            self.init(.connectionLost, message.isEmpty ? "the connection was closed" : message)
            return
        }
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
    static let severity = Int32(UInt8(ascii: "V"))
    static let sqlState = Int32(UInt8(ascii: "C"))
    static let message = Int32(UInt8(ascii: "M"))
    static let detail = Int32(UInt8(ascii: "D"))
    static let hint = Int32(UInt8(ascii: "H"))
    static let position = Int32(UInt8(ascii: "P"))
    static let context = Int32(UInt8(ascii: "W"))
    static let schema = Int32(UInt8(ascii: "s"))
    static let table = Int32(UInt8(ascii: "t"))
    static let column = Int32(UInt8(ascii: "c"))
    static let dataType = Int32(UInt8(ascii: "d"))
    static let constraint = Int32(UInt8(ascii: "n"))
}
