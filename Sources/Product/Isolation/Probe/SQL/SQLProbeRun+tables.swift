// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

extension SQLProbeRun {
    mutating func cross(
        _ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        guard unfilled[table.id] == nil, let theirs = foreign.rows[table.id],
            let key = table.identity(of: theirs)
        else {
            let reason = unfilled[table.id] ?? "its rows cannot be told apart: no primary key"
            crossings.append(crossing("sql", table.qualifiedName, .read, .member, .untried(reason), ""))
            return
        }
        // A table without anything of a tenant's is everybody's: a catalogue, a list of countries.
        guard catalog.isScoped(table) else { return }
        for caller in [Crossing.Caller.member, .visitor] {
            let identity = caller == .member ? own.tenant : nil
            try await record(
                table, .read, caller, "select * from \(table.quotedName) where \(key)", identity, count: \.rowCount)
            if let column = table.changeableColumn(by: Self.role(of: caller)) {
                let change = "update \(table.quotedName) set \(quoteIdentifier(column)) = \(quoteIdentifier(column))"
                try await damage(table, .update, caller, change, key, identity)
            }
            try await damage(table, .delete, caller, "delete from \(table.quotedName)", key, identity)
            try await insert(table, caller, &own, foreign)
        }
        try await move(table, own, foreign)
        try await reference(table, &own, foreign)
    }

    /// Changes the other's row by its key, then all rows that the policies let through: without a condition no right to
    /// select is needed, and so its policies do not help.
    mutating func damage(
        _ table: Catalog.Relation, _ action: Crossing.Action, _ caller: Crossing.Caller, _ statement: String,
        _ key: String, _ tenant: ProbeTenant?
    ) async throws {
        let version = "select string_agg(ctid::text || tableoid::text, ',') from \(table.quotedName) where \(key)"
        guard case .success(let before) = try await attempt(version, as: nil) else { return }
        let addressed = "\(statement) where \(key)"
        for statement in [addressed] + (isSmall(table) ? [statement] : []) {
            let after = try await attempt(statement, as: tenant, visitor: caller == .visitor, then: version)
            var outcome = Crossing.Outcome.held
            switch after {
            case .success(let row): if row.onlyRow?[0] != before.onlyRow?[0] { outcome = .leaked }
            case .failure(let error):
                // Without a condition it may be one's own row that the constraint keeps.
                if statement == addressed, Self.passedPolicies(error) {
                    outcome = .leaked
                } else if let reason = Self.untriedReason(error) {
                    outcome = .untried(reason)
                }
            }
            crossings.append(crossing("sql", table.qualifiedName, action, caller, outcome, statement, tenant))
        }
    }

    /// Whether a statement over all rows may be tried: it holds what it locks until the attempt is undone.
    func isSmall(_ table: Catalog.Relation) -> Bool { table.estimatedRows < 20_000 }

    /// A row that says it is the other tenant's.
    mutating func insert(
        _ table: Catalog.Relation, _ caller: Crossing.Caller, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        var forger = foreign
        let scope = foreign.scopeValues(of: table)
        let statement = forger.insertion(into: table, by: Self.role(of: caller), returning: false)
        let before = try await rows(of: table, scope)
        let outcome = try await attempt(
            statement, as: caller == .member ? own.tenant : nil, visitor: caller == .visitor,
            // A trigger may have made it the caller's own, which is no leak.
            then: scope.isEmpty ? nil : countQuery(table, scope))
        let leaked: Bool
        switch outcome {
        case .success(let result): leaked = scope.isEmpty || (result.onlyRow?[0].int ?? 0) > before
        case .failure(let error):
            leaked = Self.passedPolicies(error)
            if !leaked, let reason = Self.untriedReason(error) {
                crossings.append(crossing("sql", table.qualifiedName, .insert, caller, .untried(reason), statement))
                return
            }
        }
        crossings.append(
            crossing("sql", table.qualifiedName, .insert, caller, leaked ? .leaked : .held, statement, own.tenant))
    }

    func countQuery(_ table: Catalog.Relation, _ scope: [String: String]) -> String {
        "select count(*) from \(table.quotedName) where \(table.condition(scope))"
    }

    func rows(of table: Catalog.Relation, _ scope: [String: String]) async throws -> Int {
        guard !scope.isEmpty, case .success(let result) = try await attempt(countQuery(table, scope), as: nil) else {
            return 0
        }
        return result.onlyRow?[0].int ?? 0
    }

    /// One's own rows, given to the other tenant.
    mutating func move(
        _ table: Catalog.Relation, _ own: RowMaker, _ foreign: RowMaker
    ) async throws {
        guard let mine = own.rows[table.id], let key = table.identity(of: mine) else { return }
        for (column, value) in foreign.scopeValues(of: table).sorted(by: { $0.key < $1.key }) {
            guard table.columns.contains(where: { $0.name == column && $0.updaters.contains("authenticated") }) else {
                continue
            }
            let change = "update \(table.quotedName) set \(quoteIdentifier(column)) = \(quoteLiteral(value))"
            let before = try await rows(of: table, [column: value])
            for statement in ["\(change) where \(key)"] + (isSmall(table) ? [change] : []) {
                let outcome = try await attempt(statement, as: own.tenant, then: countQuery(table, [column: value]))
                var leaked = false
                switch outcome {
                case .success(let result): leaked = (result.onlyRow?[0].int ?? 0) > before
                case .failure(let error): leaked = Self.passedPolicies(error)
                }
                crossings.append(
                    crossing(
                        "sql", table.qualifiedName, .move, .member, leaked ? .leaked : .held, statement, own.tenant))
            }
        }
    }

    /// A row of one's own whose foreign key names a row of the other tenant's.
    mutating func reference(
        _ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        for key in catalog.foreignKeys(of: table) where key.target != table.id {
            guard let target = catalog.relation(key.target), catalog.isScoped(target),
                let theirs = foreign.rows[key.target],
                Set(key.columns).isDisjoint(with: catalog.scopeColumns(of: table))
            else { continue }
            var values = own.scopeValues(of: table)
            for (column, name) in zip(key.columns, key.targetColumns) {
                values[column] = theirs[name].flatMap(RowMaker.text)
            }
            let statement = own.insertion(into: table, values: values, by: "authenticated", returning: false)
            let outcome = try await attempt(statement, as: own.tenant)
            let leaked = if case .success = outcome { true } else { false }
            crossings.append(
                crossing(
                    "sql", "\(table.qualifiedName) (\(key.name))", .reference, .member, leaked ? .leaked : .held,
                    statement, own.tenant))
        }
    }

    mutating func record(
        _ table: Catalog.Relation, _ action: Crossing.Action, _ caller: Crossing.Caller, _ statement: String,
        _ tenant: ProbeTenant?, count: (PostgresResult) -> Int
    ) async throws {
        let outcome = try await attempt(statement, as: tenant, visitor: caller == .visitor)
        switch outcome {
        case .success(let result):
            crossings.append(
                crossing(
                    "sql", table.qualifiedName, action, caller, count(result) > 0 ? .leaked : .held, statement, tenant))
        case .failure(let error):
            let outcome = Self.untriedReason(error).map { Crossing.Outcome.untried($0) } ?? .held
            crossings.append(crossing("sql", table.qualifiedName, action, caller, outcome, statement, tenant))
        }
    }
}
