// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

/// Tables and their rows.
extension AdminPages {
    func registerTables(on router: inout Router) {
        page(.get, "/admin/tables", on: &router, tables)
        page(.get, "/admin/tables/:schema/:table", on: &router) { visit, _ in try await rows(visit) }
    }

    private func tables(_ visit: inout Visit, _ who: Operator) async throws -> HTTPResponse {
        let schema = visit.query.first("schema") ?? "public"
        let results = try await read([
            """
            select
                c.relname as name, c.relkind as kind, c.relrowsecurity as secured, c.relforcerowsecurity as forced,
                greatest(c.reltuples, 0)::bigint as rows,
                case when c.relkind in ('r', 'm') then pg_catalog.pg_total_relation_size(c.oid) end as bytes,
                (select count(*) from pg_catalog.pg_policy as p where p.polrelid = c.oid) as policies
            from pg_catalog.pg_class as c
            where c.relnamespace = (select n.oid from pg_catalog.pg_namespace as n where n.nspname = \(schema))
                and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
            order by c.relname
            limit 1000
            """,
            """
            select n.nspname as name
            from pg_catalog.pg_namespace as n
            where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and pg_catalog.has_schema_privilege(n.oid, 'usage')
            order by n.nspname <> 'public', n.nspname
            limit 500
            """,
        ])
        let found = results[0].rows.map { $0 }
        return visit.page(.tables, .admin(.tables)) {
            Components.heading(.of(.tables), .of(.tablesText))
            Markup(.form, .method("get"), .action("/admin/tables"), .class("row-form compact")) {
                Form.select(
                    "schema", .schema,
                    options: results[1].rows.map { ($0["name"].string ?? "", .words($0["name"].string ?? "")) },
                    state: Form.State(values: ["schema": schema]))
                Form.button(.show, "quiet")
            }
            if found.isEmpty {
                Components.empty(.table, .noTables, .noTablesText)
            } else {
                Components.table(
                    .tables, [.table, .kind, .rows, .size, .rowSecurity, .policies],
                    rows: found.map { tableRow(schema, $0) })
                Markup(.p, .class("hint"), text: .rowsAreEstimates)
            }
        }
    }

    private func tableRow(_ schema: String, _ row: PostgresRow) -> [Markup] {
        let name = row["name"].string ?? ""
        let kind: Message =
            switch row["kind"].string {
            case "v": .view
            case "m": .materializedView
            case "f": .foreignTable
            default: .table
            }
        let isTable = ["r", "p"].contains(row["kind"].string)
        let security: Markup =
            if !isTable {
                .data("–")
            } else if row["secured"].bool == true {
                Components.badge(.on, "good")
            } else {
                Components.badge(.off, "bad")
            }
        return [
            Markup(
                .a, .href("/admin/tables/\(Console.segment(schema))/\(Console.segment(name))"), data: name),
            .text(kind), .data(isTable ? Components.grouped(row["rows"].int ?? 0) : "–"),
            .data(row["bytes"].int.map { Components.bytes($0) } ?? "–"), security,
            .data(Components.grouped(row["policies"].int ?? 0)),
        ]
    }

    // MARK: Rows

    private static let pageSize = 50

    /// The table that an address names.
    func schema(_ visit: Visit) async throws -> TableSchema {
        let schema = visit.request.parameters["schema"] ?? ""
        let name = visit.request.parameters["table"] ?? ""
        guard let table = TableSchema(schema, name, try await read(TableSchema.queries(schema, name))) else {
            throw PageRefusal(.notFound, .noSuchTable)
        }
        return table
    }

    /// A page of rows, filtered and sorted as the address says.
    func rows(_ visit: Visit, problem: Phrase? = nil, status: HTTPStatus = .ok) async throws -> HTTPResponse {
        let table = try await schema(visit)
        let query = visit.query
        let comparison = query.first("comparison").flatMap { TableSchema.Comparison(rawValue: $0) } ?? .equal
        let value = query.first("value") ?? ""
        let filter = query.first("column").flatMap { table.column($0) }.map {
            TableSchema.Filter(column: $0, comparison: comparison, value: value)
        }
        let order = query.first("order").flatMap { table.column($0) }
        let descending = query.first("direction") == "desc"
        let selection = table.selection(
            filter, order: order, descending: descending, page: visit.pageNumber, size: Self.pageSize,
            width: limits.maxCellCharacters)
        var problem = problem
        var result: PostgresResult?
        do {
            result = try await administration.owner.run(
                WorkUnit(readOnly: true, statementTimeout: limits.statementTimeout, queries: [selection])
            ).first
        } catch {
            problem = .words(error.message)
        }
        var kept: [(name: String, value: String)] = []
        for name in ["column", "comparison", "value", "order", "direction"] {
            if let value = query.first(name), !value.isEmpty { kept.append((name, value)) }
        }
        let address = kept.isEmpty ? table.path : "\(table.path)?\(FormFields.encode(kept))"
        return visit.page(.words(table.name), .admin(.tables), status: problem == nil ? status : .unprocessableContent)
        {
            Markup(.p, .class("back")) {
                Markup(
                    .a, .href("/admin/tables?schema=\(Console.segment(table.schema))"), text: .backToTables)
            }
            Components.heading(.words("\(table.schema).\(table.name)")) {
                Markup(.a, .class("button quiet"), .href("\(table.path)/row"), text: .newRow)
            }
            visit.notice
            if let problem { Components.notice(problem, isGood: false) }
            filterForm(table, query, order: order, descending: descending)
            if let result {
                grid(table, result)
                Components.pager(address, page: visit.pageNumber, hasNext: result.rowCount > Self.pageSize)
            }
        }
    }

    private func filterForm(
        _ table: TableSchema, _ query: FormFields, order: TableSchema.Column?, descending: Bool
    ) -> Markup {
        let state = Form.State(values: [
            "column": query.first("column") ?? "", "comparison": query.first("comparison") ?? "eq",
            "value": query.first("value") ?? "", "order": order?.name ?? "",
            "direction": descending ? "desc" : "asc",
        ])
        let columns = [("", Phrase.of(.anyColumn))] + table.columns.map { ($0.name, .words($0.name)) }
        return Markup(.form, .method("get"), .action(table.path), .class("row-form compact")) {
            Form.select("column", .filterBy, options: columns, state: state)
            Form.select(
                "comparison", .comparison,
                options: TableSchema.Comparison.allCases.map { ($0.rawValue, .of($0.title)) }, state: state)
            Form.field("value", .value, .optional(1000), state: state)
            Form.select("order", .sortBy, options: columns, state: state)
            Form.select(
                "direction", .direction, options: [("asc", .of(.ascending)), ("desc", .of(.descending))], state: state)
            Form.button(.show, "quiet")
        }
    }

    private func grid(_ table: TableSchema, _ result: PostgresResult) -> Markup {
        guard result.rowCount > 0 else { return Components.empty(.table, .noRows) }
        let isKeyed = !table.key.isEmpty
        var columns = table.columns.map { Phrase.words($0.name) }
        if isKeyed { columns.insert(.of(.action), at: 0) }
        return Components.table(
            .words(table.name), columns,
            rows: (0..<min(result.rowCount, Self.pageSize)).map { index in
                var cells = (0..<result.columnCount).map { cell(result.string(index, $0)) }
                if isKeyed {
                    cells.insert(
                        Markup(.a, .href(Self.address(table, result, index))) {
                            Markup.text(.edit)
                            Markup(.span, .class("unseen"), data: " \(index + 1)")
                        }, at: 0)
                }
                return cells
            }, narrow: .scrolled)
    }

    /// A value of a grid: NULL is told from an empty text, and what is long is cut.
    func cell(_ text: String?) -> Markup {
        guard let text else { return Markup(.span, .class("null"), data: "NULL") }
        guard text.count > limits.maxCellCharacters else { return Markup(.span, .class("cell"), data: text) }
        return Markup(.span, .class("cell"), data: "\(text.prefix(limits.maxCellCharacters))…")
    }

    /// The address of one row of a page: the values of its key.
    private static func address(_ table: TableSchema, _ result: PostgresResult, _ row: Int) -> String {
        let key = table.key.map { name in
            (name: "key.\(name)", value: result.column(name).flatMap { result.string(row, $0) } ?? "")
        }
        return "\(table.path)/row?\(FormFields.encode(key))"
    }
}
