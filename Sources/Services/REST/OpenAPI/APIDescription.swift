// SPDX-License-Identifier: Apache-2.0
internal import Postgres
internal import Primitives

/// What the catalog says of a schema to one role: read when the description is asked for, since it depends on who asks.
struct APIDescription: Sendable {
    struct Relation: Sendable {
        var name: String
        var comment: String?
        var columns: [Value]
        var isInsertable: Bool
        var isUpdatable: Bool
        var isDeletable: Bool
    }

    struct Function: Sendable {
        var name: String
        var comment: String?
        /// Whether it may write, and so cannot be called by GET.
        var isVolatile: Bool
        var parameters: [Value]
    }

    /// A column, or a parameter of a function.
    struct Value: Sendable {
        var name: String
        /// As `format_type` writes it, without length or precision.
        var type: String
        var comment: String?
        var isRequired: Bool
        var isVariadic = false
        /// The expression of the default.
        var defaultExpression: String?
        /// In characters.
        var maxLength: Int?
        /// The labels of an enumeration.
        var labels: [String] = []
    }

    var comment: String?
    var relations: [Relation]
    var functions: [Function]

    /// The queries that ``init(_:)`` takes the results of; they need an empty search path.
    ///
    /// - Parameter followsPrivileges: whether only what the role may use is described.
    static func queries(schema: String, followsPrivileges: Bool) -> [PostgresQuery] {
        let parameters = [schema.postgresParameter, followsPrivileges.postgresParameter]
        return [
            PostgresQuery(sql: commentSQL, parameters: [schema.postgresParameter]),
            PostgresQuery(sql: relationsSQL, parameters: parameters),
            PostgresQuery(sql: functionsSQL, parameters: parameters),
        ]
    }

    init(_ results: ArraySlice<PostgresResult>) {
        comment = results.first?.string(0, 0)
        relations = results.dropFirst().first.map { $0.rows.compactMap { Relation($0) } } ?? []
        functions = []
        // Overloads have one path; the first stands for all.
        var seen: Set<String> = []
        for function in results.dropFirst(2).first.map({ $0.rows.compactMap { Function($0) } }) ?? []
        where REST.Function.isCallable(function.parameters.map { ($0.name, $0.type) })
            && seen.insert(function.name).inserted
        {
            functions.append(function)
        }
    }

    private static let commentSQL = """
        select pg_catalog.obj_description(n.oid, 'pg_namespace') from pg_catalog.pg_namespace n where n.nspname = $1
        """

    private static let relationsSQL = """
        select c.relname, pg_catalog.obj_description(c.oid, 'pg_class') as comment,
            pg_catalog.pg_relation_is_updatable(c.oid::regclass, true) as events,
            coalesce((select json_agg(json_build_object(
                    'name', a.attname, 'type', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
                    'comment', pg_catalog.col_description(c.oid, a.attnum), 'required', a.attnotnull or t.typnotnull,
                    'default', case when a.attgenerated = '' and a.attidentity = ''
                        then coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.pg_get_expr(t.typdefaultbin, 0)) end,
                    'length', information_schema._pg_char_max_length(
                        information_schema._pg_truetypid(a, t), information_schema._pg_truetypmod(a, t)),
                    'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e
                        where e.enumtypid = coalesce(nullif(t.typbasetype, 0), t.oid))) order by a.attnum)
                from pg_catalog.pg_attribute a
                join pg_catalog.pg_type t on t.oid = a.atttypid
                left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition
            and (not $2::boolean or pg_catalog.has_table_privilege(c.oid,
                    'select, insert, update, delete, truncate, references, trigger')
                or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update, references'))
        order by c.relname
        """

    private static let functionsSQL = """
        select p.proname, pg_catalog.obj_description(p.oid, 'pg_proc') as comment, p.provolatile = 'v' as is_volatile,
            coalesce((select json_agg(json_build_object(
                    'name', coalesce(p.proargnames[i.position], ''),
                    'type', regexp_replace(pg_catalog.format_type(i.type, null), '^("[^"]+"|[^".]+)[.]', ''),
                    'required', i.number <= p.pronargs - p.pronargdefaults,
                    'variadic', coalesce(i.mode, 'i') = 'v') order by i.number)
                from (
                    select u.type, u.position, p.proargmodes[u.position] as mode,
                        row_number() over (order by u.position) as number
                    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality u (type, position)
                    where coalesce(p.proargmodes[u.position], 'i') in ('i', 'b', 'v')) i), '[]') as parameters
        from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        join pg_catalog.pg_type t on t.oid = p.prorettype
        where n.nspname = $1 and p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger')
            and (not $2::boolean or pg_catalog.has_function_privilege(p.oid, 'execute'))
        order by p.proname, p.oid
        """
}

extension APIDescription.Relation {
    fileprivate init?(_ row: PostgresRow) {
        guard let name = row["relname"].text else { return nil }
        // Bits of pg_relation_is_updatable: 1 << CMD_UPDATE (2), CMD_INSERT (3), CMD_DELETE (4).
        let events = row["events"].int ?? 0
        self.init(
            name: name, comment: row["comment"].text,
            columns: row["columns"].json?.arrayValue?.compactMap { APIDescription.Value($0) } ?? [],
            isInsertable: events & 8 != 0, isUpdatable: events & 4 != 0, isDeletable: events & 16 != 0)
    }
}

extension APIDescription.Function {
    fileprivate init?(_ row: PostgresRow) {
        guard let name = row["proname"].text else { return nil }
        self.init(
            name: name, comment: row["comment"].text, isVolatile: row["is_volatile"].bool ?? true,
            parameters: row["parameters"].json?.arrayValue?.compactMap { APIDescription.Value($0) } ?? [])
    }
}

extension APIDescription.Value {
    fileprivate init?(_ json: JSON) {
        guard let name = json["name"]?.stringValue, let type = json["type"]?.stringValue else { return nil }
        self.init(
            name: name, type: type, comment: json["comment"]?.stringValue,
            isRequired: json["required"]?.boolValue ?? false, isVariadic: json["variadic"]?.boolValue ?? false,
            defaultExpression: json["default"]?.stringValue, maxLength: json["length"]?.intValue,
            labels: json["labels"]?.arrayValue?.compactMap(\.stringValue) ?? [])
    }
}
