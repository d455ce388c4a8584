// SPDX-License-Identifier: Apache-2.0

/// Resolves the names of a request against the schema cache.
struct Planner {
    let cache: SchemaCache
    let configuration: RESTConfiguration
    let request: APIRequest
    private var aliasCount = 0
    /// Columns of the answer's rows so far, at all levels.
    private var columnCount = 0
    /// How many columns rows may have, which is PostgreSQL's own limit for one list.
    private static let maxColumnsInRow = 1_664
    /// How many columns all levels may have together: each is written out once for every level it is spread into.
    private static let maxColumns = 50_000
    /// Relations that filters or ranges call by their own name though they are renamed, with the name they have.
    private(set) var formerNames: [String: String] = [:]

    init(cache: SchemaCache, configuration: RESTConfiguration, request: APIRequest) {
        self.cache = cache
        self.configuration = configuration
        self.request = request
    }

    // MARK: Reading

    /// The plan of a GET or HEAD of a relation.
    mutating func read(_ name: String) throws(RESTError) -> Plan {
        // A relation that is not there is said first, as it matters more than the form of the answer.
        let relation = try relation(name)
        let form = try form(for: [relation.name])
        let read = try readPlan(of: relation, filtersTarget: true)
        return Plan(
            source: .relation, read: read, body: request.isHead ? .none : Self.body(form), media: form.media,
            handler: form.handler, count: request.preferences.count, maxRows: configuration.maxRows, locationKey: nil)
    }

    func relation(_ name: String) throws(RESTError) -> Relation {
        let qualified = QualifiedName(schema: request.schema, name: name)
        guard let relation = cache.relations[qualified] else {
            throw .noRelation(
                schema: request.schema, name: name,
                suggestion: cache.similarRelation(to: name, in: request.schema))
        }
        return relation
    }

    private mutating func readPlan(of relation: Relation, filtersTarget: Bool) throws(RESTError) -> ReadPlan {
        var plan = ReadPlan(
            relation: relation.name, alias: relation.name.name, columns: relation.columns, fields: [])
        try fill(&plan, with: request.query.select ?? [.field(SelectField(field: FieldPath(name: "*")))])
        try attach(to: &plan, filtersTarget: filtersTarget)
        return plan
    }

    private mutating func fill(_ plan: inout ReadPlan, with items: [SelectItem]) throws(RESTError) {
        for item in items {
            switch item {
            case .field(let field):
                guard field.aggregate == nil || configuration.allowsAggregates else { throw .aggregatesDisabled }
                plan.fields.append(field)
            case .relation(let relation): plan.embeds.append(try embed(relation, in: plan))
            }
        }
        let width = Self.width(of: plan)
        columnCount += width
        guard width <= Self.maxColumnsInRow, columnCount <= Self.maxColumns else {
            throw .syntax(
                message: "\"failed to parse select parameter\" (line 1, column 1)",
                details: "more than \(Self.maxColumnsInRow) columns in a row, or \(Self.maxColumns) in all")
        }
    }

    /// How many columns a plan's rows have.
    private static func width(of plan: ReadPlan) -> Int {
        let fields = plan.fields.reduce(0) { sum, field in
            sum + (field.aggregate == nil && field.field?.isWholeRow ?? false ? max(1, plan.columns.count) : 1)
        }
        return plan.embeds.reduce(fields) { $0 + ($1.isSpread ? width(of: $1.plan) : 1) }
    }

    private mutating func embed(_ selected: SelectRelation, in parent: ReadPlan) throws(RESTError) -> ReadPlan.Embed {
        let relationship = try relationship(from: parent, to: selected)
        // Names of more than 63 bytes are cut by PostgreSQL; a short stem leaves room for the number that makes them differ.
        let stem = String(relationship.target.name.prefix(12))
        aliasCount += 1
        // The relation around all others has the one name here that is not made by number.
        if case .relation("\(stem)_\(aliasCount)") = request.target { aliasCount += 1 }
        let number = aliasCount
        let target = cache.relations[relationship.target]
        var plan = ReadPlan(
            relation: relationship.target, alias: "\(stem)_\(number)", columns: target?.columns ?? [], fields: [])
        try fill(&plan, with: selected.items)
        if selected.isSpread, !relationship.isToOne, plan.aggregates {
            throw .notImplemented("Aggregates are not implemented for one-to-many or many-to-many spreads.")
        }
        return ReadPlan.Embed(
            name: selected.alias ?? selected.name, relationship: relationship, alias: "_embed_\(number)",
            junctionAlias: "_junction_\(number)", isInner: selected.join == .inner, isSpread: selected.isSpread,
            isHidden: plan.fields.isEmpty && plan.embeds.allSatisfy(\.isHidden), plan: plan)
    }

    // MARK: Relationships

    private func relationship(
        from parent: ReadPlan, to selected: SelectRelation
    ) throws(RESTError) -> Relationship {
        let parentName = parent.relation ?? resultRelation ?? QualifiedName(schema: request.schema, name: parent.alias)
        let known = cache.relationships[parentName] ?? []
        // A computed relationship stands in for what keys would say of the same name.
        if let computed = known.first(where: { $0.isComputed(named: selected.name) }) { return computed }
        let found = known.filter { matches($0, selected) }
        if found.count == 1 { return found[0] }
        if found.isEmpty {
            throw .noRelationship(
                .init(
                    parent: parentName.name, child: selected.name, hint: selected.hint, schema: request.schema,
                    suggestion: suggestion(parentName, selected.name)))
        }
        let candidates = found.filter(\.startsAtKeyTarget) + found.filter { !$0.startsAtKeyTarget }
        throw .ambiguousRelationship(
            parent: parentName.name, child: selected.name,
            candidates: candidates.compactMap { Self.candidate($0) })
    }

    /// A neighbour named like the child; where the parent has no neighbours, a relation named like the parent that has.
    private func suggestion(
        _ parent: QualifiedName, _ child: String
    ) -> RESTError.MissingRelationship.Suggestion? {
        guard let known = cache.relationships[parent] else {
            let parents = cache.relationships.keys.lazy.filter { $0.schema == request.schema }.map(\.name)
            return Similarity.best(of: parents, to: parent.name, threshold: Similarity.nameThreshold).map {
                .init(similar: $0, mistaken: parent.name)
            }
        }
        let neighbours = known.map(\.target.name)
        // Then the name was right, and the hint was not.
        guard !neighbours.contains(where: { $0.lowercased() == child.lowercased() }) else { return nil }
        return Similarity.best(of: neighbours, to: child, threshold: Similarity.looseThreshold).map {
            .init(similar: $0, mistaken: child)
        }
    }

    /// The relation whose rows a function returns, while a call is planned.
    private var resultRelation: QualifiedName?

    private func matches(_ relationship: Relationship, _ selected: SelectRelation) -> Bool {
        guard relationship.target.schema == request.schema else { return false }
        if case .computed = relationship.kind { return false }
        // Of a relation's relationships with itself, the relation's own name means the rows that refer to this one; the row referred to
        // goes by the foreign key or its column, and what a junction joins by the junction.
        let isOwn = relationship.source == relationship.target
        if isOwn, selected.hint == nil, case .manyToMany = relationship.kind { return false }
        let isTarget = relationship.target.name == selected.name && !(isOwn && relationship.refersToTarget)
        if let hint = selected.hint {
            return isTarget && Self.isNamed(hint, relationship)
        }
        if isTarget { return true }
        // The key's own names mean the tables it is between, not the views that show it.
        if cache.relations[relationship.target]?.isTable == false { return false }
        // A to-one relationship may go by its foreign key or by the column that holds it.
        switch relationship.kind {
        case .manyToOne(let link), .oneToOne(let link, _):
            return link.constraint == selected.name || link.pairs.count == 1 && link.pairs[0].from == selected.name
        case .oneToMany(let link): return link.constraint == selected.name && !isOwn
        case .manyToMany, .computed: return false
        }
    }

    private static func isNamed(_ hint: String, _ relationship: Relationship) -> Bool {
        switch relationship.kind {
        case .manyToOne(let link), .oneToOne(let link, _), .oneToMany(let link):
            link.constraint == hint
                || link.pairs.count == 1 && (link.pairs[0].from == hint || link.pairs[0].to == hint)
        case .manyToMany(let junction, _, _): junction.name == hint
        case .computed: false
        }
    }

    private static func candidate(_ relationship: Relationship) -> RESTError.AmbiguousRelationship? {
        let name = relationship.target.name
        func columns(_ pairs: [Relationship.Pair], _ side: KeyPath<Relationship.Pair, String>) -> String {
            pairs.map { $0[keyPath: side] }.joined(separator: ", ")
        }
        func using(_ link: Relationship.Link) -> String {
            "\(link.constraint) using \(relationship.source.name)(\(columns(link.pairs, \.from))) and \(relationship.target.name)(\(columns(link.pairs, \.to)))"
        }
        let embedding = "\(relationship.source.name) with \(relationship.target.name)"
        switch relationship.kind {
        case .manyToOne(let link):
            return .init(
                cardinality: "many-to-one", relationship: using(link), embedding: embedding,
                suggestion: "\(name)!\(link.constraint)")
        case .oneToOne(let link, _):
            return .init(
                cardinality: "one-to-one", relationship: using(link), embedding: embedding,
                suggestion: "\(name)!\(link.constraint)")
        case .oneToMany(let link):
            return .init(
                cardinality: "one-to-many", relationship: using(link), embedding: embedding,
                suggestion: "\(name)!\(link.constraint)")
        case .manyToMany(let junction, let source, let target):
            return .init(
                cardinality: "many-to-many",
                relationship:
                    "\(junction.name) using \(source.constraint)(\(columns(source.pairs, \.to))) and \(target.constraint)(\(columns(target.pairs, \.from)))",
                embedding: embedding, suggestion: "\(name)!\(junction.name)")
        case .computed: return nil
        }
    }

    // MARK: Filters, order and ranges

    /// Hangs what the query says of the target and of embedded relations on their plans.
    private mutating func attach(to plan: inout ReadPlan, filtersTarget: Bool) throws(RESTError) {
        let query = request.query
        for filter in query.filters where filtersTarget || !filter.path.isEmpty {
            try update(&plan, filter.path[...]) { $0.filters.append(.filter(filter.value)) }
        }
        for tree in query.logic where filtersTarget || !tree.path.isEmpty {
            try update(&plan, tree.path[...]) { $0.filters.append(tree.value) }
        }
        for order in query.order {
            // Of several the first counts.
            try update(&plan, order.path[...]) { if $0.order.isEmpty { $0.order = order.value } }
        }
        for path in Set((query.limits + query.offsets).map(\.path)) where !path.isEmpty {
            let range = try query.range(at: path)
            try update(&plan, path[...]) { $0.range = range }
        }
        if filtersTarget {
            plan.range = request.range.capped(configuration.maxRows)
            capEmbeds(of: &plan)
        }
        try checkOrder(plan)
    }

    /// The maximum of rows holds for each list in the answer.
    private func capEmbeds(of plan: inout ReadPlan) {
        guard configuration.maxRows != nil else { return }
        for index in plan.embeds.indices {
            if !plan.embeds[index].relationship.isToOne {
                plan.embeds[index].plan.range = plan.embeds[index].plan.range.capped(configuration.maxRows)
            }
            capEmbeds(of: &plan.embeds[index].plan)
        }
    }

    private mutating func update(
        _ plan: inout ReadPlan, _ path: ArraySlice<String>, _ change: (inout ReadPlan) -> Void
    ) throws(RESTError) {
        guard let name = path.first else { return change(&plan) }
        // The name in the answer goes first; a relation renamed there is still found by its own.
        guard
            let index = plan.embeds.firstIndex(where: { $0.name == name })
                ?? plan.embeds.firstIndex(where: { $0.relationship.target.name == name })
        else { throw .notEmbedded(name) }
        if plan.embeds[index].name != name {
            guard configuration.takesFormerNames else { throw .formerName(name, current: plan.embeds[index].name) }
            formerNames[name] = plan.embeds[index].name
        }
        try update(&plan.embeds[index].plan, path.dropFirst(), change)
    }

    private func checkOrder(_ plan: ReadPlan) throws(RESTError) {
        for term in plan.order {
            guard let name = term.relation else { continue }
            guard let embed = plan.embed(named: name) else { throw .notEmbedded(name) }
            guard embed.relationship.isToOne else {
                throw .relatedOrder(parent: plan.relation?.name ?? plan.alias, relation: name)
            }
        }
        for embed in plan.embeds { try checkOrder(embed.plan) }
    }

    // MARK: Writing

    /// The plan of a POST, PATCH, PUT or DELETE of a relation.
    mutating func mutation(_ name: String, payload: Payload?) throws(RESTError) -> Plan {
        let relation = try relation(name)
        let form = try form(for: [relation.name])
        let returns = request.preferences.return ?? .minimal
        var read = try readPlan(of: relation, filtersTarget: false)
        read.relation = nil
        let kind = try kind(relation, payload)
        let filters: [LogicTree] =
            switch kind {
            case .insert: []
            case .update, .delete:
                request.query.filters.filter(\.path.isEmpty).map { .filter($0.value) }
                    + request.query.logic.filter(\.path.isEmpty).map(\.value)
            }
        let isInsert = request.action == .create
        let showsLocation = isInsert && returns == .headersOnly && !relation.primaryKey.isEmpty
        let returning: MutationPlan.Returning =
            switch returns {
            case .representation: Self.returning(read, relation)
            case .headersOnly: showsLocation ? .columns(relation.primaryKey) : .nothing
            case .minimal: .nothing
            }
        if returns != .representation { read.embeds = []; read.order = [] }
        return Plan(
            source: .mutation(
                MutationPlan(relation: relation, kind: kind, filters: filters, returning: returning)),
            read: read, body: returns == .representation ? Self.body(form) : .none,
            media: form.media, handler: form.handler, count: request.preferences.count, maxRows: nil,
            locationKey: showsLocation ? relation.primaryKey : nil)
    }

    private func kind(_ relation: Relation, _ payload: Payload?) throws(RESTError) -> MutationPlan.Kind {
        switch request.action {
        case .delete: return .delete
        case .update: return .update(try rows(payload, of: relation))
        case .upsert:
            let filters = try keyFilters(relation)
            let rows = try rows(payload, of: relation)
            // A row without the key cannot be the one of the address.
            guard relation.primaryKey.allSatisfy({ key in rows.columns.contains { $0.name == key } }) else {
                throw .upsertKeyMismatch
            }
            return .insert(rows, .init(columns: relation.primaryKey, merges: true), keyFilters: filters)
        case .create, .read, .call, .inspect:
            let columns = request.query.conflictColumns ?? relation.primaryKey
            let conflict: MutationPlan.Conflict? =
                columns.isEmpty
                ? nil
                : request.preferences.resolution.map { .init(columns: columns, merges: $0 == .mergeDuplicates) }
            return .insert(try rows(payload, of: relation), conflict, keyFilters: [])
        }
    }

    private func rows(_ payload: Payload?, of relation: Relation) throws(RESTError) -> MutationPlan.Rows {
        guard case .json(let bytes, let isArray, let keys, let rowCount)? = payload else {
            throw .invalidBody("Empty or invalid json")
        }
        var columns: [Column] = []
        for key in keys where !columns.contains(where: { $0.name == key }) {
            guard let column = relation.column(key) else { throw .noColumn(key, relation: relation.name.name) }
            columns.append(column)
        }
        return MutationPlan.Rows(
            bytes: bytes, isArray: isArray, columns: columns, count: rowCount,
            usesDefaults: request.preferences.missing == .default && request.action != .upsert)
    }

    /// The filters of a PUT: exactly one `eq` for each column of the primary key.
    private func keyFilters(_ relation: Relation) throws(RESTError) -> [Filter] {
        guard request.query.limits.isEmpty, request.query.offsets.isEmpty else { throw .upsertTakesNoRange }
        let filters = request.query.filters.filter(\.path.isEmpty).map(\.value)
        let areKeys = filters.allSatisfy { filter in
            guard case .quantified(.eq, nil, _) = filter.operation else { return false }
            return !filter.isNegated && filter.field.steps.isEmpty
        }
        guard areKeys, request.query.logic.isEmpty, !relation.primaryKey.isEmpty,
            filters.map(\.field.name).sorted() == relation.primaryKey.sorted()
        else { throw .upsertNeedsKeyFilters }
        return filters
    }

    private static func returning(_ read: ReadPlan, _ relation: Relation) -> MutationPlan.Returning {
        var names: [String] = []
        var isWhole = false
        func add(_ name: String) {
            if !names.contains(name) { names.append(name) }
        }
        for field in read.fields.compactMap(\.field) {
            if field.isWholeRow { isWhole = true } else { add(field.name) }
        }
        for term in read.order where term.relation == nil { add(term.field.name) }
        for embed in read.embeds {
            switch embed.relationship.kind {
            case .manyToOne(let link), .oneToOne(let link, _), .oneToMany(let link), .manyToMany(_, let link, _):
                for pair in link.pairs { add(pair.from) }
            // The function takes the row.
            case .computed: isWhole = true
            }
        }
        if isWhole { return .everything(and: names.filter { relation.column($0) == nil }) }
        return names.isEmpty ? .nothing : .columns(names)
    }

    // MARK: Calling

    /// The plan of a function's call.
    mutating func call(_ name: String, payload: Payload?) throws(RESTError) -> Plan {
        let (function, arguments) = try FunctionResolution(cache: cache, request: request).resolve(name, payload)
        if request.preferences.bindingMaxAffected != nil, !function.returnsSet { throw .callAffectedNeedsSet }
        var targets = [function.name]
        if case .composite(let relation?) = function.result { targets.append(relation) }
        let form = try form(for: targets)
        // A scalar's rows go by the function's name, under which execution plans show them.
        let alias = function.result == .scalar ? function.name.name : "_call"
        var read = ReadPlan(relation: nil, alias: alias, columns: [], fields: [])
        var body: Plan.Body
        switch function.result {
        case .void: body = .none
        case .scalar:
            body = Self.body(form)
            switch body {
            case .raw, .handled, .csv, .geoJSON, .none: break
            case .array, .object, .scalar, .composite: body = .scalar(isSet: function.returnsSet)
            }
            read.fields = [SelectField(field: FieldPath(name: "*"))]
            read.range = request.range.capped(configuration.maxRows)
        case .composite(let relation):
            resultRelation = relation
            read.columns = relation.flatMap { cache.relations[$0] }?.columns ?? []
            try fill(&read, with: request.query.select ?? [.field(SelectField(field: FieldPath(name: "*")))])
            try attach(to: &read, filtersTarget: true)
            body = Self.body(form)
            if !function.returnsSet, case .array(let stripsNulls) = body { body = .composite(stripsNulls: stripsNulls) }
        }
        if request.isHead { body = .none }
        return Plan(
            source: .call(CallPlan(function: function, arguments: arguments)), read: read, body: body,
            media: form.media, handler: form.handler, count: request.preferences.count, maxRows: configuration.maxRows,
            locationKey: nil)
    }
}
