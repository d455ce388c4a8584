// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import HTTPClient
internal import Postgres
internal import Primitives

/// Takes away what probes have made, by what says whose it is: the probe's users, tenants and marks.
struct ProbeTraces {
    let server: ProbeServer
    let client: HTTPClient
    let database: Database
    let catalog: Catalog

    /// Removes what a probe has left that was killed.
    ///
    /// - Parameter isAlone: whether no other probe runs; where one may, only accounts older than it are taken for abandoned.
    /// - Returns: what is still there, in words.
    @discardableResult
    func removeAbandoned(isAlone: Bool) async throws -> [String] {
        let rows = try await database.query(
            """
            select id, email, raw_app_meta_data ->> 'tenant_id' as tenant
            from auth.users
            where email like \("probe-%@\(ProbeTenant.domain)")
                and (\(isAlone) or created_at < now() - interval '10 minutes')
            """
        ).rows
        let tenants = rows.compactMap { row -> ProbeTenant? in
            guard let id = row["id"].uuid, let email = row["email"].string else { return nil }
            return ProbeTenant(userID: id, tenantID: row["tenant"].uuid ?? id, email: email)
        }
        return try await remove(tenants)
    }

    /// - Parameter rows: what was made in tables of which nothing says whose it is.
    /// - Returns: what is still there, in words.
    /// - Throws: `PostgresError` when the database is gone.
    func remove(
        _ tenants: [ProbeTenant], _ rows: [(table: Catalog.Relation, identity: String)] = []
    ) async throws -> [String] {
        guard !tenants.isEmpty else { return [] }
        var serverError: (any Error)?
        do { try await removeFiles(tenants) } catch let error as HTTPClientError { serverError = error }
        // First the rows, as keys of a project's tables may keep the account.
        var stuck = try await removeRows(tenants, of: catalog.relations.filter(catalog.isProjectTable))
        for (table, identity) in rows.reversed() {
            let statement = "delete from \(table.quotedName) where \(identity)"
            do { try await database.query(PostgresQuery(sql: statement)) } catch {
                stuck.append("\(table.qualifiedName): \(error.message)")
            }
        }
        // The accounts stay where their files do: by them the next probe finds both.
        if let serverError {
            let names = tenants.map(\.email).joined(separator: ", ")
            return stuck + [
                "the accounts \(names) and their files, as the server does not answer (\(serverError)): `atoll isolation clean` takes them away"
            ]
        }
        for tenant in tenants {
            _ = try? await server.send(
                ProbeRequest(.delete, "/auth/v1/admin/users/\(tenant.userID)", as: .service), by: client)
        }
        let platform = catalog.relations.filter {
            $0.isTable && !$0.isPartition && Catalog.platformSchemas.contains($0.schema) && $0.schema != "auth"
        }
        stuck += try await removeRows(tenants, of: platform)
        for tenant in tenants {
            let statements: [PostgresQuery] = [
                "delete from auth.audit_log_entries where payload ->> 'actor_id' = \(tenant.userID.description)",
                "delete from auth.users where id = \(tenant.userID)",
                "delete from tenancy.tenants where id = \(tenant.tenantID)",
                "delete from tenancy.audit_log where tenant_id = \(tenant.tenantID)",
            ]
            for statement in statements {
                do { try await database.query(statement) } catch {
                    stuck.append("\(tenant.email): \(error.message)")
                }
            }
        }
        return stuck
    }

    /// Rows that name a probe in one of their columns, whoever wrote them; several rounds, as rows keep rows.
    private func removeRows(_ tenants: [ProbeTenant], of tables: [Catalog.Relation]) async throws -> [String] {
        var waiting = catalog.inOrderOfKeys(tables).reversed().compactMap { table in
            condition(tenants, table).map { (table, "delete from \(table.quotedName) where \($0)") }
        }
        var problems: [String] = []
        for _ in 0..<4 where !waiting.isEmpty {
            var failed: [(Catalog.Relation, String)] = []
            problems = []
            for (table, statement) in waiting {
                do { try await database.query(PostgresQuery(sql: statement)) } catch {
                    failed.append((table, statement))
                    problems.append("\(table.qualifiedName): \(error.message)")
                }
            }
            waiting = failed
        }
        return problems
    }

    /// What finds a probe's rows: its ids in columns that name tenants and people; where there are none, its mark in a text or its
    /// rows in other tables.
    private func condition(_ tenants: [ProbeTenant], _ table: Catalog.Relation) -> String? {
        // The platform's own rows of files go with the files.
        if table.schema == "storage", ["objects", "buckets"].contains(table.name) { return nil }
        let ids = tenants.flatMap { [$0.userID.description, $0.tenantID.description] }
        let scope = Set(catalog.scopeColumns(of: table) + table.columns.map(\.name).filter(Self.actorNames.contains))
        var parts = table.columns.filter { scope.contains($0.name) && ($0.type == "uuid" || $0.type == "text") }.map {
            column in
            "\(quoteIdentifier(column.name)) in (\(ids.map { "\(quoteLiteral($0))::\(column.type)" }.joined(separator: ", ")))"
        }
        for key in catalog.foreignKeys(of: table) where key.columns.count == 1 && parts.isEmpty {
            guard let target = catalog.relation(key.target), target.id != table.id,
                catalog.isProjectTable(target), let inner = scopeCondition(ids, target)
            else { continue }
            parts.append(
                "\(quoteIdentifier(key.columns[0])) in (select \(quoteIdentifier(key.targetColumns[0])) from \(target.quotedName) where \(inner))"
            )
        }
        if parts.isEmpty, catalog.isProjectTable(table) {
            let texts = table.columns.filter { ["text", "jsonb", "json"].contains($0.baseType ?? $0.type) }
            parts = texts.flatMap { column in
                tenants.map { "\(quoteIdentifier(column.name))::text like \(quoteLiteral("%\($0.marker)%"))" }
            }
        }
        return parts.isEmpty ? nil : parts.joined(separator: " or ")
    }

    private func scopeCondition(_ ids: [String], _ table: Catalog.Relation) -> String? {
        let parts = catalog.scopeColumns(of: table).compactMap { table.column($0) }.filter { $0.type == "uuid" }.map {
            "\(quoteIdentifier($0.name)) in (\(ids.map { "\(quoteLiteral($0))::uuid" }.joined(separator: ", ")))"
        }
        return parts.isEmpty ? nil : parts.joined(separator: " or ")
    }

    private static let actorNames: Set<String> = ["actor", "actor_id", "invited_by", "started_by"]

    /// Objects by the service that keeps them, so that their content goes too; the probe's own buckets with them.
    private func removeFiles(_ tenants: [ProbeTenant]) async throws {
        guard catalog.relation("storage", "objects") != nil else { return }
        for tenant in tenants {
            let mark = "%\(tenant.marker)%"
            let id = tenant.userID.description
            let objects = try await database.query(
                """
                select bucket_id as bucket, json_agg(name) as names
                from storage.objects
                where owner_id = \(id) or name like \(mark) or bucket_id like \(mark)
                group by bucket_id
                """)
            for row in objects.rows {
                guard let bucket = row["bucket"].string, let names = row["names"].json else { continue }
                _ = try await server.send(
                    ProbeRequest(.delete, "/storage/v1/object/\(encoded(bucket))", as: .service).json([
                        "prefixes": names
                    ]),
                    by: client)
            }
            let buckets = try await database.query("select id from storage.buckets where id like \(mark)")
            for row in buckets.rows {
                guard let bucket = row["id"].string else { continue }
                _ = try await server.send(
                    ProbeRequest(.delete, "/storage/v1/bucket/\(encoded(bucket))", as: .service), by: client)
            }
            // The collections that the project shares out belong to no tenant.
            _ = try await server.send(
                ProbeRequest(.delete, "/vectors/v1/collections/shared-\(tenant.marker)", as: .service), by: client)
        }
    }
}
