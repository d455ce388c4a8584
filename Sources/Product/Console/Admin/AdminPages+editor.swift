// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// The SQL editor: statements as the owner of the project's schema, read-only unless asked otherwise.
extension AdminPages {
    func registerEditor(on router: inout Router) {
        page(.get, "/admin/sql", on: &router) { visit, _ in editor(visit, .empty, nil) }
        page(.post, "/admin/sql", on: &router, maxBodyBytes: 1 << 20, runStatements)
    }

    /// What came of a run.
    private struct Grid: Sendable {
        let columns: [String]
        let rows: [[String?]]
        let isCut: Bool
        /// What PostgreSQL says it did, such as `UPDATE 3`.
        let tag: String
        let milliseconds: Int
    }

    private static let maxStatements = 50

    private func editor(
        _ visit: Visit, _ state: Form.State, _ grid: Grid?, writes: Bool = false, status: HTTPStatus = .ok
    ) -> HTTPResponse {
        visit.page(.sqlEditor, .admin(.sql), status: status) {
            Components.heading(
                .of(.sqlEditor),
                .of(.sqlText, "\(limits.statementTimeout.components.seconds)", "\(limits.maxRows)"))
            Markup(.form, .method("post"), .action("/admin/sql"), .class("card editor")) {
                Form.token(visit.formToken)
                Form.area("sql", .statements, rows: 10, maxLength: 500_000, state: state, hint: .of(.sqlHint))
                Form.checkbox("writes", .allowWrites, isOn: writes)
                Form.button(.run)
            }
            if let grid { results(grid) }
        }
    }

    private func results(_ grid: Grid) -> Markup {
        Components.section("results", .results) {
            Markup(.p, .class("hint"), .role("status")) {
                // Rows are fetched from a cursor, which is ours, not the operator's.
                if !grid.tag.hasPrefix("FETCH") {
                    Components.code(grid.tag)
                    Markup.data(" · ")
                }
                Markup.text(.rowCount, "\(grid.rows.count)")
                Markup.data(" · ")
                Markup.text(.tookMilliseconds, "\(grid.milliseconds)")
            }
            if grid.isCut { Components.notice(.of(.resultIsCut, "\(limits.maxRows)"), isGood: false) }
            if !grid.rows.isEmpty {
                Components.table(
                    .of(.results), grid.columns.map { .words($0) }, rows: grid.rows.map { $0.map { cell($0) } },
                    narrow: .scrolled)
            } else if !grid.columns.isEmpty {
                Components.empty(.table, .noRows)
            }
        }
    }

    private func runStatements(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let text = form.first("sql") ?? ""
        let writes = form.first("writes") == "on"
        let script = SQLScript(text)
        func refuse(_ problem: Phrase) -> HTTPResponse {
            editor(
                visit, Form.State(values: ["sql": text], errors: ["sql": problem]), nil, writes: writes,
                status: .unprocessableContent)
        }
        guard !script.statements.isEmpty else { return refuse(.of(.noStatement)) }
        guard script.statements.count <= Self.maxStatements else {
            return refuse(.of(.tooManyStatements, "\(Self.maxStatements)"))
        }
        if let first = script.statements.first(where: { $0.restriction != nil }) {
            return refuse(.of(.statementNotHere, "\(first.line)"))
        }
        if let first = script.statements.first(where: { Self.needsClient($0.text) }) {
            return refuse(.of(.statementNotInEditor, "\(first.line)"))
        }
        note("sql.run", who, visit, .field("statements", script.statements.count), .field("writes", writes))
        let start = ContinuousClock.now
        do {
            let (result, isCut) = try await run(script.statements.map(\.text), writes: writes)
            let took = (ContinuousClock.now - start).components
            let milliseconds = Int(took.seconds) * 1000 + Int(took.attoseconds / 1_000_000_000_000_000)
            return editor(
                visit, Form.State(values: ["sql": text]), grid(result, isCut: isCut, milliseconds), writes: writes)
        } catch let error as PostgresError {
            return refuse(.words(Self.described(error)))
        }
    }

    private static func described(_ error: PostgresError) -> String {
        [error.sqlState.map { "\($0): \(error.message)" } ?? error.message, error.detail, error.hint]
            .compactMap { $0 }.joined(separator: "\n")
    }

    private func grid(_ result: PostgresResult, isCut: Bool, _ milliseconds: Int) -> Grid {
        Grid(
            columns: result.columnNames,
            rows: (0..<min(result.rowCount, limits.maxRows)).map { row in
                (0..<result.columnCount).map { result.string(row, $0) }
            }, isCut: isCut, tag: result.commandTag, milliseconds: milliseconds)
    }

    /// Ends a transaction that was only to read: settings that a statement has left in the session go with it.
    private struct Undone: Error {
        let result: PostgresResult
        let isCut: Bool
    }

    /// Runs statements in one transaction and returns the last one's result.
    private func run(_ statements: [String], writes: Bool) async throws -> (PostgresResult, isCut: Bool) {
        let owner = administration.owner
        do {
            // What a statement has set for the session must not meet the next one.
            defer { if writes { owner.retireConnections() } }
            return try await owner.withTransaction(readOnly: !writes, statementTimeout: limits.statementTimeout) {
                transaction in
                for statement in statements.dropLast() { try await transaction.query(Self.query(statement)) }
                let (result, isCut) = try await last(statements.last ?? "", transaction)
                guard writes else { throw Undone(result: result, isCut: isCut) }
                return (result, isCut)
            }
        } catch let undone as Undone {
            return (undone.result, undone.isCut)
        }
    }

    /// Whether a statement sends something beside its result: rows to a file of the client, or notifications later.
    private static func needsClient(_ statement: String) -> Bool {
        let first = statement.prefix { $0.isLetter }.lowercased()
        return ["copy", "listen", "unlisten"].contains(first)
    }

    private static func query(_ statement: String) -> PostgresQuery {
        var query = PostgresQuery(sql: statement)
        query.isPrepared = false
        return query
    }

    /// A statement that returns rows is read through a cursor, so that no more of them are made than are shown.
    private func last(_ statement: String, _ transaction: PostgresTransaction) async throws -> (PostgresResult, Bool) {
        guard Self.fitsCursor(statement) else {
            let result = try await transaction.query(Self.query(statement))
            return (result, result.rowCount > limits.maxRows)
        }
        try await transaction.query(Self.query("declare atoll_results no scroll cursor for \(statement)"))
        let result = try await transaction.query(
            PostgresQuery(sql: "fetch forward \(limits.maxRows + 1) from atoll_results"))
        return (result, result.rowCount > limits.maxRows)
    }

    /// Whether a statement is a query: its first word says so, and none of its words writes.
    private static func fitsCursor(_ statement: String) -> Bool {
        let words = statement.lowercased().split { !$0.isLetter && $0 != "_" }
        guard let first = words.first, ["select", "values", "table", "with"].contains(first) else { return false }
        return !words.contains { ["insert", "update", "delete", "merge", "into"].contains($0) }
    }
}
