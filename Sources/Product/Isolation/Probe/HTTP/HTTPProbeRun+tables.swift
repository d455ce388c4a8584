// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Postgres
internal import Primitives

extension HTTPProbeRun {
    /// Every table and view of the API, by REST.
    mutating func crossTables() async throws {
        progress.begin("rows")
        let ordered = tablesToFill()
        let run = self
        let filler = RowFiller { statement in await run.run(statement) }
        var unfilled: [Int: String] = [:]
        for table in ordered {
            // What is nobody's is made once and stands for both.
            if let reason = try await fill(table, &own) { unfilled[table.id] = reason }
            if catalog.isShared(table) {
                foreign.rows[table.id] = own.rows[table.id]
            } else if let reason = try await fill(table, &foreign) {
                unfilled[table.id] = reason
            }
        }
        let views = catalog.exposed(settings).filter {
            $0.kind != .table && $0.kind != .partitioned && $0.kind != .foreignTable
        }
        let total = ordered.count + views.count
        // Those that point at others first: a leak that deletes rows may take along what points at them.
        for (index, table) in ordered.reversed().enumerated() {
            try progress.step("rest", index, of: total)
            guard catalog.isScoped(table), settings.exposedSchemas.contains(table.schema) else { continue }
            guard unfilled[table.id] == nil, let theirs = foreign.rows[table.id], table.identity(of: theirs) != nil
            else {
                untried(
                    "rest", table.qualifiedName, .read,
                    unfilled[table.id] ?? "its rows cannot be told apart: no primary key")
                continue
            }
            try await cross(table, theirs, filler)
        }
        for (index, view) in views.enumerated() {
            try progress.step("rest", ordered.count + index, of: total)
            try await cross(view: view)
        }
    }

    /// Tenants' tables that the API serves, and what their rows point at.
    private func tablesToFill() -> [Catalog.Relation] {
        let served = catalog.probedTables.filter {
            catalog.isProjectTable($0) && catalog.isScoped($0) && settings.exposedSchemas.contains($0.schema)
        }
        // What is made here is committed: the platform's own tables get no rows but those of its services.
        return catalog.withTargets(served, where: catalog.isProjectTable)
    }

    /// Makes a row and remembers it, so that it goes even where nothing in it says whose it is.
    private func fill(_ table: Catalog.Relation, _ maker: inout RowMaker) async throws -> String? {
        let run = self
        let tenant = maker.tenant
        let filler = RowFiller { statement in await run.run(statement, for: tenant) }
        let reason = try await filler.fill(table, &maker)
        if reason == nil, let identity = maker.rows[table.id].flatMap(table.identity) {
            made.rows.append((table, identity))
        }
        return reason
    }

    private mutating func cross(_ table: Catalog.Relation, _ theirs: JSONObject, _ filler: RowFiller) async throws {
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            try await read(table, theirs, caller)
            try await count(table, theirs, caller)
            try await insert(table, caller)
        }
        try await embed(table, theirs)
        try await compute(table)
        try await reference(table, filler)
        try await guess(table, theirs)
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            try await change(table, .update, caller, filler)
            try await upsert(table, caller, filler)
        }
        try await move(table, filler)
        for caller in [ProbeRequest.Caller.member(mine), .visitor] {
            try await change(table, .delete, caller, filler)
        }
    }

    private func path(_ table: Catalog.Relation, _ query: String = "") -> String {
        "/rest/v1/\(encoded(table.name))" + (query.isEmpty ? "" : "?\(query)")
    }

    private func request(
        _ method: HTTPMethod, _ table: Catalog.Relation, _ query: String, as caller: ProbeRequest.Caller
    ) -> ProbeRequest {
        let request = ProbeRequest(method, path(table, query), as: caller)
        if table.schema == settings.exposedSchemas.first { return request }
        return request.with(method == .get || method == .head ? "accept-profile" : "content-profile", table.schema)
    }

    private func role(_ caller: ProbeRequest.Caller) -> String {
        if case .member = caller { "authenticated" } else { "anon" }
    }

    /// The filter that names one row by its key.
    private func key(_ table: Catalog.Relation, _ row: JSONObject) -> String {
        table.primaryKey.compactMap { name in
            row[name].flatMap(RowMaker.text).map { "\(encoded(name))=eq.\(encoded($0))" }
        }.joined(separator: "&")
    }

    // MARK: Reading

    private mutating func read(_ table: Catalog.Relation, _ theirs: JSONObject, _ caller: ProbeRequest.Caller)
        async throws
    {
        guard table.allows("SELECT", to: role(caller)) else { return }
        var forms = ReadForm.all(of: table, theirs, own.rows[table.id] ?? [:], by: role(caller))
        // Forms are translated the same for everybody: a visitor tries the plain ones.
        if case .visitor = caller { forms = Array(forms.prefix(6)) }
        let requests = forms.map { form in
            form.headers.reduce(request(.get, table, form.query, as: caller)) { $0.with($1.name, $1.value) }
        }
        let keys = table.primaryKey
        try await attempt("rest", table.qualifiedName, .read, all: requests) { answer in
            // Most answers are an empty list, which is no reason to parse them.
            guard answer.isSuccess, answer.body.count > 2 else { return false }
            let rows = answer.json.arrayValue ?? [answer.json]
            return rows.contains { row in keys.allSatisfy { row[$0] != nil && row[$0] == theirs[$0] } }
        }
    }

    /// Totals and estimates: what they say of the other's row against what they say of one that is not there.
    private mutating func count(_ table: Catalog.Relation, _ theirs: JSONObject, _ caller: ProbeRequest.Caller)
        async throws
    {
        guard table.allows("SELECT", to: role(caller)), table.primaryKey.count == 1,
            table.column(table.primaryKey[0])?.type == "uuid",
            table.column(table.primaryKey[0])?.readers.contains(role(caller)) ?? false
        else { return }
        let name = encoded(table.primaryKey[0])
        let kinds = ["exact", "planned", "estimated"]
        let controls = kinds.map { kind in
            request(.head, table, "\(name)=eq.\(UUID.random())", as: caller).with("prefer", "count=\(kind)")
        }
        for (kind, control) in zip(kinds, try await server.send(controls, by: client)) {
            let expected = control.total
            let asked = request(.head, table, key(table, theirs), as: caller).with("prefer", "count=\(kind)")
            try await attempt("rest", table.qualifiedName, .count, asked) { $0.isSuccess && $0.total != expected }
        }
    }

    /// The other's rows inside of one's own, along each foreign key, both ways.
    private mutating func embed(_ table: Catalog.Relation, _ theirs: JSONObject) async throws {
        let mine = ProbeRequest.Caller.member(mine)
        for key in catalog.foreignKeys(of: table) {
            guard let target = catalog.relation(key.target), target.schema == table.schema, target.id != table.id,
                !target.roles(allowed: "SELECT").isEmpty, table.allows("SELECT", to: "authenticated")
            else { continue }
            let object = "\(table.qualifiedName) (\(key.name))"
            let hint = "\(encoded(target.name))!\(encoded(key.name))"
            let back = "\(encoded(table.name))!\(encoded(key.name))"
            let requests = [
                (table, "select=*,\(hint)(*)&limit=100"), (target, "select=*,\(back)(*)&limit=100"),
                (table, "select=*,...\(hint)(*)&limit=100"),
            ].map { relation, query in request(.get, relation, query, as: mine) }
            try await attempt("rest", object, .embed, all: requests) { _ in false }
            if catalog.isScoped(target),
                let value = foreign.rows[target.id]?[target.primaryKey.first ?? ""].flatMap(RowMaker.text),
                let name = target.primaryKey.first
            {
                let filter = "\(encoded(target.name)).\(encoded(name))=eq.\(encoded(value))"
                let query = "select=*,\(hint)!inner(*)&\(filter)"
                try await attempt("rest", object, .embed, request(.get, table, query, as: mine)) { answer in
                    answer.isSuccess && !(answer.json.arrayValue ?? []).isEmpty
                }
            }
        }
    }

    private mutating func cross(view: Catalog.Relation) async throws {
        for caller in [ProbeRequest.Caller.member(mine), .visitor] where view.allows("SELECT", to: role(caller)) {
            let found = try await attempt(
                "rest", view.qualifiedName, .read, request(.get, view, "select=*", as: caller)
            ) { _ in false }
            if found.isLeak { continue }
            // More rows than one answer holds are asked for by what could name the other.
            for column in view.columns where column.readers.contains(role(caller)) {
                let values: [String] =
                    switch column.type {
                    case "uuid": [other.tenant.userID.description, other.tenant.tenantID.description]
                    case "text", "character varying": [other.tenant.userID.description, other.tenant.email]
                    default: []
                    }
                guard !values.isEmpty else { continue }
                let list = values.map { "\"\($0)\"" }.joined(separator: ",")
                let query = "\(encoded(column.name))=in.(\(encoded(list)))"
                try await attempt("rest", view.qualifiedName, .read, request(.get, view, query, as: caller)) { answer in
                    answer.isSuccess && !(answer.json.arrayValue ?? []).isEmpty
                }
            }
        }
    }

    // MARK: Writing

    /// Rows that say they are the other's: alone, in a list, as CSV.
    private mutating func insert(_ table: Catalog.Relation, _ caller: ProbeRequest.Caller) async throws {
        guard table.allows("INSERT", to: role(caller)) else { return }
        let scope = ownership(table, foreign)
        guard !scope.isEmpty else { return }
        let condition = table.condition(scope)
        let count = "select count(*) from \(table.quotedName) where \(condition)"
        var before = await value(count)
        for form in ["minimal", "representation", "list", "csv"] {
            let body = foreign.body(for: table, by: role(caller))
            var request = request(.post, table, "", as: caller)
            switch form {
            case "list": request = request.json([.object(own.body(for: table, by: role(caller))), .object(body)])
            case "csv":
                guard !body.contains(where: { $0.value.stringValue == nil }) else { continue }
                let names = body.names.joined(separator: ",")
                let values = body.map { "\"\(($0.value.stringValue ?? "").replacing("\"", with: "\"\""))\"" }
                request = request.with("content-type", "text/csv").bytes(
                    Array("\(names)\n\(values.joined(separator: ","))\n".utf8))
            default: request = request.json(.object(body)).with("prefer", "return=\(form)")
            }
            let run = self
            let known = before
            let found = try await attempt("rest", table.qualifiedName, .insert, request) { _ in
                await run.value(count) != known
            }
            if found.isLeak { return }
            if found.answer.isSuccess {
                await forget(table)
                before = await value(count)
            }
        }
    }

    /// Removes a row that was taken as somebody else's than it said: it holds the other's mark, which would look like a leak later.
    private func forget(_ table: Catalog.Relation) async {
        let scope = table.condition(ownership(table, foreign))
        _ = await run(
            "delete from \(table.quotedName) as t where t::text like \(quoteLiteral("%\(other.tenant.marker)%")) and not coalesce(\(scope.isEmpty ? "false" : scope), false)"
        )
    }

    /// What makes a row of the table a tenant's: its own columns, or those that lead to its rows elsewhere.
    private func ownership(_ table: Catalog.Relation, _ maker: RowMaker) -> [String: String] {
        let scope = maker.scopeValues(of: table)
        guard scope.isEmpty else { return scope }
        let parents = Set(catalog.parentColumns(of: table) + catalog.scopeColumns(of: table))
        return maker.foreignValues(of: table).filter { parents.contains($0.key) }
    }

    /// Where the row is and in which version; nil where there is none.
    private func version(_ table: Catalog.Relation, _ identity: String) async -> String? {
        await value("select xmin::text || ctid::text || tableoid::text from \(table.quotedName) where \(identity)")
    }

    /// Makes a tenant's row anew where an attempt has taken it.
    private mutating func restore(_ table: Catalog.Relation, _ filler: RowFiller) async throws {
        for isForeign in [false, true] {
            var maker = isForeign ? foreign : own
            if let row = maker.rows[table.id], let identity = table.identity(of: row) {
                let scope = table.condition(ownership(table, maker))
                let still = scope.isEmpty ? identity : "\(identity) and \(scope)"
                if await value("select 1 from \(table.quotedName) where \(still)") != nil { continue }
            }
            maker.rows[table.id] = nil
            _ = try await fill(table, &maker)
            if isForeign { foreign = maker } else { own = maker }
        }
    }

    /// Updates and deletes the other's row by its key, never more.
    private mutating func change(
        _ table: Catalog.Relation, _ action: Crossing.Action, _ caller: ProbeRequest.Caller, _ filler: RowFiller
    ) async throws {
        guard table.allows(action == .update ? "UPDATE" : "DELETE", to: role(caller)),
            let theirs = foreign.rows[table.id], let identity = table.identity(of: theirs)
        else { return }
        var request = request(action == .update ? .patch : .delete, table, key(table, theirs), as: caller)
        if action == .update {
            guard let column = table.changeableColumn(by: role(caller)), let value = theirs[column] else { return }
            request = request.json([column: value])
        }
        let before = await version(table, identity)
        let run = self
        let found = try await attempt("rest", table.qualifiedName, action, request) { _ in
            await run.version(table, identity) != before
        }
        if found.isLeak { try await restore(table, filler) }
    }

    /// An insert that takes the place of the other's row.
    private mutating func upsert(
        _ table: Catalog.Relation, _ caller: ProbeRequest.Caller, _ filler: RowFiller
    ) async throws {
        guard table.allows("INSERT", to: role(caller)), let theirs = foreign.rows[table.id],
            let identity = table.identity(of: theirs),
            table.primaryKey.allSatisfy({ table.column($0)?.inserters.contains(role(caller)) ?? false })
        else { return }
        let values = Dictionary(
            table.primaryKey.compactMap { name in theirs[name].flatMap(RowMaker.text).map { (name, $0) } }
        ) { first, _ in first }
        for claimsToBeTheirs in [false, true] {
            var maker = claimsToBeTheirs ? foreign : own
            let body = maker.body(for: table, values: values, by: role(caller))
            if claimsToBeTheirs { foreign = maker } else { own = maker }
            for request in [
                request(.post, table, "", as: caller).json(.object(body)).with("prefer", "resolution=merge-duplicates"),
                request(.post, table, "", as: caller).json(.object(body)).with(
                    "prefer", "resolution=ignore-duplicates,return=representation"),
                request(.put, table, key(table, theirs), as: caller).json(.object(body)),
            ] {
                let before = await version(table, identity)
                let run = self
                let found = try await attempt("rest", table.qualifiedName, .upsert, request) { _ in
                    await run.version(table, identity) != before
                }
                if found.isLeak {
                    try await restore(table, filler)
                    return
                }
                if found.answer.isSuccess { await forget(table) }
            }
        }
    }

    /// One's own row, made the other's.
    private mutating func move(_ table: Catalog.Relation, _ filler: RowFiller) async throws {
        guard table.allows("UPDATE", to: "authenticated") else { return }
        for (column, value) in foreign.scopeValues(of: table).sorted(by: { $0.key < $1.key }) {
            guard let mine = own.rows[table.id], let identity = table.identity(of: mine),
                let place = table.column(column), place.updaters.contains("authenticated"), !place.isGenerated
            else { continue }
            let request = request(.patch, table, key(table, mine), as: .member(self.mine)).json([column: .string(value)]
            )
            let moved = "select 1 from \(table.quotedName) where \(identity) and \(table.condition([column: value]))"
            let run = self
            let found = try await attempt("rest", table.qualifiedName, .move, request) { _ in
                await run.value(moved) != nil
            }
            if found.isLeak { try await restore(table, filler) }
        }
    }

    /// One's own row that points at the other's.
    private mutating func reference(_ table: Catalog.Relation, _ filler: RowFiller) async throws {
        guard table.allows("INSERT", to: "authenticated") else { return }
        let scope = catalog.scopeColumns(of: table)
        for key in catalog.foreignKeys(of: table) where key.target != table.id {
            guard let target = catalog.relation(key.target), catalog.isScoped(target),
                let theirs = foreign.rows[key.target], Set(key.columns).isDisjoint(with: scope)
            else { continue }
            var values = own.scopeValues(of: table)
            for (column, name) in zip(key.columns, key.targetColumns) {
                values[column] = theirs[name].flatMap(RowMaker.text)
            }
            let choices = try await filler.choices(for: table, own, with: values)
            let body = own.body(for: table, choices: choices, values: values, by: "authenticated")
            let request = request(.post, table, "", as: .member(mine)).json(.object(body))
            let object = "\(table.qualifiedName) (\(key.name))"
            try await attempt("rest", object, .reference, request) { $0.isSuccess }
            try await turn(table, key, values, object)
        }
    }

    /// One's own row that is there already, turned to the other's.
    private mutating func turn(
        _ table: Catalog.Relation, _ foreignKey: Catalog.ForeignKey, _ values: [String: String], _ object: String
    ) async throws {
        guard let row = own.rows[table.id], let identity = table.identity(of: row),
            foreignKey.columns.allSatisfy({ table.column($0)?.updaters.contains("authenticated") ?? false })
        else { return }
        let change = JSONObject(foreignKey.columns.compactMap { name in values[name].map { (name, .string($0)) } })
        guard change.count == foreignKey.columns.count else { return }
        let columns = foreignKey.columns.map(quoteIdentifier)
        let names = columns.map { "\($0)::text" }.joined(separator: ", ")
        let state = "select concat_ws('|', \(names)) from \(table.quotedName) where \(identity)"
        let before = await value(state)
        let request = request(.patch, table, key(table, row), as: .member(mine)).json(.object(change))
        let run = self
        let found = try await attempt("rest", object, .reference, request) { _ in await run.value(state) != before }
        guard found.isLeak else { return }
        let earlier = foreignKey.columns.map { name in
            "\(quoteIdentifier(name)) = \(row[name].flatMap(RowMaker.text).map(quoteLiteral) ?? "null")"
        }
        _ = await self.run("update \(table.quotedName) set \(earlier.joined(separator: ", ")) where \(identity)")
    }

    /// What functions of a row make of one's own: a computed column, or rows that it leads to.
    private mutating func compute(_ table: Catalog.Relation) async throws {
        guard table.allows("SELECT", to: "authenticated"), own.rows[table.id] != nil else { return }
        for function in catalog.functions(of: table, settings) where function.callers.contains("authenticated") {
            let name = encoded(function.name)
            let requests = ["select=*,\(name)&limit=100", "select=*,\(name)(*)&limit=100"].map {
                request(.get, table, $0, as: .member(mine))
            }
            try await attempt("rest", function.signature, .call, all: requests) { _ in false }
        }
    }

    /// A value of the other's that must be unique, guessed: the refusal tells that it exists.
    private mutating func guess(_ table: Catalog.Relation, _ theirs: JSONObject) async throws {
        guard table.allows("INSERT", to: "authenticated") else { return }
        let scope = Set(catalog.scopeColumns(of: table) + catalog.parentColumns(of: table))
        for index in catalog.indexes where index.relation == table.id && index.isUnique && !index.isPrimary {
            let names = index.columns.compactMap { $0 }
            guard names.count == index.columns.count, scope.isDisjoint(with: names),
                names.contains(where: { table.column($0)?.type != "uuid" })
            else { continue }
            let values = Dictionary(
                names.compactMap { name in theirs[name].flatMap(RowMaker.text).map { (name, $0) } }
            ) { first, _ in first }
            guard values.count == names.count else { continue }
            let body = own.body(for: table, values: values, by: "authenticated")
            let request = request(.post, table, "", as: .member(mine)).json(.object(body))
            let object = "\(table.qualifiedName) (\(index.name))"
            try await attempt("rest", object, .count, request) { $0.json["code"]?.stringValue == "23505" }
            // The same without an error: what is left out is there.
            let onConflict = "on_conflict=\(encoded(names.joined(separator: ",")))"
            let quiet = self.request(.post, table, onConflict, as: .member(mine)).json(.object(body)).with(
                "prefer", "resolution=ignore-duplicates,return=representation")
            try await attempt("rest", object, .count, quiet) { answer in
                answer.isSuccess && answer.json.arrayValue?.isEmpty == true
            }
        }
    }
}
