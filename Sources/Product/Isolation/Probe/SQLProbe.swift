// SPDX-License-Identifier: Apache-2.0
internal import EventLoop
package import Postgres
internal import Primitives

/// Two tenants with rows in every table, of whom one tries everything on the other's, as requests would: as an API role, with
/// its claims set, through the policies.
///
/// All of it is one transaction that is rolled back. Nothing of it is seen by others, and nothing is left but the gaps that
/// sequences keep.
package struct SQLProbe: Sendable {
    private let database: Database
    private let catalog: Catalog
    private let settings: LintSettings
    /// How long a single attempt may run.
    private let statementTimeout: Duration

    /// - Parameter database: logged in as a superuser, or as a role that may become every API role and owns the schemas.
    package init(
        _ database: Database, catalog: Catalog, settings: LintSettings, statementTimeout: Duration = .seconds(5)
    ) {
        self.database = database
        self.catalog = catalog
        self.settings = settings
        self.statementTimeout = statementTimeout
    }

    /// - Parameter progress: told how many of how many objects are done.
    /// - Throws: `PostgresError` where the probe itself cannot be set up.
    package func run(progress: @escaping (Int, Int) -> Void = { _, _ in }) async throws -> [Crossing] {
        do {
            return try await database.withTransaction(statementTimeout: statementTimeout) { transaction in
                try await transaction.query("set local lock_timeout = '2s'")
                var attempt = SQLProbeRun(transaction, catalog: catalog, settings: settings)
                throw RolledBack(crossings: try await attempt.run(progress: progress))
            }
        } catch let end as RolledBack {
            return end.crossings
        }
    }

    /// Ends the transaction so that nothing of it stays.
    private struct RolledBack: Error {
        let crossings: [Crossing]
    }
}

/// The probe while its transaction is open.
private struct SQLProbeRun {
    let transaction: PostgresTransaction
    let catalog: Catalog
    let settings: LintSettings
    private var crossings: [Crossing] = []
    private var tables: [Catalog.Relation] = []
    /// Why a table has no rows to try.
    private var unfilled: [Int: String] = [:]

    init(_ transaction: PostgresTransaction, catalog: Catalog, settings: LintSettings) {
        self.transaction = transaction
        self.catalog = catalog
        self.settings = settings
        tables = catalog.relations.filter { relation in
            relation.isTable && !relation.isPartition && relation.isReachable && !relation.isOfExtension
                && (!Catalog.platformSchemas.contains(relation.schema)
                    || ["tenancy", "vectors"].contains(relation.schema))
        }
    }

    mutating func run(progress: (Int, Int) -> Void) async throws -> [Crossing] {
        let mine = try await makeTenant("probe-a")
        let other = try await makeTenant("probe-b")
        var own = RowMaker(catalog: catalog, tenant: mine)
        var foreign = RowMaker(catalog: catalog, tenant: other)
        for table in inOrderOfKeys() {
            if let reason = try await fill(table, &own) { unfilled[table.id] = reason }
            if let reason = try await fill(table, &foreign) { unfilled[table.id] = reason }
        }
        let views = sweptRelations()
        let functions = calledFunctions()
        let total = tables.count + views.count + functions.count + 1
        var done = 0
        func step() {
            done += 1
            progress(done, total)
        }
        for table in tables {
            try await cross(table, &own, foreign)
            step()
        }
        try await crossFiles(mine, other)
        step()
        for view in views where view.kind == .materializedView { try await refresh(view) }
        for view in views {
            for caller in [Crossing.Caller.member, .visitor] { try await sweep(view, caller, mine, other) }
            step()
        }
        for function in functions {
            try await call(function, mine, other, foreign)
            step()
        }
        return crossings
    }

    // MARK: Setting up

    private func makeTenant(_ name: String) async throws -> ProbeTenant {
        let id = UUID.random()
        let email = "\(name)-\(id)@probe.invalid"
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

    /// Tables before those that point at them; where they point at each other, in any order.
    private func inOrderOfKeys() -> [Catalog.Relation] {
        var waiting = tables
        var ordered: [Catalog.Relation] = []
        while !waiting.isEmpty {
            let open = Set(waiting.map(\.id))
            let ready = waiting.filter { table in
                !catalog.foreignKeys.contains {
                    $0.relation == table.id && $0.target != table.id && open.contains($0.target)
                }
            }
            let next = ready.isEmpty ? Array(waiting.prefix(1)) : ready
            ordered += next
            let taken = Set(next.map(\.id))
            waiting.removeAll { taken.contains($0.id) }
        }
        return ordered
    }

    /// Makes a row of the tenant, or finds the one that a trigger has made.
    ///
    /// - Returns: why there is none, or nil.
    private func fill(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> String? {
        // The platform makes its own with the account.
        if Catalog.platformSchemas.contains(table.schema), try await find(table, &maker) { return nil }
        var choices: [String: Int] = [:]
        var reason = "no row could be thought up"
        for _ in 0..<24 {
            let insert = maker.insertion(into: table, choices: choices)
            switch try await attempt(insert, as: nil) {
            case .success(let result):
                guard let row = result.onlyRow?[0].json?.objectValue else { return "its rows are not kept" }
                maker.rows[table.id] = row
                return nil
            case .failure(let error):
                reason = error.message
                switch error.sqlState {
                case "23514":
                    // The columns of the failed check take their next candidates.
                    guard let condition = error.constraint.flatMap({ table.checks[$0] }) else { return reason }
                    let columns = table.columns.map(\.name).filter(condition.mentions)
                    guard let next = Self.advanced(choices, columns, of: table, maker) else { return reason }
                    choices = next
                case "23505":
                    if try await find(table, &maker) { return nil }
                    return reason
                default:
                    return try await find(table, &maker) ? nil : reason
                }
            }
        }
        return reason
    }

    /// The next combination of candidates, like the digits of a number; nil after the last.
    private static func advanced(
        _ choices: [String: Int], _ columns: [String], of table: Catalog.Relation, _ maker: RowMaker
    ) -> [String: Int]? {
        var choices = choices
        for column in table.columns where columns.contains(column.name) {
            let next = (choices[column.name] ?? 0) + 1
            if next < maker.candidates(for: column, in: table).count {
                choices[column.name] = next
                return choices
            }
            choices[column.name] = 0
        }
        return nil
    }

    /// Takes the row that is there already for the tenant, if any.
    private func find(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> Bool {
        let scope = maker.scopeValues(of: table)
        guard !scope.isEmpty else { return false }
        let conditions = scope.map { "\(quoteIdentifier($0.key))::text = \(quoteLiteral($0.value))" }
        let query = "select to_jsonb(t) from \(name(table)) as t where \(conditions.joined(separator: " and ")) limit 1"
        guard case .success(let result) = try await attempt(query, as: nil),
            let row = result.onlyRow?[0].json?.objectValue
        else { return false }
        maker.rows[table.id] = row
        return true
    }

    // MARK: Tables

    private mutating func cross(
        _ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        guard unfilled[table.id] == nil, let theirs = foreign.rows[table.id],
            let key = identity(of: theirs, in: table)
        else {
            let reason = unfilled[table.id] ?? "its rows cannot be told apart: no primary key"
            crossings.append(crossing("sql", table.qualifiedName, .read, .member, .untried(reason), ""))
            return
        }
        // A table without anything of a tenant's is everybody's: a catalogue, a list of countries.
        guard isScoped(table) else { return }
        for caller in [Crossing.Caller.member, .visitor] {
            let identity = caller == .member ? own.tenant : nil
            try await record(
                table, .read, caller, "select * from \(name(table)) where \(key)", identity, count: \.rowCount)
            if let column = changeable(table, by: caller) {
                let change = "update \(name(table)) set \(quoteIdentifier(column)) = \(quoteIdentifier(column))"
                try await damage(table, .update, caller, change, key, identity)
            }
            try await damage(table, .delete, caller, "delete from \(name(table))", key, identity)
            try await insert(table, caller, &own, foreign)
        }
        try await move(table, own, foreign)
        try await reference(table, &own, foreign)
    }

    /// Changes the other's row by its key, then all rows that the policies let through: without a condition no right to
    /// select is needed, and so its policies do not help.
    private mutating func damage(
        _ table: Catalog.Relation, _ action: Crossing.Action, _ caller: Crossing.Caller, _ statement: String,
        _ key: String, _ tenant: ProbeTenant?
    ) async throws {
        let version = "select string_agg(ctid::text || tableoid::text, ',') from \(name(table)) where \(key)"
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
    private func isSmall(_ table: Catalog.Relation) -> Bool { table.estimatedRows < 20_000 }

    /// Whether its rows are of tenants, or hang on rows that are.
    private func isScoped(_ table: Catalog.Relation) -> Bool {
        !catalog.scopeColumns(of: table).isEmpty || !catalog.parentColumns(of: table).isEmpty
    }

    private func changeable(_ table: Catalog.Relation, by caller: Crossing.Caller) -> String? {
        let role = Self.role(of: caller)
        return table.columns.first { column in
            column.updaters.contains(role) && !column.isGenerated && !table.primaryKey.contains(column.name)
        }?.name ?? table.columns.first { $0.updaters.contains(role) && !$0.isGenerated }?.name
    }

    /// A row that says it is the other tenant's.
    private mutating func insert(
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

    private func countQuery(_ table: Catalog.Relation, _ scope: [String: String]) -> String {
        let conditions = scope.map { "\(quoteIdentifier($0.key))::text = \(quoteLiteral($0.value))" }
        return "select count(*) from \(name(table)) where \(conditions.joined(separator: " and "))"
    }

    private func rows(of table: Catalog.Relation, _ scope: [String: String]) async throws -> Int {
        guard !scope.isEmpty, case .success(let result) = try await attempt(countQuery(table, scope), as: nil) else {
            return 0
        }
        return result.onlyRow?[0].int ?? 0
    }

    /// One's own rows, given to the other tenant.
    private mutating func move(
        _ table: Catalog.Relation, _ own: RowMaker, _ foreign: RowMaker
    ) async throws {
        guard let mine = own.rows[table.id], let key = identity(of: mine, in: table) else { return }
        for (column, value) in foreign.scopeValues(of: table).sorted(by: { $0.key < $1.key }) {
            guard table.columns.contains(where: { $0.name == column && $0.updaters.contains("authenticated") }) else {
                continue
            }
            let change = "update \(name(table)) set \(quoteIdentifier(column)) = \(quoteLiteral(value))"
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
    private mutating func reference(
        _ table: Catalog.Relation, _ own: inout RowMaker, _ foreign: RowMaker
    ) async throws {
        for key in catalog.foreignKeys where key.relation == table.id && key.target != table.id {
            guard let target = catalog.relation(key.target), isScoped(target), let theirs = foreign.rows[key.target],
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

    private mutating func record(
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

    // MARK: Files

    /// Objects of each bucket, in the folders that policies usually know their owners by.
    private mutating func crossFiles(_ mine: ProbeTenant, _ other: ProbeTenant) async throws {
        guard let objects = catalog.relations.first(where: { $0.schema == "storage" && $0.name == "objects" }),
            objects.isReachable
        else { return }
        for bucket in catalog.buckets {
            for folder in [other.userID.description, other.tenantID.description] {
                let path = "\(folder)/\(other.marker).txt"
                func insertion(_ path: String, _ owner: ProbeTenant) -> String {
                    """
                    insert into storage.objects (bucket_id, name, owner, owner_id) values (\(quoteLiteral(bucket.id)), \
                    \(quoteLiteral(path)), \(quoteLiteral(owner.userID.description)), \(quoteLiteral(owner.userID.description)))
                    """
                }
                let key = "bucket_id = \(quoteLiteral(bucket.id)) and name = \(quoteLiteral(path))"
                let object = "bucket \(bucket.id), \(folder == other.userID.description ? "user" : "tenant") folder"
                // As the foundation of the attempts, not one of them: it is undone with the savepoint of each.
                let planted = insertion(path, other)
                let statements: [(Crossing.Action, String)] = [
                    // Whoever knows its address reads a public file; the lints speak of listing.
                    (.read, bucket.isPublic ? "" : "select * from storage.objects where \(key)"),
                    (.update, "update storage.objects set user_metadata = '{}' where \(key)"),
                    (.insert, insertion("\(folder)/forged-\(other.marker).txt", mine)),
                ]
                for (action, statement) in statements where !statement.isEmpty {
                    for caller in [Crossing.Caller.member, .visitor] {
                        let outcome = try await attempt(
                            statement, as: caller == .member ? mine : nil, visitor: caller == .visitor, first: planted)
                        var result = Crossing.Outcome.held
                        switch outcome {
                        case .success(let answer): if max(answer.rowCount, answer.affectedRows) > 0 { result = .leaked }
                        case .failure(let error):
                            if let reason = Self.untriedReason(error) { result = .untried(reason) }
                        }
                        crossings.append(crossing("sql", object, action, caller, result, statement, mine))
                    }
                }
            }
        }
    }

    // MARK: Views

    /// Views, materialized views, and the platform's tables that were not tried row by row.
    private func sweptRelations() -> [Catalog.Relation] {
        let tried = Set(tables.map(\.id))
        return catalog.relations.filter { relation in
            !relation.roles(allowed: "SELECT").isEmpty && !tried.contains(relation.id) && !relation.isOfExtension
                && relation.kind != .foreignTable && !relation.isPartition && relation.schema != "extensions"
        }
    }

    private func refresh(_ view: Catalog.Relation) async throws {
        // Kept for the rest of the transaction; a view that cannot be refreshed is swept as it is.
        do {
            try await transaction.run(["savepoint refreshed"])
            try await transaction.run([PostgresQuery(sql: "refresh materialized view \(name(view))")])
        } catch {
            try await transaction.run(["rollback to savepoint refreshed"])
        }
    }

    private mutating func sweep(
        _ view: Catalog.Relation, _ caller: Crossing.Caller, _ mine: ProbeTenant, _ other: ProbeTenant
    ) async throws {
        let columns = view.columns.filter { $0.readers.contains(Self.role(of: caller)) }.map {
            quoteIdentifier($0.name)
        }
        guard !columns.isEmpty else { return }
        let marks = other.marks.map { quoteLiteral("%\($0)%") }.joined(separator: ", ")
        let statement =
            "select 1 from (select \(columns.joined(separator: ", ")) from \(name(view))) as t where to_jsonb(t)::text like any (array[\(marks)]) limit 1"
        try await record(
            view, .read, caller, statement, caller == .member ? mine : nil, count: \.rowCount)
    }

    // MARK: Functions

    private func calledFunctions() -> [Catalog.Function] {
        catalog.projectFunctions.filter {
            !$0.isTrigger && !$0.callers.isEmpty && settings.exposedSchemas.contains($0.schema)
        }
    }

    /// Calls a function for the other tenant, and looks for the other tenant in its answer and at what became of its rows.
    private mutating func call(
        _ function: Catalog.Function, _ mine: ProbeTenant, _ other: ProbeTenant, _ foreign: RowMaker
    ) async throws {
        let statement = "select to_jsonb(r)::text from \(Self.callText(function, naming: other)) as r"
        for caller in [Crossing.Caller.member, .visitor] where function.callers.contains(Self.role(of: caller)) {
            let before = try await fingerprint(foreign)
            let answered = try await attempt(statement, as: caller == .member ? mine : nil, visitor: caller == .visitor)
            let touched = try await attempt(
                statement, as: caller == .member ? mine : nil, visitor: caller == .visitor,
                then: fingerprintQuery(foreign))
            var outcome = Crossing.Outcome.held
            switch answered {
            case .success(let result):
                let showed = result.rows.contains { row in
                    // What it was called with may come back: only what was not sent counts.
                    let text = row[0].string ?? ""
                    return text.contains(other.marker)
                }
                var changed = false
                if case .success(let after) = touched { changed = after.onlyRow?[0].string != before }
                if showed || changed { outcome = .leaked }
            case .failure(let error):
                if let reason = Self.untriedReason(error) { outcome = .untried(reason) }
            }
            crossings.append(
                crossing(
                    "sql", function.signature, .call, caller, outcome, statement, caller == .member ? mine : nil))
        }
    }

    /// The call with each argument named: the other tenant's ids where a name asks for them.
    private static func callText(_ function: Catalog.Function, naming other: ProbeTenant) -> String {
        let arguments = zip(function.argumentNames, function.argumentTypes).map { name, type -> String in
            let asksForTenant = ["tenant", "org", "team", "workspace", "company"].contains {
                name.lowercased().contains($0)
            }
            let value: String? =
                switch type {
                case "uuid": (asksForTenant ? other.tenantID : other.userID).description
                case "text", "character varying", "citext":
                    name.lowercased().contains("mail")
                        ? other.email : asksForTenant ? other.tenantID.description : other.userID.description
                case "integer", "bigint", "smallint", "numeric", "real", "double precision": "1"
                case "boolean": "true"
                case "json", "jsonb": "{}"
                case let array where array.hasSuffix("[]"): "{}"
                default: nil
                }
            let literal = value.map { "\(quoteLiteral($0))::\(type)" } ?? "null::\(type)"
            return name.isEmpty ? literal : "\(quoteIdentifier(name)) => \(literal)"
        }
        return
            "\(quoteIdentifier(function.schema)).\(quoteIdentifier(function.name))(\(arguments.joined(separator: ", ")))"
    }

    /// All rows of a tenant's, as one number.
    private func fingerprintQuery(_ maker: RowMaker) -> String {
        let parts = tables.compactMap { table -> String? in
            guard let row = maker.rows[table.id], let key = identity(of: row, in: table) else { return nil }
            return
                "(select string_agg(to_jsonb(t)::text, '' order by to_jsonb(t)::text) from \(name(table)) as t where \(key))"
        }
        return parts.isEmpty ? "select ''" : "select md5(concat_ws('|', \(parts.prefix(90).joined(separator: ", "))))"
    }

    private func fingerprint(_ maker: RowMaker) async throws -> String? {
        guard case .success(let result) = try await attempt(fingerprintQuery(maker), as: nil) else { return nil }
        return result.onlyRow?[0].string
    }

    // MARK: Attempts

    /// Runs a statement as somebody and undoes it.
    ///
    /// - Parameters:
    ///   - tenant: whose member asks; nil with `visitor` false for the probe itself, whose work stays.
    ///   - first: what the probe does before, undone too.
    ///   - then: what the probe asks afterwards; its result is returned instead.
    private func attempt(
        _ statement: String, as tenant: ProbeTenant?, visitor: Bool = false, first: String? = nil, then: String? = nil
    ) async throws -> Result<PostgresResult, PostgresError> {
        let stays = tenant == nil && !visitor
        let claims = tenant?.claims.text ?? #"{"role": "anon"}"#
        var queries: [PostgresQuery] = ["savepoint attempt"]
        if let first { queries.append(PostgresQuery(sql: first)) }
        if !stays {
            queries.append(
                "select set_config('role', \(tenant == nil ? "anon" : "authenticated"), true), set_config('request.jwt.claims', \(claims), true)"
            )
        }
        queries.append(PostgresQuery(sql: statement))
        if let then {
            queries.append("select set_config('role', 'none', true)")
            queries.append(PostgresQuery(sql: then))
        }
        do {
            let results = try await transaction.run(queries)
            if stays {
                try await transaction.run(["release savepoint attempt"])
            } else {
                try await transaction.run(["rollback to savepoint attempt"])
            }
            guard let last = results.last else { return .failure(PostgresError(.misuse, "nothing was answered")) }
            return .success(last)
        } catch {
            try await transaction.run(["rollback to savepoint attempt"])
            return .failure(error)
        }
    }

    /// Policies are asked before constraints: what a constraint refuses had passed them.
    private static func passedPolicies(_ error: PostgresError) -> Bool { error.sqlState?.hasPrefix("23") ?? false }

    /// What kept an attempt from being one: a fault of the statement, or its time. A refusal for want of privileges or by a
    /// policy is an answer.
    private static func untriedReason(_ error: PostgresError) -> String? {
        switch error.sqlState {
        // Insufficient privilege; a policy's check has the same code.
        case "42501": nil
        // Raised by a trigger or function of the project.
        case "P0001", "28000", "22023": nil
        case "57014": "it took too long"
        default: error.message
        }
    }

    // MARK: Words

    private static func role(of caller: Crossing.Caller) -> String { caller == .member ? "authenticated" : "anon" }

    private func name(_ relation: Catalog.Relation) -> String {
        "\(quoteIdentifier(relation.schema)).\(quoteIdentifier(relation.name))"
    }

    /// The condition that finds one row.
    private func identity(of row: JSONObject, in table: Catalog.Relation) -> String? {
        guard !table.primaryKey.isEmpty else { return nil }
        let parts = table.primaryKey.compactMap { column -> String? in
            guard let value = row[column].flatMap(RowMaker.text),
                let type = table.columns.first(where: { $0.name == column })?.type
            else { return nil }
            return "\(quoteIdentifier(column)) = \(quoteLiteral(value))::\(type)"
        }
        return parts.count == table.primaryKey.count ? parts.joined(separator: " and ") : nil
    }

    private func crossing(
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

    private static func fix(_ action: Crossing.Action, _ caller: Crossing.Caller) -> String {
        if caller == .visitor {
            return "Name authenticated in the policy's `to`, and revoke from anon what visitors need not."
        }
        return switch action {
        case .read:
            "Compare the row's tenant or owner with the caller in the policy for select; security_invoker for a view."
        case .insert: "Compare the tenant or owner of the new row with the caller in `with check`."
        case .update: "Compare the row's tenant or owner with the caller in the policy for update."
        case .delete: "Compare the row's tenant or owner with the caller in the policy for delete."
        case .move: "Repeat the condition of `using` in `with check`."
        case .reference: "Put the tenant column into the foreign key, or look the target up in `with check`."
        case .call: "Take the tenant or person from the token in the function, or make it security invoker."
        }
    }
}
