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

    /// `{"overview": {files, bytes, collections, vectors, keys, members, tables: [{name, rows, more}]}}`. Each count is bounded, so
    /// that it costs little however much there is.
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
            ], as: person, request)
        try requireTenant(results)
        var members: JSONObject = [:]
        if let row = results[1].onlyRow {
            for name in ["files", "bytes", "collections", "vectors", "keys", "members"] {
                members[name] = JSON(row[name].int ?? 0)
            }
        }
        let tables = results[2].rows.compactMap(\.["name"].string)
        members["tables"] = .array(await rowCounts(of: tables, as: person, request))
        return .json(["overview": .object(members)])
    }

    /// Left out are tables that cannot be counted in time, or that a policy refuses.
    private func rowCounts(of tables: [String], as person: Principal, _ request: HTTPRequest) async -> [JSON] {
        guard !tables.isEmpty else { return [] }
        let queries: [PostgresQuery] = tables.map { table in
            """
            select count(*) as found
            from (select from \(identifier: table, in: "public") limit \(String(Self.countLimit))::bigint) as counted
            """
        }
        var unit = person.unit(queries, readOnly: true)
        unit.statementTimeout = Self.countTimeout
        guard let results = try? await database.run(unit) else { return [] }
        return zip(tables, results).map { table, result in
            let count = result.onlyRow?["found"].int ?? 0
            return ["name": .string(table), "rows": JSON(count), "more": .bool(count >= Self.countLimit)]
        }
    }
}
