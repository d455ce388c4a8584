// SPDX-License-Identifier: Apache-2.0
internal import Platform
internal import Postgres

extension SchemaCache {
    /// The unit of work that reads the catalog: one round trip, with an empty search path so that `format_type` qualifies every name
    /// that is not in `pg_catalog`.
    ///
    /// Where tenants have schemas of their own, what their shape holds is left unqualified as well: their search paths say whose it is.
    ///
    /// - Parameter functions: further functions by their qualified names.
    static func unit(schemas: [String], functions: [String] = [], withTenants: Bool = false) -> WorkUnit {
        let path = withTenants ? TenantDirectory.template : ""
        let schemas = withTenants ? schemas + [TenantDirectory.template] : schemas
        return WorkUnit(
            // Compiling these queries takes the server many times as long as running them.
            settings: [("search_path", path), ("jit", "off")], readOnly: true, statementTimeout: .seconds(60),
            queries: [
                PostgresQuery(sql: relationsSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(
                    sql: functionsSQL, parameters: [schemas.postgresParameter, functions.postgresParameter]),
                PostgresQuery(sql: foreignKeysSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(sql: primaryKeysSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(sql: viewsSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(sql: computedSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(sql: representationsSQL),
                PostgresQuery(sql: handlersSQL, parameters: [schemas.postgresParameter]),
                PostgresQuery(sql: RoleSettings.sql),
            ])
    }

    /// Makes the cache of what the unit's queries returned.
    ///
    /// - Parameter defaultSchema: where further functions are called.
    init(results: [PostgresResult], hoistedSettings: [String], defaultSchema: String = "public") {
        self.init(relations: [:], functions: [:], relationships: [:])
        guard results.count == 9 else { return }
        roles = RoleSettings.all(results[8])
        let representations = Self.representations(results[6])
        for row in results[0].rows {
            guard let relation = Relation(row, representations) else { continue }
            relations[relation.name] = relation
        }
        var further: [Function] = []
        for row in results[1].rows {
            guard let function = Function(row, hoistedSettings: hoistedSettings),
                Function.isCallable(function.parameters.map { ($0.name, $0.type) })
            else { continue }
            functions[function.name, default: []].append(function)
            if row["is_further"].bool == true { further.append(function) }
        }
        for function in further {
            let alias = QualifiedName(schema: defaultSchema, name: function.name.name)
            functions[function.name] = nil
            if functions[alias] == nil { functions[alias] = [function] }
        }
        hasTenantShape =
            relations.keys.contains { $0.schema == TenantDirectory.template }
            || functions.keys.contains { $0.schema == TenantDirectory.template }
        for row in results[7].rows {
            guard let (key, handler) = MediaHandler.found(row) else { continue }
            handlers[key] = handler
        }
        let views = ViewOrigins(results[4].rows.compactMap { ViewOrigins.View($0) }) { relations[$0] != nil }
        addPrimaryKeys(results[3], views)
        let keys = results[2].rows.compactMap { ForeignKey($0) }.flatMap { $0.shown(relations, views) }
        let found =
            keys.flatMap(\.relationships) + ForeignKey.junctions(keys, relations)
            + results[5].rows.compactMap { Relationship(computed: $0) }
        for relationship in found { relationships[relationship.source, default: []].append(relationship) }
    }

    /// Primary keys of tables are those of the views that show them whole.
    private mutating func addPrimaryKeys(_ result: PostgresResult, _ views: ViewOrigins) {
        for row in result.rows {
            guard let table = row["relation"].text.flatMap({ UInt32($0) }), let columns = row["columns"].array else {
                continue
            }
            var seen: Set<QualifiedName> = []
            for appearance in views.appearances(of: columns.compactMap { $0.flatMap { Int($0) } }, in: table)
            where seen.insert(appearance.view).inserted {
                relations[appearance.view]?.primaryKey += appearance.columns
            }
        }
    }

    private static func representations(_ result: PostgresResult) -> [String: Representation] {
        var found: [String: Representation] = [:]
        for row in result.rows {
            guard let domain = row["domain"].text, let schema = row["nspname"].text, let name = row["proname"].text
            else { continue }
            let function = QualifiedName(schema: schema, name: name)
            switch row["direction"].text {
            case "format": found[domain, default: Representation()].formatter = function
            case "parse": found[domain, default: Representation()].parser = function
            default: found[domain, default: Representation()].textParser = function
            }
        }
        return found
    }

    /// A row per relation; columns as three parallel arrays. Partitions are reached through their parents only.
    private static let relationsSQL = """
        select n.nspname, c.relname, c.relkind in ('r', 'p', 'f') as is_table,
            pg_catalog.pg_relation_is_updatable(c.oid::regclass, true) as events,
            coalesce((
                select array_agg(k.attname order by array_position(x.indkey::int2[], k.attnum))
                from pg_catalog.pg_index x
                join pg_catalog.pg_attribute k on k.attrelid = c.oid and k.attnum = any (x.indkey)
                where x.indrelid = c.oid and x.indisprimary), '{}') as primary_key,
            coalesce(array_agg(a.attname order by a.attnum) filter (where a.attnum is not null), '{}') as names,
            coalesce(array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum)
                filter (where a.attnum is not null), '{}') as types,
            coalesce(array_agg(case when at.oid is null then pg_catalog.format_type(a.atttypid, null) else (
                    with recursive base (oid, base_oid) as (
                        select at.oid, at.typbasetype
                        union all
                        select t.oid, t.typbasetype from base
                        join pg_catalog.pg_type t on t.oid = base.base_oid)
                    select pg_catalog.format_type(base.oid, null) from base where base.base_oid = 0) end
                order by a.attnum) filter (where a.attnum is not null), '{}') as base_types,
            coalesce(array_agg(coalesce(
                case when a.attidentity <> '' then (
                        select 'nextval(' || quote_literal(s.objid::regclass::text) || ')' from pg_catalog.pg_depend s
                        where s.refobjid = c.oid and s.refobjsubid = a.attnum and s.deptype = 'i'
                            and s.classid = 'pg_catalog.pg_class'::regclass limit 1)
                    when a.attgenerated <> '' then null
                    else coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), at.typdefault) end, '') order by a.attnum)
                filter (where a.attnum is not null), '{}') as defaults
        from pg_catalog.pg_class c
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_catalog.pg_type at on at.oid = a.atttypid and at.typtype = 'd'
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where n.nspname = any ($1) and c.relkind in ('r', 'v', 'm', 'f', 'p') and not c.relispartition
        group by n.nspname, c.relname, c.relkind, c.oid
        """

    /// A row per function that takes only IN, INOUT and VARIADIC parameters from callers; OUT parameters are columns of its result.
    private static let functionsSQL = """
        select n.nspname, p.proname, p.provolatile, p.proretset,
            t.typname = 'void' as is_void, n.nspname <> all ($1) as is_further,
            t.typtype = 'c' or coalesce(b.typtype = 'c', false)
                or coalesce(p.proargmodes && '{t,b,o}'::"char"[], false)
                as is_composite,
            rn.nspname as relation_schema, r.relname as relation_name,
            coalesce(p.proconfig, '{}') as settings,
            coalesce(args.names, '{}') as names, coalesce(args.types, '{}') as types,
            coalesce(args.defaults, '{}') as defaults, coalesce(args.variadics, '{}') as variadics
        from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        join pg_catalog.pg_type t on t.oid = p.prorettype
        left join pg_catalog.pg_type b on b.oid = t.typbasetype
        left join pg_catalog.pg_class r on r.oid = case when t.typbasetype <> 0 then b.typrelid else t.typrelid end
        left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
        left join lateral (
            select array_agg(coalesce(p.proargnames[i.position], '') order by i.number) as names,
                array_agg(pg_catalog.format_type(i.type, -1) order by i.number) as types,
                array_agg(i.number > p.pronargs - p.pronargdefaults order by i.number) as defaults,
                array_agg(coalesce(i.mode, 'i') = 'v' order by i.number) as variadics
            from (
                select u.type, u.position, p.proargmodes[u.position] as mode,
                    row_number() over (order by u.position) as number
                from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) with ordinality u (type, position)
                where coalesce(p.proargmodes[u.position], 'i') in ('i', 'b', 'v')) i) args on true
        where (n.nspname = any ($1) or n.nspname || '.' || p.proname = any ($2))
            and p.prokind = 'f' and t.typname not in ('trigger', 'event_trigger')
        order by n.nspname, p.proname, p.oid
        """

    /// A row per foreign key, and whether its columns are unique on the referring side. Keys between tables that are not exposed
    /// matter too, for views may show them; those of tenants' own schemas do not.
    private static let foreignKeysSQL = """
        select sn.nspname as source_schema, s.relname as source_name, tn.nspname as target_schema,
            t.relname as target_name, k.conname, s.oid as source_oid, t.oid as target_oid,
            k.conkey::text[] as source_numbers, k.confkey::text[] as target_numbers,
            array(select a.attname from unnest(k.conkey) with ordinality u (number, position)
                join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number
                order by u.position) as source_columns,
            array(select a.attname from unnest(k.confkey) with ordinality u (number, position)
                join pg_catalog.pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number
                order by u.position) as target_columns,
            exists (select 1 from pg_catalog.pg_index x
                where x.indrelid = k.conrelid and x.indisunique and x.indpred is null
                    and x.indnkeyatts = cardinality(k.conkey) and x.indkey::int2[] <@ k.conkey
                    and k.conkey <@ x.indkey::int2[]) as is_unique
        from pg_catalog.pg_constraint k
        join pg_catalog.pg_class s on s.oid = k.conrelid
        join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
        join pg_catalog.pg_class t on t.oid = k.confrelid
        join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
        where k.contype = 'f' and k.conparentid = 0
            and (sn.nspname !~ '^tenant_[0-9a-f]{32}$' or sn.nspname = any ($1))
        order by k.conname, k.oid
        """

    /// A row per primary key of any table.
    private static let primaryKeysSQL = """
        select x.indrelid as relation, array(select u::text from unnest(x.indkey::int2[]) with ordinality k (u, position)
            order by position) as columns
        from pg_catalog.pg_index x
        join pg_catalog.pg_class c on c.oid = x.indrelid
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where x.indisprimary and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
            and (n.nspname !~ '^tenant_[0-9a-f]{32}$' or n.nspname = any ($1))
        order by n.nspname, c.relname
        """

    /// A row per view with its rewrite rule, exposed or not: views are made of views.
    private static let viewsSQL = """
        select c.oid, n.nspname, c.relname, r.ev_action::text as rule,
            array(select a.attname from pg_catalog.pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 order by a.attnum) as columns
        from pg_catalog.pg_rewrite r
        join pg_catalog.pg_class c on c.oid = r.ev_class
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('v', 'm') and r.ev_type = '1'
            and n.nspname not in ('pg_catalog', 'information_schema')
            and (n.nspname !~ '^tenant_[0-9a-f]{32}$' or n.nspname = any ($1))
        """

    /// A row per function that takes a row of one exposed relation and returns rows of another; `rows 1` says that there is one.
    private static let computedSQL = """
        select n.nspname, p.proname, sn.nspname as source_schema, s.relname as source_name, tn.nspname as target_schema,
            t.relname as target_name, not p.proretset or p.prorows = 1 as is_to_one
        from pg_catalog.pg_proc p
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        join pg_catalog.pg_type st on st.oid = p.proargtypes[0]
        join pg_catalog.pg_class s on s.oid = st.typrelid
        join pg_catalog.pg_namespace sn on sn.oid = s.relnamespace
        join pg_catalog.pg_type tt on tt.oid = p.prorettype
        join pg_catalog.pg_class t on t.oid = tt.typrelid
        join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
        where p.prokind = 'f' and p.pronargs = 1 and p.proallargtypes is null
            and s.relkind in ('r', 'v', 'm', 'f', 'p') and t.relkind in ('r', 'v', 'm', 'f', 'p')
            and n.nspname = any ($1) and sn.nspname = any ($1) and tn.nspname = any ($1)
        order by n.nspname, p.proname, p.oid
        """

    /// A row per function that returns a domain named as a media type, and per aggregate that makes one of rows: of a relation's, or of
    /// any where the relation is missing.
    private static let handlersSQL = """
        with media as (
            select t.oid, lower(t.typname) as name, b.oid = 'pg_catalog.bytea'::regtype as is_bytes
            from pg_catalog.pg_type t
            join pg_catalog.pg_type b on b.oid = t.typbasetype
            where t.typtype = 'd' and (t.typname ~* '^[a-z0-9.-]+/[a-z0-9.+-]+$' or t.typname = '*/*'))
        select n.nspname, p.proname, media.name, media.is_bytes, p.prokind = 'a' as is_aggregate,
            rn.nspname as relation_schema, r.relname as relation_name
        from media
        join pg_catalog.pg_proc p on p.prorettype = media.oid
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        left join pg_catalog.pg_type a on p.prokind = 'a' and a.oid = p.proargtypes[0]
        left join pg_catalog.pg_class r on r.oid = a.typrelid
        left join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
        where n.nspname = any ($1) and not p.proretset
            and (p.prokind = 'f'
                or p.prokind = 'a' and p.pronargs = 1
                    and (r.oid is not null or a.oid = 'pg_catalog.anyelement'::regtype))
        """

    /// A row per implicit cast by a function between a domain and `json` or `text`.
    private static let representationsSQL = """
        select pg_catalog.format_type(d.oid, null) as domain, n.nspname, p.proname,
            case when k.castsource = d.oid then 'format' when k.castsource = 'pg_catalog.json'::regtype then 'parse'
                else 'filter' end as direction
        from pg_catalog.pg_cast k
        join pg_catalog.pg_type d on d.typtype = 'd'
            and (d.oid = k.castsource and k.casttarget = 'pg_catalog.json'::regtype
                or d.oid = k.casttarget and k.castsource in ('pg_catalog.json'::regtype, 'pg_catalog.text'::regtype))
        join pg_catalog.pg_proc p on p.oid = k.castfunc
        join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where k.castcontext = 'i'
        """
}

extension Relation {
    fileprivate init?(_ row: PostgresRow, _ representations: [String: Representation]) {
        guard let schema = row["nspname"].text, let name = row["relname"].text,
            let names = row["names"].array, let types = row["types"].array, let defaults = row["defaults"].array,
            let baseTypes = row["base_types"].array,
            names.count == types.count, names.count == defaults.count, names.count == baseTypes.count
        else { return nil }
        // Bits of pg_relation_is_updatable: 1 << CMD_UPDATE (2), CMD_INSERT (3), CMD_DELETE (4).
        let events = row["events"].int ?? 0
        self.init(
            name: QualifiedName(schema: schema, name: name),
            columns: names.indices.map { index in
                let expression = defaults[index] ?? ""
                return Column(
                    name: names[index] ?? "", type: types[index] ?? "", baseType: baseTypes[index] ?? "",
                    defaultExpression: expression.isEmpty ? nil : expression,
                    representation: representations[types[index] ?? ""] ?? Representation())
            },
            primaryKey: row["primary_key"].array?.compactMap(\.self) ?? [],
            isInsertable: events & 8 != 0, isUpdatable: events & 4 != 0, isDeletable: events & 16 != 0,
            isTable: row["is_table"].bool ?? false)
    }
}

extension Function {
    fileprivate init?(_ row: PostgresRow, hoistedSettings: [String]) {
        guard let schema = row["nspname"].text, let name = row["proname"].text,
            let names = row["names"].array, let types = row["types"].array,
            let defaults = row["defaults"].array, let variadics = row["variadics"].array,
            let volatility = row["provolatile"].text.flatMap(Volatility.init)
        else { return nil }
        let result: Result
        if row["is_void"].bool ?? false {
            result = .void
        } else if row["is_composite"].bool ?? false {
            let relation = row["relation_name"].text.flatMap { name in
                row["relation_schema"].text.map { QualifiedName(schema: $0, name: name) }
            }
            result = .composite(relation: relation)
        } else {
            result = .scalar
        }
        self.init(
            name: QualifiedName(schema: schema, name: name),
            parameters: names.indices.map { index in
                Parameter(
                    name: names[index] ?? "", type: types[index] ?? "", hasDefault: defaults[index] == "t",
                    isVariadic: variadics[index] == "t")
            },
            result: result, returnsSet: row["proretset"].bool ?? false,
            volatility: volatility,
            settings: (row["settings"].array ?? []).compactMap { entry in
                guard let entry, let mark = entry.firstIndex(of: "=") else { return nil }
                let name = String(entry[..<mark])
                guard hoistedSettings.contains(name.lowercased()) else { return nil }
                return Setting(name: name, value: String(entry[entry.index(after: mark)...]))
            })
    }
}

extension MediaHandler {
    fileprivate static func found(_ row: PostgresRow) -> (Key, MediaHandler)? {
        guard let schema = row["nspname"].text, let function = row["proname"].text, let name = row["name"].text else {
            return nil
        }
        let maker = QualifiedName(schema: schema, name: function)
        let isAggregate = row["is_aggregate"].bool ?? false
        let relation = row["relation_name"].text.flatMap { name in
            row["relation_schema"].text.map { QualifiedName(schema: $0, name: name) }
        }
        let handler = MediaHandler(
            kind: isAggregate ? .aggregate(maker, of: relation) : .value, returnsBytes: row["is_bytes"].bool ?? false,
            mediaType: MediaType(name))
        return (Key(target: isAggregate ? relation : maker, name: name), handler)
    }
}

extension ViewOrigins.View {
    fileprivate init?(_ row: PostgresRow) {
        guard let identifier = row["oid"].text.flatMap({ UInt32($0) }), let schema = row["nspname"].text,
            let name = row["relname"].text, let columns = row["columns"].array, let rule = row["rule"].text
        else { return nil }
        self.init(
            identifier: identifier, name: QualifiedName(schema: schema, name: name), columns: columns.map { $0 ?? "" },
            origins: ViewOrigins.origins(ofRule: rule))
    }
}

extension Relationship {
    fileprivate init?(computed row: PostgresRow) {
        guard let schema = row["nspname"].text, let name = row["proname"].text,
            let sourceSchema = row["source_schema"].text, let sourceName = row["source_name"].text,
            let targetSchema = row["target_schema"].text, let targetName = row["target_name"].text
        else { return nil }
        self.init(
            source: QualifiedName(schema: sourceSchema, name: sourceName),
            target: QualifiedName(schema: targetSchema, name: targetName),
            kind: .computed(
                function: QualifiedName(schema: schema, name: name), isToOne: row["is_to_one"].bool ?? false))
    }
}

/// A foreign key, between tables as the catalog has it or between views that show its columns, before it becomes relationships in
/// both directions.
private struct ForeignKey {
    var constraint: String
    var source: End
    var target: End
    var isUnique: Bool

    /// A side of the key.
    struct End {
        var name: QualifiedName
        var columns: [String]
        /// The table in the catalog, and the columns' numbers in it.
        var identifier: UInt32
        var numbers: [Int]

        init?(_ row: PostgresRow, _ side: String) {
            guard let schema = row["\(side)_schema"].text, let name = row["\(side)_name"].text,
                let identifier = row["\(side)_oid"].text.flatMap({ UInt32($0) }),
                let columns = row["\(side)_columns"].array, let numbers = row["\(side)_numbers"].array
            else { return nil }
            self.name = QualifiedName(schema: schema, name: name)
            self.columns = columns.map { $0 ?? "" }
            self.identifier = identifier
            self.numbers = numbers.map { $0.flatMap { Int($0) } ?? 0 }
        }

        /// The end itself where it is exposed, and the views that show it.
        func shown(_ relations: [QualifiedName: Relation], _ views: ViewOrigins) -> [End] {
            let appearances = views.appearances(of: numbers, in: identifier).map { appearance in
                var end = self
                end.name = appearance.view
                end.columns = appearance.columns
                return end
            }
            return (relations[name] == nil ? [] : [self]) + appearances
        }
    }

    init?(_ row: PostgresRow) {
        guard let constraint = row["conname"].text, let source = End(row, "source"), let target = End(row, "target"),
            source.columns.count == target.columns.count
        else { return nil }
        self.constraint = constraint
        self.source = source
        self.target = target
        isUnique = row["is_unique"].bool ?? false
    }

    /// The key between all that shows its two sides.
    func shown(_ relations: [QualifiedName: Relation], _ views: ViewOrigins) -> [ForeignKey] {
        let targets = target.shown(relations, views)
        return source.shown(relations, views).flatMap { source in
            targets.map { target in
                var key = self
                key.source = source
                key.target = target
                return key
            }
        }
    }

    private var pairs: [Relationship.Pair] {
        zip(source.columns, target.columns).map { Relationship.Pair(from: $0, to: $1) }
    }

    private var link: Relationship.Link { Relationship.Link(constraint: constraint, pairs: pairs) }

    private var reversedLink: Relationship.Link {
        Relationship.Link(
            constraint: constraint, pairs: pairs.map { Relationship.Pair(from: $0.to, to: $0.from) })
    }

    /// The two directions.
    var relationships: [Relationship] {
        [
            Relationship(
                source: source.name, target: target.name,
                kind: isUnique ? .oneToOne(link, isParent: false) : .manyToOne(link)),
            Relationship(
                source: target.name, target: source.name,
                kind: isUnique ? .oneToOne(reversedLink, isParent: true) : .oneToMany(reversedLink)),
        ]
    }

    /// Pairs of foreign keys of one relation whose columns are all part of its primary key: each way a many-to-many relationship.
    static func junctions(_ keys: [ForeignKey], _ relations: [QualifiedName: Relation]) -> [Relationship] {
        let inPrimaryKey = keys.filter { key in
            let primaryKey = relations[key.source.name]?.primaryKey ?? []
            return key.source.columns.allSatisfy { primaryKey.contains($0) }
        }
        var found: [Relationship] = []
        for (junction, members) in Dictionary(grouping: inPrimaryKey, by: \.source.name) {
            for first in members {
                for second in members where first.constraint != second.constraint {
                    found.append(
                        Relationship(
                            source: first.target.name, target: second.target.name,
                            kind: .manyToMany(junction: junction, source: first.reversedLink, target: second.link)))
                }
            }
        }
        return found
    }
}
