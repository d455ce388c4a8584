// SPDX-License-Identifier: Apache-2.0
package import Postgres
internal import Primitives

/// Reads a ``Catalog`` in one unit of work, so that its parts belong together.
package struct CatalogReader: Sendable {
    private let database: Database
    private let login: String

    /// - Parameters:
    ///   - database: logged in as a role that may read the whole catalogue and `storage.buckets`.
    ///   - login: the role that requests come in by.
    package init(_ database: Database, login: String = "authenticator") {
        self.database = database
        self.login = login
    }

    /// - Throws: `PostgresError`.
    package func read() async throws(PostgresError) -> Catalog {
        let hasBuckets = try await database.query("select to_regclass('storage.buckets') is not null as found")
        var queries = Self.queries
        if hasBuckets.onlyRow?["found"].bool == true { queries.append(Self.buckets) }
        // With nothing else on the path, every name outside of pg_catalog is printed with its schema.
        let results = try await database.run(
            WorkUnit(settings: [("search_path", "pg_catalog")], readOnly: true, queries: queries))
        return Self.catalog(of: results, login: login)
    }

    private static func catalog(of results: [PostgresResult], login: String) -> Catalog {
        var catalog = Catalog()
        catalog.login = login
        var columns: [Int: [Catalog.Column]] = [:]
        for row in results[1].rows {
            guard let relation = row["relation"].int else { continue }
            columns[relation, default: []].append(Catalog.Column(row))
        }
        let reads = transitive(results[2])
        catalog.relations = results[0].rows.compactMap { row in
            guard var relation = Catalog.Relation(row) else { return nil }
            relation.columns = columns[relation.id] ?? []
            relation.reads = reads[relation.id] ?? []
            return relation
        }
        catalog.policies = results[3].rows.compactMap(Catalog.Policy.init)
        catalog.indexes = results[4].rows.map(Catalog.Index.init)
        catalog.foreignKeys = results[5].rows.map(Catalog.ForeignKey.init)
        catalog.functions = results[6].rows.map(Catalog.Function.init)
        catalog.triggers = results[7].rows.map { row in
            Catalog.Trigger(
                name: row["name"].string ?? "", relation: row["relation"].int ?? 0, function: row["function"].int ?? 0)
        }
        catalog.extensions = results[8].rows.map { row in
            Catalog.Extension(
                name: row["name"].string ?? "", schema: row["schema"].string ?? "",
                version: row["version"].string ?? "", defaultVersion: row["default_version"].string)
        }
        catalog.roles = results[9].rows.map { row in
            Catalog.Role(
                name: row["name"].string ?? "", isSuperuser: row["is_superuser"].bool ?? false,
                bypassesRLS: row["bypasses"].bool ?? false, mayBecome: row["may_become"].strings)
        }
        catalog.published = Set(results[10].rows.compactMap { $0["relation"].int })
        catalog.rules = results[11].rows.map { row in
            Catalog.Rule(
                name: row["name"].string ?? "", relation: row["relation"].int ?? 0, event: row["event"].string ?? "",
                definition: SQLExpression(row["definition"].string ?? ""))
        }
        for row in results[12].rows {
            guard let role = row["role"].string else { continue }
            catalog.creatable[role, default: []].insert(row["schema"].string ?? "")
        }
        if results.count > 13 {
            catalog.buckets = results[13].rows.map {
                Catalog.Bucket(
                    id: $0["id"].string ?? "", isPublic: $0["public"].bool ?? false, mimeTypes: $0["mime_types"].strings
                )
            }
        }
        return catalog.linked()
    }

    /// What each view reads, through other views too.
    private static func transitive(_ result: PostgresResult) -> [Int: Set<Int>] {
        var direct: [Int: Set<Int>] = [:]
        for row in result.rows {
            guard let view = row["view"].int, let read = row["read"].int else { continue }
            direct[view, default: []].insert(read)
        }
        return direct.mapValues { first in
            var all = first
            var waiting = Array(first)
            while let next = waiting.popLast() {
                for read in direct[next] ?? [] where all.insert(read).inserted { waiting.append(read) }
            }
            return all
        }
    }

    // MARK: Queries

    private static let queries: [PostgresQuery] = [
        relations, columns, viewReads, policies, indexes, foreignKeys, functions, triggers, extensions, roles,
        publications, rules, creatable,
    ]

    /// Tenants' own schemas all have the shape of `tenant_template`, which is looked at in their place: a thousand times the same finding
    /// would hide the others. So are the functions that lead into them.
    private static let isLookedAt: PostgresQuery = """
        n.nspname not like 'pg\\_%' and n.nspname !~ '^tenant_[0-9a-f]{32}$'
            and n.nspname not in ('information_schema', 'tenant_entry')
        """

    private static let relations: PostgresQuery = """
        select c.oid::bigint as id, n.nspname as schema, c.relname as name, c.relkind as kind,
            pg_get_userbyid(c.relowner) as owner, c.relrowsecurity as is_secured, c.relforcerowsecurity as is_forced,
            exists (
                select from pg_depend as d
                where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
            ) as is_of_extension,
            c.relispartition as is_partition,
            array(
                select h.inhparent::bigint from pg_inherits as h
                where h.inhrelid = c.oid and not c.relispartition
            )::text[] as parents,
            (select json_object_agg(o.option_name, o.option_value) from pg_options_to_table(c.reloptions) as o) as options,
            (
                select json_object_agg(p.role, p.allowed)
                from (
                    select r.rolname as role,
                        array_remove(array[
                            case when has_table_privilege(r.oid, c.oid, 'SELECT')
                                or has_any_column_privilege(r.oid, c.oid, 'SELECT') then 'SELECT' end,
                            case when has_table_privilege(r.oid, c.oid, 'INSERT')
                                or has_any_column_privilege(r.oid, c.oid, 'INSERT') then 'INSERT' end,
                            case when has_table_privilege(r.oid, c.oid, 'UPDATE')
                                or has_any_column_privilege(r.oid, c.oid, 'UPDATE') then 'UPDATE' end,
                            case when has_table_privilege(r.oid, c.oid, 'DELETE') then 'DELETE' end
                        ], null) as allowed
                    from pg_roles as r
                    where r.rolname in ('anon', 'authenticated') and has_schema_privilege(r.oid, n.oid, 'USAGE')
                ) as p
            ) as privileges,
            (
                select array_agg(a.attname order by k.place)
                from pg_index as i
                cross join unnest(i.indkey) with ordinality as k (attnum, place)
                inner join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
                where i.indrelid = c.oid and i.indisprimary
            ) as primary_key,
            (
                select json_object_agg(k.conname, pg_get_expr(k.conbin, k.conrelid))
                from pg_constraint as k
                where k.conrelid = c.oid and k.contype = 'c'
            ) as checks,
            case when c.relkind = 'p' then (
                select string_agg('(' || pg_get_partition_constraintdef(l.relid) || ')', ' OR ')
                from (select t.relid from pg_partition_tree(c.oid) as t where t.isleaf order by t.relid limit 64) as l
            ) end as partition_condition,
            c.relreplident as replica_identity, c.reltuples as estimated_rows, c.relpages as pages,
            (
                select sum(s.avg_width * (1 - s.null_frac)) + 28 from pg_stats as s
                where s.schemaname = n.nspname and s.tablename = c.relname
            ) * greatest(c.reltuples, 0) as estimated_bytes
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f')
            and \(isLookedAt)
        order by n.nspname, c.relname
        """

    private static let columns: PostgresQuery = """
        with recursive chain (domain, id, modifier, conditions, depth) as (
            select t.oid, t.typbasetype, t.typtypmod, (
                    select array_agg(pg_get_expr(k.conbin, 0)) from pg_constraint as k where k.contypid = t.oid
                ), 1
            from pg_type as t
            where t.typtype = 'd'
            union all
            select c.domain, t.typbasetype, t.typtypmod, c.conditions || (
                    select array_agg(pg_get_expr(k.conbin, 0)) from pg_constraint as k where k.contypid = t.oid
                ), c.depth + 1
            from chain as c
            inner join pg_type as t on t.oid = c.id and t.typtype = 'd'
        ),
        domains as (
            select distinct on (c.domain) c.domain, c.id, c.modifier, c.conditions
            from chain as c
            order by c.domain, c.depth desc
        )
        select a.attrelid::bigint as relation, a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
            not (a.attnotnull or t.typnotnull) as is_nullable, pg_get_expr(d.adbin, d.adrelid) as default_value,
            a.attidentity <> '' as is_identity, a.attgenerated <> '' as is_generated,
            (
                select array_agg(e.enumlabel order by e.enumsortorder)
                from pg_enum as e
                where e.enumtypid = coalesce(b.id, t.oid)
            ) as labels,
            format_type(b.id, b.modifier) as base_type, b.conditions as domain_conditions,
            (
                select count(*) from pg_type as w
                inner join pg_attribute as p on p.attrelid = w.typrelid
                where w.oid = coalesce(b.id, t.oid) and w.typtype = 'c' and p.attnum > 0 and not p.attisdropped
            ) as width,
            case when a.atttypid in ('varchar'::regtype, 'bpchar'::regtype) and a.atttypmod > 4 then a.atttypmod - 4 end
                as max_length,
            array(
                select r.rolname::text from pg_roles as r
                where r.rolname in ('anon', 'authenticated') and has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')
            ) as readers,
            array(
                select r.rolname::text from pg_roles as r
                where r.rolname in ('anon', 'authenticated') and has_column_privilege(r.oid, c.oid, a.attnum, 'UPDATE')
            ) as updaters,
            array(
                select r.rolname::text from pg_roles as r
                where r.rolname in ('anon', 'authenticated') and has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT')
            ) as inserters
        from pg_attribute as a
        inner join pg_class as c on c.oid = a.attrelid
        inner join pg_namespace as n on n.oid = c.relnamespace
        inner join pg_type as t on t.oid = a.atttypid
        left join domains as b on b.domain = t.oid
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and \(isLookedAt)
        order by a.attrelid, a.attnum
        """

    private static let viewReads: PostgresQuery = """
        select distinct w.ev_class::bigint as view, d.refobjid::bigint as read
        from pg_rewrite as w
        inner join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        where d.refclassid = 'pg_class'::regclass and d.refobjid <> w.ev_class
        """

    private static let policies: PostgresQuery = """
        select p.polrelid::bigint as relation, p.polname as name, p.polpermissive as is_permissive,
            array(
                select case when r.oid = 0 then 'public' else pg_get_userbyid(r.oid)::text end
                from unnest(p.polroles) as r (oid)
                union
                -- Whoever has the rights of a role has its policies.
                select m.rolname::text
                from unnest(p.polroles) as r (oid)
                inner join pg_roles as m on m.rolname in ('anon', 'authenticated') and pg_has_role(m.oid, r.oid, 'USAGE')
                where r.oid <> 0
            ) as roles,
            p.polcmd as action, pg_get_expr(p.polqual, p.polrelid) as using_expression,
            pg_get_expr(p.polwithcheck, p.polrelid) as check_expression
        from pg_policy as p
        inner join pg_class as c on c.oid = p.polrelid
        inner join pg_namespace as n on n.oid = c.relnamespace
        where \(isLookedAt)
        order by p.polrelid, p.polname
        """

    private static let indexes: PostgresQuery = """
        select x.relname as name, i.indrelid::bigint as relation,
            array(
                select a.attname::text
                from unnest(i.indkey) with ordinality as k (attnum, place)
                left join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum > 0
                where k.place <= i.indnkeyatts
                order by k.place
            ) as columns,
            i.indisunique as is_unique, i.indisprimary as is_primary, i.indisexclusion as is_exclusion,
            i.indpred is not null as is_partial, pg_get_expr(i.indexprs, i.indrelid) as expressions,
            concat_ws(
                '|', i.indrelid, i.indkey, i.indclass, i.indcollation, i.indoption, i.indisunique, i.indnkeyatts, x.relam,
                pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid)
            ) as signature,
            coalesce(s.idx_scan, 0) as scans
        from pg_index as i
        inner join pg_class as x on x.oid = i.indexrelid
        inner join pg_class as c on c.oid = i.indrelid
        inner join pg_namespace as n on n.oid = c.relnamespace
        left join pg_stat_all_indexes as s on s.indexrelid = i.indexrelid
        where i.indisvalid and \(isLookedAt)
        order by i.indrelid, x.relname
        """

    private static let foreignKeys: PostgresQuery = """
        select k.conname as name, k.conrelid::bigint as relation, k.confrelid::bigint as target,
            tn.nspname as target_schema, t.relname as target_name,
            array(
                select a.attname::text from unnest(k.conkey) with ordinality as u (attnum, place)
                inner join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum
                order by u.place
            ) as columns,
            array(
                select a.attname::text from unnest(k.confkey) with ordinality as u (attnum, place)
                inner join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.attnum
                order by u.place
            ) as target_columns,
            coalesce((select i.indisprimary from pg_index as i where i.indexrelid = k.conindid), true) as at_primary_key
        from pg_constraint as k
        inner join pg_namespace as n on n.oid = k.connamespace
        inner join pg_class as t on t.oid = k.confrelid
        inner join pg_namespace as tn on tn.oid = t.relnamespace
        where k.contype = 'f' and k.conparentid = 0 and \(isLookedAt)
        order by k.conrelid, k.conname
        """

    private static let functions: PostgresQuery = """
        select f.oid::bigint as id, n.nspname as schema, f.proname as name,
            pg_get_function_identity_arguments(f.oid) as arguments,
            array(
                select coalesce(a.name, '')
                from generate_series(1, f.pronargs) as g (place)
                left join lateral (
                    select n.name
                    from unnest(f.proargnames, coalesce(f.proargmodes, array_fill('i'::"char", array[cardinality(coalesce(f.proargnames, '{}'))])))
                        with ordinality as n (name, mode, place)
                    where n.mode in ('i', 'b', 'v')
                    order by n.place
                    offset g.place - 1
                    limit 1
                ) as a on true
                order by g.place
            ) as argument_names,
            array(
                select format_type(t.oid, null)
                from unnest(f.proargtypes) with ordinality as t (oid, place)
                order by t.place
            ) as argument_types,
            f.prosecdef as is_definer,
            exists (
                select from unnest(f.proconfig) as s (setting) where s.setting like 'search\\_path=%'
            ) as has_search_path,
            l.lanname as language, coalesce(pg_get_function_sqlbody(f.oid), f.prosrc) as source,
            pg_get_userbyid(f.proowner) as owner,
            exists (
                select from pg_depend as d
                where d.classid = 'pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
            ) as is_of_extension,
            f.prorettype in ('trigger'::regtype, 'event_trigger'::regtype) as is_trigger,
            array(
                select r.rolname::text from pg_roles as r
                where r.rolname in ('anon', 'authenticated') and has_function_privilege(r.oid, f.oid, 'EXECUTE')
                    and has_schema_privilege(r.oid, n.oid, 'USAGE')
                order by r.rolname
            ) as callers
        from pg_proc as f
        inner join pg_namespace as n on n.oid = f.pronamespace
        inner join pg_language as l on l.oid = f.prolang
        where f.prokind in ('f', 'p') and \(isLookedAt)
        order by n.nspname, f.proname, f.oid
        """

    private static let triggers: PostgresQuery = """
        select t.tgname as name, t.tgrelid::bigint as relation, t.tgfoid::bigint as function
        from pg_trigger as t
        inner join pg_class as c on c.oid = t.tgrelid
        inner join pg_namespace as n on n.oid = c.relnamespace
        where not t.tgisinternal and t.tgenabled <> 'D' and \(isLookedAt)
        order by t.tgrelid, t.tgname
        """

    private static let extensions: PostgresQuery = """
        select e.extname as name, n.nspname as schema, e.extversion as version, a.default_version
        from pg_extension as e
        inner join pg_namespace as n on n.oid = e.extnamespace
        left join pg_available_extensions as a on a.name = e.extname
        order by e.extname
        """

    private static let roles: PostgresQuery = """
        select r.rolname as name, r.rolsuper as is_superuser, r.rolbypassrls as bypasses,
            array(
                select m.rolname::text from pg_roles as m
                where m.oid <> r.oid and pg_has_role(r.oid, m.oid, 'MEMBER') and not r.rolsuper
                order by m.rolname
            ) as may_become
        from pg_roles as r
        where r.rolname not like 'pg\\_%'
        order by r.rolname
        """

    private static let publications: PostgresQuery = """
        select c.oid::bigint as relation
        from pg_publication as b
        inner join pg_class as c on c.relkind in ('r', 'p')
        inner join pg_namespace as n on n.oid = c.relnamespace and \(isLookedAt)
        where b.pubname = 'supabase_realtime'
            and (
                b.puballtables
                or exists (select from pg_publication_rel as p where p.prpubid = b.oid and p.prrelid = c.oid)
                or exists (select from pg_publication_namespace as p where p.pnpubid = b.oid and p.pnnspid = n.oid)
            )
        """

    private static let rules: PostgresQuery = """
        select w.rulename as name, w.ev_class::bigint as relation,
            case w.ev_type when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as event,
            regexp_replace(pg_get_ruledef(w.oid), '^.*? DO ', '') as definition
        from pg_rewrite as w
        inner join pg_class as c on c.oid = w.ev_class
        inner join pg_namespace as n on n.oid = c.relnamespace
        where w.ev_type <> '1' and w.ev_enabled <> 'D' and \(isLookedAt)
        order by w.ev_class, w.rulename
        """

    private static let creatable: PostgresQuery = """
        select r.rolname as role, n.nspname as schema
        from pg_roles as r
        inner join pg_namespace as n on has_schema_privilege(r.oid, n.oid, 'CREATE')
        where r.rolname in ('anon', 'authenticated') and not r.rolsuper and \(isLookedAt)
        order by r.rolname, n.nspname
        """

    private static let buckets: PostgresQuery =
        "select id, public, allowed_mime_types as mime_types from storage.buckets order by id"
}

extension PostgresValue {
    fileprivate var strings: [String] { array?.compactMap { $0 } ?? [] }
}

extension Catalog.Relation {
    fileprivate init?(_ row: PostgresRow) {
        guard let id = row["id"].int, let schema = row["schema"].string, let name = row["name"].string,
            let kind = row["kind"].string.flatMap(Kind.init(rawValue:))
        else { return nil }
        self.init(id: id, schema: schema, name: name, kind: kind, owner: row["owner"].string ?? "")
        isSecured = row["is_secured"].bool ?? false
        isForced = row["is_forced"].bool ?? false
        isOfExtension = row["is_of_extension"].bool ?? false
        isPartition = row["is_partition"].bool ?? false
        parents = row["parents"].strings.compactMap { Int($0) }
        for (option, value) in row["options"].json?.objectValue ?? [:] { options[option] = value.stringValue }
        for (role, allowed) in row["privileges"].json?.objectValue ?? [:] {
            privileges[role] = Set(allowed.arrayValue?.compactMap(\.stringValue) ?? [])
        }
        primaryKey = row["primary_key"].strings
        for (constraint, condition) in row["checks"].json?.objectValue ?? [:] {
            checks[constraint] = condition.stringValue.map { SQLExpression($0) }
        }
        partitionCondition = row["partition_condition"].string.map { SQLExpression($0) }
        replicaIdentity = row["replica_identity"].string ?? "d"
        estimatedRows = row["estimated_rows"].double ?? 0
        pages = row["pages"].int ?? 0
        estimatedBytes = row["estimated_bytes"].double
    }
}

extension Catalog.Column {
    fileprivate init(_ row: PostgresRow) {
        self.init(name: row["name"].string ?? "", type: row["type"].string ?? "")
        isNullable = row["is_nullable"].bool ?? true
        defaultValue = row["default_value"].string
        isIdentity = row["is_identity"].bool ?? false
        isGenerated = row["is_generated"].bool ?? false
        labels = row["labels"].strings
        baseType = row["base_type"].string
        domainConditions = row["domain_conditions"].strings.map { SQLExpression($0) }
        compositeWidth = row["width"].int.flatMap { $0 > 0 ? $0 : nil }
        maxLength = row["max_length"].int
        readers = row["readers"].strings
        updaters = row["updaters"].strings
        inserters = row["inserters"].strings
    }
}

extension Catalog.Policy {
    fileprivate init?(_ row: PostgresRow) {
        guard let relation = row["relation"].int, let action = row["action"].string.flatMap(Action.init(rawValue:))
        else { return nil }
        self.init(relation: relation, name: row["name"].string ?? "")
        isPermissive = row["is_permissive"].bool ?? true
        roles = row["roles"].strings
        self.action = action
        using = row["using_expression"].string.map { SQLExpression($0) }
        check = row["check_expression"].string.map { SQLExpression($0) }
    }
}

extension Catalog.Index {
    fileprivate init(_ row: PostgresRow) {
        self.init(
            name: row["name"].string ?? "", relation: row["relation"].int ?? 0, columns: row["columns"].array ?? [],
            signature: row["signature"].string ?? "")
        isUnique = row["is_unique"].bool ?? false
        isPrimary = row["is_primary"].bool ?? false
        isPartial = row["is_partial"].bool ?? false
        isExclusion = row["is_exclusion"].bool ?? false
        expressions = row["expressions"].string.map { SQLExpression($0) }
        scans = row["scans"].int ?? 0
    }
}

extension Catalog.ForeignKey {
    fileprivate init(_ row: PostgresRow) {
        self.init(
            name: row["name"].string ?? "", relation: row["relation"].int ?? 0, columns: row["columns"].strings,
            target: row["target"].int ?? 0, targetSchema: row["target_schema"].string ?? "",
            targetName: row["target_name"].string ?? "", targetColumns: row["target_columns"].strings,
            pointsAtPrimaryKey: row["at_primary_key"].bool ?? true)
    }
}

extension Catalog.Function {
    fileprivate init(_ row: PostgresRow) {
        self.init(
            id: row["id"].int ?? 0, schema: row["schema"].string ?? "", name: row["name"].string ?? "",
            arguments: row["arguments"].string ?? "")
        argumentNames = row["argument_names"].strings
        argumentTypes = row["argument_types"].strings
        isDefiner = row["is_definer"].bool ?? false
        hasFixedSearchPath = row["has_search_path"].bool ?? false
        language = row["language"].string ?? ""
        source = row["source"].string ?? ""
        owner = row["owner"].string ?? ""
        isOfExtension = row["is_of_extension"].bool ?? false
        isTrigger = row["is_trigger"].bool ?? false
        callers = row["callers"].strings
    }
}
