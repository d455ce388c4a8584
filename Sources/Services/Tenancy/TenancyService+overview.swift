// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import Platform
internal import Postgres
internal import Primitives

/// `GET /api/overview`: how much the token's tenant has, as the person may see it.
extension TenancyService {
    /// Nothing is counted further than this: the answer says `more` then.
    private static let countLimit = 10_000
    /// Of the project's tables, the first by name.
    private static let tableLimit = 24
    private static let countTimeout: Duration = .seconds(2)

    /// `{"overview": {files, bytes, collections, vectors, keys, members, tables: [{schema, name, rows, more}]}}`. Each count is bounded,
    /// so that it costs little however much there is. The schema of a tenant's own tables is `tenant`, as REST calls it; they come
    /// first, and hide shared ones of the same name.
    func overview(_ request: HTTPRequest) async throws -> HTTPResponse {
        let person = try person(request)
        let limit = String(Self.countLimit)
        let results = try await run(
            [
                Self.hasTenant,
                """
                select
                    coalesce((select sum(u.objects) from storage.usage as u), 0) as files,
                    coalesce((select sum(u.bytes) from storage.usage as u), 0) as bytes,
                    (select count(*) from vectors.collections as c where c.tenant_id = t.id) as collections,
                    (
                        select count(*)
                        from (select from vectors.points as p where p.tenant_id = t.id limit \(limit)::bigint) as counted
                    ) as vectors,
                    (select count(*) from tenancy.secrets as s where s.is_active) as keys,
                    (select count(*) from tenancy.members as m where m.tenant_id = t.id) as members
                from (select tenancy.current_tenant()) as t (id)
                """,
                """
                select c.relname as name
                from pg_catalog.pg_class as c
                where c.relnamespace = 'public'::regnamespace
                    and c.relkind in ('r', 'p')
                    and not c.relispartition
                    and c.relrowsecurity
                    and has_table_privilege(c.oid, 'select')
                order by c.relname
                limit \(String(Self.tableLimit))::bigint
                """,
                "select from tenancy.tenant_schemas where version is not null",
            ], as: person, request)
        try requireTenant(results)
        var members: JSONObject = [:]
        if let row = results[1].onlyRow {
            for name in ["files", "bytes", "collections", "vectors", "keys", "members"] {
                members[name] = JSON(row[name].int ?? 0)
            }
        }
        var tables: [CountedTable] = []
        if results[3].rowCount > 0, let tenant = person.tenantID {
            tables = try await ownTables(of: tenant, as: person, request)
        }
        let hidden = Set(tables.map(\.name))
        tables += results[2].rows.compactMap(\.["name"].string).filter { !hidden.contains($0) }.map { name in
            CountedTable(schema: "public", name: name, count: Self.count(of: "\(identifier: name, in: "public")"))
        }
        let counted = tables.prefix(Self.tableLimit)
        members["tables"] = .array(await rowCounts(of: Array(counted), as: person, request))
        return .json(["overview": .object(members)])
    }

    private struct CountedTable {
        var schema: String
        var name: String
        var count: PostgresQuery
    }

    private static func count(of table: PostgresQuery) -> PostgresQuery {
        "select count(*) as c0 from (select from \(table) limit \(String(countLimit))::bigint) as counted"
    }

    /// Those of the tenant's own schema.
    private func ownTables(
        of tenant: UUID, as person: Principal, _ request: HTTPRequest
    ) async throws -> [CountedTable] {
        let tables: PostgresQuery = """
            select c.relname
            from pg_catalog.pg_class as c
            where c.relnamespace = to_regnamespace(\(TenantDirectory.schemaName(tenant)))
                and c.relkind in ('r', 'p')
                and not c.relispartition
                and has_table_privilege(c.oid, 'select')
            order by c.relname
            limit \(String(Self.tableLimit))::bigint
            """
        let found = try await run(
            [try TenantDirectory.entering(tenant, tables, columnCount: 1)], as: person, request)
        return try found[0].rows.compactMap(\.["c0"].string).map { name in
            let count = Self.count(of: "\(identifier: name)")
            return CountedTable(
                schema: "tenant", name: name, count: try TenantDirectory.entering(tenant, count, columnCount: 1))
        }
    }

    /// Left out are tables that cannot be counted in time, or that a policy refuses.
    private func rowCounts(
        of tables: [CountedTable], as person: Principal, _ request: HTTPRequest
    ) async -> [JSON] {
        guard !tables.isEmpty else { return [] }
        var unit = person.unit(tables.map(\.count), readOnly: true)
        unit.statementTimeout = Self.countTimeout
        guard let results = try? await database.run(unit) else { return [] }
        return zip(tables, results).map { table, result in
            let count = result.onlyRow?["c0"].int ?? 0
            return [
                "schema": .string(table.schema), "name": .string(table.name), "rows": JSON(count),
                "more": .bool(count >= Self.countLimit),
            ]
        }
    }
}
