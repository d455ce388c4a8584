// SPDX-License-Identifier: Apache-2.0
internal import Postgres

extension SQLWriter {
    /// `select ... from ... where ... order by ... limit ...` of a relation with what is embedded in it.
    ///
    /// - Parameters:
    ///   - source: the name of the rows where the plan has no relation of its own.
    ///   - link: for an embedded relation, what joins it to the one around it.
    mutating func select(_ plan: ReadPlan, from source: String = "", link: Link? = nil, naming: Naming = .own) {
        add("select ")
        let groups = fields(plan, naming, lifts: false)
        from(plan, source, link)
        conditions(plan, link)
        group(by: groups, plan)
        if !plan.order.isEmpty {
            add(" order by ")
            list(plan.order) { writer, term in writer.order(term, plan) }
        }
        range(plan.range)
    }

    /// How an embedded relation is joined to the one around it.
    struct Link {
        var embed: ReadPlan.Embed
        var parent: ReadPlan
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

    mutating func from(_ plan: ReadPlan, _ source: String, _ link: Link?) {
        add(" from ")
        if let link, case .computed(let function, _) = link.embed.relationship.kind {
            add(function)
            add("(")
            row(link.parent, as: link.embed.relationship.source)
            add(") as ")
            add(identifier: plan.alias)
        } else {
            if let relation = plan.relation { add(relation) } else { add(source) }
            if plan.relation?.name != plan.alias {
                add(" as ")
                add(identifier: plan.alias)
            }
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

    /// The row itself; one that a statement before returned has no type of its own and takes the relation's.
    private mutating func row(_ plan: ReadPlan, as relation: QualifiedName) {
        guard plan.relation == nil else {
            add(identifier: plan.alias)
            return add(".*")
        }
        add("row(")
        add(identifier: plan.alias)
        add(".*)::")
        add(relation)
    }

    private mutating func pairs(_ link: Relationship.Link, _ from: String, _ to: String) {
        list(link.pairs, separator: " and ") { writer, pair in
            writer.add(column: pair.from, of: from)
            writer.add(" = ")
            writer.add(column: pair.to, of: to)
        }
    }

    /// One row per row around it, as `jsonb`, which is what PostgREST embeds: clients may rely on its order of keys and its spaces, where
    /// answers are no JSON. Its column `value` is null where there is nothing embedded: the embedded row, the array of them, or for
    /// a spread relation, whose columns stand beside it by number, a mark.
    private mutating func join(_ embed: ReadPlan.Embed, of parent: ReadPlan) {
        add(embed.isInner ? " join lateral (" : " left join lateral (")
        let link = Link(embed: embed, parent: parent)
        let related = parent.order.filter { $0.relation == embed.name }
        switch (embed.isSpread, embed.relationship.isToOne) {
        case (true, true):
            add("select 1 as \"value\"")
            let outputs = outputs(of: embed.plan, expands: true)
            for (index, output) in outputs.enumerated() {
                add(", ")
                value(output, embed.plan, lifts: true)
                add(" as \"_\(index)\"")
            }
            for (index, term) in related.enumerated() {
                add(", ")
                orderColumn(term, embed.plan, outputs)
                add(" as \"_order_\(index)\"")
            }
            from(embed.plan, "", link)
            conditions(embed.plan, link)
            range(embed.plan.range)
        case (true, false):
            add("select nullif(count(*), 0) as \"value\"")
            for index in outputs(of: embed.plan, expands: true).indices {
                add(", jsonb_agg(\"_row\".\"_\(index)\") as \"_\(index)\"")
            }
            add(" from (")
            select(embed.plan, link: link, naming: .numbers)
            add(") as \"_row\"")
        case (false, true) where related.isEmpty:
            add("select to_jsonb(\"_row\".*) as \"value\" from (")
            select(embed.plan, link: link)
            add(") as \"_row\"")
        case (false, true):
            // What the relation around is ordered by comes beside the row, not in it.
            add("select (select to_jsonb(\"_row\".*) from (select ")
            _ = fields(embed.plan, .own, lifts: false)
            add(") as \"_row\") as \"value\"")
            let outputs = outputs(of: embed.plan, expands: true)
            for (index, term) in related.enumerated() {
                add(", ")
                orderColumn(term, embed.plan, outputs)
                add(" as \"_order_\(index)\"")
            }
            from(embed.plan, "", link)
            conditions(embed.plan, link)
            range(embed.plan.range)
        case (false, false):
            add("select jsonb_agg(\"_row\".*) as \"value\" from (")
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

    /// What orders the relation around: a selected column by its name in the answer, or any other by its own.
    private mutating func orderColumn(_ term: OrderTerm, _ plan: ReadPlan, _ outputs: [Output]) {
        if term.field.steps.isEmpty,
            let output = outputs.first(where: { $0.name == term.field.name && $0.aggregate == nil })
        {
            value(output, plan, lifts: true)
        } else {
            path(term.field, plan)
        }
    }

    // MARK: Fields

    /// How the columns of a select are called.
    enum Naming {
        /// By the names of the answer.
        case own
        /// By their numbers from zero: `_0`. Names of the answer may be there twice.
        case numbers
    }

    /// A column of the answer's row.
    private struct Output {
        enum Source {
            /// A column, or `*` where its columns need no other form or are not known.
            case field(SelectField)
            case embed(ReadPlan.Embed)
            /// A column of a spread relation, by its number.
            case spread(ReadPlan.Embed, Int)
        }

        var name: String
        var source: Source
        /// What the rows' values are aggregated by, and what the result is cast to.
        var aggregate: Aggregate?
        var aggregateCast: String?
        /// Whether it is `json`, which cannot be grouped by.
        var isJSON = false

        var isWholeRow: Bool {
            if case .field(let field) = source {
                field.aggregate == nil && (field.field?.isWholeRow ?? false)
            } else {
                false
            }
        }
    }

    /// The columns that a plan's rows have in the answer.
    ///
    /// - Parameter expands: whether `*` is to be written out as the columns it stands for.
    private func outputs(of plan: ReadPlan, expands: Bool) -> [Output] {
        let isExpanded =
            !plan.columns.isEmpty
            && (expands || plan.aggregates || plan.columns.contains { $0.representation.formatter != nil })
        var outputs: [Output] = []
        for field in plan.fields {
            if field.aggregate == nil, field.field?.isWholeRow ?? false, isExpanded {
                outputs += plan.columns.map { column in
                    Output(name: column.name, source: .field(SelectField(field: FieldPath(name: column.name))))
                }
                continue
            }
            let name = field.alias ?? field.aggregate?.rawValue ?? field.field.map { Self.impliedName($0) ?? $0.name }
            outputs.append(
                Output(
                    name: name ?? "", source: .field(field), aggregate: field.aggregate,
                    aggregateCast: field.aggregateCast))
        }
        for embed in plan.embeds where !embed.isHidden {
            guard embed.isSpread else {
                outputs.append(Output(name: embed.name, source: .embed(embed), isJSON: true))
                continue
            }
            for (index, inner) in self.outputs(of: embed.plan, expands: true).enumerated() {
                let isLifted = embed.relationship.isToOne
                outputs.append(
                    Output(
                        name: inner.name, source: .spread(embed, index), aggregate: isLifted ? inner.aggregate : nil,
                        aggregateCast: isLifted ? inner.aggregateCast : nil,
                        isJSON: !isLifted || inner.isJSON))
            }
        }
        return outputs
    }

    /// Writes the columns of a plan's rows.
    ///
    /// - Parameter lifts: whether aggregates are left to the plan around, which spreads this one.
    /// - Returns: the positions, from one, of the columns to group by; nil where nothing is aggregated.
    private mutating func fields(_ plan: ReadPlan, _ naming: Naming, lifts: Bool) -> [Int]? {
        let outputs = outputs(of: plan, expands: naming == .numbers)
        var groups: [Int] = []
        for (index, output) in outputs.enumerated() {
            if index > 0 { add(", ") }
            value(output, plan, lifts: lifts)
            if output.aggregate == nil { groups.append(index + 1) }
            guard !output.isWholeRow else { continue }
            switch naming {
            case .numbers: add(" as \"_\(index)\"")
            case .own:
                // A bare column has the name already.
                if case .field(let field) = output.source, field.alias == nil, field.cast == nil,
                    field.aggregate == nil, field.field?.steps.isEmpty ?? false,
                    self.formatter(field, plan) == nil
                {
                    continue
                }
                add(" as ")
                add(identifier: output.name)
            }
        }
        return plan.aggregates && !lifts ? groups : nil
    }

    private mutating func group(by positions: [Int]?, _ plan: ReadPlan) {
        guard let positions else { return }
        var terms = positions.map(String.init)
        for embed in plan.embeds {
            let related = plan.order.filter { $0.relation == embed.name }
            terms += related.indices.map { "\(quoteIdentifier(embed.alias)).\"_order_\($0)\"" }
        }
        guard !terms.isEmpty else { return }
        add(" group by ")
        add(terms.joined(separator: ", "))
    }

    /// The expression of a column of the answer.
    private mutating func value(_ output: Output, _ plan: ReadPlan, lifts: Bool) {
        guard let aggregate = output.aggregate else {
            return bareValue(output, plan, grouped: output.isJSON && plan.aggregates && !lifts)
        }
        guard !lifts else { return bareValue(output, plan, grouped: false) }
        if output.aggregateCast != nil { add("cast(") }
        add("\(aggregate.rawValue)(")
        bareValue(output, plan, grouped: false)
        add(")")
        if let cast = output.aggregateCast {
            add(" as ")
            add(TypeName.sql(cast))
            add(")")
        }
    }

    /// The expression under an aggregate, or where there is none the column's own.
    ///
    /// - Parameter grouped: whether it is `json` to group by, which only `jsonb` allows.
    private mutating func bareValue(_ output: Output, _ plan: ReadPlan, grouped: Bool) {
        if grouped { add("(") }
        defer { if grouped { add(")::jsonb") } }
        switch output.source {
        case .field(let field): self.field(field, plan)
        case .embed(let embed):
            if embed.relationship.isToOne {
                add(column: "value", of: embed.alias)
            } else {
                add("coalesce(")
                add(column: "value", of: embed.alias)
                add(", '[]')")
            }
        case .spread(let embed, let index):
            let isArray = !embed.relationship.isToOne
            if isArray { add("coalesce(") }
            add(column: "_\(index)", of: embed.alias)
            if isArray { add(", '[]')") }
        }
    }

    private mutating func field(_ item: SelectField, _ plan: ReadPlan) {
        guard let path = item.field else {
            // `count()` counts rows: each has this.
            return add("1")
        }
        if path.isWholeRow {
            add(identifier: plan.alias)
            add(".*")
            return
        }
        if item.cast != nil { add("cast(") }
        if let formatter = formatter(item, plan) {
            add(formatter)
            add("(")
            self.path(path, plan)
            add(")")
        } else {
            self.path(path, plan)
        }
        if let cast = item.cast {
            add(" as ")
            add(TypeName.sql(cast))
            add(")")
        }
    }

    /// The function that shows the column's value, where its domain has one.
    private func formatter(_ item: SelectField, _ plan: ReadPlan) -> QualifiedName? {
        guard let path = item.field, path.steps.isEmpty, item.aggregate == nil else { return nil }
        return plan.columns.first { $0.name == path.name }?.representation.formatter
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

    /// - Returns: whether there are any.
    @discardableResult
    mutating func conditions(_ plan: ReadPlan, _ link: Link?) -> Bool {
        var isFirst = true
        func next(_ writer: inout SQLWriter) {
            writer.add(isFirst ? " where " : " and ")
            isFirst = false
        }
        if let link {
            switch link.embed.relationship.kind {
            case .manyToOne(let pairs), .oneToOne(let pairs, _), .oneToMany(let pairs):
                next(&self)
                self.pairs(pairs, link.parent.alias, plan.alias)
            case .manyToMany(_, let source, _):
                next(&self)
                self.pairs(source, link.parent.alias, link.embed.junctionAlias)
            case .computed: break
            }
        }
        for tree in plan.filters {
            next(&self)
            condition(tree, plan)
        }
        return !isFirst
    }

    /// A filter, or filters joined by `and` and `or`.
    ///
    /// - Parameter counts: whether embedded relations are not joined, and asked for by themselves.
    mutating func condition(_ tree: LogicTree, _ plan: ReadPlan, counts: Bool = false) {
        switch tree {
        case .filter(let filter): self.filter(filter, plan, counts: counts)
        case .group(let isNegated, let connective, let members):
            if isNegated { add("not ") }
            add("(")
            list(members, separator: connective == .and ? " and " : " or ") { writer, member in
                writer.condition(member, plan, counts: counts)
            }
            add(")")
        }
    }

    private mutating func filter(_ filter: Filter, _ plan: ReadPlan, counts: Bool) {
        if filter.field.steps.isEmpty, let embed = plan.embed(named: filter.field.name),
            case .is(let value) = filter.operation, value == .null || value == .notNull
        {
            let wantsNone = (value == .null) != filter.isNegated
            guard !counts else {
                if wantsNone { add("not ") }
                return exists(embed, of: plan)
            }
            add(column: "value", of: embed.alias)
            add(wantsNone ? " is not distinct from null" : " is distinct from null")
            return
        }
        if filter.isNegated { add("not ") }
        operation(filter.operation, filter.field, plan)
    }

    private mutating func operation(_ operation: Operation, _ field: FieldPath, _ plan: ReadPlan) {
        let parser =
            field.steps.isEmpty ? plan.columns.first { $0.name == field.name }?.representation.textParser : nil
        switch operation {
        case .simple(let simple, let value):
            path(field, plan)
            add(simple.sql)
            bind(value, through: parser)
        case .quantified(let quantified, let quantifier, let value):
            path(field, plan)
            add(quantified.sql)
            let value = quantified.takesPattern ? String(value.map { $0 == "*" ? "%" : $0 }) : value
            if let quantifier {
                add("\(quantifier.rawValue)(")
                bind(value)
                add(")")
            } else {
                bind(value, through: quantified.comparesText ? nil : parser)
            }
        case .isIn(let values):
            path(field, plan)
            add(" = any (")
            if let parser {
                add("array(select ")
                add(parser)
                add("(\"_text\") from unnest(")
            }
            // `in.()` is no value at all, where an array of one empty text would fail on numbers.
            bind(values == [""] ? [] : values)
            if parser != nil { add("::text[]) as \"_text\")") }
            add(")")
        case .is(let value):
            path(field, plan)
            add(value.sql)
        case .isDistinct(let value):
            path(field, plan)
            add(" is distinct from ")
            bind(value, through: parser)
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

    /// A value as the column's domain reads it, where it has a form of its own.
    private mutating func bind(_ value: String, through parser: QualifiedName?) {
        guard let parser else { return bind(value) }
        add(parser)
        add("(")
        bind(value)
        add("::text)")
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

    /// Whether the operand is a pattern rather than a value of the column's type.
    fileprivate var comparesText: Bool {
        switch self {
        case .like, .ilike, .match, .imatch: true
        case .eq, .gte, .gt, .lte, .lt: false
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
