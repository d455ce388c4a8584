// SPDX-License-Identifier: Apache-2.0
internal import Postgres

extension SQLWriter {
    /// The setting that counts, inside one transaction, the rows an upsert updated rather than inserted.
    static let updatedSetting = "atoll.rest_updated"
    private static let body = "_body"

    /// `insert`, `update` or `delete` with what it returns.
    mutating func mutate(_ plan: MutationPlan) {
        let target = ReadPlan(
            relation: plan.relation.name, alias: plan.relation.name.name, columns: plan.relation.columns, fields: [])
        switch plan.kind {
        case .insert(let rows, let conflict, let keyFilters):
            insert(rows, conflict, keyFilters, into: plan.relation)
        case .update(let rows):
            if rows.columns.isEmpty {
                // Nothing to set: no row is touched.
                add("select ")
                nothing(plan)
                return
            }
            add("update ")
            add(plan.relation.name)
            add(" set ")
            list(rows.columns) { writer, column in
                writer.add(identifier: column.name)
                writer.add(" = ")
                writer.bodyValue(column)
            }
            add(" from (select \"\(Self.body)\".* from ")
            self.rows(rows)
            add(" limit 1) as \"\(Self.body)\"")
            conditions(plan.filters, target)
        case .delete:
            add("delete from ")
            add(plan.relation.name)
            conditions(plan.filters, target)
        }
        returning(plan)
    }

    /// The columns a statement would have returned, of no row.
    private mutating func nothing(_ plan: MutationPlan) {
        switch plan.returning {
        case .nothing: add("1")
        case .columns(let names):
            list(names) { writer, name in writer.add(column: name, of: plan.relation.name.name) }
        case .everything(let names):
            add(identifier: plan.relation.name.name)
            add(".*")
            for name in names {
                add(", ")
                add(column: name, of: plan.relation.name.name)
            }
        }
        add(" from ")
        add(plan.relation.name)
        add(" where false")
    }

    private mutating func returning(_ plan: MutationPlan) {
        add(" returning ")
        switch plan.returning {
        case .nothing: add("1")
        case .columns(let names):
            list(names) { writer, name in writer.add(column: name, of: plan.relation.name.name) }
        case .everything(let names):
            add(identifier: plan.relation.name.name)
            add(".*")
            for name in names {
                add(", ")
                add(column: name, of: plan.relation.name.name)
            }
        }
    }

    private mutating func conditions(_ filters: [LogicTree], _ target: ReadPlan) {
        for (index, filter) in filters.enumerated() {
            add(index == 0 ? " where " : " and ")
            condition(filter, target)
        }
    }

    private mutating func insert(
        _ rows: MutationPlan.Rows, _ conflict: MutationPlan.Conflict?, _ keyFilters: [Filter], into relation: Relation
    ) {
        add("insert into ")
        add(relation.name)
        if rows.columns.isEmpty {
            // As many rows of defaults as there are objects without members.
            add(" select from generate_series(1, ")
            bind(rows.count)
            add("::int)")
        } else {
            add("(")
            list(rows.columns) { writer, column in writer.add(identifier: column.name) }
            add(") select ")
            list(rows.columns) { writer, column in writer.bodyValue(column) }
            add(" from ")
            self.rows(rows)
            let body = ReadPlan(relation: nil, alias: Self.body, columns: rows.columns, fields: [])
            conditions(keyFilters.map { .filter($0) }, body)
        }
        if let conflict { onConflict(conflict, rows, relation) }
    }

    private mutating func onConflict(
        _ conflict: MutationPlan.Conflict, _ rows: MutationPlan.Rows, _ relation: Relation
    ) {
        add(" on conflict (")
        list(conflict.columns) { writer, name in writer.add(identifier: name) }
        guard conflict.merges, !rows.columns.isEmpty else { return add(") do nothing") }
        add(") do update set ")
        list(rows.columns) { writer, column in
            writer.add(identifier: column.name)
            writer.add(" = excluded.")
            writer.add(identifier: column.name)
        }
        // The condition always holds; it is asked once for each row that exists.
        let name = Self.updatedSetting
        add(
            " where set_config('\(name)', (coalesce(nullif(current_setting('\(name)', true), ''), '0')::int + 1)::text, true) is not null"
        )
    }

    /// A column of the body's row, read as its domain says where it has a form of its own.
    private mutating func bodyValue(_ column: Column) {
        guard let parser = column.representation.parser else { return add(column: column.name, of: Self.body) }
        add(parser)
        add("(")
        add(column: column.name, of: Self.body)
        add(")")
    }

    /// The body's rows as a table of the columns' types: `json_to_recordset(...) as "_body"(...)`.
    private mutating func rows(_ rows: MutationPlan.Rows) {
        if rows.usesDefaults {
            let defaults = rows.columns.filter { $0.defaultExpression != nil }.map { column in
                "\(quoteLiteral(column.name)), \(column.defaultExpression ?? "null")"
            }
            // What a row says itself goes over the defaults.
            let object = "jsonb_build_object(\(defaults.joined(separator: ", "))) ||"
            if rows.isArray {
                add("(select jsonb_agg(\(object) \"elem\") as \"rows\" from jsonb_array_elements(")
                bind(PostgresParameter(bytes: rows.bytes))
                add("::jsonb) as \"elem\") as \"_defaults\", jsonb_to_recordset(\"_defaults\".\"rows\")")
            } else {
                add("jsonb_to_record(\(object) ")
                bind(PostgresParameter(bytes: rows.bytes))
                add("::jsonb)")
            }
        } else {
            add(rows.isArray ? "json_to_recordset(" : "json_to_record(")
            bind(PostgresParameter(bytes: rows.bytes))
            add("::json)")
        }
        add(" as \"\(Self.body)\"(")
        list(rows.columns) { writer, column in
            writer.add(identifier: column.name)
            writer.add(" ")
            writer.add(column.representation.parser == nil ? column.type : "json")
        }
        add(")")
    }

    // MARK: Calling

    /// `select ... from function(...)`; a scalar is called in the list, where a `record` without columns can be called too.
    mutating func call(_ plan: CallPlan) {
        let isScalar = plan.function.result == .scalar || plan.function.result == .void
        if isScalar {
            add("select ")
            invocation(plan)
            // The name under which clients of PostgREST know it from execution plans.
            add(" as \"pgrst_scalar\"")
            if case .members = plan.arguments { add(" from ") }
            members(plan.arguments)
        } else {
            add("select \"_call\".* from ")
            members(plan.arguments)
            if case .members = plan.arguments { add(", ") }
            invocation(plan)
            add(" as \"_call\"")
        }
    }

    /// The body's object as a row of the parameters' types.
    private mutating func members(_ arguments: CallPlan.Arguments) {
        guard case .members(let bytes, let isArray, let parameters) = arguments else { return }
        add(isArray ? "(select * from json_to_recordset(" : "json_to_record(")
        bind(PostgresParameter(bytes: bytes))
        add("::json) as \"\(Self.body)\"(")
        list(parameters) { writer, parameter in
            writer.add(identifier: parameter.name)
            writer.add(" ")
            writer.add(parameter.type)
        }
        add(isArray ? ") limit 1) as \"\(Self.body)\"" : ")")
    }

    private mutating func invocation(_ plan: CallPlan) {
        add(plan.function.name)
        add("(")
        switch plan.arguments {
        case .texts(let arguments):
            list(arguments) { writer, argument in
                writer.argumentName(argument.parameter)
                if argument.parameter.isVariadic {
                    writer.bind(argument.values)
                } else {
                    writer.bind(argument.values.last ?? "")
                }
                writer.castToType(argument.parameter)
            }
        case .members(_, _, let parameters):
            list(parameters) { writer, parameter in
                writer.argumentName(parameter)
                writer.add(column: parameter.name, of: Self.body)
            }
        case .whole(let bytes, let parameter):
            if parameter.type == "bytea" {
                bind(PostgresParameter(binary: bytes, type: PostgresType.bytea))
            } else {
                bind(PostgresParameter(bytes: bytes))
            }
            castToType(parameter)
        }
        add(")")
    }

    private mutating func argumentName(_ parameter: Function.Parameter) {
        if parameter.isVariadic { add("variadic ") }
        add(identifier: parameter.name)
        add(" := ")
    }

    private mutating func castToType(_ parameter: Function.Parameter) {
        if !parameter.type.hasPrefix("any") { add("::\(parameter.type)") }
    }
}
