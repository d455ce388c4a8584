// SPDX-License-Identifier: Apache-2.0

extension SQLWriter {
    /// `select ... from ... where ... order by ... limit ...` of a relation with what is embedded in it.
    ///
    /// - Parameters:
    ///   - source: the name of the rows where the plan has no relation of its own.
    ///   - link: for an embedded relation, what joins it to the one around it.
    mutating func select(_ plan: ReadPlan, from source: String = "", link: Link? = nil) {
        add("select ")
        fields(plan)
        from(plan, source, link)
        conditions(plan, link)
        if !plan.order.isEmpty {
            add(" order by ")
            list(plan.order) { writer, term in writer.order(term, plan) }
        }
        range(plan.range)
    }

    /// How an embedded relation is joined to the one around it.
    struct Link {
        var embed: ReadPlan.Embed
        var parentAlias: String
    }

    /// `select 1 from ... where ...`: as many rows as there are without a limit.
    mutating func selectAll(_ plan: ReadPlan, from source: String = "") {
        add("select 1")
        from(plan, source, nil)
        conditions(plan, nil)
    }

    /// Numbers are written out, for one plan fits one limit best; they are ours, parsed and printed again.
    private mutating func range(_ range: RowRange) {
        if let limit = range.limit { add(" limit \(limit)") }
        if range.offset > 0 {
            add(" offset ")
            bind(range.offset)
        }
    }

    // MARK: From

    private mutating func from(_ plan: ReadPlan, _ source: String, _ link: Link?) {
        add(" from ")
        if let relation = plan.relation { add(relation) } else { add(source) }
        if plan.relation?.name != plan.alias {
            add(" as ")
            add(identifier: plan.alias)
        }
        if let link, case .manyToMany(let junction, _, let target) = link.embed.relationship.kind {
            add(" join ")
            add(junction)
            add(" as ")
            add(identifier: link.embed.junctionAlias)
            add(" on ")
            pairs(target, link.embed.junctionAlias, plan.alias)
        }
        for embed in plan.embeds { join(embed, of: plan) }
    }

    private mutating func pairs(_ link: Relationship.Link, _ from: String, _ to: String) {
        list(link.pairs, separator: " and ") { writer, pair in
            writer.add(column: pair.from, of: from)
            writer.add(" = ")
            writer.add(column: pair.to, of: to)
        }
    }

    /// One row per row around it: the embedded row, or the array of them.
    private mutating func join(_ embed: ReadPlan.Embed, of parent: ReadPlan) {
        add(embed.isInner ? " join lateral (" : " left join lateral (")
        let link = Link(embed: embed, parentAlias: parent.alias)
        let related = parent.order.filter { $0.relation == embed.name }
        if embed.isSpread {
            select(embed.plan, link: link)
        } else if embed.relationship.isToOne, related.isEmpty {
            add("select row_to_json(\"_row\".*) as \"value\" from (")
            select(embed.plan, link: link)
            add(") as \"_row\"")
        } else if embed.relationship.isToOne {
            // What the relation around is ordered by comes beside the row, not in it.
            add("select (select row_to_json(\"_row\".*) from (select ")
            fields(embed.plan)
            add(") as \"_row\") as \"value\"")
            for (index, term) in related.enumerated() {
                add(", ")
                path(term.field, embed.plan)
                add(" as \"_order_\(index)\"")
            }
            from(embed.plan, "", link)
            conditions(embed.plan, link)
        } else {
            add("select json_agg(\"_row\".*) as \"value\" from (")
            select(embed.plan, link: link)
            add(") as \"_row\"")
        }
        add(") as ")
        add(identifier: embed.alias)
        add(" on ")
        if embed.isInner, !embed.relationship.isToOne {
            add(column: "value", of: embed.alias)
            add(" is not null")
        } else {
            add("true")
        }
    }

    // MARK: Fields

    private mutating func fields(_ plan: ReadPlan) {
        let shown = plan.embeds.filter { !$0.isHidden }
        var isFirst = true
        list(plan.fields) { writer, field in
            isFirst = false
            writer.field(field, plan)
        }
        for embed in shown {
            if !isFirst { add(", ") }
            isFirst = false
            if embed.isSpread {
                add(identifier: embed.alias)
                add(".*")
                continue
            }
            if embed.relationship.isToOne {
                add(column: "value", of: embed.alias)
            } else {
                add("coalesce(")
                add(column: "value", of: embed.alias)
                add(", '[]')")
            }
            add(" as ")
            add(identifier: embed.name)
        }
    }

    private mutating func field(_ item: SelectField, _ plan: ReadPlan) {
        guard let path = item.field else { return }
        if path.isWholeRow {
            add(identifier: plan.alias)
            add(".*")
            return
        }
        if let cast = item.cast {
            add("cast(")
            self.path(path, plan)
            add(" as ")
            add(TypeName.sql(cast))
            add(")")
        } else {
            self.path(path, plan)
        }
        if let name = item.alias ?? Self.impliedName(path) ?? (item.cast == nil ? nil : path.name) {
            add(" as ")
            add(identifier: name)
        }
    }

    /// The last key of a JSON path; the column where there are only indices.
    private static func impliedName(_ path: FieldPath) -> String? {
        guard !path.steps.isEmpty else { return nil }
        for step in path.steps.reversed() {
            if case .key(let key) = step.operand { return key }
        }
        return path.name
    }

    /// A column, or a place in its JSON value. What is no JSON is made so first, so that paths reach into composite types and arrays.
    mutating func path(_ path: FieldPath, _ plan: ReadPlan) {
        guard !path.steps.isEmpty else { return add(column: path.name, of: plan.alias) }
        let isJSON = plan.columns.first { $0.name == path.name }?.isJSON ?? false
        add(isJSON ? "(" : "(to_jsonb(")
        add(column: path.name, of: plan.alias)
        if !isJSON { add(")") }
        for step in path.steps {
            add(step.asText ? "->>" : "->")
            switch step.operand {
            case .key(let key):
                bind(key)
                add("::text")
            case .index(let index):
                bind(Int(index))
                add("::int")
            }
        }
        add(")")
    }

    private mutating func order(_ term: OrderTerm, _ plan: ReadPlan) {
        if let name = term.relation, let embed = plan.embed(named: name) {
            let index = plan.order.filter { $0.relation == name }.firstIndex(of: term) ?? 0
            add(column: "_order_\(index)", of: embed.alias)
        } else {
            path(term.field, plan)
        }
        switch term.direction {
        case .asc?: add(" asc")
        case .desc?: add(" desc")
        case nil: break
        }
        switch term.nulls {
        case .first?: add(" nulls first")
        case .last?: add(" nulls last")
        case nil: break
        }
    }

    // MARK: Conditions

    private mutating func conditions(_ plan: ReadPlan, _ link: Link?) {
        var isFirst = true
        func next(_ writer: inout SQLWriter) {
            writer.add(isFirst ? " where " : " and ")
            isFirst = false
        }
        if let link {
            next(&self)
            switch link.embed.relationship.kind {
            case .manyToOne(let pairs), .oneToOne(let pairs, _), .oneToMany(let pairs):
                self.pairs(pairs, link.parentAlias, plan.alias)
            case .manyToMany(_, let source, _): self.pairs(source, link.parentAlias, link.embed.junctionAlias)
            }
        }
        for tree in plan.filters {
            next(&self)
            condition(tree, plan)
        }
    }

    /// A filter, or filters joined by `and` and `or`.
    mutating func condition(_ tree: LogicTree, _ plan: ReadPlan) {
        switch tree {
        case .filter(let filter): self.filter(filter, plan)
        case .group(let isNegated, let connective, let members):
            if isNegated { add("not ") }
            add("(")
            list(members, separator: connective == .and ? " and " : " or ") { writer, member in
                writer.condition(member, plan)
            }
            add(")")
        }
    }

    private mutating func filter(_ filter: Filter, _ plan: ReadPlan) {
        if filter.field.steps.isEmpty, let embed = plan.embed(named: filter.field.name),
            case .is(let value) = filter.operation, value == .null || value == .notNull
        {
            let wantsNone = (value == .null) != filter.isNegated
            if embed.isSpread { add(identifier: embed.alias) } else { add(column: "value", of: embed.alias) }
            add(wantsNone ? " is not distinct from null" : " is distinct from null")
            return
        }
        if filter.isNegated { add("not ") }
        operation(filter.operation, filter.field, plan)
    }

    private mutating func operation(_ operation: Operation, _ field: FieldPath, _ plan: ReadPlan) {
        switch operation {
        case .simple(let simple, let value):
            path(field, plan)
            add(simple.sql)
            bind(value)
        case .quantified(let quantified, let quantifier, let value):
            path(field, plan)
            add(quantified.sql)
            let value = quantified.takesPattern ? String(value.map { $0 == "*" ? "%" : $0 }) : value
            if let quantifier {
                add("\(quantifier.rawValue)(")
                bind(value)
                add(")")
            } else {
                bind(value)
            }
        case .isIn(let values):
            path(field, plan)
            add(" = any (")
            // `in.()` is no value at all, where an array of one empty text would fail on numbers.
            bind(values == [""] ? [] : values)
            add(")")
        case .is(let value):
            path(field, plan)
            add(value.sql)
        case .isDistinct(let value):
            path(field, plan)
            add(" is distinct from ")
            bind(value)
        case .fullText(let function, let language, let value):
            document(field, language, plan)
            add(" @@ \(function.sql)(")
            if let language {
                bind(language)
                add("::regconfig, ")
            }
            bind(value)
            add(")")
        }
    }

    /// What is searched: a `tsvector` as it is, anything else through `to_tsvector`.
    private mutating func document(_ field: FieldPath, _ language: String?, _ plan: ReadPlan) {
        let type = field.steps.isEmpty ? plan.columns.first { $0.name == field.name }?.baseType : "text"
        guard let type, type != "tsvector" else { return path(field, plan) }
        add("to_tsvector(")
        if let language {
            bind(language)
            add("::regconfig, ")
        }
        path(field, plan)
        add(")")
    }
}

extension SimpleOperator {
    fileprivate var sql: String {
        switch self {
        case .neq: " <> "
        case .cs: " @> "
        case .cd: " <@ "
        case .ov: " && "
        case .sl: " << "
        case .sr: " >> "
        case .nxr: " &< "
        case .nxl: " &> "
        case .adj: " -|- "
        }
    }
}

extension QuantifiedOperator {
    fileprivate var sql: String {
        switch self {
        case .eq: " = "
        case .gte: " >= "
        case .gt: " > "
        case .lte: " <= "
        case .lt: " < "
        case .like: " like "
        case .ilike: " ilike "
        case .match: " ~ "
        case .imatch: " ~* "
        }
    }

    /// Whether `*` stands for `%`, which would need escaping in a URL.
    fileprivate var takesPattern: Bool { self == .like || self == .ilike }
}

extension IsValue {
    fileprivate var sql: String {
        switch self {
        case .null: " is null"
        case .notNull: " is not null"
        case .true: " is true"
        case .false: " is false"
        case .unknown: " is unknown"
        }
    }
}

extension FullTextOperator {
    fileprivate var sql: String {
        switch self {
        case .fts: "to_tsquery"
        case .plfts: "plainto_tsquery"
        case .phfts: "phraseto_tsquery"
        case .wfts: "websearch_to_tsquery"
        }
    }
}
