// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Postgres

/// What the database returned for a request.
struct Outcome: Sendable {
    var result: PostgresResult
    var estimate: PostgresResult?
    /// The body where it is too large to be held; that of the result is then its first piece.
    var large: LargeBody?
}

/// Runs a statement as its identity.
struct Execution: Sendable {
    let request: APIRequest
    let plan: Plan
    let statement: Statement
    let identity: RESTIdentity
    let role: RoleSettings
    let configuration: RESTConfiguration
    let largeAnswers: LargeAnswers

    /// Whether the result decides if the transaction is committed. Then it needs a second round trip; all else takes one.
    private var isConditional: Bool {
        if configuration.rollsBack(request.preferences.transaction) || isolation != .readCommitted { return true }
        if case .plan = plan.media { return false }
        switch request.action {
        case .read, .call(readOnly: true), .inspect: return false
        case .upsert: return true
        case .create, .update, .delete, .call(readOnly: false):
            return wantsOneRow || request.preferences.bindingMaxAffected != nil
        }
    }

    /// What the function that is called asks for by `set default_transaction_isolation`, or else the role: it has to be known when the
    /// transaction begins.
    private var isolation: TransactionIsolation {
        if case .call(let call) = plan.source,
            let setting = call.function.settings.last(where: { $0.name == Self.isolationSetting })
        {
            return TransactionIsolation(setting: setting.value)
        }
        return role.isolation ?? .readCommitted
    }

    /// The setting that cannot be set inside the transaction it is for.
    static let isolationSetting = "default_transaction_isolation"

    private var wantsOneRow: Bool {
        if case .object = plan.body { return true }
        if case .mutation = plan.source, case .object = plan.media { return true }
        return false
    }

    /// Whether nothing may be written: a function that says it is stable is held to it, whichever the method.
    private var isReadOnly: Bool {
        if case .call(let call) = plan.source, call.function.volatility != .volatile { return true }
        return request.action == .read || request.action == .call(readOnly: true)
    }

    /// Whether it may share a connection: it reads a relation, and does not count what it does not show.
    private var isBrief: Bool {
        guard case .read = request.action, plan.count == nil else { return false }
        if case .plan = plan.media { return false }
        return true
    }

    /// - Throws: `PostgresError`, or ``RESTError`` where the result is refused, and then nothing is committed.
    func run(on database: Database, settings: [(name: String, value: String)]) async throws -> Outcome {
        var queries: [PostgresQuery] = []
        if let function = configuration.preRequest { queries.append(Self.preRequest(function)) }
        var statement = statement
        if request.schema == TenantDirectory.template, let tenant = identity.principal?.tenantID {
            statement = try statement.entering(tenant, plan, maxBytes: configuration.maxHeldBytes)
        }
        let position = queries.count
        if !isConditional, let guarded = statement.guarded {
            return try await runGuarded(statement, guarded, queries, on: database, settings: settings)
        }
        queries.append(statement.query)
        if let estimate = statement.estimate { queries.append(estimate) }

        guard isConditional else {
            let results = try await database.run(unit(queries, settings: settings, isBrief: isBrief))
            let outcome = outcome(results, at: position)
            try check(outcome)
            return outcome
        }
        do {
            return try await database.withTransaction(
                role: identity.role, settings: settings, readOnly: isReadOnly, isolation: isolation,
                loginSettings: role.settings.map { ($0.name, $0.value) }
            ) { transaction in
                let outcome = outcome(try await transaction.run(queries), at: position)
                try check(outcome)
                if configuration.rollsBack(request.preferences.transaction) {
                    // Deferred constraints are checked as a commit would, before it is undone.
                    _ = try await transaction.run(["set constraints all immediate"])
                    throw RolledBack(outcome: outcome)
                }
                return outcome
            }
        } catch let rolledBack as RolledBack {
            return rolledBack.outcome
        }
    }

    /// Runs a read whose body may be too large to hold.
    private func runGuarded(
        _ statement: Statement, _ guarded: PostgresQuery, _ before: [PostgresQuery], on database: Database,
        settings: [(name: String, value: String)]
    ) async throws -> Outcome {
        // A tenant's statements have one text in its own schema: what they were written as tells them apart.
        let kind = self.statement.guarded ?? guarded
        if !largeAnswers.contains(kind) {
            let queries = before + [guarded] + (statement.estimate.map { [$0] } ?? [])
            let results = try await database.run(unit(queries, settings: settings, isBrief: isBrief))
            let outcome = outcome(results, at: before.count)
            try check(outcome)
            guard outcome.result.string(0, statement.addedColumn) == "t" else { return outcome }
            largeAnswers.note(kind, isLarge: true)
        }
        var sliced = statement.sliced(bytes: LargeBody.pieceBytes)
        sliced.isPrepared = statement.query.isPrepared
        let queries = before + (statement.estimate.map { [$0] } ?? []) + [sliced]
        let rows = try await database.stream(unit(queries, settings: settings, isBrief: false))
        guard let first = try await rows.next() else { throw PostgresError(.misuse, "the query returned nothing") }
        let byteCount = first.string(0, statement.addedColumn).flatMap { Int($0) } ?? 0
        if byteCount <= configuration.maxHeldBytes { largeAnswers.note(kind, isLarge: false) }
        let outcome = Outcome(
            result: first, estimate: statement.estimate == nil ? nil : rows.earlier.last,
            large: LargeBody(byteCount: byteCount, first: first, rest: rows))
        try check(outcome)
        return outcome
    }

    private func unit(
        _ queries: [PostgresQuery], settings: [(name: String, value: String)], isBrief: Bool
    ) -> WorkUnit {
        var unit = WorkUnit(
            role: identity.role, settings: settings, readOnly: isReadOnly, isBrief: isBrief, queries: queries)
        unit.loginSettings = role.settings.map { ($0.name, $0.value) }
        return unit
    }

    /// Leaves the transaction without committing it.
    private struct RolledBack: Error {
        var outcome: Outcome
    }

    private func outcome(_ results: [PostgresResult], at position: Int) -> Outcome {
        Outcome(
            result: results[position], estimate: results.count > position + 1 ? results[position + 1] : nil)
    }

    private func check(_ outcome: Outcome) throws(RESTError) {
        // A plan has no rows to check.
        if case .plan = plan.media { return }
        let rowCount = Int(outcome.result.string(0, Statement.ColumnIndex.rowCount) ?? "") ?? 0
        if request.action == .upsert, rowCount != 1 { throw .upsertKeyMismatch }
        if wantsOneRow, rowCount != 1 { throw .notSingular(rowCount: rowCount) }
        let affects = request.action != .read && request.action != .call(readOnly: true)
        if let limit = request.preferences.bindingMaxAffected, affects, rowCount > limit {
            throw .tooManyAffected(rowCount: rowCount)
        }
    }

    /// `select "schema"."function"()` of a dotted name; a bare one is found by the search path.
    static func preRequest(_ function: String) -> PostgresQuery {
        let parts = function.split(separator: ".").map { quoteIdentifier(String($0)) }
        return PostgresQuery(sql: "select \(parts.joined(separator: "."))()")
    }
}
