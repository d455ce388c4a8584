// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    /// Writes one's own row where triggers or rules do more than that, and looks what becomes of the other's rows.
    mutating func setOff(_ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker) async throws {
        let hasMore =
            catalog.triggers.contains { $0.relation == table.id } || catalog.rules.contains { $0.relation == table.id }
        guard hasMore, let mine = own.rows[table.id], let key = table.identity(of: mine) else { return }
        var statements: [String] = []
        if table.allows("INSERT", to: "authenticated") {
            statements.append(own.insertion(into: table, by: "authenticated", returning: false))
        }
        if table.allows("UPDATE", to: "authenticated"), let column = table.changeableColumn(by: "authenticated") {
            let name = quoteIdentifier(column)
            statements.append("update \(table.quotedName) set \(name) = \(name) where \(key)")
        }
        if table.allows("DELETE", to: "authenticated") {
            statements.append("delete from \(table.quotedName) where \(key)")
        }
        let object = "\(table.qualifiedName) (triggers and rules)"
        for statement in statements {
            if try await writesMore(statement, table, own.tenant) {
                try await watch(object, .call, statement, own.tenant, looks: [fingerprintQuery(foreign)])
            } else {
                crossings.append(crossing("sql", object, .call, .member, .held, statement, own.tenant))
            }
        }
    }

    /// Whether a statement writes more than one row of its table: all rows are looked at only then, as most triggers write nothing.
    private func writesMore(
        _ statement: String, _ table: Catalog.Relation, _ tenant: ProbeTenant
    ) async throws -> Bool {
        let count = """
            select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) filter (where relid <> \(table.id)), 0)::bigint as elsewhere,
                coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del) filter (where relid = \(table.id)), 0)::bigint as here
            from pg_stat_xact_all_tables
            """
        let tried = try await attempts(statement, as: tenant, visitor: false, first: [count], then: [count])
        guard case .success(let results) = tried, let before = results.first?.onlyRow, let after = results.last?.onlyRow
        else { return false }
        return after["elsewhere"].int != before["elsewhere"].int
            || (after["here"].int ?? 0) > (before["here"].int ?? 0) + 1
    }

    /// Writes to a view, also the other's own values, and looks what becomes of the other's rows: what a rule, a trigger or the view
    /// itself does with its owner's rights.
    mutating func write(
        through view: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        let sources = tables.filter { view.reads.contains($0.id) && isSmall($0) && foreign.rows[$0.id] != nil }
        guard !sources.isEmpty else { return }
        var statements: [(Crossing.Action, String)] = []
        if view.allows("INSERT", to: "authenticated") {
            for source in sources {
                guard let theirs = foreign.rows[source.id] else { continue }
                let values = view.columns.compactMap { column -> (name: String, literal: String)? in
                    guard column.inserters.contains("authenticated"),
                        let value = theirs[column.name].flatMap(RowMaker.text)
                    else { return nil }
                    return (quoteIdentifier(column.name), "\(quoteLiteral(value))::\(column.type)")
                }
                guard !values.isEmpty else { continue }
                let names = values.map(\.name).joined(separator: ", ")
                let literals = values.map(\.literal).joined(separator: ", ")
                statements.append((.insert, "insert into \(view.quotedName) (\(names)) values (\(literals))"))
            }
        }
        if view.allows("UPDATE", to: "authenticated"),
            let column = view.columns.first(where: { $0.updaters.contains("authenticated") })
        {
            let name = quoteIdentifier(column.name)
            statements.append((.update, "update \(view.quotedName) set \(name) = \(name)"))
        }
        if view.allows("DELETE", to: "authenticated") {
            statements.append((.delete, "delete from \(view.quotedName)"))
        }
        // What stands in the view's own place may write to any table.
        let hasMore =
            catalog.triggers.contains { $0.relation == view.id } || catalog.rules.contains { $0.relation == view.id }
        let looks = sources.compactMap { versionQuery($0, foreign) } + (hasMore ? [fingerprintQuery(foreign)] : [])
        guard !looks.isEmpty else { return }
        for (action, statement) in statements {
            try await watch(view.qualifiedName, action, statement, own.tenant, looks: looks)
        }
    }

    /// - Parameter looks: queries whose answers a write of one's own must not change.
    private mutating func watch(
        _ object: String, _ action: Crossing.Action, _ statement: String, _ tenant: ProbeTenant, looks: [String]
    ) async throws {
        let tried = try await attempts(statement, as: tenant, visitor: false, first: looks, then: looks)
        // What cannot be written at all is no attempt: a view of several tables, a row that a trigger refuses.
        guard case .success(let results) = tried, results.count == 2 * looks.count + 1 else { return }
        let before = results.prefix(looks.count).map { $0.onlyRow?[0].string }
        let after = results.suffix(looks.count).map { $0.onlyRow?[0].string }
        crossings.append(crossing("sql", object, action, .member, before == after ? .held : .leaked, statement, tenant))
    }

    private func versionQuery(_ table: Catalog.Relation, _ maker: RowMaker) -> String? {
        guard let row = maker.rows[table.id], let key = table.identity(of: row) else { return nil }
        return "select string_agg(ctid::text || tableoid::text, ',') from \(table.quotedName) where \(key)"
    }
}
