// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// One row: shown whole, changed, added, deleted.
extension AdminPages {
    func registerRows(on router: inout Router) {
        let path = "/admin/tables/:schema/:table/row"
        page(.get, path, on: &router) { visit, _ in try await rowPage(visit, visit.query) }
        page(.post, path, on: &router, maxBodyBytes: Self.maxRowBytes, saveRow)
        page(.post, "\(path)/delete", on: &router, deleteRow)
    }

    private static let maxRowBytes = 4 << 20

    /// - Parameter key: the fields with the values of the row's key; without them it is a new row.
    private func rowPage(
        _ visit: Visit, _ key: FormFields, typed: FormFields? = nil, problem: Phrase? = nil, status: HTTPStatus = .ok
    ) async throws -> HTTPResponse {
        let table = try await schema(visit)
        let condition = table.condition(key)
        var stored: PostgresResult?
        if let condition {
            stored = try await read([table.whole(condition)]).first
            guard stored?.rowCount == 1 else { throw PageRefusal(.notFound, .noSuchRow) }
        }
        func value(_ index: Int, _ column: TableSchema.Column) -> String? {
            if let typed { return TableSchema.value(of: column, in: typed) ?? nil }
            return stored.flatMap { $0.string(0, index) }
        }
        let fields = table.columns.enumerated().map { index, column -> Markup in
            let was = typed?.first("was.\(column.name)") ?? TableSchema.mark(of: stored?.string(0, index))
            return rowField(column, value(index, column), was: stored == nil ? nil : was)
        }
        let keyFields = table.key.map { Form.hidden("key.\($0)", key.first("key.\($0)") ?? "") }
        return visit.page(stored == nil ? .newRow : .editRow, .admin(.tables), status: status) {
            Markup(.p, .class("back")) { Markup(.a, .href(table.path), text: .backToRows) }
            Components.heading(.of(stored == nil ? .newRow : .editRow), .words("\(table.schema).\(table.name)"))
            if let problem { Components.notice(problem, isGood: false) }
            Markup(.form, .method("post"), .action("\(table.path)/row"), .class("card")) {
                Form.token(visit.formToken)
                if stored != nil { keyFields }
                fields
                Markup(.div, .class("actions")) {
                    Form.button(.save)
                    Markup(.a, .class("button quiet"), .href(table.path), text: .cancel)
                }
            }
            if stored != nil {
                Components.section("danger", .dangerZone, kind: "danger-zone") {
                    Markup(
                        .form, .method("post"), .action("\(table.path)/row/delete"), .hook("asks", .of(.askDeleteRow))
                    ) {
                        Form.token(visit.formToken)
                        keyFields
                        Form.button(.deleteRow, "danger")
                    }
                }
            }
        }
    }

    /// - Parameter was: marks what is stored; nil for a new row.
    private func rowField(_ column: TableSchema.Column, _ value: String?, was: String?) -> Markup {
        let id = "value.\(column.name)"
        let takesDefault = was == nil && column.hasDefault
        let isNull = value == nil && !takesDefault && column.isNullable
        return Markup(.div, .class("field")) {
            Markup(.label, .for(id)) {
                Markup(.code, data: column.name)
                Markup(.span, .class("hint"), data: " \(column.type)")
            }
            if column.isWritable {
                if let was { Form.hidden("was.\(column.name)", was) }
                Markup.element(
                    .textarea,
                    [.id(id), .name(id), .rows(Self.height(of: value)), .spellcheck(false), .directionOfText()]
                        + (takesDefault ? [.aria("describedby", "\(id)-hint")] : []),
                    [.data("\n" + (value ?? ""))])
                if takesDefault { Markup(.p, .id("\(id)-hint"), .class("hint"), text: .emptyTakesDefault) }
                if column.isNullable {
                    Markup(.div, .class("check")) {
                        Markup(
                            .input, .type("checkbox"), .id("null.\(column.name)"), .name("null.\(column.name)"),
                            .value("on"), .checked(isNull), .hook("null-of", id))
                        Markup(.label, .for("null.\(column.name)")) {
                            Markup.text(.isNull)
                            Markup(.span, .class("unseen"), data: " \(column.name)")
                        }
                    }
                }
            } else {
                Markup(.input, .id(id), .readonly(), .value(value ?? ""))
            }
        }
    }

    private static func height(of value: String?) -> Int {
        guard let value else { return 1 }
        return min(12, max(1, value.utf8.count { $0 == UInt8(ascii: "\n") } + 1 + value.utf8.count / 90))
    }

    private func saveRow(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let table = try await schema(visit)
        let condition = table.condition(form)
        let values = table.values(form)
        let saved = PageResponse.redirect("\(table.path)?done=\(Message.rowSaved)")
        guard condition == nil || !values.isEmpty else { return saved }
        let statement = condition.map { table.update(values, $0) } ?? table.insertion(values)
        do {
            let result = try await write(statement)
            guard result.affectedRows == 1 else { throw PageRefusal(.notFound, .noSuchRow) }
        } catch let error as PostgresError {
            return try await rowPage(
                visit, form, typed: form, problem: .words(error.message),
                status: HTTPStatus(code: Self.status(of: error)))
        }
        note(
            condition == nil ? "row.insert" : "row.update", who, visit, .field("table", "\(table.schema).\(table.name)")
        )
        return saved
    }

    private func deleteRow(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let form = try await visit.form(ofTenant: false)
        let table = try await schema(visit)
        guard let condition = table.condition(form) else { throw PageRefusal(.badRequest, .noRowNamed) }
        do {
            _ = try await write(table.deletion(condition))
        } catch let error as PostgresError {
            return try await rowPage(
                visit, form, problem: .words(error.message), status: HTTPStatus(code: Self.status(of: error)))
        }
        note("row.delete", who, visit, .field("table", "\(table.schema).\(table.name)"))
        return PageResponse.redirect("\(table.path)?done=\(Message.rowDeleted)")
    }

    /// One statement that concerns a row by its key; it is undone when it concerns more.
    private func write(_ statement: PostgresQuery) async throws -> PostgresResult {
        var statement = statement
        statement.isPrepared = false
        let prepared = statement
        return try await administration.owner.withTransaction(statementTimeout: limits.statementTimeout) {
            transaction in
            let result = try await transaction.query(prepared)
            guard result.affectedRows <= 1 else { throw PageRefusal(.conflict, .moreThanOneRow) }
            return result
        }
    }
}
