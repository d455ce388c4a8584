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
                try await damage(table, .update, caller, addressed(table, change, key), key, identity)
            }
            try await damage(
                table, .delete, caller, addressed(table, "delete from \(table.quotedName)", key), key, identity)
            try await insert(table, caller, &own, foreign)
        }
        try await upsert(table, &own, foreign, key)
        try await move(table, own, foreign)
        try await reference(table, &own, foreign)
        try await setOff(table, &own, foreign)
    }

    /// A statement for the row alone, and for all rows that policies let through: without a condition no right to select is needed.
    private func addressed(_ table: Catalog.Relation, _ statement: String, _ key: String) -> [String] {
        ["\(statement) where \(key)"] + (isSmall(table) ? [statement] : [])
    }

    /// Changes the other's row by its key, then all rows that the policies let through: without a condition no right to
    /// select is needed, and so its policies do not help.
    ///
    /// - Parameter statements: the one that names the row first.
    mutating func damage(
        _ table: Catalog.Relation, _ action: Crossing.Action, _ caller: Crossing.Caller, _ statements: [String],
        _ key: String, _ tenant: ProbeTenant?
    ) async throws {
        let version = "select string_agg(ctid::text || tableoid::text, ',') from \(table.quotedName) where \(key)"
        for statement in statements {
            let isVisitor = caller == .visitor
            var tried = try await attempts(
                statement, as: tenant, visitor: isVisitor, first: [version], then: [version])
            if statement != statements.first, case .failure(let error) = tried, Self.untriedReason(error) != nil {
                // It may be one's own row that a key or a trigger keeps: once more without them, as policies alone are asked about.
                let ungoverned = "select set_config('session_replication_role', 'replica', true)"
                tried = try await attempts(
                    statement, as: tenant, visitor: isVisitor, first: [version, ungoverned], then: [version])
            }
            var outcome = Crossing.Outcome.held
            switch tried {
            case .success(let results):
                if results.first?.onlyRow?[0] != results.last?.onlyRow?[0] { outcome = .leaked }
            case .failure(let error):
                // Without a condition it may be one's own row that a constraint keeps.
                let passing = action != .upsert && statement == statements.first
                outcome = self.outcome(of: error, statement, passing: passing)
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
        // A trigger may have made it the caller's own, which is no leak.
        let count = scope.isEmpty ? [] : [countQuery(table, scope)]
        let tried = try await attempts(
            statement, as: caller == .member ? own.tenant : nil, visitor: caller == .visitor, first: count, then: count)
        var outcome = Crossing.Outcome.held
        switch tried {
        case .success(let results):
            if scope.isEmpty || (results.last?.onlyRow?[0].int ?? 0) > (results.first?.onlyRow?[0].int ?? 0) {
                outcome = .leaked
            }
        case .failure(let error):
            outcome = self.outcome(of: error, statement, passing: true)
        }
        crossings.append(crossing("sql", table.qualifiedName, .insert, caller, outcome, statement, own.tenant))
    }

    func countQuery(_ table: Catalog.Relation, _ scope: [String: String]) -> String {
        "select count(*) from \(table.quotedName) where \(table.condition(scope))"
    }

    /// One's own rows, given to the other tenant.
    mutating func move(
        _ table: Catalog.Relation, _ own: RowMaker, _ foreign: RowMaker
    ) async throws {
        guard let mine = own.rows[table.id], let key = table.identity(of: mine) else { return }
        for (column, value) in foreign.scopeValues(of: table).sorted(by: { $0.key < $1.key }) {
            guard let place = table.column(column), place.updaters.contains("authenticated"), !place.isGenerated else {
                continue
            }
            let change = "update \(table.quotedName) set \(quoteIdentifier(column)) = \(quoteLiteral(value))"
            let count = [countQuery(table, [column: value])]
            for statement in addressed(table, change, key) {
                let tried = try await attempts(statement, as: own.tenant, visitor: false, first: count, then: count)
                var outcome = Crossing.Outcome.held
                switch tried {
                case .success(let results):
                    if (results.last?.onlyRow?[0].int ?? 0) > (results.first?.onlyRow?[0].int ?? 0) {
                        outcome = .leaked
                    }
                case .failure(let error): outcome = self.outcome(of: error, statement, passing: true)
                }
                crossings.append(
                    crossing("sql", table.qualifiedName, .move, .member, outcome, statement, own.tenant))
            }
        }
    }

    /// A row of one's own whose foreign key names a row of the other tenant's.
    mutating func reference(
        _ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        for key in catalog.foreignKeys(of: table) where key.target != table.id {
            let isGroup = catalog.linking.groups.contains(key.target)
            guard let target = catalog.relation(key.target), isGroup || catalog.isScoped(target),
                let theirs = foreign.rows[key.target],
                isGroup || Set(key.columns).isDisjoint(with: catalog.scopeColumns(of: table))
            else { continue }
            var values = own.scopeValues(of: table)
            for (column, name) in zip(key.columns, key.targetColumns) {
                values[column] = theirs[name].flatMap(RowMaker.text)
            }
            let object = "\(table.qualifiedName) (\(key.name))"
            if table.allows("INSERT", to: "authenticated") {
                let choices = try await filler.choices(for: table, own, with: values)
                let statement = own.insertion(
                    into: table, choices: choices, values: values, by: "authenticated", returning: false)
                try await point(object, statement, own.tenant)
            }
            // The row that is there already, turned to the other's.
            if let mine = own.rows[table.id], let identity = table.identity(of: mine),
                key.columns.allSatisfy({ table.column($0)?.updaters.contains("authenticated") ?? false }),
                key.columns.allSatisfy({ values[$0] != nil })
            {
                let changes = key.columns.map { "\(quoteIdentifier($0)) = \(quoteLiteral(values[$0] ?? ""))" }
                let statement = "update \(table.quotedName) set \(changes.joined(separator: ", ")) where \(identity)"
                try await point(object, statement, own.tenant)
            }
        }
    }

    private mutating func point(_ object: String, _ statement: String, _ tenant: ProbeTenant) async throws {
        var outcome = Crossing.Outcome.held
        switch try await attempt(statement, as: tenant) {
        case .success(let result): if result.affectedRows > 0 { outcome = .leaked }
        case .failure(let error):
            outcome = self.outcome(of: error, statement)
            // The foreign key's own refusal is an answer. A check that ties it to other columns asks for another row, which the
            // insert has made.
            if error.sqlState == "23503" || (error.sqlState == "23514" && statement.hasPrefix("update")) {
                outcome = .held
            }
        }
        crossings.append(crossing("sql", object, .reference, .member, outcome, statement, tenant))
    }

    /// An insert that takes the place of the other's row, or is left out because of it.
    mutating func upsert(_ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker, _ key: String)
        async throws
    {
        guard let theirs = foreign.rows[table.id], table.allows("INSERT", to: "authenticated"),
            let column = table.changeableColumn(by: "authenticated"),
            table.primaryKey.allSatisfy({ table.column($0)?.inserters.contains("authenticated") ?? false })
        else { return }
        let values = Dictionary(
            table.primaryKey.compactMap { name in theirs[name].flatMap(RowMaker.text).map { (name, $0) } }
        ) { first, _ in first }
        let insert = own.insertion(into: table, values: values, by: "authenticated", returning: false)
        let target = table.primaryKey.map(quoteIdentifier).joined(separator: ", ")
        let name = quoteIdentifier(column)
        for action in ["do update set \(name) = excluded.\(name)", "do nothing"] {
            try await damage(
                table, .upsert, .member, [insert + " on conflict (\(target)) \(action)"], key, own.tenant)
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
            let outcome = self.outcome(of: error, statement)
            crossings.append(crossing("sql", table.qualifiedName, action, caller, outcome, statement, tenant))
        }
    }
}
