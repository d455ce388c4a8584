// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// The probe while its transaction is open.
struct SQLProbeRun {
    let transaction: PostgresTransaction
    let catalog: Catalog
    let settings: LintSettings
    let progress: ProbeProgress
    let tables: [Catalog.Relation]
    var crossings: [Crossing] = []
    /// Why a table has no rows to try.
    var unfilled: [Int: String] = [:]
    var quietFunctions: Set<Int> = []
    /// What only the other tenant has.
    private var otherMarks: [String] = []

    init(
        _ transaction: PostgresTransaction, catalog: Catalog, settings: LintSettings, progress: ProbeProgress
    ) {
        self.transaction = transaction
        self.catalog = catalog
        self.settings = settings
        self.progress = progress
        tables = catalog.probedTables
    }

    mutating func run() async throws -> SQLProbe.Outcome {
        progress.begin("sql rows")
        let mine = try await makeTenant("probe-a")
        let other = try await makeTenant("probe-b")
        otherMarks = other.marks
        var own = RowMaker(catalog: catalog, tenant: mine)
        var foreign = RowMaker(catalog: catalog, tenant: other)
        let filler = filler
        for table in catalog.withTargets(tables) {
            // Rows are made in their tenant's name: defaults and triggers ask who is calling.
            try await act(for: mine)
            if let reason = try await filler.fill(table, &own) { unfilled[table.id] = reason }
            try await act(for: other)
            // What is nobody's is made once and stands for both.
            if catalog.isShared(table) {
                foreign.rows[table.id] = own.rows[table.id]
            } else if let reason = try await filler.fill(table, &foreign) {
                unfilled[table.id] = reason
            }
        }
        try await act(for: nil)
        let views = sweptRelations()
        let functions = catalog.calledFunctions(settings)
        let total = tables.count + views.count + functions.count + 1
        var done = 0
        func step() throws {
            done += 1
            try progress.step("sql", done, of: total)
        }
        for table in tables {
            try step()
            try await cross(table, &own, foreign)
        }
        try step()
        try await crossFiles(mine, other)
        try await crossTopics(mine, other)
        for view in views where view.kind == .materializedView { try await refresh(view) }
        for view in views {
            try step()
            for caller in [Crossing.Caller.member, .visitor] { try await sweep(view, caller, mine, other) }
            if view.kind == .view { try await write(through: view, &own, foreign) }
        }
        for function in functions {
            try step()
            try await call(function, mine, other, foreign)
        }
        return SQLProbe.Outcome(crossings: crossings, quietFunctions: quietFunctions)
    }

    /// Makes rows that stay for the transaction.
    var filler: RowFiller {
        let run = self
        return RowFiller { statement in try await run.attempt(statement, as: nil) }
    }

    private func makeTenant(_ name: String) async throws -> ProbeTenant {
        let id = UUID.random()
        let email = ProbeTenant.address(name)
        let row = try await transaction.query(
            """
            insert into auth.users (id, aud, role, email, raw_user_meta_data)
            values (\(id), 'authenticated', 'authenticated', \(email), '{}')
            returning raw_app_meta_data ->> 'tenant_id' as tenant
            """)
        guard let tenant = row.onlyRow?["tenant"].uuid else {
            throw PostgresError(.misuse, "an account was made without a tenant")
        }
        return ProbeTenant(userID: id, tenantID: tenant, email: email)
    }

    /// Sets the claims of what the probe does itself.
    private func act(for tenant: ProbeTenant?) async throws {
        try await transaction.query(
            "select set_config('request.jwt.claims', \(tenant?.claims.text ?? ""), true)")
    }

    // MARK: Attempts

    /// Runs a statement as somebody and undoes it.
    ///
    /// - Parameters:
    ///   - tenant: whose member asks; nil with `visitor` false for the probe itself, whose work stays.
    ///   - first: what the probe does before, undone too.
    func attempt(
        _ statement: String, as tenant: ProbeTenant?, visitor: Bool = false, first: String? = nil
    ) async throws -> Result<PostgresResult, PostgresError> {
        let results = try await attempts(
            statement, as: tenant, visitor: visitor, first: first.map { [$0] } ?? [], then: [])
        return results.flatMap { results in
            results.last.map(Result.success) ?? .failure(PostgresError(.misuse, "nothing was answered"))
        }
    }

    /// As ``attempt(_:as:visitor:first:)``, with any number of statements before and, with all rights again, after.
    ///
    /// - Returns: the results of `first`, of the statement, and of `then`.
    func attempts(
        _ statement: String, as tenant: ProbeTenant?, visitor: Bool, first: [String], then: [String]
    ) async throws -> Result<[PostgresResult], PostgresError> {
        try progress.check()
        func once(_ sql: String) -> PostgresQuery {
            var query = PostgresQuery(sql: sql)
            query.isPrepared = false
            return query
        }
        let stays = tenant == nil && !visitor
        let claims = tenant?.claims.text ?? #"{"role": "anon"}"#
        var queries: [PostgresQuery] = ["savepoint attempt"]
        queries += first.map(once)
        if !stays {
            queries.append(
                "select set_config('role', \(tenant == nil ? "anon" : "authenticated"), true), set_config('request.jwt.claims', \(claims), true)"
            )
        }
        let place = queries.count
        queries.append(once(statement))
        if !then.isEmpty {
            queries.append("select set_config('role', 'none', true)")
            queries += then.map(once)
        }
        // Released too, lest the savepoints of thousands of attempts stand in each other, which makes every look at a row slower.
        if !stays { queries.append("rollback to savepoint attempt") }
        queries.append("release savepoint attempt")
        do {
            let results = try await transaction.run(queries).dropLast(stays ? 1 : 2)
            return .success(
                Array(results[1..<(1 + first.count)]) + [results[place]] + Array(results.suffix(then.count)))
        } catch {
            try await transaction.run(["rollback to savepoint attempt", "release savepoint attempt"])
            return .failure(error)
        }
    }

    /// Policies are asked before constraints: what a constraint refuses had passed them. That there is no partition for a row has
    /// the same code, no constraint's name, and comes before.
    static func passedPolicies(_ error: PostgresError) -> Bool {
        (error.sqlState?.hasPrefix("23") ?? false) && (error.sqlState != "23514" || error.constraint != nil)
    }

    /// What kept an attempt from being one: a fault of the statement, or its time. A refusal for want of privileges or by a
    /// policy is an answer.
    static func untriedReason(_ error: PostgresError) -> String? {
        switch error.sqlState {
        // Insufficient privilege; a policy's check has the same code.
        case "42501": nil
        // Raised by a trigger or function of the project.
        case "P0001", "28000", "22023": nil
        case "57014": "it took too long"
        default: error.message
        }
    }

    /// What a refusal comes to.
    ///
    /// - Parameter passing: whether a refusal by a constraint shows that the policies let the statement through.
    func outcome(of error: PostgresError, _ statement: String, passing: Bool = false) -> Crossing.Outcome {
        let words = [error.message, error.detail, error.hint].compactMap { $0 }.joined(separator: "\n")
        // An error that names what was not asked for tells it.
        if otherMarks.contains(where: { words.contains($0) && !statement.contains($0) }) { return .leaked }
        if passing, Self.passedPolicies(error) { return .leaked }
        return Self.untriedReason(error).map { .untried($0) } ?? .held
    }

    // MARK: Words

    static func role(of caller: Crossing.Caller) -> String { caller == .member ? "authenticated" : "anon" }

    func crossing(
        _ channel: String, _ object: String, _ action: Crossing.Action, _ caller: Crossing.Caller,
        _ outcome: Crossing.Outcome, _ statement: String, _ tenant: ProbeTenant? = nil
    ) -> Crossing {
        let claims = caller == .member ? tenant?.claims.text ?? "{}" : #"{"role": "anon"}"#
        let request =
            "set local role \(Self.role(of: caller)); select set_config('request.jwt.claims', \(quoteLiteral(claims)), true); \(statement);"
        return Crossing(
            channel: channel, object: object, action: action, caller: caller, outcome: outcome, request: request,
            fix: Self.fix(action, caller))
    }

    static func fix(_ action: Crossing.Action, _ caller: Crossing.Caller) -> String {
        if caller == .visitor {
            return "Name authenticated in the policy's `to`, and revoke from anon what visitors need not."
        }
        return switch action {
        case .insert: "Compare the tenant or owner of the new row with the caller in `with check`."
        case .update, .upsert: "Compare the row's tenant or owner with the caller in the policy for update."
        case .delete: "Compare the row's tenant or owner with the caller in the policy for delete."
        case .move: "Repeat the condition of `using` in `with check`."
        case .reference: "Put the tenant column into the foreign key, or look the target up in `with check`."
        case .call: "Take the tenant or person from the token in the function, or make it security invoker."
        case .read, .list, .count, .embed, .copy, .sign, .forge, .share:
            "Compare the row's tenant or owner with the caller in the policy for select; security_invoker for a view."
        }
    }
}
